import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_curve

from hf_cushing.evaluation.operating_points import (
    OperatingPoint,
    best_threshold,
    call_positive,
    choose_operating_points,
)
from hf_cushing.schema import UserError
from tests.evaluation.test_report import make_predictions


@pytest.mark.parametrize("seed", range(10))
def test_no_other_threshold_is_better(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    score = np.clip(rng.normal(0.3 + 0.3 * truth, 0.25), 0, 1).round(2)
    chosen = best_threshold(truth, score, "f1")
    best = max(f1_score(truth, score >= t) for t in np.unique(score))
    assert f1_score(truth, score >= chosen) == pytest.approx(best)
    chosen = best_threshold(truth, score, "youden")
    false, true, _ = roc_curve(truth, score)
    gained = (score >= chosen)[truth].mean() - (score >= chosen)[~truth].mean()
    assert gained == pytest.approx((true - false).max())


def test_threshold_lies_between_scores_not_on_one():
    truth, score = np.array([False, False, True, True]), np.array([0.1, 0.2, 0.8, 0.9])
    assert best_threshold(truth, score, "f1") == pytest.approx(0.5)


def test_test_photos_do_not_move_the_threshold(rng):
    predictions = make_predictions(rng)
    points = choose_operating_points(predictions)
    only_validation = predictions.select(predictions.split == "validation")
    assert points == choose_operating_points(only_validation)
    assert {point.split for point in points} == {"validation"}


def test_threshold_from_test_is_refused(rng):
    with pytest.raises(UserError, match="not honest"):
        choose_operating_points(make_predictions(rng), split="test")


def test_each_fold_is_called_by_its_own_models_threshold(rng):
    predictions = make_predictions(rng)
    models = np.where(np.arange(len(predictions)) % 2, "a", "b")
    from dataclasses import replace

    predictions = replace(predictions, model_revision=models)
    points = [
        OperatingPoint(
            label="cushing", threshold=t, rule="f1", split="validation", model_revision=m
        )
        for m, t in (("a", 0.0), ("b", 1.1))
    ]
    assert (call_positive(predictions, "cushing", points) == (models == "a")).all()
    with pytest.raises(UserError, match="no threshold is known"):
        call_positive(predictions, "cushing", points[:1])


def test_one_class_and_unknown_rule_are_refused():
    with pytest.raises(UserError, match="with and without the disease"):
        best_threshold(np.array([True, True]), np.array([0.1, 0.2]), "f1")
    with pytest.raises(UserError, match="choose f1 or youden"):
        best_threshold(np.array([True, False]), np.array([0.1, 0.2]), "magic")
