import math

import numpy as np
import pytest

from hf_cushing.stats.resampling import Patients, percentile_interval


def test_copies_of_a_photo_do_not_narrow_the_interval(rng):
    values = rng.normal(size=40)

    def width(repeats):
        rows = np.repeat(values, repeats)
        who = Patients(np.repeat(np.arange(40), repeats), np.zeros(40 * repeats))
        weights = who.draws(500, np.random.default_rng(0))
        low, high = percentile_interval((weights @ rows) / weights.sum(1))
        return high - low

    assert width(5) == pytest.approx(width(1), rel=1e-6)


def test_strata_keep_their_number_of_patients(rng):
    strata = np.array(["a"] * 7 + ["b"] * 3)
    weights = Patients(np.arange(10), strata).draws(50, rng)
    assert (weights[:, :7].sum(1) == 7).all()
    assert (weights[:, 7:].sum(1) == 3).all()


def test_all_photos_of_a_patient_are_drawn_together(rng):
    weights = Patients(np.array(["A", "B", "A", "C"]), np.zeros(4)).draws(50, rng)
    assert np.array_equal(weights[:, 0], weights[:, 2])


def test_patient_of_two_strata_is_one_patient(rng):
    who = Patients(np.array(["A", "A", "B", "C"]), np.array(["x", "y", "x", "y"]))
    assert who.count == 3
    weights = who.draws(20, rng)
    assert (weights[:, :2] == 1).all()  # alone in a stratum of its own


def test_each_patient_is_left_out_once():
    who = Patients(np.array(["A", "B", "A"]), np.zeros(3))
    assert who.left_out().tolist() == [[0, 1, 0], [1, 0, 1]]


def test_shuffled_sexes_stay_within_classes_and_whole_patients(rng):
    patients = np.repeat(np.arange(12), 2)
    women, sick = patients % 3 == 0, patients < 6
    dealt = Patients(patients, sick).shuffled(women, sick, 200, rng)
    assert (dealt[:, sick].sum(1) == women[sick].sum()).all()
    assert (dealt[:, ~sick].sum(1) == women[~sick].sum()).all()
    assert np.array_equal(dealt[:, ::2], dealt[:, 1::2])
    assert len(np.unique(dealt, axis=0)) > 50


def test_often_undefined_statistic_has_no_interval():
    low, high = percentile_interval(np.array([math.nan, 1.0] * 50))
    assert math.isnan(low)
    assert math.isnan(high)
    assert percentile_interval(np.array([math.nan] + [1.0] * 99)) == (1.0, 1.0)


def test_same_seed_gives_the_same_draws():
    who = Patients(np.arange(30), np.zeros(30))
    first, second = (who.draws(5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


def test_few_patients_widen_the_level_and_many_do_not():
    few, many = (Patients(np.arange(n), np.arange(n) % 2) for n in (10, 4000))
    assert 0.97 < few.level() < 0.995
    assert many.level() == pytest.approx(0.95, abs=1e-3)
    assert Patients(np.arange(2), np.arange(2)).level() == 0.95
