import math

import numpy as np
import pytest
from scipy.stats import binomtest

from hf_cushing.evaluation.intervals import patient_bootstrap, wilson


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (6, 8), (11, 13), (50, 50), (123, 400)])
def test_wilson_agrees_with_scipy(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_observed_gives_no_interval():
    assert all(math.isnan(bound) for bound in (*wilson(0.5, 0), *wilson(math.nan, 5)))


def test_copies_of_a_photo_do_not_narrow_the_interval(rng):
    values = rng.normal(size=40)
    patients = np.arange(40)

    def width(repeats):
        rows, ids = np.repeat(values, repeats), np.repeat(patients, repeats)
        low, high = patient_bootstrap(
            lambda i: {"mean": rows[i].mean()}, ids, np.zeros(len(ids)), draws=500
        )["mean"]
        return high - low

    assert width(5) == pytest.approx(width(1), rel=1e-9)


def test_strata_keep_their_number_of_patients(rng):
    strata = np.array(["a"] * 7 + ["b"] * 3)
    counts = []
    patient_bootstrap(
        lambda i: counts.append((strata[i] == "a").sum()) or {"x": 0.0},
        np.arange(10), strata, draws=50,
    )  # fmt: skip
    assert set(counts) == {7}


def test_often_undefined_statistic_has_no_interval():
    values = iter([math.nan, 1.0] * 50)
    low, high = patient_bootstrap(
        lambda i: {"x": next(values)}, np.arange(3), np.zeros(3), draws=100
    )["x"]
    assert math.isnan(low)
    assert math.isnan(high)


def test_same_seed_gives_the_same_interval(rng):
    values = rng.normal(size=30)
    first, second = (
        patient_bootstrap(lambda i: {"m": values[i].mean()}, np.arange(30), np.zeros(30), draws=200)
        for _ in range(2)
    )
    assert first == second


@pytest.mark.slow
def test_interval_of_a_mean_covers_at_the_nominal_rate():
    hits = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(size=60), 3) + rng.normal(scale=0.3, size=180)
        low, high = patient_bootstrap(
            lambda i, v=values: {"m": v[i].mean()},
            np.repeat(np.arange(60), 3), np.zeros(180), draws=400, seed=seed,
        )["m"]  # fmt: skip
        hits += low <= 0 <= high
    assert 0.91 <= hits / 400 <= 0.97
