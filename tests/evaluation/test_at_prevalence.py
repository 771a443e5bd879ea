import math
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.at_prevalence import (
    predictive_values,
    prevalence_tables,
    shifted_probability,
)
from hf_cushing.evaluation.first_screen import first_screen
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.subgroups import Value
from hf_cushing.schema import UsageError
from hf_cushing.stats.intervals import wilson
from tests.evaluation.test_report import FEW, make_predictions


@pytest.fixture(scope="module")
def report():
    options = replace(FEW, prevalence=("0.01", "0.05"))
    return evaluate(make_predictions(np.random.default_rng(0), n=800), options)


def with_rates(row, recall, specificity, n=400):
    values = {
        name: Value(estimate=rate, low=wilson(rate, n)[0], high=wilson(rate, n)[1])
        for name, rate in (("recall", recall), ("specificity", specificity))
    }
    return replace(row, size="ok", values=row.values | values)


def test_recall_70_and_specificity_64_give_a_ppv_of_1_9_percent_at_1_percent(report):
    row = with_rates(report.find("cushing", "all"), 0.70, 0.64)
    ppv, npv = predictive_values(row, 0.01)
    assert ppv.estimate == pytest.approx(0.007 / (0.007 + 0.36 * 0.99))
    assert f"{100 * ppv.estimate:.1f}" == "1.9"
    assert npv.estimate == pytest.approx(0.64 * 0.99 / (0.64 * 0.99 + 0.3 * 0.01))
    assert ppv.low < ppv.estimate < ppv.high


def test_interval_of_ppv_holds_the_truth_as_often_as_it_says(report, rng):
    row, held, n = report.find("cushing", "all"), [], 60
    true = 0.8 * 0.05 / (0.8 * 0.05 + 0.25 * 0.95)
    for recall, right in zip(rng.binomial(n, 0.8, 1000), rng.binomial(n, 0.75, 1000), strict=True):
        ppv = predictive_values(with_rates(row, recall / n, right / n, n), 0.05)[0]
        held.append(ppv.low <= true <= ppv.high)
    assert 0.93 < np.mean(held) < 0.975


def test_perfect_specificity_leaves_a_lower_bound(report):
    ppv, npv = predictive_values(with_rates(report.find("cushing", "all"), 1.0, 1.0, 50), 0.01)
    assert (ppv.estimate, ppv.high) == (1.0, 1.0)
    assert 0 < ppv.low < 0.3
    assert npv.estimate == 1.0


def test_table_and_first_screen_tell_it_by_sex_and_insufficient_is_said(report):
    table = next(prevalence_tables(report))
    assert [line[:2] for line in table.body][:3] == [
        ["1 %", "all"],
        ["1 %", "female"],
        ["1 %", "male"],
    ]
    assert len(table.body) == 6
    people = next(s for s in first_screen(report) if s.title == "People").lines
    assert "Where 1 % have cushing, of those called ill" in people[-1]
    few = evaluate(make_predictions(np.random.default_rng(0), n=40), FEW)
    assert {line[2] for line in next(prevalence_tables(few, (0.01,))).body} == {"insufficient"}
    assert math.isnan(predictive_values(few.find("cushing", "all"), 0.01)[0].estimate)


def test_share_that_is_none_is_refused():
    for word in ("0", "1", "many"):
        with pytest.raises(UsageError, match="--prevalence"):
            replace(FEW, prevalence=(word,))


def test_shift_of_the_prior_calibrates_where_the_disease_is_rarer():
    logits = np.linspace(-4, 4, 9)  # of scores whose likelihood ratio is exp(logit) at a share 0.5
    for own, share in ((0.5, 0.01), (0.3, 0.05)):
        here = 1 / (1 + np.exp(-logits) * (1 - own) / own)
        there = [shifted_probability(p, own=own, share=share) for p in here]
        assert there == pytest.approx(1 / (1 + np.exp(-logits) * (1 - share) / share))


def test_table_of_a_common_disease_does_not_call_it_rarer():
    options = replace(FEW, prevalence=("0.8",))
    report = evaluate(make_predictions(np.random.default_rng(0), n=800), options)
    table = next(prevalence_tables(report))
    assert table.title == "cushing: where another share has it (calls by patient)"
    assert not any(note.startswith("Insufficient") for note in table.notes)
