import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_table

from hf_cushing.schema import UserError
from hf_cushing.stats.agreement import (
    answer_counts,
    cohen_kappa,
    error_overlap,
    fleiss_kappa,
    intra_reader,
    majority_vote,
)
from hf_cushing.stats.intervals import wilson

FLEISS = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip
"""10 subjects, 14 raters, 5 categories: the worked example of the English Wikipedia's article on
Fleiss' kappa, which gives 0.210."""


def pair(rng, count=60, steps=4, share=0.6):
    first = rng.integers(0, steps, count)
    return first, np.where(rng.random(count) < share, first, rng.integers(0, steps, count))


# Two readers


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(2, 5))
def test_cohen_agrees_with_scikit_learn_and_statsmodels(seed, count, steps):
    first, second = pair(np.random.default_rng(seed), count, steps)
    table = np.zeros((steps, steps))
    np.add.at(table, (first, second), 1)
    for weights in (None, "linear", "quadratic"):
        found = cohen_kappa(first, second, weights, scale=range(steps))
        if table.diagonal().max() == count:
            assert math.isnan(found.estimate)
            continue
        labels = list(range(steps))
        expected = cohen_kappa_score(first, second, weights=weights, labels=labels)
        assert found.estimate == pytest.approx(expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            theirs = inter_rater.cohens_kappa(table, wt=weights)
        assert found.estimate == pytest.approx(theirs.kappa)
        error = theirs.std_kappa
        assert math.isnan(found.error) or found.error == pytest.approx(error, abs=1e-9)
        if not math.isnan(found.error):
            assert found.low == pytest.approx(max(-1, theirs.kappa_low), abs=1e-6)
            assert found.high == pytest.approx(min(1, theirs.kappa_upp), abs=1e-6)


def test_cohen_gives_the_published_error():
    """Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, table 18.1: 100
    patients, kappa 0.676 with error 0.088."""
    counts = [75, 1, 4, 5, 4, 1, 0, 0, 10]
    first, second = np.repeat(np.arange(9) // 3, counts), np.repeat(np.arange(9) % 3, counts)
    found = cohen_kappa(first, second)
    assert found.estimate == pytest.approx(0.676, abs=5e-4)
    assert found.error == pytest.approx(0.088, abs=5e-4)


def test_kappa_by_counting_all_pairs():
    first, second = np.array([0, 1, 2, 2, 1, 0, 2]), np.array([0, 2, 2, 1, 1, 1, 2])
    seen = np.mean([a == b for a, b in zip(first, second, strict=True)])
    chance = np.mean([a == b for a in first for b in second])
    assert cohen_kappa(first, second).estimate == pytest.approx((seen - chance) / (1 - chance))
    seen, chance = (
        1 - np.mean([abs(a - b) / 2 for a, b in pairs])
        for pairs in (zip(first, second, strict=True), [(a, b) for a in first for b in second])
    )
    linear = cohen_kappa(first, second, "linear")
    assert (linear.observed, linear.expected) == pytest.approx((seen, chance))


def test_a_step_that_nobody_chose_counts_if_the_scale_names_it():
    first, second = np.array([1, 1, 2, 5, 5, 2]), np.array([1, 2, 2, 5, 5, 1])
    by_rank = cohen_kappa(first, second, "linear")
    by_scale = cohen_kappa(first, second, "linear", scale=(1, 2, 3, 4, 5))
    assert by_rank.estimate == pytest.approx(cohen_kappa_score(first, second, weights="linear"))
    assert by_scale.estimate == pytest.approx(
        cohen_kappa_score(first, second, weights="linear", labels=[1, 2, 3, 4, 5])
    )
    assert by_rank.estimate != pytest.approx(by_scale.estimate)


@pytest.mark.parametrize("weights", [None, "quadratic"])
def test_error_by_patient_is_that_of_drawn_patients(rng, weights):
    patients = np.repeat(np.arange(150), 3)
    first = rng.integers(0, 3, 150)[patients]
    agrees = (rng.random(150) < 0.7)[patients]
    second = np.where(agrees, first, rng.integers(0, 3, 450))
    found = cohen_kappa(first, second, weights, patients=patients)
    rows = np.arange(450).reshape(150, 3)
    drawn = []
    for _ in range(400):
        take = rows[rng.integers(0, 150, 150)].ravel()
        drawn.append(cohen_kappa(first[take], second[take], weights).estimate)
    assert found.error == pytest.approx(np.std(drawn), rel=0.1)
    assert found.error > 1.2 * cohen_kappa(first, second, weights).error
    half = stats.t.ppf(0.975, 149) * found.error
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))


