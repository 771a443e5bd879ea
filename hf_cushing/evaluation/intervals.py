"""Bootstrap intervals that draw whole patients, not photos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


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
