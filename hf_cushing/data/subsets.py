"""Which of the training photos learn: public controls, a share, matched sexes, a part held out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.data.loading import FaceData, class_words, patient_groups
from hf_cushing.schema import NO_FOLD, UserError

if TYPE_CHECKING:
    from datasets import Dataset

HELD_OUT = "held_out"
"""Role of training photos kept for the last layer."""

HELD_OUT_PART = 3
"""One patient in this many is held out."""

SEXED = ("female", "male")


def with_public_controls(data: FaceData, which: str) -> FaceData:
    """Leave out training photos that are public controls.

    Parameters
    ----------
    data : FaceData
    which : str
        ``all``; ``none``; ``rarer_sex``: those of the sex with fewer training patients of the
        clinic stay.

    Raises
    ------
    UserError
        ``rarer_sex``, and the dataset has no public controls of that sex.
    """
    if which == "all":
        return data
    train = data.roles["train"]
    public = np.asarray(train[data.folds]) == NO_FOLD
    kept = ~public
    if which == "rarer_sex":
        sexes = class_words(train, "sex")
        own = {sex: _patients(train, ~public & (sexes == sex)) for sex in SEXED}
        rarer = min(own, key=own.__getitem__)
        kept |= public & (sexes == rarer)
        if kept.sum() == (~public).sum():
            raise UserError(
                f"--public_controls rarer_sex: the dataset has no public controls of sex {rarer}; "
                "prepare it with --controls, or leave the option out"
            )
    return _with_train(data, kept)


def with_matched_sexes(data: FaceData, seed: int) -> FaceData:
    """Keep as many women as men of each class among the training patients, by lot.

    Photos of unknown sex are left out.

    Raises
    ------
    UserError
        A class has patients of one sex only.
    """
    train = data.roles["train"]
    labels, sexes = class_words(train, "label"), class_words(train, "sex")
    patients = np.array(train["patient_id"][:])
    rng = np.random.default_rng([seed, 1])
    kept: set[str] = set()
    for label in data.labels:
        groups = [np.unique(patients[(labels == label) & (sexes == sex)]) for sex in SEXED]
        count = min(map(len, groups))
        if not count:
            raise UserError(
                f"--mitigation matched_subset: the training patients with '{label}' are of one "
                "sex; add some of the other, or choose another mitigation"
            )
        for group in groups:
            kept |= set(rng.choice(group, count, replace=False).tolist())
    sexed = np.isin(sexes, SEXED)
    return _with_train(data, np.isin(patients, sorted(kept)) & sexed)


def with_share(data: FaceData, share: float, seed: int) -> FaceData:
    """Keep a share of the training patients of each class and sex, by lot; at least one of each.

    With one seed a smaller share is part of a larger one, and the other roles stay as they are.
    """
    train = data.roles["train"]
    patients = np.array(train["patient_id"][:])
    strata = np.char.add(np.char.add(class_words(train, "label"), "/"), class_words(train, "sex"))
    names, first = np.unique(patients, return_index=True)
    order = np.random.default_rng([seed, 2]).permutation(len(names))
    kept: set[str] = set()
    for stratum in np.unique(strata[first]):
        own = order[strata[first][order] == stratum]
        kept |= set(names[own[: math.ceil(share * len(own))]].tolist())
    return _with_train(data, np.isin(patients, sorted(kept)))


def with_held_out(data: FaceData, seed: int) -> FaceData:
    """Move one training patient in three to the role `HELD_OUT`, alike in class and sex.

    Raises
    ------
    UserError
        Too few patients of a class.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    train = data.roles["train"]
    groups = patient_groups(train)
    strata = np.char.add(np.char.add(class_words(train, "label"), "/"), class_words(train, "sex"))
    splitter = StratifiedGroupKFold(HELD_OUT_PART, shuffle=True, random_state=seed)
    labels = np.array(train["label"][:])
    try:
        rest, held = next(splitter.split(labels, strata, groups))
    except ValueError:
        rest = held = np.array([], int)
    every = set(labels.tolist())
    if any(set(labels[part].tolist()) != every for part in (rest, held)):
        raise UserError(
            "--mitigation dfr holds out a third of the training patients, and a class has too "
            "few for that; add patients, or use --finetune head, which needs none held out"
        )
    roles = data.roles | {"train": train.select(rest), HELD_OUT: train.select(held)}
    return replace(data, roles=roles)


def _with_train(data: FaceData, kept: np.ndarray) -> FaceData:
    train = data.roles["train"].select(np.flatnonzero(kept))
    return replace(data, roles=data.roles | {"train": train})


def _patients(photos: Dataset, mask: np.ndarray) -> int:
    return len(set(np.array(photos["patient_id"][:])[mask].tolist()))
