import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from hf_cushing.schema import UserError
from hf_cushing.stats.calibration import (
    COOLEST,
    HOTTEST,
    Platt,
    fit_platt,
    fit_temperature,
)


def sample(seed, n=80, classes=2, noise=1.0):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, classes, n)
    numbers[:classes] = np.arange(classes)
    logits = 2 * (rng.normal(size=(n, classes)) * noise + 1.2 * np.eye(classes)[numbers])
    return logits, numbers


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(6, 60))
def test_no_other_temperature_has_a_lower_log_loss(seed, classes, n):
    logits, numbers = sample(seed, n, classes)
    found = fit_temperature(logits, numbers).value
    others = np.exp(np.linspace(np.log(COOLEST), np.log(HOTTEST), 60))
    tried = logits / np.array([found, *others])[:, None, None]
    losses = -log_softmax(tried, axis=2)[:, np.arange(n), numbers].mean(1)
    assert losses[0] <= losses.min() + 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_temperature_of_two_classes_is_logistic_regression_without_intercept(seed):
    logits, numbers = sample(seed)
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=5000, fit_intercept=False)
    model.fit((logits[:, 1] - logits[:, 0])[:, None], numbers)
    found = fit_temperature(logits, numbers)
    assert found.value == pytest.approx(1 / model.coef_[0, 0], rel=1e-4)
    assert np.array_equal(found.apply(logits), logits / found.value)


def test_temperature_of_scores_against_the_truth_stays_in_bounds():
    logits, numbers = sample(0)
    assert fit_temperature(-logits, numbers).value == pytest.approx(HOTTEST, rel=1e-3)


def test_temperature_of_perfect_separation_is_bounded():
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


@given(st.integers(0, 2**32 - 1), st.floats(-5, 5), st.floats(-30, 30))
def test_platt_undoes_any_stretch_and_shift_of_the_log_odds(seed, log_stretch, shift):
    logits, numbers = sample(seed, 60)
    odds = logits[:, 1] - logits[:, 0]
    moved = np.stack([np.zeros(60), odds * 10**log_stretch + shift], 1)
    expected, found = (
        np.diff(fit_platt(each, numbers).apply(each))[:, 0] for each in (logits, moved)
    )
    assert found == pytest.approx(expected, abs=1e-4)


def test_platt_keeps_the_mean_of_the_logits(rng):
    logits = rng.normal(size=(20, 2))
    assert Platt(0.3, 2.0).apply(logits).mean(1) == pytest.approx(logits.mean(1))


def test_platt_of_perfect_separation_is_finite():
    logits = np.array([[5.0, 0.0]] * 5 + [[0.0, 5.0]] * 5)
    found = fit_platt(logits, np.repeat([0, 1], 5))
    assert 0 < found.slope < 10


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
    with pytest.raises(UserError, match="don't rise with the truth"):
        fit_platt(np.ones((80, 2)), numbers)
    with pytest.raises(UserError, match="finite logits"):
        fit_platt(logits * np.nan, numbers)


def test_calibrated_probabilities_are_nearer_to_the_truth(rng):
    odds = rng.normal(size=4000) * 2
    numbers = (rng.random(4000) < expit(odds)).astype(int)
    wrong = np.stack([np.zeros(4000), 3 * odds + 1.5], 1)
    found = fit_platt(wrong, numbers)
    assert found.slope == pytest.approx(1 / 3, rel=0.1)
    assert found.intercept == pytest.approx(-0.5, abs=0.12)
