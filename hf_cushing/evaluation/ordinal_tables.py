"""The tables of grades of severity, and what they support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hf_cushing.evaluation.gaps import Gap
from hf_cushing.evaluation.grades import GradeRow, Grading
from hf_cushing.evaluation.tables import GAP_HEADER, NAMES, format_value, gap_rows
from hf_cushing.reports.table import Table, p_text
from hf_cushing.stats.grade_metrics import ERROR, GOALS, KAPPA
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.significance import POWER


def grade_tables(grading: Grading, split: str) -> Iterator[Table]:
    """Metrics by subgroup, women against men, and who is called what; by photo and by patient."""
    for unit in dict.fromkeys(row.unit for row in grading.rows):
        rows = [row for row in grading.rows if row.unit == unit]
        title = f"Grades, {split} photos" + (", by patient" if unit == "patient" else "")
        header = ["", *(row.subgroup for row in rows)]
        body, notes = _metric_rows(grading, rows), _notes(grading, rows)
        yield Table(f"grades_{unit}", title, header, body, notes)
        gaps = [gap for gap in grading.gaps if gap.unit == unit]
        if gaps:
            title, body = f"Grades, women minus men, by {unit}", gap_rows(gaps)
            yield Table(f"gaps_grades_{unit}", title, GAP_HEADER, body, _gap_notes(gaps))
        counts = [
            [grade, *map(str, line)]
            for grade, line in zip(grading.grades, rows[0].pairs, strict=True)
        ]
        title = f"Grades, {unit}s by true and called grade"
        note = "A row a true grade, a column a called one."
        yield Table(f"called_grades_{unit}", title, ["", *grading.grades], counts, [note])


def grade_verdicts(grading: Grading) -> list[str]:
    """A sentence for each subgroup."""
    return [
        f"Grades, {row.subgroup}: quadratic kappa {format_value(row.values[KAPPA], 2)}, mean error "
        f"{format_value(row.values[ERROR], 2)} grades, {row.patients} patients"
        + (": insufficient for any statement." if row.size == "insufficient" else ".")
        for row in grading.rows
        if row.unit == "photo"
    ]


def _metric_rows(grading: Grading, rows: Sequence[GradeRow]) -> list[list[str]]:
    """Counts first, then the metrics."""
    body = [
        [f"patients, {grade}", *(str(row.grade_patients[grade]) for row in rows)]
        for grade in grading.grades
    ]
    if rows[0].unit == "photo":
        body.append(["photos", *(str(row.rows) for row in rows)])
    body.append(["sample", *(row.size for row in rows)])
    for metric in GOALS:
        body.append([NAMES[metric], *(format_value(row.values[metric]) for row in rows)])
    return body


def _notes(grading: Grading, rows: Sequence[GradeRow]) -> list[str]:
    notes = [
        "Called: the median grade, the mildest up to which half of the probability lies. No other "
        "call has a smaller expected error in grades, and no threshold is chosen for it.",
        "Kappa: agreement beyond chance, errors counting by their square (0 by chance, 1 if all "
        "are right); it depends on the mix of grades. Mean absolute error: in grades; calling "
        f"everybody “{grading.constant}” gives {grading.constant_error:.3f} on these photos.",
        "Intervals: 95 %, bootstrap of patients within grade and sex.",
    ]
    small = [row.subgroup for row in rows if row.size == "insufficient"]
    if small:
        notes.append(
            f"Insufficient: {', '.join(small)} (fewer than {INSUFFICIENT} patients of a grade); no "
            "statement about this subgroup is supported."
        )
    return notes


def _gap_notes(gaps: Sequence[Gap]) -> list[str]:
    notes = [_gap_sentence(gap) for gap in gaps]
    notes.append(
        "Gap: women minus men, 95 % interval. “By make-up”: the gap that the sexes' different "
        "mixes of grades give by themselves. p: whether the gap differs from that, by permuting "
        "the sexes within each grade, by patient."
    )
    return notes


def _gap_sentence(gap: Gap) -> str:
    """What the interval and the test support, and no more."""
    name = NAMES[gap.metric]
    if gap.size == "insufficient" or math.isnan(gap.low):
        return f"{name}: no statement about women and men ({gap.reason or 'no interval'})."
    if gap.p_holm < 0.05:
        better = (gap.gap > gap.expected) == (GOALS[gap.metric] > 0)
        return (
            f"{name}: worse for {'men' if better else 'women'} than the sexes' mixes of grades "
            f"explain: women minus men {gap.gap:.2f}, by make-up alone {gap.expected:.2f}; "
            f"p {p_text(gap.p_holm)} (Holm)."
        )
    if gap.worse:
        worse = {"male": "men", "female": "women"}[gap.worse]
        return (
            f"{name}: worse for {worse} in this sample, by {abs(gap.gap):.2f}; the sexes' "
            f"different mixes of grades alone give {abs(gap.expected):.2f}, and beyond that "
            f"nothing was shown (p {p_text(gap.p_holm)}, Holm)."
        )
    return (
        f"{name}: no gap was shown, which is not the same as none. One under "
        f"{gap.detectable:.2f} could hardly have been found in this sample (power "
        f"{100 * POWER:.0f} %)."
    )
