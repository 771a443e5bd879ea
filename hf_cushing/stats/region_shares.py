"""Which parts of the face a model uses, for women and men, and whether experts name the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.faces.regions import REGIONS
from hf_cushing.stats.region_agreement import (
    TOO_FEW,
    Agreement,
    MaskAgreement,
    ReaderRegions,
    interval_of,
    mask_agreement,
    rank_agreement,
    ratio,
    read_reader_regions,
    shares,
)
from hf_cushing.stats.resampling import DRAWS, Patients, strata_of

OUTSIDE = "outside"
SHORTCUT = 0.5
"""Share of the attribution outside the face above which a model is suspected of a shortcut."""

DIFFERENCE = "female − male"


@dataclass(frozen=True, kw_only=True)
class RegionRow:
    """One measure of one region in one group.

    Attributes
    ----------
    region : str
        A region, or the name of a pair without its side (for ``asymmetry``).
    measure : str
        ``share`` of the attribution, 0..1; ``density``, that share over the region's share of the
        area (1 is chance, 0 or more); ``asymmetry``, (right - left) / (right + left), -1..1, the
        person's right.
    group : str
        ``all``, ``female``, ``male`` or `DIFFERENCE`.
    estimate, low, high : float
        With a 95 % interval; NaN where undefined.
    patients, photos : int
    reason : str
        Why there is no estimate or interval; empty if there are both.
    """

    region: str
    measure: str
    group: str
    estimate: float
    low: float
    high: float
    patients: int
    photos: int
    reason: str


def region_table(
    attribution: np.ndarray,
    area: np.ndarray,
    *,
    patients: np.ndarray,
    sexes: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str] = REGIONS,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[RegionRow]:
    """Share, density and asymmetry of each region, with bootstrap intervals over patients.

    A share is made in each photo, then averaged over photos; density and asymmetry are ratios of
    such means, so that a photo with a tiny region can't dominate.

    Parameters
    ----------
    attribution : numpy.ndarray
        Shape (n, regions); signs are dropped. NaN where a photo lacks the region. A photo without
        any attribution has no shares and is left out.
    area : numpy.ndarray
        Shape (n, regions): pixels, or shares.
    patients, sexes, classes : numpy.ndarray
        Shape (n,); patients are drawn within class × sex.
    names : sequence of str
        Of the columns; ``x_right`` and ``x_left`` are a pair.

    Returns
    -------
    list of RegionRow
        By measure, region, group.

    Raises
    ------
    ValueError
        Where shapes do not fit or areas are negative.
    """
    share, extent = shares(attribution), shares(area)
    if not share.shape == extent.shape == (len(patients), len(names)) or len(patients) == 0:
        raise ValueError(f"{share.shape}, {extent.shape}: not {len(patients)} × {len(names)}")
    strata = strata_of(classes, sexes)
    who = Patients(patients, strata)
    weights = who.draws(draws, np.random.default_rng(seed))
    weights = np.concatenate([np.ones((1, len(patients)), np.float32), weights])
    groups = {"all": np.full(len(patients), True)}
    groups |= {sex: sexes == sex for sex in ("female", "male")}
    found = {
        group: _measures(weights[:, mask], share[mask], extent[mask], names)
        for group, mask in groups.items()
    }
    sizes = {
        g: _size(who, np.flatnonzero(m & np.isfinite(share).any(1))) for g, m in groups.items()
    }
    rows = []
    for key in found["all"]:
        values = {group: found[group][key] for group in groups}
        values[DIFFERENCE] = values["female"] - values["male"]
        for group, value in values.items():
            rows.append(_row(key, group, value, sizes))
    return rows


def _size(who: Patients, rows: np.ndarray) -> tuple[int, int, float]:
    """Patients, photos and the level at which to cut the draws."""
    if not len(rows):
        return 0, 0, 0.95
    part = who.select(rows)
    return part.count, len(rows), part.level()


def _measures(
    weights: np.ndarray, share: np.ndarray, extent: np.ndarray, names: Sequence[str]
) -> dict[tuple[str, str], np.ndarray]:
    """Each measure in the sample (first) and in every draw, shape (1 + draws,)."""
    known = np.isfinite(share)
    mean = _means(weights, share, known)
    density = ratio(mean, _means(weights, extent, known))
    found = {("share", name): mean[:, n] for n, name in enumerate(names)}
    found |= {("density", name): density[:, n] for n, name in enumerate(names)}
    for right, name in enumerate(names):
        pair = name.removesuffix("_right")
        if pair != name and f"{pair}_left" in names:
            a, b = mean[:, right], mean[:, list(names).index(f"{pair}_left")]
            found["asymmetry", pair] = ratio(a - b, a + b)
    return found


def _means(weights: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    sums = weights @ np.where(known, np.nan_to_num(values), 0.0)
    return ratio(sums, weights @ known.astype(np.float64))


def _row(
    key: tuple[str, str], group: str, values: np.ndarray, sizes: dict[str, tuple[int, int, float]]
) -> RegionRow:
    if group == DIFFERENCE:
        sexes = (sizes["female"], sizes["male"])
        fewest, level = min(s[0] for s in sexes), max(s[2] for s in sexes)
        patients, photos = (sum(s[n] for s in sexes) for n in (0, 1))
    else:
        patients, photos, level = sizes[group]
        fewest = patients
    estimate, low, high, reason = interval_of(values, fewest, level)
    return RegionRow(
        region=key[1],
        measure=key[0],
        group=group,
        estimate=estimate,
        low=low,
        high=high,
        patients=patients,
        photos=photos,
        reason=reason,
    )


def shortcut_alarm(
    table: Sequence[RegionRow], *, region: str = OUTSIDE, limit: float = SHORTCUT
) -> str:
    """A sentence for each group in which a model looks beside the face; empty if in none.

    The alarm rings where the lower end of an interval lies above `limit` (share) or above 1
    (density: more than the area alone would get). No interval, no alarm.
    """
    limits = {"share": limit, "density": 1.0}
    texts = {
        "share": "{:.0%} ({:.0%} to {:.0%}) of the attribution lies outside the face",
        "density": "the field outside the face draws {:.2f} ({:.2f} to {:.2f}) times what its "
        "area would",
    }
    return " ".join(
        f"Possible shortcut ({row.group}): "
        f"{texts[row.measure].format(row.estimate, row.low, row.high)}."
        for row in table
        if row.region == region
        and row.group != DIFFERENCE
        and row.low > limits.get(row.measure, math.inf)
    )


__all__ = [
    "TOO_FEW",
    "Agreement",
    "MaskAgreement",
    "ReaderRegions",
    "RegionRow",
    "mask_agreement",
    "rank_agreement",
    "read_reader_regions",
    "region_table",
    "shortcut_alarm",
]
