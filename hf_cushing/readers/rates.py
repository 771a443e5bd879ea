"""How often readers, groups of them, their majority and the model are right, by sex."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.subgroups import TOO_FEW, Value
from hf_cushing.evaluation.tables import NAMES
from hf_cushing.readers.cases import ReaderStudy, crossed
from hf_cushing.stats.agreement import majority_vote
from hf_cushing.stats.intervals import (
    INSUFFICIENT,
    clustered_auroc,
    clustered_ratio,
    difference_interval,
    wilson,
)
from hf_cushing.stats.metrics import METRICS

SHOWN = ("recall", "specificity", "accuracy", "f1", "auroc")
GAPS = ("recall", "specificity")
"""Metrics that do not depend on how many of a sex are sick."""

METRIC_NAMES = NAMES | {"recall": "sensitivity"}
"""Names in tables: reader studies speak of sensitivity."""

READER, GROUP, MAJORITY, MODEL = "reader", "group", "majority", "model"


@dataclass(frozen=True, kw_only=True, eq=False)
class Caller:
    """Who calls: a reader, several together, their majority, or the model.

    Attributes
    ----------
    name, kind, level : str
        `kind` is `READER`, `GROUP`, `MAJORITY` or `MODEL`.
    read : int
        1 alone, 2 with the model; 0 for the model.
    calls : numpy.ndarray
        float, shape (readers, photos): NaN where there is no call.
    scores : numpy.ndarray
        float, shape (photos,), of one reader or the model: NaN where there is none.
    tied : int
        Photos on which as many readers said yes as no: no call.
    """

    name: str
    kind: str
    level: str
    read: int
    calls: np.ndarray
    scores: np.ndarray | None = None
    tied: int = 0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often a caller is right in one subgroup of the patients.

    Attributes
    ----------
    name, kind, level, read, tied
        As in `Caller`.
    subgroup : str
        ``all``, ``female``, ``male`` or ``unknown``.
    answers, photos, positive_patients, negative_patients : int
    size : str
        ``insufficient``, ``wide`` or ``ok``, by patients.
    values : dict
        Metric (`SHOWN`) to `Value`; readers are fixed, patients are drawn. AUROC only of one
        reader or the model, on the photos with a score.
    """

    name: str
    kind: str
    level: str
    read: int
    tied: int
    subgroup: str
    answers: int
    photos: int
    positive_patients: int
    negative_patients: int
    size: str
    values: dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class SexGap:
    """Women minus men in `metric`; different patients, so that their errors are independent."""

    name: str
    kind: str
    level: str
    read: int
    metric: str
    women: Value
    men: Value
    gap: float
    low: float
    high: float
    size: str


def rates_of(study: ReaderStudy, callers: Sequence[Caller]) -> list[Rates]:
    """For all patients, women and men; subgroups without an answer are left out."""
    rows = [
        _rates(study, caller, name, mask)
        for caller in callers
        for name, mask in subgroup_masks(study.photos).items()
    ]
    return [row for row in rows if row.answers]


def make_callers(study: ReaderStudy) -> Iterator[Caller]:
    """Each reader, all and each level together, majorities of three or more, and the model."""
    for read in study.reads:
        calls, scores = study.calls[:, read - 1, 0], study.scores[:, read - 1, 0]
        for n, (name, level) in enumerate(zip(study.readers, study.levels, strict=True)):
            if np.isfinite(calls[n]).any():
                yield Caller(name=name, kind=READER, level=level, read=read, calls=calls[[n]],
                             scores=scores[n])  # fmt: skip
        for group, readers in study.groups().items():
            level = "" if group == "all readers" else group
            if len(readers) > 1 and np.isfinite(calls[readers]).any():
                yield Caller(name=group, kind=GROUP, level=level, read=read, calls=calls[readers])
            if len(readers) > 2:
                yield from _majority(study, read, readers, level)
    model = study.model.called[None].astype(float)
    yield Caller(name="model", kind=MODEL, level="", read=0, calls=model, scores=study.model.score)


