"""What a follow-up found: scores and measures of dated photos, and each change since baseline."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from hf_cushing.followup.regions import RegionShares
from hf_cushing.followup.trend import Trend, fit_trend
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.run import Run
from hf_cushing.stats.intervals import LEVEL
from hf_cushing.stats.reliable_change import Change, Repeatability, outweighing, repeatability


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A visit beside its patient's baseline.

    Attributes
    ----------
    baseline, visit : int
        Rows of the visits.
    score : Change
        Of the log-odds: single numbers.
    camera : Change
        Of the measures of camera, pose and light, shape (measures,).
    changed, alarms : numpy.ndarray
        bool, shape (measures,); see `outweighing`.
    """

    baseline: int
    visit: int
    score: Change
    camera: Change
    changed: np.ndarray
    alarms: np.ndarray

    @property
    def verdict(self) -> str:
        """Of the score: `FELL`, `ROSE` or `NEITHER`."""
        return str(self.score.verdict())

    @property
    def smallest_change(self) -> float:
        """The change of the score above which it would have been called changed."""
        return float(self.score.high - self.score.change)


@dataclass(frozen=True, kw_only=True)
class Followup:
    """Scores and measures of dated photos; all else follows from them.

    Attributes
    ----------
    run : Run
    label : str
    cohort : DatedCohort
    log_odds : numpy.ndarray
        Of the label, float64, shape (photos,).
    measures : numpy.ndarray
        Of camera, pose and light, float64, shape (photos, measures); see `camera.MEASURES`.
    shares : RegionShares or None
    """

    run: Run
    label: str
    cohort: DatedCohort
    log_odds: np.ndarray
    measures: np.ndarray
    shares: RegionShares | None = None

    @property
    def left_out(self) -> dict[str, str]:
        """What was not followed, to the reason."""
        return self.cohort.left_out | (self.shares.left_out if self.shares else {})

    @cached_property
    def spread(self) -> Repeatability:
        """Of the log-odds."""
        return repeatability(self.log_odds, self.cohort.visits)

    @cached_property
    def means(self) -> np.ndarray:
        """Score of each visit, shape (visits,)."""
        return self.cohort.visits.means(self.log_odds)

    @cached_property
    def half_widths(self) -> np.ndarray:
        """Half widths of the 95 % intervals of `means`."""
        variance, free = self.spread.variance(1, 1 / self.cohort.visits.photos)
        return stdtrit(free, (1 + LEVEL) / 2) * np.sqrt(variance)

    @cached_property
    def comparisons(self) -> dict[int, Comparison]:
        """Of each visit after its patient's baseline, by the visit's row."""
        score, camera = self.cohort.change(self.log_odds), self.cohort.change(self.measures)
        changed, alarms = outweighing(camera, score)
        pairs = np.stack(self.cohort.pairs, 1).tolist()
        return {
            visit: Comparison(
                baseline=baseline, visit=visit, score=_one_of(score, n), camera=_one_of(camera, n),
                changed=changed[n], alarms=alarms[n],
            )
            for n, (baseline, visit) in enumerate(pairs)
        }  # fmt: skip

    def of_patient(self, patient: str) -> list[Comparison]:
        """A patient's comparisons, in order of date; none with one visit."""
        rows = self.cohort.rows(patient).tolist()
        return [self.comparisons[row] for row in rows if row in self.comparisons]

    @cached_property
    def last(self) -> dict[str, Comparison]:
        """Patient to the last visit beside the baseline; without patients of one visit."""
        patients = self.cohort.visits.patient
        return {str(patients[row]): visit for row, visit in self.comparisons.items()}

    @cached_property
    def trend(self) -> Trend:
        """Of treated patients, flat until treatment; of all, if nobody was treated."""
        cohort = self.cohort
        use = cohort.treated if cohort.treated.any() else np.full(len(cohort.visits), True)
        sexes = np.array([photo.sex for photo in cohort.facts])
        months = np.maximum(cohort.months, 0)
        return fit_trend(self.means[use], months[use], cohort.visits.patient[use], sexes[use])


def _one_of(change: Change, number: int) -> Change:
    return Change(**{item.name: getattr(change, item.name)[number] for item in fields(Change)})
