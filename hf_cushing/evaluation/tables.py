"""All tables of an evaluation, and its one CSV for other programs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from hf_cushing.evaluation.adjusted import adjusted_tables
from hf_cushing.evaluation.at_prevalence import prevalence_tables
from hf_cushing.evaluation.comparison import Comparison
from hf_cushing.evaluation.gap_tables import gap_table
from hf_cushing.evaluation.grades import GRADES, GradeRow, Grading
from hf_cushing.evaluation.operating_points import RULES
from hf_cushing.evaluation.plain import called_share
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.repeatability import repeatability_table
from hf_cushing.evaluation.subgroups import MACRO, WITHIN, SubgroupReport
from hf_cushing.evaluation.wording import (
    format_value,
    metric_and_role,
    own_verdict,
    title_of,
)
from hf_cushing.reports.table import Table, interval_text, number_text, p_text, table_to_csv
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.intervals import INSUFFICIENT, WIDE
from hf_cushing.stats.metrics import METRICS, shown_in
from hf_cushing.stats.significance import McNemar

PLAIN_METRICS = ("auroc", "recall", "specificity")
"""Shown of photos as they are."""


def report_tables(report: Report) -> list[Table]:
    """Subgroups and gaps of each disease, then grades and whatever else was asked for."""
    tables = []
    for unit in report.units:
        for label in report.labels:
            tables.append(subgroup_table(report, label, unit))
            gaps = report.gaps_of(label, unit)
            tables += [gap_table(gaps, primary=report.primary)] if gaps else []
    if report.grading:
        tables += grade_tables(report.grading, report.split)
    tables += [*prevalence_tables(report), *adjusted_tables(report.adjusted)]
    if report.shared:
        tables.append(_shared_table(report))
    if report.plain:
        tables += [plain_table(report, label) for label in report.labels if label != MACRO]
    if report.abstention:
        tables.append(_abstention_table(report))
    if report.repeatability:
        tables.append(repeatability_table(report.repeatability))
    return tables + [_comparison_table(comparison) for comparison in report.comparisons]


def first_tables(report: Report) -> Iterator[Table]:
    """A quarter of the metrics, in the unit of the first screen; one table a disease, or those
    of the grades.
    """
    unit = report.units[-1]
    if report.grading:
        tables = grade_tables(report.grading, report.split)
        yield from (table for table in tables if table.name.endswith(unit))
        return
    for label in report.labels:
        table = subgroup_table(report, label, unit, shown_in("first"))
        yield replace(table, name=f"first_{label}", notes=table.notes[:2])


def subgroup_table(
    report: Report, label: str, unit: str = "photo", metrics: Collection[str] = tuple(METRICS)
) -> Table:
    """Counts, then these metrics, by subgroup; with what must be said about them."""
    rows = report.rows(label, unit)
    people = [f"{r.positive_patients} / {r.negative_patients}" for r in rows]
    body = [["patients (positive / negative)", *people]]
    if unit == "photo":
        photos = [f"{r.positives} / {r.negatives}" for r in rows]
        body.append(["photos (positive / negative)", *photos])
    return Table(
        f"{label}_{unit}",
        _title("mean over the diseases" if label == MACRO else label, report.split, unit),
        ["", *(row.subgroup for row in rows)],
        body + _measured(rows, metrics),
        _subgroup_notes(report, label, unit, rows),
    )


def plain_table(report: Report, label: str) -> Table:
    """The aligned face beside the photo as it is, as transformers' own pipeline takes it."""
    body = []
    for aligned in report.rows(label):
        name = aligned.subgroup
        others = [
            next(row for row in rows if (row.label, row.subgroup) == (label, name))
            for rows in (report.plain.subgroups, report.plain.at_aligned)
        ]
        rows = [aligned, *others]
        small = " (insufficient)" if aligned.size == "insufficient" else ""
        for metric in PLAIN_METRICS:
            values = [format_value(row.values[metric]) for row in rows]
            body.append([f"{name}{small}", title_of(metric), *values])
        called = [f"{100 * called_share(row):.0f} %" for row in rows]
        body.append([f"{name}{small}", f"called {label}", *called])
    header = ["", "", "aligned face", "photo as it is", "photo as it is, aligned threshold"]
    notes = [
        "Photo as it is: the wide view that the dataset keeps, through the plain pipeline of "
        "transformers, without finding the face; at a threshold of its own, chosen on validation, "
        "and at the one chosen on aligned faces. Its probabilities are not calibrated: calibration "
        "belongs to aligned faces."
    ]
    title = f"{label}, {report.split} photos: aligned and as they are"
    return Table(f"{label}_plain", title, header, body, notes)


