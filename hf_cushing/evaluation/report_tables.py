"""All tables of an evaluation, in the order in which they are shown."""

from __future__ import annotations

import math

from hf_cushing.evaluation.comparison import Comparison, Difference
from hf_cushing.evaluation.ordinal_tables import grade_tables
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.tables import (
    GAP_HEADER,
    NAMES,
    footnotes,
    format_value,
    gap_notes,
    gap_rows,
    subgroup_rows,
    table_title,
    tables,
)
from hf_cushing.reports.table import Table, interval_text, number_text, p_text


def report_tables(report: Report) -> list[Table]:
    """Subgroups and gaps of each disease, then grades and whatever else was asked for."""
    found = []
    for label, unit, rows in tables(report.subgroups):
        found.append(
            Table(
                f"{label}_{unit}",
                table_title(label, unit, report.split),
                ["", *(row.subgroup for row in rows)],
                subgroup_rows(rows),
                footnotes(report, label, unit, rows),
            )
        )
        gaps = [gap for gap in report.gaps if (gap.label, gap.unit) == (label, unit)]
        if gaps:
            title = f"{label}, women minus men, by {unit}"
            found.append(
                Table(f"gaps_{label}_{unit}", title, GAP_HEADER, gap_rows(gaps), gap_notes(gaps))
            )
    if report.grading:
        found += grade_tables(report.grading, report.split)
    if report.shared:
        found.append(_shared_table(report))
    if report.abstention:
        found.append(_abstention_table(report))
    return found + [_comparison_table(comparison) for comparison in report.comparisons]


def _shared_table(report: Report) -> Table:
    body = []
    for metric in ("recall", "specificity", "precision", "f1"):
        for row in report.shared:
            if row.unit == "photo" and row.subgroup in ("female", "male"):
                own = report.find(row.label, row.subgroup)
                pair = [format_value(r.values[metric]) for r in (row, own)]
                body.append([row.label, row.subgroup, NAMES.get(metric, metric), *pair])
    note = (
        "A threshold of its own for each sex means that the same score is called positive in one "
        "sex and negative in the other. Each was chosen on the validation photos of one sex alone, "
        "so it is less certain than the shared one."
    )
    header = ["disease", "sex", "metric", "shared threshold", "threshold per sex"]
    return Table("shared", "What thresholds per sex change", header, body, [note])


def verdict_text(found: Difference) -> str:
    """The verdict, with the reason for none, and a warning where correction takes it back."""
    if found.verdict.endswith("better") and not found.p_holm < 0.05:
        return f"{found.verdict} (not after correction)"
    return found.verdict + (f" ({found.reason})" if found.reason else "")


def _abstention_table(report: Report) -> Table:
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
        "An answer is given where a single class is plausible; else “uncertain”. Limits by class "
        f"and sex from validation: at least {100 * (1 - report.alpha):.0f} % of the patients of "
        "each class and sex are covered, if new patients are like those; this doesn't bound the "
        "share of wrong answers. Fewer than "
        f"{math.ceil(1 / report.alpha - 1 - 1e-9)} validation patients of a class and sex rule "
        "nothing out."
    )
    return Table("abstention", "With the right to say “uncertain”", header, body, [note])


def _comparison_table(comparison: Comparison) -> Table:
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
        f"{c.photos} photos of {c.patients} patients ({c.positive_patients} with, "
        f"{c.negative_patients} without the disease): {c.size}. The same draws of patients for "
        "both models; AUROC by paired DeLong, clustered by patient.",
        f"Equivalent: the 90 % interval lies within ±{c.margin:g}. Undecided: neither a "
        "difference nor equivalence was shown.",
        f"McNemar, by patient: this model alone right on {c.by_patient.first_only} photos, the "
        f"other alone on {c.by_patient.second_only}; exact p {p_text(c.by_patient.p)}, mid-p "
        f"{p_text(c.by_patient.mid_p)}.",
    ]
    header = ["metric", "this", "other", "difference", "p (Holm)", "p (equivalence)", "verdict"]
    title = f"{c.label}: this model against the other"
    return Table(f"comparison_{c.label}", title, header, body, notes)
