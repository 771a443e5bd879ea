"""Splits and folds: whole patients, balanced over label × sex."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from hf_cushing.schema import SPLITS, FacePhoto, UserError


def assign_patients(
    photos: Iterable[FacePhoto], shares: Sequence[float], seed: int
) -> dict[str, int]:
    """Deal whole patients into bins of given shares, stratified by label × sex.

    Within a stratum, patients in random order go each to the bin that lacks most photos. What
    a bin still lacks then is owed to it in the label's next stratum, so that several small
    strata together leave no bin without the label.

    Parameters
    ----------
    photos : iterable of FacePhoto
    shares : sequence of float
        Share of the photos that each bin is to get; they sum to 1.
    seed : int

    Returns
    -------
    dict
        patient_id to bin number.
    """
    sizes: Counter[str] = Counter()
    strata: dict[tuple[str, str], set[str]] = defaultdict(set)
    for photo in photos:
        sizes[photo.patient_id] += 1
        strata[photo.label, photo.sex].add(photo.patient_id)
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares, dtype=float)
    owed: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(shares)))
    bins = {}
    for label, sex in sorted(strata):
        members = rng.permutation(sorted(strata[label, sex])).tolist()
        lack = owed[label] + shares * sum(sizes[member] for member in members)
        for member in members:
            bins[member] = int(np.argmax(lack))
            lack[bins[member]] -= sizes[member]
        owed[label] = lack
    return bins


def split_photos(
    photos: list[FacePhoto], *, validation_size: float, test_size: float, seed: int
) -> dict[str, str]:
    """Deal patients into train, validation and test.

    Returns
    -------
    dict
        patient_id to split name.

    Raises
    ------
    UserError
        Where a split would be left without one of the labels.
    """
    shares = (1 - validation_size - test_size, validation_size, test_size)
    bins = assign_patients(photos, shares, seed)
    splits = {patient: SPLITS[number] for patient, number in bins.items()}
    held = {(splits[photo.patient_id], photo.label) for photo in photos}
    for label in sorted({photo.label for photo in photos}):
        for split in SPLITS:
            if (split, label) not in held:
                raise UserError(
                    f"the {split} split gets no patient with label '{label}'; "
                    f"add patients, or make --validation-size or --test-size larger"
                )
    return splits
