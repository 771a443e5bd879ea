"""Two models on the same photos.

Nothing here says "no difference": a difference is shown, or is shown to be small (equivalent), or
the sample leaves it undecided.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtr
from scipy.stats import binom

from hf_cushing.evaluation.intervals import LEVEL, clustered_aurocs
from hf_cushing.evaluation.metrics import METRICS, Decisions, binary_metrics, weighted_metrics
from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.rank_figure import Ranks as Ranks  # also given from here
from hf_cushing.evaluation.rank_figure import friedman_nemenyi as friedman_nemenyi
from hf_cushing.evaluation.resampling import DRAWS, Patients, percentile_interval
from hf_cushing.evaluation.subgroups import INSUFFICIENT, TOO_FEW, make_sample, size_word
from hf_cushing.schema import UserError

NAN = math.nan

NO_SPREAD = 1e-8
"""Differences and errors below this are rounding."""

LEVELS = np.array([LEVEL, 2 * LEVEL - 1])
"""Of the interval that is shown, and of the one for equivalence: two one-sided tests at 5 %."""

UNBOUNDED = ("log_loss", "calibration_slope", "calibration_intercept", "net_benefit")
"""One photo can change these by any amount, so that agreement in a sample bounds nothing."""


@dataclass(frozen=True)
class Difference:
    """A metric of the first model minus that of the second; NaN where undefined.

    Attributes
    ----------
    metric : str
    first, second, difference : float
    low, high, inner_low, inner_high : float
        95 % interval of the difference, and its 90 % interval.
    error, z, p : float
        Standard error, difference / error, and its two-sided p by the normal distribution.
    p_holm : float
        `p` adjusted for all metrics of the comparison.
    equivalence_p : float
        Of `tost`.
    equivalent : bool
        The 90 % interval lies within the margin.
    method : str
        ``bootstrap`` (percentiles; both models on the same draws of patients), ``delong``, or
        ``none seen``: the models differ by the same in every draw, so that there is no error.
    verdict : str
        ``first better`` or ``second better`` (the 95 % interval excludes 0), else ``equivalent``
        or ``undecided``. What is better may still be equivalent: look at `equivalent`.
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


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same photos of one split.

    Attributes
    ----------
    label, split, subgroup, first_model, second_model : str
        Models by their revisions.
    photos, patients, positive_patients, negative_patients : int
    size : str
        ``insufficient``, ``wide`` or ``ok``, as in `SubgroupReport`.
    margin : float
        Differences smaller than this don't matter.
    differences : dict
        Metric name to `Difference`, in the order of `METRICS`.
    by_photo, by_patient : McNemar
        The same if each patient has one photo; else only `by_patient` is honest.
    """

    label: str
    split: str
    subgroup: str
    first_model: str
    second_model: str
    photos: int
    patients: int
    positive_patients: int
    negative_patients: int
    size: str
    margin: float
    differences: dict[str, Difference]
    by_photo: McNemar
    by_patient: McNemar


def compare_models(
    first: Predictions,
    second: Predictions,
    *,
    label: str,
    points: tuple[Sequence[OperatingPoint], Sequence[OperatingPoint]],
    split: str = "test",
    rows: np.ndarray | None = None,
    subgroup: str = "all",
    draws: int = DRAWS,
    seed: int = 0,
    margin: float = 0.05,
) -> Comparison:
    """Compare two models' calls and scores of one disease, photo by photo.

    Parameters
    ----------
    first, second : Predictions
        Of the same photos, in any order.
    label : str
        The disease.
    points : tuple of sequences of OperatingPoint
        The thresholds of the first model, and of the second.
    rows, subgroup : numpy.ndarray and str, optional
        bool, shape (len(first),): the rows of `first` to compare on, and what they are called.
    draws, seed : int
        Draws of patients within label × sex, the same for both models.
    margin : float
        Above 0: differences smaller than this don't matter. To be chosen before looking.

    Raises
    ------
    UserError
        A photo is there twice, or for one model only, or with another label, patient or sex.

    Examples
    --------
    >>> from hf_cushing.evaluation.operating_points import choose_operating_points
    >>> n = np.arange(120)
    >>> def model(score):
    ...     return Predictions(
    ...         photo_id=n.astype(str), patient_id=n.astype(str), fold=0 * n, seed=0 * n,
    ...         label=np.where(n % 2, "cushing", "control"), sex=np.full(120, "female"),
    ...         split=np.where(n < 60, "validation", "test"), labels=("control", "cushing"),
    ...         probabilities=np.stack([1 - score, score], 1),
    ...         model_revision="m", dataset_revision="d")
    >>> models = [model(0.3 + 0.4 * (n % 2)), model(n * 7 % 100 / 100)]
    >>> points = [choose_operating_points(m) for m in models]
    >>> found = compare_models(*models, label="cushing", points=points, draws=200)
    >>> found.differences["auroc"].verdict
    'first better'
    """
    _check_margin(margin)
    one, two = _aligned(first, second, label, split)
    inside = np.arange(len(one)) if rows is None else _inside(first, one, rows)
    sample = make_sample(one, "photo", draws=draws, seed=seed)
    who, weights = sample.who.select(inside), sample.weights[:, inside]
    both = zip((one, two), points, strict=True)
    pair = [decisions_of(model, label, own).select(inside) for model, own in both]
    sides = [len(np.unique(who.of_photo[side])) for side in (pair[0].truth, ~pair[0].truth)]
    right = [decisions.called == decisions.truth for decisions in pair]
    return Comparison(
        label=label,
        split=split,
        subgroup=subgroup,
        first_model=", ".join(sorted(set(one.model_revision.tolist()))),
        second_model=", ".join(sorted(set(two.model_revision.tolist()))),
        photos=len(inside),
        patients=who.count,
        positive_patients=sides[0],
        negative_patients=sides[1],
        size=size_word(min(sides)),
        margin=margin,
        differences=_differences(pair, who, weights, margin, few=min(sides) < INSUFFICIENT),
        by_photo=mcnemar(*right),
        by_patient=mcnemar(*right, who.of_photo),
    )


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


def tost(difference: float, error: float, margin: float, df: float | None = None) -> float:
    """P of two one-sided tests (Schuirmann 1987, J Pharmacokinet Biopharm 15:657).

    Below 0.05 the difference is shown to be smaller than the margin on either side.

    Parameters
    ----------
    difference, error, margin : float
        Estimate, its standard error, and what would matter (above 0), in one unit.
    df : float, optional
        Degrees of freedom of Student's distribution; the normal one if left out.

    Returns
    -------
    float
        0..1; NaN if the difference is undefined or has no error.

    Examples
    --------
    >>> round(tost(0.01, 0.02, 0.05), 4)
    0.0228
    """
    _check_margin(margin)
    if not error > 0 or math.isnan(difference):
        return NAN
    nearest = (margin - abs(difference)) / error
    return float(ndtr(-nearest) if df is None else stdtr(df, -nearest))


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise UserError(f"the margin of equivalence must be above 0, not {margin}")


def _aligned(
    first: Predictions, second: Predictions, label: str, split: str
) -> tuple[Predictions, Predictions]:
    """The rows of the split in order of photo_id, refused if they don't pair up."""
    pair = []
    for which, predictions in (("first", first), ("second", second)):
        if label not in predictions.positive_labels:
            known = ", ".join(predictions.positive_labels)
            raise UserError(f"the {which} model has no disease '{label}' (it has: {known})")
        part = predictions.of_split(split)
        part = part.select(np.argsort(part.photo_id, kind="stable"))
        twice = part.photo_id[1:][part.photo_id[1:] == part.photo_id[:-1]]
        _refuse(twice, f"scored more than once by the {which} model", "compare one run of each")
        pair.append(part)
    one, two = pair
    remedy = f"evaluate both models on the same {split} photos"
    _refuse(np.setdiff1d(one.photo_id, two.photo_id), "missing from the second model", remedy)
    _refuse(np.setdiff1d(two.photo_id, one.photo_id), "missing from the first model", remedy)
    remedy = "evaluate both models on the same revision of the dataset"
    for column in ("label", "patient_id", "sex"):
        differ = getattr(one, column) != getattr(two, column)
        _refuse(one.photo_id[differ], f"given another {column} by the second model", remedy)
    return one, two


