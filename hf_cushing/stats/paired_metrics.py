"""Metrics of two models on the same photos: differences, equivalence, verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from hf_cushing.stats.decisions import Decisions
from hf_cushing.stats.intervals import (
    LEVEL,
    clustered_aurocs,
    clustered_ratio,
    difference_interval,
    wilson,
)
from hf_cushing.stats.metrics import (
    CALIBRATED_FROM,
    FEW_TO_CALIBRATE,
    METRICS,
    NO_DRAWS,
    binary_metrics,
    weighted_metrics,
)
from hf_cushing.stats.resampling import NO_SPREAD, UNSTABLE, Patients, percentile_interval
from hf_cushing.stats.significance import permutation_p, tost, with_holm

NAN = math.nan

OTHER_THRESHOLDS = "false positives weigh by other thresholds in either model"
LEVELS = np.array([LEVEL, 2 * LEVEL - 1])
"""Of the interval that is shown, and of the one for equivalence: two one-sided tests at 5 %."""

SIGNIFICANT = 0.05
"""P values below this, with an interval that excludes 0, are taken for a difference."""


@dataclass(frozen=True)
class Difference:
    """A metric of the first model minus that of the second; NaN where undefined.

    Attributes
    ----------
    metric : str
    first, second, difference : float
    low, high, inner_low, inner_high : float
        95 % interval of the difference, and its 90 % interval.
    error, z : float
        Standard error, and difference / error.
    p : float
        Of the AUROC by `z`. Else of a permutation test: how often the difference is as large when
        the models are swapped within patients by chance; with the same photos in the denominator
        and one photo a patient that is McNemar's exact test, but for the chance of the draws.
    p_holm : float
        `p` adjusted for all metrics but the primary one, which stands as it is.
    equivalence_p : float
        Of `tost`.
    equivalent : bool
        The 90 % interval lies within the margin.
    method : str
        ``paired wilson`` (Newcombe's square-and-add of two Wilson intervals with their
        correlation, for shares of the same photos), ``delong``, ``bootstrap`` (expanded
        percentiles; both models on the same draws of patients), or ``none seen``: the models
        differ by the same in every draw, so that there is no error.
    verdict : str
        ``first better`` or ``second better`` (the 95 % interval excludes 0, and `p` is below 5 %),
        else ``equivalent`` or ``undecided``. What is better may still be equivalent: look at
        `equivalent`.
    reason : str
        Why something is undefined, or why neither model is called better.
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float = NAN
    high: float = NAN
    inner_low: float = NAN
    inner_high: float = NAN
    error: float = NAN
    z: float = NAN
    p: float = NAN
    p_holm: float = NAN
    equivalence_p: float = NAN
    equivalent: bool = False
    method: str = ""
    verdict: str = "undecided"
    reason: str = ""


def paired_differences(
    pair: tuple[Decisions, Decisions],
    who: Patients,
    *,
    draws: int,
    margin: float,
    primary: str,
    few: str = "",
) -> dict[str, Difference]:
    """Every metric's difference, with p values adjusted for there being several.

    Patients are drawn within the strata of `who`, which should be the classes alone: sexes within
    a class leave draws of a small sample almost no freedom.

    Parameters
    ----------
    pair : tuple of Decisions
        Of two models on the same photos.
    who : Patients
    draws : int
        Of patients for the intervals, common to both, and swaps of the models for p.
    margin : float
        Above 0: differences smaller than this don't matter.
    primary : str
        The metric whose p is not adjusted.
    few : str
        Why the sample is too small for intervals; empty if it is not.

    Returns
    -------
    dict
        Metric to `Difference`, in the order of `METRICS`.
    """
    whole = [binary_metrics(decisions) for decisions in pair]
    weights = who.draws(draws, np.random.default_rng(0))
    drawn = [weighted_metrics(decisions, weights) for decisions in pair]
    swapped = _swapped(pair, who, draws)
    differences, lacking = [], _incomparable(pair)
    for metric, kind in METRICS.items():
        first, second = (metrics[metric] for metrics in whole)
        bare = Difference(metric, first, second, first - second)
        if math.isnan(bare.difference):
            differences.append(replace(bare, reason=f"undefined: {kind.undefined}"))
        elif metric in lacking:
            differences.append(replace(bare, difference=NAN, reason=lacking[metric]))
        elif few:
            differences.append(replace(bare, reason=few))
        else:
            gaps = drawn[0][metric] - drawn[1][metric]
            found = _with_intervals(bare, gaps, pair, who)
            differences.append(_judged(found, margin, swapped[metric]))
    return {difference.metric: difference for difference in with_holm(differences, primary)}


def _incomparable(pair: tuple[Decisions, Decisions]) -> dict[str, str]:
    """Metrics whose difference says nothing about these models, and why."""
    few = len(pair[0].truth) < CALIBRATED_FROM
    found = {"ece": f"undefined: {FEW_TO_CALIBRATE}" if few else NO_DRAWS}
    if not np.array_equal(pair[0].threshold, pair[1].threshold):
        found["net_benefit"] = f"undefined: {OTHER_THRESHOLDS}"
    return found


