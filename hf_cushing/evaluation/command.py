"""Evaluate runs: from their recorded predictions, or by scoring a dataset anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from hf_cushing.evaluation.operating_points import OperatingPoint, parse_rule
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import Predictions, concatenate
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.scoring import predictions_of
from hf_cushing.models.score import check_labels, score
from hf_cushing.run import Run
from hf_cushing.schema import UsageError

log = logging.getLogger(__name__)


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
        Score this dataset with the model; without it the recorded predictions are taken.
    against : sequence of Run
        Runs of another model on the same photos, to be compared with.
    cpu : bool

    Raises
    ------
    UserError
        Also if a photo to be scored was trained on.
    """
    if options.rule:
        parse_rule(options.rule)
    if dataset is None:
        return _evaluate_recorded(runs, options, against=against)
    if len(runs) > 1:
        raise UsageError("with --dataset give one run; several are pooled from their predictions")
    if against:
        raise UsageError(
            "--against compares recorded predictions: evaluate both models on the dataset first, "
            "then compare their report folders"
        )
    return _score_dataset(runs[0], dataset, options, cpu=cpu)


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
        grades=options.grades or _common_grades(runs),
    )
    other = pooled_predictions(against) if against else None
    return evaluate(predictions, options, against=other), predictions


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
    run: Run, dataset: str, options: EvaluationOptions, *, cpu: bool
) -> tuple[Report, Predictions]:
    data = run.load_faces(dataset)
    if options.split == "test":
        own = run.manifest.get("dataset_revision") == data.revision
        if not own and run.seen_photo_ids is None:
            log.warning("%s doesn't say which photos trained it: whether these did is unknown",
                        run.name)  # fmt: skip
        run.check_not_seen(data.roles["test"]["photo_id"], "evaluate it on photos it has not seen")
    check_labels(run.classifier, data.labels, run.name)
    points = _recorded_points(run, options.rule)
    if options.per_sex and all(point.sex == "all" for point in points):
        points = []  # to be chosen anew, for each sex
    seed = run.manifest["config"]["training"]["seed"] if run.manifest else 0
    alone = points and not options.abstain
    splits = [options.split] if alone else dict.fromkeys(["validation", options.split])
    parts = [
        predictions_of(
            score(run.classifier, data.roles[split], cpu=cpu),
            data.roles[split],
            data=data,
            split=split,
            seed=seed,
            revision=run.weights_revision or run.name,
        )
        for split in splits
    ]
    predictions = concatenate(parts)
    options = replace(
        options,
        rule=options.rule or run.threshold_rule,
        grades=options.grades or run.grades,
    )
    return evaluate(predictions, options, operating_points=points or None), predictions


def _recorded_points(run: Run, rule: str | None) -> list[OperatingPoint]:
    """Thresholds that were chosen when the run was trained; none for a bare model."""
    if run.threshold_rule and rule not in (None, run.threshold_rule):
        raise UsageError(
            f"--threshold-rule {rule}: the threshold of {run.name} was chosen by "
            f"{run.threshold_rule}; leave the option out"
        )
    return list(run.operating_points)
