"""Run a saved model over photos: every photo once, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import default_data_collator

from hf_cushing.data.loading import FacePhotos
from hf_cushing.files import sha256_file
from hf_cushing.models.build import Classifier
from hf_cushing.models.device import exact_device
from hf_cushing.schema import ALIGNED, PLAIN, UsageError, UserError

if TYPE_CHECKING:
    from datasets import Dataset


def score(
    classifier: Classifier,
    photos: Dataset,
    *,
    framing: str = ALIGNED,
    batch_size: int = 32,
    num_workers: int = 0,
    cpu: bool = False,
) -> np.ndarray:
    """Logits of every photo, computed by all processes of the launch together.

    `framing` is ``aligned`` or ``plain``: the crops, or the wide views.

    Returns
    -------
    numpy.ndarray
        float64, shape (photos, classes), in the order of `photos`, the same in every process.

    Raises
    ------
    RuntimeError
        If a photo was scored twice or not at all.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object
    from tqdm.auto import tqdm

    state = PartialState(cpu=cpu)
    own_rows = list(range(state.process_index, len(photos), state.num_processes))
    seen = FacePhotos(photos.select(own_rows), classifier.processor, framing=framing)
    passes = forward(classifier, seen, batch_size=batch_size, num_workers=num_workers, cpu=cpu)
    batches = -(-len(own_rows) // batch_size)
    hidden = not state.is_main_process
    pairs: list[tuple[int, list[float]]] = []
    for batch, logits in tqdm(passes, total=batches, desc="Scoring", disable=hidden or None):
        places = [own_rows[i] for i in batch["index"].tolist()]
        pairs += zip(places, logits.double().cpu().tolist(), strict=True)
    if state.num_processes > 1:
        pairs = gather_object(pairs)
    if sorted(index for index, _ in pairs) != list(range(len(photos))):
        raise RuntimeError(f"{len(pairs)} scores for {len(photos)} photos: not each photo once")
    return np.array([logits for _, logits in sorted(pairs)])


@torch.no_grad()  # inference_mode would leave weights that it moves unable to learn
def forward(
    classifier: Classifier,
    photos: FacePhotos,
    *,
    batch_size: int,
    num_workers: int,
    cpu: bool,
    precision: str = "fp32",
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Yield each batch of photos with its logits, on this process's device.

    `precision` is ``fp32``, ``bf16`` or ``fp16``.
    """
    device = exact_device(cpu=cpu)
    loader = torch.utils.data.DataLoader(
        photos, batch_size, num_workers=num_workers, collate_fn=default_data_collator
    )
    model = classifier.model.to(device).eval()
    answer = logits_of if photos.framing != PLAIN else _plain_logits
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    for batch in loader:
        with torch.autocast(device.type, kind, enabled=kind is not None):
            logits = answer(model, batch["pixel_values"].to(device))
        yield batch, logits


@torch.no_grad()
def score_crops(
    classifier: Classifier,
    crops: Sequence[Image.Image],
    *,
    batch_size: int = 32,
    cpu: bool = False,
) -> np.ndarray:
    """Logits of crops in memory, by this process alone: float64, shape (n, classes)."""
    classifier.model.to(exact_device(cpu=cpu)).eval()
    logits = [
        logits_of(classifier.model, input_pixels(crops[i : i + batch_size], classifier))
        for i in range(0, len(crops), batch_size)
    ]
    return torch.cat(logits).double().cpu().numpy()


def logits_of(model: nn.Module, pixels: Tensor) -> Tensor:
    """What a network says of pixels (n, 3, s, s): logits (n, classes).

    The mean over both sides where the network `averages_mirrored`.
    """
    logits = _plain_logits(model, pixels)
    if averages_mirrored(model):
        logits = (logits + _plain_logits(model, pixels.flip(-1))) / 2
    return logits


def _plain_logits(model: nn.Module, pixels: Tensor) -> Tensor:
    """As the plain pipeline has them."""
    return model(pixel_values=pixels).logits


def averages_mirrored(model: nn.Module) -> bool:
    """Whether the network answers for a photo and its mirror image together; its config says so."""
    return bool(getattr(model.config, "average_mirrored", False))


def check_labels(classifier: Classifier, labels: list[str], where: str) -> None:
    """Refuse to score photos whose classes are not the model's."""
    own = labels_of(classifier.model)
    if own != labels:
        raise UserError(
            f"{where} knows the labels {', '.join(own)}, the dataset has {', '.join(labels)}; "
            "evaluate it on a dataset with the same labels"
        )


def weights_revision(path: str) -> str:
    """First 16 hex digits of the SHA-256 of a weights file."""
    return sha256_file(path)[:16]


def stored_side(photo: Image.Image) -> int:
    """Side in pixels of the centre square of a photo: of a crop, its own side."""
    return min(photo.size)


def input_pixels(photos: Sequence[Image.Image], classifier: Classifier) -> Tensor:
    """Preprocess the centre square of each photo: float32, shape (n, 3, s, s), on the device."""
    squares = [_centre_square(photo) for photo in photos]
    batch = classifier.processor(squares, return_tensors="pt")["pixel_values"]
    return batch.to(device_of(classifier.model))


def device_of(model: nn.Module) -> torch.device:
    """Device of the first weight; the CPU for a model without weights."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def log_odds(logits: Tensor, index: int) -> Tensor:
    """Log-odds of one class against all others together, shape (n,).

    It is logit_k - logsumexp of the other logits, the logarithm of p_k / (1 - p_k).

    >>> log_odds(torch.tensor([[0.0, 2.0]]), 1)
    tensor([2.])
    """
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], dim=1)
    return logits[:, index] - torch.logsumexp(others, dim=1)


def class_number(model: nn.Module, label: str | None) -> int:
    """Look up a class; without a label, the positive one of two.

    Raises
    ------
    UsageError
        The model has no such class, or more than two and none is named.
    """
    labels = labels_of(model)
    if label is None and len(labels) == 2:
        return 1
    if label is None:
        raise UsageError(f"name the label to explain; the model has {', '.join(labels)}")
    if label not in labels:
        raise UsageError(f"the model has no label {label}; choose {', '.join(labels)}")
    return labels.index(label)


def labels_of(model: nn.Module) -> list[str]:
    """Class names in the order of the class numbers."""
    return [model.config.id2label[number] for number in range(len(model.config.id2label))]


def _centre_square(photo: Image.Image) -> Image.Image:
    side = stored_side(photo)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.convert("RGB").crop((left, top, left + side, top + side))
