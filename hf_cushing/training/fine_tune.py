"""One training run, from a dataset to a run folder."""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, FacePhotos, load_faces, words
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.report import Report, evaluate, report_tables, write_report
from hf_cushing.files import plain, read_json, render_template, write_json, write_text
from hf_cushing.models.build import Classifier, build_classifier, describe, freeze, load_classifier
from hf_cushing.models.score import predictions_of, score, weights_revision
from hf_cushing.schema import RESEARCH_NOTICE, UserError
from hf_cushing.training.environment import environment
from hf_cushing.training.trainer import FaceTrainer, build_trainer
from hf_cushing.training.weighting import photo_weights

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
    checkpoint = _checkpoint(run, config.training.resume)
    state = PartialState(cpu=config.training.cpu)
    _check_processes(state.num_processes)
    data = load_faces(
        config.data.dataset,
        fold=config.data.fold,
        repeat=config.data.repeat,
        revision=config.data.dataset_revision,
    )
    plan = run_plan(config, data)
    if checkpoint:
        _check_same_plan(run, plan)
    elif state.is_main_process:
        write_json(run / "plan.json", plan)
    set_seed(config.training.seed)
    classifier = build_classifier(
        config.model.model,
        data.labels,
        init=config.model.init,
        image_size=config.model.image_size,
        revision=config.model.model_revision,
    )
    freeze(classifier.model, config.model.finetune)
    facts = describe(classifier.model)
    if state.is_main_process:
        log.info("%s", _announcement(config, data, facts, state))
    trainer = _trainer(config, data, classifier)
    trainer.train(resume_from_checkpoint=checkpoint)
    if state.is_main_process:
        _save_model(run, classifier)
    state.wait_for_everyone()
    predictions = _score_saved(run, config, data)
    report = evaluate(
        predictions, rule=config.evaluation.threshold_rule, draws=config.evaluation.bootstrap
    )
    if state.is_main_process:
        facts |= {"processes": state.num_processes, "seconds": round(time.time() - started, 1)}
        facts |= {"epochs": trainer.state.epoch, "best_auroc": trainer.state.best_metric}
        _write_results(run, config, plan, data, predictions, report, facts)
    state.wait_for_everyone()
    return RunResult(run, report)


def _checkpoint(run: Path, resume: bool) -> str | None:
    """Give the newest whole checkpoint; refuse to mix two runs in one folder.

    The Trainer writes trainer_state.json last: a checkpoint without it was cut off.
    """
    if (run / "manifest.json").exists():
        raise UserError(f"{run} holds a finished run; choose another --output_dir or delete it")
    whole = list((run / "checkpoints").glob("checkpoint-*/trainer_state.json"))
    if not whole:
        return None
    if not resume:
        raise UserError(f"{run} holds an unfinished run; add --resume to go on, or delete it")
    return str(max(whole, key=lambda path: int(path.parent.name.split("-")[1])).parent)


def run_plan(config: RunConfig, data: FaceData) -> dict[str, Any]:
    """What decides the result: settings and data, without where they lie on this machine."""
    settings = asdict(config)
    for part, name in (("data", "dataset"), ("model", "model"), ("training", "output_dir")):
        if Path(settings[part][name]).exists() or name == "output_dir":
            settings[part][name] = Path(settings[part][name]).name
    for part, name in (("training", "resume"), ("training", "output_dir"), ("data", "num_workers")):
        del settings[part][name]
    return {"config": settings, "dataset_revision": data.revision}


def _check_same_plan(run: Path, plan: dict[str, Any]) -> None:
    """Refuse to go on from a checkpoint that was trained otherwise, or on other photos."""
    if not (run / "plan.json").exists() or read_json(run / "plan.json") != plain(plan):
        raise UserError(
            f"{run} holds a checkpoint of a run with other settings or photos; resume it with "
            "those of plan.json, or choose another --output_dir"
        )


