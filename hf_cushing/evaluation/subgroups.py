"""All metrics of all subgroups, each with its interval and the counts behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.stats.intervals import INSUFFICIENT, WIDE, clustered_auroc, rate_intervals
from hf_cushing.stats.metrics import METRICS, Decisions, binary_metrics, weighted_metrics
from hf_cushing.stats.resampling import UNSTABLE, Patients, percentile_interval, strata_of

MACRO = "macro"
"""In place of a label: the mean over the diseases, each against everything else."""

TOO_FEW = f"no interval: fewer than {INSUFFICIENT} positive or negative patients"


@dataclass(frozen=True, kw_only=True)
class Value:
    """One metric of one subgroup.

    Attributes
    ----------
    estimate, low, high : float
        The metric and its 95 % interval; NaN where undefined.
    method : str
        How the interval was made: ``wilson`` (on the effective number of photos, for
        proportions; F1 by way of the Jaccard index, which is one), ``delong`` (clustered by
        patient, on the log-odds) or ``bootstrap`` (expanded percentiles of
        draws of patients, `Patients.level`).
    reason : str
        Why there is no estimate or no interval; empty if there are both.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SubgroupReport:
    """All metrics of one disease in one subgroup.

    Attributes
    ----------
    label : str
        The disease, or ``macro``.
    subgroup : str
        ``all``, ``female``, ``male``, or as in ``female & age 30–45``.
    unit : str
        What is counted: ``photo``, or ``patient`` (mean log-odds over the photos).
    rows, patients, positives, negatives : int
        Photos or patients, by `unit`; positives and negatives likewise.
    positive_patients, negative_patients : int
    cells : dict
        ``tp``, ``fn``, ``fp``, ``tn``.
    size : str
        ``insufficient`` (fewer than 10 positive or negative patients), ``wide`` (fewer than 50)
        or ``ok``.
    values : dict
        Metric name to `Value`.
    """

    label: str
    subgroup: str
    unit: str
    rows: int
    patients: int
    positives: int
    negatives: int
    positive_patients: int
    negative_patients: int
    cells: dict[str, int]
    size: str
    values: dict[str, Value]


@dataclass(frozen=True)
class Resampled:
    """A subgroup's report with its draws, from which gaps are made.

    Attributes
    ----------
    report : SubgroupReport
    draws : dict
        Metric name to float, shape (draws,).
    level : float
        At which the draws are cut (`Patients.level`).
    """

    report: SubgroupReport
    draws: dict[str, np.ndarray]
    level: float


@dataclass(frozen=True)
class Sample:
    """Photos of one split, and the draws of their patients, shared by all that is computed.

    Attributes
    ----------
    rows : Predictions
    unit : str
    who : Patients
    weights : numpy.ndarray
        float32, shape (draws, n).
    """

    rows: Predictions
    unit: str
    who: Patients
    weights: np.ndarray


def make_sample(rows: Predictions, unit: str, *, draws: int, seed: int = 0) -> Sample:
    """Draw patients within label × sex; the same seed gives the same draws.

    The rows are put in order of photo_id first, so that the order of a file does not matter.
    """
    rows = rows.select(np.argsort(rows.photo_id, kind="stable"))
    strata = strata_of(rows.label, rows.sex)
    who = Patients(rows.patient_id, strata)
    return Sample(rows, unit, who, who.draws(draws, np.random.default_rng(seed)))


def report_subgroups(
    sample: Sample, label: str, points: Sequence[OperatingPoint], masks: dict[str, np.ndarray]
) -> dict[str, Resampled]:
    """Metrics, intervals and draws of one disease in every subgroup."""
    decisions = decisions_of(sample.rows, label, points)
    return {name: _report(sample, decisions, label, name, mask) for name, mask in masks.items()}


