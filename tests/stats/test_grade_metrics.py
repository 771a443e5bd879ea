import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import somersd
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, roc_auc_score

from hf_cushing.stats.grade_metrics import ERROR, KAPPA, concordance, median_grades, pair_metrics


def test_weights_are_as_good_as_repeated_photos(rng):
    truth, called, times = (rng.integers(0, n, 60) for n in (4, 4, 3))
    pairs = np.zeros((1, 4, 4))
    np.add.at(pairs[0], (truth, called), times)
    many = [np.repeat(side, times) for side in (truth, called)]
    found = pair_metrics(pairs)
    assert found[KAPPA][0] == pytest.approx(cohen_kappa_score(*many, weights="quadratic"))
    assert found[ERROR][0] == pytest.approx(mean_absolute_error(*many))


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6))
def test_median_is_the_grade_of_least_expected_error(weights):
    shares = np.array(weights) / np.sum(weights)
    places = np.arange(len(shares))
    expected = np.abs(places[:, None] - places) @ shares
    assert expected[median_grades(shares[None])[0]] == pytest.approx(expected.min())


def test_concordance_is_somers_d_and_of_two_grades_the_auroc(rng):
    place = rng.integers(0, 4, 120)
    score = np.round(place + rng.normal(size=120), 1)  # with ties
    assert concordance(score, place) == pytest.approx((somersd(place, score).statistic + 1) / 2)
    two = place < 2
    assert concordance(score[two], place[two]) == pytest.approx(
        roc_auc_score(place[two], score[two])
    )
    assert math.isnan(concordance(score, np.zeros(120)))
