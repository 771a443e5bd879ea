"""Learn by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, FacePhotos, class_words
from hf_cushing.models.adapt import head_module
from hf_cushing.models.build import Classifier
from hf_cushing.models.ordinal import grade_places
from hf_cushing.schema import ALIGNED, ANY, PLAIN, UserError
from hf_cushing.training.checkpoints import best_auroc, drop_unusable, epochs_if_over
from hf_cushing.training.head import FeaturePhotos, HeadOnFeatures, views_of
from hf_cushing.training.processes import first_process_writes
from hf_cushing.training.robust import GroupWeights
from hf_cushing.training.run_folder import feature_store
from hf_cushing.training.sampling import DRAWN, PhotoOrder, class_sex_numbers, weights_of
from hf_cushing.training.selection import framed_metrics
from hf_cushing.training.teacher import Teacher
from hf_cushing.training.trainer import FaceTrainer


def descend(
    config: RunConfig,
    data: FaceData,
    classifier: Classifier,
    model: nn.Module,
    checkpoint: Path | None,
    targets: np.ndarray | None = None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Train a model, from a checkpoint where there is one.

    `targets` are a teacher's features of the training photos: shape (n, width of the head).

    Returns
    -------
    facts : dict
        For the manifest.
    weights : dict or None
        All of them, where the model's own are in shards.
    """
    trainer = make_trainer(config, data, classifier, model, checkpoint, targets)
    if trainer.is_fsdp_enabled and config.model.finetune == "lora":
        raise UserError("adapters can't be merged under FSDP; launch by multi_gpu.yaml")
    if trainer.is_fsdp_enabled and config.grades:
        raise UserError("grades can't share a direction under FSDP; launch by multi_gpu.yaml")
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    weights = None
    if trainer.is_fsdp_enabled:  # all processes give their shards
        weights = trainer.accelerator.get_state_dict(trainer.model)
    log = trainer.state.log_history
    return {"epochs": trainer.state.epoch, "best_auroc": best_auroc(log)}, weights


def make_trainer(
    config: RunConfig,
    data: FaceData,
    classifier: Classifier,
    model: nn.Module,
    checkpoint: Path | None = None,
    targets: np.ndarray | None = None,
) -> FaceTrainer:
    """Set up training with early stopping on the validation AUROC.

    Raises
    ------
    UserError
        Gradient checkpointing of a network that can't.
    """
    training, photos = config.training, data.roles["train"]
    if training.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise UserError(
            f"--gradient_checkpointing: {type(model).__name__} can't; lower --batch_size and raise "
            "--gradient_accumulation instead"
        )
    if training.gradient_checkpointing:
        enable = getattr(model, "activation_checkpointing_enable", None)
        (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    first_process_writes(lambda: drop_unusable(config.run_folder, checkpoint))
    weights, drawn = weights_of(photos, training.imbalance), training.imbalance.startswith(DRAWN)
    train, validation = _photos(config, data, classifier, None if drawn else weights)
    batch = training.batch_size * training.gradient_accumulation * PartialState().num_processes
    robust = training.mitigation == "group_dro"
    sexes = class_words(data.roles["validation"], "sex")
    places = grade_places(config.grades, data.labels) if config.grades else None
    return FaceTrainer(
        config,
        epochs=epochs_if_over(checkpoint, epochs=training.epochs, patience=training.patience),
        order=PhotoOrder(
            len(photos), seed=training.seed, multiple=batch, weights=weights if drawn else None
        ),
        robust=GroupWeights(class_sex_numbers(photos)) if robust else None,
        teacher=None if targets is None else Teacher(head_module(model), targets),
        model=HeadOnFeatures(classifier) if config.uses_features else model,
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=lambda out: framed_metrics(
            out.predictions, out.label_ids, sexes, worst_first=robust, places=places
        ),
    )


def _photos(
    config: RunConfig, data: FaceData, classifier: Classifier, weights: np.ndarray | None
) -> tuple[torch.utils.data.Dataset, torch.utils.data.Dataset]:
    """Training and validation photos, or their features where only the head learns."""
    train, validation = data.roles["train"], data.roles["validation"]
    if config.uses_features:
        store = feature_store(config, classifier)
        return (
            FeaturePhotos(train, views_of(config, train, store), weights),
            _in_all_framings(
                config, lambda f: FeaturePhotos(validation, [store.features(validation, framing=f)])
            ),
        )
    augmented = FacePhotos(
        train,
        classifier.processor,
        weights=weights,
        strength=config.augmentation,
        seed=config.training.seed,
        zoom_out=config.training.zoom_out,
        framing=config.training.framing,
    )
    return augmented, _in_all_framings(
        config, lambda framing: FacePhotos(validation, classifier.processor, framing=framing)
    )


def _in_all_framings(
    config: RunConfig, make: Callable[[str], torch.utils.data.Dataset]
) -> torch.utils.data.Dataset:
    """Validation photos in each framing that the epoch is chosen by, one after the other."""
    framings = (ALIGNED, PLAIN) if config.training.framing == ANY else (ALIGNED,)
    return torch.utils.data.ConcatDataset([make(framing) for framing in framings])
