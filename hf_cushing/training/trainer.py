"""`transformers.Trainer` with weighted photos, frozen parts that stay frozen, safe checkpoints."""

from __future__ import annotations

import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import ProgressCallback, Trainer, TrainingArguments

from hf_cushing.config import BY_BLOCKS, RunConfig
from hf_cushing.files import read_json, write_json
from hf_cushing.models.adapt import depth_of, head_module, keep_frozen_in_eval
from hf_cushing.models.device import loader_processes
from hf_cushing.schema import UserError
from hf_cushing.training.callbacks import EpochControl, FaceProgress
from hf_cushing.training.checkpoints import keep_only, seal
from hf_cushing.training.robust import GroupWeights
from hf_cushing.training.sampling import PhotoOrder
from hf_cushing.training.teacher import Teacher

GROUP_WEIGHTS = "group_weights.json"
"""File of a checkpoint: GroupDRO's weights of the groups."""

CANT_WRITE = re.compile("inline_container|write|No space")
"""How PyTorch tells that a file can't be written: by a RuntimeError."""


class FaceTrainer(Trainer):
    """Trainer whose loss weighs photos and whose frozen modules stay in evaluation mode.

    Parameters
    ----------
    config : RunConfig
    epochs : int
        Most epochs.
    order : PhotoOrder
        Order of the training photos.
    robust : GroupWeights, optional
        Of GroupDRO; takes the place of the photos' weights.
    teacher : Teacher, optional
        Whose features of the aligned crops are learned beside the labels.
    options
        Of the Trainer: model, photos, metrics.
    """

    loss_is_scaled_for_ga = False  # the loss is a mean over the batch, not over accumulated ones

    def __init__(
        self,
        config: RunConfig,
        *,
        epochs: int,
        order: PhotoOrder,
        robust: GroupWeights | None = None,
        teacher: Teacher | None = None,
        **options: Any,
    ):
        self.config, self.order, self.robust, self.teacher = config, order, robust, teacher
        control = EpochControl(options["train_dataset"], order, config.training.patience)
        super().__init__(args=_arguments(config, epochs), callbacks=[control], **options)
        self.remove_callback(ProgressCallback)
        if sys.stderr.isatty():
            self.add_callback(FaceProgress())

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy or focal loss, each photo times its weight, over the number of photos.

        The weights have mean 1 over the training photos, so that batches, processes and
        accumulated steps add up to the same loss.
        """
        if model.training:
            bare = self.accelerator.unwrap_model(model)
            keep_frozen_in_eval(bare, batch_norms=self.config.freezes_batch_norms)
        outputs = model(pixel_values=inputs["pixel_values"])
        own = self.config.model
        if own.average_mirrored and not (model.training or self.config.uses_features):
            mirrored = model(pixel_values=inputs["pixel_values"].flip(-1)).logits
            outputs["logits"] = (outputs.logits + mirrored) / 2
        losses = photo_losses(
            outputs.logits.float(),
            inputs["labels"],
            label_smoothing=self.config.training.label_smoothing if model.training else 0.0,
            focal_gamma=self.config.training.focal_gamma if model.training else 0.0,
        )
        if self.robust and model.training:
            loss = self.robust.loss(losses, inputs["index"], self._add)
        else:
            loss = (losses * inputs["sample_weight"]).mean()
        if self.teacher and model.training:
            loss = self.teacher.loss(loss, inputs["index"])
        if model.training and not torch.isfinite(loss):
            self._stop_at(inputs["index"])
        return (loss, outputs) if return_outputs else loss

    def _add(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over the processes."""
        return self.accelerator.reduce(tensor.to(self.args.device), "sum").cpu()

    def _stop_at(self, index: torch.Tensor) -> None:
        ids = [self.train_dataset.photo_ids[i] for i in index.tolist()]
        raise UserError(
            f"the loss is not a number in update {self.state.global_step + 1}, at the photos "
            f"{', '.join(ids)}; lower --learning_rate, or train with --precision fp32; if it "
            "happens again at the same photos, look at them"
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Set up AdamW with rates by depth and head, and no decay of biases and norms."""
        if self.optimizer is None:
            groups = self._parameter_groups(self.model if model is None else model)
            optimizer, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer(groups, **options)
        return self.optimizer

    def _parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        decays = set(self.get_decay_parameter_names(model))
        bare = self.accelerator.unwrap_model(model)
        head = {id(p) for p in head_module(bare).parameters()}
        decay = self.config.training.layer_decay
        layered = decay < 1 and self.config.model.finetune in BY_BLOCKS
        depths = depth_of(bare) if layered else {}
        backbone_rate, head_rate = self.config.rates
        groups: dict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                own_name = name.replace("_fsdp_wrapped_module.", "").removeprefix("module.")
                depth = depths[own_name] if depths and id(parameter) not in head else 0
                rate = head_rate if id(parameter) in head else backbone_rate * decay**depth
                groups[rate, name in decays].append(parameter)
        return [
            {
                "params": parameters,
                "lr": rate,
                "weight_decay": self.args.weight_decay if decayed else 0.0,
            }
            for (rate, decayed), parameters in groups.items()
        ]

    def _get_train_sampler(self, train_dataset: Any = None) -> PhotoOrder:
        return self.order

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write a checkpoint's weights under the names that the network has in memory.

        `save_pretrained` writes ViT, Swin and DINOv2 under older names, and the Trainer's own
        loading doesn't translate them back: it would leave all attention weights as they are,
        in silence, when a run is resumed and when the best epoch is taken.
        """
        bare = self.accelerator.unwrap_model(self.model)
        if hasattr(bare, "merge_and_unload"):  # adapters have names of their own
            bare.save_pretrained(
                output_dir,
                state_dict=state_dict,
                is_main_process=self.args.should_save,
                save_embedding_layers=False,  # of words; else it looks for the base model's config
            )
        elif self.args.should_save:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            weights = bare.state_dict() if state_dict is None else state_dict
            weights = {name: tensor.contiguous() for name, tensor in weights.items()}
            save_file(weights, Path(output_dir, "model.safetensors"), {"format": "pt"})

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Restore the groups' weights with the optimizer."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.robust and checkpoint:
            shares = read_json(Path(checkpoint, GROUP_WEIGHTS))
            self.robust.shares = torch.tensor(shares, dtype=torch.float64)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse to go on from weights that did not all find their place."""
        if wrong := [*load_result.missing_keys, *load_result.unexpected_keys]:
            raise RuntimeError(f"{len(wrong)} weights of the checkpoint don't fit: {wrong[0]}, …")

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, seal it when all processes have written, then drop older ones."""
        folder = Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")
        try:
            super()._save_checkpoint(model, trial)
            if self.robust and self.args.should_save:
                write_json(folder / GROUP_WEIGHTS, self.robust.shares.tolist())
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                seal(folder)
        except (OSError, RuntimeError, SafetensorError) as error:
            if isinstance(error, RuntimeError) and not CANT_WRITE.search(str(error)):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            free = shutil.disk_usage(folder.parent).free / 2**20
            raise UserError(
                f"the checkpoint of update {self.state.global_step} can't be written; {free:,.0f} "
                "MiB of the disk are free. Make room, then go on with --resume: earlier "
                f"checkpoints are untouched. ({(str(error).splitlines() or [''])[0]})"
            ) from error
        if self.args.should_save:
            keep_only(folder.parent, {self.state.global_step, self.state.best_global_step})


def photo_losses(
    logits: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float, focal_gamma: float
) -> torch.Tensor:
    """Loss of each photo.

    Parameters
    ----------
    logits : torch.Tensor
        float32, shape (n, classes).
    labels : torch.Tensor
        int64, shape (n,).
    label_smoothing : float
        Share of the target spread over all classes.
    focal_gamma : float
        Exponent of Lin et al. 2017 (arXiv 1708.02002): the cross-entropy is multiplied by
        (1 - probability of the truth) to this power; 0 is plain cross-entropy.

    Returns
    -------
    torch.Tensor
        float32, shape (n,).
    """
    losses = nn.functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=label_smoothing
    )
    return (1 - torch.exp(-losses)) ** focal_gamma * losses if focal_gamma else losses


