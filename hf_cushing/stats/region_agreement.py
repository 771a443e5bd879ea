"""Do experts name the parts of the face that a model uses?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import interval_of
from hf_cushing.stats.region_shares import ratio, shares
from hf_cushing.stats.resampling import Patients


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How alike machine and readers order the regions.

    Attributes
    ----------
    measure : str
        ``spearman`` or ``kendall`` (tau-b), -1..1.
    level : str
        ``photo``: mean over photos; ``cohort``: between the mean shares of all photos.
    estimate, low, high : float
        With a 95 % interval over patients; NaN where undefined.
    patients, photos : int
        That have an order (not all regions alike on either side).
    reason : str
    """

    measure: str
    level: str
    estimate: float
    low: float
    high: float
    patients: int
    photos: int
    reason: str


def rank_agreement(
    machine: np.ndarray,
    human: np.ndarray,
    patients: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    draws: int = DRAWS,
) -> list[Agreement]:
    """Spearman's rho and Kendall's tau-b between machine and readers over the regions.

    Parameters
    ----------
    machine, human : numpy.ndarray
        Shape (n, regions), finite, 0 or more (drop signs first).
    patients, strata : numpy.ndarray
        Shape (n,); patients are drawn within strata.

    Returns
    -------
    list of Agreement
        Both measures by photo, then both for the cohort.

    Raises
    ------
    ValueError
        Where shapes differ, or values are negative or not finite.
    """
    both = [np.asarray(side, np.float64) for side in (machine, human)]
    if both[0].shape != both[1].shape or len(both[0]) != len(patients):
        raise ValueError(f"shapes {both[0].shape}, {both[1].shape} and {len(patients)} patients")
    if not all((np.isfinite(side) & (side >= 0)).all() for side in both):
        raise ValueError("scores of regions must be finite and 0 or more")
    ordered = np.all([np.ptp(side, axis=1) > 0 for side in both], axis=0)
    machine, human = (shares(side[ordered]) for side in both)
    kept = patients[ordered]
    who = Patients(kept, np.full(len(kept), "") if strata is None else strata[ordered])
    weights = who.weights(draws)
    rows = []
    for level in ("photo", "cohort"):
        for name, correlate in CORRELATIONS.items():
            if level == "photo":
                values = ratio(weights @ correlate(machine, human), weights.sum(1))
            else:
                values = correlate(weights @ machine, weights @ human)
            found = interval_of(values, who.count, who.level())
            counts = {"patients": who.count, "photos": len(kept)}
            rows.append(Agreement(measure=name, level=level, **counts, **found))
    return rows


def _spearman(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Of each row, shape (n,); NaN where a row is constant."""
    if not len(one):
        return np.zeros(0)
    a, b = (rankdata(side, axis=1) - (side.shape[1] + 1) / 2 for side in (one, two))
    return ratio((a * b).sum(1), np.sqrt((a * a).sum(1) * (b * b).sum(1)))


def _kendall(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Tau-b (Kendall 1945, Biometrika 33:239) of each row, from the signs of all pairs."""
    first, second = np.triu_indices(one.shape[1], 1)
    a, b = (np.sign(side[:, first] - side[:, second]) for side in (one, two))
    return ratio((a * b).sum(1), np.sqrt((a * a).sum(1) * (b * b).sum(1)))


CORRELATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "spearman": _spearman,
    "kendall": _kendall,
}


@dataclass(frozen=True)
class MaskAgreement:
    """A heatmap against a mask; all NaN, with a reason, for a mask that is empty or full.

    Attributes
    ----------
    iou : float
        Intersection over union of the mask with as many of the hottest pixels, 0..1.
    auroc : float
        Chance that a pixel within the mask is hotter than one outside, 0..1.
    hit : float
        1 where the hottest pixel lies in the mask, 0 where not; the share if several tie.
    area : float
        Share of the mask in the picture, 0..1: what `hit` is by chance.
    reason : str
    """

    iou: float
    auroc: float
    hit: float
    area: float
    reason: str = ""


def mask_agreement(heat: np.ndarray, mask: np.ndarray) -> MaskAgreement:
    """Compare a heatmap with what a person (or the drawer of a synthetic face) marked.

    Parameters
    ----------
    heat : numpy.ndarray
        Shape (h, w), finite; high is important. Ties are shared out, so that order of pixels
        does not matter.
    mask : numpy.ndarray
        bool, shape (h, w).

    Raises
    ------
    ValueError
        Where shapes differ or heat is not finite.

    Examples
    --------
    >>> mask_agreement(np.array([[3.0, 1.0], [2.0, 0.0]]), np.array([[True, False]] * 2))
    MaskAgreement(iou=1.0, auroc=1.0, hit=1.0, area=0.5, reason='')
    """
    heat, mask = np.asarray(heat, np.float64), np.asarray(mask, bool)
    if heat.shape != mask.shape or not np.isfinite(heat).all():
        raise ValueError(f"heat {heat.shape} must be finite and of the mask's shape {mask.shape}")
    heat, mask = heat.ravel(), mask.ravel()
    inside = int(mask.sum())
    area = inside / max(mask.size, 1)
    if not 0 < inside < mask.size:
        text = "undefined: the mask is empty or full"
        return MaskAgreement(math.nan, math.nan, math.nan, area, text)
    limit = np.partition(heat, -inside)[-inside]
    above, tied = heat > limit, heat == limit
    share = (inside - above.sum()) / tied.sum()
    shared = float(mask[above].sum() + share * mask[tied].sum())
    ranks = rankdata(heat)[mask].sum()
    auroc = (ranks - inside * (inside + 1) / 2) / (inside * (mask.size - inside))
    hit = float(mask[heat == heat.max()].mean())
    return MaskAgreement(shared / (2 * inside - shared), float(auroc), hit, area)
