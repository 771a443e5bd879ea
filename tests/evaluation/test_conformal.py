import math
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.conformal import (
    abstention_table,
    conformal_limit,
    fit_conformal,
    plausible_sets,
)
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.tables import report_to_markdown
from hf_cushing.schema import UserError
from tests.evaluation.test_report import FEW, make_predictions


@pytest.mark.parametrize("n", [3, 9, 19, 20, 57])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_limit_is_the_smallest_that_covers_a_new_patient(rng, n, alpha):
    values = rng.normal(size=n)
    limit = conformal_limit(values, alpha)
    enough = [k for k in range(1, n + 1) if k / (n + 1) >= 1 - alpha - 1e-12]
    assert limit == (np.sort(values)[enough[0] - 1] if enough else math.inf)


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


def test_limits_from_test_are_refused(rng):
    with pytest.raises(UserError, match="not honest"):
        fit_conformal(make_predictions(rng), 0.1)
    with pytest.raises(UserError, match="between 0 and 1"):
        fit_conformal(make_predictions(rng).of_split("validation"), 10)


def test_report_tells_how_many_get_an_answer(rng):
    text = report_to_markdown(evaluate(make_predictions(rng, n=400), replace(FEW, abstain=0.2)))
    assert "With the right to say “uncertain”" in text
    assert "| female |" in text
