import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ztost

from hf_cushing.schema import UserError
from hf_cushing.stats.significance import holm, mcnemar, tost


def table(both, first, second, neither):
    """Photos of a fourfold table: who is right on each."""
    counts = (both, first, second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False] * 2, counts)


def exact_by_counting(first, second):
    """P and mid-p as fractions, from all 2^n ways in which the models could differ."""
    n, seen = first + second, abs(first - second)
    ways = [(abs(2 * hits - n), Fraction(math.comb(n, hits), 2**n)) for hits in range(n + 1)]
    farther = sum(chance for distance, chance in ways if distance > seen)
    same = sum(chance for distance, chance in ways if distance == seen)
    return float(farther + same), float(farther + same / 2)


# McNemar


def test_mcnemar_gives_the_published_p_values():
    """Fagerland, Lydersen and Laake 2013: airway hyper-responsiveness (Bentur et al.), 21 children;
    exact p 0.0703, mid-p 0.0391."""
    found = mcnemar(*table(1, 1, 7, 12))
    assert (found.both_right, found.first_only) == (1, 1)
    assert (found.second_only, found.both_wrong) == (7, 12)
    assert found.p == pytest.approx(0.0703, abs=5e-5)
    assert found.mid_p == pytest.approx(0.0391, abs=5e-5)


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(lambda counts: counts[1] + counts[2]))
def test_mcnemar_agrees_with_statsmodels_and_with_counting(counts):
    both, first, second, neither = counts
    found = mcnemar(*table(*counts))
    theirs = contingency_tables.mcnemar([[both, first], [second, neither]], exact=True)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.p, found.mid_p) == pytest.approx(exact_by_counting(first, second), rel=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.booleans()), min_size=1, max_size=14)
)
def test_swaps_within_patients_agree_with_all_swaps(photos):
    patients, first, second = (np.array(column) for column in zip(*photos, strict=True))
    found = mcnemar(first, second, patients)
    gains = [int(first[patients == p].sum() - second[patients == p].sum()) for p in set(patients)]
    sums = [abs(sum(s * g for s, g in zip(signs, gains, strict=True)))
            for signs in product((-1, 1), repeat=len(gains))]  # fmt: skip
    if not any(gains):
        assert math.isnan(found.p)
        return
    seen = abs(sum(gains))
    farther, same = (np.mean([op(s) for s in sums]) for op in (seen.__lt__, seen.__eq__))
    assert found.p == pytest.approx(farther + same)
    assert found.mid_p == pytest.approx(farther + same / 2)


def test_one_photo_a_patient_makes_both_units_agree(rng):
    first, second = rng.random(50) < 0.8, rng.random(50) < 0.6
    by_photo, by_patient = mcnemar(first, second), mcnemar(first, second, rng.permutation(50))
    assert (by_photo.unit, by_patient.unit) == ("photo", "patient")
    assert replace(by_patient, unit="photo") == by_photo


def test_copies_of_photos_make_no_patient_more_certain():
    first, second = table(10, 9, 2, 3)
    once = mcnemar(first, second)
    copies = [np.repeat(a, 5) for a in (first, second, np.arange(len(first)))]
    assert mcnemar(*copies).p == pytest.approx(once.p)
    assert mcnemar(*copies[:2]).p < 0.01 < once.p


def test_models_that_never_differ_have_no_p_but_a_reason():
    found = mcnemar(*table(5, 0, 0, 3))
    assert math.isnan(found.p)
    assert math.isnan(found.mid_p)
    assert found.reason == "the models are right equally often on every photo"
    first, second = np.array([True, False]), np.array([False, True])
    assert mcnemar(first, second, np.array(["A", "A"])).reason.endswith("every patient")
    assert mcnemar(first, second).p == 1


# Holm, two one-sided tests


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=6))
def test_holm_is_the_closed_test_by_bonferroni_and_leaves_nan_out(p_values):
    """A p value is as large as the largest of all sets of hypotheses that it belongs to."""
    found, known = holm(p_values), [p for p in p_values if not math.isnan(p)]
    assert np.isnan(found).tolist() == np.isnan(p_values).tolist()
    sets = [s for size in range(1, len(known) + 1) for s in combinations(range(len(known)), size)]
    worth = {s: min(1.0, len(s) * min(known[i] for i in s)) for s in sets}
    expected = [max(worth[s] for s in sets if i in s) for i in range(len(known))]
    assert found[~np.isnan(found)].tolist() == pytest.approx(expected)


def test_holm_agrees_with_statsmodels(rng):
    for size in (1, 2, 7, 30):
        p_values = np.round(rng.random(size) ** 3, 2)
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_gives_its_textbook_steps():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.floats(0.05, 2), st.floats(-1, 1))
def test_tost_agrees_with_statsmodels(seed, n, margin, shift):
    gains = np.random.default_rng(seed).normal(shift, 1, n)
    error = gains.std(ddof=1) / math.sqrt(n)
    expected = ztost(gains, -margin, margin)[0]
    assert tost(gains.mean(), error, margin) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_tost_has_no_p_without_an_error_and_refuses_a_margin_of_nothing():
    assert all(math.isnan(tost(0.0, error, 0.05)) for error in (0.0, math.nan))
    assert math.isnan(tost(math.nan, 0.1, 0.05))
    for margin in (0.0, -0.1, math.nan):
        with pytest.raises(UserError, match="margin of equivalence must be above 0"):
            tost(0.0, 0.1, margin)
