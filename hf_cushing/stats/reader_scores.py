"""What several readers said of the same photos: figures of merit with covariances.

And where the model stands if it is as sensitive, or as specific, as a reader.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hf_cushing.schema import UserError
from hf_cushing.stats import DRAWS
from hf_cushing.stats.decisions import threshold_curve
from hf_cushing.stats.intervals import clustered_aurocs
from hf_cushing.stats.metrics import weighted_auroc
from hf_cushing.stats.resampling import Patients, percentile_interval

NAN = math.nan

ROUNDING = 1e-9
"""Rates that differ by less are the same."""

FIGURES = ("auroc", "sensitivity", "specificity", "accuracy")


@dataclass(frozen=True, kw_only=True, eq=False)
class ReaderScores:
    """What the readers said.

    Attributes
    ----------
    ratings : numpy.ndarray
        float, shape (readers, modalities, cases): the higher, the surer of disease; or calls, 0
        or 1, for metrics other than AUROC.
    truth : numpy.ndarray
        bool, shape (cases,): has the disease.
    patients : numpy.ndarray, optional
        Shape (cases,): whose photo it is; left out, each case is a patient of its own.
    readers, modalities, cases : tuple of str
        Names; numbers if left out.

    Raises
    ------
    UserError
        A rating is missing, shapes do not fit, or a class has fewer than two patients.
    """

    ratings: np.ndarray
    truth: np.ndarray
    patients: np.ndarray | None = None
    readers: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()

    def __post_init__(self):
        if np.ndim(self.ratings) != 3:
            raise UserError(
                "ratings must have the axes (readers, modalities, cases), "
                f"but the shape is {np.shape(self.ratings)}"
            )
        sizes = dict(zip(("readers", "modalities", "cases"), self.ratings.shape, strict=True))
        for field, size in sizes.items():
            names = tuple(getattr(self, field)) or tuple(map(str, range(1, size + 1)))
            object.__setattr__(self, field, names)
        if self.truth.dtype != bool:
            raise UserError(f"truth must be bool, not {self.truth.dtype}")
        sizes |= dict.fromkeys(("truth", "patients"), sizes["cases"])
        for field, size in sizes.items():
            values = getattr(self, field)
            if values is not None and len(values) != size:
                raise UserError(f"{field}: expected {size} values, found {len(values)}")
        self._check_complete()
        self._check_classes()

    def _check_complete(self) -> None:
        missing = np.argwhere(np.isnan(self.ratings))
        if len(missing):
            reader, modality, case = missing[0]
            raise UserError(
                f"reader {self.readers[reader]}, modality {self.modalities[modality]}, case "
                f"{self.cases[case]}: no rating ({len(missing)} are missing). Each reader must "
                "judge each case in each modality; leave out the reader or the case"
            )

    def _check_classes(self) -> None:
        index = self.who.of_photo
        for name, side in (("diseased", self.truth), ("healthy", ~self.truth)):
            count = len(np.unique(index[side]))
            if count < 2:
                raise UserError(f"at least two {name} patients are needed, found {count}")

    @property
    def who(self) -> Patients:
        """Who is in which case, by class."""
        cases = np.arange(len(self.truth)) if self.patients is None else self.patients
        return Patients(cases, self.truth)


@dataclass(frozen=True, kw_only=True)
class FixedCovariances:
    """Covariances of two figures for fixed readers, cases being drawn; NaN without such a pair.

    Attributes
    ----------
    var : float
        Of one figure (mean over readers and modalities).
    cov1, cov2, cov3 : float
        Same reader, other modality; other reader, same modality; both differ. As estimated:
        negative ones are bounded where they are used.
    """

    var: float
    cov1: float
    cov2: float
    cov3: float


def reader_figures(
    scores: ReaderScores, metric: str = "auroc", *, method: str = "delong"
) -> tuple[np.ndarray, np.ndarray]:
    """Figure of merit of each reader in each modality, and the covariances.

    Parameters
    ----------
    metric : str
        One of `FIGURES`. AUROC is trapezoid (ties half).
    method : str
        Of AUROC: ``delong`` (by patient: Obuchowski 1997) or ``jackknife`` over patients; the
        others always take the jackknife, over the patients that they count.

    Returns
    -------
    figures : numpy.ndarray
        Shape (readers, modalities).
    covariance : numpy.ndarray
        Shape (readers, modalities, readers, modalities).
    """
    shape = scores.ratings.shape[:2]
    rows = scores.ratings.reshape(-1, len(scores.truth))
    values, covariance = figures_of_rows(rows, scores, metric=metric, method=method)
    return values.reshape(shape), covariance.reshape(shape + shape)


def figures_of_rows(
    rows: np.ndarray, scores: ReaderScores, *, metric: str, method: str = "delong"
) -> tuple[np.ndarray, np.ndarray]:
    """Figures of rows of ratings or calls (tests, cases), and their covariance."""
    if metric not in FIGURES:
        raise UserError(f"metric {metric!r}: expected one of {FIGURES}")
    if metric != "auroc":
        if not np.isin(rows, (0, 1)).all():
            raise UserError(f"{metric} needs calls, 0 or 1, not ratings; choose a threshold")
        return _shares(rows == scores.truth, scores, metric)
    if method == "delong":
        return clustered_aurocs(scores.truth, rows, scores.who)[:2]
    if method != "jackknife":
        raise UserError(f"method {method!r}: expected delong or jackknife")
    weights = np.concatenate([np.ones((1, len(scores.truth))), scores.who.left_out()])
    areas = np.stack([weighted_auroc(scores.truth, row, weights) for row in rows])
    return areas[:, 0], _jackknife(areas[:, 1:])


def _shares(right: np.ndarray, scores: ReaderScores, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of calls that are right, among the cases that the metric is about."""
    truth, who = scores.truth, scores.who
    whole = {"sensitivity": truth, "specificity": ~truth}.get(metric, np.full(len(truth), True))
    sizes = np.bincount(who.of_photo[whole], minlength=who.count)
    counted = sizes > 0  # leaving out the others would change nothing
    right = right & whole
    sums = np.stack([np.bincount(who.of_photo, row, who.count) for row in right])
    total = sums.sum(1, keepdims=True)
    left = (total - sums[:, counted]) / (sizes.sum() - sizes[counted])
    return total[:, 0] / sizes.sum(), _jackknife(left)


