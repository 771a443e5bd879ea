import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_cushing.evaluation.conformal import (
    abstention_table,
    conformal_limit,
    fit_conformal,
    plausible_sets,
)
from hf_cushing.evaluation.predictions import concatenate
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.tables import report_tables
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.schema import UserError
from tests.evaluation.test_report import FEW, make_predictions


@pytest.mark.parametrize("n", [3, 9, 19, 20, 57])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_limit_is_the_smallest_that_covers_a_new_patient(rng, n, alpha):
    values = rng.normal(size=n)
    limit = conformal_limit(values, alpha)
    enough = [k for k in range(1, n + 1) if k / (n + 1) >= 1 - alpha - 1e-12]
    assert limit == (np.sort(values)[enough[0] - 1] if enough else math.inf)


@given(st.integers(0, 60), st.integers(1, 99), st.integers(0, 2**32 - 1))
def test_limit_is_the_least_value_with_enough_patients_at_or_below_it(n, percent, seed):
    values = np.random.default_rng(seed).integers(0, 20, n) / 20
    needed = (100 - percent) * (n + 1)
    enough = [v for v in values if 100 * np.count_nonzero(values <= v) >= needed]
    assert conformal_limit(values, percent / 100) == min(enough, default=math.inf)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 99))
def test_whoever_of_some_patients_is_the_new_one_enough_are_covered(values, percent):
    """The guarantee itself, by counting: each patient in turn is new, the others calibrate."""
    values = np.array(values)
    covered = sum(
        values[i] <= conformal_limit(np.delete(values, i), percent / 100)
        for i in range(len(values))
    )
    assert 100 * covered >= (100 - percent) * len(values)


def test_all_photos_of_a_new_patient_are_covered_together():
    alpha, held = 0.2, {}
    for seed in range(150):
        predictions = make_predictions(np.random.default_rng(seed), n=240)
        moved = np.where(predictions.sex == "male", 0.7, 0.0)[:, None]  # men are hard
        mixed = (1 - moved) * predictions.probabilities + moved * predictions.probabilities[:, ::-1]
        predictions = replace(predictions, probabilities=mixed)
        fitted = fit_conformal(predictions.of_split("validation"), alpha)
        test = predictions.of_split("test")
        inside = plausible_sets(fitted, test)[np.arange(len(test)), (test.label == "cushing") * 1]
        for patient in np.unique(test.patient_id):
            own = test.patient_id == patient
            group = test.label[own][0], test.sex[own][0]
            held.setdefault(group, []).append(inside[own].all())
    assert len(held) == 4
    for group, inside in held.items():
        # three standard errors; the patients of a seed share their limits, hence the factor
        error = 3 * math.sqrt(3 * alpha * (1 - alpha) / len(inside))
        assert 1 - alpha - error < np.mean(inside) < 1 - alpha + 0.08, group


def test_patient_counts_once_with_the_least_plausible_photo(rng):
    rows = make_predictions(rng, n=400).of_split("validation")
    for limit in fit_conformal(rows, 0.2).limits:
        worst = {}
        for who, label, sex, p in zip(
            rows.patient_id, rows.label, rows.sex, rows.score(limit.label), strict=True
        ):
            if (label, sex) == (limit.label, limit.sex):
                worst[who] = max(worst.get(who, 0), 1 - p)
        assert limit.patients == len(worst)
        assert limit.limit == sorted(worst.values())[math.ceil((len(worst) + 1) * 0.8) - 1]


def test_each_model_of_pooled_folds_has_its_own_limits(rng):
    parts = [
        replace(make_predictions(rng, n=200), model_revision=np.full(200, name)) for name in "ab"
    ]
    sure = parts[1].probabilities ** 4
    parts[1] = replace(parts[1], probabilities=sure / sure.sum(1, keepdims=True))
    pooled = concatenate(parts)
    fitted = fit_conformal(pooled.of_split("validation"), 0.2)
    alone = [fit_conformal(part.of_split("validation"), 0.2) for part in parts]
    assert fitted.limits == alone[0].limits + alone[1].limits
    apart = [plausible_sets(f, part) for f, part in zip(alone, parts, strict=True)]
    assert np.array_equal(plausible_sets(fitted, pooled), np.concatenate(apart))


