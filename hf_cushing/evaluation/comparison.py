"""Two models on the same photos.

Nothing here says "no difference": a difference is shown, or is shown to be small (equivalent), or
the sample leaves it undecided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from hf_cushing.evaluation.operating_points import OperatingPoint, decisions_of
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroups import TOO_FEW, Sample, make_sample, size_word
from hf_cushing.schema import UserError
from hf_cushing.stats import DRAWS
from hf_cushing.stats.intervals import INSUFFICIENT, LEVEL, clustered_aurocs
from hf_cushing.stats.metrics import METRICS, Decisions, binary_metrics, weighted_metrics
from hf_cushing.stats.resampling import UNSTABLE, Patients, percentile_interval
from hf_cushing.stats.significance import McNemar, check_margin, mcnemar, tost, with_holm

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
class Comparison:
    """Two models on the same photos of one split.

    Attributes
    ----------
    label, split, first_model, second_model : str
        Models by their revisions.
    subgroup : str
        ``all``.
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
    subgroup: str = "all"
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
    draws: int = DRAWS,
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
    draws : int
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
    check_margin(margin)
    one, two = _aligned(first, second, label, split)
    sample = make_sample(one, draws=draws)
    who = sample.who
    both = zip((one, two), points, strict=True)
    pair = [decisions_of(model, label, own) for model, own in both]
    sides = [who.count_in(side) for side in (pair[0].truth, ~pair[0].truth)]
    right = [decisions.called == decisions.truth for decisions in pair]
    return Comparison(
        label=label,
        split=split,
        first_model=", ".join(sorted(set(one.model_revision.tolist()))),
        second_model=", ".join(sorted(set(two.model_revision.tolist()))),
        photos=len(one),
        patients=who.count,
        positive_patients=sides[0],
        negative_patients=sides[1],
        size=size_word(min(sides)),
        margin=margin,
        differences=_differences(pair, sample, margin, few=min(sides) < INSUFFICIENT),
        by_photo=mcnemar(*right),
        by_patient=mcnemar(*right, who.of_photo),
    )


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


def _differences(
    pair: Sequence[Decisions], sample: Sample, margin: float, *, few: bool
) -> dict[str, Difference]:
    """Every metric's difference, with p values adjusted for there being several."""
    whole = [binary_metrics(decisions) for decisions in pair]
    drawn = [weighted_metrics(decisions, sample.weights) for decisions in pair]
    differences = []
    for metric, kind in METRICS.items():
        first, second = (metrics[metric] for metrics in whole)
        bare = Difference(metric, first, second, first - second)
        if math.isnan(bare.difference):
            differences.append(replace(bare, reason=f"undefined: {kind.undefined}"))
        elif few:
            differences.append(replace(bare, reason=TOO_FEW))
        else:
            draws = drawn[0][metric] - drawn[1][metric]
            differences.append(_judged(_with_intervals(bare, draws, pair, sample.who), margin))
    return {difference.metric: difference for difference in with_holm(differences)}


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
    reason = UNSTABLE if np.isnan(ends).any() else ""
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
    rarest = min(who.count_in(side) for side in sides)
    return 2 * (1 - ((1 - LEVELS) / 2) ** (1 / rarest))


def _judged(difference: Difference, margin: float) -> Difference:
    """Add z, p values and the verdict."""
    z = difference.difference / difference.error
    shown = difference.low > NO_SPREAD or difference.high < -NO_SPREAD
    equivalent = -margin < difference.inner_low and difference.inner_high < margin
    verdict, reason = "equivalent" if equivalent else "undecided", difference.reason
    goal = METRICS[difference.metric].goal
    if shown and goal:
        verdict = "first better" if (difference.low > 0) == (goal > 0) else "second better"
    elif shown:
        reason = "neither direction is better"
    return replace(
        difference,
        z=z,
        p=2 * float(ndtr(-abs(z))),
        equivalence_p=tost(difference.difference, difference.error, margin),
        equivalent=equivalent,
        verdict=verdict,
        reason=reason,
    )