def _jackknife(left_out: np.ndarray) -> np.ndarray:
    """Covariance of statistics (rows) from their values without each patient."""
    count = left_out.shape[1]
    centred = left_out - left_out.mean(1, keepdims=True)
    return (count - 1) / count * centred @ centred.T


def averaged(covariance: np.ndarray) -> FixedCovariances:
    """Means over pairs of a covariance of shape (readers, modalities, readers, modalities)."""
    readers, modalities = covariance.shape[:2]
    flat = covariance.reshape(readers * modalities, -1)
    reader, modality = np.divmod(np.arange(len(flat)), modalities)
    same = [row[:, None] == row for row in (reader, modality)]
    kinds = {"var": (True, True), "cov1": (True, False), "cov2": (False, True)}
    means = {}
    for name, kind in (kinds | {"cov3": (False, False)}).items():
        cells = flat[(same[0] == kind[0]) & (same[1] == kind[1])]
        means[name] = float(cells.mean()) if len(cells) else NAN
    return FixedCovariances(**means)


@dataclass(frozen=True)
class MatchedPoint:
    """Where the model stands if it is as sensitive, or as specific, as a reader.

    Attributes
    ----------
    sensitivity, specificity : float
        0..1: one was asked for, the other found.
    low, high : float
        95 % interval of the one that was found.
    """

    sensitivity: float
    specificity: float
    low: float
    high: float


def matched_point(
    model_score: np.ndarray,
    truth: np.ndarray,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    patients: np.ndarray | None = None,
    draws: int = DRAWS,
) -> MatchedPoint:
    """The model's specificity at a reader's sensitivity, or the other way round.

    Read off straight lines between the points of the ROC curve: between two thresholds the model
    is thought to choose by lot. The interval is of draws of patients, within each class, and
    takes the reader's figure for known.

    Examples
    --------
    >>> truth, score = np.array([False, False, True, True]), np.array([0.1, 0.6, 0.4, 0.9])
    >>> matched_point(score, truth, sensitivity=0.75, draws=10).specificity
    0.5
    """
    asked = sensitivity if specificity is None else specificity
    if (sensitivity is None) == (specificity is None) or not 0 <= asked <= 1:
        raise UserError("give either a sensitivity or a specificity, from 0 to 1")
    who = Patients(np.arange(len(truth)) if patients is None else patients, truth)
    curve = threshold_curve(truth, np.asarray(model_score), who.weights(draws))
    rates = (curve.positive[:, ::-1], curve.negative[:, ::-1])
    with np.errstate(invalid="ignore"):
        hits, alarms = (rate / rate[:, -1:] for rate in rates)
    if specificity is None:
        other = 1 - _read_off(hits, alarms, asked)
    else:
        other = 1 - _read_off(1 - alarms[:, ::-1], 1 - hits[:, ::-1], asked)
    low, high = percentile_interval(other[1:], who.level())
    point = float(other[0])
    pair = (asked, point) if specificity is None else (point, asked)
    return MatchedPoint(*pair, low, high)


def _read_off(along: np.ndarray, up: np.ndarray, at: float) -> np.ndarray:
    """Height of each rising curve (rows) at one place; the lowest where it rises straight."""
    heights = np.full(len(along), NAN)
    for row, (x, y) in enumerate(zip(along, up, strict=True)):
        if np.isfinite(x).all() and np.isfinite(y).all():
            place = int(np.searchsorted(x, at - ROUNDING))
            steep = x[place] <= at + ROUNDING
            heights[row] = y[place] if steep else np.interp(at, x, y)
    return heights
