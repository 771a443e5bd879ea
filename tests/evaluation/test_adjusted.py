import json
import math
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.record import report_from_json, report_to_json
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.tables import report_tables
from hf_cushing.files import plain
from tests.evaluation.test_report import FEW, make_predictions


def with_age(rng, n=480, missing=0.1):
    """Predictions whose patients have an age, older where they are ill."""
    predictions = make_predictions(rng, n=n)
    _, first, of_photo = np.unique(predictions.patient_id, return_index=True, return_inverse=True)
    ages = 40 + 10 * (predictions.label[first] == "cushing") + rng.normal(0, 10, len(first))
    ages[rng.random(len(first)) < missing] = np.nan
    return replace(predictions, attributes={"age": ages[of_photo]})


def test_auroc_is_adjusted_by_patient_for_what_is_known(rng):
    predictions = with_age(rng)
    report = evaluate(predictions, FEW)
    (found,) = report.adjusted
    patients = set(predictions.of_split("test").patient_id)
    assert found.covariates == ("age", "sex")
    assert found.rows + found.left_out == len(patients)
    assert 0 < found.left_out < 30
    assert found.adjusted.low < found.adjusted.estimate < found.adjusted.high
    assert found.p < 0.001  # the score knows more than age and sex
    assert 0.6 < found.alone < 0.9
    table = next(t for t in report_tables(report) if t.name == "cushing_adjusted")
    assert table.title == "cushing: adjusted for age, sex, and beyond"
    assert [len(line) for line in table.body] == [3] * 4
    again = report_from_json(json.loads(json.dumps(plain(report_to_json(report)))))
    assert again.adjusted == report.adjusted


@pytest.mark.parametrize(("n", "reason"), [(60, "insufficient: fewer than 20 patients"), (480, "")])
def test_few_patients_for_the_covariates_are_said_to_be_insufficient(rng, n, reason):
    (found,) = evaluate(with_age(rng, n), FEW).adjusted
    assert found.reason.startswith(reason)
    assert math.isnan(found.p) == bool(reason)


def test_column_that_is_mostly_unknown_or_always_the_same_is_not_used(rng):
    unknown = with_age(rng, missing=0.8)
    assert evaluate(unknown, FEW).adjusted[0].covariates == ("sex",)
    women = make_predictions(rng, men=0)
    assert evaluate(women, FEW).adjusted == []
