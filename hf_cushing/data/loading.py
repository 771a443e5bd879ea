"""Load a prepared dataset, deal out the roles of its photos, and feed them to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_cushing.data.augment import VIEW_SEED, augment
from hf_cushing.data.framing import columns_of, show
from hf_cushing.data.groups import group_patients, pair_links
from hf_cushing.data.parquet import NEEDED, content_revision, read_splits
from hf_cushing.data.source import local_folder
from hf_cushing.schema import ALIGNED, NO_FOLD, SPLITS, UserError, fold_column

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import BaseImageProcessor


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

    @property
    def has_views(self) -> bool:
        """Whether there are wide views beside the crops."""
        return all("context" in photos.column_names for photos in self.roles.values())


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
    for role, photos in roles.items():
        _check_labels_there(role, photos, labels, source)
    return FaceData(roles, labels, content_revision(splits), fold_column(repeat))


def class_words(photos: Dataset, column: str) -> np.ndarray:
    """Give a ClassLabel column as words, shape (n,)."""
    return np.array(photos.features[column].names)[photos[column][:]]


def patient_groups(photos: Dataset) -> np.ndarray:
    """Who must stay together: a patient's photos, and matched pairs; words, shape (n,)."""
    patients = photos["patient_id"][:]
    pairs = photos["pair_id"][:] if "pair_id" in photos.column_names else [""] * len(patients)
    group = group_patients(patients, pair_links(zip(pairs, patients, strict=True)))
    return np.array([group[patient] for patient in patients])


class EpochPhotos(torch.utils.data.Dataset):
    """Photos that are shown otherwise each epoch; a loader's living processes see which it is."""

    def __init__(self):
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """Counted from 0."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose how photos are shown."""
        self._epoch.fill_(epoch)


class FacePhotos(EpochPhotos):
    """Photos as network input; augmented anew each epoch, or as one fixed view.

    The augmentation of a photo depends on (seed, epoch, photo_id) alone: neither on the number
    of loader processes nor on what was drawn before, so that a resumed run repeats it.

    Parameters
    ----------
    photos : datasets.Dataset
    processor : image processor of the network
    weights : numpy.ndarray, optional
        Weight of each photo in the loss, float32, mean 1.
    strength : str
        ``none``, or a name of `augment.STRENGTHS`.
    seed : int
        Of the augmentation.
    zoom_out : float
        Largest side of the field seen in training over the crop's side.
    framing : str
        ``aligned``, ``plain`` or ``any``.
    """

    def __init__(
        self,
        photos: Dataset,
        processor: BaseImageProcessor,
        *,
        weights: np.ndarray | None = None,
        strength: str = "none",
        seed: int = VIEW_SEED,
        zoom_out: float = 1.0,
        framing: str = ALIGNED,
    ):
        super().__init__()
        self.photos = photos.select_columns([*columns_of(framing), "label", "photo_id"])
        self.processor = processor
        self.weights = np.ones(len(photos), np.float32) if weights is None else weights
        self.strength = strength
        self.seed = seed
        self.zoom_out = zoom_out
        self.framing = framing

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def photo_ids(self) -> list[str]:
        """One a photo, in order."""
        return list(self.photos["photo_id"])

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.photos[index]
        rng = np.random.default_rng([self.seed, self.epoch, int(row["photo_id"][:15], 16)])
        image, aligned = show(row, self.framing, rng)
        if self.strength != "none":
            zoom_out = self.zoom_out if aligned else 1.0  # a window goes on outside
            image = augment(image, rng, strength=self.strength, zoom_out=zoom_out)
        pixels = self.processor(image, return_tensors="pt")["pixel_values"][0]
        return {
            "pixel_values": pixels,
            "labels": row["label"],
            "sample_weight": float(self.weights[index]),
            "index": index,
        }


def _load(source: str, revision: str | None) -> dict[str, Dataset]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    if folder := local_folder(source):
        return read_splits(folder)
    try:
        return load_dataset(source, revision=revision)
    except (DatasetNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"--dataset {source}: no such folder, and not to be had from the Hub "
            f"({str(error).splitlines()[0]}); check the name, or `hf auth login`"
        ) from None


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


def _check_labels_there(role: str, photos: Dataset, labels: list[str], source: str) -> None:
    """Refuse to train or validate without photos of every label; test need not have them all."""
    held = set(photos["label"])
    missing = [label for number, label in enumerate(labels) if number not in held]
    if len(labels) < 2 or (missing and role != "test"):
        lacks = missing or ["a disease: 'control' is its only label"]
        raise UserError(
            f"--dataset {source}: the {role} photos lack {', '.join(lacks)}; prepare it from a "
            "table with controls and patients, or with fewer --folds"
        )


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
