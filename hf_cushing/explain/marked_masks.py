"""Pixels that people marked in the crops, and how well heatmaps agree with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.explain.cohort import MAP_SIDE, Explained
from hf_cushing.schema import UserError
from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import interval_of
from hf_cushing.stats.region_agreement import mask_agreement
from hf_cushing.stats.region_shares import ratio
from hf_cushing.stats.resampling import Patients


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Heatmaps against what people marked, mean over photos.

    Attributes
    ----------
    measure : str
        ``auroc``, ``iou`` or ``pointing``: of pixels; each 0..1.
    estimate, low, high : float
        With a 95 % interval over patients; NaN where undefined.
    chance : float
        What a map that ignores the face would get, 0..1.
    patients, photos : int
        Photos with a mask that is neither empty nor full.
    """

    measure: str
    estimate: float
    low: float
    high: float
    chance: float
    patients: int
    photos: int


def mask_overlaps(explained: Explained, masks: dict[str, np.ndarray]) -> dict[str, list[Overlap]]:
    """Overlap of each method's heatmaps with the masks of `read_masks`."""
    names = explained.photo_ids
    rows = [row for row, name in enumerate(names) if name in masks]
    marked = [masks[names[row]] for row in rows]
    patients = explained.patients[rows]
    return {
        method: _overlaps(maps[rows], marked, patients) for method, maps in explained.maps.items()
    }


def _overlaps(maps: np.ndarray, masks: Sequence[np.ndarray], patients: np.ndarray) -> list[Overlap]:
    all_photos = [mask_agreement(heat, mask) for heat, mask in zip(maps, masks, strict=True)]
    known = np.array([not photo.reason for photo in all_photos], bool)
    kept = [photo for photo in all_photos if not photo.reason]
    who = Patients(patients[known], np.full(len(kept), ""))
    weights = who.weights(DRAWS)
    area = np.array([photo.area for photo in kept])
    # as many pixels as the mask has, drawn by chance, share area² of the picture with it
    measures = {
        "auroc": ([photo.auroc for photo in kept], np.full(len(kept), 0.5)),
        "iou": ([photo.iou for photo in kept], area / (2 - area)),
        "pointing": ([photo.hit for photo in kept], area),
    }
    rows = []
    for measure, (values, chance) in measures.items():
        means, chances = (ratio(weights @ np.array(v), weights.sum(1)) for v in (values, chance))
        found = interval_of(means, who.count, who.level())
        found.pop("reason")
        counts = {"patients": who.count, "photos": len(kept)}
        rows.append(Overlap(measure=measure, chance=float(chances[0]), **counts, **found))
    return rows


def read_masks(folder: Path, photo_ids: Sequence[str], side: int) -> dict[str, np.ndarray]:
    """Read ``READER/PHOTO_ID.png`` (white is marked); marked is what most readers marked.

    Parameters
    ----------
    folder : Path
    photo_ids : sequence of str
        The photos that there are; others are an error.
    side : int
        Of the crops, pixels: that of every mask.

    Returns
    -------
    dict
        photo_id to bool, shape (MAP_SIDE, MAP_SIDE).

    Raises
    ------
    UserError
        For no mask, an unknown photo, a file that can't be read or has another size.
    """
    known, marks = set(photo_ids), {}
    for path in sorted(Path(folder).glob("*/*.png")):
        if path.stem not in known:
            raise UserError(f"{path}: no such photo in this split; name the file PHOTO_ID.png")
        try:
            with Image.open(path) as image:
                mask = image.convert("L")
        except OSError as error:
            raise UserError(f"{path} can't be read ({error}); save it as PNG again") from None
        if mask.size != (side, side):
            raise UserError(
                f"{path} has {mask.width} × {mask.height} pixels; mark the crop of the dataset, "
                f"{side} × {side}"
            )
        marks.setdefault(path.stem, []).append(_shrunk(np.asarray(mask) > 127))
    if not marks:
        raise UserError(f"{folder} has no masks; put them at READER/PHOTO_ID.png")
    return {name: np.mean(masks, axis=0) > 0.5 for name, masks in marks.items()}


def _shrunk(mask: np.ndarray) -> np.ndarray:
    """A mask at the size of the kept maps: bool, shape (MAP_SIDE, MAP_SIDE)."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)) > 127
