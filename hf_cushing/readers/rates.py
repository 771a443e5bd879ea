"""How often readers, groups of them, their majority and the model are right, by sex."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.subgroups import TOO_FEW, Value
from hf_cushing.readers.study import ALL_READERS, ReaderStudy, fully_crossed
from hf_cushing.stats.agreement import majority_vote
from hf_cushing.stats.intervals import (
    INSUFFICIENT,
    SIZES,
    clustered_auroc,
    difference_interval,
    rate_intervals,
    size_word,
)
from hf_cushing.stats.metrics import METRICS

SHOWN = ("recall", "specificity", "accuracy", "f1", "auroc")
GAPS = ("recall", "specificity")
"""Metrics that do not depend on how many of a sex are sick."""

METRIC_NAMES = {name: METRICS[name].title for name in SHOWN}
METRIC_NAMES |= {"recall": "sensitivity", "sensitivity": "sensitivity"}
"""Names in tables: reader studies speak of sensitivity."""

MODEL, MAJORITY, GROUP, READER = KINDS = ("model", "majority", "group", "reader")
"""In the order of tables and figures."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: the model, a majority, several readers together, or one.

    Attributes
    ----------
    name : str
    kind : str
        One of `KINDS`.
    level : str
        Of the reader or group; empty for all readers and the model.
    read : int
        1 alone, 2 with the model; 0 for the model.
    tied : int
        Photos on which as many of a majority's readers said yes as no: no call.
    """

    name: str
    kind: str
    level: str
    read: int
    tied: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Calls:
    """What somebody called.

    Attributes
    ----------
    caller : Caller
    readers : numpy.ndarray
        Their numbers; none for a majority or the model.
    calls : numpy.ndarray
        float, shape (readers or 1, photos): NaN where there is no call.
    scores : numpy.ndarray or None
        float, shape (photos,), of one reader or the model: NaN where there is none.
    """

    caller: Caller
    readers: np.ndarray
    calls: np.ndarray
    scores: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Rates(Caller):
    """How often a caller is right in one subgroup of the patients.

    Attributes
    ----------
    subgroup : str
        ``all``, ``female``, ``male`` or ``unknown``.
    answers, photos, positive_patients, negative_patients : int
    size : str
        ``insufficient``, ``wide`` or ``ok``, by patients.
    values : dict
        Metric (`SHOWN`) to `Value`; readers are fixed, patients are drawn. AUROC only of one
        reader or the model, on the photos with a score.
    """

    subgroup: str
    answers: int
    photos: int
    positive_patients: int
    negative_patients: int
    size: str
    values: dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class SexGap(Caller):
    """Women minus men in `metric`; different patients, so that their errors are independent."""

    metric: str
    women: Value
    men: Value
    gap: float
    low: float
    high: float
    size: str


def all_calls(study: ReaderStudy) -> list[Calls]:
    """Of everybody in each read, and of the model: in the order of `KINDS`."""
    return sorted(_all_calls(study), key=lambda calls: KINDS.index(calls.caller.kind))


def _all_calls(study: ReaderStudy) -> Iterator[Calls]:
    """Each reader, all and each level together, majorities of three or more, and the model."""
    for read in study.reads:
        calls, scores = study.calls[:, read - 1, 0], study.scores[:, read - 1, 0]
        for n, (name, level) in enumerate(zip(study.readers, study.levels, strict=True)):
            if np.isfinite(calls[n]).any():
                caller = Caller(name=name, kind=READER, level=level, read=read)
                yield Calls(caller=caller, readers=np.array([n]), calls=calls[[n]],
                            scores=scores[n])  # fmt: skip
        for group, readers in study.groups().items():
            level = "" if group == ALL_READERS else group
            if len(readers) > 1 and np.isfinite(calls[readers]).any():
                caller = Caller(name=group, kind=GROUP, level=level, read=read)
                yield Calls(caller=caller, readers=readers, calls=calls[readers])
            yield from _majority(study, read, readers, level)
    yield Calls(
        caller=Caller(name="model", kind=MODEL, level="", read=0),
        readers=np.zeros(0, int),
        calls=study.model.called[None].astype(float),
        scores=study.model.score,
    )


def _majority(study: ReaderStudy, read: int, readers: np.ndarray, level: str) -> Iterator[Calls]:
    """The majority on photos that all judged; with ties as no call."""
    calls = study.calls[:, read - 1, 0]
    design = fully_crossed(study, calls[:, None], readers)
    if len(design.readers) < 3 or not len(design.photos):
        return
    vote = majority_vote(calls[np.ix_(design.readers, design.photos)] == 1)
    row = np.full((1, len(study.photos)), math.nan)
    row[0, design.photos] = vote
    name = f"majority of {len(design.readers)} {level or 'reader'}s"
    caller = Caller(
        name=name, kind=MAJORITY, level=level, read=read, tied=int(np.isnan(vote).sum())
    )
    yield Calls(caller=caller, readers=np.zeros(0, int), calls=row)


def rates_of(study: ReaderStudy, everybody: Sequence[Calls]) -> list[Rates]:
    """For all patients, women and men; subgroups without an answer are left out."""
    masks = subgroup_masks(study.photos).items()
    return [
        _rates(study, calls, name, mask)
        for calls in everybody
        for name, mask in masks
        if np.isfinite(calls.calls[:, mask]).any()
    ]


def _rates(study: ReaderStudy, by: Calls, name: str, mask: np.ndarray) -> Rates:
    rows, photos = np.nonzero(np.isfinite(by.calls) & mask)
    sides = study.patients_by_class(photos)
    truth, called = study.truth[photos], by.calls[rows, photos] == 1
    rates = rate_intervals(truth, called, study.clusters(photos))
    values = {metric: _value(metric, *rates[metric], method="wilson") for metric in SHOWN[:-1]}
    values["auroc"] = _auroc(study, by.scores, mask, few=min(sides) < INSUFFICIENT)
    return Rates(
        **asdict(by.caller),
        subgroup=name,
        answers=len(photos),
        photos=len(np.unique(photos)),
        positive_patients=sides[0],
        negative_patients=sides[1],
        size=size_word(min(sides)),
        values=values,
    )


def _value(
    metric: str, estimate: float, low: float, high: float, *, method: str, few: bool = False
) -> Value:
    reason = METRICS[metric].undefined if math.isnan(estimate) else TOO_FEW if few else ""
    return Value(estimate=estimate, low=low, high=high, method=method, reason=reason)


def _auroc(study: ReaderStudy, scores: np.ndarray | None, mask: np.ndarray, *, few: bool) -> Value:
    """Of one reader or the model, with DeLong's error clustered by patient."""
    photos = np.flatnonzero(mask & np.isfinite(math.nan if scores is None else scores))
    if not len(photos):
        return Value(estimate=math.nan, method="delong", reason="no scores")
    area = clustered_auroc(study.truth[photos], scores[photos], study.clusters(photos))
    low, high = (math.nan, math.nan) if few else area.interval()
    return _value("auroc", area.estimate, low, high, method="delong", few=few)


def sex_gaps(rates: Sequence[Rates]) -> Iterator[SexGap]:
    """Women minus men wherever both have figures."""
    men_of = {(r.kind, r.name, r.read): r for r in rates if r.subgroup == "male"}
    for women in rates:
        men = men_of.get((women.kind, women.name, women.read))
        if women.subgroup != "female" or men is None:
            continue
        for metric in GAPS:
            one, other = women.values[metric], men.values[metric]
            low, high = difference_interval(*((v.estimate, v.low, v.high) for v in (one, other)))
            yield SexGap(
                name=women.name, kind=women.kind, level=women.level, read=women.read,
                metric=metric, women=one, men=other, gap=one.estimate - other.estimate, low=low,
                high=high, size=min(women.size, men.size, key=SIZES.index),
            )  # fmt: skip
