from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.evaluation.predictions import by_patient, concatenate, load_predictions
from tests.evaluation.test_report import make_predictions


def test_file_keeps_every_value_and_patient_001_stays_001(rng, tmp_path):
    predictions = make_predictions(rng, n=6)
    predictions = replace(predictions, patient_id=np.array(["001", "1", "NA", "", "é", "1e5"]))
    predictions.save(tmp_path / "p.parquet")
    again = load_predictions(tmp_path / "p.parquet")
    order = np.lexsort((predictions.photo_id, predictions.split))
    assert again.patient_id.tolist() == predictions.patient_id[order].tolist()
    assert np.array_equal(again.probabilities, predictions.probabilities[order])
    assert again.labels == predictions.labels
    assert again.split.tolist() == predictions.split[order].tolist()


def test_attributes_survive_the_file_selection_and_joining(rng, tmp_path):
    predictions = make_predictions(rng, n=8)
    age = np.arange(8.0)
    age[3] = np.nan
    site = np.array(["x", "", "y", "x", "x", "y", "", "x"])
    predictions = replace(predictions, attributes={"age": age, "site": site})
    predictions.save(tmp_path / "p.parquet")
    again = load_predictions(tmp_path / "p.parquet")
    rows = np.argsort(again.photo_id)
    assert np.array_equal(again.attributes["age"][rows], age, equal_nan=True)
    assert again.attributes["site"][rows].tolist() == site.tolist()
    part = predictions.select(site == "x")
    assert part.attributes["age"].tolist() == pytest.approx([0, np.nan, 4, 7], nan_ok=True)
    bare = replace(predictions, attributes={"site": site})
    assert set(concatenate([predictions, bare]).attributes) == {"site"}


def test_patient_has_the_mean_of_the_log_odds(rng):
    predictions = make_predictions(rng)
    patients = by_patient(predictions)
    assert len(patients) == len(set(predictions.patient_id.tolist()))
    for row in range(0, len(patients), 17):
        photos = predictions.patient_id == patients.patient_id[row]
        odds = np.log(predictions.probabilities[photos, 1] / predictions.probabilities[photos, 0])
        own = patients.probabilities[row]
        assert np.log(own[1] / own[0]) == pytest.approx(odds.mean())


def test_patient_whose_label_changes_has_a_row_for_each_label(rng):
    predictions = make_predictions(rng, n=4)
    label = np.array(["control", "cushing", "cushing", "cushing"])
    patients = by_patient(replace(predictions, label=label))
    assert sorted(zip(patients.patient_id.tolist(), patients.label.tolist(), strict=True)) == [
        ("P0", "control"), ("P0", "cushing"), ("P1", "cushing"),
    ]  # fmt: skip
