"""All metrics of all subgroups, each with its interval and the counts behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.predictions import Predictions, by_patient
from hf_cushing.evaluation.subgroup_metric import f1_by_group
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.decisions import Decisions
from hf_cushing.stats.intervals import INSUFFICIENT, clustered_auroc, rate_intervals, size_word
from hf_cushing.stats.metrics import (
    CALIBRATED_FROM,
    FEW_TO_CALIBRATE,
    METRICS,
    NO_DRAWS,
    ONE_CLASS,
    Metric,
    auroc_within,
    binary_metrics,
    weighted_metrics,
)
from hf_cushing.stats.resampling import UNSTABLE, UNVARIED, Patients, strata_of, varied_interval

MACRO = "macro"
"""In place of a label: the mean over the diseases, each against everything else."""

TOO_FEW = f"no interval: fewer than {INSUFFICIENT} positive or negative patients"

WITHIN = {"auroc_within": Metric("AUROC within folds", ONE_CLASS)}
"""Beside the AUROC of several pooled models: over the pairs that one model scored."""

IMAGINED = 500
"""Truths that are dealt by the probabilities, for the reference of the calibration error."""


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
    reference : float
        Of the calibration error, which is above 0 for every model: what these very probabilities
        would show on average if they were right, photos being independent. NaN for the others.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan
    method: str = ""
    reason: str = ""
    reference: float = math.nan


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


Row = TypeVar("Row")


@dataclass(frozen=True)
class Resampled(Generic[Row]):
    """A subgroup's report with its draws, from which gaps are made.

    Attributes
    ----------
    report : SubgroupReport or GradeRow
    draws : dict
        Metric name to float, shape (draws,).
    level : float
        At which the draws are cut (`Patients.level`).
    """

    report: Row
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

    def permuted_sexes(self, shuffles: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of known sex, and who are women when the sexes are permuted within each label.

        Whole patients swap: int, shape (n,), and bool, shape (shuffles, n).
        """
        rows = np.flatnonzero(np.isin(self.rows.sex, KNOWN_SEXES))
        women, labels = self.rows.sex[rows] == "female", self.rows.label[rows]
        rng = np.random.default_rng([0, 1])
        return rows, self.who.select(rows).shuffled(women, labels, shuffles, rng)


def make_sample(rows: Predictions, unit: str = "photo", *, draws: int) -> Sample:
    """Draw patients within label × sex; the same rows give the same draws.

    The rows are put in order of photo_id first, so that the order of a file does not matter.
    """
    rows = rows.select(np.argsort(rows.photo_id, kind="stable"))
    who = Patients(rows.patient_id, strata_of(rows.label, rows.sex))
    return Sample(rows, unit, who, who.draws(draws, np.random.default_rng(0)))


def make_samples(scored: Predictions, *, draws: int) -> list[Sample]:
    """The photos, and the patients beside them where any of them has several photos.

    A patient has the attributes of the first photo by photo_id, whatever the order of the file.
    """
    scored = scored.select(np.argsort(scored.photo_id, kind="stable"))
    samples, patients = [make_sample(scored, draws=draws)], by_patient(scored)
    if len(patients) < len(scored):
        samples.append(make_sample(patients, "patient", draws=draws))
    return samples


def report_subgroups(
    sample: Sample, label: str, points: Sequence[OperatingPoint], masks: dict[str, np.ndarray]
) -> dict[str, Resampled[SubgroupReport]]:
    """Metrics, intervals and draws of one disease in every subgroup."""
    decisions = decisions_of(sample.rows, label, points)
    f1 = _f1_of(decisions, sample.rows.sex, masks)
    found = {name: _report(sample, decisions, label, name, mask) for name, mask in masks.items()}
    for name, resampled in found.items():
        values = resampled.report.values
        if not math.isnan(values["f1"].estimate):
            values["f1"] = replace(values["f1"], estimate=f1[name])
    return found


def _f1_of(
    decisions: Decisions, sexes: np.ndarray, masks: dict[str, np.ndarray]
) -> dict[str, float]:
    """F1 of every subgroup, as the metric for `evaluate` computes it."""
    truth, called = decisions.truth, decisions.called
    whole, by_sex, _ = f1_by_group(truth, called, sexes)
    found = {"all": whole} | by_sex
    for name in masks.keys() - found.keys():
        inside = masks[name]
        found[name] = f1_by_group(truth[inside], called[inside], sexes[inside])[0]
    return found


