"""One training run, from a dataset to a run folder."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, FacePhotos, class_words, load_faces
from hf_cushing.data.subsets import (
    HELD_OUT,
    with_held_out,
    with_matched_sexes,
    with_public_controls,
)
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import evaluate
from hf_cushing.files import read_json, write_json
from hf_cushing.models.adapt import adapt, describe
from hf_cushing.models.build import Classifier, build_classifier
from hf_cushing.models.features import FeatureStore
from hf_cushing.models.ordinal import constrain_head, grade_places, release
from hf_cushing.schema import UserError
from hf_cushing.training.calibrate import calibrate_saved, check_evaluation, check_head
from hf_cushing.training.checkpoints import (
    best_auroc,
    check_same_plan,
    epochs_if_over,
    find_checkpoint,
    keep_only,
    step_of,
)
from hf_cushing.training.energy import energy_measured
from hf_cushing.training.head import (
    FeaturePhotos,
    HeadOnFeatures,
    fit_head,
    refit_last_layer,
    weights_of,
)
from hf_cushing.training.robust import GroupWeights
from hf_cushing.training.run_folder import (
    feature_options,
    run_plan,
    save_model,
    score_saved,
    write_results,
)
from hf_cushing.training.sampling import DRAWN, PhotoOrder
from hf_cushing.training.trainer import FaceTrainer, build_trainer, check_tracker

PENALTIES = "penalties.json"
"""File of a run whose head was fitted: the chosen C, and the inner log loss of each C tried."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Attributes
    ----------
    folder : Path
    report : Report
        On the test split.
    """

    folder: Path
    report: Report


def fine_tune(config: RunConfig) -> RunResult:
    """Train, save, score the saved model, evaluate, and write the run folder.

    Every process of the launch calls this; the first one writes. ``manifest.json`` is written
    last: a folder that has it is complete.

    Raises
    ------
    UserError
        Faults of the settings, the dataset, the model's name or the folder.
    """
    from accelerate import PartialState
    from transformers import set_seed

    started = time.time()
    run = Path(config.training.output_dir)
    check_tracker(config.training.tracker)
    checkpoint = find_checkpoint(run, config.training.resume)
    state = PartialState(cpu=config.training.cpu)
    _check_processes(state.num_processes, cpu=config.training.cpu)
    data = load_faces(
        config.data.dataset,
        fold=config.data.fold,
        repeat=config.data.repeat,
        revision=config.data.dataset_revision,
    )
    check_evaluation(config, data.labels)
    data = _dealt(config, data)
    plan = run_plan(config, data)
    launched = plan | {"processes": state.num_processes}
    if checkpoint:
        check_same_plan(run, launched)
    elif state.is_main_process:
        write_json(run / "plan.json", launched)
    set_seed(config.training.seed)
    classifier = build_classifier(
        config.model.model,
        data.labels,
        init=config.model.init,
        image_size=config.model.image_size,
        revision=config.model.model_revision,
        drop_path=config.model.drop_path,
    )
    check_head(config, classifier.model)
    with energy_measured() as energy, _faults_explained(config):
        facts = _learn(run, config, data, classifier, checkpoint)
        state.wait_for_everyone()
        if HELD_OUT in data.roles:
            facts |= refit_last_layer(run, config, data)
        facts |= calibrate_saved(run, config, data)
        state.wait_for_everyone()
        predictions = score_saved(run, config, data)
    report = evaluate(
        predictions,
        EvaluationOptions(
            rule=config.evaluation.threshold_rule,
            draws=config.evaluation.bootstrap,
            per_sex=config.training.mitigation == "sex_thresholds",
            grades=config.grades,
        ),
    )
    if state.is_main_process:
        facts |= energy | {
            "processes": state.num_processes,
            "seconds": round(time.time() - started, 1),
        }
        write_results(run, config, plan, data, predictions, report, facts)
    state.wait_for_everyone()
    return RunResult(run, report)


def _dealt(config: RunConfig, data: FaceData) -> FaceData:
    """Let only those training photos learn that the settings ask for."""
    data = with_public_controls(data, config.data.public_controls)
    method, seed = config.training.mitigation, config.training.seed
    if method == "matched_subset":
        return with_matched_sexes(data, seed)
    if method == "dfr" and not config.is_probe:  # a probe's backbone has seen none of them
        return with_held_out(data, seed)
    return data


def _learn(
    run: Path, config: RunConfig, data: FaceData, classifier: Classifier, checkpoint: Path | None
) -> dict[str, Any]:
    """Train by the chosen method and save the model; facts for the manifest."""
    from accelerate import PartialState

    state = PartialState()
    patients = len(set(data.roles["train"]["patient_id"]))
    store, weights, facts = None, None, {}
    if config.uses_features or config.model.finetune == "lp-ft":
        store = FeatureStore(classifier, feature_options(config))
    if config.is_probe or (config.model.finetune == "lp-ft" and checkpoint is None):
        probe = fit_head(config, data, classifier, store)
        if state.is_main_process:
            write_json(run / PENALTIES, {"chosen": probe.chosen_c, "tried": probe.tried})
        state.wait_for_everyone()
    if config.is_probe or config.model.finetune == "lp-ft":
        facts["penalty_c"] = read_json(run / PENALTIES)["chosen"]
    side = classifier.processor.crop_size["height"]
    model = adapt(classifier.model, config.model, patients=patients, side=side)
    if config.grades and not config.is_probe:  # what was fitted has the form already
        constrain_head(model, grade_places(config.grades, data.labels))
    facts |= describe(model)
    if state.is_main_process:
        log.info("%s", _announcement(config, data, facts, state))
    if not config.is_probe:
        trainer = _trainer(config, data, classifier, model, store, checkpoint)
        weights = _descend(trainer, config, checkpoint)
        facts |= {
            "epochs": trainer.state.epoch,
            "best_auroc": best_auroc(trainer.state.log_history),
        }
    release(model)
    if state.is_main_process:
        save_model(run, classifier, model, weights)
    return facts


def _descend(
    trainer: FaceTrainer, config: RunConfig, checkpoint: Path | None
) -> dict[str, Any] | None:
    """Learn by gradient descent; gives the weights where the model's own are in shards."""
    if trainer.is_fsdp_enabled and config.model.finetune == "lora":
        raise UserError("adapters can't be merged under FSDP; launch by multi_gpu.yaml")
    if trainer.is_fsdp_enabled and config.grades:
        raise UserError("grades can't share a direction under FSDP; launch by multi_gpu.yaml")
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    if not trainer.is_fsdp_enabled:
        return None
    return trainer.accelerator.get_state_dict(trainer.model)  # all processes give their shards


