"""The decision threshold: chosen on validation, never on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.subgroup_f1.f1_formula import f1_score
from hf_cushing.schema import KNOWN_SEXES, UsageError, UserError
from hf_cushing.stats.decisions import Decisions, threshold_curve

RULES = {
    "f1": "the largest F1",
    "youden": "the largest sensitivity + specificity - 1",
    "sensitivity:0.9": "the highest threshold with at least this sensitivity",
    "specificity:0.9": "the lowest threshold with at least this specificity",
    "cost:5": "the lowest cost, where a missed patient costs this many false alarms",
}
"""Rules by example: the number after the colon is yours."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold and where it comes from.

    Attributes
    ----------
    label : str
        The disease that is called when its probability reaches `threshold`.
    threshold : float
        0..1.
    rule : str
        One of `RULES`, with its number.
    split : str
        The split it was chosen on; never ``test``.
    model_revision : str
        The model whose scores it belongs to.
    sex : str
        ``all``, or the sex that it holds for.
    """

    label: str
    threshold: float
    rule: str
    split: str
    model_revision: str
    sex: str = "all"

    def __post_init__(self):
        if self.split == "test":
            raise UserError("a threshold chosen on the test split is not honest; use validation")


def choose_operating_points(
    predictions: Predictions,
    rule: str = "f1",
    split: str = "validation",
    *,
    per_sex: bool = False,
) -> list[OperatingPoint]:
    """Choose a threshold for every disease and every model in `predictions`, on `split`.

    With `per_sex` women and men have their own; who is of unknown sex has the shared one.
    """
    chosen = predictions.of_split(split)
    points = []
    for model in sorted(set(chosen.model_revision.tolist())):
        own = chosen.select(chosen.model_revision == model)
        for label in predictions.positive_labels:
            for sex in ("all", *KNOWN_SEXES) if per_sex else ("all",):
                part = own if sex == "all" else own.select(own.sex == sex)
                threshold = _threshold_of(part, label, rule, split, sex)
                points.append(
                    OperatingPoint(
                        label=label,
                        threshold=threshold,
                        rule=rule,
                        split=split,
                        model_revision=str(model),
                        sex=sex,
                    )
                )
    return points


def _threshold_of(part: Predictions, label: str, rule: str, split: str, sex: str) -> float:
    try:
        return best_threshold(part.label == label, part.score(label), rule)
    except UserError as error:
        if sex == "all" or isinstance(error, UsageError):
            raise
        raise UserError(
            f"no threshold can be chosen for sex '{sex}': its {split} photos are all or none of "
            f"'{label}'; use the shared threshold"
        ) from None


def best_threshold(truth: np.ndarray, score: np.ndarray, rule: str) -> float:
    """Give the threshold that is best by `rule`: midway between two neighbouring scores.

    Of equally good thresholds the middle one is taken, which lies farthest from the photos.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,).
    score : numpy.ndarray
        float, shape (n,), 0..1.
    rule : str
        One of `RULES`.

    Raises
    ------
    UserError
        Unknown rule, or one class only.

    Examples
    --------
    >>> truth, score = np.array([False, True, False, True]), np.array([0.1, 0.4, 0.6, 0.8])
    >>> round(best_threshold(truth, score, "sensitivity:1"), 3)
    0.25
    >>> round(best_threshold(truth, score, "specificity:1"), 3)
    0.7
    """
    kind, number = parse_rule(rule)
    if truth.all() or not truth.any():
        raise UserError("a threshold needs photos with and without the disease in validation")
    curve = threshold_curve(truth, score, np.ones((1, len(score))))
    values = curve.cut[:-1]
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [(values[-1] + 1) / 2]])
    hits, alarms = curve.positive[0], curve.negative[0]
    gain = _gain(kind, number, hits / hits[0], alarms / alarms[0], hits[0] / len(truth))
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def _gain(
    kind: str, number: float, recall: np.ndarray, false_rate: np.ndarray, prevalence: float
) -> np.ndarray:
    """What a rule maximises, at each cut from the lowest up."""
    hits, alarms = recall * prevalence, false_rate * (1 - prevalence)
    if kind == "f1":
        return f1_score(hits, prevalence + alarms)
    if kind == "youden":
        return recall - false_rate
    if kind == "cost":
        return -(number * (prevalence - hits) + alarms)
    if kind == "sensitivity":
        return np.where(recall >= number - 1e-9, 1 - false_rate, -1)
    return np.where(1 - false_rate >= number - 1e-9, recall, -1)


def parse_rule(rule: str) -> tuple[str, float]:
    """Take a rule apart: ``("sensitivity", 0.9)``; f1 and youden have the number 0."""
    kind, colon, text = rule.partition(":")
    known = ", ".join(RULES)
    if kind not in {name.partition(":")[0] for name in RULES}:
        raise UsageError(f"threshold rule '{rule}' is not known; choose one like {known}")
    if kind in ("f1", "youden"):
        if colon:
            raise UsageError(f"threshold rule '{rule}': {kind} takes no number")
        return kind, 0.0
    try:
        number = float(text)
    except ValueError:
        raise UsageError(
            f"threshold rule '{rule}' needs a number after the colon, as in {known}"
        ) from None
    fits = number > 0 if kind == "cost" else 0 < number <= 1
    if not fits or number == float("inf"):
        limits = "above 0" if kind == "cost" else "above 0, at most 1"
        raise UsageError(f"threshold rule '{rule}': the number must be {limits}")
    return kind, number


def row_thresholds(
    predictions: Predictions, label: str, points: Sequence[OperatingPoint]
) -> np.ndarray:
    """For every row the threshold of its own model and sex: float, shape (n,)."""
    known = {(p.model_revision, p.sex): p.threshold for p in points if p.label == label}
    unknown = sorted(m for m in set(predictions.model_revision.tolist()) if (m, "all") not in known)
    if unknown:
        raise UserError(f"no threshold is known for '{label}' of model {unknown[0]}")
    rows = zip(predictions.model_revision.tolist(), predictions.sex.tolist(), strict=True)
    return np.array([known.get((model, sex), known[model, "all"]) for model, sex in rows])


def decisions_of(
    predictions: Predictions, label: str, points: Sequence[OperatingPoint]
) -> Decisions:
    """One disease against everything else, at the thresholds of `points`."""
    return Decisions(
        predictions.label == label,
        predictions.score(label),
        row_thresholds(predictions, label, points),
    )
