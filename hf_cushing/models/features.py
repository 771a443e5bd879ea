"""Features of a frozen backbone: each photo passes it once, for all folds, seeds and epochs.

A feature is what the head's linear layer receives, so that `logits = head(feature)` equals the
network's own answer. They are kept as memory-mapped shards of up to 256 photos in a folder named
after everything that decides them: the backbone's weights, the processor, the view, the
precision. Inside, a photo is found by the hash of its crop's bytes. Features come from faces:
treat the folder like the photographs.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hf_cushing.data.augment import STRENGTHS
from hf_cushing.data.framing import columns_of
from hf_cushing.data.loading import FacePhotos
from hf_cushing.files import write_json, written_aside
from hf_cushing.models.adapt import head_linear, head_names
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import forward
from hf_cushing.schema import ALIGNED

if TYPE_CHECKING:
    from datasets import Dataset

SHARD = 256
BATCH = 32
VERSION = 1
"""To be raised when features of the same inputs change."""

NOT_ARCHITECTURE = ("id2label", "label2id", "num_labels", "_name_or_path", "architectures",
                    "transformers_version", "dtype", "torch_dtype", "problem_type",
                    "drop_path_rate")  # fmt: skip
"""Entries of a config that a fine-tuned model and its origin may differ in."""

VIEW_STRENGTH, VIEW_ZOOM_OUT = "light", 1.05


class FeatureStore:
    """Features of photos by one backbone.

    Parameters
    ----------
    classifier : Classifier
        Its head may be anything: it takes no part.
    folder : Path
        Where they are kept.
    dtype : str
        How: ``float32`` or ``float16``.
    precision : str
        Of the forward pass: ``fp32``, ``bf16`` or ``fp16``.
    num_workers : int
    cpu : bool
    """

    def __init__(
        self,
        classifier: Classifier,
        folder: Path,
        *,
        dtype: str = "float32",
        precision: str = "fp32",
        num_workers: int = 0,
        cpu: bool = False,
    ):
        self.classifier, self.folder = classifier, folder
        self.dtype, self.precision = dtype, precision
        self.num_workers, self.cpu = num_workers, cpu
        self.backbone = backbone_hash(classifier.model)

    def features(self, photos: Dataset, *, view: int = 0, framing: str = ALIGNED) -> np.ndarray:
        """Features of all photos, computed where they are not there yet.

        All processes of the launch call this together; each computes its share.

        Parameters
        ----------
        photos : datasets.Dataset
        view : int
            0 for the photos as they are, 1 and up for fixed augmented views.
        framing : str
            What is shown of them: see `data.framing`.

        Returns
        -------
        numpy.ndarray
            float32, shape (photos, width of the head's input), in the order of `photos`.
        """
        from accelerate import PartialState

        state = PartialState(cpu=self.cpu)
        folder = self.folder / self._key(view, framing, state.device.type)
        names = picture_hashes(photos, framing)
        known = _agreed(set(_read_index(folder)), state.num_processes)
        places = {name: i for i, name in enumerate(names) if name not in known}
        rows = [places[name] for name in sorted(places)]
        parts = [rows[i : i + SHARD] for i in range(0, len(rows), SHARD)]
        own_parts = parts[state.process_index :: state.num_processes]
        self._compute(folder, photos, names, own_parts, (view, framing), state.is_main_process)
        state.wait_for_everyone()
        return _gather(folder, names)

    def logits(self, photos: Dataset, *, framing: str = ALIGNED) -> np.ndarray:
        """What the classifier says of the photos: float64, shape (photos, classes)."""
        linear = head_linear(self.classifier.model)
        features = torch.from_numpy(self.features(photos, framing=framing))
        with torch.inference_mode():
            weight, bias = linear.weight.float().cpu(), linear.bias.float().cpu()
            return nn.functional.linear(features, weight, bias).double().numpy()

    def _key(self, view: int, framing: str, device: str) -> str:
        facts = {
            "version": VERSION,
            "torch": torch.__version__,
            "backbone": self.backbone,
            "config": _architecture(self.classifier.model.config.to_dict()),
            "processor": self.classifier.processor.to_dict(),
            "dtype": self.dtype,
            "precision": self.precision,
            "device": device,
            "view": view,
        }
        if framing != ALIGNED:
            facts["framing"] = framing
        if view:
            facts["augmentation"] = [repr(STRENGTHS[VIEW_STRENGTH]), VIEW_ZOOM_OUT]
        text = json.dumps(facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _compute(
        self,
        folder: Path,
        photos: Dataset,
        names: list[str],
        parts: list[list[int]],
        look: tuple[int, str],
        progress: bool,
    ) -> None:
        """Write one shard for each part: places in `photos`; `look` is view and framing."""
        from tqdm.auto import tqdm

        if not parts:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        total = sum(map(len, parts))
        with tqdm(
            total=total, desc="Features", unit="photo", disable=None if progress else True
        ) as bar:
            for part in parts:
                rows = []
                for batch in self._pass(photos.select(part), *look):
                    rows.append(batch.astype(self.dtype))
                    bar.update(len(batch))
                _write_shard(folder, [names[place] for place in part], np.concatenate(rows))

    def _pass(self, photos: Dataset, view: int, framing: str) -> Iterator[np.ndarray]:
        """Yield the features of one batch after the other."""
        seen = FacePhotos(
            photos,
            self.classifier.processor,
            strength=VIEW_STRENGTH if view else "none",
            zoom_out=VIEW_ZOOM_OUT,
            framing=framing,
        )
        seen.set_epoch(view)
        received: list[torch.Tensor] = []
        hook = head_linear(self.classifier.model).register_forward_pre_hook(
            lambda _, inputs: received.append(inputs[0])  # twice, where it averages both sides
        )
        passes = forward(
            self.classifier,
            seen,
            batch_size=BATCH,
            num_workers=self.num_workers,
            cpu=self.cpu,
            precision=self.precision,
        )
        try:
            for _ in passes:
                yield torch.stack(received).mean(0).float().cpu().numpy()
                received.clear()
        finally:
            hook.remove()


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what says nothing of the backbone's answer."""
    return {key: value for key, value in config.items() if key not in NOT_ARCHITECTURE}


def _agreed(known: set[str], processes: int) -> set[str]:
    """The first process's view: another run may be filling the same folder meanwhile."""
    if processes == 1:
        return known
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([known])[0]


def backbone_hash(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers but the head's: hex."""
    digest, head = hashlib.sha256(), head_names(model)
    for name, tensor in sorted(model.state_dict().items()):
        if name not in head:
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy())
    return digest.hexdigest()


def picture_hashes(photos: Dataset, framing: str = ALIGNED) -> list[str]:
    """SHA-256 of each photo's pictures as they are stored: hex, first 32 digits."""
    names = [name for name in columns_of(framing) if not name.endswith("_box")]
    hashes = []
    for batch in photos.select_columns(names).with_format("arrow").iter(SHARD):
        for images in zip(*(batch[name].combine_chunks() for name in names), strict=True):
            digest = hashlib.sha256()
            for image in images:
                buffer = image["bytes"].as_buffer()
                digest.update(buffer or Path(image["path"].as_py()).read_bytes())
            hashes.append(digest.hexdigest()[:32])
    return hashes


def _write_shard(folder: Path, names: list[str], rows: np.ndarray) -> None:
    """The rows, then the index that makes them count; each aside, then renamed."""
    stem = hashlib.sha256("".join(names).encode()).hexdigest()[:16]
    with written_aside(folder / f"{stem}.npy") as aside, open(aside, "wb") as file:
        np.save(file, rows, allow_pickle=False)
    write_json(folder / f"{stem}.json", names)


def _read_index(folder: Path) -> dict[str, tuple[Path, int]]:
    """For each known photo, its shard and row; shards that can't be read don't count."""
    places: dict[str, tuple[Path, int]] = {}
    for index in sorted(folder.glob("*.json")):
        shard = index.with_suffix(".npy")
        try:
            names = json.loads(index.read_text(encoding="utf-8"))
            whole = len(np.load(shard, mmap_mode="r", allow_pickle=False)) == len(names)
        except (OSError, ValueError):
            continue
        if whole:
            places |= {name: (shard, row) for row, name in enumerate(names)}
    return places


def _gather(folder: Path, names: list[str]) -> np.ndarray:
    index = _read_index(folder)
    places: dict[Path, list[tuple[int, int]]] = defaultdict(list)
    for place, name in enumerate(names):
        shard, row = index[name]
        places[shard].append((place, row))
    parts = [np.load(shard, mmap_mode="r", allow_pickle=False) for shard in places]
    rows = np.empty((len(names), parts[0].shape[1]), np.float32)
    for part, pairs in zip(parts, places.values(), strict=True):
        here, there = np.array(pairs).T
        rows[here] = part[there]
    return rows
