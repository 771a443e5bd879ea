"""The tables of an evaluation: Markdown, CSV, LaTeX."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hf_cushing.evaluation.gaps import Gap, power_note
from hf_cushing.evaluation.metrics import FIXED, METRICS
from hf_cushing.evaluation.operating_points import RULES
from hf_cushing.evaluation.subgroups import INSUFFICIENT, MACRO, WIDE, SubgroupReport, Value
from hf_cushing.schema import RESEARCH_NOTICE

if TYPE_CHECKING:
    from hf_cushing.evaluation.comparison import Comparison, Difference
    from hf_cushing.evaluation.report import Report

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


def report_to_markdown(report: Report) -> str:
    """All tables, under the research notice."""
    return f"> {RESEARCH_NOTICE}\n\n{report_tables(report)}"


def report_tables(report: Report) -> str:
    """The tables alone, for a page that has the notice already."""
    lines = []
    for label, unit, rows in tables(report.subgroups):
        lines += [f"### {table_title(label, unit, report.split)}", ""]
        lines += markdown_lines(["", *(row.subgroup for row in rows)], subgroup_rows(rows))
        lines += ["", "\n\n".join(footnotes(report, label, unit, rows)), ""]
        gaps = [gap for gap in report.gaps if (gap.label, gap.unit) == (label, unit)]
        if gaps:
            lines += [f"### {label}, women minus men, by {unit}", ""]
            lines += [*markdown_lines(GAP_HEADER, gap_rows(gaps)), "", *gap_notes(gaps), ""]
    for title, header, body, notes in further_tables(report):
        lines += [f"### {title}", "", *markdown_lines(header, body), "", *notes, ""]
    return "\n".join(lines)


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
    return [f"- {note}" for note in notes]


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


def further_tables(report: Report) -> Iterator[tuple[str, list[str], list[list[str]], list[str]]]:
    """Title, header, body and notes of what was asked for beyond the standard tables."""
    if report.grading:
        from hf_cushing.evaluation.ordinal_tables import grade_tables

        yield from grade_tables(report.grading, report.split)
    if report.shared:
        yield _shared_table(report)
    if report.abstention:
        yield _abstention_table(report)
    for comparison in report.comparisons:
        yield _comparison_table(comparison)


def _shared_table(report: Report) -> tuple[str, list[str], list[list[str]], list[str]]:
    body = []
    for metric in ("recall", "specificity", "precision", "f1"):
        for row in report.shared:
            if row.unit == "photo" and row.subgroup in ("female", "male"):
                own = report.find(row.label, row.subgroup)
                pair = [format_value(r.values[metric]) for r in (row, own)]
                body.append([row.label, row.subgroup, NAMES.get(metric, metric), *pair])
    note = (
        "- A threshold of its own for each sex means that the same score is called positive in one "
        "sex and negative in the other. Each was chosen on the validation photos of one sex alone, "
        "so it is less certain than the shared one."
    )
    header = ["disease", "sex", "metric", "shared threshold", "threshold per sex"]
    return "What thresholds per sex change", header, body, [note]


def verdict_text(found: Difference) -> str:
    """The verdict, with the reason for none, and a warning where correction takes it back."""
    if found.verdict.endswith("better") and not found.p_holm < 0.05:
        return f"{found.verdict} (not after correction)"
    return found.verdict + (f" ({found.reason})" if found.reason else "")


def _abstention_table(report: Report) -> tuple[str, list[str], list[list[str]], list[str]]:
    rows = report.abstention
    body = [
        [
            row.subgroup,
            f"{row.certain} of {row.photos}",
            row.reason or interval_text(row.error, row.error_low, row.error_high),
            *(number_text(share) for share in row.coverage.values()),
            " / ".join(str(count) for count in row.patients.values()),
        ]
        for row in rows
    ]
    covered = [f"{label} covered" for label in rows[0].coverage]
    header = ["", "get an answer", "of these wrong", *covered, "validation patients"]
    note = (
        "- An answer is given where a single class is plausible; else “uncertain”. Limits by class "
        f"and sex from validation: at least {100 * (1 - report.alpha):.0f} % of the patients of "
        "each class and sex are covered, if new patients are like those; this doesn't bound the "
        "share of wrong answers. Fewer than "
        f"{math.ceil(1 / report.alpha - 1 - 1e-9)} validation patients of a class and sex rule "
        "nothing out."
    )
    return "With the right to say “uncertain”", header, body, [note]


def _comparison_table(
    comparison: Comparison,
) -> tuple[str, list[str], list[list[str]], list[str]]:
    body = [
        [
            NAMES.get(d.metric, d.metric),
            number_text(d.first),
            number_text(d.second),
            interval_text(d.difference, d.low, d.high),
            p_text(d.p_holm),
            p_text(d.equivalence_p),
            verdict_text(d),
        ]
        for d in comparison.differences.values()
    ]
    c = comparison
    notes = [
        f"- {c.photos} photos of {c.patients} patients ({c.positive_patients} with, "
        f"{c.negative_patients} without the disease): {c.size}. The same draws of patients for "
        "both models; AUROC by paired DeLong, clustered by patient.",
        f"- Equivalent: the 90 % interval lies within ±{c.margin:g}. Undecided: neither a "
        "difference nor equivalence was shown.",
        f"- McNemar, by patient: this model alone right on {c.by_patient.first_only} photos, the "
        f"other alone on {c.by_patient.second_only}; exact p {p_text(c.by_patient.p)}, mid-p "
        f"{p_text(c.by_patient.mid_p)}.",
    ]
    header = ["metric", "this", "other", "difference", "p (Holm)", "p (equivalence)", "verdict"]
    return f"{c.label}: this model against the other", header, body, notes


def format_value(value: Value, digits: int = 3) -> str:
    """Give an estimate with its interval, or the reason why there is none.

    >>> format_value(Value(estimate=0.8, low=0.7, high=0.9, others={}))
    '0.800 (0.700–0.900)'
    """
    if math.isnan(value.estimate):
        return f"undefined: {value.reason}"
    return interval_text(value.estimate, value.low, value.high, digits)


def interval_text(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """``0.800 (0.700–0.900)``; negative bounds are set apart by `to`."""
    if math.isnan(estimate):
        return "–"
    if math.isnan(low):
        return f"{estimate:.{digits}f} (no interval)"
    dash = "–" if low >= 0 else " to "
    return f"{estimate:.{digits}f} ({low:.{digits}f}{dash}{high:.{digits}f})"


def _gap_text(gap: Gap) -> str:
    if math.isnan(gap.gap):
        return gap.reason
    return interval_text(gap.gap, gap.low, gap.high)


def number_text(value: float) -> str:
    """Three digits, or a dash."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def p_text(p: float) -> str:
    """Three digits, ``< 0.001``, or a dash."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_lines(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, a line each."""
    rule = "| --- |" + " --- |" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(r) + " |" for r in body)]
