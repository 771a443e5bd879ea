"""Which parts of the face a model uses, for women and men."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.faces.regions import REGIONS
from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import interval_of
from hf_cushing.stats.resampling import Patients, sex_masks, strata_of

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
    who = Patients(patients, strata_of(classes, sexes))
    weights = who.weights(draws)
    masks = sex_masks(sexes)
    measured = {
        group: _measures(weights[:, mask], share[mask], extent[mask], names)
        for group, mask in masks.items()
    }
    known = np.isfinite(share).any(1)
    sizes = group_sizes(who, {group: mask & known for group, mask in masks.items()})
    return [
        row
        for measure, region in measured["all"]
        for row in region_rows(
            region, measure, {group: measured[group][measure, region] for group in masks}, sizes
        )
    ]


def _measures(
    weights: np.ndarray, share: np.ndarray, extent: np.ndarray, names: Sequence[str]
) -> dict[tuple[str, str], np.ndarray]:
    """Each measure in the sample (first) and in every draw, shape (1 + draws,)."""
    known = np.isfinite(share)
    mean = _means(weights, share, known)
    density = ratio(mean, _means(weights, extent, known))
    measures = {("share", name): mean[:, n] for n, name in enumerate(names)}
    measures |= {("density", name): density[:, n] for n, name in enumerate(names)}
    for right, name in enumerate(names):
        pair = name.removesuffix("_right")
        if pair != name and f"{pair}_left" in names:
            a, b = mean[:, right], mean[:, list(names).index(f"{pair}_left")]
            measures["asymmetry", pair] = ratio(a - b, a + b)
    return measures


def _means(weights: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    sums = weights @ np.where(known, np.nan_to_num(values), 0.0)
    return ratio(sums, weights @ known.astype(np.float64))


def shares(values: np.ndarray) -> np.ndarray:
    """Rows of absolute values that sum to 1; NaN where they sum to 0."""
    sizes = np.abs(np.asarray(values, np.float64))
    total = np.nansum(sizes, axis=1, keepdims=True)
    return sizes / np.where(total > 0, total, np.nan)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotients; NaN where `below` is 0 or less."""
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


@dataclass(frozen=True)
class GroupSize:
    """Patients and photos of a group, patients of its rarest class, level to cut draws at."""

    patients: int
    photos: int
    fewest: int
    level: float


def group_sizes(
    who: Patients, masks: dict[str, np.ndarray], classes: Sequence[np.ndarray] = ()
) -> dict[str, GroupSize]:
    """Sizes of the groups and of women minus men; `classes` are masks that must not be rare."""
    sizes = {}
    for group, mask in masks.items():
        part = who.select(np.flatnonzero(mask))
        fewest = min((who.count_in(mask & side) for side in classes), default=part.count)
        sizes[group] = GroupSize(part.count, int(mask.sum()), fewest, part.level())
    women, men = sizes["female"], sizes["male"]
    return sizes | {
        DIFFERENCE: GroupSize(
            women.patients + men.patients,
            women.photos + men.photos,
            min(women.fewest, men.fewest),
            max(women.level, men.level),
        )
    }


def region_rows(
    region: str, measure: str, values: dict[str, np.ndarray], sizes: dict[str, GroupSize]
) -> Iterator[RegionRow]:
    """One row a group and one for women minus men, of values as `interval_of` takes them."""
    values = values | {DIFFERENCE: values["female"] - values["male"]}
    for group, series in values.items():
        size = sizes[group]
        yield RegionRow(
            region=region,
            measure=measure,
            group=group,
            patients=size.patients,
            photos=size.photos,
            **interval_of(series, size.fewest, size.level),
        )


def shortcut_alarm(table: Sequence[RegionRow]) -> str:
    """A sentence for each group in which a model looks beside the face; empty if in none.

    The alarm rings where the lower end of an interval lies above `SHORTCUT` (share) or above 1
    (density: more than the area alone would get). No interval, no alarm.
    """
    limits = {"share": SHORTCUT, "density": 1.0}
    texts = {
        "share": "{:.0%} ({:.0%} to {:.0%}) of the attribution lies outside the face",
        "density": "the field outside the face draws {:.2f} ({:.2f} to {:.2f}) times what its "
        "area would",
    }
    return " ".join(
        f"Possible shortcut ({row.group}): "
        f"{texts[row.measure].format(row.estimate, row.low, row.high)}."
        for row in table
        if row.region == OUTSIDE
        and row.group != DIFFERENCE
        and row.low > limits.get(row.measure, math.inf)
    )
