"""How good grades of severity are: quadratic-weighted kappa and mean absolute error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_cushing.evaluation.gaps import MEN, WOMEN, Gap, chance_of, detectable_gap, worse_sex
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.predictions import Predictions, by_patient
from hf_cushing.evaluation.subgroups import Sample, Value, make_sample, size_word, value_of
from hf_cushing.stats import DRAWS
from hf_cushing.stats.grade_metrics import GOALS, check_grades, median_grades, pair_metrics
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.stats.significance import holm

GRADES = "grades"
"""In place of a disease: all grades together."""

UNDEFINED = "all are of one grade and called so"
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
    """How well grades are told.

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
    scored: Predictions,
    grades: Sequence[str],
    *,
    by: Sequence[str] = ("sex",),
    draws: int = DRAWS,
    shuffles: int = 2000,
) -> Grading:
    """Metrics for all and each subgroup, with bootstrap intervals over patients, and sex gaps.

    Parameters
    ----------
    scored : Predictions
        Of one split.
    grades : sequence of str
        The labels, mildest first.
    by : sequence of str
        As `subgroup_masks` takes them.
    draws, shuffles : int
        Of the bootstrap and of the permutation test.

    Raises
    ------
    UserError
        Grades that are not the labels.
    """
    check_grades(grades, scored.labels)
    units = {"photo": scored}
    patients = by_patient(scored)
    if len(patients) < len(scored):
        units["patient"] = patients
    rows, gaps = [], []
    for unit, part in units.items():
        graded = GradedSample(make_sample(part, unit, draws=draws), grades)
        masks = subgroup_masks(graded.sample.rows, by)
        rows += [graded.row(name, mask) for name, mask in masks.items()]
        if WOMEN in masks:
            gaps += graded.gaps(masks[WOMEN], masks[MEN], shuffles)
    constant, error = _best_constant(np.array(rows[0].pairs).sum(1))
    return Grading(
        grades=tuple(grades),
        rows=rows,
        gaps=gaps,
        constant=grades[constant],
        constant_error=error,
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
        self.sample, self.names, self.count = sample, list(grades), len(grades)
        self.truth = np.array([self.names.index(label) for label in rows.label.tolist()], int)
        called = median_grades(rows.probabilities[:, columns])
        self.kinds = np.eye(self.count**2, dtype=np.float32)[self.truth * self.count + called]

    def pairs(self, weights: np.ndarray) -> np.ndarray:
        """Weight of each true grade and call: (m, grades, grades) of weights (m, n)."""
        return (weights @ self.kinds).reshape(-1, self.count, self.count)

    def drawn(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        """Each metric in every draw of patients, of the rows in `mask` (bool, shape (n,))."""
        return pair_metrics(self.pairs(self.sample.weights * mask.astype(np.float32)))

    def level(self, mask: np.ndarray) -> float:
        """At which these draws are cut (`Patients.level`)."""
        return self.sample.who.select(np.flatnonzero(mask)).level()

    def row(self, name: str, mask: np.ndarray) -> GradeRow:
        """Estimates and intervals of one subgroup."""
        inside = np.flatnonzero(mask)
        patients = self.sample.rows.patient_id[inside]
        pairs = self.pairs(mask[None].astype(np.float32))
        held = {
            grade: len(set(patients[self.truth[inside] == place].tolist()))
            for place, grade in enumerate(self.names)
        }
        size = size_word(min(held.values()))
        draws, level = self.drawn(mask), self.level(mask)
        values = {
            metric: _value(float(found[0]), draws[metric], level=level, size=size)
            for metric, found in pair_metrics(pairs).items()
        }
        return GradeRow(
            subgroup=name,
            unit=self.sample.unit,
            rows=len(inside),
            patients=len(set(patients.tolist())),
            grade_patients=held,
            size=size,
            values=values,
            pairs=np.rint(pairs[0]).astype(int).tolist(),
        )

    def gaps(self, women: np.ndarray, men: np.ndarray, shuffles: int) -> list[Gap]:
        """Women minus men; the test deals the sexes anew among the patients of each grade."""
        if not (women.any() and men.any()):
            return []
        sides = [self.row(name, mask) for name, mask in ((WOMEN, women), (MEN, men))]
        draws = [self.drawn(mask) for mask in (women, men)]
        level = max(self.level(women), self.level(men))
        dealt = self._dealt(women | men, women, shuffles)
        found = [
            _gap(
                metric,
                sides,
                drawn=draws[0][metric] - draws[1][metric],
                dealt=dealt[0][metric] - dealt[1][metric],
                level=level,
            )
            for metric in GOALS
        ]
        adjusted = holm([gap.p for gap in found])
        return [replace(gap, p_holm=float(p)) for gap, p in zip(found, adjusted, strict=True)]

    def _dealt(
        self, known: np.ndarray, women: np.ndarray, shuffles: int
    ) -> list[Mapping[str, np.ndarray]]:
        inside = np.flatnonzero(known)
        marks = self.sample.who.select(inside).shuffled(
            women[inside], self.truth[inside], shuffles, np.random.default_rng([0, 1])
        )
        kinds = self.kinds[inside]
        shape = (-1, self.count, self.count)
        return [
            pair_metrics((side.astype(np.float32) @ kinds).reshape(shape))
            for side in (marks, ~marks)
        ]


def _value(estimate: float, draws: np.ndarray, *, level: float, size: str) -> Value:
    few = TOO_FEW if size == "insufficient" else ""
    return value_of(estimate, draws, level=level, undefined=UNDEFINED, few=few)


def _gap(
    metric: str,
    sides: Sequence[GradeRow],
    *,
    drawn: np.ndarray,
    dealt: np.ndarray,
    level: float,
) -> Gap:
    values = [side.values[metric] for side in sides]
    gap, goal = values[0].estimate - values[1].estimate, GOALS[metric]
    reason = next((value.reason for value in values if value.reason), "")
    low, high = (math.nan, math.nan) if reason else percentile_interval(drawn, level)
    expected, p = chance_of(gap, dealt)
    rarest = min(min(side.grade_patients.values()) for side in sides)
    return Gap(
        label=GRADES,
        unit=sides[0].unit,
        metric=metric,
        women=values[0].estimate,
        men=values[1].estimate,
        gap=gap,
        low=low,
        high=high,
        method="" if reason else "bootstrap",
        expected=expected,
        p=p,
        worst=(min if goal > 0 else max)(value.estimate for value in values),
        detectable=detectable_gap(low, high),
        worse=worse_sex(low, high, goal),
        size=size_word(rarest),
        reason=reason,
    )
