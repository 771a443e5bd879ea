"""The run folder: its plan, the saved model, its scores, tables, card and manifest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hf_cushing.config import RunConfig
from hf_cushing.data.counts import count_cells
from hf_cushing.data.loading import FaceData, class_words
from hf_cushing.evaluation.first_screen import first_screen
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import write_report
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.evaluation.tables import first_tables, report_tables
from hf_cushing.files import render_template, write_json, write_text
from hf_cushing.models.backbones import BACKBONES
from hf_cushing.models.build import Classifier, load_classifier
from hf_cushing.models.device import loader_processes
from hf_cushing.models.features import FeatureStore
from hf_cushing.models.score import score, weights_revision
from hf_cushing.reports.screen import screen_markdown
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.schema import PLAIN, RESEARCH_NOTICE
from hf_cushing.training.environment import environment
from hf_cushing.training.saving import WEIGHTS

NO_EFFECT = ("resume", "output_dir", "tracker", "num_workers", "features_dir",
             "repeatability")  # fmt: skip
"""Settings that don't change the result."""


def run_plan(config: RunConfig, data: FaceData) -> dict[str, Any]:
    """What decides the result: settings and data, without where they lie on this machine."""
    settings = {
        part: {name: value for name, value in values.items() if name not in NO_EFFECT}
        for part, values in asdict(config).items()
    }
    for part, name in (("data", "dataset"), ("model", "model")):
        if Path(settings[part][name]).exists():
            settings[part][name] = Path(settings[part][name]).name
    return {"config": settings, "dataset_revision": data.revision}


def feature_store(config: RunConfig, classifier: Classifier) -> FeatureStore:
    """Features of a run: by default beside its folder, for all its neighbours."""
    folder = config.data.features_dir or config.run_folder.parent / ".features"
    return FeatureStore(
        classifier,
        Path(folder),
        dtype=config.data.feature_dtype,
        precision=config.training.precision,
        num_workers=loader_processes(config.data.num_workers, cpu=config.training.cpu),
        cpu=config.training.cpu,
    )


def score_saved(config: RunConfig, data: FaceData) -> Predictions:
    """Score validation and test by the model as it was saved, not as it was left in memory.

    Where the dataset has wide views, these too.
    """
    logits_of = scorer(load_classifier(str(config.run_folder)), config)
    revision = weights_revision(config.run_folder / WEIGHTS)
    parts = []
    for split in ("validation", "test"):
        photos = data.roles[split]
        parts.append(
            predictions_of(
                logits_of(photos),
                photos,
                plain=logits_of(photos, framing=PLAIN) if data.has_views else None,
                data=data,
                split=split,
                seed=config.training.seed,
                revision=revision,
            )
        )
    return concatenate(parts)


def scorer(saved: Classifier, config: RunConfig) -> Callable[..., np.ndarray]:
    """What scores photos with a saved model: from cached features where they are exact."""
    exact = (config.training.precision, config.data.feature_dtype) == ("fp32", "float32")
    if config.uses_features and exact:
        return feature_store(config, saved).logits
    return partial(
        score,
        saved,
        batch_size=2 * config.training.batch_size,
        num_workers=loader_processes(config.data.num_workers, cpu=config.training.cpu),
        cpu=config.training.cpu,
    )


def write_results(
    config: RunConfig,
    data: FaceData,
    *,
    plan: dict[str, Any],
    facts: dict[str, Any],
    predictions: Predictions,
    report: Report,
) -> Report:
    """Write scores, tables, card and, last of all, the manifest; the checkpoints go.

    Returns
    -------
    Report
        With its origin.
    """
    run = config.run_folder
    seen = [name for role in data.roles if role != "test" for name in data.roles[role]["photo_id"]]
    manifest = plan | {
        "labels": data.labels,
        "model_revision": str(predictions.model_revision[0]),
        "run": facts,
        "cells": _cells(data),
        "environment": environment(),
        "finished": time.strftime("%Y-%m-%d"),
        "seen_photo_ids": sorted(seen),
    }
    report = replace(report, origin=origin_of([manifest], [run.name]))
    write_report(run, report, predictions)
    known = BACKBONES.get(config.model.model)
    card = render_template(
        "run.md.jinja",
        config=config,
        rates=config.rates,
        origin=known.origin if known and config.model.init == "pretrained" else "",
        facts=facts,
        labels=data.labels,
        notice=RESEARCH_NOTICE,
        photos={role: len(rows) for role, rows in data.roles.items()},
        patients={role: len(set(rows["patient_id"])) for role, rows in data.roles.items()},
        screen=screen_markdown(first_screen(report)),
        first=tables_to_markdown(list(first_tables(report)), notice=False),
        tables=tables_to_markdown(report_tables(report), notice=False),
    )
    write_text(run / "README.md", card)
    _move_curves(run)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    write_json(run / "manifest.json", manifest)
    (run / "plan.json").unlink(missing_ok=True)
    return report


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
