import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from fairlearn.metrics import MetricFrame
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn import metrics as sk

from hf_cushing.stats.decisions import Decisions, logit, roc_points
from hf_cushing.stats.metrics import (
    BINS,
    FIXED,
    METRICS,
    Metric,
    auroc_within,
    binary_metrics,
    mean_auroc,
    shown_in,
    weighted_metrics,
)


def sample(seed, n=71, ties=False):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    score = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.01, 0.99)
    return Decisions(truth, np.round(score, 1) if ties else score, np.full(n, 0.5))


@st.composite
def tables(draw):
    """Photos of both classes, with many ties or none."""
    n = draw(st.integers(2, 14))
    steps = draw(st.sampled_from([4, 10, 997]))
    numbers = st.integers(1, steps - 1)
    score = np.array(draw(st.lists(numbers, min_size=n, max_size=n))) / steps
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    truth[:2] = [True, False]
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), float)
    weights[:2] += 1
    return Decisions(truth, score, np.full(n, 0.5)), weights


def by_scikit_learn(truth, score, called, weights):
    w = {"sample_weight": weights}
    positive, negative = (
        sk.precision_recall_fscore_support(
            truth, called, pos_label=side, average="binary", zero_division=np.nan, **w
        )
        for side in (True, False)
    )
    return {
        "accuracy": sk.accuracy_score(truth, called, **w),
        "brier": sk.brier_score_loss(truth, score, **w),
        "log_loss": sk.log_loss(truth, score, **w),
        "auroc": sk.roc_auc_score(truth, score, **w),
        "auprc": sk.average_precision_score(truth, score, **w),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, called, **w),
        **dict(zip(("precision", "recall", "f1"), positive, strict=False)),
        **dict(zip(("npv", "specificity"), negative, strict=False)),
    }


@given(tables())
def test_weighted_metrics_agree_with_scikit_learn(table):
    decisions, weights = table
    truth, score, called = decisions.truth, decisions.score, decisions.called
    ours = {name: v[0] for name, v in weighted_metrics(decisions, weights[None]).items()}
    with config_context(assume_finite=True, skip_parameter_validation=True):
        theirs = by_scikit_learn(truth, score, called, weights)
    for name, expected in theirs.items():
        assert ours[name] == pytest.approx(expected, abs=1e-9, nan_ok=True), name
    if not math.isnan(ours["mcc"]):
        assert ours["mcc"] == pytest.approx(
            sk.matthews_corrcoef(truth, called, sample_weight=weights), abs=1e-9
        )


@given(tables())
def test_fixed_specificity_ece_and_net_benefit_agree_with_brute_force(table):
    decisions, _ = table
    truth, score = decisions.truth, decisions.score
    ours = binary_metrics(decisions)
    pairs = [
        ((score >= cut)[truth].mean(), (score < cut)[~truth].mean())
        for cut in [*np.unique(score), 2.0]
    ]
    best = max(recall for recall, specificity in pairs if specificity >= FIXED - 1e-12)
    assert ours["sensitivity_at_specificity"] == pytest.approx(best)
    best = max(specificity for recall, specificity in pairs if recall >= FIXED - 1e-12)
    assert ours["specificity_at_sensitivity"] == pytest.approx(best)
    called = score >= 0.5
    benefit = ((truth & called).sum() - (~truth & called).sum()) / len(truth)
    assert ours["net_benefit"] == pytest.approx(benefit)
    assert ours["ece"] == pytest.approx(_calibration_error(truth, score))


def _calibration_error(truth, score):
    """The definition, photo by photo."""
    bins, before = {}, 0
    for value in np.unique(score):
        same = score == value
        place = min(BINS - 1, int(BINS * (before + same.sum() / 2) / len(score) + 1e-12))
        bins.setdefault(place, []).extend(np.flatnonzero(same))
        before += same.sum()
    return sum(abs(np.sum(score[rows] - truth[rows])) for rows in bins.values()) / len(score)


@pytest.mark.parametrize("seed", range(10))
def test_calibration_agrees_with_logistic_regression_of_statsmodels(seed):
    decisions = sample(seed, n=200)
    odds = logit(decisions.score)
    ours = binary_metrics(decisions)
    family = sm.families.Binomial()
    slope = sm.GLM(decisions.truth, sm.add_constant(odds), family=family).fit(tol=1e-12)
    shift = sm.GLM(decisions.truth, np.ones(200), family=family, offset=odds).fit(tol=1e-12)
    assert ours["calibration_slope"] == pytest.approx(slope.params[1], rel=1e-6)
    assert ours["calibration_intercept"] == pytest.approx(shift.params[0], rel=1e-6)


