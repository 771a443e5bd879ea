"""Tests: McNemar, permutation, two one-sided tests, correction for several, and their power."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.special import ndtr, ndtri

from hf_cushing.schema import UserError
from hf_cushing.stats import POWER

NAN = float("nan")

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """Where two models are right, and whether one is right more often.

    Attributes
    ----------
    both_right, first_only, second_only, both_wrong : int
        Photos.
    p, mid_p : float
        Exact, two-sided; and with half the chance of what was seen, which is less cautious.
    unit : str
        What is taken for independent: ``photo`` or ``patient``.
    reason : str
        Why p is NaN.
    """

    both_right: int
    first_only: int
    second_only: int
    both_wrong: int
    p: float
    mid_p: float
    unit: str
    reason: str = ""


def mcnemar(
    right_first: np.ndarray, right_second: np.ndarray, patients: np.ndarray | None = None
) -> McNemar:
    """McNemar's exact test (1947, Psychometrika 12:153) and its mid-p.

    The mid-p is that of Fagerland, Lydersen and Laake (2013, BMC Med Res Methodol 13:91). With
    `patients` the models are swapped within each patient, all photos together: a permutation
    test in which a patient weighs as many photos as one model is right on more than the other.
    All swaps are counted, none is drawn; with one photo a patient it is McNemar's test.

    Parameters
    ----------
    right_first, right_second : numpy.ndarray
        bool, shape (n,): the model's call is right.
    patients : numpy.ndarray, optional
        Shape (n,): whose photo it is.

    Examples
    --------
    >>> first, second = np.array([True] * 7 + [False]), np.array([False] * 7 + [True])
    >>> found = mcnemar(first, second)
    >>> round(found.p, 4), round(found.mid_p, 4)
    (0.0703, 0.0391)
    """
    unit = "photo" if patients is None else "patient"
    gain = right_first.astype(np.int64) - right_second
    if patients is not None:
        sums = np.bincount(np.unique(patients, return_inverse=True)[1], gain)
        gain = np.rint(sums).astype(np.int64)
    alike = not gain.any()
    beyond, same = _swaps(gain)
    return McNemar(
        both_right=int(np.sum(right_first & right_second)),
        first_only=int(np.sum(right_first & ~right_second)),
        second_only=int(np.sum(~right_first & right_second)),
        both_wrong=int(np.sum(~right_first & ~right_second)),
        p=NAN if alike else min(1.0, beyond + same),
        mid_p=NAN if alike else min(1.0, beyond + same / 2),
        unit=unit,
        reason=f"the models are right equally often on every {unit}" if alike else "",
    )


def _swaps(gain: np.ndarray) -> tuple[float, float]:
    """Chance of a sum farther from 0 than that of `gain`, and as far, if signs are dealt.

    Gains of one size have a binomial distribution; those of several sizes are convolved.
    """
    from scipy.stats import binom  # takes a second

    chances = np.ones(1)
    for size, count in zip(*np.unique(np.abs(gain[gain != 0]), return_counts=True), strict=True):
        part = np.zeros(2 * size * count + 1)
        part[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, part)
    distance = np.abs(np.arange(len(chances)) - len(chances) // 2)
    seen = abs(int(gain.sum()))
    return float(chances[distance > seen].sum()), float(chances[distance == seen].sum())


def holm(p_values: Iterable[float]) -> np.ndarray:
    """P values adjusted for there being several (Holm 1979, Scand J Stat 6:65).

    NaN stays NaN and does not count.

    >>> holm([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    adjusted = np.array(list(p_values), dtype=np.float64)
    known = np.flatnonzero(~np.isnan(adjusted))
    order = known[np.argsort(adjusted[known], kind="stable")]
    scaled = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted


def with_holm(rows: Sequence[Row], primary: str = "") -> list[Row]:
    """Dataclass records that have `metric` and `p`, with `p_holm` filled in.

    That of the `primary` metric is its `p`; the others are adjusted for being several.
    """
    adjusted = holm(NAN if row.metric == primary else row.p for row in rows)
    return [
        replace(row, p_holm=row.p if row.metric == primary else float(p))
        for row, p in zip(rows, adjusted, strict=True)
    ]


def permutation_p(seen: float, permuted: np.ndarray, middle: float = NAN) -> tuple[float, float]:
    """Mean of the permutations, and the two-sided p of what is seen, itself counted as one.

    Distances are from that mean, or from the `middle` where symmetry tells it. NaN where more than
    5 % of the permutations are undefined.

    >>> permutation_p(3.0, np.array([-1.0, 1.0, 0.0]))
    (0.0, 0.25)
    """
    known = permuted[np.isfinite(permuted)]
    if math.isnan(seen) or len(known) < 0.95 * len(permuted):
        return NAN, NAN
    expected = float(known.mean()) if math.isnan(middle) else middle
    as_far = np.abs(known - expected) >= abs(seen - expected) - 1e-12
    return expected, float((1 + as_far.sum()) / (1 + len(known)))


def detectable_difference(low: float, high: float) -> float:
    """Minimum detectable difference of a test at 5 %, from the width of a 95 % interval.

    (z of 97.5 % + z of `POWER`) × standard error.

    >>> round(detectable_difference(-0.098, 0.098), 3)
    0.14
    """
    z = float(ndtri(0.975))
    return (z + float(ndtri(POWER))) * (high - low) / (2 * z)


def tost(difference: float, error: float, margin: float) -> float:
    """P of two one-sided tests (Schuirmann 1987, J Pharmacokinet Biopharm 15:657).

    Below 0.05 the difference is shown to be smaller than the margin on either side.

    Parameters
    ----------
    difference, error, margin : float
        Estimate, its standard error, and what would matter (above 0), in one unit.

    Returns
    -------
    float
        0..1; NaN if the difference is undefined or has no error.

    Examples
    --------
    >>> round(tost(0.01, 0.02, 0.05), 4)
    0.0228
    """
    check_margin(margin)
    if not error > 0 or math.isnan(difference):
        return NAN
    return float(ndtr((abs(difference) - margin) / error))


def check_margin(margin: float) -> None:
    """Refuse a margin of equivalence that is not above 0."""
    if not margin > 0:
        raise UserError(f"the margin of equivalence must be above 0, not {margin}")
