"""Women against men: the difference, how sure it is, and what could be detected at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.options import SHUFFLES
from hf_cushing.evaluation.subgroups import Resampled, Sample
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats.intervals import INSUFFICIENT, SIZES, difference_interval, size_word, wilson
from hf_cushing.stats.metrics import METRICS, weighted_metrics
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.stats.significance import POWER, detectable_difference, permutation_p, with_holm

WOMEN, MEN = KNOWN_SEXES
NOTHING = (math.nan, math.nan)

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
        As in `SubgroupReport`; label ``grades`` for grades of severity.
    metric : str
        A name of `METRICS`, `PARITY` or `grade_metrics.GOALS`.
    women, men : float
        The metric; NaN for measures that are differences themselves.
    gap, low, high : float
        Women minus men with its 95 % interval; NaN where undefined.
    method : str
        ``from both intervals`` (Zou and Donner) or ``bootstrap``.
    expected : float
        The gap that the sexes' different shares of positives (or mixes of grades) would give by
        themselves: the mean over permutations of the sexes within each class. Near 0 but for
        metrics that depend on the prevalence, as precision and F1 do.
    p, p_holm : float
        How often a permutation of the sexes within each class, by patient, lies as far from
        `expected` as `gap` does; and adjusted by Holm's method for all gaps of this disease.
    worst : float
        The metric of the sex that is worse off in this sample; NaN where neither direction is.
    detectable : float
        Minimum detectable difference: a sample like this finds such a gap four times in five.
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
    sides = subgroups[WOMEN], subgroups[MEN]
    if not all(side.report.rows for side in sides):
        return []
    rows, women = sample.permuted_sexes(shuffles)
    decisions = decisions_of(sample.rows, label, points).select(rows)
    permuted = [weighted_metrics(decisions, part.astype(np.float32)) for part in (women, ~women)]
    goals = {metric: kind.goal for metric, kind in METRICS.items()}
    gaps = metric_gaps(label, goals, sides, permuted)
    return with_holm([*gaps, *(_parity_gap(label, name, sides, permuted) for name in PARITY)])


def metric_gaps(
    label: str,
    goals: Mapping[str, int],
    sides: tuple[Resampled, Resampled],
    permuted: Sequence[Mapping[str, np.ndarray]],
) -> list[Gap]:
    """Each metric of women minus that of men, without `Gap.p_holm`.

    Parameters
    ----------
    label : str
    goals : mapping
        Metric to 1, -1 or 0, as in `Metric`.
    sides : tuple of Resampled
        Women and men, on common draws.
    permuted : sequence of mapping
        The metrics of both sides when the sexes are permuted: shape (shuffles,) each.
    """
    gaps = []
    for metric, goal in goals.items():
        values = [side.report.values[metric] for side in sides]
        reason = next((f"undefined: {v.reason}" for v in values if math.isnan(v.estimate)), "")
        reason = reason or next((v.reason for v in values if math.isnan(v.low)), "")
        bounds, method = NOTHING, ""
        if not reason and values[0].method == "bootstrap":
            draws = sides[0].draws[metric] - sides[1].draws[metric]
            bounds, method = percentile_interval(draws, _level(sides)), "bootstrap"
        elif not reason:
            bounds = difference_interval(*((v.estimate, v.low, v.high) for v in values))
            method = "from both intervals"
        women, men = (value.estimate for value in values)
        chance = permutation_p(women - men, permuted[0][metric] - permuted[1][metric])
        gaps.append(
            _gap(label, sides[0].report.unit, metric, women, men, size=_size(sides), goal=goal,
                 bounds=bounds, method=method, chance=chance, reason=reason)
        )  # fmt: skip
    return gaps


def _gap(
    label: str,
    unit: str,
    metric: str,
    women: float,
    men: float,
    *,
    size: str,
    goal: int = 0,
    bounds: tuple[float, float] = NOTHING,
    method: str = "",
    chance: tuple[float, float] = NOTHING,
    reason: str = "",
    gap: float | None = None,
) -> Gap:
    """What follows from both sides, bounds, and chance (expected gap and p)."""
    low, high = bounds
    worse = ""
    if goal and (low > 0 or high < 0):
        worse = MEN if (low > 0) == (goal > 0) else WOMEN
    return Gap(
        label=label,
        unit=unit,
        metric=metric,
        women=women,
        men=men,
        gap=women - men if gap is None else gap,
        low=low,
        high=high,
        method=method,
        expected=chance[0],
        p=chance[1],
        worst=float(goal * np.minimum(goal * women, goal * men)) if goal else math.nan,
        detectable=detectable_difference(low, high),
        worse=worse,
        size=size,
        reason=reason,
    )


def _size(sides: tuple[Resampled, Resampled]) -> str:
    return min((side.report.size for side in sides), key=SIZES.index)


def _level(sides: tuple[Resampled, Resampled]) -> float:
    return max(side.level for side in sides)


def _parity_gap(
    label: str,
    name: str,
    sides: tuple[Resampled, Resampled],
    permuted: Sequence[Mapping[str, np.ndarray]],
) -> Gap:
    """A measure of difference, with percentiles of the draws, which pull it away from 0."""
    estimates = [
        {metric: np.array([value.estimate]) for metric, value in side.report.values.items()}
        for side in sides
    ]
    gap, size = float(_parity(name, *estimates)[0]), _size(sides)
    reason = "undefined: a sex lacks positives or negatives" if math.isnan(gap) else ""
    if size == "insufficient" and not reason:
        reason = f"no interval: fewer than {INSUFFICIENT} positive or negative patients of a sex"
    bounds, method = NOTHING, ""
    if not reason:
        draws = _parity(name, *(side.draws for side in sides))
        bounds, method = percentile_interval(draws, _level(sides)), "bootstrap"
    chance = permutation_p(gap, _parity(name, *permuted))
    return _gap(label, sides[0].report.unit, name, math.nan, math.nan, gap=gap, size=size,
                bounds=bounds, method=method, chance=chance, reason=reason)  # fmt: skip


def _parity(
    name: str, women: Mapping[str, np.ndarray], men: Mapping[str, np.ndarray]
) -> np.ndarray:
    gaps = {m: np.abs(women[m] - men[m]) for m in ("selection_rate", "recall", "specificity")}
    if name == "demographic_parity_difference":
        return gaps["selection_rate"]
    return np.maximum(gaps["recall"], gaps["specificity"])


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
    return _gap(
        "", "photo", "f1", sides[0][0], sides[1][0], goal=1,
        bounds=difference_interval(*sides), method="from both intervals",
        chance=(0.0, float(fisher_exact([women, men]).pvalue)),
        size=size_word(min(sum(women), sum(men))),
    )  # fmt: skip


def power_note(gap: Gap) -> str:
    """Say what the sample could have shown.

    >>> power_note(f1_gap_from_counts((11, 4), (3, 2)))
    'Minimum detectable difference in this sample: 0.47 (power 80 %).'
    """
    if math.isnan(gap.detectable):
        return f"No gap can be judged in this sample ({gap.reason or 'no interval'})."
    if gap.detectable >= 1 and gap.low >= -1:
        return "No gap, however large, is detectable in this sample."
    return (
        f"Minimum detectable difference in this sample: {gap.detectable:.2f} "
        f"(power {100 * POWER:.0f} %)."
    )
