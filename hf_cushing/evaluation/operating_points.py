"""The decision threshold: chosen on validation, never on test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.schema import UsageError, UserError

RULES = ("f1", "youden")


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
        What it maximises: ``f1``, or ``youden`` (sensitivity + specificity - 1).
    split : str
        The split it was chosen on; never ``test``.
    model_revision : str
        The model whose scores it belongs to.
    """

    label: str
    threshold: float
    rule: str
    split: str
    model_revision: str

    def __post_init__(self):
        if self.split == "test":
            raise UserError("a threshold chosen on the test split is not honest; use validation")


def choose_operating_points(
    predictions: Predictions, rule: str = "f1", split: str = "validation"
) -> list[OperatingPoint]:
    """Choose a threshold for every disease and every model in `predictions`, on `split`."""
    chosen = predictions.of_split(split)
    return [
        OperatingPoint(
            label=label,
            threshold=best_threshold(part.label == label, part.score(label), rule),
            rule=rule,
            split=split,
            model_revision=str(model),
        )
        for model in sorted(set(chosen.model_revision.tolist()))
        for part in [chosen.select(chosen.model_revision == model)]
        for label in predictions.positive_labels
    ]


def best_threshold(truth: np.ndarray, score: np.ndarray, rule: str) -> float:
    """Give the threshold that maximises `rule`: midway between two neighbouring scores.

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
    """
    if rule not in RULES:
        raise UsageError(f"threshold rule '{rule}' is not known; choose {' or '.join(RULES)}")
    if truth.all() or not truth.any():
        raise UserError("a threshold needs photos with and without the disease in validation")
    values = np.unique(score)
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2])
    order = np.sort(score[truth]), np.sort(score[~truth])
    hits = truth.sum() - np.searchsorted(order[0], cuts)
    alarms = (~truth).sum() - np.searchsorted(order[1], cuts)
    if rule == "f1":
        gain = 2 * hits / (truth.sum() + hits + alarms)
    else:
        gain = hits / truth.sum() - alarms / (~truth).sum()
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def call_positive(predictions: Predictions, label: str, points: list[OperatingPoint]) -> np.ndarray:
    """Apply to every row the threshold of its own model: bool, shape (n,)."""
    thresholds = {p.model_revision: p.threshold for p in points if p.label == label}
    unknown = sorted(set(predictions.model_revision.tolist()) - set(thresholds))
    if unknown:
        raise UserError(f"no threshold is known for '{label}' of model {unknown[0]}")
    own = np.array([thresholds[model] for model in predictions.model_revision.tolist()])
    return predictions.score(label) >= own
