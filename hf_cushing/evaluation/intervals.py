"""Bootstrap intervals that draw whole patients, not photos."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri


def patient_bootstrap(
    statistic: Callable[[np.ndarray], dict[str, float]],
    patients: np.ndarray,
    strata: np.ndarray,
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of several statistics, by drawing patients within strata.

    Photos of one patient resemble each other: drawing photos would make the interval too
    narrow. Drawing within strata (label × sex) keeps the make-up of the sample.

    Parameters
    ----------
    statistic : callable
        From row numbers (int, shape (m,), repeats possible) to named values.
    patients, strata : numpy.ndarray
        Shape (n,): who, and of which stratum, each row is.
    draws : int
    seed : int
    level : float
        0..1.

    Returns
    -------
    dict
        Name to (low, high); NaN where the statistic was undefined in over 5 % of the draws.
    """
    rows = _rows_by_patient(patients, strata)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        picks = [
            group[i] for group in rows for i in rng.integers(len(group), size=len(group)).tolist()
        ]
        drawn.append(statistic(np.concatenate(picks)))
    tail = (1 - level) / 2
    return {
        name: _percentiles(np.array([values[name] for values in drawn]), tail) for name in drawn[0]
    }


def wilson(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion.

    Parameters
    ----------
    share : float
        Observed proportion, 0..1.
    count : int
        Number of independent observations; here: of patients.

    Examples
    --------
    Six of eight right (E. B. Wilson, J. Am. Stat. Assoc. 22:209, 1927):

    >>> [round(bound, 2) for bound in wilson(6 / 8, 8)]
    [0.41, 0.93]
    """
    if not count or math.isnan(share):
        return math.nan, math.nan
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _rows_by_patient(patients: np.ndarray, strata: np.ndarray) -> list[list[np.ndarray]]:
    """Row numbers of each patient, grouped by stratum."""
    groups = []
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        groups.append([inside[patients[inside] == p] for p in np.unique(patients[inside])])
    return groups


def _percentiles(values: np.ndarray, tail: float) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if len(defined) < 0.95 * len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
