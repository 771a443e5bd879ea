"""Evaluate runs: from their recorded predictions, or by scoring a dataset anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.report import Report, evaluate, points_from_json
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.models.score import check_labels, predictions_of, score, weights_revision
from hf_cushing.schema import SPLITS, UserError


def evaluate_runs(
    runs: Sequence[str],
    *,
    dataset: str | None = None,
    split: str = "test",
    rule: str = "f1",
    cpu: bool = False,
) -> tuple[Report, Predictions]:
    """Evaluate one run, or several folds pooled.

    Parameters
    ----------
    runs : sequence of str
        Run folders, `predictions.parquet` files, or (with `dataset`) one Hub id.
    dataset : str, optional
        Score this dataset with the model; without it the recorded predictions are taken.
    split : str
    rule : str
        Rule for thresholds that are not recorded with the run.
    cpu : bool

    Raises
    ------
    UserError
        Also if a photo to be scored was trained on.
    """
    if split not in SPLITS:
        raise UserError(f"--split {split}: choose {', '.join(SPLITS)}")
    if dataset is None:
        predictions = concatenate([load_predictions(Path(run)) for run in runs])
        _check_repeats(predictions.of_split(split))
        return evaluate(predictions, split=split, rule=rule), predictions
    if len(runs) > 1:
        raise UserError("with --dataset give one run; several are pooled from their predictions")
    return _score_dataset(runs[0], dataset, split=split, rule=rule, cpu=cpu)


def _score_dataset(
    run: str, dataset: str, *, split: str, rule: str, cpu: bool
) -> tuple[Report, Predictions]:
    manifest = _run_json(run, "manifest.json") or {}
    data = load_faces(dataset)
    if manifest and data.revision == manifest["dataset_revision"]:
        data = load_faces(dataset, fold=manifest["config"]["data"]["fold"])
    if split != "train":
        _check_not_trained_on(data, split, set(manifest.get("train_photo_ids", ())))
    classifier = load_classifier(run)
    check_labels(classifier, data.labels, run)
    weights = _run_file(run, "model.safetensors")
    revision = weights_revision(weights) if weights else run
    recorded = _run_json(run, "metrics.json")
    points = points_from_json(recorded) if recorded else None
    if points and not _same_model(points, revision):
        raise UserError(f"{run}: metrics.json belongs to other weights; evaluate the original run")
    needed = [split] if points else list(dict.fromkeys(["validation", split]))
    parts = []
    for name in needed:
        photos = data.roles[name]
        logits = score(classifier, photos, cpu=cpu)
        seed = manifest["config"]["training"]["seed"] if manifest else 0
        parts.append(
            predictions_of(logits, photos, data=data, split=name, seed=seed, revision=revision)
        )
    predictions = concatenate(parts)
    report = evaluate(predictions, split=split, rule=rule, operating_points=points)
    return report, predictions


def _same_model(points: list[OperatingPoint], revision: str) -> bool:
    return all(point.model_revision == revision for point in points)


def _check_repeats(scored: Predictions) -> None:
    """Refuse to pool runs that scored the same photo: it would count twice."""
    photos = scored.photo_id.tolist()
    if len(set(photos)) < len(photos):
        raise UserError(
            f"{len(photos) - len(set(photos))} photos were scored by more than one of these runs; "
            "pool runs of different folds, or evaluate them one by one"
        )


def _check_not_trained_on(data: FaceData, split: str, trained: set[str]) -> None:
    seen = trained & set(data.roles[split]["photo_id"])
    if seen:
        raise UserError(
            f"{len(seen)} of the {split} photos were trained on by this model; evaluate it on "
            "photos it has not seen"
        )


def _run_file(run: str, name: str) -> Path | None:
    """Path of a file of a run folder or Hub repository; None if it isn't there."""
    if Path(run).is_dir():
        path = Path(run) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(run, name))
    except EntryNotFoundError:
        return None


def _run_json(run: str, name: str) -> dict[str, Any] | None:
    path = _run_file(run, name)
    return read_json(path) if path else None
