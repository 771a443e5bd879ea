"""Load a prepared dataset, deal out the roles of its photos, and feed them to a network."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from hf_cushing.faces.align import warp
from hf_cushing.schema import NO_FOLD, SPLITS, UserError, fold_column

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import BaseImageProcessor

NEEDED = ("image", "label", "sex", "patient_id", "photo_id", "fold")


@dataclass(frozen=True)
class FaceData:
    """A prepared dataset, with the role of every photo decided.

    Attributes
    ----------
    roles : dict
        ``train``, ``validation`` and ``test`` to `datasets.Dataset`.
    labels : list of str
        Class names, ``control`` first.
    revision : str
        Hash of the content, the same for a folder and its copy on the Hub.
    folds : str
        Name of the column of folds in use.
    """

    roles: dict[str, Dataset]
    labels: list[str]
    revision: str
    folds: str = "fold"


def load_faces(
    source: str, *, fold: int | None = None, repeat: int = 1, revision: str | None = None
) -> FaceData:
    """Load a dataset folder or Hub dataset and decide which photos train, validate and test.

    Parameters
    ----------
    source : str
        Folder made by ``hf-cushing prepare``, or a Hub id.
    fold : int, optional
        Cross-validation instead of the splits: this fold tests, the next one validates. Public
        controls train in every fold; an external test split takes no part.
    repeat : int
        Which of the repeats of the cross-validation, counted from 1.
    revision : str, optional
        Branch, tag or commit on the Hub.

    Raises
    ------
    UserError
        Not there, not a prepared dataset, or no such fold.
    """
    from datasets import concatenate_datasets

    splits = _load(source, revision)
    missing = [split for split in SPLITS if split not in splits]
    columns = splits[next(iter(splits))].column_names
    absent = [name for name in NEEDED if name not in columns]
    if missing or absent:
        raise UserError(
            f"--dataset {source} lacks {', '.join(missing + absent)}; "
            "make it with `hf-cushing prepare`"
        )
    roles = {split: splits[split] for split in SPLITS}
    if fold is not None:
        column = fold_column(repeat)
        if column not in columns:
            raise UserError(f"--repeat {repeat}: this dataset was prepared with fewer --repeats")
        roles = _fold_roles(roles, concatenate_datasets(list(roles.values())), fold, column)
    _check_disjoint(roles, source)
    labels = roles["train"].features["label"].names
    return FaceData(roles, labels, content_revision(splits), fold_column(repeat))


def words(photos: Dataset, column: str) -> list[str]:
    """Give a ClassLabel column as words."""
    names = photos.features[column].names
    return [names[number] for number in photos[column]]


class FacePhotos(torch.utils.data.Dataset):
    """Photos as network input; augmented if a seed is given.

    The augmentation of a photo depends on (seed, epoch, photo_id) alone: neither on the number
    of loader processes nor on what was drawn before, so that a resumed run repeats it.

    Parameters
    ----------
    photos : datasets.Dataset
    processor : image processor of the network
    weights : numpy.ndarray, optional
        Weight of each photo in the loss, float32, mean 1.
    augment_seed : int, optional
        Augment with this seed.
    zoom_out : float
        Largest side of the field seen in training over the crop's side.
    """

    def __init__(
        self,
        photos: Dataset,
        processor: BaseImageProcessor,
        *,
        weights: np.ndarray | None = None,
        augment_seed: int | None = None,
        zoom_out: float = 1.0,
    ):
        self.photos = photos.select_columns(["image", "label", "photo_id"])
        self.processor = processor
        self.weights = np.ones(len(photos), np.float32) if weights is None else weights
        self.augment_seed = augment_seed
        self.zoom_out = zoom_out
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.photos)

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentations of this epoch."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.photos[index]
        image = row["image"].convert("RGB")
        if self.augment_seed is not None:
            key = [self.augment_seed, self.epoch, int(row["photo_id"][:15], 16)]
            image = augment(image, np.random.default_rng(key), self.zoom_out)
        pixels = self.processor(image, return_tensors="pt")["pixel_values"][0]
        return {
            "pixel_values": pixels,
            "labels": row["label"],
            "sample_weight": float(self.weights[index]),
            "index": index,
        }


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Stack rows of `FacePhotos`: pixel_values (n, 3, side, side), the rest (n,)."""
    return {
        "pixel_values": torch.stack([row["pixel_values"] for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
        "sample_weight": torch.tensor([row["sample_weight"] for row in rows]),
        "index": torch.tensor([row["index"] for row in rows]),
    }


MIN_FIELD = 0.95
"""Smallest side of the field seen in training over the crop's."""

MAX_TURN = math.radians(4)
MAX_SHIFT = 0.015
"""Alignment leaves errors of about this size; larger jitter cost accuracy (docs/choices.md)."""


def augment(image: Image.Image, rng: np.random.Generator, zoom_out: float = 1.0) -> Image.Image:
    """Mirror, turn up to 4°, zoom and shift a crop a little, in one resampling.

    Nothing that hides a sign of the disease: one scale for both axes (roundness stays), and no
    change of colour (redness stays).

    Parameters
    ----------
    image : PIL.Image.Image
        Square RGB crop.
    rng : numpy.random.Generator
    zoom_out : float
        Largest field seen over the crop's side, 1 or more.
    """
    side = image.width
    mirror = -1 if rng.random() < 0.5 else 1
    turn = rng.uniform(-MAX_TURN, MAX_TURN)
    step = math.exp(rng.uniform(math.log(MIN_FIELD), math.log(zoom_out)))
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * side
    matrix = step * np.array(
        [[mirror * math.cos(turn), -math.sin(turn)], [mirror * math.sin(turn), math.cos(turn)]]
    )
    offset = side / 2 + shift - matrix @ (side / 2, side / 2)
    return warp(image, np.hstack([matrix, offset[:, None]]), side, Image.Resampling.BILINEAR)


def _load(source: str, revision: str | None) -> dict[str, Dataset]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "data").is_dir():
            raise UserError(
                f"--dataset {source} is not a prepared dataset; run "
                f"`hf-cushing prepare {source} --out DIR` and give DIR"
            )
        return _read_folder(folder)
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise UserError(f"--dataset {source}: no such folder; make it with `hf-cushing prepare`")
    try:
        return load_dataset(source, revision=revision)
    except (DatasetNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"--dataset {source}: no such folder, and not to be had from the Hub "
            f"({str(error).splitlines()[0]}); check the name, or `hf auth login`"
        ) from None


def _read_folder(folder: Path) -> dict[str, Dataset]:
    """Read the shards themselves: `load_dataset` would keep a copy of the faces in the user's
    cache, and serve it again after the shards have changed.
    """
    import pyarrow.parquet
    from datasets import Dataset
    from datasets.table import InMemoryTable

    splits = {}
    for split in SPLITS:
        shards = sorted((folder / "data").glob(f"{split}-*.parquet"))
        if shards:
            tables = [pyarrow.parquet.read_table(shard) for shard in shards]
            splits[split] = Dataset(InMemoryTable(pyarrow.concat_tables(tables)))
    if not splits:
        raise UserError(f"--dataset {folder}: data/ holds no Parquet shards; prepare it again")
    return splits


def content_revision(splits: Mapping[str, Dataset]) -> str:
    """Hash of who is where, with which label, and how the crops were cut: 16 hex digits."""
    digest = hashlib.sha256()
    for split in SPLITS:
        photos = splits[split]
        names = [n for n in (*NEEDED, "landmarks") if n != "image" and n in photos.column_names]
        columns = photos.select_columns(names).with_format("arrow")[:]
        for name in names:
            digest.update(f"{split}/{name}:".encode())
            digest.update(json.dumps(columns[name].to_pylist()).encode())
    return digest.hexdigest()[:16]


def _fold_roles(
    splits: dict[str, Dataset], photos: Dataset, fold: int, column: str
) -> dict[str, Dataset]:
    folds = np.asarray(photos[column])
    split = np.repeat(list(splits), [len(rows) for rows in splits.values()])
    count = int(folds.max()) + 1
    if fold >= count:
        raise UserError(f"--fold {fold}: this dataset has the folds 0 to {count - 1}")
    validation = (fold + 1) % count
    train = (folds != fold) & (folds != validation) & ((folds != NO_FOLD) | (split == "train"))
    masks = {"train": train, "validation": folds == validation, "test": folds == fold}
    return {role: photos.select(np.flatnonzero(mask)) for role, mask in masks.items()}


def _check_disjoint(roles: dict[str, Dataset], source: str) -> None:
    """Refuse a dataset in which a patient has more than one role."""
    seen: dict[str, str] = {}
    for role, photos in roles.items():
        for patient in set(photos["patient_id"]):
            if seen.setdefault(patient, role) != role:
                raise UserError(
                    f"--dataset {source}: a patient of the {role} photos is among the "
                    f"{seen[patient]} photos too; make it again with `hf-cushing prepare`"
                )
