"""Does a model answer alike when it sees the same photo once more, a little altered?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.reports.table import Table, interval_text, number_text
from hf_cushing.schema import counted
from hf_cushing.stats.decisions import logit
from hf_cushing.stats.intervals import INSUFFICIENT, clustered_ratio
from hf_cushing.stats.resampling import Patients, sex_masks, strata_of

GOAL = 0.05
"""Share of flipped calls above which the report says so at its beginning."""

ALTERATIONS = {
    "mirrored": "mirrored",
    "resaved": "saved again at 80 % of the side, JPEG quality 75",
    "realigned": "aligned again",
}
"""What is done to a photo, in words."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an alteration does to the answers for one disease in a subgroup.

    Attributes
    ----------
    label : str
    alteration : str
        One of `ALTERATIONS`.
    subgroup : str
        ``all``, ``female`` or ``male``.
    photos, patients : int
    flipped, low, high : float
        Share of photos that are called otherwise than before, 0..1, with its 95 % interval.
    spread : float
        Standard deviation of the change of log-odds over that of the log-odds; NaN where all
        photos have one score.
    """

    label: str
    alteration: str
    subgroup: str
    photos: int
    patients: int
    flipped: float
    low: float
    high: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """How steady a model's answers are.

    Attributes
    ----------
    split : str
    photos : int
        That were scored again.
    refused : dict
        Alteration to the number of photos in which no single face was found afterwards.
    originals : bool
        Whether `resaved` began with the clinic's original photos, not with the stored crops.
    changes : list of Change
    """

    split: str
    photos: int
    refused: dict[str, int]
    originals: bool
    changes: list[Change]


def changes_of(
    scored: Predictions, altered: Mapping[str, Predictions], points: Sequence[OperatingPoint]
) -> list[Change]:
    """Compare the scores of photos with those of the same photos altered.

    Parameters
    ----------
    scored : Predictions
    altered : mapping
        Alteration to the scores afterwards, of all photos or some.
    points : sequence of OperatingPoint

    Raises
    ------
    KeyError
        An altered photo that was not scored before.
    """
    place = {photo: row for row, photo in enumerate(scored.photo_id.tolist())}
    changes: list[Change] = []
    for label in scored.positive_labels:
        for alteration, after in altered.items():
            before = scored.select(np.array([place[p] for p in after.photo_id.tolist()], int))
            who = Patients(before.patient_id, strata_of(before.label, before.sex))
            flips, scores, shift = _moved(before, after, label, points)
            for subgroup, mask in sex_masks(before.sex).items():
                if mask.any():
                    share = clustered_ratio(flips & mask, mask, who)
                    low, high = share.interval()
                    changes.append(
                        Change(
                            label=label,
                            alteration=alteration,
                            subgroup=subgroup,
                            photos=share.photos,
                            patients=share.patients,
                            flipped=share.estimate,
                            low=low,
                            high=high,
                            spread=_ratio(shift[mask].std(), scores[mask].std()),
                        )
                    )
    return changes


def _moved(
    before: Predictions, after: Predictions, label: str, points: Sequence[OperatingPoint]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each photo: is it called otherwise; log-odds before; their change: shape (n,) each."""
    calls = [decisions_of(scores, label, points).called for scores in (before, after)]
    odds = [logit(scores.score(label)) for scores in (before, after)]
    return calls[0] != calls[1], odds[0], odds[1] - odds[0]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def repeatability_table(measured: Repeatability) -> Table:
    """For each alteration the share of flipped calls and the spread, for all, women and men."""
    columns = list(dict.fromkeys(change.subgroup for change in measured.changes))
    labels = list(dict.fromkeys(change.label for change in measured.changes))
    found = {(c.label, c.alteration, c.subgroup): c for c in measured.changes}
    body = []
    for label in labels:
        for alteration in dict.fromkeys(change.alteration for change in measured.changes):
            row = [found[label, alteration, column] for column in columns]
            name = f"{label}, {alteration}" if len(labels) > 1 else alteration
            flips = [interval_text(c.flipped, c.low, c.high) for c in row]
            body.append([f"{name}: calls flipped", *flips])
            body.append([f"{name}: SD of the change", *(number_text(c.spread) for c in row)])
    title = f"The same photos once more, {measured.split}"
    return Table("repeatability", title, ["", *columns], body, list(_notes(measured)))


def _notes(measured: Repeatability) -> Iterator[str]:
    what = list(ALTERATIONS.values())
    if measured.originals:
        what[1] += " (the clinic's original, aligned anew)"
    yield (
        f"{measured.photos} photos were scored again: {', '.join(what[:-1])}, {what[-1]}. Calls "
        "flipped: the share that is called otherwise than before at the same threshold; 95 % "
        "interval by patient (Wilson). SD of the change: of the log-odds, over the SD of the "
        "log-odds themselves."
    )
    for alteration, count in measured.refused.items():
        if count:
            lost = counted(count, "further photo")
            yield f"{alteration}: in {lost} no single face was found again."
    patients = {change.subgroup: change.patients for change in measured.changes}
    small = [subgroup for subgroup, count in patients.items() if count < INSUFFICIENT]
    if small:
        yield (
            f"Insufficient: {', '.join(small)} (fewer than {INSUFFICIENT} patients); no statement "
            "about this subgroup is supported."
        )


def repeatability_verdicts(measured: Repeatability) -> list[str]:
    """A sentence for each alteration that flips more calls than `GOAL`."""
    return [
        f"{c.label}: {ALTERATIONS[c.alteration]}, the same photo is called otherwise in "
        f"{interval_text(c.flipped, c.low, c.high, 2)} of {c.photos} photos (wanted: at most "
        f"{GOAL:g})."
        for c in measured.changes
        if c.subgroup == "all" and c.flipped > GOAL and c.patients >= INSUFFICIENT
    ]