@contextmanager
def _faults_explained(config: RunConfig) -> Iterator[None]:
    """Turn a full disk or memory into a sentence with the remedy."""
    training = config.training
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"the disk is full ({error.filename or training.output_dir}); make room, then go on "
            "with --resume"
        ) from error
    except RuntimeError as error:
        text = str(error)
        full = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text
        if not full:
            raise
        half = max(1, training.batch_size // 2)
        steps = training.gradient_accumulation * 2
        raise UserError(
            f"out of memory; give --batch_size {half} --gradient_accumulation {steps} (the same "
            "updates), --gradient_checkpointing true, --precision bf16 or --finetune head"
        ) from error


def _check_processes(count: int, *, cpu: bool) -> None:
    """Fail where a launcher asked for several processes and one was set up."""
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked != count:
        raise UserError(
            f"the launcher asked for {asked} processes but {count} run; on a CPU launch with "
            "`torchrun --nproc_per_node N train.py … --cpu`"
        )
    gpus = 0 if cpu else torch.cuda.device_count()
    if gpus > 1 and count == 1:
        raise UserError(
            f"{gpus} GPUs are visible to one process; launch with `accelerate launch --multi_gpu "
            f"--num_processes {gpus} train.py …`, or set CUDA_VISIBLE_DEVICES=0"
        )


def _announcement(config: RunConfig, data: FaceData, facts: dict[str, Any], state: Any) -> str:
    photos = ", ".join(f"{role} {len(rows)}" for role, rows in data.roles.items())
    return (
        f"{config.model.model}, {config.model.finetune}: {facts['trainable']:,} of "
        f"{facts['parameters']:,} parameters learn; photos: {photos}; "
        f"processes: {state.num_processes}, device: {state.device.type}"
    )


def _trainer(
    config: RunConfig,
    data: FaceData,
    classifier: Classifier,
    model: torch.nn.Module,
    store: FeatureStore | None,
    checkpoint: Path | None,
) -> FaceTrainer:
    from accelerate import PartialState

    training, rows = config.training, data.roles["train"]
    weights = weights_of(rows, training.imbalance)
    robust = None
    if training.mitigation == "group_dro":
        strata = 3 * np.array(rows["label"][:]) + np.array(rows["sex"][:])
        robust = GroupWeights(np.unique(strata, return_inverse=True)[1])
    drawn = training.imbalance.startswith(DRAWN)
    in_loss = None if drawn else weights
    if config.uses_features:
        model = HeadOnFeatures(classifier)
        views = [store.features(rows, view=view) for view in range(config.model.views + 1)]
        train = FeaturePhotos(rows, views, in_loss)
        checked = data.roles["validation"]
        validation = FeaturePhotos(checked, [store.features(checked)])
    else:
        train = FacePhotos(
            rows,
            classifier.processor,
            weights=in_loss,
            strength=config.augmentation,
            seed=training.seed,
            zoom_out=training.zoom_out,
        )
        validation = FacePhotos(data.roles["validation"], classifier.processor)
    batch = training.batch_size * training.gradient_accumulation * PartialState().num_processes
    order = PhotoOrder(
        len(rows), seed=training.seed, multiple=batch, weights=weights if drawn else None
    )
    _drop_cut_off(Path(training.output_dir), checkpoint)
    return build_trainer(
        config,
        model,
        train,
        validation,
        sexes=class_words(data.roles["validation"], "sex"),
        order=order,
        epochs=epochs_if_over(checkpoint, epochs=training.epochs, patience=training.patience),
        robust=robust,
        places=grade_places(config.grades, data.labels) if config.grades else None,
    )


def _drop_cut_off(run: Path, checkpoint: Path | None) -> None:
    """Delete checkpoints that are not whole, or newer than the one to go on from."""
    from accelerate import PartialState

    state = PartialState()
    if state.is_main_process:
        kept = set()
        if checkpoint is not None:
            best = read_json(checkpoint / "trainer_state.json")["best_global_step"]
            kept = {step_of(checkpoint), best}
        keep_only(run / "checkpoints", kept)
    state.wait_for_everyone()