def _title(name: str, split: str, unit: str) -> str:
    return f"{name}, {split} photos" + (", by patient" if unit == "patient" else "")


def _measured(
    rows: Sequence[SubgroupReport | GradeRow], metrics: Collection[str]
) -> list[list[str]]:
    """Lines of sizes and metrics, a column a subgroup."""
    lines = [
        [title_of(metric), *(format_value(row.values[metric]) for row in rows)]
        for metric in rows[0].values
        if metric in metrics or (metric in WITHIN and "auroc" in metrics)
    ]
    return [["sample", *(row.size for row in rows)], *lines]


def _subgroup_notes(
    report: Report, label: str, unit: str, rows: Sequence[SubgroupReport]
) -> list[str]:
    """Where thresholds and intervals come from, and what is too small."""
    notes = [*_threshold_notes(report, label)]
    notes.append(
        "Intervals: 95 %, by patient: Wilson on the effective number of photos for proportions "
        "and F1, clustered DeLong for AUROC, bootstrap of patients for the rest."
    )
    if any(name in row.values for row in rows for name in WITHIN):
        notes.append(
            "AUROC pools the scores of several models, whose scales may differ; within folds only "
            "photos that one model scored are compared."
        )
    points = report.operating_points
    if points and report.split == points[0].split:
        notes.append("The threshold was chosen on this very split: these figures are too good.")
    for size, limit, meaning in (
        ("insufficient", INSUFFICIENT, "no statement about this subgroup is supported"),
        ("wide", WIDE, "read the intervals, not the figures"),
    ):
        few = f"fewer than {limit} positive or negative patients"
        notes += _small_notes(rows, size, few, meaning)
    if unit == "patient":
        notes.append("By patient: the mean log-odds over a patient's photos, same thresholds.")
    notes.append(
        "Sensitivity at specificity 0.9, and the reverse, are at thresholds chosen in each column "
        "on these very photos. Net benefit: a false alarm weighs as the odds of the threshold in "
        "use."
    )
    return notes


def _small_notes(
    rows: Sequence[SubgroupReport | GradeRow], size: str, few: str, meaning: str
) -> Iterator[str]:
    small = [row.subgroup for row in rows if row.size == size]
    if small:
        yield f"{size.capitalize()}: {', '.join(small)} ({few}); {meaning}."


def _threshold_notes(report: Report, label: str) -> Iterator[str]:
    for sex in ("all", *KNOWN_SEXES):
        points = [p for p in report.operating_points if (p.label, p.sex) == (label, sex)]
        if points:
            thresholds = ", ".join(f"{point.threshold:.3f}" for point in points)
            rule = points[0].rule
            meaning = RULES.get(rule) or rule.replace(":", " ")
            whose = "" if sex == "all" else f" for {sex}"
            yield f"Threshold{whose} {thresholds} ({rule} on {points[0].split}: {meaning})."


def grade_tables(grading: Grading, split: str) -> Iterator[Table]:
    """Metrics by subgroup, women against men, and who is called what; by photo and by patient."""
    for unit in dict.fromkeys(row.unit for row in grading.rows):
        rows = [row for row in grading.rows if row.unit == unit]
        body = [
            [f"patients, {grade}", *(str(row.grade_patients[grade]) for row in rows)]
            for grade in grading.grades
        ]
        if unit == "photo":
            body.append(["photos", *(str(row.rows) for row in rows)])
        body += _measured(rows, rows[0].values)
        header = ["", *(row.subgroup for row in rows)]
        title, notes = _title("Grades", split, unit), _grade_notes(grading, rows)
        yield Table(f"grades_{unit}", title, header, body, notes)
        gaps = [gap for gap in grading.gaps if gap.unit == unit]
        if gaps:
            yield gap_table(gaps)
        counts = [
            [grade, *map(str, line)]
            for grade, line in zip(grading.grades, rows[0].pairs, strict=True)
        ]
        title = f"Grades, {unit}s by true and called grade"
        note = "A row a true grade, a column a called one."
        yield Table(f"called_grades_{unit}", title, ["", *grading.grades], counts, [note])


