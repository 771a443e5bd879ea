"""How good a model is, for all, for women and for men, rebuilt from predictions alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_cushing.evaluation.intervals import patient_bootstrap, wilson
from hf_cushing.evaluation.metrics import METRICS, WHY_UNDEFINED, binary_metrics
from hf_cushing.evaluation.operating_points import (
    OperatingPoint,
    call_positive,
    choose_operating_points,
)
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.files import write_json, write_text
from hf_cushing.schema import RESEARCH_NOTICE

INSUFFICIENT, WIDE = 10, 50
"""Fewer positives or negatives than this: no statement possible; only a rough one."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One metric of one subgroup.

    Attributes
    ----------
    estimate, low, high : float
        0..1; NaN where undefined. The 95 % interval is a patient bootstrap; of a proportion, the
        wider of it and Wilson's on the number of patients. In an insufficient subgroup only
        proportions have one.
    reason : str
        Why it is undefined; empty if it is not.
    """

    estimate: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SubgroupReport:
    """All metrics of one disease in one subgroup.

    Attributes
    ----------
    label : str
    subgroup : str
        ``all``, ``female`` or ``male``.
    photos, patients, positives, negatives : int
        Positives and negatives count photos.
    positive_patients, negative_patients : int
    size : str
        ``insufficient`` (fewer than 10 positive or negative patients), ``wide`` (fewer than 50)
        or ``ok``.
    values : dict
        Metric name to `Value`.
    """

    label: str
    subgroup: str
    photos: int
    patients: int
    positives: int
    negatives: int
    positive_patients: int
    negative_patients: int
    size: str
    values: dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class Report:
    """An evaluation.

    Attributes
    ----------
    split : str
    operating_points : list of OperatingPoint
    subgroups : list of SubgroupReport
    """

    split: str
    operating_points: list[OperatingPoint]
    subgroups: list[SubgroupReport]

    def find(self, label: str, subgroup: str) -> SubgroupReport:
        """Give one row."""
        return next(r for r in self.subgroups if (r.label, r.subgroup) == (label, subgroup))


def evaluate(
    predictions: Predictions,
    *,
    split: str = "test",
    rule: str = "f1",
    operating_points: list[OperatingPoint] | None = None,
    draws: int = 2000,
) -> Report:
    """Evaluate a split, for all and for each sex.

    Parameters
    ----------
    predictions : Predictions
        With rows of `split`, and of ``validation`` unless `operating_points` are given. Rows of
        several models (folds) are pooled; each is judged by its own model's threshold.
    split : str
    rule : str
        How a threshold is chosen on validation.
    operating_points : list of OperatingPoint, optional
        Thresholds that were chosen before.
    draws : int
        Bootstrap draws.
    """
    points = operating_points or choose_operating_points(predictions, rule)
    scored = predictions.of_split(split)
    reports = []
    for label in predictions.positive_labels:
        called = call_positive(scored, label, points)
        for subgroup in ("all", "female", "male"):
            inside = np.full(len(scored), True) if subgroup == "all" else scored.sex == subgroup
            reports.append(_subgroup(scored, called, inside, label, subgroup, draws))
    return Report(split=split, operating_points=points, subgroups=reports)


def write_report(out: Path, report: Report, predictions: Predictions) -> None:
    """Write ``metrics.json``, ``metrics.md``, ``roc.png`` and ``predictions.parquet``."""
    from hf_cushing.evaluation.figures import plot_roc

    write_json(out / "metrics.json", report_to_json(report))
    write_text(out / "metrics.md", report_to_markdown(report))
    plot_roc(out / "roc.png", report, predictions)
    predictions.save(out / "predictions.parquet")


def report_to_json(report: Report) -> dict[str, Any]:
    """Plain data; NaN becomes null beside its reason."""
    return {"notice": RESEARCH_NOTICE} | asdict(report)


def points_from_json(metrics: dict[str, Any]) -> list[OperatingPoint]:
    """Read the operating points of a ``metrics.json``."""
    return [OperatingPoint(**point) for point in metrics["operating_points"]]


def report_to_markdown(report: Report) -> str:
    """Tables of subgroup × metric with 95 % intervals and counts, under the research notice."""
    return f"> {RESEARCH_NOTICE}\n\n{report_tables(report)}"


def report_tables(report: Report) -> str:
    """The tables alone, one a disease, for a page that has the notice already."""
    lines = []
    for label in dict.fromkeys(row.label for row in report.subgroups):
        rows = [row for row in report.subgroups if row.label == label]
        lines += [f"### {label}, {report.split} photos", ""]
        lines += ["| | " + " | ".join(row.subgroup for row in rows) + " |"]
        lines += ["| --- |" + " --- |" * len(rows)]
        lines += [
            "| patients (positive / negative) | "
            + " | ".join(f"{row.positive_patients} / {row.negative_patients}" for row in rows)
            + " |",
            "| photos (positive / negative) | "
            + " | ".join(f"{row.positives} / {row.negatives}" for row in rows)
            + " |",
            "| sample | " + " | ".join(row.size for row in rows) + " |",
        ]
        for metric in METRICS:
            cells = " | ".join(format_value(row.values[metric]) for row in rows)
            lines.append(f"| {metric} | {cells} |")
        lines += ["", *_footnotes(report, label, rows), ""]
    return "\n".join(lines)


def format_value(value: Value, digits: int = 3) -> str:
    """Give an estimate with its interval, or the reason why there is none.

    >>> format_value(Value(estimate=0.8, low=0.7, high=0.9))
    '0.800 (0.700–0.900)'
    """
    if math.isnan(value.estimate):
        return f"undefined: {value.reason}"
    if math.isnan(value.low):
        return f"{value.estimate:.{digits}f} (no interval)"
    return f"{value.estimate:.{digits}f} ({value.low:.{digits}f}–{value.high:.{digits}f})"


def _footnotes(report: Report, label: str, rows: list[SubgroupReport]) -> list[str]:
    points = [point for point in report.operating_points if point.label == label]
    thresholds = ", ".join(f"{point.threshold:.3f}" for point in points)
    rule = f"{points[0].rule} on {points[0].split}"
    notes = [f"Threshold {thresholds} ({rule}). Intervals: 95 %, by patient."]
    if report.split == points[0].split:
        notes.append("The threshold was chosen on this very split: these figures are too good.")
    small = [row.subgroup for row in rows if row.size == "insufficient"]
    if small:
        notes.append(
            f"Insufficient: {', '.join(small)} (fewer than {INSUFFICIENT} positive or negative "
            "patients); no statement about this subgroup is supported."
        )
    return ["\n\n".join(notes)]


def _subgroup(
    scored: Predictions,
    called: np.ndarray,
    inside: np.ndarray,
    label: str,
    subgroup: str,
    draws: int,
) -> SubgroupReport:
    rows = scored.select(inside)
    truth, score, called = rows.label == label, rows.score(label), called[inside]
    patients = [_count_patients(rows, mask) for mask in (truth, ~truth)]
    estimates = binary_metrics(truth, score, called)
    bootstrap = dict.fromkeys(METRICS, (math.nan, math.nan))
    if len(rows):
        bootstrap = patient_bootstrap(
            lambda i: binary_metrics(truth[i], score[i], called[i]),
            rows.patient_id,
            np.char.add(np.char.add(rows.label, "/"), rows.sex),
            draws=draws,
        )
    everybody = np.full(len(rows), True)
    asked = {"accuracy": everybody, "precision": called, "recall": truth, "specificity": ~truth}
    intervals = {
        name: _interval(bootstrap[name], estimates[name], _count_patients(rows, asked[name]))
        if name in asked
        else bootstrap[name]
        for name in METRICS
    }
    if min(patients) < INSUFFICIENT:
        intervals |= dict.fromkeys(METRICS[METRICS.index("f1") :], (math.nan, math.nan))
        intervals["balanced_accuracy"] = (math.nan, math.nan)
    smallest = min(patients)
    return SubgroupReport(
        label=label,
        subgroup=subgroup,
        photos=len(rows),
        patients=len(set(rows.patient_id.tolist())),
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        positive_patients=patients[0],
        negative_patients=patients[1],
        size="insufficient" if smallest < INSUFFICIENT else "wide" if smallest < WIDE else "ok",
        values={
            name: Value(
                estimate=estimate,
                low=intervals[name][0],
                high=intervals[name][1],
                reason=WHY_UNDEFINED[name] if math.isnan(estimate) else "",
            )
            for name, estimate in estimates.items()
        },
    )


def _count_patients(rows: Predictions, mask: np.ndarray) -> int:
    return len(set(rows.patient_id[mask].tolist()))


def _interval(bootstrap: tuple[float, float], share: float, patients: int) -> tuple[float, float]:
    """Give the wider of the bootstrap's and Wilson's interval for a proportion.

    The bootstrap of 2 of 2 right has no width; Wilson's interval on as many observations as
    there are patients doesn't let that pass for certainty.
    """
    low, high = wilson(share, patients)
    return float(np.fmin(low, bootstrap[0])), float(np.fmax(high, bootstrap[1]))
