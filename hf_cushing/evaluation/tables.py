"""The words of the tables: subgroups, gaps, and what they support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hf_cushing.evaluation.gaps import Gap, power_note
from hf_cushing.evaluation.operating_points import RULES
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.subgroups import MACRO, SubgroupReport, Value
from hf_cushing.reports.table import interval_text, number_text, p_text
from hf_cushing.stats.intervals import INSUFFICIENT, WIDE
from hf_cushing.stats.metrics import FIXED, METRICS

NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "recall": "recall (sensitivity)",
    "npv": "NPV",
    "f1": "F1",
    "mcc": "MCC",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity_at_specificity": f"sensitivity at specificity {FIXED:g}",
    "specificity_at_sensitivity": f"specificity at sensitivity {FIXED:g}",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error (ECE)",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "net_benefit": "net benefit",
    "selection_rate": "share called positive",
    "demographic_parity_difference": "demographic parity difference",
    "equalized_odds_difference": "equalised odds difference",
    "quadratic_kappa": "kappa, quadratic weights",
    "mean_absolute_error": "mean absolute error, grades",
}
"""Names in tables, where they differ from those in files."""

POWER_METRICS = ("f1", "auroc", "recall")
"""Metrics whose power is told below the table of gaps."""


def tables(
    subgroups: Sequence[SubgroupReport],
) -> Iterator[tuple[str, str, list[SubgroupReport]]]:
    """Label, unit and rows of each table."""
    for unit in dict.fromkeys(row.unit for row in subgroups):
        for label in dict.fromkeys(row.label for row in subgroups):
            yield label, unit, [r for r in subgroups if (r.label, r.unit) == (label, unit)]


def table_title(label: str, unit: str, split: str) -> str:
    """Heading of a table."""
    name = "mean over the diseases" if label == MACRO else label
    return f"{name}, {split} photos" + (", by patient" if unit == "patient" else "")


def subgroup_rows(rows: Sequence[SubgroupReport]) -> list[list[str]]:
    """Body of a table of subgroups: counts first, then the metrics."""
    patients = [f"{r.positive_patients} / {r.negative_patients}" for r in rows]
    body = [["patients (positive / negative)", *patients]]
    if rows[0].unit == "photo":
        photos = [f"{r.positives} / {r.negatives}" for r in rows]
        body.append(["photos (positive / negative)", *photos])
    body.append(["sample", *(r.size for r in rows)])
    for metric in METRICS:
        values = [format_value(r.values[metric]) for r in rows]
        body.append([NAMES.get(metric, metric), *values])
    return body


GAP_HEADER = [
    "metric", "women", "men", "gap", "by make-up", "p", "p (Holm)", "could be found", "sample",
]  # fmt: skip


def gap_rows(gaps: Sequence[Gap]) -> list[list[str]]:
    """Body of a table of gaps."""
    return [
        [
            NAMES.get(gap.metric, gap.metric),
            number_text(gap.women),
            number_text(gap.men),
            _gap_text(gap),
            number_text(gap.expected),
            p_text(gap.p),
            p_text(gap.p_holm),
            f"≥ {gap.detectable:.2f}" if math.isfinite(gap.detectable) else "–",
            gap.size,
        ]
        for gap in gaps
    ]


def gap_notes(gaps: Sequence[Gap]) -> list[str]:
    """What the gaps support, and what the sample could have shown."""
    notes = [gap_sentence(gap) for gap in gaps if gap.metric in POWER_METRICS]
    more = [
        NAMES.get(g.metric, g.metric)
        for g in gaps
        if g.p_holm < 0.05 and g.metric not in POWER_METRICS
    ]
    if more:
        notes.append(f"Also with p < 0.05 after Holm's correction: {', '.join(more)}.")
    notes += [
        "Gap: women minus men, 95 % interval. “By make-up”: the gap that the sexes' different "
        "shares of positives give by themselves; precision, NPV and F1 depend on them. p: whether "
        "the gap differs from that, by permuting the sexes within each class, by patient.",
        "“Could be found”: the size of a gap that a sample like this finds four times in five.",
    ]
    return notes


def gap_sentence(gap: Gap) -> str:
    """What the interval and the test support, and no more; for metrics where higher is better."""
    name = NAMES.get(gap.metric, gap.metric)
    if math.isnan(gap.gap) or math.isnan(gap.low):
        return f"{name}: no statement about women and men ({gap.reason})."
    if gap.size == "insufficient":
        return f"{name}: too few patients of a sex for a statement. {power_note(gap)}"
    if gap.p_holm < 0.05:
        worse = "men" if gap.gap > gap.expected else "women"
        return (
            f"{name}: worse for {worse} than the sexes' shares of positives explain: women minus "
            f"men {gap.gap:.2f}, by make-up alone {gap.expected:.2f}; "
            f"p {p_text(gap.p_holm)} (Holm)."
        )
    if not gap.worse:
        return f"{name}: no gap was shown, which is not the same as none. {power_note(gap)}"
    worse = {"male": "men", "female": "women"}[gap.worse]
    return (
        f"{name}: lower for {worse} in this sample, by {abs(gap.gap):.2f}; the sexes' different "
        f"shares of positives alone give {abs(gap.expected):.2f}, and beyond that nothing was "
        f"shown (p {p_text(gap.p)}, with Holm's correction {p_text(gap.p_holm)})."
    )


def footnotes(report: Report, label: str, unit: str, rows: Sequence[SubgroupReport]) -> list[str]:
    """Where thresholds and intervals come from, and what is too small."""
    notes = [*_threshold_notes(report, label)]
    notes.append(
        "Intervals: 95 %, by patient: Wilson on the effective number of photos for proportions "
        "and F1, clustered DeLong for AUROC, bootstrap of patients for the rest."
    )
    points = report.operating_points
    if points and report.split == points[0].split:
        notes.append("The threshold was chosen on this very split: these figures are too good.")
    for size, limit, meaning in (
        ("insufficient", INSUFFICIENT, "no statement about this subgroup is supported"),
        ("wide", WIDE, "read the intervals, not the figures"),
    ):
        small = [row.subgroup for row in rows if row.size == size]
        if small:
            notes.append(
                f"{size.capitalize()}: {', '.join(small)} (fewer than {limit} positive or negative "
                f"patients); {meaning}."
            )
    if unit == "patient":
        notes.append("By patient: the mean log-odds over a patient's photos, same thresholds.")
    return notes


def _threshold_notes(report: Report, label: str) -> list[str]:
    notes = []
    for sex in ("all", "female", "male"):
        points = [p for p in report.operating_points if (p.label, p.sex) == (label, sex)]
        if not points:
            continue
        thresholds = ", ".join(f"{point.threshold:.3f}" for point in points)
        rule = points[0].rule
        meaning = RULES.get(rule) or rule.replace(":", " ")
        whose = "" if sex == "all" else f" for {sex}"
        notes.append(f"Threshold{whose} {thresholds} ({rule} on {points[0].split}: {meaning}).")
    return notes


def format_value(value: Value, digits: int = 3) -> str:
    """Give an estimate with its interval, or the reason why there is none.

    >>> format_value(Value(estimate=0.8, low=0.7, high=0.9))
    '0.800 (0.700–0.900)'
    """
    if math.isnan(value.estimate):
        return f"undefined: {value.reason}"
    return interval_text(value.estimate, value.low, value.high, digits)


def _gap_text(gap: Gap) -> str:
    if math.isnan(gap.gap):
        return gap.reason
    return interval_text(gap.gap, gap.low, gap.high)
