"""How long readers took, and which parts of the face they ticked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.subgroups import Value
from hf_cushing.readers.cases import ReaderStudy
from hf_cushing.stats.intervals import clustered_ratio, wilson


@dataclass(frozen=True, kw_only=True)
class TimeRow:
    """Seconds a case of a reader, or of all answers of a group.

    Attributes
    ----------
    name, level : str
    group : bool
        Of several readers.
    read : int
    answers, untimed : int
        With and without seconds.
    lower, median, upper : float
        Quartiles, in seconds.
    """

    name: str
    level: str
    group: bool
    read: int
    answers: int
    untimed: int
    lower: float
    median: float
    upper: float


def reading_times(study: ReaderStudy) -> list[TimeRow]:
    """Quartiles by reader, then of all and of each level; first showings only."""
    people = enumerate(zip(study.readers, study.levels, strict=True))
    parts = [(name, level, False, np.array([n])) for n, (name, level) in people]
    for name, readers in study.groups().items():
        parts.append((name, "" if name == "all readers" else name, True, readers))
    found = []
    for read in study.reads:
        for name, level, group, readers in parts:
            seconds = study.seconds[readers, read - 1, 0]
            known = seconds[np.isfinite(seconds)]
            if not len(known):
                continue
            answers = int(np.isfinite(study.calls[readers, read - 1, 0]).sum())
            lower, median, upper = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
            found.append(
                TimeRow(
                    name=name,
                    level=level,
                    group=group,
                    read=read,
                    answers=len(known),
                    untimed=answers - len(known),
                    lower=lower,
                    median=median,
                    upper=upper,
                )
            )
    return found


@dataclass(frozen=True, kw_only=True)
class RegionShare:
    """How often a region was ticked.

    Attributes
    ----------
    region : str
    ticked : int
        Answers.
    diseased, healthy : Value
        Share of the answers on such photos, by patient.
    """

    region: str
    ticked: int
    diseased: Value
    healthy: Value


def region_shares(study: ReaderStudy) -> list[RegionShare]:
    """Of readers who ticked anything, first showings of the first read; most ticked first."""
    ticking = {one.reader for one in study.answers if one.regions}
    answers = [
        one
        for one in study.answers
        if one.reader in ticking and (one.read, one.occurrence) == (study.reads[0], 1)
    ]
    place = {photo: number for number, photo in enumerate(study.photos.photo_id.tolist())}
    photos = np.array([place[one.photo_id] for one in answers], int)
    truth, found = study.truth[photos], []
    for region in sorted({name for one in answers for name in one.regions}):
        ticked = np.array([region in one.regions for one in answers])
        found.append(
            RegionShare(
                region=region,
                ticked=int(ticked.sum()),
                diseased=_share(study, photos, ticked, truth),
                healthy=_share(study, photos, ticked, ~truth),
            )
        )
    return sorted(found, key=lambda row: -row.ticked)


def _share(study: ReaderStudy, photos: np.ndarray, ticked: np.ndarray, side: np.ndarray) -> Value:
    ratio = clustered_ratio(ticked & side, side, study.who(photos))
    low, high = wilson(ratio.estimate, ratio.effective)
    reason = "" if side.any() else "no photos"
    return Value(estimate=ratio.estimate, low=low, high=high, method="wilson", reason=reason)
