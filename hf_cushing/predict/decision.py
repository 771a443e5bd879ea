"""Who decides a label, or "uncertain": operating points and plausible labels of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.run import ERROR_RATE, Run
from hf_cushing.schema import CONTROL, SEXES, UserError

UNCERTAIN = "uncertain"

DEFAULT_THRESHOLD = 0.5
"""Where no operating point was chosen."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a run's thresholds and limits make of one photo's probabilities.

    Attributes
    ----------
    probabilities : dict
        Label to a probability; they sum to 1.
    operating_points : dict
        Disease to the `OperatingPoint` that decided; None where none was chosen.
    plausible : tuple of str or None
        Labels that the photo may have at `run.ERROR_RATE`; None where that isn't known.
    sex : str
        As stated: ``female``, ``male`` or ``unknown``. It chooses operating points and limits.
    band : tuple of (float, float) or None
        Probabilities of the disease between which there is no answer, 0..1: that of the limits,
        stretched to the operating point where the two disagree. ``(0, 1)`` where the validation
        patients are too few. None without limits, or with more than two labels, where the answer
        doesn't hang on one probability.
    limit_patients : int
        The smallest number of validation patients of a class and sex behind the limits.
    """

    probabilities: dict[str, float]
    operating_points: dict[str, OperatingPoint | None]
    plausible: tuple[str, ...] | None
    sex: str
    band: tuple[float, float] | None
    limit_patients: int

    @property
    def thresholds(self) -> dict[str, float]:
        """Disease to the threshold in use."""
        points = self.operating_points.items()
        return {label: point.threshold if point else DEFAULT_THRESHOLD for label, point in points}

    @property
    def few_patients(self) -> bool:
        """Whether those behind the limits are too few to rule every label out."""
        return self.plausible is not None and self.limit_patients < 1 / ERROR_RATE - 1

    @property
    def called(self) -> tuple[str, ...]:
        """Diseases whose probability reaches the threshold."""
        limits = self.thresholds.items()
        return tuple(label for label, limit in limits if self.probabilities[label] >= limit)

    @property
    def disease(self) -> str:
        """The most probable disease."""
        return max(self.operating_points, key=self.probabilities.__getitem__)

    @property
    def label(self) -> str:
        """A label, or `UNCERTAIN` unless threshold and plausible labels agree on one."""
        by_threshold = self.called or (CONTROL,)
        certain = len(by_threshold) == 1 and self.plausible in (None, by_threshold)
        return by_threshold[0] if certain else UNCERTAIN


def decide(run: Run, probabilities: np.ndarray, sexes: Sequence[str]) -> list[Decision]:
    """Decide for each row.

    Parameters
    ----------
    run : Run
    probabilities : numpy.ndarray
        Shape (n, classes), columns as `run.labels`.
    sexes : sequence of str
        ``female``, ``male`` or ``unknown``; n of them.

    Raises
    ------
    UserError
        Another word for a sex.
    """
    of_sex = {sex: _of_sex(run, sex) for sex in set(sexes)}
    decisions = []
    for row, sex in zip(probabilities.tolist(), sexes, strict=True):
        named = dict(zip(run.labels, row, strict=True))
        limits, common = of_sex[sex]
        plausible = limits and tuple(x for x in run.labels if 1 - named[x] <= limits[x] + 1e-12)
        decisions.append(Decision(probabilities=named, plausible=plausible, sex=sex, **common))
    return decisions


def _of_sex(run: Run, sex: str) -> tuple[dict[str, float] | None, dict]:
    """The limits of each label, and what all decisions for people of this sex share."""
    if sex not in SEXES:
        raise UserError(f"sex '{sex}' is not known; choose {', '.join(SEXES)}")
    points = {label: run.operating_point(label, sex) for label in run.diseases}
    if run.limits is None:
        return None, {"operating_points": points, "band": None, "limit_patients": 0}
    limits = {label: run.limits.limit(label, sex) for label in run.labels}
    behind = [limit for label in run.labels for limit in run.limits.behind(label, sex)]
    return limits, {
        "operating_points": points,
        "band": _band(limits, points) if len(run.labels) == 2 else None,
        "limit_patients": min(limit.patients for limit in behind),
    }


def _band(
    limits: dict[str, float], points: dict[str, OperatingPoint | None]
) -> tuple[float, float]:
    ((disease, point),) = points.items()
    threshold = point.threshold if point else DEFAULT_THRESHOLD
    control_up_to, disease_from = min(1.0, limits[CONTROL]), max(0.0, 1 - limits[disease])
    bounds = (control_up_to, disease_from, threshold)
    return min(bounds), max(bounds)