def test_copies_of_photos_make_no_patient_more_certain(rng):
    first, second = pair(rng)
    ids = np.arange(60)
    once = cohen_kappa(first, second, patients=ids)
    many = cohen_kappa(*(np.repeat(a, 5) for a in (first, second)), patients=np.repeat(ids, 5))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert (many.photos, many.patients) == (300, 60)
    counts = answer_counts(np.stack([first, second]))
    once = fleiss_kappa(counts, patients=ids)
    many = fleiss_kappa(np.repeat(counts, 5, axis=0), patients=np.repeat(ids, 5))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))


def test_undefined_kappa_is_nan_with_a_reason():
    same = np.ones(5, int)
    found = cohen_kappa(same, same)
    assert all(math.isnan(v) for v in (found.estimate, found.error, found.low, found.high))
    assert found.reason == "all answers are the same, so that agreement by chance is complete"
    assert cohen_kappa(same[:0], same[:0]).reason == "no photos"
    perfect = cohen_kappa(np.array([0, 1, 0]), np.array([0, 1, 0]))
    assert perfect.estimate == 1
    assert math.isnan(perfect.low)
    assert "no error" in perfect.reason
    lone = cohen_kappa(np.array([0, 1, 0]), np.array([0, 1, 1]), patients=np.zeros(3))
    assert lone.reason == "one patient only"
    assert math.isnan(fleiss_kappa(np.array([[3, 0], [3, 0]])).estimate)


# Several readers


def test_fleiss_gives_the_published_value():
    found = fleiss_kappa(FLEISS)
    assert found.estimate == pytest.approx(0.210, abs=5e-4)
    assert (found.observed, found.expected) == pytest.approx((0.378, 0.213), abs=5e-4)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 4))
def test_fleiss_agrees_with_statsmodels(seed, readers, steps):
    answers = np.random.default_rng(seed).integers(0, steps, (readers, 12))
    counts = answer_counts(answers, range(steps))
    assert counts.tolist() == [[int((c == s).sum()) for s in range(steps)] for c in answers.T]
    found = fleiss_kappa(counts).estimate
    with np.errstate(invalid="ignore"):
        assert found == pytest.approx(inter_rater.fleiss_kappa(counts), nan_ok=True)


def test_error_of_fleiss_is_that_of_the_jackknife_and_of_draws(rng):
    sick = rng.random(200) < 0.4
    answers = rng.random((6, 200)) < np.where(sick, 0.8, 0.25)
    counts = answer_counts(answers)
    found = fleiss_kappa(counts)
    left = np.array([fleiss_kappa(np.delete(counts, i, axis=0)).estimate for i in range(200)])
    assert found.error == pytest.approx(math.sqrt(199 * left.var()), rel=0.02)
    drawn = [fleiss_kappa(counts[rng.integers(0, 200, 200)]).estimate for _ in range(500)]
    assert found.error == pytest.approx(np.std(drawn), rel=0.1)


def test_fleiss_of_two_readers_is_scotts_pi():
    first, second = np.array([0, 1, 1, 0, 1, 1]), np.array([0, 1, 0, 0, 1, 0])
    share = np.concatenate([first, second]).mean()
    chance = share**2 + (1 - share) ** 2
    found = fleiss_kappa(answer_counts(np.stack([first, second])))
    assert found.estimate == pytest.approx((np.mean(first == second) - chance) / (1 - chance))