def _report(
    sample: Sample, decisions: Decisions, label: str, name: str, mask: np.ndarray
) -> Resampled[SubgroupReport]:
    inside = np.flatnonzero(mask)
    part, weights = decisions.select(inside), sample.weights[:, inside]
    who = sample.who.select(inside)
    draws, level = weighted_metrics(part, weights), who.level()
    sides = [who.count_in(side) for side in (part.truth, ~part.truth)]
    few = TOO_FEW if min(sides) < INSUFFICIENT else ""
    values = values_of(METRICS, binary_metrics(part), draws, level=level, few=few)
    values |= _closed_forms(part, who, values, few=bool(few)) | {"ece": _calibration_value(part)}
    fits = sample.rows.model_revision[inside]
    if len(set(sample.rows.model_revision.tolist())) > 1:
        whole = auroc_within(part.truth, part.score, fits, np.ones((1, len(part))))
        within = {"auroc_within": auroc_within(part.truth, part.score, fits, weights)}
        estimate = {"auroc_within": float(whole[0])}
        values |= values_of(WITHIN, estimate, within, level=level, few=few)
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
            cells={name: int(mask.sum()) for name, mask in vars(part.cells).items()},
            size=size_word(min(sides)),
            values=values,
        ),
        draws,
        level,
    )


def _closed_forms(
    part: Decisions, who: Patients, values: dict[str, Value], *, few: bool
) -> dict[str, Value]:
    """Intervals in closed form, where there are any; proportions have one however few they are."""
    rates = rate_intervals(part.truth, part.called, who)
    intervals = {name: ("wilson", low, high) for name, (_, low, high) in rates.items()}
    if not few:
        intervals["auroc"] = ("delong", *clustered_auroc(part.truth, part.score, who).interval())
    return {
        name: replace(values[name], low=low, high=high, method=method, reason="")
        for name, (method, low, high) in intervals.items()
        if not math.isnan(values[name].estimate)
    }


def _calibration_value(part: Decisions) -> Value:
    """The calibration error with its reference; none where chance alone makes it large.

    It has no interval: draws repeat photos, which raises it, so that percentiles of draws lie
    above what they are for.
    """
    if len(part) < CALIBRATED_FROM:
        return Value(estimate=math.nan, reason=FEW_TO_CALIBRATE)
    dealt = np.random.default_rng(0).random((IMAGINED, len(part))) < part.score
    errors = [binary_metrics(replace(part, truth=truth), ("ece",))["ece"] for truth in dealt]
    return Value(
        estimate=binary_metrics(part, ("ece",))["ece"],
        reason=NO_DRAWS,
        reference=float(np.mean(errors)),
    )


def values_of(
    metrics: Mapping[str, Metric],
    estimates: Mapping[str, float],
    draws: Mapping[str, np.ndarray],
    *,
    level: float,
    few: str,
) -> dict[str, Value]:
    """Each metric with the interval of its draws, or the reason for there being none.

    Parameters
    ----------
    level : float
        At which the draws are cut.
    few : str
        Why the sample is too small for an interval; empty if it is not.
    """
    values = {}
    for name, metric in metrics.items():
        reason = metric.undefined if math.isnan(estimates[name]) else few
        low, high = (math.nan, math.nan) if reason else varied_interval(draws[name], level)
        lost = UNVARIED if np.isfinite(draws[name]).all() else UNSTABLE
        reason = reason or (lost if math.isnan(low) else "")
        method = "" if reason else "bootstrap"
        values[name] = Value(
            estimate=estimates[name], low=low, high=high, method=method, reason=reason
        )
    return values


def mean_subgroups(
    per_label: Sequence[dict[str, Resampled[SubgroupReport]]], label: str = MACRO
) -> dict[str, Resampled[SubgroupReport]]:
    """The mean over several diseases or seeds, with intervals from their common draws."""
    subgroups = {}
    for name in per_label[0]:
        parts = [resampled[name] for resampled in per_label]
        reports = [part.report for part in parts]
        draws = {m: np.mean([part.draws[m] for part in parts], axis=0) for m in METRICS}
        rarest = min(min(r.positive_patients, r.negative_patients) for r in reports)
        few = TOO_FEW if rarest < INSUFFICIENT else ""
        means = {m: float(np.mean([r.values[m].estimate for r in reports])) for m in METRICS}
        ece = [r.values["ece"] for r in reports]
        report = replace(
            reports[0],
            label=label,
            positive_patients=min(r.positive_patients for r in reports),
            negative_patients=min(r.negative_patients for r in reports),
            size=size_word(rarest),
            values=values_of(METRICS, means, draws, level=parts[0].level, few=few)
            | {"ece": replace(ece[0], estimate=means["ece"],
                              reference=float(np.mean([v.reference for v in ece])))},
        )  # fmt: skip
        if label == MACRO:  # the diseases' counts together; seeds have the same photos
            positives = sum(r.positives for r in reports)
            ill = sum(r.positive_patients for r in reports)
            report = replace(report, positive_patients=ill, negative_patients=report.patients - ill)
            cells = {k: sum(r.cells[k] for r in reports) for k in reports[0].cells}
            negatives = report.rows - positives
            report = replace(report, positives=positives, negatives=negatives, cells=cells)
        subgroups[name] = Resampled(report, draws, parts[0].level)
    return subgroups
