import numpy as np
import pytest

from hf_cushing.followup import trend as followup_trend
from hf_cushing.followup.trend import (
    DIFFERENCE,
    INTERCEPTS,
    SLOPES,
    TOO_FEW,
    Trend,
    fit_trend,
    mean_changes,
    require_statsmodels,
)
from hf_cushing.schema import UserError


def course(rng, patients=40, slope=(-0.2, -0.2), own=0.1, noise=0.4):
    who = np.repeat(np.arange(patients), 4)
    months = np.tile([0.0, 3, 6, 12], patients)
    slopes = np.array(slope)[who % 2] + rng.normal(0, own, patients)[who]
    scores = rng.normal(0, 1, patients)[who] + slopes * months + rng.normal(0, noise, len(who))
    return scores, months, who.astype(str), np.where(who % 2, "male", "female")


def test_slopes_of_women_and_men_and_their_difference_are_found(rng):
    found = fit_trend(*course(rng, patients=120, slope=(-0.3, -0.1)))
    assert found.effects == SLOPES
    by = {row.group: row for row in found.slopes}
    assert by["female"].value == pytest.approx(-0.3, abs=0.04)
    assert by["male"].value == pytest.approx(-0.1, abs=0.04)
    assert by[DIFFERENCE].low < -0.2 < by[DIFFERENCE].high < 0
    assert by["female"].size == "ok"


def test_slope_agrees_with_the_mean_of_patients_own_slopes(rng):
    scores, months, who, sexes = course(rng, patients=60)
    own = [np.polyfit(months[who == name], scores[who == name], 1)[0] for name in np.unique(who)]
    all_of_them = fit_trend(scores, months, who, sexes).slopes[0]
    assert all_of_them.value == pytest.approx(np.mean(own), abs=1e-3)
    error = np.std(own, ddof=1) / np.sqrt(60)
    assert all_of_them.high - all_of_them.low == pytest.approx(4 * error, rel=0.05)


def test_without_slopes_of_their_own_the_intercept_model_is_used_and_named(rng, monkeypatch):
    fit = followup_trend._fit
    monkeypatch.setattr(
        followup_trend, "_fit",
        lambda *args: None if args[-1] == SLOPES else fit(*args),
    )  # fmt: skip
    found = fit_trend(*course(rng))
    assert found.effects == INTERCEPTS
    assert found.reason == "random intercept and slope did not converge"
    assert len(found.slopes) == 4


def test_scores_without_any_noise_do_not_break_the_model(rng):
    scores, months, who, sexes = course(rng, noise=0.0, own=0.0)
    found = fit_trend(scores, months, who, sexes)
    assert found.reason or found.slopes[0].value == pytest.approx(-0.2, abs=1e-6)


def test_too_few_patients_for_a_model_is_said(rng):
    assert fit_trend(*course(rng, patients=2)) == Trend(reason=TOO_FEW)


def test_patients_of_one_time_count_for_no_slope(rng):
    scores, months, who, sexes = course(rng, patients=58)
    once = (np.isin(who, [str(n) for n in range(18, 58, 2)])) & (months > 0)
    found = fit_trend(*(values[~once] for values in (scores, months, who, sexes)))
    by = {row.group: row for row in found.slopes}
    assert [by[g].patients for g in ("all", "female", "male", DIFFERENCE)] == [38, 9, 29, 38]
    assert (by["female"].size, by[DIFFERENCE].size) == ("insufficient", "insufficient")
    assert np.isnan([by["female"].low, by[DIFFERENCE].high]).all()
    assert np.isfinite([by["all"].low, by["male"].high]).all()


def test_nine_women_get_no_interval(rng):
    changes, sexes = rng.normal(size=29), np.array(["female"] * 9 + ["male"] * 20)
    by = {row.group: row for row in mean_changes(changes, sexes)}
    assert (by["female"].size, by[DIFFERENCE].size, by["male"].size) == (
        "insufficient", "insufficient", "wide",
    )  # fmt: skip
    assert np.isnan([by["female"].low, by[DIFFERENCE].high]).all()
    assert by["male"].low < changes[9:].mean() < by["male"].high


def test_missing_statsmodels_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(followup_trend, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"hf-cushing\[followup\]"):
        require_statsmodels()
