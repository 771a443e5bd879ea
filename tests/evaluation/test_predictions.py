import numpy as np

from hf_cushing.evaluation.predictions import load_predictions
from tests.evaluation.test_report import make_predictions


def test_file_keeps_every_value_and_patient_001_stays_001(rng, tmp_path):
    from dataclasses import replace

    predictions = make_predictions(rng, n=6)
    predictions = replace(predictions, patient_id=np.array(["001", "1", "NA", "", "é", "1e5"]))
    predictions.save(tmp_path / "p.parquet")
    again = load_predictions(tmp_path / "p.parquet")
    order = np.lexsort((predictions.photo_id, predictions.split))
    assert again.patient_id.tolist() == predictions.patient_id[order].tolist()
    assert np.array_equal(again.probabilities, predictions.probabilities[order])
    assert again.labels == predictions.labels
    assert again.split.tolist() == predictions.split[order].tolist()
