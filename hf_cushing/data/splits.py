"""Splits and folds: whole patients, matched pairs together, balanced over label × sex."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.schema import NO_FOLD, SPLITS, FacePhoto, UserError


@dataclass(frozen=True)
class Deal:
    """Where each patient goes.

    Attributes
    ----------
    splits : dict
        patient_id to split name.
    folds : tuple of dict
        One a repeat: patient_id to fold, `NO_FOLD` for those outside cross-validation.
    """

    splits: dict[str, str]
    folds: tuple[dict[str, int], ...]


def group_patients(patients: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give patients who are linked, also by way of others, one common group name.

    >>> group_patients(["a", "b", "c", "d"], [("c", "b"), ("b", "d")])
    {'a': 'a', 'b': 'b', 'c': 'b', 'd': 'b'}
    """
    parent = {patient: patient for patient in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = patient = parent[parent[patient]]
        return patient

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {patient: root(patient) for patient in parent}


def pair_links(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Link the patients of each matched pair or set, from (pair_id, patient_id) of each photo.

    >>> pair_links([("x", "a"), ("", "b"), ("x", "c")])
    [('a', 'a'), ('a', 'c')]
    """
    first: dict[str, str] = {}
    return [(first.setdefault(pair, patient), patient) for pair, patient in pairs if pair]


def assign_patients(
    photos: Iterable[FacePhoto],
    shares: Sequence[float],
    seed: int,
    groups: dict[str, str] | None = None,
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
    groups : dict, optional
        patient_id to group: patients of one group get the same bin, and the group's stratum is
        the set of its members' labels and sexes.

    Returns
    -------
    dict
        patient_id to bin number.
    """
    sizes: Counter[str] = Counter()
    kinds: dict[str, set[tuple[str, str]]] = defaultdict(set)
    group_of = {}
    for photo in photos:
        group_of[photo.patient_id] = group = (groups or {}).get(photo.patient_id, photo.patient_id)
        sizes[group] += 1
        kinds[group].add((photo.label, photo.sex))
    strata: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for group, kind in sorted(kinds.items()):
        strata[tuple(sorted(kind))].append(group)
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares, dtype=float)
    owed: dict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(len(shares)))
    bins = {}
    for stratum in sorted(strata):
        labels = tuple(sorted({label for label, _ in stratum}))
        members = rng.permutation(strata[stratum]).tolist()
        lack = owed[labels] + shares * sum(sizes[member] for member in members)
        for member in members:
            bins[member] = int(np.argmax(lack))
            lack[bins[member]] -= sizes[member]
        owed[labels] = lack
    return {patient: bins[group] for patient, group in group_of.items()}


def split_photos(
    photos: list[FacePhoto],
    *,
    validation_size: float,
    test_size: float,
    seed: int,
    groups: dict[str, str] | None = None,
) -> dict[str, str]:
    """Deal patients into train, validation and test; patient_id to split name.

    Raises
    ------
    UserError
        Where a split would be left without one of the labels.
    """
    shares = (1 - validation_size - test_size, validation_size, test_size)
    bins = assign_patients(photos, shares, seed, groups)
    splits = {patient: SPLITS[number] for patient, number in bins.items()}
    check_splits(photos, splits, remedy="make --validation-size or --test-size larger")
    return splits


def split_by_site(
    photos: list[FacePhoto],
    sites: Sequence[str],
    *,
    validation_size: float,
    seed: int,
    groups: dict[str, str],
) -> dict[str, str]:
    """Put every patient seen at one of `sites` into test, and deal the others.

    Raises
    ------
    UserError
        Where a site has no photos, or a split would be left without one of the labels.
    """
    found = sorted({photo.site for photo in photos if photo.site})
    for site in sites:
        if site not in found:
            shown = ", ".join(found) or "none: the column is empty"
            raise UserError(f"--external-site {site}: no photo is from there (sites: {shown})")
    outside = {groups[photo.patient_id] for photo in photos if photo.site in sites}
    inside = [photo for photo in photos if groups[photo.patient_id] not in outside]
    bins = assign_patients(inside, (1 - validation_size, validation_size), seed, groups)
    splits = {photo.patient_id: "test" for photo in photos}
    splits |= {patient: SPLITS[number] for patient, number in bins.items()}
    check_splits(photos, splits, remedy="choose another --external-site")
    return splits


def check_splits(photos: list[FacePhoto], splits: dict[str, str], *, remedy: str) -> None:
    """Refuse a split without one of the labels."""
    held = {(splits[photo.patient_id], photo.label) for photo in photos}
    for label in sorted({photo.label for photo in photos}):
        for split in SPLITS:
            if (split, label) not in held:
                raise UserError(
                    f"the {split} split gets no patient with label '{label}'; "
                    f"add patients, or {remedy}"
                )


def deal_folds(
    photos: list[FacePhoto],
    splits: dict[str, str],
    *,
    folds: int,
    repeats: int,
    seed: int,
    groups: dict[str, str],
    external: bool,
) -> tuple[dict[str, int], ...]:
    """Folds for cross-validation, one dict a repeat; an external test set is in none.

    Parameters
    ----------
    external : bool
        The test split is external: its patients take no part.
    """
    outside = {p for p, split in splits.items() if external and split == "test"}
    inside = [photo for photo in photos if photo.patient_id not in outside]
    shares = [1 / folds] * folds
    return tuple(
        dict.fromkeys(outside, NO_FOLD) | assign_patients(inside, shares, seed + repeat, groups)
        for repeat in range(1, repeats + 1)
    )