def _swapped(pair: Sequence[Decisions], who: Patients, count: int) -> dict[str, np.ndarray]:
    """Differences of all metrics when the models are swapped within patients by chance."""
    columns = (np.concatenate(both) for both in zip(*(vars(d).values() for d in pair), strict=True))
    both = Decisions(*columns)
    kept = np.random.default_rng([0, 1]).random((count, who.count)) < 0.5
    own = kept[:, who.of_photo].astype(np.float32)
    one, two = (
        weighted_metrics(both, np.concatenate(sides, axis=1))
        for sides in ((own, 1 - own), (1 - own, own))
    )
    return {metric: one[metric] - two[metric] for metric in METRICS}


def _with_intervals(
    bare: Difference, draws: np.ndarray, pair: Sequence[Decisions], who: Patients
) -> Difference:
    """As `Difference.method` says; by the rule of three where nothing varies."""
    known = draws[np.isfinite(draws)]
    ends = np.array([percentile_interval(draws, who.level(level)) for level in LEVELS])
    error = NAN if np.isnan(ends).any() else float(known.std(ddof=1))
    method, shares = "bootstrap", _paired_shares(bare.metric, pair, who)
    if bare.metric == "auroc":
        error, method = _area_error(pair, who), "delong"
        ends = _around(bare, error * ndtri(0.5 + LEVELS / 2))
    elif shares is not None:
        method, ends = "paired wilson", shares
    reason = UNSTABLE if np.isnan(ends).any() else ""
    if error <= NO_SPREAD:
        error, method, ends = NAN, "none seen", _around(bare, _unseen(bare.metric, pair, who))
        reason = "no interval: the models agree here" if np.isnan(ends).any() else ""
    (low, high), (inner_low, inner_high) = ends.tolist()
    return replace(
        bare, low=low, high=high, inner_low=inner_low, inner_high=inner_high, error=error,
        method="" if reason else method, reason=reason,
    )  # fmt: skip


def _paired_shares(metric: str, pair: Sequence[Decisions], who: Patients) -> np.ndarray | None:
    """Intervals of the difference of two shares of the same photos; None for other metrics.

    Newcombe (1998, Stat Med 17:2635, method 10), by patient: Wilson's intervals on effective
    numbers, and the correlation of what each patient adds to either share.
    """
    ratio = METRICS[metric].ratio
    if ratio is None:
        return None
    (first, whole), (second, other) = (ratio(decisions.cells) for decisions in pair)
    if not np.array_equal(whole, other):
        return None
    sides = [clustered_ratio(part, whole, who) for part in (first, second)]
    added = [
        np.bincount(who.of_photo, part - side.estimate * whole, who.count)
        for part, side in zip((first, second), sides, strict=True)
    ]
    spread = math.sqrt(float(added[0] @ added[0]) * float(added[1] @ added[1]))
    together = float(added[0] @ added[1]) / spread if spread else 0.0
    ends = []
    for level in LEVELS:
        bounds = [(s.estimate, *wilson(s.estimate, s.effective, level)) for s in sides]
        ends.append(difference_interval(*bounds, correlation=together))
    return np.array(ends)


def _around(bare: Difference, halves: np.ndarray) -> np.ndarray:
    return bare.difference + np.outer(halves, [-1, 1])


def _area_error(pair: Sequence[Decisions], who: Patients) -> float:
    """Standard error of the difference of two AUROCs on the same photos."""
    scores = np.stack([decisions.score for decisions in pair])
    covariance = clustered_aurocs(pair[0].truth, scores, who)[1]
    return math.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


def _unseen(metric: str, pair: Sequence[Decisions], who: Patients) -> np.ndarray:
    """How far metrics may differ though they do in no draw, at `LEVELS`.

    Of n patients none does otherwise, so that a share of 1 - (tail)^(1/n) may at most (the "rule
    of three", Hanley and Lippman-Hand 1983, JAMA 249:1743), and each moves a difference by 2 at
    most. The rarest of positives, negatives, called and not called are those n.
    """
    if METRICS[metric].unbounded:
        return np.full(2, NAN)
    masks = [mask for each in pair for mask in (each.truth, each.called)]
    sides = [side for mask in masks for side in (mask, ~mask) if side.any()]
    rarest = min(who.count_in(side) for side in sides)
    return 2 * (1 - ((1 - LEVELS) / 2) ** (1 / rarest))


def _judged(difference: Difference, margin: float, swapped: np.ndarray) -> Difference:
    """Add z, p values and the verdict."""
    z = difference.difference / difference.error
    p = 2 * float(ndtr(-abs(z)))
    if difference.metric != "auroc" and not math.isnan(z):
        p = permutation_p(difference.difference, swapped, middle=0.0)[1]
    shown = difference.low > NO_SPREAD or difference.high < -NO_SPREAD
    shown = shown and (math.isnan(p) or p < SIGNIFICANT)
    equivalent = -margin < difference.inner_low and difference.inner_high < margin
    verdict, reason = "equivalent" if equivalent else "undecided", difference.reason
    goal = METRICS[difference.metric].goal
    if shown and goal:
        verdict = "first better" if (difference.low > 0) == (goal > 0) else "second better"
    elif shown:
        reason = "neither direction is better"
    return replace(
        difference,
        z=z,
        p=p,
        equivalence_p=tost(difference.difference, difference.error, margin),
        equivalent=equivalent,
        verdict=verdict,
        reason=reason,
    )