def _report(
    sample: Sample, decisions: Decisions, label: str, name: str, mask: np.ndarray
) -> Resampled:
    inside = np.flatnonzero(mask)
    part, weights = decisions.select(inside), sample.weights[:, inside]
    who = sample.who.select(inside)
    draws, level = weighted_metrics(part, weights), who.level()
    sides = [who.count_in(side) for side in (part.truth, ~part.truth)]
    few = TOO_FEW if min(sides) < INSUFFICIENT else ""
    values = {
        metric: value_of(
            estimate, draws[metric], level=level, undefined=METRICS[metric].undefined, few=few
        )
        for metric, estimate in binary_metrics(part).items()
    }
    values |= _closed_forms(part, who, values, few)
    return Resampled(
        SubgroupReport(
            label=label,
            subgroup=name,
            unit=sample.unit,
            rows=len(part),
            patients=who.count,
            positives=int(part.truth.sum()),
            negatives=int((~part.truth).sum()),
            positive_patients=sides[0],
            negative_patients=sides[1],
            cells=_cells(part),
            size=size_word(min(sides)),
            values=values,
        ),
        draws,
        level,
    )


def size_word(patients: int) -> str:
    """What a sample with so many patients of the rarer class allows."""
    return "insufficient" if patients < INSUFFICIENT else "wide" if patients < WIDE else "ok"


def _cells(part: Decisions) -> dict[str, int]:
    truth, called = part.truth, part.called
    marks = {"tp": truth & called, "fn": truth & ~called, "fp": ~truth & called}
    return {name: int(mark.sum()) for name, mark in (marks | {"tn": ~truth & ~called}).items()}


def _closed_forms(
    part: Decisions, who: Patients, values: dict[str, Value], few: str
) -> dict[str, Value]:
    """Intervals in closed form, where there are any; proportions have one however few they are."""
    rates = rate_intervals(part.truth, part.called, who)
    found = {name: ("wilson", low, high) for name, (_, low, high) in rates.items()}
    if not few:
        found["auroc"] = ("delong", *clustered_auroc(part.truth, part.score, who).interval())
    return {
        name: replace(values[name], low=low, high=high, method=method, reason="")
        for name, (method, low, high) in found.items()
        if not math.isnan(values[name].estimate)
    }


def value_of(
    estimate: float, draws: np.ndarray, *, level: float, undefined: str, few: str = ""
) -> Value:
    """A metric with the interval of its draws, or the reason for there being none.

    Parameters
    ----------
    level : float
        At which the draws are cut.
    undefined : str
        Why the metric has no value where it has none.
    few : str
        Why the sample is too small for an interval; empty if it is not.
    """
    if math.isnan(estimate) or few:
        return Value(estimate=estimate, reason=undefined if math.isnan(estimate) else few)
    low, high = percentile_interval(draws, level)
    if math.isnan(low):
        return Value(estimate=estimate, reason=UNSTABLE)
    return Value(estimate=estimate, low=low, high=high, method="bootstrap")


def mean_subgroups(
    per_label: Sequence[dict[str, Resampled]], label: str = MACRO
) -> dict[str, Resampled]:
    """The mean over several diseases or seeds, with intervals from their common draws."""
    found = {}
    for name in per_label[0]:
        parts = [resampled[name] for resampled in per_label]
        reports = [part.report for part in parts]
        draws = {m: np.mean([part.draws[m] for part in parts], axis=0) for m in METRICS}
        rarest = min(min(r.positive_patients, r.negative_patients) for r in reports)
        few = TOO_FEW if rarest < INSUFFICIENT else ""
        values = {
            metric: value_of(
                float(np.mean([r.values[metric].estimate for r in reports])),
                draws[metric],
                level=parts[0].level,
                undefined=METRICS[metric].undefined,
                few=few,
            )
            for metric in METRICS
        }
        report = replace(
            reports[0],
            label=label,
            positive_patients=min(r.positive_patients for r in reports),
            negative_patients=min(r.negative_patients for r in reports),
            size=size_word(rarest),
            values=values,
        )
        if label == MACRO:  # the diseases' counts together; seeds have the same photos
            positives = sum(r.positives for r in reports)
            cells = {k: sum(r.cells[k] for r in reports) for k in reports[0].cells}
            negatives = report.rows - positives
            report = replace(report, positives=positives, negatives=negatives, cells=cells)
        found[name] = Resampled(report, draws, parts[0].level)
    return found
