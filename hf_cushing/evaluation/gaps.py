"""Women against men: the difference, how sure it is, and what could be detected at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.options import PRIMARY, SHUFFLES
from hf_cushing.evaluation.subgroup_f1.f1_formula import f1_score
from hf_cushing.evaluation.subgroups import Resampled, Sample
from hf_cushing.schema import KNOWN_SEXES
from hf_cushing.stats import POWER
from hf_cushing.stats.decisions import Decisions
from hf_cushing.stats.intervals import INSUFFICIENT, SIZES, difference_interval, size_word, wilson
from hf_cushing.stats.metrics import CALIBRATION, METRICS, Metric, weighted_metrics
from hf_cushing.stats.resampling import varied_interval
from hf_cushing.stats.significance import detectable_difference, permutation_p, with_holm

WOMEN, MEN = KNOWN_SEXES
NOTHING = (math.nan, math.nan)


def _largest_gap(women: Mapping[str, Any], men: Mapping[str, Any]) -> np.ndarray:
    """The larger gap of recall and specificity, never negative."""
    return np.maximum.reduce([np.abs(women[m] - men[m]) for m in ("recall", "specificity")])


LACKING = "a sex lacks positives or negatives"
PARITY = {
    "demographic_parity_difference": Metric("demographic parity difference", LACKING, goal=0),
    "equalized_odds_difference": Metric("equalised odds difference", LACKING, goal=0),
}
"""Fairness measures, named as in fairlearn."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A metric of women minus that of men.

    Attributes
    ----------
    label, unit : str
        As in `SubgroupReport`; label ``grades`` for grades of severity.
    metric : str
        A name of `METRICS`, `PARITY` or `GRADE_METRICS`.
    women, men : float
        The metric; NaN for measures that are differences themselves.
    gap, low, high : float
        Women minus men with its 95 % interval; NaN where undefined.
    method : str
        ``from both intervals`` (Zou and Donner) or ``bootstrap``.
    expected : float
        The gap that the sexes' different shares of positives (or mixes of grades) would give by
        themselves. Of metrics that change with the prevalence (`Metric.mixed`), as precision and
        F1 do: that of all rows weighed to the shares of women, and to those of men. Of the others
        the mean over permutations of the sexes within each class, which is near 0.
    beyond, beyond_low, beyond_high : float
        `gap` minus `expected`, with its 95 % interval (NaN where a sex is insufficient): of metrics
        that change with the prevalence; NaN for the others, where it is `gap`.
    p, p_holm : float
        How often a permutation of the sexes within each class, by patient, gives a gap as large
        beyond what is expected (of equalised odds: as large); and adjusted by Holm's method for
        all gaps of this disease but that of the primary metric, which stands as it is. NaN for
        measures of calibration.
    worst : float
        The metric of the sex that is worse off in this sample; NaN where neither direction is.
    detectable : float
        Minimum detectable difference: a sample like this finds such a gap four times in five.
    worse : str
        The sex that is worse off, if the interval excludes 0 and no sex is insufficient; else
        empty.
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
    beyond: float = math.nan
    beyond_low: float = math.nan
    beyond_high: float = math.nan
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
    primary: str = PRIMARY,
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
    primary : str
        The metric whose p is not adjusted.
    """
    sides = subgroups[WOMEN], subgroups[MEN]
    if not all(side.report.rows for side in sides):
        return []
    rows, women = sample.permuted_sexes(shuffles)
    decisions = decisions_of(sample.rows, label, points).select(rows)
    permuted = [weighted_metrics(decisions, part.astype(np.float32)) for part in (women, ~women)]
    one, own = np.ones((1, len(rows)), np.float32), sample.rows.sex[rows] == WOMEN
    mixed = [_mixed_gaps(decisions, w, own) for w in (one, sample.weights[:, rows])]
    # with one row a patient every permutation keeps the shares of positives
    several = len(rows) > sample.who.select(rows).count
    mixed.append(_mixed_gaps(decisions, one, women) if several else mixed[0])
    gaps = metric_gaps(label, METRICS, sides, permuted, mixed)
    shares = next(gap for gap in gaps if gap.metric == "selection_rate")
    gaps += [_demographic_parity(shares), _equalized_odds(label, sides, permuted)]
    return with_holm(gaps, primary)


def _mixed_gaps(
    decisions: Decisions, weights: np.ndarray, women: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each draw, the gap that the sexes' shares of positives give by themselves.

    All photos together, whose scores are the same in both sexes then, are weighed to the share of
    positives of women, and to that of men. Of `weights` and `women` (bool) either may have one row
    for each draw, shape (draws, n).
    """
    truth = decisions.truth
    totals = [weights[:, side].sum(1) for side in (truth, ~truth)]
    found = []
    for sex in (women, ~women):
        own = [(weights * (sex & side)).sum(1) for side in (truth, ~truth)]
        factors = [part / np.maximum(total, 1) for part, total in zip(own, totals, strict=True)]
        weighed = weights * np.where(truth, factors[0][:, None], factors[1][:, None])
        names = [name for name, metric in METRICS.items() if metric.mixed]
        found.append(weighted_metrics(decisions, weighed, names))
    return {name: values - found[1][name] for name, values in found[0].items()}


