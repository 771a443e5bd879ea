from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.grouping import subgroup_masks
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.evaluation.report import evaluate, write_report
from hf_cushing.evaluation.scoring import quality_columns
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from tests.evaluation.test_report import FEW, make_predictions


def test_quality_of_the_photos_makes_strata_in_thirds_with_dataset_and_later_without(
    run, dataset, tmp_path
):
    options = replace(FEW, by=("sex", "blur", "pose:0.02", "face_size"), repeatability=0)
    report, predictions = evaluate_runs([Run(run)], options, dataset=str(dataset), cpu=True)
    rows = {row.subgroup: row.rows for row in report.rows("cushing")}
    sharp = [name for name in rows if name.startswith("sharpness")]
    assert len(sharp) == 3
    assert sum(rows[name] for name in sharp) == rows["all"]
    assert {"turned < 0.02", "turned ≥ 0.02"} <= set(rows)
    assert any(name.startswith("face_size") for name in rows)
    of_patients = [row.subgroup for row in report.rows("cushing", "patient")]
    assert of_patients in ([], list(rows))  # the same strata in both units
    write_report(tmp_path, report, predictions)
    again = evaluate(
        load_predictions(tmp_path),
        options,
        operating_points=report.operating_points,
        plain_points=report.plain.operating_points,
    )
    assert [row.subgroup for row in again.subgroups] == [row.subgroup for row in report.subgroups]


def test_quality_is_what_the_audit_measures(dataset):
    photos = load_faces(str(dataset)).roles["test"]
    found = quality_columns(photos)
    widths = [box[2] - box[0] for box in photos["face_box"]]
    assert found["face_size"].tolist() == widths
    assert (found["sharpness"] > 0).all()
    assert (found["turned"] >= 0).all()
    with pytest.raises(UserError, match="has no landmarks"):
        quality_columns(photos.remove_columns("landmarks"))


def test_quality_that_was_not_measured_names_the_remedy(rng):
    with pytest.raises(UsageError, match=r"'sharpness'.*add --dataset, whose photos are measured"):
        subgroup_masks(make_predictions(rng), ("blur",))


def test_women_under_40_are_a_subgroup_and_insufficient_below_ten_patients(rng):
    predictions = make_predictions(rng)
    ages = rng.uniform(20, 70, len(predictions))
    old = replace(predictions, attributes={"age": np.where(predictions.sex == "male", 50.0, ages)})
    report = evaluate(old, replace(FEW, by=("sex", "sex*age:40")))
    rows = {row.subgroup: row for row in report.rows("cushing")}
    assert rows["female & age < 40"].size in ("insufficient", "wide")
    assert "male & age < 40" not in rows
    few = evaluate(old, replace(FEW, by=("sex", "sex*age:22")))
    assert few.find("cushing", "female & age < 22").size == "insufficient"
