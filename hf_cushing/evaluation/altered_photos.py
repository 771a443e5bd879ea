"""Score photos once more, altered: the measuring behind `repeatability`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy.special import softmax

from hf_cushing.data.intake_report import original_files
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.repeatability import Repeatability, changes_of
from hf_cushing.faces.align import align_face
from hf_cushing.faces.alter import mirrored, realigned, resaved, resaved_crop
from hf_cushing.faces.photo import PhotoError, open_photo
from hf_cushing.models.build import Classifier
from hf_cushing.models.score import score_crops

if TYPE_CHECKING:
    from datasets import Dataset

SEED = 0
"""Of the choice of photos."""

Alter = Callable[[Any], Image.Image]


def measure_repeatability(
    models: Sequence[tuple[Classifier, Dataset]],
    scored: Predictions,
    points: Sequence[OperatingPoint],
    *,
    most: int,
    folders: tuple[Path, Path] | None = None,
    cpu: bool = False,
) -> Repeatability:
    """Score photos of a split mirrored, saved again and aligned again, and compare.

    Parameters
    ----------
    models : sequence of (Classifier, datasets.Dataset)
        Each with the photos that it is asked about.
    scored : Predictions
        Of one split, by these classifiers: all of their photos are in it.
    points : sequence of OperatingPoint
    most : int
        Each model scores at most so many photos again, drawn by `SEED`.
    folders : tuple of Path, optional
        Prepared dataset and the clinic folder behind it: the original photo is saved again and
        aligned anew, instead of the stored crop.
    cpu : bool

    Raises
    ------
    UserError
        An original photo is not in the clinic folder.
    """
    place = {photo: row for row, photo in enumerate(scored.photo_id.tolist())}
    parts: dict[str, list[Predictions]] = {}
    refused: Counter[str] = Counter()
    count = 0
    for classifier, photos in models:
        rows = np.sort(np.random.default_rng(SEED).permutation(len(photos))[:most])
        chosen = photos.select(rows)
        before = scored.select(np.array([place[photo] for photo in chosen["photo_id"]]))
        count += len(before)
        for alteration, images in _altered(chosen, folders).items():
            refused[alteration] += len(before) - len(images)
            if images:
                logits = score_crops(classifier, list(images.values()), cpu=cpu)
                after = replace(
                    before.select(np.array(list(images))), probabilities=softmax(logits, axis=1)
                )
                parts.setdefault(alteration, []).append(after)
    altered = {alteration: concatenate(rows) for alteration, rows in parts.items()}
    return Repeatability(
        split=str(scored.split[0]),
        photos=count,
        refused=dict(refused),
        originals=folders is not None,
        changes=changes_of(scored, altered, points),
    )


def _altered(
    photos: Dataset, folders: tuple[Path, Path] | None
) -> dict[str, dict[int, Image.Image]]:
    """For each alteration the altered crops by row; without those in which no face was found."""
    crops = [row["image"].convert("RGB") for row in photos.select_columns(["image"])]
    plan: dict[str, tuple[Alter, Sequence[Any]]] = {
        "mirrored": (mirrored, crops),
        "resaved": (resaved_crop, crops),
        "realigned": (realigned, crops),
    }
    if folders:
        anew = partial(_resaved_original, side=crops[0].width)
        plan["resaved"] = anew, original_files(*folders, photos["photo_id"][:])
    return {name: dict(_each(alter, sources)) for name, (alter, sources) in plan.items()}


def _each(alter: Alter, sources: Sequence[Any]) -> Iterator[tuple[int, Image.Image]]:
    """Places and altered photos; those without a single face are left out."""
    for number, source in enumerate(sources):
        try:
            yield number, alter(source)
        except PhotoError:
            continue


def _resaved_original(path: Path, side: int) -> Image.Image:
    return align_face(resaved(open_photo(path)), side).image