def metric_gaps(
    label: str,
    metrics: Mapping[str, Metric],
    sides: tuple[Resampled, Resampled],
    permuted: Sequence[Mapping[str, np.ndarray]],
    mixed: Sequence[Mapping[str, np.ndarray]] = (MappingProxyType({}),) * 3,
) -> list[Gap]:
    """Each metric of women minus that of men, without `Gap.p_holm`.

    Parameters
    ----------
    label : str
    metrics : mapping
        Name to `Metric`.
    sides : tuple of Resampled
        Women and men, on common draws.
    permuted : sequence of mapping
        The metrics of both sides when the sexes are permuted: shape (shuffles,) each.
    mixed : sequence of mapping
        Of metrics that change with the prevalence, the gap that this gives: here, shape (1,), in
        each draw, and in each permutation.
    """
    gaps = []
    for name, metric in metrics.items():
        values = [side.report.values[name] for side in sides]
        undefined = (f"undefined of a sex: {v.reason}" for v in values if math.isnan(v.estimate))
        bare = (f"{v.reason}, of a sex" for v in values if math.isnan(v.low))
        reason = next(undefined, "") or next(bare, "")
        bounds, method = NOTHING, ""
        if not reason and values[0].method == "bootstrap":
            draws = sides[0].draws[name] - sides[1].draws[name]
            bounds, method = varied_interval(draws, _level(sides)), "bootstrap"
        elif not reason:
            bounds = difference_interval(*((v.estimate, v.low, v.high) for v in values))
            method = "from both intervals"
        women, men = (value.estimate for value in values)
        here, in_draws, in_permuted = (kind.get(name, np.zeros(1)) for kind in mixed)
        left = permuted[0][name] - permuted[1][name] - in_permuted
        expected, p = permutation_p(women - men - float(here[0]), left)
        chance = NOTHING if name in CALIBRATION else (expected, p)
        chance = (float(here[0]), p) if name in mixed[0] else chance
        gap = _gap(women, men, bounds, chance, goal=metric.goal, label=label, metric=name,
                   unit=sides[0].report.unit, size=_size(sides), method=method,
                   reason=reason)  # fmt: skip
        if name in mixed[0]:
            gap = replace(gap, beyond=gap.gap - gap.expected)
        if name in mixed[0] and not reason and gap.size != "insufficient":
            draws = sides[0].draws[name] - sides[1].draws[name] - in_draws
            low, high = varied_interval(draws, _level(sides))
            gap = replace(gap, beyond_low=low, beyond_high=high)
        gaps.append(gap)
    return gaps


def _demographic_parity(shares: Gap) -> Gap:
    """The gap of the shares called positive without its sign: one quantity, one interval, one p."""
    low, high = sorted(abs(end) for end in (shares.low, shares.high))
    return replace(
        shares, metric="demographic_parity_difference", women=math.nan, men=math.nan,
        gap=abs(shares.gap), low=0.0 if shares.low <= 0 <= shares.high else low, high=high,
        beyond=math.nan, beyond_low=math.nan, beyond_high=math.nan,
    )  # fmt: skip


def _equalized_odds(
    label: str,
    sides: tuple[Resampled, Resampled],
    permuted: Sequence[Mapping[str, np.ndarray]],
) -> Gap:
    """With percentiles of the draws, which lie above 0 by themselves; a large one alone counts."""
    size = _size(sides)
    values = [{m: v.estimate for m, v in side.report.values.items()} for side in sides]
    gap, bounds, method, reason = float(_largest_gap(*values)), NOTHING, "", ""
    if math.isnan(gap):
        reason = f"undefined: {LACKING}"
    elif size == "insufficient":
        reason = f"no interval: fewer than {INSUFFICIENT} positive or negative patients of a sex"
    else:
        draws = _largest_gap(*(side.draws for side in sides))
        bounds, method = varied_interval(draws, _level(sides)), "bootstrap"
    chances = _largest_gap(*permuted)
    p = permutation_p(gap, chances, middle=0.0)[1]
    expected = float(np.nanmean(chances)) if math.isfinite(p) else math.nan
    return _gap(math.nan, math.nan, bounds, (expected, p), gap=gap, label=label,
                metric="equalized_odds_difference", unit=sides[0].report.unit, size=size,
                method=method, reason=reason)  # fmt: skip


def _gap(
    women: float,
    men: float,
    bounds: tuple[float, float],
    chance: tuple[float, float],
    *,
    goal: int = 0,
    gap: float | None = None,
    **known: Any,
) -> Gap:
    """What follows from both sides, bounds, and chance (expected gap and p)."""
    low, high = bounds
    worse = ""
    if goal and (low > 0 or high < 0) and known["size"] != "insufficient":
        worse = MEN if (low > 0) == (goal > 0) else WOMEN
    return Gap(
        women=women,
        men=men,
        gap=women - men if gap is None else gap,
        low=low,
        high=high,
        expected=chance[0],
        p=chance[1],
        worst=float(goal * np.minimum(goal * women, goal * men)) if goal else math.nan,
        detectable=detectable_difference(low, high),
        worse=worse,
        **known,
    )


def _size(sides: tuple[Resampled, Resampled]) -> str:
    return min((side.report.size for side in sides), key=SIZES.index)


def _level(sides: tuple[Resampled, Resampled]) -> float:
    return max(side.level for side in sides)


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
    from scipy.stats import fisher_exact  # takes a second

    sides = []
    for hits, errors in (women, men):
        jaccard = hits / (hits + errors) if hits + errors else math.nan
        bounds = (jaccard, *wilson(jaccard, hits + errors))
        sides.append(tuple(f1_score(np.array(bounds), 1).tolist()))
    p = float(fisher_exact([women, men]).pvalue)
    return _gap(
        sides[0][0], sides[1][0], difference_interval(*sides), (0.0, p), goal=1,
        label="", unit="photo", metric="f1", size=size_word(min(sum(women), sum(men))),
        method="from both intervals",
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
