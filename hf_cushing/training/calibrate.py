"""Calibrate a saved model on validation, and fold the result into its head.

The run folder stays an ordinary model: the plain pipeline's probabilities are the calibrated ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData
from hf_cushing.evaluation.calibration import Platt, Temperature, fit_platt, fit_temperature
from hf_cushing.evaluation.operating_points import parse_rule
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import load_classifier
from hf_cushing.schema import UsageError, UserError
from hf_cushing.training.run_folder import scorer

FITS = {"temperature": fit_temperature, "platt": fit_platt}


def check_evaluation(config: RunConfig, labels: list[str]) -> None:
    """Refuse what can't be done with so many classes, or isn't known, before any training."""
    method = config.evaluation.calibration
    parse_rule(config.evaluation.threshold_rule)
    if method == "platt" and len(labels) != 2:
        raise UsageError(
            f"--calibration platt is for two classes, the dataset has {len(labels)}; "
            "give temperature"
        )


def calibrate_saved(run: Path, config: RunConfig, data: FaceData) -> dict[str, Any]:
    """Fit on the validation photos as the saved model scores them, and save the model anew.

    Every process of a launch calls this; the first one writes. The head was written just before,
    uncalibrated, so nothing is applied twice.

    Where ``auto`` finds nothing to fold into, or nothing to fit, the model stays as it is.

    Returns
    -------
    dict
        For the manifest: method, parameters, photos, log loss before and after; or the reason.
    """
    from accelerate import PartialState

    method, forgiving = config.evaluation.calibration, config.evaluation.calibration == "auto"
    if method == "none":
        return {"calibration": {"method": method}}
    if forgiving:
        method = "platt" if len(data.labels) == 2 else "temperature"
    saved, photos = load_classifier(str(run)), data.roles["validation"]
    logits, numbers = scorer(saved, config)(photos), np.array(photos["label"][:])
    try:
        head_linear(saved.model)
        found = FITS[method](logits, numbers)
    except UserError as error:
        if not forgiving:
            raise
        return {"calibration": {"method": "none", "reason": str(error)}}
    if PartialState().is_main_process:
        fold_into(head_linear(saved.model), found)
        saved.model.save_pretrained(run)
    return {
        "calibration": {
            "method": method,
            "parameters": vars(found),
            "split": "validation",
            "photos": len(numbers),
            "log_loss_before": _log_loss(logits, numbers),
            "log_loss_after": _log_loss(found.apply(logits), numbers),
        }
    }


def fold_into(linear: nn.Linear, found: Temperature | Platt) -> None:
    """Change a head so that its logits come out calibrated.

    Both maps are linear in the logits, so the weights and the bias are mapped like logits.
    """
    with torch.no_grad():
        rows = torch.cat([linear.weight, linear.bias[:, None]], 1).double().cpu().numpy()
        if isinstance(found, Temperature):
            mapped = found.apply(rows)
        else:
            mapped = Platt(found.slope, 0.0).apply(rows.T).T
            mapped[:, -1] += np.array([-0.5, 0.5]) * found.intercept
        mapped = torch.from_numpy(mapped)
        linear.weight.copy_(mapped[:, :-1])
        linear.bias.copy_(mapped[:, -1])


def _log_loss(logits: np.ndarray, numbers: np.ndarray) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers].mean())
