import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from hf_cushing.stats.intervals import (
    clustered_auroc,
    clustered_aurocs,
    clustered_ratio,
    wilson,
)
from hf_cushing.stats.resampling import Patients

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_agrees_with_scipy_and_statsmodels(pair):
    hits, count = pair
    found = wilson(hits / count, count)
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)
    expected = proportion_confint(hits, count, method="wilson")
    assert found == pytest.approx(expected, abs=1e-9)


def test_wilson_agrees_with_newcombes_published_example():
    """Newcombe 1998, Stat Med 17:857, table I, method 3."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                   (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert wilson(hits / count, count) == pytest.approx((low, high), abs=5e-5)


def test_nothing_observed_gives_no_interval():
    assert all(math.isnan(b) for b in (*wilson(0.5, 0), *wilson(math.nan, 5)))


def lone(n, strata=None):
    return Patients(np.arange(n), np.zeros(n) if strata is None else strata)


@pytest.mark.parametrize("seed", range(20))
def test_variance_of_a_ratio_is_that_of_the_bootstrap(seed):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(60), 3)
    own = rng.random(60)
    part = rng.random(180) < own[patients]
    whole = part | (rng.random(180) < 0.7)
    who = Patients(patients, patients % 2)
    ratio = clustered_ratio(part, whole, who)
    weights = who.draws(8000, rng)
    drawn = (weights @ part) / (weights @ whole)
    share = ratio.estimate
    variance = share * (1 - share) / (ratio.effective / (1.96 / 2.002) ** 2)  # t with 58 degrees
    assert variance == pytest.approx(drawn.var(), rel=0.08)


def test_effective_number_of_copies_is_the_number_of_patients(rng):
    part = np.repeat(rng.random(50) < 0.4, 4)
    copies = Patients(np.repeat(np.arange(50), 4), np.zeros(200))
    once = clustered_ratio(part[::4], np.full(50, True), lone(50))
    many = clustered_ratio(part, np.full(200, True), copies)
    assert many.effective == pytest.approx(once.effective)
    assert many.photos == 200


def test_all_right_counts_each_patient_once():
    who = Patients(np.repeat(np.arange(4), 3), np.zeros(12))
    ratio = clustered_ratio(np.full(12, True), np.full(12, True), who)
    assert (ratio.estimate, ratio.effective) == (1.0, 4.0)


def delong_by_pairs(truth, score):
    """AUROC and its variance from the comparisons of all pairs, as in the paper."""
    x, y = score[truth], score[~truth]
    kernel = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    rows, columns = kernel.mean(1), kernel.mean(0)
    return kernel.mean(), rows.var(ddof=1) / len(x) + columns.var(ddof=1) / len(y)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12), st.sampled_from([3, 99]))
def test_delong_agrees_with_all_pairs(seed, positives, negatives, steps):
    rng = np.random.default_rng(seed)
    truth = np.arange(positives + negatives) < positives
    score = rng.integers(0, steps, len(truth)) / steps
    area = clustered_auroc(truth, score, lone(len(truth)))
    expected, variance = delong_by_pairs(truth, score)
    assert area.estimate == pytest.approx(expected)
    assert area.error**2 == pytest.approx(variance, abs=1e-12)


SURGERY = {
    "albumin": """
    3.0 3.2 3.9 2.8 3.2 0.9 2.5 1.6 3.8 3.7 3.2 3.8 4.1 3.6 4.3 3.6 2.3 4.2 4.0 3.5 3.8 3.0 4.5
    3.7 3.1 4.1 4.3 4.3 3.2 2.6 3.3 1.7 3.7 3.3 4.2 3.5 2.9 2.1 2.8 4.0 3.3 3.7 3.6
    """,
    "protein": """
    5.8 6.3 6.8 4.8 5.8 4.0 5.7 5.6 5.7 6.7 5.4 6.6 6.6 5.7 7.0 6.7 4.4 7.6 6.6 5.8 6.8 4.7 7.4
    7.4 6.6 8.2 7.0 6.5 5.1 4.7 6.8 4.0 6.1 6.3 7.7 6.2 5.7 4.8 6.2 7.0 5.7 6.9 6.6
    """,
    "score": """
    10 5 3 6 3 5 8 5 5 6 4 6 5 5 4 4 6 4 6 6 7 8 5 5 6 6 5 4 5 6 6 7 5 7 6 5 9 7 8 7 6 5 5
    """,
    "benefit": """
    0 1 1 0 1 0 0 1 1 1 1 1 1 1 1 0 1 0 0 1 1 0 1 1 1 1 1 1 1 1 0 0 1 1 1 1 0 1 0 1 1 1 1
    """,
}
"""Patients of DeLong, DeLong and Clarke-Pearson 1988, as the SAS/STAT guide lists them (PROC
LOGISTIC, "Comparing Receiver Operating Characteristic Curves")."""


def test_delong_gives_the_published_areas_errors_and_contrasts():
    """Output of that example: areas with errors, and contrasts with the K-G score (chi-square)."""
    albumin, protein, score, benefit = (np.array(v.split(), float) for v in SURGERY.values())
    tests = np.stack([albumin, 10 - score, protein])
    areas, covariance, _ = clustered_aurocs(benefit == 1, tests, lone(43))
    assert areas == pytest.approx([0.7366, 0.7258, 0.6478], abs=5e-5)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.0927, 0.1028, 0.1000], abs=5e-5)
    for place, difference, error, chi2 in (
        (0, 0.0108, 0.0953, 0.0127),
        (2, -0.0780, 0.1046, 0.5554),
    ):
        variance = covariance[place, place] + covariance[1, 1] - 2 * covariance[place, 1]
        assert areas[place] - areas[1] == pytest.approx(difference, abs=5e-5)
        assert math.sqrt(variance) == pytest.approx(error, abs=5e-5)
        assert (areas[place] - areas[1]) ** 2 / variance == pytest.approx(chi2, abs=5e-5)


def test_clustered_error_of_copies_is_that_of_single_photos(rng):
    truth, score = rng.random(80) < 0.4, rng.random(80)
    once = clustered_auroc(truth, score, lone(80))
    patients = Patients(np.repeat(np.arange(80), 3), np.zeros(240))
    many = clustered_auroc(np.repeat(truth, 3), np.repeat(score, 3), patients)
    assert many.error == pytest.approx(once.error)
    assert many.estimate == pytest.approx(once.estimate)


def test_clustered_error_is_that_of_the_bootstrap_where_patients_have_both_classes(rng):
    patients = np.repeat(np.arange(150), 2)
    truth = np.tile([True, False], 150)
    score = rng.normal(size=150)[patients] + rng.normal(size=300) * 0.5 + 0.6 * truth
    who = Patients(patients, np.zeros(300))
    area = clustered_auroc(truth, score, who)
    from hf_cushing.stats.decisions import Decisions
    from hf_cushing.stats.metrics import weighted_metrics

    decisions = Decisions(truth, 1 / (1 + np.exp(-score)), np.full(300, 0.5))
    drawn = weighted_metrics(decisions, who.draws(4000, rng))["auroc"]
    assert area.error == pytest.approx(drawn.std(), rel=0.06)
    assert clustered_auroc(truth, score, lone(300)).error > 1.3 * area.error


def test_covariance_of_two_models_gives_the_error_of_their_difference(rng):
    truth = rng.random(300) < 0.4
    first = truth + rng.normal(size=300)
    second = first + rng.normal(size=300) * 0.5
    areas, covariance, _ = clustered_aurocs(truth, np.stack([first, second]), lone(300))
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    drawn = []
    for _ in range(1500):
        rows = rng.integers(0, 300, 300)
        drawn.append(delong_by_pairs(truth[rows], first[rows])[0]
                     - delong_by_pairs(truth[rows], second[rows])[0])  # fmt: skip
    assert error == pytest.approx(np.std(drawn), rel=0.1)
    assert areas[0] == pytest.approx(delong_by_pairs(truth, first)[0])


def test_auroc_of_few_or_perfect_scores_is_not_certain():
    truth = np.array([True] * 5 + [False] * 5)
    perfect = clustered_auroc(truth, np.arange(10)[::-1].astype(float), lone(10))
    low, high = perfect.interval()
    assert (perfect.estimate, high) == (1.0, 1.0)
    assert low == pytest.approx(wilson(1.0, 5)[0])
    alone = clustered_auroc(truth[4:], np.arange(6.0), lone(6))
    assert all(math.isnan(bound) for bound in alone.interval())
    assert math.isnan(clustered_auroc(truth[:5], np.arange(5.0), lone(5)).estimate)
