import math

import numpy as np
import pytest
from scipy import stats

from hf_cushing.stats.reliable_change import (
    FELL,
    NEITHER,
    ROSE,
    SAME_VISIT,
    STABLE,
    UNKNOWN,
    Change,
    Repeatability,
    baseline_row,
    make_visits,
    outweighing,
    reliable_change,
    repeatability,
)


def cohort(rng, patients=30, photos=(2, 2), day=0.4, photo=0.6, fall=0.0):
    """Scores and visits of stable patients, two visits each."""
    who = np.repeat(np.arange(patients), sum(photos))
    visit = np.tile(np.repeat([0, 1], photos), patients)
    values = rng.normal(0, 2, patients)[who] + rng.normal(0, day, (patients, 2))[who, visit]
    values = values - fall * visit + rng.normal(0, photo, len(who))
    return values, make_visits(who.astype(str), visit, np.repeat("stable", len(who)))


def test_photos_of_one_day_are_a_visit_in_order_of_patient_and_day():
    visits = make_visits(
        np.array(["B", "A", "A", "B"]), np.array([5, 9, 2, 5]), np.array(["x", "", "", "x"])
    )
    assert visits.patient.tolist() == ["A", "A", "B"]
    assert visits.day.tolist() == [2, 9, 5]
    assert visits.period.tolist() == ["", "", "x"]
    assert visits.of_photo.tolist() == [2, 1, 0, 2]
    assert visits.means(np.array([1.0, 4, 6, 3])).tolist() == [6, 4, 2]


def test_two_stable_visits_of_one_photo_give_dahlbergs_within_person_sd(rng):
    values, visits = cohort(rng, photos=(1, 1))
    differences = values[1::2] - values[::2]
    dahlberg = math.sqrt(np.mean(differences**2) / 2)
    found = repeatability(values, visits)
    assert found.within_sd(1)[0] == pytest.approx(dahlberg)
    assert found.coefficient(1)[0] == pytest.approx(1.96 * math.sqrt(2) * dahlberg)
    assert math.isnan(found.day_sd)


def test_mean_squares_are_those_of_a_nested_analysis_of_variance(rng):
    pandas = pytest.importorskip("pandas")
    smf = pytest.importorskip("statsmodels.formula.api")

    values, visits = cohort(rng, patients=12, photos=(3, 3))
    patient, visit = visits.patient[visits.of_photo], visits.of_photo
    data = pandas.DataFrame({"y": values, "p": patient, "v": visit.astype(str)})
    by_visit, by_patient = (smf.ols(f"y ~ C({name})", data).fit() for name in ("v", "p"))
    found = repeatability(values, visits)
    assert found.photo_square == pytest.approx(by_visit.mse_resid)
    assert found.photo_freedom == by_visit.df_resid
    between = (by_patient.ssr - by_visit.ssr) / (by_patient.df_resid - by_visit.df_resid)
    assert 3 * found.visit_square == pytest.approx(between)


def test_interval_of_the_within_person_sd_is_that_of_chi_squared(rng):
    values, visits = cohort(rng, patients=20, photos=(1, 1))
    sd, low, high = repeatability(values, visits).within_sd(1)
    assert low == pytest.approx(sd * math.sqrt(20 / stats.chi2.ppf(0.975, 20)))
    assert high == pytest.approx(sd * math.sqrt(20 / stats.chi2.ppf(0.025, 20)))


def test_spreads_of_day_and_photo_are_found_from_unequal_visits(rng):
    values, visits = cohort(rng, patients=4000, photos=(1, 4), day=0.4, photo=0.6)
    found = repeatability(values, visits)
    assert found.day_sd == pytest.approx(0.4, abs=0.02)
    assert found.photo_sd == pytest.approx(0.6, abs=0.01)
    variance, _ = found.variance(2, np.array(2 / 3))
    assert variance == pytest.approx(2 * 0.16 + 0.36 * 2 / 3, rel=0.05)


def test_without_stable_visits_the_photos_of_a_visit_are_used_and_it_says_so(rng):
    values, visits = cohort(rng, patients=200, photos=(3, 3), day=0.5, photo=0.6)
    plain = make_visits(visits.patient[visits.of_photo], visits.day[visits.of_photo],
                        np.repeat("", len(values)))  # fmt: skip
    found, whole = repeatability(values, plain), repeatability(values, visits)
    assert (found.source, whole.source) == (SAME_VISIT, STABLE)
    assert found.variance(2, np.array(2 / 3))[0] < whole.variance(2, np.array(2 / 3))[0]
    assert found.patients == 200


def test_no_pair_at_all_gives_neither_an_interval_nor_a_verdict():
    visits = make_visits(np.array(["A", "A", "B"]), np.array([1, 2, 1]), np.array(["", "", ""]))
    found = repeatability(np.array([1.0, 2, 3]), visits)
    assert not found.known
    change = reliable_change(1.0, 2.0, photos=(1, 1), measured=found)
    assert float(change.change) == 1
    assert np.isnan([change.low, change.high, change.index, change.p]).all()
    assert change.verdict() == UNKNOWN


