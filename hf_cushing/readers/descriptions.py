"""What is described and not tested: photos one by one, seconds a case, ticked parts of the face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hf_cushing.evaluation.subgroups import Value
from hf_cushing.readers.rates import GROUP, READER, Caller, Calls
from hf_cushing.readers.study import ReaderStudy
from hf_cushing.stats.intervals import clustered_ratio


@dataclass(frozen=True, kw_only=True)
class Case:
    """One photo: how many readers were right, and the model."""

    photo_id: str
    truth: str
    sex: str
    read: int
    readers: int
    right: int
    model_score: float
    model_right: bool


@dataclass(frozen=True, kw_only=True)
class ReadingTime(Caller):
    """Seconds a case of a reader, or of all answers of a group.

    Attributes
    ----------
    answers, untimed : int
        With and without seconds.
    lower, median, upper : float
        Quartiles, in seconds.
    """

    answers: int
    untimed: int
    lower: float
    median: float
    upper: float


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


def case_counts(study: ReaderStudy) -> list[Case]:
    """Every photo of each read, those that most readers misjudge first; first showings only."""
    rows, cases = study.photos, []
    for read in study.reads:
        calls = study.calls[:, read - 1, 0]
        judged, right = np.isfinite(calls).sum(0), (calls == study.truth).sum(0)
        cases += [
            Case(
                photo_id=str(rows.photo_id[photo]),
                truth=str(rows.label[photo]),
                sex=str(rows.sex[photo]),
                read=read,
                readers=int(judged[photo]),
                right=int(right[photo]),
                model_score=float(study.model.score[photo]),
                model_right=bool(study.model.called[photo] == study.truth[photo]),
            )
            for photo in np.flatnonzero(judged)
        ]
    return sorted(cases, key=lambda c: (c.read, c.right / c.readers, c.photo_id))


def reading_times(study: ReaderStudy, everybody: Sequence[Calls]) -> Iterator[ReadingTime]:
    """Quartiles by reader, then of all and of each level; first showings only."""
    for calls in everybody:
        caller = calls.caller
        if caller.kind not in (READER, GROUP):
            continue
        seconds = study.seconds[calls.readers, caller.read - 1, 0]
        known = seconds[np.isfinite(seconds)]
        if len(known):
            lower, median, upper = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
            untimed = int(np.isfinite(calls.calls).sum()) - len(known)
            yield ReadingTime(**asdict(caller), answers=len(known), untimed=untimed, lower=lower,
                              median=median, upper=upper)  # fmt: skip


def region_shares(study: ReaderStudy) -> list[RegionShare]:
    """Of readers who ticked anything, first showings of the first read; most ticked first."""
    ticking = {answer.reader for answer in study.answers if answer.regions}
    answers = [
        answer
        for answer in study.answers
        if answer.reader in ticking and (answer.read, answer.occurrence) == (study.reads[0], 1)
    ]
    # the photos of a study are in the order of photo_id
    photos = np.searchsorted(study.photos.photo_id, [answer.photo_id for answer in answers])
    truth, shares = study.truth[photos], []
    for region in sorted({name for answer in answers for name in answer.regions}):
        ticked = np.array([region in answer.regions for answer in answers])
        shares.append(
            RegionShare(
                region=region,
                ticked=int(ticked.sum()),
                diseased=_share(study, photos, ticked, truth),
                healthy=_share(study, photos, ticked, ~truth),
            )
        )
    return sorted(shares, key=lambda row: -row.ticked)


def _share(study: ReaderStudy, photos: np.ndarray, ticked: np.ndarray, side: np.ndarray) -> Value:
    ratio = clustered_ratio(ticked & side, side, study.clusters(photos))
    low, high = ratio.interval()
    reason = "" if side.any() else "no photos"
    return Value(estimate=ratio.estimate, low=low, high=high, method="wilson", reason=reason)