def _grade_notes(grading: Grading, rows: Sequence[GradeRow]) -> list[str]:
    few = f"fewer than {INSUFFICIENT} patients of a grade"
    meaning = "no statement about this subgroup is supported"
    return [
        "Called: the median grade, the mildest up to which half of the probability lies. No other "
        "call has a smaller expected error in grades, and no threshold is chosen for it.",
        "Kappa: agreement beyond chance, errors counting by their square (0 by chance, 1 if all "
        "are right); it depends on the mix of grades. Mean absolute error: in grades; calling "
        f"everybody “{grading.constant}” gives {grading.constant_error:.3f} on these photos.",
        "Intervals: 95 %, bootstrap of patients within grade and sex.",
        *_small_notes(rows, "insufficient", few, meaning),
    ]


def _shared_table(report: Report) -> Table:
    body = []
    for metric in ("recall", "specificity", "precision", "f1"):
        for row in report.shared:
            if row.unit == "photo" and row.subgroup in KNOWN_SEXES:
                own = report.find(row.label, row.subgroup)
                pair = [format_value(r.values[metric]) for r in (row, own)]
                body.append([row.label, row.subgroup, title_of(metric), *pair])
    note = (
        "A threshold of its own for each sex means that the same score is called positive in one "
        "sex and negative in the other. Each was chosen on the validation photos of one sex alone, "
        "so it is less certain than the shared one."
    )
    header = ["disease", "sex", "metric", "shared threshold", "threshold per sex"]
    return Table("shared", "What thresholds per sex change", header, body, [note])


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


def _mcnemar_text(found: McNemar) -> str:
    if math.isnan(found.p):
        return f"No test: {found.reason}"
    return (
        "McNemar's test with the models swapped within patients: exact p "
        f"{p_text(found.p)}, mid-p {p_text(found.mid_p)}"
    )


def _comparison_table(comparison: Comparison) -> Table:
    body = [
        [
            metric_and_role(d.metric, comparison.primary),
            number_text(d.first),
            number_text(d.second),
            interval_text(d.difference, d.low, d.high),
            p_text(d.p),
            "–" if d.metric == comparison.primary else p_text(d.p_holm),
            p_text(d.equivalence_p),
            own_verdict(d),
        ]
        for d in comparison.differences.values()
    ]
    c = comparison
    notes = [
        f"{c.photos} photos of {c.patients} patients ({c.positive_patients} with, "
        f"{c.negative_patients} without the disease): {c.size}. By patient: AUROC by paired "
        "DeLong; shares of the same photos by Newcombe's paired interval; all others by draws of "
        "patients within the classes. p: by swapping the models within patients.",
        f"{title_of(c.primary)} is the primary metric, chosen before looking; all others are "
        "secondary, and p (Holm) is adjusted for their number.",
        f"Thresholds by {c.first_rule} (this) and {c.second_rule} (the other), each on validation.",
        f"Equivalent: the 90 % interval lies within ±{c.margin:g}. Undecided: neither a "
        "difference nor equivalence was shown.",
        f"Photos on which this model alone is right: {c.by_patient.first_only}; the other alone: "
        f"{c.by_patient.second_only}. {_mcnemar_text(c.by_patient)}.",
    ]
    header = ["metric", "this", "other", "difference", "p", "p (Holm)", "p (equivalence)",
              "verdict"]  # fmt: skip
    title = f"{c.label}: this model against the other"
    return Table(f"comparison_{c.label}", title, header, body, notes)


COLUMNS = (
    "label", "unit", "subgroup", "metric", "estimate", "low", "high", "method", "reference",
    "expected", "beyond", "beyond_low", "beyond_high", "p", "p_holm", "rows", "patients",
    "positive_patients", "negative_patients", "size", "reason",
)  # fmt: skip


def report_to_csv(report: Report) -> str:
    """One line a metric, subgroup and unit; gaps as subgroup ``female - male``.

    Grades of severity together have the label ``grades``.
    """
    body = [[_cell(line.get(name, "")) for name in COLUMNS] for line in _csv_lines(report)]
    return table_to_csv(Table("metrics", "", list(COLUMNS), body, []))


def _csv_lines(report: Report) -> Iterator[dict[str, Any]]:
    grading = report.grading
    for row in [*report.subgroups, *(grading.rows if grading else ())]:
        for metric, value in row.values.items():
            yield {"label": GRADES} | vars(row) | {"metric": metric} | vars(value)
    for gap in [*report.gaps, *(grading.gaps if grading else ())]:
        yield vars(gap) | {"subgroup": "female - male", "estimate": gap.gap}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else ""
    return str(value)