def test_photos_of_a_model_or_class_without_limits_are_refused(rng):
    predictions = make_predictions(rng)
    fitted = fit_conformal(predictions.of_split("validation"), 0.2)
    with pytest.raises(UserError, match="no abstention limits are known for model other"):
        abstention_table(fitted, replace(predictions, model_revision="other"))
    three = make_predictions(rng, labels=("control", "cushing", "acromegaly"))
    with pytest.raises(UserError, match="no abstention limits are known for class acromegaly"):
        plausible_sets(fitted, three)


def test_each_class_and_sex_is_covered_at_the_stated_rate():
    alpha, held = 0.2, {}
    for seed in range(150):
        predictions = make_predictions(np.random.default_rng(seed), n=240)
        fitted = fit_conformal(predictions.of_split("validation"), alpha)
        test = predictions.of_split("test")
        sets = plausible_sets(fitted, test)
        for label, column in (("control", 0), ("cushing", 1)):
            for sex in ("female", "male"):
                own = (test.label == label) & (test.sex == sex)
                held.setdefault((label, sex), []).extend(sets[own, column].tolist())
    for group, inside in held.items():
        assert np.mean(inside) > 1 - alpha - 0.02, group


def test_too_few_patients_never_rule_a_class_out(rng):
    predictions = make_predictions(rng, n=60, men=0.15)
    fitted = fit_conformal(predictions.of_split("validation"), 0.05)
    assert all(limit.limit == math.inf for limit in fitted.limits if limit.patients < 19)
    rows = {row.subgroup: row for row in abstention_table(fitted, predictions.of_split("test"))}
    assert rows["male"].certain == 0
    assert math.isnan(rows["male"].error)
    assert rows["male"].reason == "nobody gets an answer"


def test_unknown_sex_has_the_wider_limit(rng):
    predictions = make_predictions(rng, n=400)
    fitted = fit_conformal(predictions.of_split("validation"), 0.2)
    test = predictions.of_split("test")
    sets = {
        sex: plausible_sets(fitted, replace(test, sex=np.full(len(test), sex)))
        for sex in ("female", "male", "unknown")
    }
    assert np.array_equal(sets["unknown"], sets["female"] | sets["male"])


def test_error_among_the_certain_is_counted(rng):
    predictions = make_predictions(rng, n=400)
    fitted = fit_conformal(predictions.of_split("validation"), 0.2)
    test = predictions.of_split("test")
    row = abstention_table(fitted, test)[0]
    sets = plausible_sets(fitted, test)
    alone = sets.sum(1) == 1
    said = np.array(test.labels)[sets.argmax(1)]
    assert row.certain == alone.sum()
    assert row.error == pytest.approx((said != test.label)[alone].mean())
    assert row.error_low < row.error < row.error_high


def test_table_counts_each_group_by_itself(rng):
    predictions = make_predictions(rng, n=300, labels=("control", "cushing", "acromegaly"))
    fitted = fit_conformal(predictions.of_split("validation"), 0.4)
    test = predictions.of_split("test")
    sets = plausible_sets(fitted, test)
    assert (~sets.any(1)).any()
    for row in abstention_table(fitted, test):
        own = np.isin(test.sex, ["female", "male"] if row.subgroup == "all" else [row.subgroup])
        assert row.photos == own.sum()
        assert row.empty == (sets[own].sum(1) == 0).sum()
        for column, label in enumerate(test.labels):
            inside = sets[own & (test.label == label), column]
            assert row.of_class[label] == len(inside)
            assert row.coverage[label] == pytest.approx(inside.mean())


def test_group_without_photos_has_no_shares_but_a_reason(rng):
    predictions = make_predictions(rng, men=0.0)
    fitted = fit_conformal(predictions.of_split("validation"), 0.2)
    row = abstention_table(fitted, predictions.of_split("test"))[2]
    assert (row.subgroup, row.photos, row.empty) == ("male", 0, 0)
    assert all(math.isnan(share) for share in (*row.coverage.values(), row.error, row.error_low))
    assert row.reason == "nobody gets an answer"


def test_limits_from_test_are_refused(rng):
    with pytest.raises(UserError, match="not honest"):
        fit_conformal(make_predictions(rng), 0.1)
    with pytest.raises(UserError, match="between 0 and 1"):
        fit_conformal(make_predictions(rng).of_split("validation"), 10)


def test_report_tells_how_many_get_an_answer(rng):
    text = tables_to_markdown(
        report_tables(evaluate(make_predictions(rng, n=400), replace(FEW, abstain=0.2)))
    )
    assert "With the right to say “uncertain”" in text
    assert "| female |" in text