def test_a_period_of_one_visit_is_no_stable_pair():
    visits = make_visits(np.array(["A", "A", "B"]), np.array([1, 2, 1]), np.array(["x", "", "x"]))
    assert visits.periods() == []


def test_index_is_jacobson_and_truaxs_where_the_error_is_known():
    known = Repeatability(
        photo_square=0.0, photo_freedom=10**9, visit_square=4.0, visit_freedom=10**9, inverse=1.0,
        patients=9,
    )  # fmt: skip
    found = reliable_change(
        np.array([10.0, 10.0, 10.0]), np.array([4.4, 4.5, 16.0]),
        photos=(np.ones(3), np.ones(3)), measured=known,
    )  # fmt: skip
    assert found.index == pytest.approx(np.array([-5.6, -5.5, 6.0]) / math.sqrt(2 * 4))
    assert found.verdict().tolist() == [FELL, NEITHER, ROSE]  # 1.96 × 2.83 is 5.54


def test_equal_numbers_of_photos_give_the_t_test_of_the_stable_differences(rng):
    values, visits = cohort(rng, patients=9)
    measured = repeatability(values, visits)
    found = reliable_change(0.0, 1.7, photos=(2, 2), measured=measured)
    means = visits.means(values)
    error = math.sqrt(np.mean((means[1::2] - means[::2]) ** 2))
    assert float(found.error) == pytest.approx(error)
    assert float(found.p) == pytest.approx(2 * stats.t.sf(1.7 / error, 9))


def test_more_photos_make_the_error_smaller(rng):
    measured = repeatability(*cohort(rng, patients=60))
    errors = [
        float(reliable_change(0.0, 1.0, photos=(n, n), measured=measured).error)
        for n in (1, 2, 3, 5)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_spread_of_days_below_0_counts_as_none():
    measured = Repeatability(
        photo_square=4.0, photo_freedom=50, visit_square=1.0, visit_freedom=20, inverse=0.5,
        patients=20,
    )  # fmt: skip
    assert measured.day_sd == 0
    variance, freedom = measured.variance(2, np.array([1.0, 0.1]))
    assert variance == pytest.approx([4.0, 0.4])
    assert freedom.tolist() == [50, 50]


def test_interval_holds_0_exactly_where_the_verdict_is_none(rng):
    measured = repeatability(*cohort(rng))
    found = reliable_change(
        np.zeros(200), np.linspace(-4, 4, 200), measured=measured,
        photos=(np.full(200, 2), np.tile([1, 4], 100)),
    )  # fmt: skip
    assert ((found.low <= 0) & (found.high >= 0)).tolist() == (found.verdict() == NEITHER).tolist()


def test_5_of_100_stable_patients_are_called_changed():
    rng, called = np.random.default_rng(1), []
    for _ in range(400):
        measured = repeatability(*cohort(rng, patients=10))
        values, visits = cohort(rng, patients=20, photos=(2, 3))
        means, photos = visits.means(values), visits.photos
        change = reliable_change(
            means[::2], means[1::2], photos=(photos[::2], photos[1::2]), measured=measured
        )
        called.append(np.mean(change.verdict() != NEITHER))
    assert np.mean(called) == pytest.approx(0.05, abs=0.012)


def test_a_value_that_never_varies_has_not_changed():
    still = Repeatability(
        photo_square=0.0, photo_freedom=5, visit_square=0.0, visit_freedom=5, inverse=0.5,
        patients=5,
    )  # fmt: skip
    found = reliable_change(np.zeros(2), np.array([0.0, 1.0]), photos=(2, 2), measured=still)
    assert found.verdict().tolist() == [NEITHER, ROSE]


@pytest.mark.parametrize(
    ("days", "treatment", "row"),
    [
        ([0, 30, 90], 30, 1),
        ([0, 30, 90], 31, 1),
        ([0, 30, 90], None, 0),
        ([0, 30, 90], -5, 0),
        ([0, 30, 90], 200, 0),
        ([0], 0, 0),
    ],
)
def test_baseline_is_the_last_visit_up_to_treatment_that_has_a_later_one(days, treatment, row):
    assert baseline_row(np.array(days), treatment) == row


def test_alarm_needs_a_change_beyond_its_own_fluctuation_and_above_the_scores():
    def change(index, p):
        index, p = np.array(index, float), np.array(p, float)
        blank = np.zeros_like(index)
        return Change(change=blank, low=blank, high=blank, error=blank, freedom=blank,
                      index=index, p=p)  # fmt: skip

    measures = change([[5.0, -2.2, 1.0], [5.0, 0.1, -9.0]], [[0.001, 0.03, 0.3], [0.001, 0.9, 0]])
    changed, more = outweighing(measures, change([-3.0, -6.0], [0.01, 0.001]))
    assert changed.tolist() == [[True, False, False], [True, False, True]]
    assert more.tolist() == [[True, False, False], [False, False, True]]