def _refuse(photos: np.ndarray, fault: str, remedy: str) -> None:
    names = np.unique(photos).tolist()
    if names:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise UserError(f"photos are {fault} ({len(names)}: {shown}); {remedy}")


def _inside(first: Predictions, one: Predictions, rows: np.ndarray) -> np.ndarray:
    """Places in `one` of the rows that `rows` marks in `first`."""
    if np.shape(rows) != (len(first),):
        raise UserError(f"rows must be a mask of the {len(first)} rows of the first model")
    inside = np.flatnonzero(np.isin(one.photo_id, first.photo_id[rows]))
    if not len(inside):
        raise UserError("none of the chosen rows is in the split; choose others")
    return inside


def _differences(
    pair: Sequence[Decisions], who: Patients, weights: np.ndarray, margin: float, *, few: bool
) -> dict[str, Difference]:
    """Every metric's difference, with p values adjusted for there being several."""
    whole = [binary_metrics(decisions) for decisions in pair]
    drawn = [weighted_metrics(decisions, weights) for decisions in pair]
    found = []
    for metric, kind in METRICS.items():
        first, second = (metrics[metric] for metrics in whole)
        bare = Difference(metric, first, second, first - second)
        if math.isnan(bare.difference):
            found.append(replace(bare, reason=f"undefined: {kind.undefined}"))
        elif few:
            found.append(replace(bare, reason=TOO_FEW))
        else:
            draws = drawn[0][metric] - drawn[1][metric]
            found.append(_judged(_with_intervals(bare, draws, pair, who), margin))
    adjusted = holm(each.p for each in found)
    return {d.metric: replace(d, p_holm=float(p)) for d, p in zip(found, adjusted, strict=True)}


