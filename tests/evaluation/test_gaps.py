import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from fairlearn import metrics as fl
from fairlearn.metrics import MetricFrame
from scipy.stats import fisher_exact
from sklearn.metrics import f1_score

from hf_cushing.evaluation.gaps import f1_gap_from_counts, power_note, sex_gaps
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.subgroups import make_sample, report_subgroups
from hf_cushing.evaluation.wording import gap_sentence
from hf_cushing.stats.metrics import METRICS
from tests.evaluation.test_report import make_predictions

CELLS = [(ill, women) for ill in (True, False) for women in (True, False)]


def gaps_of(predictions, draws=200, shuffles=400):
    points = choose_operating_points(predictions)
    sample = make_sample(predictions.of_split("test"), draws=draws)
    masks = subgroup_masks(sample.rows)
    found = report_subgroups(sample, "cushing", points, masks)
    gaps = sex_gaps(sample, "cushing", points, found, shuffles=shuffles)
    return {gap.metric: gap for gap in gaps}, sample, found


def test_every_metric_has_a_gap_that_is_women_minus_men(rng):
    predictions = make_predictions(rng)
    points = choose_operating_points(predictions)
    gaps, sample, found = gaps_of(predictions)
    assert set(METRICS) < set(gaps)
    for metric in METRICS:
        women, men = (found[sex].report.values[metric].estimate for sex in ("female", "male"))
        assert gaps[metric].gap == pytest.approx(women - men, nan_ok=True)
        if metric != "ece":  # too few photos for one
            assert gaps[metric].low <= gaps[metric].gap <= gaps[metric].high
    frame = MetricFrame(
        metrics=f1_score,
        y_true=sample.rows.label == "cushing",
        y_pred=sample.rows.score("cushing") >= points[0].threshold,
        sensitive_features=sample.rows.sex,
    )
    assert gaps["f1"].worst == pytest.approx(frame.group_min())
    assert gaps["brier"].worst == max(gaps["brier"].women, gaps["brier"].men)
    assert math.isnan(gaps["selection_rate"].worst)


def test_parity_measures_agree_with_fairlearn(rng):
    predictions = make_predictions(rng)
    gaps, sample, _ = gaps_of(predictions)
    points = choose_operating_points(predictions)
    rows = sample.rows
    called = rows.score("cushing") >= points[0].threshold
    for name in ("demographic_parity_difference", "equalized_odds_difference"):
        expected = getattr(fl, name)(rows.label == "cushing", called, sensitive_features=rows.sex)
        assert gaps[name].gap == pytest.approx(expected)


def test_demographic_parity_has_the_interval_and_the_p_of_the_shares_gap(rng):
    gaps, _, _ = gaps_of(make_predictions(rng))
    shares, parity = gaps["selection_rate"], gaps["demographic_parity_difference"]
    assert parity.p == shares.p
    assert parity.high == pytest.approx(max(abs(shares.low), abs(shares.high)))
    assert (parity.low == 0) == (shares.low <= 0 <= shares.high)


def test_sexes_more_alike_than_by_chance_are_no_inequality_of_odds(rng):
    predictions = make_predictions(rng, n=400)
    ill, women = predictions.label == "cushing", predictions.sex == "female"
    called = ill.copy()
    for cell in ((ill == a) & (women == b) & (predictions.split == "test") for a, b in CELLS):
        called[np.flatnonzero(cell)[::4]] ^= True
    score = np.where(called, 0.9, 0.1)
    alike = replace(predictions, probabilities=np.stack([1 - score, score], 1))
    odds = gaps_of(alike)[0]["equalized_odds_difference"]
    assert odds.gap < odds.expected
    assert odds.p > 0.5


def test_gap_beyond_prevalence_is_in_its_interval_where_men_with_the_disease_have_few_photos(rng):
    predictions = make_predictions(rng, n=800)
    men_ill = (predictions.sex == "male") & (predictions.label == "cushing")
    women_well = (predictions.sex == "female") & (predictions.label == "control")
    second = np.arange(800) % 2 == 1
    predictions = predictions.select(~((men_ill | women_well) & second))
    gaps, sample, _ = gaps_of(predictions)
    rows = sample.rows
    called = rows.score("cushing") >= choose_operating_points(predictions)[0].threshold
    ill, women = rows.label == "cushing", rows.sex == "female"
    shares = ill[women].mean() - ill[~women].mean()
    gap = gaps["selection_rate"]
    assert gap.expected == pytest.approx(shares * (called[ill].mean() - called[~ill].mean()))
    for name in (name for name, metric in METRICS.items() if metric.mixed):
        gap = gaps[name]
        assert gap.beyond_low <= gap.beyond <= gap.beyond_high, name
        excluded = gap.beyond_low > 0 or gap.beyond_high < 0
        assert not (excluded and gap.p > 0.15), name


