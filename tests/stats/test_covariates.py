import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hf_cushing.stats.covariates import adjusted_aurocs, beyond_covariates


@pytest.fixture
def people(rng):
    """The ill are older; the score follows age and, beside it, the disease."""
    truth = rng.random(400) < 0.4
    age = rng.normal(size=400) + truth
    women = (rng.random(400) < 0.6).astype(float)
    score = age + 0.5 * women + 0.8 * truth + rng.normal(size=400)
    return truth, score, np.column_stack([age, women])


def test_adjusted_auroc_is_that_of_the_residuals_from_the_negatives_line(people, rng):
    truth, score, covariates = people
    weights = np.stack([np.ones(400), rng.integers(0, 3, 400)])
    found = adjusted_aurocs(truth, score, covariates, weights)
    design = sm.add_constant(covariates)
    for value, weight in zip(found, weights, strict=True):
        line = sm.WLS(score[~truth], design[~truth], weights=weight[~truth]).fit().params
        residual = score - design @ line
        assert value == pytest.approx(roc_auc_score(truth, residual, sample_weight=weight))


def test_adjusted_auroc_finds_what_is_left_beside_age(rng):
    truth = rng.random(20_000) < 0.5
    age = rng.normal(size=20_000) + 2 * truth
    score = age + 0.8 * truth + rng.normal(size=20_000)
    once = np.ones((1, 20_000))
    assert roc_auc_score(truth, score) > 0.9
    (found,) = adjusted_aurocs(truth, score, age[:, None], once)
    assert found == pytest.approx(norm.cdf(0.8 / 2**0.5), abs=0.01)
    (nothing,) = adjusted_aurocs(truth, age + rng.normal(size=20_000), age[:, None], once)
    assert nothing == pytest.approx(0.5, abs=0.01)


def test_equal_scores_count_half_and_a_line_that_cannot_be_fitted_is_undefined():
    truth = np.array([False, False, False, True, True])
    score, sex = np.array([0.0, 1.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0, 1.0])
    residual = score - np.where(sex == 1, 0.0, 0.5)
    weights = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 1, 1]])
    found = adjusted_aurocs(truth, score, sex[:, None], weights)
    assert found[0] == pytest.approx(roc_auc_score(truth, residual))
    assert np.isnan(found[1])


def test_what_the_score_adds_agrees_with_statsmodels(people):
    truth, score, covariates = people
    found = beyond_covariates(truth, score, covariates)
    design = sm.add_constant(covariates)
    base = sm.Logit(truth, design).fit(disp=0)
    both = sm.Logit(truth, np.column_stack([design, (score - score.mean()) / score.std()]))
    fitted = both.fit(disp=0)
    assert np.log([found.odds_ratio, found.low, found.high]) == pytest.approx(
        [fitted.params[-1], *fitted.conf_int()[-1]], abs=1e-6
    )
    assert found.p == pytest.approx(1 - norm.cdf((2 * (fitted.llf - base.llf)) ** 0.5) + norm.cdf(
        -((2 * (fitted.llf - base.llf)) ** 0.5)), abs=1e-9)  # fmt: skip
    assert found.auroc == pytest.approx(roc_auc_score(truth, base.predict()))


def test_score_that_adds_nothing_has_a_uniform_p_and_separation_has_none(rng):
    p = []
    for _ in range(300):
        age = rng.normal(size=80)
        truth = rng.random(80) < 1 / (1 + np.exp(-age))
        p.append(beyond_covariates(truth, age + rng.normal(size=80), age[:, None]).p)
    assert np.mean(np.array(p) < 0.05) < 0.09
    truth = np.arange(40) < 20
    assert np.isnan(beyond_covariates(truth, truth + 0.0, rng.normal(size=(40, 1))).p)
