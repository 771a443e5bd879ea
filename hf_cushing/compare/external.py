"""External validation: finished models on a second cohort, thresholds untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.compare.cells import Say
from hf_cushing.compare.choice import by_arm
from hf_cushing.compare.grid import Arm, Cell
from hf_cushing.compare.results import Scored
from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.predictions import Predictions, load_predictions
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.evaluation.subgroups import Resampled, mean_subgroups
from hf_cushing.models.device import loader_processes
from hf_cushing.models.score import check_labels, score
from hf_cushing.schema import UserError
from hf_cushing.training.baseline import fit_baseline
from hf_cushing.training.fine_tune import load_photos

if TYPE_CHECKING:
    from datasets import Dataset


def external_results(
    cells: Sequence[Cell], dataset: str, *, draws: int, say: Say
) -> dict[str, dict[Arm, dict[str, Resampled]]]:
    """Score every finished cell on another dataset.

    Each cell's model keeps its own threshold; an arm's figures are the means over its models
    (folds and seeds), on common draws of the external patients.

    Parameters
    ----------
    cells : sequence of Cell
    dataset : str
        Dataset folder or Hub id; all its splits are scored.
    draws : int
    say : callable

    Returns
    -------
    dict
        Disease to arm to subgroup.

    Raises
    ------
    UserError
        Other labels than the study's; a photo that trained one of the models.
    """
    from datasets import concatenate_datasets

    data = load_faces(dataset)
    photos = concatenate_datasets(list(data.roles.values()))
    scored = {}
    for number, cell in enumerate(cells, 1):
        say(f"[{number}/{len(cells)}] {cell.name}: external photos")
        scored[cell] = _scored(cell, data, photos)
    return {label: _by_arm(label, scored, draws) for label in data.labels[1:]}


def _by_arm(label: str, scored: dict[Cell, Scored], draws: int) -> dict[Arm, dict[str, Resampled]]:
    return {
        arm: mean_subgroups(
            [scored[cell].subgroups(label, scored[cell].sample(draws)) for cell in own], label
        )
        for arm, own in by_arm(list(scored)).items()
    }


def _scored(cell: Cell, data: FaceData, photos: Dataset) -> Scored:
    """Scores of one cell's model; kept beside the run."""
    run = cell.run
    path = cell.folder / f"external-{data.revision}.parquet"
    if path.exists():
        return Scored(load_predictions(path), run.operating_points)
    run.check_not_seen(photos["photo_id"], "an external cohort must be of other people")
    predict = predictions_of_baseline if cell.arm.is_baseline else _predictions_of_network
    predictions = predict(cell, data, photos)
    predictions.save(path)
    return Scored(predictions, run.operating_points)


def _predictions_of_network(cell: Cell, data: FaceData, photos: Dataset) -> Predictions:
    run, training = cell.run, cell.config.training
    check_labels(run.classifier, data.labels, run.name)
    logits = score(
        run.classifier, photos, batch_size=2 * training.batch_size,
        num_workers=loader_processes(cell.config.data.num_workers, cpu=training.cpu),
        cpu=training.cpu,
    )  # fmt: skip
    return predictions_of(
        logits, photos, data=data, split="test", seed=training.seed, revision=run.weights_revision
    )


def predictions_of_baseline(cell: Cell, data: FaceData, photos: Dataset) -> Predictions:
    """Scores of `photos` of `data` by a baseline fitted anew: its run keeps no weights."""
    own = load_photos(cell.config)
    if own.labels != data.labels:
        raise UserError(
            f"{cell.name}: the study tells {', '.join(own.labels)}, the external cohort "
            f"{', '.join(data.labels)}; the labels must be the same"
        )
    roles = {name: own.roles[name] for name in ("train", "validation")} | {"external": photos}
    _, scored = fit_baseline(cell.config, replace(own, roles=roles))
    rows = scored.of_split("external")
    return replace(rows, split=np.full(len(rows), "test"), dataset_revision=data.revision)
