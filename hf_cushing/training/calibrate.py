"""Calibrate a saved model on validation, and fold the result into its head.

The run folder stays an ordinary model: the plain pipeline's probabilities are the calibrated ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData
from hf_cushing.evaluation.grades import check_grades
from hf_cushing.evaluation.operating_points import parse_rule
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import load_classifier
from hf_cushing.schema import UsageError, UserError
from hf_cushing.stats.calibration import fit_platt, fit_temperature
from hf_cushing.training.run_folder import scorer
from hf_cushing.training.saving import change_saved_head

FITS = {"temperature": fit_temperature, "platt": fit_platt}

log = logging.getLogger(__name__)


def check_evaluation(config: RunConfig, labels: list[str]) -> None:
    """Refuse what can't be done with these classes, or isn't known, before any training."""
    method = config.evaluation.calibration
    parse_rule(config.evaluation.threshold_rule)
    if config.grades:
        check_grades(config.grades, labels)
    if method == "platt" and len(labels) != 2:
        raise UsageError(
            f"--calibration platt is for two classes, the dataset has {len(labels)}; "
            "give temperature"
        )


def check_head(config: RunConfig, model: nn.Module) -> None:
    """Refuse a named method that the network's head can't take up, before any training."""
    if config.evaluation.calibration in FITS:
        head_linear(model)


def calibrate_saved(config: RunConfig, data: FaceData) -> dict[str, Any]:
    """Fit on the validation photos as the saved model scores them, and change its head.

    Every process of a launch calls this. The head was written just before, uncalibrated, so
    nothing is applied twice. Where ``auto`` finds nothing to fold into, or nothing to fit, the
    model stays as it is.

    Returns
    -------
    dict
        For the manifest: method, parameters, photos, log loss before and after; or the reason.

    Raises
    ------
    UserError
        The method was named, and the head or the validation photos don't allow it.
    """
    if config.evaluation.calibration == "none":
        return {"calibration": {"method": "none"}}
    saved, photos = load_classifier(str(config.run_folder)), data.roles["validation"]
    try:
        head_linear(saved.model)  # refuses before anything is scored
    except UserError as error:
        return {"calibration": _uncalibrated(config, error)}
    logits, numbers = scorer(saved, config)(photos), np.array(photos["label"][:])
    apply, facts = fit_calibration(config, logits, numbers, data.labels)
    if facts["method"] != "none":
        change_saved_head(config, saved, lambda linear: fold_into(linear, apply))
    return {"calibration": facts}


Apply = Callable[[np.ndarray], np.ndarray]


def fit_calibration(
    config: RunConfig, logits: np.ndarray, numbers: np.ndarray, labels: Sequence[str]
) -> tuple[Apply, dict[str, Any]]:
    """Fit the chosen map of logits on validation.

    Parameters
    ----------
    config : RunConfig
    logits : numpy.ndarray
        float64, shape (n, classes).
    numbers : numpy.ndarray
        True classes, shape (n,).
    labels : sequence of str

    Returns
    -------
    apply : callable
        Logits to calibrated logits; leaves them as they are where nothing was fitted.
    facts : dict
        For the manifest.

    Raises
    ------
    UserError
        The method was named, and the photos don't allow it.
    """
    method = config.evaluation.calibration
    if method == "auto":
        method = "platt" if len(labels) == 2 else "temperature"
    if method == "none":
        return np.asarray, {"method": "none"}
    try:
        fitted = FITS[method](logits, numbers)
    except UserError as error:
        return np.asarray, _uncalibrated(config, error)
    facts = {
        "method": method,
        "parameters": vars(fitted),
        "split": "validation",
        "photos": len(numbers),
        "log_loss_before": _log_loss(logits, numbers),
        "log_loss_after": _log_loss(fitted.apply(logits), numbers),
    }
    return fitted.apply, facts


def _uncalibrated(config: RunConfig, error: UserError) -> dict[str, Any]:
    """Raise what a named method can't do; of `auto`, tell it."""
    if config.evaluation.calibration != "auto":
        raise error
    log.warning("the probabilities stay uncalibrated: %s", error)
    return {"method": "none", "reason": str(error)}


def fold_into(linear: nn.Linear, apply: Apply) -> None:
    """Change a head so that its logits come out calibrated.

    Both maps are affine in the logits: what they make of 0 and of the axes says all.
    """
    classes = linear.out_features
    shift = apply(np.zeros((1, classes)))
    matrix = torch.from_numpy(apply(np.eye(classes)) - shift).to(linear.weight.device)
    with torch.no_grad():
        weight, bias = linear.weight.double(), linear.bias.double()
        linear.weight.copy_(matrix.T @ weight)
        linear.bias.copy_(bias @ matrix + torch.from_numpy(shift[0]).to(bias))


def _log_loss(logits: np.ndarray, numbers: np.ndarray) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers].mean())
