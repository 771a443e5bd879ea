"""The tables of an evaluation for other programs: CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hf_cushing.evaluation.ordinal import GRADES
from hf_cushing.evaluation.tables import GAP_HEADER, gap_rows, subgroup_rows, table_title, tables
from hf_cushing.schema import RESEARCH_NOTICE

if TYPE_CHECKING:
    from hf_cushing.evaluation.report import Report

COLUMNS = (
    "label", "unit", "subgroup", "metric", "estimate", "low", "high", "method", "expected", "p",
    "p_holm", "rows", "patients", "positive_patients", "negative_patients", "size", "reason",
)  # fmt: skip

LATEX = {"%": r"\%", "&": r"\&", "_": r"\_", "–": "--", "≥": r"$\geq$", "<": r"$<$", "#": r"\#"}


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


def report_to_latex(report: Report) -> str:
    """The tables of subgroups and gaps as ``tabular``; needs the package booktabs."""
    lines = [f"% {RESEARCH_NOTICE}"]
    for label, unit, rows in tables(report.subgroups):
        title = table_title(label, unit, report.split)
        lines += latex_lines(title, ["", *(row.subgroup for row in rows)], subgroup_rows(rows))
        gaps = [gap for gap in report.gaps if (gap.label, gap.unit) == (label, unit)]
        if gaps:
            lines += latex_lines(f"{label}, women minus men, by {unit}", GAP_HEADER, gap_rows(gaps))
    return "\n".join(lines) + "\n"


def _cell(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""


def latex_lines(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A ``table`` with its caption."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join("".join(LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"

    return [
        r"\begin{table}", rf"\caption{{{''.join(LATEX.get(c, c) for c in title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule", line(header), r"\midrule",
        *map(line, body), r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ]  # fmt: skip
