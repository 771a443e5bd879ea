import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from hf_cushing.evaluation.calibration import (
    COOLEST,
    HOTTEST,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from hf_cushing.schema import UserError


def sample(seed, n=80, classes=2, noise=1.0):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, classes, n)
    numbers[:classes] = np.arange(classes)
    logits = 2 * (rng.normal(size=(n, classes)) * noise + 1.2 * np.eye(classes)[numbers])
    return logits, numbers


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(6, 60))
def test_no_other_temperature_has_a_lower_log_loss(seed, classes, n):
    logits, numbers = sample(seed, n, classes)

    def loss(value):
        return -log_softmax(logits / value, axis=1)[np.arange(n), numbers].mean()

    found = fit_temperature(logits, numbers).value
    others = np.exp(np.linspace(np.log(COOLEST), np.log(HOTTEST), 60))
    assert loss(found) <= min(loss(value) for value in others) + 1e-6


def test_temperature_of_parted_scores_is_bounded():
    logits = np.array([[5.0, 0.0]] * 5 + [[0.0, 5.0]] * 5)
    numbers = np.repeat([0, 1], 5)
    assert COOLEST <= fit_temperature(logits, numbers).value < 0.2


@pytest.mark.parametrize("seed", range(10))
def test_platt_agrees_with_logistic_regression_on_smoothed_truth(seed):
    logits, numbers = sample(seed)
    found = fit_platt(logits, numbers)
    odds = logits[:, 1] - logits[:, 0]
    positives, negatives = (numbers == 1).sum(), (numbers == 0).sum()
    share = np.where(numbers == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=5000)
    model.fit(np.tile(odds, 2)[:, None], np.repeat([1, 0], len(odds)),
              sample_weight=np.concatenate([share, 1 - share]))  # fmt: skip
    assert found.slope == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(model.intercept_[0], abs=1e-4)
    changed = found.apply(logits)
    assert changed[:, 1] - changed[:, 0] == pytest.approx(found.slope * odds + found.intercept)


def test_platt_of_parted_scores_is_finite():
    logits = np.array([[5.0, 0.0]] * 5 + [[0.0, 5.0]] * 5)
    found = fit_platt(logits, np.repeat([0, 1], 5))
    assert 0 < found.slope < 10


def test_isotonic_agrees_with_scikit_learn(rng):
    score = rng.integers(1, 99, 900) / 100
    truth = rng.random(900) < score**2
    ours = fit_isotonic(score, truth).apply(score)
    theirs = IsotonicRegression().fit(score, truth).predict(score)
    assert ours == pytest.approx(theirs)


def test_isotonic_refuses_few_photos_and_names_the_way_out(rng):
    with pytest.raises(UserError, match="there are 30 and 170: choose temperature"):
        fit_isotonic(rng.random(200), np.arange(200) < 30)


def test_what_cannot_be_fitted_is_refused():
    logits, numbers = sample(0)
    with pytest.raises(UserError, match="finite logits"):
        fit_temperature(logits * np.inf, numbers)
    with pytest.raises(UserError, match="several classes"):
        fit_temperature(logits, np.zeros(80, int))
    with pytest.raises(UserError, match="for two classes"):
        fit_platt(*sample(0, classes=3))
    with pytest.raises(UserError, match="don't rise with the truth"):
        fit_platt(-logits, numbers)


def test_calibrated_probabilities_are_nearer_to_the_truth(rng):
    odds = rng.normal(size=4000) * 2
    numbers = (rng.random(4000) < expit(odds)).astype(int)
    wrong = np.stack([np.zeros(4000), 3 * odds + 1.5], 1)
    found = fit_platt(wrong, numbers)
    assert found.slope == pytest.approx(1 / 3, rel=0.1)
    assert found.intercept == pytest.approx(-0.5, abs=0.12)