def test_permutation_p_agrees_with_all_deals_of_a_small_sample(rng):
    predictions = make_predictions(rng, n=36)
    gaps, sample, _ = gaps_of(predictions, shuffles=6000)
    rows = sample.rows
    score, sick = rows.score("cushing"), rows.label == "cushing"
    names, first = np.unique(rows.patient_id, return_index=True)
    women, ill = rows.sex[first] == "female", sick[first]
    threshold = choose_operating_points(predictions)[0].threshold

    def gap(chosen):
        female = np.isin(rows.patient_id, names[list(chosen)])
        right = (score >= threshold) == sick
        return right[female].mean() - right[~female].mean()

    observed = gap(np.flatnonzero(women))
    sick_ones, healthy = np.flatnonzero(ill), np.flatnonzero(~ill)
    all_gaps = [
        gap(a + b)
        for a in combinations(sick_ones, int((women & ill).sum()))
        for b in combinations(healthy, int((women & ~ill).sum()))
    ]
    exact = np.mean(np.abs(all_gaps) >= abs(observed) - 1e-12)
    assert gaps["accuracy"].p == pytest.approx(exact, abs=0.03)


def test_planted_gap_is_found_and_said(rng):
    predictions = make_predictions(rng, n=1200)
    men = predictions.sex == "male"
    worse = np.where(men[:, None], 0.5, predictions.probabilities)
    noise = rng.random(len(worse))
    mixed = np.where(men, noise, worse[:, 1])
    predictions = replace(predictions, probabilities=np.stack([1 - mixed, mixed], 1))
    gaps, _, _ = gaps_of(predictions)
    assert gaps["auroc"].low > 0
    assert gaps["auroc"].worse == "male"
    assert gaps["auroc"].p_holm < 0.06  # 21 gaps times the least that 400 deals can give
    sure = replace(gaps["auroc"], p_holm=0.01)
    assert gap_sentence(sure).startswith("AUROC: worse for men than")


def test_equal_f1_where_prevalence_favours_women_is_worse_for_women(rng):
    gaps, _, _ = gaps_of(make_predictions(rng, n=600))
    equal = replace(gaps["f1"], gap=0.0, low=-0.1, high=0.1, worse="", expected=0.2, p_holm=0.01)
    sentence = gap_sentence(equal)
    assert sentence.startswith("F1: worse for women than the sexes' shares of positives explain")
    assert "women minus men 0.00, expected from prevalence alone 0.20" in sentence


def test_no_gap_is_never_said_to_be_absent(rng):
    gaps, _, _ = gaps_of(make_predictions(rng, n=600))
    sentence = gap_sentence(gaps["auroc"])
    assert "no gap was shown, which is not the same as none" in sentence
    assert "Minimum detectable difference" in sentence


def test_holm_never_lowers_a_p_value(rng):
    gaps, _, _ = gaps_of(make_predictions(rng))
    assert all(g.p_holm >= g.p for g in gaps.values() if not math.isnan(g.p))


def test_sex_without_photos_has_no_gaps(rng):
    assert gaps_of(make_predictions(rng, men=0))[0] == {}


def test_few_men_leave_no_statement(rng):
    gaps, _, _ = gaps_of(make_predictions(rng, men=0.06))
    assert gaps["brier"].size == "insufficient"
    assert math.isnan(gaps["brier"].low)
    assert math.isnan(gaps["f1"].beyond_low)  # draws, too; Wilson's interval of the gap stays
    assert math.isfinite(gaps["f1"].low)
    assert "no statement" in gap_sentence(gaps["brier"])


def test_published_f1_of_women_and_men_proves_no_bias():
    """Liu et al. 2025: 11/13 and 3/4 in the smallest counts that give them."""
    gap = f1_gap_from_counts((11, 4), (3, 2))
    assert (gap.women, gap.men) == (pytest.approx(11 / 13), pytest.approx(3 / 4))
    assert gap.low < 0 < gap.high
    assert gap.p == pytest.approx(fisher_exact([[11, 4], [3, 2]]).pvalue)
    assert gap.detectable > 0.4
    assert gap.size == "insufficient"
    assert "Minimum detectable difference" in power_note(gap)