def _with_intervals(
    bare: Difference, draws: np.ndarray, pair: Sequence[Decisions], who: Patients
) -> Difference:
    """By DeLong for the AUROC, else by the draws; by the rule of three where nothing varies."""
    if bare.metric == "auroc":
        error, method = _area_error(pair, who), "delong"
        ends = _around(bare, error * ndtri(0.5 + LEVELS / 2))
    else:
        method = "bootstrap"
        ends = np.array([percentile_interval(draws, level) for level in LEVELS])
        error = NAN if np.isnan(ends).any() else float(draws[np.isfinite(draws)].std(ddof=1))
    reason = "no interval: undefined in too many draws" if np.isnan(ends).any() else ""
    if error <= NO_SPREAD:
        error, method, ends = NAN, "none seen", _around(bare, _unseen(bare.metric, pair, who))
        reason = "no interval: the models agree here" if np.isnan(ends).any() else ""
    (low, high), (inner_low, inner_high) = ends.tolist()
    return replace(
        bare, low=low, high=high, inner_low=inner_low, inner_high=inner_high, error=error,
        method="" if reason else method, reason=reason,
    )  # fmt: skip


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
    if metric in UNBOUNDED:
        return np.full(2, NAN)
    masks = [mask for each in pair for mask in (each.truth, each.called)]
    sides = [side for mask in masks for side in (mask, ~mask) if side.any()]
    rarest = min(len(np.unique(who.of_photo[side])) for side in sides)
    return 2 * (1 - ((1 - LEVELS) / 2) ** (1 / rarest))


def _judged(found: Difference, margin: float) -> Difference:
    """Add z, p values and the verdict."""
    z = found.difference / found.error
    shown = found.low > NO_SPREAD or found.high < -NO_SPREAD
    equivalent = -margin < found.inner_low and found.inner_high < margin
    verdict, reason = "equivalent" if equivalent else "undecided", found.reason
    goal = METRICS[found.metric].goal
    if shown and goal:
        verdict = "first better" if (found.low > 0) == (goal > 0) else "second better"
    elif shown:
        reason = "neither direction is better"
    return replace(
        found,
        z=z,
        p=2 * float(ndtr(-abs(z))),
        equivalence_p=tost(found.difference, found.error, margin),
        equivalent=equivalent,
        verdict=verdict,
        reason=reason,
    )