def check_tracker(name: str) -> None:
    """Refuse a tracker that transformers doesn't know or that isn't installed."""
    from transformers.integrations import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    known = ", ".join(sorted({*INTEGRATION_TO_CALLBACK, "none"}))
    if name != "none" and name not in INTEGRATION_TO_CALLBACK:
        raise UserError(f"--tracker {name}: not known; choose from {known}")
    if name not in ("none", *get_available_reporting_integrations()):
        raise UserError(f"--tracker {name} isn't installed; run `pip install {name}`")


def _arguments(config: RunConfig, epochs: int) -> TrainingArguments:
    training = config.training
    loaders = loader_processes(config.data.num_workers, cpu=training.cpu)
    return TrainingArguments(
        output_dir=f"{training.output_dir}/checkpoints",
        num_train_epochs=epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=2 * training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=config.rates[0],
        lr_scheduler_type="cosine",
        warmup_steps=training.warmup,
        weight_decay=config.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=training.precision == "bf16",
        fp16=training.precision == "fp16",
        use_cpu=training.cpu,
        seed=training.seed,
        dataloader_num_workers=loaders,
        dataloader_persistent_workers=loaders > 0,
        dataloader_pin_memory=torch.cuda.is_available() and not training.cpu,  # else it warns
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="selection",
        greater_is_better=True,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,  # compute_loss stops at such a loss
        report_to=[training.tracker],
        ddp_find_unused_parameters=False,
        disable_tqdm=False,
    )
