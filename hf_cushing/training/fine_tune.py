"""One training run, from a dataset to a run folder."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import set_seed

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.data.subsets import (
    HELD_OUT,
    with_held_out,
    with_matched_sexes,
    with_public_controls,
    with_share,
)
from hf_cushing.evaluation.altered_photos import measure_repeatability
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.repeatability import Repeatability
from hf_cushing.evaluation.report import evaluate
from hf_cushing.files import plain, read_json, write_json
from hf_cushing.models.adapt import adapt, describe
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.models.build import Classifier, build_classifier, load_classifier
from hf_cushing.models.device import exact_device
from hf_cushing.models.ordinal import constrain_head, grade_places, release
from hf_cushing.schema import ALIGNED, ANY, UserError
from hf_cushing.training.baseline import fit_baseline
from hf_cushing.training.calibrate import calibrate_saved, check_evaluation, check_head
from hf_cushing.training.checkpoints import check_same_plan, find_checkpoint
from hf_cushing.training.descent import descend
from hf_cushing.training.energy import energy_measured
from hf_cushing.training.head import fit_head, refit_last_layer
from hf_cushing.training.processes import check_processes, first_process_writes
from hf_cushing.training.run_folder import feature_store, run_plan, score_saved, write_results
from hf_cushing.training.saving import save_model
from hf_cushing.training.trainer import check_tracker

PENALTIES = "penalties.json"
"""File of a run whose head was fitted: the chosen C, and the inner log loss of each C tried."""

log = logging.getLogger(__name__)


def fine_tune(config: RunConfig) -> Report:
    """Train, save, score the saved model, evaluate, and write the run folder.

    Every process of the launch calls this; the first one writes. ``manifest.json`` is written
    last: a folder that has it is complete.

    Returns
    -------
    Report
        On the test split.

    Raises
    ------
    UserError
        Faults of the settings, the dataset, the model's name or the folder.
    """
    started = time.time()
    check_tracker(config.training.tracker)
    checkpoint = find_checkpoint(config.run_folder, config.training.resume)
    exact_device(cpu=config.training.cpu)
    check_processes(cpu=config.training.cpu)
    data = load_photos(config)
    plan = run_plan(config, data)
    processes = {"processes": PartialState().num_processes}
    if checkpoint or (config.run_folder / ALIGNED).exists():
        check_same_plan(config.run_folder, plan | processes)
    else:
        first_process_writes(lambda: write_json(config.run_folder / "plan.json", plan | processes))
    with energy_measured() as energy, _faults_explained(config):
        if config.is_baseline:
            facts, scored = fit_baseline(config, data)
        else:
            facts, scored = _fit_network(config, data, checkpoint)
    report = evaluate(scored, evaluation_options(config))
    if config.evaluation.repeatability and not config.is_baseline:
        report = replace(report, repeatability=_repeatability(config, data, scored, report))
    facts |= energy | processes | {"seconds": round(time.time() - started, 1)}
    written = []
    first_process_writes(
        lambda: written.append(
            write_results(config, data, plan=plan, facts=facts, predictions=scored, report=report)
        )
    )
    return written[0] if written else report


def load_photos(config: RunConfig) -> FaceData:
    """The dataset of a run, with those training photos alone that the settings ask for."""
    data = load_faces(
        config.data.dataset,
        fold=config.data.fold,
        repeat=config.data.repeat,
        revision=config.data.dataset_revision,
    )
    check_evaluation(config, data.labels)
    if config.training.framing == ANY and not data.has_views:
        raise UserError(
            f"--framing any: {config.data.dataset} has no wide views (column context); prepare it "
            "again without --no-context, or give --framing aligned"
        )
    data = with_public_controls(data, config.data.public_controls)
    method, seed = config.training.mitigation, config.training.seed
    if config.data.train_share < 1:
        data = with_share(data, config.data.train_share, seed)
    if method == "matched_subset":
        return with_matched_sexes(data, seed)
    if method == "dfr" and not config.is_probe:  # a probe's backbone has seen none of them
        return with_held_out(data, seed)
    return data


def _fit_network(
    config: RunConfig, data: FaceData, checkpoint: Path | None
) -> tuple[dict[str, Any], Predictions]:
    """Train, save and calibrate a network, then score by what was saved."""
    teacher = _teacher(config) if config.has_teacher else None
    facts = _learn(config, data, _build(config, data), checkpoint, teacher)
    if HELD_OUT in data.roles:
        facts |= refit_last_layer(config, data)
    facts |= calibrate_saved(config, data)
    return facts, score_saved(config, data)


def _teacher(config: RunConfig) -> Classifier:
    """The network of aligned crops, from a run of its own inside the run folder."""
    folder = str(config.run_folder / ALIGNED)
    own = replace(config.training, output_dir=folder, framing=ALIGNED, resume=True)
    train_once(replace(config, training=own))
    return load_classifier(folder)


def train_once(config: RunConfig) -> None:
    """Train, or go on; leave a finished run of the same settings as it is.

    Raises
    ------
    UserError
        As `fine_tune`; or the run that is there was trained with other settings or data.
    """
    if not (config.run_folder / "manifest.json").exists():
        fine_tune(config)
        return
    found = read_json(config.run_folder / "manifest.json")
    wanted = plain(run_plan(config, load_photos(config)))
    differ = [name for name, value in wanted.items() if found.get(name) != value]
    if differ:
        raise UserError(
            f"{config.run_folder} was trained with another {' and '.join(differ)}; give another "
            "--output_dir, or delete that folder"
        )
    log.info("%s is there", config.run_folder.name)


def _build(config: RunConfig, data: FaceData) -> Classifier:
    """The network with a new head; for photos that aren't aligned it sees all of the picture."""
    set_seed(config.training.seed)
    free = config.training.framing == ANY
    known = BACKBONES.get(config.model.model) if free else None
    classifier = build_classifier(
        config.model.model,
        data.labels,
        init=config.model.init,
        image_size=config.model.image_size or (known.free_side if known else None),
        field=config.model.field or (1.0 if free else None),
        revision=config.model.model_revision,
        drop_path=config.model.drop_path,
    )
    if config.model.average_mirrored:
        classifier.model.config.average_mirrored = True
    check_head(config, classifier.model)
    return classifier


