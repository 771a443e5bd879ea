"""Women against men: the difference, how sure it is, and what could have been found at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import fisher_exact

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.options import SHUFFLES
from hf_cushing.evaluation.subgroups import Resampled, Sample, SubgroupReport, Value, size_word
from hf_cushing.stats.intervals import INSUFFICIENT, difference_interval, wilson
from hf_cushing.stats.metrics import METRICS, weighted_metrics
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.stats.significance import holm

WOMEN, MEN = "female", "male"

POWER = 0.8
"""The gap that could have been found is the one that a test at 5 % finds this often."""

PARITY = {
    "demographic_parity_difference": "the larger share called positive minus the smaller",
    "equalized_odds_difference": "the larger of the gaps in recall and in false alarms",
}
"""Fairness measures that are never negative; names as in fairlearn."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A metric of women minus that of men.

    Attributes
    ----------
    label, unit : str
        As in `SubgroupReport`.
    metric : str
        A name of `METRICS` or `PARITY`.
    women, men : float
        The metric; NaN for measures that are differences themselves.
    gap, low, high : float
        Women minus men with its 95 % interval; NaN where undefined.
    method : str
        ``from both intervals`` (Zou and Donner) or ``bootstrap``.
    expected : float
        The gap that the sexes' different shares of positives would give by themselves: the mean
        over permutations of the sexes within each class. Near 0 but for metrics that depend on
        the prevalence, as precision and F1 do.
    p, p_holm : float
        How often a permutation of the sexes within each class, by patient, lies as far from
        `expected` as `gap` does; and adjusted by Holm's method for all gaps of this disease.
    worst : float
        The metric of the sex that is worse off in this sample; NaN where neither direction is.
    detectable : float
        Size of a gap that a sample like this finds four times in five.
    worse : str
        The sex that is worse off, if the interval excludes 0; else empty.
    size : str
        ``insufficient``, ``wide`` or ``ok``, by the smaller sex.
    reason : str
        Why something is undefined.
    """

    label: str
    unit: str
    metric: str
    women: float
    men: float
    gap: float
    low: float
    high: float
    method: str
    expected: float
    p: float
    p_holm: float = math.nan
    worst: float = math.nan
    detectable: float
    worse: str
    size: str
    reason: str = ""


def sex_gaps(
    sample: Sample,
    label: str,
    points: Sequence[OperatingPoint],
    subgroups: dict[str, Resampled],
    *,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> list[Gap]:
    """Every metric's gap, and the parity measures.

    Parameters
    ----------
    sample : Sample
    label : str
    points : sequence of OperatingPoint
    subgroups : dict
        Of `report_subgroups` with the same sample, label and points.
    shuffles : int
        Permutations for the p values.
    """
    women, men = subgroups[WOMEN], subgroups[MEN]
    if not (women.report.rows and men.report.rows):
        return []
    shuffled = _shuffled(sample, label, points, shuffles, seed)
    gaps = [_metric_gap(m, women, men, shuffled) for m in METRICS]
    gaps += [_parity_gap(name, women, men, shuffled) for name in PARITY]
    adjusted = holm([gap.p for gap in gaps])
    return [replace(gap, p_holm=float(p)) for gap, p in zip(gaps, adjusted, strict=True)]


def f1_gap_from_counts(women: tuple[int, int], men: tuple[int, int]) -> Gap:
    """The gap between two published F1 scores, from hits and errors.

    F1 = 2 TP / (2 TP + errors), and the Jaccard index TP / (TP + errors) is a proportion of the
    photos that are positive or called so: its Wilson interval gives F1's, and Fisher's exact
    test on hits and errors gives p. Photos are taken for independent persons, which published
    tables don't tell.

    Parameters
    ----------
    women, men : tuple of int
        True positives; false positives and false negatives together.

    Examples
    --------
    11/13 and 3/4, the F1 of DINOv2 in Liu et al. 2025, are in the smallest counts 11 hits with 4
    errors, and 3 hits with 2 errors:

    >>> gap = f1_gap_from_counts((11, 4), (3, 2))
    >>> round(gap.gap, 3), round(gap.low, 2), round(gap.high, 2), round(gap.p, 2)
    (0.096, -0.18, 0.48, 0.61)
    """
    sides = []
    for hits, errors in (women, men):
        jaccard = hits / (hits + errors) if hits + errors else math.nan
        bounds = (jaccard, *wilson(jaccard, hits + errors))
        sides.append(tuple(2 * x / (1 + x) for x in bounds))
    low, high = difference_interval(*sides)
    gap = sides[0][0] - sides[1][0]
    return Gap(
        label="",
        unit="photo",
        metric="f1",
        women=sides[0][0],
        men=sides[1][0],
        gap=gap,
        low=low,
        high=high,
        method="from both intervals",
        expected=0.0,
        p=float(fisher_exact([women, men]).pvalue),
        worst=min(sides[0][0], sides[1][0]),
        detectable=detectable_gap(low, high),
        worse=worse_sex(low, high, 1),
        size=size_word(min(sum(women), sum(men))),
    )


def power_note(gap: Gap) -> str:
    """Say what the sample could have shown.

    >>> power_note(f1_gap_from_counts((11, 4), (3, 2)))
    'A gap under 0.47 could hardly have been found in this sample (power 80 %).'
    """
    if math.isnan(gap.detectable):
        return f"No gap can be judged in this sample ({gap.reason})."
    if gap.detectable >= 1 and gap.low >= -1:
        return "No gap at all could have been found in this sample."
    share = f"{100 * POWER:.0f} %"
    return (
        f"A gap under {gap.detectable:.2f} could hardly have been found in this sample "
        f"(power {share})."
    )


def _shuffled(
    sample: Sample, label: str, points: Sequence[OperatingPoint], shuffles: int, seed: int
) -> list[dict[str, np.ndarray]]:
    """The metrics of women and of men when sex is dealt anew among patients of one class."""
    known = np.flatnonzero(np.isin(sample.rows.sex, (WOMEN, MEN)))
    decisions = decisions_of(sample.rows, label, points).select(known)
    dealt = sample.who.select(known).shuffled(
        sample.rows.sex[known] == WOMEN,
        sample.rows.label[known],
        shuffles,
        np.random.default_rng([seed, 1]),
    )
    return [weighted_metrics(decisions, side.astype(np.float32)) for side in (dealt, ~dealt)]


def _metric_gap(
    metric: str, women: Resampled, men: Resampled, shuffled: list[dict[str, np.ndarray]]
) -> Gap:
    values = [side.report.values[metric] for side in (women, men)]
    gap = values[0].estimate - values[1].estimate
    if math.isnan(gap):
        reason = next(v.reason for v in values if math.isnan(v.estimate))
        return _gap_of(metric, women, men, values, reason=f"undefined: {reason}")
    chance = chance_of(gap, shuffled[0][metric] - shuffled[1][metric])
    drawn = women.draws[metric] - men.draws[metric]
    if any(math.isnan(v.low) for v in values):
        reason = next(v.reason for v in values if math.isnan(v.low))
        return _gap_of(metric, women, men, values, chance=chance, reason=reason)
    if values[0].method != "bootstrap":
        bounds = difference_interval(*((v.estimate, v.low, v.high) for v in values))
        method = "from both intervals"
    else:
        bounds, method = percentile_interval(drawn, max(women.level, men.level)), "bootstrap"
    return _gap_of(metric, women, men, values, bounds=bounds, method=method, chance=chance)


def _gap_of(
    metric: str,
    women: Resampled,
    men: Resampled,
    values: list[Value],
    *,
    bounds: tuple[float, float] = (math.nan, math.nan),
    method: str = "",
    chance: tuple[float, float] = (math.nan, math.nan),
    reason: str = "",
) -> Gap:
    return Gap(
        label=women.report.label,
        unit=women.report.unit,
        metric=metric,
        women=values[0].estimate,
        men=values[1].estimate,
        gap=values[0].estimate - values[1].estimate,
        low=bounds[0],
        high=bounds[1],
        method=method,
        expected=chance[0],
        p=chance[1],
        worst=_worst([value.estimate for value in values], METRICS[metric].goal),
        detectable=detectable_gap(*bounds),
        worse=worse_sex(*bounds, METRICS[metric].goal),
        size=_size(women.report, men.report),
        reason=reason,
    )


def _parity_gap(
    name: str, women: Resampled, men: Resampled, shuffled: list[dict[str, np.ndarray]]
) -> Gap:
    """A measure of difference, with percentiles of the draws, which pull it away from 0."""
    whole = [
        {m: np.array([side.report.values[m].estimate]) for m in METRICS} for side in (women, men)
    ]
    gap = float(_parity(name, *whole)[0])
    few = _size(women.report, men.report) == "insufficient"
    bounds = (math.nan, math.nan)
    if not few and not math.isnan(gap):
        bounds = percentile_interval(
            _parity(name, women.draws, men.draws), max(women.level, men.level)
        )
    expected, p = chance_of(gap, _parity(name, *shuffled))
    reason = "undefined: a sex lacks positives or negatives" if math.isnan(gap) else ""
    if few and not reason:
        reason = f"no interval: fewer than {INSUFFICIENT} positive or negative patients of a sex"
    return Gap(
        label=women.report.label,
        unit=women.report.unit,
        metric=name,
        women=math.nan,
        men=math.nan,
        gap=gap,
        low=bounds[0],
        high=bounds[1],
        method="" if reason else "bootstrap",
        expected=expected,
        p=p,
        detectable=detectable_gap(*bounds),
        worse="",
        size=_size(women.report, men.report),
        reason=reason,
    )


def _parity(name: str, women: dict[str, np.ndarray], men: dict[str, np.ndarray]) -> np.ndarray:
    gaps = {m: np.abs(women[m] - men[m]) for m in ("selection_rate", "recall", "specificity")}
    if name == "demographic_parity_difference":
        return gaps["selection_rate"]
    return np.maximum(gaps["recall"], gaps["specificity"])


def chance_of(gap: float, dealt: np.ndarray) -> tuple[float, float]:
    """Mean of the deals, and the two-sided p of a gap among them, itself counted as one.

    NaN where more than 5 % of the deals are undefined.
    """
    known = dealt[np.isfinite(dealt)]
    if math.isnan(gap) or len(known) < 0.95 * len(dealt):
        return math.nan, math.nan
    expected = float(known.mean())
    as_far = np.abs(known - expected) >= abs(gap - expected) - 1e-12
    return expected, float((1 + as_far.sum()) / (1 + len(known)))


def detectable_gap(low: float, high: float) -> float:
    """(z of 97.5 % + z of the power) × standard error, the latter from the interval's width."""
    z = float(ndtri(0.975))
    return (z + float(ndtri(POWER))) * (high - low) / (2 * z)


def _worst(values: list[float], goal: int) -> float:
    if not goal or any(math.isnan(value) for value in values):
        return math.nan
    return min(values) if goal > 0 else max(values)


def worse_sex(low: float, high: float, goal: int) -> str:
    """The sex that is worse off, if the interval of women minus men excludes 0; else empty."""
    if not goal or not (low > 0 or high < 0):
        return ""
    return MEN if (low > 0) == (goal > 0) else WOMEN


def _size(women: SubgroupReport, men: SubgroupReport) -> str:
    counts = [min(r.positive_patients, r.negative_patients) for r in (women, men)]
    return size_word(min(counts))
