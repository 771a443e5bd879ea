"""Which heatmap, if any, shows what the model uses: methods against random maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import interval_of
from hf_cushing.stats.resampling import Patients

INSENSITIVE = 0.8
"""From this correlation with maps of random weights on, a map shows the photo and not the model
(Adebayo et al. 2018 give no limit; this one is ours)."""


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """How a method fares.

    Attributes
    ----------
    method : str
    gain, random : float
        Insertion minus deletion area, -1..1, of the method and of a random map, means.
    better, low, high : float
        Gain minus that of the random map, with an interval over patients that holds for all
        methods together (95 %, Bonferroni).
    sanity : float
        Mean correlation with the maps of random weights, -1..1; NaN where maps are empty.
    patients, photos : int
    reason : str
        Why there is no interval; empty if there is one.
    """

    method: str
    gain: float
    random: float
    better: float
    low: float
    high: float
    sanity: float
    patients: int
    photos: int
    reason: str

    @property
    def proven(self) -> bool:
        """Better than random, and not blind to the weights."""
        return self.low > 0 and not self.sanity >= INSENSITIVE

    @property
    def verdict(self) -> str:
        """``yes``, or why it is not proven."""
        if self.proven:
            return "yes"
        return "no: shows the photo, not the model" if self.low > 0 else self.reason or "no"


def judge_methods(
    gains: Mapping[str, np.ndarray],
    randoms: Mapping[str, np.ndarray],
    sanities: Mapping[str, np.ndarray],
    patients: np.ndarray,
    *,
    draws: int = DRAWS,
) -> list[MethodRow]:
    """Judge each method on the same photos, the best gain over random first.

    Parameters
    ----------
    gains, randoms, sanities : mapping
        Method to values, shape (n,).
    patients : numpy.ndarray
        Shape (n,).
    """
    who = Patients(patients, np.full(len(patients), ""))
    weights = who.weights(draws)
    level = who.level(1 - 0.05 / max(1, len(gains)))
    rows = []
    for method, gain in gains.items():
        better = weights @ (gain - randoms[method]) / weights.sum(1)
        found = interval_of(better, who.count, level)
        known = sanities[method][np.isfinite(sanities[method])]
        rows.append(
            MethodRow(
                method=method,
                gain=float(gain.mean()),
                random=float(randoms[method].mean()),
                better=found.pop("estimate"),
                sanity=float(known.mean()) if len(known) else math.nan,
                patients=who.count,
                photos=len(patients),
                **found,
            )
        )
    return sorted(rows, key=lambda row: -row.better)


def best_method(rows: Sequence[MethodRow]) -> MethodRow | None:
    """The proven method with the highest gain over random; None where none is proven."""
    return next((row for row in rows if row.proven), None)