def _check_processes(count: int) -> None:
    """Fail where a launcher asked for several processes and one was set up."""
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked != count:
        raise UserError(
            f"the launcher asked for {asked} processes but {count} run; on a CPU launch with "
            "`torchrun --nproc_per_node N train.py … --cpu`"
        )


def _announcement(config: RunConfig, data: FaceData, facts: dict[str, Any], state: Any) -> str:
    photos = ", ".join(f"{role} {len(rows)}" for role, rows in data.roles.items())
    return (
        f"{config.model.model}, {config.model.finetune}: {facts['trainable']:,} of "
        f"{facts['parameters']:,} parameters learn; photos: {photos}; "
        f"processes: {state.num_processes}, device: {state.device.type}"
    )


def _trainer(config: RunConfig, data: FaceData, classifier: Classifier) -> FaceTrainer:
    rows = data.roles["train"]
    weights = photo_weights(
        np.array(words(rows, "label")), np.array(words(rows, "sex")), config.training.imbalance
    )
    augmented = config.training.augments(config.model.finetune)
    train = FacePhotos(
        rows,
        classifier.processor,
        weights=weights,
        augment_seed=config.training.seed if augmented else None,
        zoom_out=config.training.zoom_out,
    )
    return build_trainer(
        config, classifier, train, FacePhotos(data.roles["validation"], classifier.processor)
    )


def _save_model(run: Path, classifier: Classifier) -> None:
    classifier.model.save_pretrained(run)
    classifier.processor.save_pretrained(run)


def _score_saved(run: Path, config: RunConfig, data: FaceData) -> Predictions:
    """Score validation and test by the model as it was saved, not as it was left in memory."""
    saved = load_classifier(str(run))
    revision = weights_revision(run / "model.safetensors")
    parts = []
    for split in ("validation", "test"):
        photos = data.roles[split]
        logits = score(
            saved,
            photos,
            batch_size=2 * config.training.batch_size,
            num_workers=config.data.num_workers,
            cpu=config.training.cpu,
        )
        parts.append(
            predictions_of(
                logits, photos, data=data, split=split, seed=config.training.seed, revision=revision
            )
        )
    return concatenate(parts)


def _write_results(
    run: Path,
    config: RunConfig,
    plan: dict[str, Any],
    data: FaceData,
    predictions: Predictions,
    report: Report,
    facts: dict[str, Any],
) -> None:
    write_report(run, report, predictions)
    seen = [*data.roles["train"]["photo_id"], *data.roles["validation"]["photo_id"]]
    manifest = plan | {
        "labels": data.labels,
        "model_revision": str(predictions.model_revision[0]),
        "run": facts,
        "environment": environment(),
        "seen_photo_ids": sorted(seen),
    }
    card = render_template(
        "model.md.jinja",
        config=config,
        facts=facts,
        labels=data.labels,
        notice=RESEARCH_NOTICE,
        photos={role: len(rows) for role, rows in data.roles.items()},
        patients={role: len(set(rows["patient_id"])) for role, rows in data.roles.items()},
        tables=report_tables(report),
    )
    write_text(run / "README.md", card)
    _move_curves(run)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    write_json(run / "manifest.json", manifest)
    (run / "plan.json").unlink(missing_ok=True)


def _move_curves(run: Path) -> None:
    """Keep the TensorBoard files when the checkpoints, which hold pickles, are deleted."""
    curves = run / "tensorboard"
    files = sorted((run / "checkpoints").rglob("events.out.tfevents.*"))
    for number, file in enumerate(files):  # their own names hold the host's name
        curves.mkdir(exist_ok=True)
        file.replace(curves / f"events.out.tfevents.{number}")


def read_manifest(run: Path) -> dict[str, Any]:
    """Read the manifest of a finished run folder."""
    if not (run / "manifest.json").exists():
        raise UserError(f"{run} has no manifest.json: the run did not finish; go on with --resume")
    return read_json(run / "manifest.json")
