"""How good grades of severity are: quadratic-weighted kappa and mean absolute error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.gaps import MEN, WOMEN, Gap, metric_gaps
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.options import SHUFFLES
from hf_cushing.evaluation.subgroups import Resampled, Sample, Value, values_of
from hf_cushing.schema import CONTROL, UsageError
from hf_cushing.stats.grade_metrics import GRADE_METRICS, median_grades, pair_metrics
from hf_cushing.stats.intervals import INSUFFICIENT, size_word
from hf_cushing.stats.significance import with_holm

GRADES = "grades"
"""In place of a disease: all grades together."""

TOO_FEW = f"no interval: fewer than {INSUFFICIENT} patients of a grade"


@dataclass(frozen=True, kw_only=True)
class GradeRow:
    """Metrics of one subgroup.

    Attributes
    ----------
    subgroup, unit : str
        As in `SubgroupReport`.
    rows, patients : int
    grade_patients : dict
        Grade to patients who have it.
    size : str
        ``insufficient``, ``wide`` or ``ok``, by the patients of the rarest grade.
    values : dict
        ``quadratic_kappa`` (at most 1, 0 by chance) and ``mean_absolute_error`` (in grades, 0 or
        more) to `Value`.
    pairs : list of list of int
        Photos or patients: a row a true grade, a column a called one.
    """

    subgroup: str
    unit: str
    rows: int
    patients: int
    grade_patients: dict[str, int]
    size: str
    values: dict[str, Value]
    pairs: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Grading:
    """How well grades are called.

    Attributes
    ----------
    grades : tuple of str
        Mildest first.
    rows : list of GradeRow
        By photo; and by patient where a patient has several photos.
    gaps : list of Gap
        Women minus men.
    constant : str
        The grade that is nearest to these photos' where all get the same.
    constant_error : float
        Its mean absolute error, for comparison.
    """

    grades: tuple[str, ...]
    rows: list[GradeRow]
    gaps: list[Gap]
    constant: str
    constant_error: float


def report_grades(
    samples: Sequence[Sample],
    grades: Sequence[str],
    *,
    by: Sequence[str] = ("sex",),
    shuffles: int = SHUFFLES,
) -> Grading:
    """Metrics for all and each subgroup, with bootstrap intervals over patients, and sex gaps.

    Parameters
    ----------
    samples : sequence of Sample
        Of `make_samples`.
    grades : sequence of str
        The labels, mildest first.
    by : sequence of str
        As `subgroup_masks` takes them.
    shuffles : int
        Of the permutation test.

    Raises
    ------
    UserError
        Grades that are not the labels.
    """
    check_grades(grades, samples[0].rows.labels)
    rows, gaps = [], []
    for sample in samples:
        graded = GradedSample(sample, grades)
        masks = subgroup_masks(sample.rows, by)
        subgroups = {name: graded.subgroup(name, mask) for name, mask in masks.items()}
        rows += [subgroup.report for subgroup in subgroups.values()]
        if WOMEN in masks:
            gaps += graded.gaps((subgroups[WOMEN], subgroups[MEN]), shuffles)
    whole = [row for row in rows if row.subgroup == "all"][-1]
    constant, error = _best_constant(np.array(whole.pairs).sum(1))
    return Grading(
        grades=tuple(grades),
        rows=rows,
        gaps=gaps,
        constant=grades[constant],
        constant_error=error,
    )


def check_grades(grades: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse grades that are not the labels in some order that begins with ``control``."""
    faults, unknown = [], [grade for grade in grades if grade not in labels]
    for fault, odd in (
        ("lacks", [label for label in labels if label not in grades]),
        ("doesn't know", unknown),
    ):
        if odd:
            subject = "--grades" if fault == "lacks" else "the dataset"
            faults.append(f"{subject} {fault} {', '.join(odd)}")
    if not faults and len(grades) != len(labels):
        faults.append("--grades names a label twice")
    if not faults and grades[0] != CONTROL:
        faults.append(f"--grades begins with {grades[0]} instead of {CONTROL}")
    if faults:
        raise UsageError(
            f"{'; '.join(faults)}; give all labels ({', '.join(labels)}) from none to worst"
            + (f". {_from_severity(grades)}" if unknown else "")
        )


def _from_severity(grades: Sequence[str]) -> str:
    """How a column of numbers becomes the labels that grades must be."""
    words = " ".join(f"{number}={grade}" for number, grade in enumerate(grades))
    return (
        "Grades are labels of the dataset. To make them of the table's column severity: hf-cushing "
        f'prepare RAW --out DATASET --column label=severity --map label {words} "=control" (the '
        "last for empty cells)"
    )


def _best_constant(counts: np.ndarray) -> tuple[int, float]:
    """The grade nearest to all, and its mean absolute error."""
    steps = np.arange(len(counts))
    errors = np.abs(steps[:, None] - steps) @ counts / max(counts.sum(), 1)
    return int(errors.argmin()), float(errors.min())


class GradedSample:
    """A sample with its true and called grades, and the metrics of any part of it.

    Parameters
    ----------
    sample : Sample
    grades : sequence of str
        The labels, mildest first.
    """

    def __init__(self, sample: Sample, grades: Sequence[str]):
        rows = sample.rows
        columns = [rows.labels.index(grade) for grade in grades]
        self.sample, self.grades = sample, list(grades)
        self.truth = np.array([self.grades.index(label) for label in rows.label.tolist()], int)
        called = median_grades(rows.probabilities[:, columns])
        count = len(grades)
        self.cells = np.eye(count**2, dtype=np.float32)[self.truth * count + called]

    def pairs(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Weight of each true grade and call in some rows: (m, grades, grades) of (m, rows)."""
        shape = (-1, len(self.grades), len(self.grades))
        return (weights.astype(np.float32) @ self.cells[rows]).reshape(shape)

    def subgroup(self, name: str, mask: np.ndarray) -> Resampled[GradeRow]:
        """Estimates, intervals and draws of the rows in `mask` (bool, shape (n,))."""
        inside = np.flatnonzero(mask)
        who, truth = self.sample.who.select(inside), self.truth[inside]
        pairs = self.pairs(np.ones((1, len(inside))), inside)
        draws = pair_metrics(self.pairs(self.sample.weights[:, inside], inside))
        held = {grade: who.count_in(truth == place) for place, grade in enumerate(self.grades)}
        size, level = size_word(min(held.values())), who.level()
        few = TOO_FEW if size == "insufficient" else ""
        estimates = {metric: float(value[0]) for metric, value in pair_metrics(pairs).items()}
        row = GradeRow(
            subgroup=name,
            unit=self.sample.unit,
            rows=len(inside),
            patients=who.count,
            grade_patients=held,
            size=size,
            values=values_of(GRADE_METRICS, estimates, draws, level=level, few=few),
            pairs=np.rint(pairs[0]).astype(int).tolist(),
        )
        return Resampled(row, draws, level)

    def gaps(
        self, sides: tuple[Resampled[GradeRow], Resampled[GradeRow]], shuffles: int
    ) -> list[Gap]:
        """Women minus men; the test permutes the sexes among the patients of each grade."""
        if not all(side.report.rows for side in sides):
            return []
        rows, women = self.sample.permuted_sexes(shuffles)
        permuted = [pair_metrics(self.pairs(part, rows)) for part in (women, ~women)]
        return with_holm(metric_gaps(GRADES, GRADE_METRICS, sides, permuted))
