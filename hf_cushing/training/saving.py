"""The model in the run folder: how it is saved, and how its head is changed afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.files import written_aside
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import Classifier
from hf_cushing.schema import UserError
from hf_cushing.training.processes import first_process_writes

WEIGHTS = "model.safetensors"

MERGE_TOLERANCE = 1e-2
"""Largest difference of logits between adapters in place and merged ones; seen: 1e-5."""


def save_model(
    run: Path, classifier: Classifier, model: nn.Module, weights: dict[str, Any] | None = None
) -> None:
    """Save the run's model; adapters beside it, and merged into it.

    `weights` are the model's where its own are in shards.
    """
    if hasattr(model, "merge_and_unload"):
        model.peft_config["default"].base_model_name_or_path = _public_name(classifier)
        model.save_pretrained(run / "adapter", save_embedding_layers=False)  # of words
        (run / "adapter" / "README.md").unlink(missing_ok=True)
        merged = _merge(model, classifier.processor.crop_size["height"])
        merged.save_pretrained(run)
    else:
        classifier.model.save_pretrained(run, state_dict=weights)
    classifier.processor.save_pretrained(run)


def _merge(model: nn.Module, side: int) -> nn.Module:
    """Fold the adapters into the weights, and check that the answer stays the same."""
    device = next(model.parameters()).device
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        before = model.eval()(pixel_values=noise).logits
        merged = model.merge_and_unload()
        apart = float((merged.eval()(pixel_values=noise).logits - before).abs().max())
    if apart > MERGE_TOLERANCE:
        raise UserError(
            f"the adapters can't be merged into this network: its logits move by {apart:.2g}; "
            "choose --finetune last_n or full"
        )
    return merged


def _public_name(classifier: Classifier) -> str:
    """Hub id of the base model, or a folder's own name: no path of this machine."""
    name = classifier.model.config._name_or_path or classifier.model.config.model_type
    return Path(name).name if Path(name).exists() else name


def change_saved_head(
    config: RunConfig, saved: Classifier, change: Callable[[nn.Linear], None]
) -> None:
    """Change the head of the run's saved model; adapters beside it get the same.

    Every process of a launch calls this; the first one writes. The weights are replaced in one
    step: a reader finds the old file or the new one, whole.
    """

    def write() -> None:
        run, linear = config.run_folder, head_linear(saved.model)
        change(linear)
        aside = run / ".changed"
        saved.model.save_pretrained(aside)
        os.replace(aside / WEIGHTS, run / WEIGHTS)
        shutil.rmtree(aside)
        if config.model.finetune == "lora":
            (name,) = (n for n, module in saved.model.named_modules() if module is linear)
            _replace_tensors(
                run / "adapter" / "adapter_model.safetensors",
                {f"base_model.model.{name}.{n}": t for n, t in linear.named_parameters()},
            )

    first_process_writes(write)


def _replace_tensors(path: Path, new: dict[str, torch.Tensor]) -> None:
    """Replace some of the tensors of a file, in one step."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    tensors |= {name: tensor.detach().cpu() for name, tensor in new.items()}
    with written_aside(path) as aside:
        save_file(tensors, aside, metadata)
