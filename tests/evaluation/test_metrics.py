import math

import numpy as np
import pytest
from sklearn import metrics as sk

from hf_cushing.evaluation.metrics import binary_metrics, mean_auroc, roc_points


def sample(seed, n=71, ties=False):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    score = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    return truth, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_metrics_agree_with_scikit_learn(seed, ties):
    truth, score = sample(seed, ties=ties)
    called = score >= 0.5
    ours = binary_metrics(truth, score, called)
    theirs = {
        "accuracy": sk.accuracy_score(truth, called),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
        "precision": sk.precision_score(truth, called),
        "recall": sk.recall_score(truth, called),
        "specificity": sk.recall_score(~truth, ~called),
        "f1": sk.f1_score(truth, called),
        "auroc": sk.roc_auc_score(truth, score),
        "auprc": sk.average_precision_score(truth, score),
    }
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_roc_curve_has_the_area_of_auroc(ties):
    truth, score = sample(3, ties=ties)
    false, true = roc_points(truth, score)
    assert np.trapezoid(true, false) == pytest.approx(sk.roc_auc_score(truth, score))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_mean_auroc_of_three_classes_is_one_vs_rest_without_control(rng):
    numbers = rng.integers(0, 3, 60)
    probabilities = rng.dirichlet(np.ones(3), 60)
    expected = [sk.roc_auc_score(numbers == c, probabilities[:, c]) for c in (1, 2)]
    assert mean_auroc(probabilities, numbers) == pytest.approx(np.mean(expected))


def undefined(truth, called):
    truth, called = np.array(truth, bool), np.array(called, bool)
    values = binary_metrics(truth, called.astype(float), called)
    return {name for name, value in values.items() if math.isnan(value)}


def test_undefined_is_nan_and_never_zero():
    assert undefined([0, 0], [0, 1]) == {"balanced_accuracy", "recall", "auroc", "auprc"}
    assert undefined([1, 1], [1, 1]) == {"balanced_accuracy", "specificity", "auroc"}
    assert undefined([1, 0], [0, 0]) == {"precision"}
    assert undefined([0, 0], [0, 0]) >= {"f1", "precision", "recall"}
