"""`transformers.Trainer` with weighted photos and backbones that stay frozen."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FacePhotos, collate
from hf_cushing.evaluation.metrics import mean_auroc
from hf_cushing.models.build import Classifier, head_module, keep_frozen_in_eval
from hf_cushing.models.score import softmax


class FaceTrainer(Trainer):
    """Trainer whose loss weighs photos and whose frozen modules stay in evaluation mode.

    Parameters
    ----------
    head_learning_rate : float
        Peak rate of the classification head; the backbone's is ``args.learning_rate``.
    """

    loss_is_scaled_for_ga = False  # the loss is a mean over the batch, not over accumulated ones

    def __init__(self, *, head_learning_rate: float, **options: Any):
        self.head_learning_rate = head_learning_rate
        super().__init__(**options)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy, each photo times its weight, divided by the number of photos.

        The weights have mean 1 over the training photos, so that batches, processes and
        accumulated steps add up to the same loss.
        """
        if model.training:
            keep_frozen_in_eval(self.accelerator.unwrap_model(model))
        outputs = model(pixel_values=inputs["pixel_values"])
        losses = nn.functional.cross_entropy(
            outputs.logits.float(), inputs["labels"], reduction="none"
        )
        loss = (losses * inputs["sample_weight"]).mean()
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Set up AdamW with a rate of its own for the head, and no decay of biases and norms."""
        if self.optimizer is None:
            groups = self._parameter_groups(self.model if model is None else model)
            optimizer, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer(groups, **options)
        return self.optimizer

    def _parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        decays = set(self.get_decay_parameter_names(model))
        head = {id(p) for p in head_module(self.accelerator.unwrap_model(model)).parameters()}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups[id(parameter) in head, name in decays].append(parameter)
        return [
            {
                "params": parameters,
                "lr": self.head_learning_rate if in_head else self.args.learning_rate,
                "weight_decay": self.args.weight_decay if decayed else 0.0,
            }
            for (in_head, decayed), parameters in groups.items()
        ]


class EpochOfAugmentation(TrainerCallback):
    """Tells the training photos which epoch it is, before the loader's processes start."""

    def __init__(self, photos: FacePhotos):
        self.photos = photos

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the epoch."""
        self.photos.set_epoch(int(state.epoch or 0))


def build_trainer(
    config: RunConfig, classifier: Classifier, train: FacePhotos, validation: FacePhotos
) -> FaceTrainer:
    """Set up training with early stopping on the validation AUROC."""
    return FaceTrainer(
        head_learning_rate=config.training.head_learning_rate,
        model=classifier.model,
        args=_arguments(config),
        data_collator=collate,
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=lambda out: {
            "auroc": mean_auroc(softmax(out.predictions.astype("float64")), out.label_ids)
        },
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=config.training.patience),
            EpochOfAugmentation(train),
        ],
    )


def _arguments(config: RunConfig) -> TrainingArguments:
    training = config.training
    return TrainingArguments(
        output_dir=f"{training.output_dir}/checkpoints",
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=2 * training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=training.warmup,
        weight_decay=training.weight_decay,
        max_grad_norm=1.0,
        bf16=training.bf16,
        use_cpu=training.cpu,
        seed=training.seed,
        dataloader_num_workers=config.data.num_workers,
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="auroc",
        greater_is_better=True,
        logging_strategy="epoch",
        report_to=["tensorboard"],
        ddp_find_unused_parameters=False,
        disable_tqdm=False,
    )
