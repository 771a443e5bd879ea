"""Splits and folds: whole patients, matched pairs together, balanced over label × sex."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.data.cohort import check_cohort
from hf_cushing.data.groups import group_patients, pair_links
from hf_cushing.data.options import MIN_FOLDS, PrepareOptions
from hf_cushing.schema import NO_FOLD, SPLITS, FacePhoto, UserError, fold_column


@dataclass(frozen=True)
class Splits:
    """Where each patient goes.

    Attributes
    ----------
    split : dict
        patient_id to the name of a split.
    folds : tuple of dict
        One a repeat: patient_id to fold, `NO_FOLD` for those external cross-validation.
    """

    split: dict[str, str]
    folds: tuple[dict[str, int], ...]

    def columns_of(self, patient_id: str) -> dict[str, int | str]:
        """Columns of a photo: the folds, and ``split``."""
        folds = {
            fold_column(repeat): folds[patient_id]
            for repeat, folds in enumerate(self.folds, start=1)
        }
        return folds | {"split": self.split[patient_id]}


def split_cohort(
    photos: Sequence[FacePhoto],
    options: PrepareOptions,
    *,
    where: str,
    links: Sequence[tuple[str, str]] = (),
) -> Splits:
    """Deal whole patients into train, validation and test, and into folds.

    Matched pairs stay together. Patients seen at an external site are the test split, and in no
    fold. Public controls train, in every fold, unless they are to be dealt like the others.

    Parameters
    ----------
    photos : sequence of FacePhoto
        Those that were kept.
    where : str
        Begins the text of an error.
    links : sequence of (str, str)
        Further patients who must stay together.

    Raises
    ------
    UserError
        No photo from a site, a split without one of the labels, fewer patients than folds.
    """
    train_only = options.controls is not None and options.controls.splits == "train"
    aside = {photo.patient_id for photo in photos if photo.public and train_only}
    others = [photo for photo in photos if photo.patient_id not in aside]
    patients = {photo.patient_id for photo in others} | {name for pair in links for name in pair}
    pairs = pair_links((photo.pair_id, photo.patient_id) for photo in others)
    groups = group_patients(patients, [*links, *pairs])
    external = _patients_at(options.external_sites, others, groups)
    internal = [photo for photo in others if photo.patient_id not in external]
    validation, test = options.validation_size, options.test_size
    shares = (1 - validation - test, validation, test)
    if options.external_sites:
        shares = (1 - validation, validation)
    bins = assign_patients(internal, shares, options.seed, groups)
    split = dict.fromkeys(external, "test") | {name: SPLITS[n] for name, n in bins.items()}
    _check_labels(others, split, external=bool(options.external_sites))
    check_cohort(internal, folds=options.folds, where=f"{where}, kept photos", groups=groups)
    no_fold = dict.fromkeys(external | aside, NO_FOLD)
    seeds = range(options.seed + 1, options.seed + 1 + options.repeats)
    return Splits(
        split | dict.fromkeys(aside, "train"),
        tuple(no_fold | deal_folds(internal, options.folds, seed, groups) for seed in seeds),
    )


def _patients_at(
    sites: Sequence[str], photos: Sequence[FacePhoto], groups: Mapping[str, str]
) -> set[str]:
    """Patients seen at one of the sites, with those who must stay together with them."""
    known = sorted({photo.site for photo in photos if photo.site})
    for site in sites:
        if site not in known:
            shown = ", ".join(known) or "none: the column is empty"
            raise UserError(f"--external-site {site}: no photo is from there (sites: {shown})")
    there = {groups[photo.patient_id] for photo in photos if photo.site in sites}
    return {photo.patient_id for photo in photos if groups[photo.patient_id] in there}


def _check_labels(photos: Sequence[FacePhoto], split: Mapping[str, str], *, external: bool) -> None:
    """Refuse a split without one of the labels."""
    held = {(split[photo.patient_id], photo.label) for photo in photos}
    for label in sorted({photo.label for photo in photos}):
        for name in SPLITS:
            if (name, label) not in held:
                larger = "make --validation-size or --test-size larger"
                raise UserError(
                    f"the {name} split gets no patient with label '{label}'; add patients, or "
                    + ("choose another --external-site" if external else larger)
                )


def deal_folds(
    photos: Sequence[FacePhoto], folds: int, seed: int, groups: Mapping[str, str]
) -> dict[str, int]:
    """Deal whole patients into folds that each hold every label; see `assign_patients`.

    Raises
    ------
    UserError
        That many folds can't be dealt; the text names the largest number that can.
    """
    bins = _even_bins(photos, folds, seed, groups)
    lacking = _lacking(photos, bins, folds)
    if lacking is None:
        return bins
    fewer = range(folds - 1, MIN_FOLDS - 1, -1)
    dealt = ((n, _even_bins(photos, n, seed, groups)) for n in fewer)
    largest = next((n for n, bins in dealt if _lacking(photos, bins, n) is None), 0)
    raise UserError(
        f"{folds} folds can't be dealt: one of them would have no patient with label '{lacking}' "
        "(matched pairs and persons found to be one stay together); add patients"
        + (f", or use --folds {largest}" if largest else f", at least for {MIN_FOLDS} folds")
    )


def _even_bins(
    photos: Sequence[FacePhoto], count: int, seed: int, groups: Mapping[str, str]
) -> dict[str, int]:
    return assign_patients(photos, [1 / count] * count, seed, groups)


def _lacking(photos: Sequence[FacePhoto], bins: Mapping[str, int], count: int) -> str | None:
    """A label that one of the bins does not hold."""
    held = {(photo.label, bins[photo.patient_id]) for photo in photos}
    labels = sorted({photo.label for photo in photos})
    return next((label for label in labels for n in range(count) if (label, n) not in held), None)


def assign_patients(
    photos: Sequence[FacePhoto],
    shares: Sequence[float],
    seed: int,
    groups: Mapping[str, str],
) -> dict[str, int]:
    """Deal whole patients into bins of given shares, stratified by label × sex.

    Within a stratum, patients in random order go each to the bin that lacks most photos of their
    labels. What a bin still lacks of a label then is owed to it in the label's next stratum, so
    that several small strata together leave no bin without the label; groups with several
    labels, which fit worst, are dealt first, to bins that still hold none of them.

    Parameters
    ----------
    photos : sequence of FacePhoto
    shares : sequence of float
        Share of the photos that each bin is to get; they sum to 1.
    seed : int
    groups : mapping
        patient_id to group: patients of one group get the same bin, and the group's stratum is
        the set of its members' labels and sexes.

    Returns
    -------
    dict
        patient_id to bin number.
    """
    sizes, strata = _strata(photos, groups)
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares, dtype=float)
    lack: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(shares)))
    held: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(shares), bool))
    bins = {}
    for stratum in sorted(strata, key=lambda kind: (-len({label for label, _ in kind}), kind)):
        labels = sorted({label for label, _ in stratum})
        members = rng.permutation(strata[stratum]).tolist()
        for label in labels:
            lack[label] += shares * sum(sizes[member][label] for member in members)
        for member in members:
            wanted = sum(lack[label] for label in labels)
            if len(labels) > 1:
                covers = sum(~held[label] for label in labels)
                wanted = np.where(covers == covers.max(), wanted, -np.inf)
            bins[member] = bin_ = int(np.argmax(wanted))
            for label in labels:
                held[label][bin_] = True
                lack[label][bin_] -= sizes[member][label]
    return {photo.patient_id: bins[groups[photo.patient_id]] for photo in photos}


def _strata(
    photos: Iterable[FacePhoto], groups: Mapping[str, str]
) -> tuple[dict[str, Counter[str]], dict[tuple[tuple[str, str], ...], list[str]]]:
    """Photos of each label by group, and the groups of each set of (label, sex), sorted."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for photo in photos:
        group = groups[photo.patient_id]
        sizes[group][photo.label] += 1
        kinds[group].add((photo.label, photo.sex))
    strata: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for group, kind in sorted(kinds.items()):
        strata[tuple(sorted(kind))].append(group)
    return sizes, strata
