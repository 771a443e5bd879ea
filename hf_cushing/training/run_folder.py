"""The run folder: its plan, the saved model, its scores, tables, card and manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hf_cushing.config import RunConfig
from hf_cushing.data.counts import count_cells
from hf_cushing.data.loading import FaceData, class_words
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import write_report
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.evaluation.tables import report_tables
from hf_cushing.files import read_json, render_template, write_json, write_text
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.features import FeatureOptions, FeatureStore
from hf_cushing.models.score import score, weights_revision
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE, UserError
from hf_cushing.training.environment import environment

if TYPE_CHECKING:
    from datasets import Dataset

MERGED_APART = 1e-2
"""Largest difference of logits between adapters in place and merged ones; seen: 1e-5."""

ELSEWHERE = {
    "training": ("resume", "output_dir", "tracker"),
    "data": ("num_workers", "features_dir"),
}
"""Settings that don't change the result."""


def run_plan(config: RunConfig, data: FaceData) -> dict[str, Any]:
    """What decides the result: settings and data, without where they lie on this machine."""
    settings = asdict(config)
    for part, name in (("data", "dataset"), ("model", "model"), ("training", "output_dir")):
        if Path(settings[part][name]).exists() or name == "output_dir":
            settings[part][name] = Path(settings[part][name]).name
    for part, names in ELSEWHERE.items():
        for name in names:
            del settings[part][name]
    return {"config": settings, "dataset_revision": data.revision}


def feature_options(config: RunConfig) -> FeatureOptions:
    """Where a run keeps features: by default beside the run folder, for all its neighbours."""
    folder = config.data.features_dir or Path(config.training.output_dir).parent / ".features"
    return FeatureOptions(
        folder=Path(folder),
        dtype=config.data.feature_dtype,
        precision=config.training.precision,
        num_workers=config.data.num_workers,
        cpu=config.training.cpu,
    )


def save_model(
    run: Path, classifier: Classifier, model: nn.Module, weights: dict[str, Any] | None = None
) -> None:
    """Save the run's model; adapters beside it, and merged into it.

    `weights` are the model's where its own are in shards.
    """
    if hasattr(model, "merge_and_unload"):
        model.peft_config["default"].base_model_name_or_path = _public_name(classifier)
        model.save_pretrained(run / "adapter")
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
    if apart > MERGED_APART:
        raise UserError(
            f"the adapters can't be merged into this network: its logits move by {apart:.2g}; "
            "choose --finetune last_n or full"
        )
    return merged


def _public_name(classifier: Classifier) -> str:
    """Hub id of the base model, or a folder's own name: no path of this machine."""
    name = classifier.model.config._name_or_path or classifier.model.config.model_type
    return Path(name).name if Path(name).exists() else name


def score_saved(run: Path, config: RunConfig, data: FaceData) -> Predictions:
    """Score validation and test by the model as it was saved, not as it was left in memory."""
    logits_of = scorer(load_classifier(str(run)), config)
    revision = weights_revision(run / "model.safetensors")
    parts = []
    for split in ("validation", "test"):
        photos = data.roles[split]
        logits = logits_of(photos)
        parts.append(
            predictions_of(
                logits, photos, data=data, split=split, seed=config.training.seed, revision=revision
            )
        )
    return concatenate(parts)


def scorer(saved: Classifier, config: RunConfig) -> Callable[[Dataset], np.ndarray]:
    """What scores photos with a saved model: from cached features where they are exact."""
    exact = (config.training.precision, config.data.feature_dtype) == ("fp32", "float32")
    if config.uses_features and exact:
        return FeatureStore(saved, feature_options(config)).logits
    return partial(
        score,
        saved,
        batch_size=2 * config.training.batch_size,
        num_workers=config.data.num_workers,
        cpu=config.training.cpu,
    )


def write_results(
    run: Path,
    config: RunConfig,
    plan: dict[str, Any],
    data: FaceData,
    predictions: Predictions,
    report: Report,
    facts: dict[str, Any],
) -> None:
    write_report(run, report, predictions)
    seen = [name for role in data.roles if role != "test" for name in data.roles[role]["photo_id"]]
    manifest = plan | {
        "labels": data.labels,
        "model_revision": str(predictions.model_revision[0]),
        "run": facts,
        "cells": _cells(data),
        "environment": environment(),
        "seen_photo_ids": sorted(seen),
    }
    card = render_template(
        "run.md.jinja",
        config=config,
        rates=config.rates,
        facts=facts,
        labels=data.labels,
        notice=RESEARCH_NOTICE,
        photos={role: len(rows) for role, rows in data.roles.items()},
        patients={role: len(set(rows["patient_id"])) for role, rows in data.roles.items()},
        tables=tables_to_markdown(report_tables(report), notice=False),
    )
    write_text(run / "README.md", card)
    _move_curves(run)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    write_json(run / "manifest.json", manifest)
    (run / "plan.json").unlink(missing_ok=True)


def _cells(data: FaceData) -> list[dict[str, Any]]:
    """Photos and patients by role × label × sex, for the card."""
    cells = []
    for role, photos in data.roles.items():
        columns = {name: class_words(photos, name).tolist() for name in ("label", "sex")}
        columns["patient_id"] = photos["patient_id"][:]
        cells += [{"split": role} | cell for cell in count_cells(columns, ("label", "sex"))]
    return cells


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
