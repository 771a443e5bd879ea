"""Calibrate a saved model on validation, and fold the result into its head.

The run folder stays an ordinary model: the plain pipeline's probabilities are the calibrated ones.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import log_softmax
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData
from hf_cushing.evaluation.operating_points import parse_rule
from hf_cushing.files import written_aside
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import load_classifier
from hf_cushing.schema import UsageError, UserError
from hf_cushing.stats.calibration import Platt, Temperature, fit_platt, fit_temperature
from hf_cushing.stats.grade_metrics import check_grades
from hf_cushing.training.run_folder import scorer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FITS = {"temperature": fit_temperature, "platt": fit_platt}
WEIGHTS = "model.safetensors"

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
        _last_layer(model)


def calibrate_saved(run: Path, config: RunConfig, data: FaceData) -> dict[str, Any]:
    """Fit on the validation photos as the saved model scores them, and save the model anew.

    Every process of a launch calls this; the first one writes. The head was written just before,
    uncalibrated, so nothing is applied twice. Adapters beside the model get the same head.

    Where ``auto`` finds nothing to fold into, or nothing to fit, the model stays as it is.

    Returns
    -------
    dict
        For the manifest: method, parameters, photos, log loss before and after; or the reason.

    Raises
    ------
    UserError
        The method was named, and the head or the validation photos don't allow it.
    """
    from accelerate import PartialState

    method, forgiving = config.evaluation.calibration, config.evaluation.calibration == "auto"
    if method == "none":
        return {"calibration": {"method": method}}
    if forgiving:
        method = "platt" if len(data.labels) == 2 else "temperature"
    saved, photos = load_classifier(str(run)), data.roles["validation"]
    try:
        _, linear = _last_layer(saved.model)
        logits, numbers = scorer(saved, config)(photos), np.array(photos["label"][:])
        found = FITS[method](logits, numbers)
    except UserError as error:
        if not forgiving:
            raise
        log.warning("the probabilities stay uncalibrated: %s", error)
        return {"calibration": {"method": "none", "reason": str(error)}}
    state = PartialState()
    state.wait_for_everyone()  # nobody still reads the file that is replaced
    if state.is_main_process:
        fold_into(linear, found)
        save_again(run, saved.model, adapters=config.model.finetune == "lora")
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


def _last_layer(model: nn.Module) -> tuple[str, nn.Linear]:
    """The layer that gives the logits, and its name."""
    try:
        linear = head_linear(model)
    except UserError:
        linear = None
    if linear is None or linear.bias is None:
        raise UsageError(
            f"the head of this {type(model).__name__} has no single linear layer with a bias, into "
            "which a calibration could be folded; give --calibration none"
        )
    return next(name for name, module in model.named_modules() if module is linear), linear


def save_again(run: Path, model: PreTrainedModel, *, adapters: bool) -> None:
    """Replace the weights in one step: a reader finds the old file or the new one, whole."""
    aside = run / ".calibrated"
    model.save_pretrained(aside)
    os.replace(aside / WEIGHTS, run / WEIGHTS)
    shutil.rmtree(aside)
    if adapters:
        _save_head_of_adapters(run / "adapter" / "adapter_model.safetensors", model)


def _save_head_of_adapters(path: Path, model: PreTrainedModel) -> None:
    """Give the adapters the model's head, so that they still answer like the merged model."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    name, linear = _last_layer(model)
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    for part, tensor in (("weight", linear.weight), ("bias", linear.bias)):
        tensors[f"base_model.model.{name}.{part}"] = tensor.detach().cpu()
    with written_aside(path) as aside:
        save_file(tensors, aside, metadata)


def _log_loss(logits: np.ndarray, numbers: np.ndarray) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers].mean())
