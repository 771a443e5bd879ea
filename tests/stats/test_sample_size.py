import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import power_proportions_2indep

from hf_cushing.stats.intervals import clustered_auroc, rate_intervals
from hf_cushing.stats.resampling import Patients
from hf_cushing.stats.sample_size import (
    area_power,
    area_variance,
    area_width,
    detectable_gap,
    needed,
    rate_power,
    rate_width,
    weight_of_patient,
)


@pytest.mark.parametrize(("share", "other", "n"), [(0.8, 0.65, 138), (0.05, 0.1, 300)])
def test_power_of_two_proportions_agrees_with_statsmodels(share, other, n):
    expected = power_proportions_2indep(share - other, other, n).power
    assert rate_power(share, other, n) == pytest.approx(expected, abs=1e-4)  # theirs: both tails


def photos_of(rng, share, patients, photos, icc):
    """Calls of patients whose photos correlate by `icc` (beta-binomial), and whose they are."""
    both = 1 / icc - 1
    own = rng.beta(share * both, (1 - share) * both, patients)
    return rng.random(patients * photos) < np.repeat(own, photos), np.repeat(
        range(patients), photos
    )


def test_planned_width_is_what_a_report_shows_on_average(rng):
    widths = []
    for _ in range(200):
        called, who = photos_of(rng, 0.8, 60, 3, 0.6)
        people = Patients(who, np.full(len(who), "cushing/female"))
        _, low, high = rate_intervals(np.full(len(who), True), called, people)["recall"]
        widths.append(high - low)
    assert np.mean(widths) == pytest.approx(
        rate_width(0.8, 60, weight_of_patient(3, 0.6)), rel=0.03
    )


def test_planned_number_of_patients_finds_the_gap_as_often_as_it_says(rng):
    weight = weight_of_patient(3, 0.6)
    n = needed(lambda patients: rate_power(0.8, 0.65, patients, weight) >= 0.8)
    found = 0
    for _ in range(2000):
        rates = [photos_of(rng, share, n, 3, 0.6)[0].reshape(n, 3).mean(1) for share in (0.8, 0.65)]
        error = np.sqrt(sum(rate.var(ddof=1) / n for rate in rates))
        found += abs(rates[0].mean() - rates[1].mean()) > 1.96 * error
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def test_planned_auroc_width_and_power_hold_for_normal_scores(rng):
    n, widths, found = 76, [], 0
    assert area_power(0.85, 0.70, n) >= 0.8 > area_power(0.85, 0.70, n - 1)
    truth, who = np.arange(2 * n) < n, Patients(np.arange(2 * n), np.full(2 * n, "one"))
    for _ in range(400):
        areas = [
            clustered_auroc(truth, rng.normal(size=2 * n) + truth * norm.ppf(area) * 2**0.5, who)
            for area in (0.85, 0.70)
        ]
        low, high = areas[0].interval()
        widths.append(high - low)
        error = np.hypot(*(area.error for area in areas))
        found += abs(areas[0].estimate - areas[1].estimate) > 1.96 * error
    assert np.mean(widths) == pytest.approx(area_width(0.85, n), rel=0.08)
    assert 0.76 < found / 400 < 0.9


def test_variance_of_an_auroc_is_that_of_hanley_and_mcneil():
    area, n = 0.893, 10  # 1982, table II: standard error 0.072 with 10 of each class, about
    assert area_variance(area, n) ** 0.5 == pytest.approx(0.0764, abs=0.001)
    assert area_variance(0.5, 50) == pytest.approx((50 + 50 + 1) / (12 * 50 * 50))  # Mann-Whitney


def test_detectable_gap_of_the_needed_number_is_the_gap():
    n = needed(lambda patients: rate_power(0.9, 0.8, patients) >= 0.9)
    gap = detectable_gap(lambda gap: rate_power(0.9, 0.9 - gap, n), 0.9, 0.9)
    assert gap == pytest.approx(0.1, abs=0.001)
    assert np.isnan(detectable_gap(lambda gap: rate_power(0.9, 0.9 - gap, 2), 0.2, 0.9))
