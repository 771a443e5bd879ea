import numpy as np
import pytest
import torch
from torch import nn

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.calibration import Platt, Temperature
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.models.score import score, softmax
from hf_cushing.schema import UsageError
from hf_cushing.training.calibrate import check_evaluation, fold_into
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options


@pytest.mark.parametrize("found", [Temperature(2.5), Platt(0.4, -0.7)])
def test_folded_head_gives_the_calibrated_logits(found):
    torch.manual_seed(0)
    linear, features = nn.Linear(6, 2), torch.randn(20, 6)
    before = linear(features).detach().double().numpy()
    fold_into(linear, found)
    assert np.allclose(linear(features).detach().numpy(), found.apply(before), atol=1e-5)


def test_temperature_folds_into_several_classes():
    torch.manual_seed(0)
    linear, features = nn.Linear(6, 4), torch.randn(20, 6)
    before = linear(features).detach().numpy()
    fold_into(linear, Temperature(3.0))
    assert np.allclose(linear(features).detach().numpy(), before / 3, atol=1e-6)


def test_calibration_keeps_the_order_and_lowers_the_log_loss(dataset, tmp_path):
    runs = {}
    for method in ("none", "platt", "temperature"):
        run = tmp_path / method
        more = ["--finetune", "head", "--calibration", method]
        fine_tune(parse(train_options(dataset, run, *more)))
        runs[method] = run
    plain = load_predictions(runs["none"]).of_split("validation")
    for method in ("platt", "temperature"):
        moved = load_predictions(runs[method]).of_split("validation")
        facts = read_json(runs[method] / "manifest.json")["run"]["calibration"]
        assert facts["method"] == method
        assert facts["log_loss_after"] < facts["log_loss_before"]
        order = [np.argsort(p.score("cushing")) for p in (plain, moved)]
        assert np.array_equal(*order)
        columns = np.array([moved.labels.index(label) for label in moved.label.tolist()])
        said = moved.probabilities[np.arange(len(moved)), columns]
        assert -np.log(said).mean() == pytest.approx(facts["log_loss_after"], abs=1e-5)


def test_plain_model_of_a_run_folder_gives_the_calibrated_probabilities(run, dataset):
    assert read_json(run / "manifest.json")["run"]["calibration"]["method"] in ("platt", "none")
    photos = load_faces(str(dataset)).roles["validation"]
    logits = score(load_classifier(str(run)), photos, cpu=True, progress=False)
    recorded = load_predictions(run).of_split("validation")
    order = np.argsort(np.array(photos["photo_id"]))
    assert np.allclose(softmax(logits)[order], recorded.probabilities, atol=1e-6)


def test_platt_of_three_classes_and_unknown_rules_are_refused_before_training(tmp_path):
    config = parse(train_options("d", tmp_path, "--calibration", "platt"))
    with pytest.raises(UsageError, match="for two classes, the dataset has 3; give temperature"):
        check_evaluation(config, ["control", "cushing", "acromegaly"])
    config = parse(train_options("d", tmp_path, "--threshold_rule", "sensitivity:9"))
    with pytest.raises(UsageError, match="above 0, at most 1"):
        check_evaluation(config, ["control", "cushing"])