def test_weights_count_like_copies(rng):
    decisions = sample(1, n=60, ties=True)
    weights = rng.integers(0, 4, (20, 60)).astype(float)
    found = weighted_metrics(decisions, weights)
    for row, times in enumerate(weights.astype(int)):
        copied = binary_metrics(decisions.select(np.repeat(np.arange(60), times)))
        for name in METRICS:
            assert found[name][row] == pytest.approx(copied[name], abs=1e-7, nan_ok=True), name


@pytest.mark.parametrize("seed", range(5))
def test_subgroups_agree_with_fairlearn(seed):
    decisions = sample(seed, n=90)
    sex = np.where(np.arange(90) % 3 == 0, "male", "female")
    frame = MetricFrame(
        metrics={"f1": sk.f1_score, "recall": sk.recall_score},
        y_true=decisions.truth, y_pred=decisions.called, sensitive_features=sex,
    )  # fmt: skip
    for group in ("female", "male"):
        ours = binary_metrics(decisions.select(sex == group))
        for name in ("f1", "recall"):
            assert ours[name] == pytest.approx(frame.by_group.loc[group, name])


@pytest.mark.parametrize("ties", [False, True])
def test_roc_curve_has_the_area_of_auroc(ties):
    decisions = sample(3, ties=ties)
    false, true = roc_points(decisions.truth, decisions.score)
    expected = sk.roc_auc_score(decisions.truth, decisions.score)
    assert np.trapezoid(true, false) == pytest.approx(expected)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_mean_auroc_of_three_classes_is_one_vs_rest_without_control(rng):
    numbers = rng.integers(0, 3, 60)
    probabilities = rng.dirichlet(np.ones(3), 60)
    expected = [sk.roc_auc_score(numbers == c, probabilities[:, c]) for c in (1, 2)]
    assert mean_auroc(probabilities, numbers) == pytest.approx(np.mean(expected))


def undefined(truth, called):
    truth, called = np.array(truth, bool), np.array(called, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = binary_metrics(Decisions(truth, called * 0.9, np.full(len(truth), 0.5)))
    return {name for name, value in values.items() if math.isnan(value)}


def test_undefined_is_nan_and_never_zero_and_says_nothing():
    fixed = {"sensitivity_at_specificity", "specificity_at_sensitivity", "mcc", "auroc"}
    fixed |= {"calibration_slope", "calibration_intercept", "balanced_accuracy"}
    assert undefined([0, 0], [0, 1]) == fixed | {"recall", "auprc", "precision", "f1"}
    assert undefined([1, 1], [1, 0]) == fixed | {"specificity", "npv"}
    assert undefined([1, 0], [0, 0]) == {"precision", "mcc", "calibration_slope"}
    assert undefined([0, 0], [0, 0]) >= {"f1", "precision", "recall"}
    assert undefined([], []) == set(METRICS)


def test_perfect_separation_has_no_calibration_slope():
    truth = np.array([False] * 5 + [True] * 5)
    decisions = Decisions(truth, np.linspace(0.1, 0.9, 10), np.full(10, 0.5))
    assert math.isnan(binary_metrics(decisions)["calibration_slope"])


def test_every_metric_says_what_it_is_and_no_place_is_unknown():
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
    assert shown_in("brief") == ("recall", "specificity", "f1", "auroc")
    with pytest.raises(ValueError, match=r"J is shown in \['wall'\]; expected"):
        Metric("J", "one class only", shown="card wall")


def test_large_samples_are_worked_on_in_blocks(monkeypatch, rng):
    decisions = sample(5, n=50)
    weights = rng.integers(0, 3, (30, 50)).astype(float)
    whole = weighted_metrics(decisions, weights)
    monkeypatch.setattr("hf_cushing.stats.metrics.BLOCK", 130)
    for name, values in weighted_metrics(decisions, weights).items():
        assert np.allclose(values, whole[name], equal_nan=True)


def test_auroc_within_folds_counts_the_pairs_of_one_fit_alone(rng):
    part, fits = sample(0, ties=True), rng.integers(0, 3, 71)
    weights = rng.integers(0, 3, (4, 71))
    for found, row in zip(
        auroc_within(part.truth, part.score, fits, weights), weights, strict=True
    ):
        won = pairs = 0.0
        for i in np.flatnonzero(part.truth):
            for j in np.flatnonzero(~part.truth & (fits == fits[i])):
                diff = part.score[i] - part.score[j]
                won += row[i] * row[j] * (float(diff > 0) + 0.5 * float(diff == 0))
                pairs += row[i] * row[j]
        assert found == pytest.approx(won / pairs)
    alone = auroc_within(part.truth, part.score, np.zeros(71), np.ones((1, 71)))
    assert alone[0] == pytest.approx(binary_metrics(part)["auroc"])