def _learn(
    config: RunConfig,
    data: FaceData,
    classifier: Classifier,
    checkpoint: Path | None,
    teacher: Classifier | None,
) -> dict[str, Any]:
    """Train by the chosen method and save the model; facts for the manifest."""
    run, facts, weights, targets = config.run_folder, {}, None, None
    if teacher:
        targets = feature_store(config, teacher).features(data.roles["train"])
        classifier.model.load_state_dict(teacher.model.state_dict())
    if config.fits_head:
        if config.is_probe or checkpoint is None:
            probe = fit_head(config, data, classifier)
            penalties = {"chosen": probe.chosen_c, "tried": probe.tried}
            first_process_writes(lambda: write_json(run / PENALTIES, penalties))
        facts["penalty_c"] = read_json(run / PENALTIES)["chosen"]
    patients = len(set(data.roles["train"]["patient_id"]))
    side = classifier.processor.crop_size["height"]
    model = adapt(classifier.model, config.model, patients=patients, side=side)
    if config.grades and not config.is_probe:  # what was fitted has the form already
        constrain_head(model, grade_places(config.grades, data.labels))
    facts |= describe(model)
    if PartialState().is_main_process:
        log.info("%s", _announcement(config, data, facts))
    if not config.is_probe:
        descent, weights = descend(config, data, classifier, model, checkpoint, targets)
        facts |= descent
    release(model)
    first_process_writes(lambda: save_model(run, classifier, model, weights))
    return facts


def _announcement(config: RunConfig, data: FaceData, facts: dict[str, Any]) -> str:
    state = PartialState()
    photos = ", ".join(f"{role} {len(rows)}" for role, rows in data.roles.items())
    return (
        f"{config.model.model}, {config.model.finetune}: {facts['trainable']:,} of "
        f"{facts['parameters']:,} parameters learn; photos: {photos}; "
        f"processes: {state.num_processes}, device: {state.device.type}"
    )


def _repeatability(
    config: RunConfig, data: FaceData, scored: Predictions, report: Report
) -> Repeatability | None:
    """How steady the saved model's answers are; None in all processes but the first."""
    if not PartialState().is_main_process:
        return None
    log.info("scoring test photos once more, altered; --repeatability 0 leaves that out")
    return measure_repeatability(
        [(load_classifier(str(config.run_folder)), data.roles["test"])],
        scored.of_split("test"),
        report.operating_points,
        most=config.evaluation.repeatability,
        cpu=config.training.cpu,
    )


def evaluation_options(config: RunConfig) -> EvaluationOptions:
    """How a run's test photos are evaluated."""
    return EvaluationOptions(
        rule=config.evaluation.threshold_rule,
        draws=config.evaluation.bootstrap,
        per_sex=config.training.mitigation == "sex_thresholds",
        grades=config.grades,
    )


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
