"""Do experts name the parts of the face that a model uses?"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from hf_cushing.data.table import read_table
from hf_cushing.faces.regions import REGIONS
from hf_cushing.schema import UserError
from hf_cushing.stats.intervals import INSUFFICIENT
from hf_cushing.stats.resampling import DRAWS, Patients, percentile_interval

TOO_FEW = f"insufficient: fewer than {INSUFFICIENT} patients"
UNSTABLE = "no interval: undefined in too many draws"
READER_COLUMNS = ("reader", "photo_id", "region", "score")


@dataclass(frozen=True)
class ReaderRegions:
    """How much readers say they used each region of each photo.

    Attributes
    ----------
    readers, photo_ids, regions : tuple of str
    scores : numpy.ndarray
        float64, shape (readers, photos, regions), 0 or more; NaN where a reader has not scored
        the photo.
    """

    readers: tuple[str, ...]
    photo_ids: tuple[str, ...]
    regions: tuple[str, ...]
    scores: np.ndarray

    def consensus(self) -> np.ndarray:
        """Mean over readers of their shares, shape (photos, regions).

        Shares, so that one who gives high marks counts no more; who marks nothing gives zeros.
        """
        total = self.scores.sum(2, keepdims=True)
        shares = self.scores / np.where(total == 0, 1, total)
        return np.nansum(shares, axis=0) / np.isfinite(total).sum(0)


def read_reader_regions(
    path: Path,
    *,
    photo_ids: Collection[str] | None = None,
    regions: Sequence[str] = REGIONS,
) -> ReaderRegions:
    """Read a CSV table with columns reader, photo_id, region, score (UTF-8, comma or semicolon).

    A region that a reader leaves out of a photo they scored counts 0.

    Parameters
    ----------
    photo_ids : collection of str, optional
        The photos that there are; others are an error.

    Raises
    ------
    UserError
        For a missing column, an unknown region or photo, a score that is not a number of 0 or
        more, or a line that stands twice; it names the row (the header is row 1).
    """
    scores: dict[tuple[str, str, str], float] = {}
    for number, cells in read_table(Path(path)):
        if missing := [name for name in READER_COLUMNS if name not in cells]:
            raise UserError(f"{path} lacks column {', '.join(missing)}; add it")
        reader, photo, region, text = (cells[name] for name in READER_COLUMNS)
        where = f"{path}, row {number}"
        if not reader:
            raise UserError(f"{where}: no reader; write a name or number")
        _known(where, "region", region, regions)
        if photo_ids is not None:
            _known(where, "photo", photo, photo_ids)
        if (reader, photo, region) in scores:
            raise UserError(f"{where}: {reader}, {photo}, {region} stands twice; delete one")
        scores[reader, photo, region] = _score(where, text)
    readers, photos = (tuple(sorted({key[n] for key in scores})) for n in (0, 1))
    table = np.full((len(readers), len(photos), len(regions)), np.nan)
    at = [{name: n for n, name in enumerate(part)} for part in (readers, photos, regions)]
    for reader, photo, _ in scores:
        table[at[0][reader], at[1][photo]] = 0.0
    for key, value in scores.items():
        table[tuple(place[name] for place, name in zip(at, key, strict=True))] = value
    return ReaderRegions(readers, photos, tuple(regions), table)


def _known(where: str, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=2)
        some = sorted(known) if kind == "region" else sorted(known)[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(some)}"
        raise UserError(f"{where}: unknown {kind} '{name}'; {hint}")


def _score(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UserError(f"{where}: score '{text}' is not a number of 0 or more; correct it")
    return value


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
    seed: int = 0,
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
    weights = np.concatenate(
        [np.ones((1, len(kept))), who.draws(draws, np.random.default_rng(seed))]
    )
    rows = []
    for level in ("photo", "cohort"):
        for name, correlate in CORRELATIONS.items():
            if level == "photo":
                total = weights.sum(1)
                values = ratio(weights @ correlate(machine, human), total)
            else:
                values = correlate(weights @ machine, weights @ human)
            estimate, low, high, reason = interval_of(values, who.count, who.level())
            rows.append(
                Agreement(
                    measure=name,
                    level=level,
                    estimate=estimate,
                    low=low,
                    high=high,
                    patients=who.count,
                    photos=len(kept),
                    reason=reason,
                )
            )
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


def shares(values: np.ndarray) -> np.ndarray:
    """Rows of absolute values that sum to 1; NaN where they sum to 0."""
    sizes = np.abs(np.asarray(values, np.float64))
    total = np.nansum(sizes, axis=1, keepdims=True)
    return sizes / np.where(total > 0, total, np.nan)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotients; NaN where `below` is 0 or less."""
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def interval_of(values: np.ndarray, patients: int, level: float) -> tuple[float, float, float, str]:
    """Estimate (the first value), its interval from the others, and the reason for none."""
    estimate = float(values[0])
    if patients < INSUFFICIENT:
        return estimate, math.nan, math.nan, TOO_FEW
    if math.isnan(estimate):
        return estimate, math.nan, math.nan, "undefined: nothing to compare"
    low, high = percentile_interval(values[1:], level)
    return estimate, low, high, UNSTABLE if math.isnan(low) else ""
