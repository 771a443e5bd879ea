"""Evaluate runs: from their recorded predictions, or by scoring a dataset anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hf_cushing.data.loading import FaceData
from hf_cushing.evaluation.altered_photos import measure_repeatability
from hf_cushing.evaluation.grouping import asks_for_quality
from hf_cushing.evaluation.operating_points import OperatingPoint, parse_rule
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.origin import UNKNOWN, Origin, origin_of
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.record import Report, origin_from_json, points_from_json
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.files import check_report_folder
from hf_cushing.models.score import check_labels, score
from hf_cushing.run import Run
from hf_cushing.schema import PLAIN, UsageError

log = logging.getLogger(__name__)


def evaluate_into(
    out: Path | None,
    runs: Sequence[Run],
    options: EvaluationOptions,
    *,
    dataset: str | None = None,
    against: Sequence[Run] = (),
    cpu: bool = False,
) -> Report:
    """Evaluate as `evaluate_runs`, always by sex too, and write the report folder `out`.

    Raises
    ------
    UserError
        As `evaluate_runs`; or `out` holds something else.
    """
    if out:
        check_report_folder(out, "metrics.json")
    options = replace(options, by=tuple(dict.fromkeys(["sex", *options.by])))
    report, predictions = evaluate_runs(runs, options, dataset=dataset, against=against, cpu=cpu)
    if out:
        write_report(out, report, predictions, full=True)
    return report


def evaluate_runs(
    runs: Sequence[Run],
    options: EvaluationOptions,
    *,
    dataset: str | None = None,
    against: Sequence[Run] = (),
    cpu: bool = False,
) -> tuple[Report, Predictions]:
    """Evaluate one run, or several folds pooled.

    Parameters
    ----------
    runs : sequence of Run
    options : EvaluationOptions
    dataset : str, optional
        Score this dataset with each model; without it the recorded predictions are taken.
    against : sequence of Run
        Runs of another model on the same photos, to be compared with.
    cpu : bool

    Raises
    ------
    UserError
        Also if a photo to be scored was trained on.
    """
    if options.raw and not (dataset and Path(dataset).is_dir()):
        raise UsageError("--raw needs --dataset, the folder that was prepared from it")
    for rule in filter(None, (options.rule, options.against_rule)):
        parse_rule(rule)
    if dataset is None:
        report, predictions = _evaluate_recorded(runs, options, against=against)
        return replace(report, origin=origin_of_runs(runs)), predictions
    if against:
        raise UsageError(
            "--against compares recorded predictions: evaluate both models on the dataset first, "
            "then compare their report folders"
        )
    report, predictions = _score_dataset(runs, dataset, options, cpu=cpu)
    origin = origin_of_runs(runs, dataset, str(predictions.dataset_revision[0]))
    return replace(report, origin=origin), predictions


def origin_of_runs(runs: Sequence[Run], dataset: str = "", revision: str = "") -> Origin:
    """From the manifests, or of one report folder what it says of itself.

    Parameters
    ----------
    dataset, revision : str
        What the runs are judged on, where it isn't what they recorded.
    """
    bare = len(runs) == 1 and not runs[0].manifest
    origin = origin_from_json(runs[0].metrics) if bare else None
    origin = origin or origin_of([run.manifest for run in runs], [run.title for run in runs])
    if not dataset:
        return origin
    name = dataset.rstrip("/").split("/")[-1]
    return replace(origin, dataset=name, dataset_revision=revision)


def pooled_predictions(runs: Sequence[Run]) -> Predictions:
    """The recorded scores of several runs together."""
    return concatenate([run.recorded_predictions for run in runs])


def _evaluate_recorded(
    runs: Sequence[Run], options: EvaluationOptions, *, against: Sequence[Run]
) -> tuple[Report, Predictions]:
    predictions = pooled_predictions(runs)
    options = replace(
        options,
        rule=options.rule or _common_rule(runs),
        against_rule=options.against_rule or options.rule or _common_rule(against),
        grades=options.grades or _common_grades(runs),
    )
    other = pooled_predictions(against) if against else None
    report = evaluate(predictions, options, against=other)
    if against:
        origin = origin_of_runs(against)
        facts = (origin.model, origin.method, origin.runs)
        name = ", ".join(fact for fact in facts if fact not in ("", UNKNOWN))
        named = [replace(c, other=name or c.other) for c in report.comparisons]
        report = replace(report, comparisons=named)
    return report, predictions


def _common_rule(runs: Sequence[Run]) -> str | None:
    """The threshold rule that these runs were made with; None where none is recorded."""
    rules = {run.threshold_rule for run in runs} - {None}
    if len(rules) > 1:
        raise UsageError(f"these runs chose thresholds by {', '.join(sorted(rules))}; "
                         "name one with --threshold-rule")  # fmt: skip
    return rules.pop() if rules else None


def _common_grades(runs: Sequence[Run]) -> tuple[str, ...]:
    """The order of severity that these runs recorded; empty where none has one."""
    orders = {run.grades for run in runs}
    if len(orders) > 1:
        raise UsageError("these runs have grades in different orders, or none; evaluate them apart")
    return orders.pop()


def _score_dataset(
    runs: Sequence[Run], dataset: str, options: EvaluationOptions, *, cpu: bool
) -> tuple[Report, Predictions]:
    """Score the photos of each run by its model; together they are judged as recorded ones are."""
    faces = [_unseen_faces(run, dataset, options.split) for run in runs]
    recorded = [_recorded_points(run, options.rule) for run in runs]
    points = [point for own in recorded for point in own] if all(recorded) else []
    if options.per_sex and all(point.sex == "all" for point in points):
        points = []  # to be chosen anew, for each sex
    alone = points and not options.abstain
    splits = [options.split] if alone else list(dict.fromkeys(["validation", options.split]))
    pairs = list(zip(runs, faces, strict=True))
    of_views = [points_from_json(run.metrics, plain=True) for run in runs]
    plain_points = [point for own in of_views for point in own] if all(of_views) else []
    views = all(data.has_views for data in faces) and (bool(plain_points) or not alone)
    predictions = concatenate(
        [
            _scored(run, data, split, views=views, by=options.by, cpu=cpu)
            for run, data in pairs
            for split in splits
        ]
    )
    options = replace(
        options,
        rule=options.rule or _common_rule(runs),
        grades=options.grades or _common_grades(runs),
    )
    report = evaluate(
        predictions, options, operating_points=points or None, plain_points=plain_points
    )
    if options.repeatability:
        measured = measure_repeatability(
            [(run.classifier, data.roles[options.split]) for run, data in pairs],
            predictions.of_split(options.split),
            report.operating_points,
            most=options.repeatability,
            folders=(Path(dataset), options.raw) if options.raw else None,
            cpu=cpu,
        )
        report = replace(report, repeatability=measured)
    return report, predictions


def _unseen_faces(run: Run, dataset: str, split: str) -> FaceData:
    """The dataset with the roles of the run; its test photos must not have trained it."""
    data = run.load_faces(dataset)
    if split == "test":
        own = run.manifest.get("dataset_revision") == data.revision
        if not own and run.seen_photo_ids is None:
            log.warning("%s doesn't say which photos trained it: whether these did is unknown",
                        run.name)  # fmt: skip
        run.check_not_seen(data.roles["test"]["photo_id"], "evaluate it on photos it has not seen")
    check_labels(run.classifier, data.labels, run.name)
    return data


def _scored(
    run: Run, data: FaceData, split: str, *, views: bool, by: Sequence[str], cpu: bool
) -> Predictions:
    """Scores of a split's crops and, with `views`, of its wide views."""
    logits_of = partial(score, run.classifier, data.roles[split], cpu=cpu)
    return predictions_of(
        logits_of(),
        data.roles[split],
        plain=logits_of(framing=PLAIN) if views else None,
        data=data,
        split=split,
        seed=run.manifest["config"]["training"]["seed"] if run.manifest else 0,
        revision=run.weights_revision or run.name,
        quality=asks_for_quality(by),
    )


def _recorded_points(run: Run, rule: str | None) -> list[OperatingPoint]:
    """Thresholds that were chosen when the run was trained; none for a bare model."""
    if run.threshold_rule and rule not in (None, run.threshold_rule):
        raise UsageError(
            f"--threshold-rule {rule}: the threshold of {run.name} was chosen by "
            f"{run.threshold_rule}; leave the option out"
        )
    return list(run.operating_points)
