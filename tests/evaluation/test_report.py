import json
import math
from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.report import evaluate, report_to_json, report_to_markdown, write_report
from hf_cushing.schema import UserError


def make_predictions(rng, n=240, labels=("control", "cushing"), men=0.4):
    """Scores of n photos of n / 2 patients, half validation and half test."""
    patients = np.repeat(np.arange(n // 2), 2)
    number = rng.integers(0, len(labels), n // 2)[patients]
    logits = rng.normal(size=(n, len(labels))) + 1.5 * np.eye(len(labels))[number]
    return Predictions(
        photo_id=np.array([f"{i:016x}" for i in range(n)]),
        patient_id=np.array([f"P{p}" for p in patients]),
        label=np.array(labels)[number],
        sex=np.where(rng.random(n // 2) < men, "male", "female")[patients],
        split=np.where(patients % 2, "test", "validation"),
        fold=patients % 5,
        seed=np.zeros(n, int),
        probabilities=np.exp(logits) / np.exp(logits).sum(1, keepdims=True),
        labels=labels,
        model_revision="m",
        dataset_revision="d",
    )


def test_subgroups_count_their_photos_and_patients(rng):
    predictions = make_predictions(rng)
    report = evaluate(predictions, draws=100)
    test = predictions.of_split("test")
    for sex in ("female", "male"):
        row = report.find("cushing", sex)
        rows = test.select(test.sex == sex)
        assert row.photos == len(rows)
        assert row.positives == (rows.label == "cushing").sum()
        assert row.patients == len(set(rows.patient_id))
    total = report.find("cushing", "all")
    assert total.photos == sum(report.find("cushing", sex).photos for sex in ("female", "male"))


def test_estimates_lie_in_their_intervals(rng):
    for row in evaluate(make_predictions(rng), draws=300).subgroups:
        for name, value in row.values.items():
            if not math.isnan(value.low):
                assert value.low <= value.estimate <= value.high, name


def test_each_disease_of_several_has_its_own_rows_and_threshold(rng):
    predictions = make_predictions(rng, labels=("control", "cushing", "acromegaly"))
    report = evaluate(predictions, draws=100)
    assert {row.label for row in report.subgroups} == {"cushing", "acromegaly"}
    assert [point.label for point in report.operating_points] == ["cushing", "acromegaly"]


def test_small_subgroup_is_called_insufficient_and_gets_no_false_certainty(rng):
    predictions = make_predictions(rng, men=0.05)
    report = evaluate(predictions, draws=100)
    row = report.find("cushing", "male")
    assert row.size == "insufficient"
    assert math.isnan(row.values["f1"].low)
    assert row.values["accuracy"].high - row.values["accuracy"].low > 0.2
    assert "Insufficient: male" in report_to_markdown(report)


def test_absent_sex_is_undefined_with_a_reason(rng):
    predictions = make_predictions(rng, men=0)
    value = evaluate(predictions, draws=100).find("cushing", "male").values["auroc"]
    assert math.isnan(value.estimate)
    assert value.reason == "one class only"
    text = report_to_markdown(evaluate(predictions, draws=100))
    assert "undefined: one class only" in text


def test_report_is_rebuilt_from_the_file_alone(rng, tmp_path):
    predictions = make_predictions(rng)
    report = evaluate(predictions, draws=100)
    write_report(tmp_path, report, predictions)
    again = evaluate(load_predictions(tmp_path), draws=100)
    written = json.loads((tmp_path / "metrics.json").read_text())
    from hf_cushing.files import plain

    assert plain(report_to_json(again)) == written
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_undefined_is_null_in_json_and_not_zero(rng, tmp_path):
    predictions = make_predictions(rng, men=0)
    write_report(tmp_path, evaluate(predictions, draws=100), predictions)
    rows = json.loads((tmp_path / "metrics.json").read_text())["subgroups"]
    male = next(row for row in rows if row["subgroup"] == "male")
    assert male["values"]["f1"]["estimate"] is None
    assert male["values"]["f1"]["reason"]


def test_validation_figures_say_that_they_are_too_good(rng):
    report = evaluate(make_predictions(rng), split="validation", draws=100)
    assert "these figures are too good" in report_to_markdown(report)


def test_order_of_the_rows_does_not_matter(rng):
    predictions = make_predictions(rng)
    mixed = predictions.select(rng.permutation(len(predictions)))
    assert choose_operating_points(mixed) == choose_operating_points(predictions)
    first, second = (evaluate(p, draws=100) for p in (predictions, mixed))
    values = [r.subgroups[0].values["auroc"].estimate for r in (first, second)]
    assert values[0] == values[1]


def test_faulty_predictions_are_refused(rng, tmp_path):
    predictions = make_predictions(rng)
    with pytest.raises(UserError, match="do not sum to 1"):
        replace(predictions, probabilities=predictions.probabilities * 2)
    with pytest.raises(UserError, match="unknown sex x"):
        replace(predictions, sex=np.full(len(predictions), "x"))
    with pytest.raises(UserError, match="no rows of split 'train'"):
        predictions.of_split("train")
    with pytest.raises(UserError, match="different labels"):
        concatenate([predictions, make_predictions(rng, labels=("control", "acromegaly"))])
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UserError, match="can't be read as predictions"):
        load_predictions(tmp_path / "x.parquet")
