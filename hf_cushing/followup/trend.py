"""The course of a cohort: mean change by sex, and a mixed model of the scores over time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.special import stdtrit
from scipy.stats import ttest_1samp, ttest_ind

from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import LEVEL, size_word

YEAR = 12.0
"""Months; the model is fitted in years, which keeps its numbers near 1."""

GROUPS = ("all", "female", "male")
DIFFERENCE = "women − men"
SLOPES, INTERCEPTS = "random intercept and slope", "random intercept"

FEWEST = 3
"""Patients with a slope that a model needs."""

NO_FIT = "no mixed model: it did not converge"
TOO_FEW = f"no mixed model: fewer than {FEWEST} patients have two visits and more than one time"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean or slope with its interval.

    Attributes
    ----------
    group : str
        One of `GROUPS`, or `DIFFERENCE`.
    patients : int
        Of a slope, those with more than one time; the others say nothing of it.
    value, low, high : float
        The interval is NaN where there are too few patients for one.
    size : str
        ``insufficient``, ``wide`` or ``ok``, by the smaller group.
    """

    group: str
    patients: int
    value: float
    low: float
    high: float
    size: str


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A mixed model of visit means: a straight line in time for each patient.

    Attributes
    ----------
    effects : str
        `SLOPES`, or `INTERCEPTS` where the former did not converge; empty without a model.
    slopes : list of Estimate
        Change of the score a month: all, women, men and their difference.
    lines : dict
        Group to (intercept, slope a month).
    reason : str
        Why there is no model, or no slopes of the patients' own.
    """

    effects: str = ""
    slopes: list[Estimate] = field(default_factory=list)
    lines: dict[str, tuple[float, float]] = field(default_factory=dict)
    reason: str = ""


def mean_changes(changes: np.ndarray, sexes: np.ndarray) -> list[Estimate]:
    """Mean change of all, women and men, and the difference of the sexes (Welch).

    Parameters
    ----------
    changes : numpy.ndarray
        float, shape (patients,).
    sexes : numpy.ndarray
        Words, shape (patients,).
    """
    women, men = changes[sexes == "female"], changes[sexes == "male"]
    rows = [
        _estimate(name, len(part), _mean(part),
                  lambda part=part: ttest_1samp(part, 0).confidence_interval(LEVEL))
        for name, part in zip(GROUPS, (changes, women, men), strict=True)
    ]  # fmt: skip
    few, both = min(len(women), len(men)), len(women) + len(men)
    gap = _mean(women) - _mean(men)

    def welch() -> tuple[float, float]:
        return ttest_ind(women, men, equal_var=False).confidence_interval(LEVEL)

    return [*rows, _estimate(DIFFERENCE, both, gap, welch, few)]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _estimate(
    group: str,
    patients: int,
    value: float,
    interval: Callable[[], tuple[float, float]],
    few: int | None = None,
) -> Estimate:
    """With an interval, if the smaller group (`few`, else all patients) is large enough."""
    size = size_word(patients if few is None else few)
    low, high = (math.nan, math.nan) if size == "insufficient" else map(float, interval())
    return Estimate(group=group, patients=patients, value=value, low=low, high=high, size=size)


def fit_trend(
    scores: np.ndarray, months: np.ndarray, patients: np.ndarray, sexes: np.ndarray
) -> Trend:
    """Fit score ~ months for all, and months × sex where there are women and men.

    Each patient has an intercept and a slope; where that does not converge, an intercept.

    Parameters
    ----------
    scores, months : numpy.ndarray
        float, shape (visits,).
    patients, sexes : numpy.ndarray
        Words, shape (visits,).
    """
    counts = {
        name: _with_slope(months[inside], patients[inside])
        for name, inside in zip(GROUPS, (sexes != "", sexes == "female", sexes == "male"),
                                strict=True)
    }  # fmt: skip
    if counts["all"] < FEWEST:
        return Trend(reason=TOO_FEW)
    both = min(counts["female"], counts["male"]) >= FEWEST
    line = np.stack([np.ones_like(months), months / YEAR], 1)
    woman = (sexes == "female").astype(float)[:, None]
    design = np.hstack([line * woman, line * (1 - woman)])
    known = sexes != "unknown"
    for effects in (SLOPES, INTERCEPTS):
        whole = _fit(scores, line, line, patients, effects)
        by_sex = None
        if both:
            by_sex = _fit(scores[known], design[known], line[known], patients[known], effects)
        if whole is not None and (by_sex is not None or not both):
            return _trend(effects, whole, by_sex, counts)
    return Trend(reason=NO_FIT)


def _with_slope(months: np.ndarray, patients: np.ndarray) -> int:
    """Patients with more than one time: the others say nothing of the slope."""
    return sum(len(np.unique(months[patients == name])) > 1 for name in np.unique(patients))


def _fit(
    scores: np.ndarray, design: np.ndarray, line: np.ndarray, patients: np.ndarray, effects: str
) -> Any:
    """The fitted model, or None where it did not converge to proper variances."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    inner = line if effects == SLOPES else line[:, :1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = MixedLM(scores, design, groups=patients, exog_re=inner).fit(reml=True)
            errors = model.bse_fe
        except (np.linalg.LinAlgError, ValueError):
            return None
    boundary = any("boundary" in str(w.message) or "singular" in str(w.message) for w in caught)
    if not model.converged or not np.isfinite(errors).all() or (boundary and effects == SLOPES):
        return None
    return model


def _trend(effects: str, whole: Any, by_sex: Any, counts: dict[str, int]) -> Trend:
    slopes = [_slope("all", whole, [0, 1], counts["all"])]
    intercept, slope = whole.fe_params
    lines = {"all": (intercept, slope / YEAR)}
    if by_sex is not None:
        women, men = counts["female"], counts["male"]
        slopes += [
            _slope("female", by_sex, [0, 1, 0, 0], women),
            _slope("male", by_sex, [0, 0, 0, 1], men),
            _slope(DIFFERENCE, by_sex, [0, 1, 0, -1], women + men, few=min(women, men)),
        ]
        a, b, c, d = by_sex.fe_params
        lines |= {"female": (a, b / YEAR), "male": (c, d / YEAR)}
    reason = "" if effects == SLOPES else f"{SLOPES} did not converge"
    return Trend(effects=effects, slopes=slopes, lines=lines, reason=reason)


def _slope(
    group: str, model: Any, contrast: list[float], patients: int, few: int | None = None
) -> Estimate:
    """A combination of the coefficients; Student's t on the patients, two each a line."""
    weights = np.array(contrast) / YEAR
    value = float(weights @ model.fe_params)

    def interval() -> tuple[float, float]:
        covariance = np.asarray(model.cov_params())[: len(weights), : len(weights)]
        freedom = patients - 2 * np.count_nonzero(weights)
        half = stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(weights @ covariance @ weights)
        return value - half, value + half

    return _estimate(group, patients, value, interval, few)


def require_statsmodels() -> None:
    """Refuse to start what needs statsmodels where it is not installed."""
    if find_spec("statsmodels") is None:
        raise UserError('statsmodels is not installed; run `pip install "hf-cushing[followup]"`')
