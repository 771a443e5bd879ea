"""All folds of a cross-validation, a run folder each, and the report of their test photos together.

Every patient is tested once, by a model that has not seen them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.evaluation.predictions import concatenate, load_predictions
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.files import read_json
from hf_cushing.training.fine_tune import evaluation_options, train_once
from hf_cushing.training.processes import first_process_writes

REPORT = "report"
"""Folder of the pooled report, beside ``fold_0``, ``fold_1`` and so on."""

log = logging.getLogger(__name__)


def train_folds(config: RunConfig) -> tuple[Report, Path]:
    """Train every fold that is not there yet, then evaluate their test photos together.

    A finished fold of the same settings is kept, one that was stopped goes on; features of a
    frozen backbone are shared, since all folds lie in one folder.

    Parameters
    ----------
    config : RunConfig
        Of one run; its `output_dir` becomes the folder of all.

    Returns
    -------
    Report
        Of all test photos.
    Path
        Its folder.

    Raises
    ------
    UserError
        As `fine_tune`; or a fold that is there was trained with other settings.
    """
    runs = [_fold_config(config, fold) for fold in range(_count_folds(config))]
    for number, own in enumerate(runs):
        log.info("fold %d of %d", number, len(runs))
        train_once(own)
    folders = [own.run_folder for own in runs]
    predictions = concatenate([load_predictions(folder) for folder in folders])
    manifests = [read_json(folder / "manifest.json") for folder in folders]
    report = replace(
        evaluate(predictions, evaluation_options(config)),
        origin=origin_of(manifests, [folder.name for folder in folders]),
    )
    out = config.run_folder / REPORT
    first_process_writes(lambda: write_report(out, report, predictions, full=True))
    return report, out


def _fold_config(config: RunConfig, fold: int) -> RunConfig:
    folder = config.run_folder / f"fold_{fold}"
    training = replace(config.training, output_dir=str(folder), resume=True)
    return replace(config, data=replace(config.data, fold=fold), training=training)


def _count_folds(config: RunConfig) -> int:
    given = config.data
    data = load_faces(given.dataset, fold=0, repeat=given.repeat, revision=given.dataset_revision)
    return 1 + max(int(np.max(photos[data.folds])) for photos in data.roles.values())
