"""An evaluation for other programs: one CSV."""

from __future__ import annotations

import csv
import io
import math

from hf_cushing.evaluation.grades import GRADES
from hf_cushing.evaluation.record import Report

COLUMNS = (
    "label", "unit", "subgroup", "metric", "estimate", "low", "high", "method", "expected", "p",
    "p_holm", "rows", "patients", "positive_patients", "negative_patients", "size", "reason",
)  # fmt: skip


def report_to_csv(report: Report) -> str:
    """One line a metric, subgroup and unit; gaps as subgroup ``female - male``.

    Grades of severity together have the label ``grades``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in report.subgroups:
        counts = [row.rows, row.patients, row.positive_patients, row.negative_patients, row.size]
        for name, v in row.values.items():
            numbers = [_cell(x) for x in (v.estimate, v.low, v.high)]
            start = [row.label, row.unit, row.subgroup, name, *numbers]
            writer.writerow([*start, v.method, "", "", "", *counts, v.reason])
    grading = report.grading
    for row in grading.rows if grading else ():
        for name, v in row.values.items():
            numbers = [_cell(x) for x in (v.estimate, v.low, v.high)]
            start = [GRADES, row.unit, row.subgroup, name, *numbers, v.method, "", "", ""]
            writer.writerow([*start, row.rows, row.patients, "", "", row.size, v.reason])
    for gap in [*report.gaps, *(grading.gaps if grading else ())]:
        numbers = [_cell(x) for x in (gap.gap, gap.low, gap.high)]
        tested = [gap.method, *(_cell(x) for x in (gap.expected, gap.p, gap.p_holm))]
        start = [gap.label, gap.unit, "female - male", gap.metric, *numbers, *tested]
        writer.writerow([*start, "", "", "", "", gap.size, gap.reason])
    return text.getvalue()


def _cell(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""
