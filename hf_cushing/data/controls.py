"""Public negatives: choose control persons from a public collection, matched if asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hf_cushing.data.intake import Intake, read_intake
from hf_cushing.data.options import ControlsOptions
from hf_cushing.schema import CONTROL, FacePhoto, UserError

CALIPER = 5.0
"""Greatest difference of ages within a match, years."""

WHY_TRAIN_ONLY = (
    "public controls come from other cameras, years and places than the clinic's photos: in "
    "validation or test, telling the collections apart would pass for telling the disease, so "
    "they only train"
)


def read_controls(folder: Path) -> Intake:
    """Read a folder of public controls; its ids and sources say from now on that it is public."""
    intake = read_intake(folder, labels=(CONTROL,), public=True)
    photos = [
        dataclasses.replace(
            photo,
            patient_id=f"public-{photo.patient_id}",
            source=f"public:{photo.source or folder.resolve().name}",
            pair_id="",
        )
        for photo in intake.photos
    ]
    return dataclasses.replace(intake, photos=photos)


def choose_controls(
    candidates: Sequence[FacePhoto],
    cases: Sequence[FacePhoto],
    options: ControlsOptions,
    *,
    seed: int,
) -> list[FacePhoto]:
    """Choose control persons, the first photo of each: `options.ratio` for each case patient.

    Every case in random order takes the unused candidate of its sex who is nearest in age (where
    these are matched), until the number is reached or nobody fits any more.

    Raises
    ------
    UserError
        Where age or sex is to be matched and no candidate or case has it.
    """
    people = list({photo.patient_id: photo for photo in reversed(candidates)}.values())[::-1]
    persons = list({photo.patient_id: photo for photo in cases}.values())
    _check_known(people, persons, options.match)
    rng = np.random.default_rng(seed)
    wanted = round(options.ratio * len(persons))
    turns = [n for _ in range(-(-wanted // max(len(persons), 1)))
             for n in rng.permutation(len(persons)).tolist()]  # fmt: skip
    free = np.ones(len(people), bool)
    order = rng.permutation(len(people))
    sexes = np.array([photo.sex for photo in people])
    ages = np.array([np.nan if p.age is None else p.age for p in people], float)
    chosen = []
    for turn in turns[:wanted]:
        case, fits = persons[turn], free.copy()
        if "sex" in options.match:
            fits &= sexes == case.sex
        distance = np.zeros(len(people))
        if "age" in options.match:
            distance = np.abs(ages - (np.nan if case.age is None else case.age))
            fits &= distance <= CALIPER
        ranked = order[fits[order]]
        if len(ranked):
            pick = int(ranked[np.argmin(distance[ranked])])
            free[pick] = False
            chosen.append(pick)
    return [people[pick] for pick in sorted(chosen)]


def _check_known(
    people: Sequence[FacePhoto], cases: Sequence[FacePhoto], match: tuple[str, ...]
) -> None:
    for name in match:
        for who, photos in (("public controls", people), ("patients with a disease", cases)):
            if not any(getattr(photo, name) not in (None, "unknown") for photo in photos):
                raise UserError(
                    f"--match {name}: none of the {who} has a known {name}; leave it out"
                )
