from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from hf_cushing.evaluation.operating_points import (
    OperatingPoint,
    best_threshold,
    choose_operating_points,
    decisions_of,
)
from hf_cushing.schema import UsageError, UserError
from tests.evaluation.test_report import make_predictions


def brute_force(truth, score, rule):
    """The best value of a rule over all thresholds, from its definition."""
    kind, _, number = rule.partition(":")
    values = []
    for cut in [*np.unique(score), 2.0]:
        called = score >= cut
        recall, specificity = called[truth].mean(), (~called)[~truth].mean()
        values.append(
            {
                "f1": f1_score(truth, called) if kind == "f1" else 0,
                "youden": recall + specificity,
                "sensitivity": specificity if recall >= float(number or 0) - 1e-9 else -1,
                "specificity": recall if specificity >= float(number or 0) - 1e-9 else -1,
                "cost": -float(number or 0) * (truth & ~called).sum() - (~truth & called).sum(),
            }[kind]
        )
    return max(values)


RULES = ("f1", "youden", "sensitivity:0.8", "specificity:0.75", "cost:4")


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    truth, score = np.arange(6) % 2 == 1, np.arange(1, 7) / 10
    assert best_threshold(truth, score, "youden") == pytest.approx(0.35)  # as good: 0.15, 0.55


@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.sampled_from([5, 500]))
@pytest.mark.parametrize("rule", RULES)
def test_no_other_threshold_is_better(rule, seed, n, steps):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    truth[:2] = [True, False]
    score = rng.integers(1, steps, n) / steps
    chosen = best_threshold(truth, score, rule)
    reached = brute_force(truth, np.where(score >= chosen, 1.0, 0.0), rule)
    called = score >= chosen
    recall, specificity = called[truth].mean(), (~called)[~truth].mean()
    kind, _, number = rule.partition(":")
    if kind in ("sensitivity", "specificity"):
        held, other = (recall, specificity) if kind == "sensitivity" else (specificity, recall)
        assert held >= float(number) - 1e-9
        assert other == pytest.approx(brute_force(truth, score, rule))
    else:
        assert reached >= brute_force(truth, score, rule) - 1e-9


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


def point(threshold, model="m", sex="all"):
    return OperatingPoint(
        label="cushing", threshold=threshold, rule="f1", split="validation", model_revision=model,
        sex=sex,
    )  # fmt: skip


def test_each_fold_is_called_by_its_own_models_threshold(rng):
    predictions = make_predictions(rng)
    models = np.where(np.arange(len(predictions)) % 2, "a", "b")
    predictions = replace(predictions, model_revision=models)
    points = [point(0.0, "a"), point(1.1, "b")]
    assert (decisions_of(predictions, "cushing", points).called == (models == "a")).all()
    with pytest.raises(UserError, match="no threshold is known"):
        decisions_of(predictions, "cushing", points[:1])


def test_thresholds_per_sex_hold_for_that_sex_and_the_shared_one_for_others(rng):
    predictions = make_predictions(rng)
    sex = np.where(np.arange(len(predictions)) % 5 == 0, "unknown", predictions.sex)
    predictions = replace(predictions, sex=sex)
    points = [point(0.5), point(0.1, sex="female"), point(0.9, sex="male")]
    found = decisions_of(predictions, "cushing", points).threshold
    for name, threshold in (("unknown", 0.5), ("female", 0.1), ("male", 0.9)):
        assert set(found[sex == name]) == {threshold}


def test_each_sex_gets_the_threshold_that_is_best_for_it(rng):
    predictions = make_predictions(rng)
    points = {p.sex: p for p in choose_operating_points(predictions, "youden", per_sex=True)}
    for sex in ("female", "male"):
        own = predictions.select((predictions.sex == sex) & (predictions.split == "validation"))
        best = best_threshold(own.label == "cushing", own.score("cushing"), "youden")
        assert points[sex].threshold == best
    assert points["all"] == choose_operating_points(predictions, "youden")[0]


def test_sex_without_patients_cannot_have_its_own_threshold(rng):
    with pytest.raises(UserError, match="sex 'male': its validation photos are all or none"):
        choose_operating_points(make_predictions(rng, men=0), per_sex=True)


def test_one_class_and_unknown_rules_are_refused():
    with pytest.raises(UserError, match="with and without the disease"):
        best_threshold(np.array([True, True]), np.array([0.1, 0.2]), "f1")
    both = np.array([True, False]), np.array([0.1, 0.2])
    for rule, words in (
        ("magic", "choose one like f1, youden"),
        ("sensitivity", "needs a number after the colon"),
        ("sensitivity:90", "above 0, at most 1"),
        ("cost:-1", "must be above 0"),
        ("f1:0.5", "takes no number"),
    ):
        with pytest.raises(UsageError, match=words):
            best_threshold(*both, rule)
