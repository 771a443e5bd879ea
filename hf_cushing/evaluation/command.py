"""Evaluate runs: from their recorded predictions, or by scoring a dataset anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.operating_points import OperatingPoint, parse_rule
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.record import Report, points_from_json
from hf_cushing.evaluation.report import EvaluationOptions, evaluate
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier, no_such_run
from hf_cushing.models.score import check_labels, predictions_of, score, weights_revision
from hf_cushing.schema import SPLITS, UsageError, UserError

log = logging.getLogger(__name__)


def evaluate_runs(
    runs: Sequence[str],
    options: EvaluationOptions,
    *,
    dataset: str | None = None,
    rule: str | None = None,
    against: Sequence[str] = (),
    cpu: bool = False,
) -> tuple[Report, Predictions]:
    """Evaluate one run, or several folds pooled.

    Parameters
    ----------
    runs : sequence of str
        Run folders, `predictions.parquet` files, or (with `dataset`) one Hub id.
    options : EvaluationOptions
        Its `rule` is replaced by `rule`, or by the recorded one.
    dataset : str, optional
        Score this dataset with the model; without it the recorded predictions are taken.
    rule : str, optional
        Rule for the threshold; by default the one recorded with the run, else ``f1``.
    against : sequence of str
        Runs of another model on the same photos, to be compared with.
    cpu : bool

    Raises
    ------
    UserError
        Also if a photo to be scored was trained on.
    """
    if options.split not in SPLITS:
        raise UsageError(f"--split {options.split}: choose {', '.join(SPLITS)}")
    if rule:
        parse_rule(rule)
    if dataset is None:
        predictions = _recorded(runs)
        options = replace(
            options,
            rule=rule or _recorded_rule(runs),
            grades=options.grades or _common_grades(runs),
        )
        other = _recorded(against) if against else None
        return evaluate(predictions, options, against=other), predictions
    if len(runs) > 1:
        raise UsageError("with --dataset give one run; several are pooled from their predictions")
    if against:
        raise UsageError(
            "--against compares recorded predictions: evaluate both models on the dataset first, "
            "then compare their report folders"
        )
    return _score_dataset(runs[0], dataset, options, rule=rule, cpu=cpu)


def _recorded(runs: Sequence[str]) -> Predictions:
    return concatenate([load_predictions(Path(run)) for run in runs])


def _recorded_rule(runs: Sequence[str]) -> str:
    """The threshold rule that these runs were made with."""
    found = [Path(run) / "metrics.json" for run in runs if (Path(run) / "metrics.json").is_file()]
    rules = {point.rule for path in found for point in points_from_json(read_json(path))}
    if len(rules) > 1:
        raise UsageError(f"these runs chose thresholds by {', '.join(sorted(rules))}; "
                         "name one with --threshold-rule")  # fmt: skip
    return rules.pop() if rules else "f1"


def _common_grades(runs: Sequence[str]) -> tuple[str, ...]:
    """The order of severity that these runs recorded; empty where none has one."""
    orders = {_grades_of(run) for run in runs if Path(run).is_dir()}
    if len(orders) > 1:
        raise UsageError("these runs have grades in different orders, or none; evaluate them apart")
    return orders.pop() if orders else ()


def _grades_of(run: str) -> tuple[str, ...]:
    metrics = _run_json(run, "metrics.json") or {}
    return tuple((metrics.get("grading") or {}).get("grades", ()))


def _score_dataset(
    run: str, dataset: str, options: EvaluationOptions, *, rule: str | None, cpu: bool
) -> tuple[Report, Predictions]:
    manifest = _run_json(run, "manifest.json") or {}
    data = load_as_run(run, dataset)
    if options.split == "test":
        own = manifest.get("dataset_revision") == data.revision
        if not own and "seen_photo_ids" not in manifest:
            log.warning("%s doesn't say which photos trained it: whether these did is unknown", run)
        _check_not_seen(data, set(manifest.get("seen_photo_ids", ())))
    classifier = load_classifier(run)
    check_labels(classifier, data.labels, run)
    revision = model_revision(run) or run
    points = _recorded_points(run, revision, rule)
    if options.per_sex and all(point.sex == "all" for point in points):
        points = []  # to be chosen anew, for each sex
    seed = manifest["config"]["training"]["seed"] if manifest else 0
    parts = []
    alone = points and not options.abstain
    for name in [options.split] if alone else dict.fromkeys(["validation", options.split]):
        photos = data.roles[name]
        logits = score(classifier, photos, cpu=cpu)
        parts.append(
            predictions_of(logits, photos, data=data, split=name, seed=seed, revision=revision)
        )
    predictions = concatenate(parts)
    options = replace(
        options,
        rule=rule or (points[0].rule if points else "f1"),
        grades=options.grades or _grades_of(run),
    )
    return evaluate(predictions, options, operating_points=points or None), predictions


def _recorded_points(run: str, revision: str, rule: str | None) -> list[OperatingPoint]:
    """Thresholds that were chosen when the run was trained; none for a bare model."""
    recorded = _run_json(run, "metrics.json")
    points = points_from_json(recorded) if recorded else []
    if any(point.model_revision != revision for point in points):
        raise UserError(f"{run}: metrics.json belongs to other weights; evaluate the original run")
    if points and rule not in (None, points[0].rule):
        raise UsageError(
            f"--threshold-rule {rule}: the threshold of {run} was chosen by {points[0].rule}; "
            "leave the option out"
        )
    return points


def _check_not_seen(data: FaceData, seen: set[str]) -> None:
    """Refuse test photos that trained the model or chose its epoch and threshold.

    Photos are told by their content: the same person in other photos is not noticed here.
    """
    known = seen & set(data.roles["test"]["photo_id"])
    if known:
        raise UserError(
            f"{len(known)} of the test photos were among the run's train or validation photos; "
            "evaluate it on photos it has not seen"
        )


def load_as_run(run: str, dataset: str) -> FaceData:
    """A dataset with the photos dealt as a run had them; by its splits if it is another."""
    data = load_faces(dataset)
    manifest = _run_json(run, "manifest.json") or {}
    if manifest.get("dataset_revision") != data.revision:
        return data
    own = manifest["config"]["data"]
    return load_faces(dataset, fold=own["fold"], repeat=own["repeat"])


def model_revision(run: str) -> str:
    """Names the weights of a run folder or Hub model; empty where there are none of safetensors."""
    weights = _run_file(run, "model.safetensors")
    return weights_revision(weights) if weights else ""


def _run_file(run: str, name: str) -> Path | None:
    """Path of a file of a run folder or Hub repository; None if it isn't there."""
    if Path(run).is_dir():
        path = Path(run) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(hf_hub_download(run, name))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise no_such_run(run) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise no_such_run(run) from error


def _run_json(run: str, name: str) -> dict[str, Any] | None:
    path = _run_file(run, name)
    return read_json(path) if path else None