# One reader twice, majority, errors


def test_intra_reader_gives_share_and_kappa(rng):
    first, second = pair(rng)
    found = intra_reader(first, second)
    share = float(np.mean(first == second))
    assert found.same.estimate == pytest.approx(share)
    assert found.kappa == cohen_kappa(first, second)
    assert (found.low, found.high) == pytest.approx(wilson(share, 60), abs=0.02)
    copies = {"patients": np.repeat(np.arange(60), 4)}
    many = intra_reader(np.repeat(first, 4), np.repeat(second, 4), **copies)
    assert (many.low, many.high) == pytest.approx((found.low, found.high), abs=1e-9)
    always = intra_reader(first, first)
    assert (always.same.estimate, always.high) == (1, 1)
    assert 0.9 < always.low < 1


def test_majority_leaves_ties_open():
    calls = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    found = majority_vote(calls)
    assert found[[0, 2, 3]].tolist() == [1, 0, 0]
    assert math.isnan(found[1])
    assert np.isfinite(majority_vote(calls[:3])).all()


def test_error_overlap_counts_who_misses_what(rng):
    truth, reader, model = rng.random((3, 200)) < np.array([[0.4], [0.5], [0.6]])
    found = error_overlap(truth, reader, model)
    for part, inside in ((found["diseased"], truth), (found["healthy"], ~truth)):
        right = [(calls == truth)[inside] for calls in (reader, model)]
        table = [[int(np.sum((right[0] == a) & (right[1] == b))) for b in (True, False)]
                 for a in (True, False)]  # fmt: skip
        cells = [[part.both_right, part.first_only], [part.second_only, part.both_wrong]]
        assert cells == table
        assert part.p == pytest.approx(mcnemar_of_table(table, exact=True).pvalue)
    for name in ("both_right", "first_only", "second_only", "both_wrong"):
        parts = (found["diseased"], found["healthy"], found["everyone"])
        diseased, healthy, everyone = (getattr(part, name) for part in parts)
        assert diseased + healthy == everyone
    by_patient = error_overlap(truth, reader, model, patients=np.repeat(np.arange(100), 2))
    assert by_patient["diseased"].unit == "patient"
    assert by_patient["diseased"].second_only == found["diseased"].second_only


def test_error_overlap_without_diseased_has_a_reason():
    healthy = np.zeros(3, bool)
    found = error_overlap(healthy, healthy, ~healthy)
    assert math.isnan(found["diseased"].p)
    assert found["diseased"].reason
    assert found["healthy"].first_only == 3


def test_what_does_not_fit_is_refused():
    a, calls = np.array([0, 1, 1]), np.array([True, False, True])
    for act, match in (
        (lambda: cohen_kappa(a, a[:2]), "one length"),
        (lambda: cohen_kappa(a, a, "cubic"), "cubic"),
        (lambda: cohen_kappa(a, a, scale=(0, 2)), "answer .*1.* is not on the scale"),
        (lambda: cohen_kappa(a, a, patients=a[:2]), "patients: expected 3 values, found 2"),
        (lambda: fleiss_kappa(np.array([[2, 1], [1, 1]])), r"found \[2, 3\]"),
        (lambda: fleiss_kappa(np.array([[1, 0], [0, 1]])), r"2 or more; found \[1\]"),
        (lambda: fleiss_kappa(np.zeros((0, 2), int)), r"found \[\]"),
        (lambda: majority_vote(np.stack([a, a])), "must be bool"),
        (lambda: majority_vote(calls), "axes"),
        (lambda: error_overlap(calls, calls[:2], calls), "reader: expected bool of shape"),
        (lambda: error_overlap(calls, calls, a), "model: expected bool"),
    ):
        with pytest.raises(UserError, match=match):
            act()
