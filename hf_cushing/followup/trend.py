"""The course of a cohort: mean change by sex, and a mixed model of the scores over time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.special import stdtrit
from scipy.stats import ttest_1samp, ttest_ind

from hf_cushing.evaluation.subgroups import size_word
from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import LEVEL

YEAR = 12.0
"""Months; the model is fitted in years, which keeps its numbers near 1."""

GROUPS = ("all", "female", "male")
DIFFERENCE = "women − men"
SLOPES, INTERCEPTS = "random intercept and slope", "random intercept"

NO_FIT = "no mixed model: it did not converge"
TOO_FEW = "no mixed model: fewer than 3 patients have two visits and more than one time"


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
    parts = {name: changes if name == "all" else changes[sexes == name] for name in GROUPS}
    found = [_mean(name, part) for name, part in parts.items()]
    women, men = parts["female"], parts["male"]
    few = min(len(women), len(men))
    low = high = math.nan
    if size_word(few) != "insufficient":
        low, high = ttest_ind(women, men, equal_var=False).confidence_interval(LEVEL)
    gap = float(women.mean() - men.mean()) if few else math.nan
    both = len(women) + len(men)
    found.append(_estimate(DIFFERENCE, both, few=few, value=gap, bounds=(low, high)))
    return found


def _mean(name: str, part: np.ndarray) -> Estimate:
    bounds = math.nan, math.nan
    if size_word(len(part)) != "insufficient":
        bounds = tuple(ttest_1samp(part, 0).confidence_interval(LEVEL))
    value = float(part.mean()) if len(part) else math.nan
    return _estimate(name, len(part), few=len(part), value=value, bounds=bounds)


def _estimate(
    group: str, patients: int, *, few: int, value: float, bounds: tuple[float, float]
) -> Estimate:
    low, high = (float(bound) for bound in bounds)
    return Estimate(
        group=group, patients=patients, value=value, low=low, high=high, size=size_word(few)
    )


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
    if not _enough(months, patients):
        return Trend(reason=TOO_FEW)
    years = months / YEAR
    known = sexes != "unknown"
    both = all(_enough(months[sexes == sex], patients[sexes == sex]) for sex in ("female", "male"))
    plain = np.stack([np.ones_like(years), years], 1)
    for effects in (SLOPES, INTERCEPTS):
        whole = _fit(scores, plain, years, patients, effects)
        apart = None
        if both:
            woman = (sexes == "female").astype(float)[:, None]
            design = np.hstack([plain * woman, plain * (1 - woman)])[known]
            apart = _fit(scores[known], design, years[known], patients[known], effects)
        if whole is not None and (apart is not None or not both):
            slopes = [_contrast("all", whole, [0, 1], _with_slope(months, patients))]
            slopes += _by_sex(apart, months, patients, sexes) if apart is not None else []
            lines = {"all": (whole.fe_params[0], whole.fe_params[1] / YEAR)}
            if apart is not None:
                a, b, c, d = apart.fe_params
                lines |= {"female": (a, b / YEAR), "male": (c, d / YEAR)}
            reason = "" if effects == SLOPES else f"{SLOPES} did not converge"
            return Trend(effects=effects, slopes=slopes, lines=lines, reason=reason)
    return Trend(reason=NO_FIT)


def _enough(months: np.ndarray, patients: np.ndarray) -> bool:
    return _with_slope(months, patients) >= 3


def _with_slope(months: np.ndarray, patients: np.ndarray) -> int:
    """Patients with more than one time: the others say nothing of the slope."""
    return sum(len(np.unique(months[patients == name])) > 1 for name in np.unique(patients))


def _fit(
    scores: np.ndarray, design: np.ndarray, years: np.ndarray, patients: np.ndarray, effects: str
) -> Any:
    """The fitted model, or None where it did not converge to proper variances."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    inner = np.ones((len(years), 1))
    if effects == SLOPES:
        inner = np.stack([np.ones_like(years), years], 1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = MixedLM(scores, design, groups=patients, exog_re=inner).fit(reml=True)
            errors = found.bse_fe
        except (np.linalg.LinAlgError, ValueError):
            return None
    boundary = any("boundary" in str(w.message) or "singular" in str(w.message) for w in told)
    if not found.converged or not np.isfinite(errors).all() or (boundary and effects == SLOPES):
        return None
    return found


def require_statsmodels() -> None:
    """Refuse to start what needs statsmodels where it is not installed."""
    if find_spec("statsmodels") is None:
        raise UserError('statsmodels is not installed; run `pip install "hf-cushing[followup]"`')


def _by_sex(
    model: Any, months: np.ndarray, patients: np.ndarray, sexes: np.ndarray
) -> Iterator[Estimate]:
    women, men = (
        _with_slope(months[sexes == sex], patients[sexes == sex]) for sex in ("female", "male")
    )
    yield _contrast("female", model, [0, 1, 0, 0], women)
    yield _contrast("male", model, [0, 0, 0, 1], men)
    yield _contrast(DIFFERENCE, model, [0, 1, 0, -1], women + men, few=min(women, men))


def _contrast(
    group: str, model: Any, contrast: list[float], patients: int, few: int | None = None
) -> Estimate:
    """A combination of the coefficients; Student's t on the patients, two each a line."""
    weights = np.array(contrast) / YEAR
    value = float(weights @ model.fe_params)
    error = float(np.sqrt(weights @ np.asarray(model.cov_params())[: len(weights), : len(weights)]
                          @ weights))  # fmt: skip
    few = patients if few is None else few
    half = math.nan
    if size_word(few) != "insufficient":
        half = float(stdtrit(patients - 2 * np.count_nonzero(weights), (1 + LEVEL) / 2)) * error
    return _estimate(group, patients, few=few, value=value, bounds=(value - half, value + half))