def _majority(study: ReaderStudy, read: int, readers: np.ndarray, level: str) -> Iterator[Caller]:
    """The majority on photos that all judged; with ties as no call."""
    calls = study.calls[:, read - 1, 0]
    found = crossed(study, calls[:, None], readers)
    if len(found.readers) < 3 or not len(found.photos):
        return
    vote = majority_vote(calls[found.readers][:, found.photos] == 1)
    row = np.full((1, len(study.photos)), math.nan)
    row[0, found.photos] = vote.call
    name = f"majority of {len(found.readers)} {level or 'reader'}s"
    yield Caller(name=name, kind=MAJORITY, level=level, read=read, calls=row, tied=vote.ties)


def _rates(study: ReaderStudy, caller: Caller, name: str, mask: np.ndarray) -> Rates:
    rows, photos = np.nonzero(np.isfinite(caller.calls) & mask)
    truth, called = study.truth[photos], caller.calls[rows, photos] == 1
    sides = [len(set(study.patients[photos[side]].tolist())) for side in (truth, ~truth)]
    return Rates(
        name=caller.name,
        kind=caller.kind,
        level=caller.level,
        read=caller.read,
        tied=caller.tied,
        subgroup=name,
        answers=len(photos),
        photos=len(set(photos.tolist())),
        positive_patients=sides[0],
        negative_patients=sides[1],
        size=study.size(photos) if len(photos) else "insufficient",
        values=_values(study, photos, truth, called)
        | {"auroc": _auroc(study, caller.scores, mask, few=min(sides) < INSUFFICIENT)},
    )


def _values(
    study: ReaderStudy, photos: np.ndarray, truth: np.ndarray, called: np.ndarray
) -> dict[str, Value]:
    """Wilson's intervals on effective counts, all answers on a patient's photos together."""
    who, everybody = study.who(photos), np.full(len(photos), True)
    parts = {
        "recall": (truth & called, truth),
        "specificity": (~truth & ~called, ~truth),
        "accuracy": (truth == called, everybody),
        "f1": (truth & called, truth | called),  # of the Jaccard index
    }
    found = {}
    for metric, (above, below) in parts.items():
        ratio = clustered_ratio(above, below, who)
        bounds = (ratio.estimate, *wilson(ratio.estimate, ratio.effective))
        if metric == "f1":
            bounds = tuple(2 * x / (1 + x) for x in bounds)
        reason = METRICS[metric].undefined if math.isnan(bounds[0]) else ""
        found[metric] = Value(
            estimate=bounds[0], low=bounds[1], high=bounds[2], method="wilson",
            reason=reason,
        )  # fmt: skip
    return found


def _auroc(study: ReaderStudy, scores: np.ndarray | None, mask: np.ndarray, *, few: bool) -> Value:
    """Of one reader or the model, with DeLong's error clustered by patient."""
    scores = np.full(len(mask), math.nan) if scores is None else scores
    photos = np.flatnonzero(mask & np.isfinite(scores))
    area = clustered_auroc(study.truth[photos], scores[photos], study.who(photos))
    low, high = (math.nan, math.nan) if few else area.interval()
    reason = METRICS["auroc"].undefined if math.isnan(area.estimate) else TOO_FEW if few else ""
    return Value(
        estimate=area.estimate, low=low, high=high, method="delong",
        reason=reason if len(photos) else "no scores",
    )  # fmt: skip


def sex_gaps(rates: Sequence[Rates]) -> Iterator[SexGap]:
    """Women minus men wherever both have figures."""
    by_sex = {(r.kind, r.name, r.read, r.subgroup): r for r in rates}
    for (kind, name, read, sex), women in by_sex.items():
        men = by_sex.get((kind, name, read, "male"))
        if sex != "female" or men is None:
            continue
        for metric in GAPS:
            pair = [row.values[metric] for row in (women, men)]
            low, high = difference_interval(*((v.estimate, v.low, v.high) for v in pair))
            size = min((women.size, men.size), key=("insufficient", "wide", "ok").index)
            yield SexGap(
                name=name, kind=kind, level=women.level, read=read, metric=metric,
                women=pair[0], men=pair[1], gap=pair[0].estimate - pair[1].estimate, low=low,
                high=high, size=size,
            )  # fmt: skip
