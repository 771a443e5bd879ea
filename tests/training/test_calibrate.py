from dataclasses import replace

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
from hf_cushing.training.calibrate import calibrate_saved, check_evaluation, fold_into
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


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_calibration_keeps_the_order_and_lowers_the_log_loss(dataset, tmp_path, method):
    options = train_options(dataset, tmp_path / "run", "--finetune", "head")
    fine_tune(parse([*options, "--calibration", "none"]))
    data = load_faces(str(dataset))
    photos = data.roles["train"]  # the head was fitted on them, so that its scores rise with truth
    known = replace(data, roles=data.roles | {"validation": photos})
    before = score(load_classifier(str(tmp_path / "run")), photos, cpu=True, progress=False)
    config = parse([*options, "--calibration", method])
    facts = calibrate_saved(tmp_path / "run", config, known)["calibration"]
    after = score(load_classifier(str(tmp_path / "run")), photos, cpu=True, progress=False)
    assert facts["method"] == method
    assert facts["log_loss_after"] < facts["log_loss_before"]
    odds = [logits[:, 1] - logits[:, 0] for logits in (before, after)]
    assert np.array_equal(np.argsort(odds[0]), np.argsort(odds[1]))
    numbers = np.array(photos["label"][:])
    loss = -np.log(softmax(after)[np.arange(len(numbers)), numbers]).mean()
    assert loss == pytest.approx(facts["log_loss_after"], abs=1e-5)


def test_scores_against_the_truth_are_left_as_they_are_by_default(dataset, tmp_path, monkeypatch):
    options = train_options(dataset, tmp_path / "run", "--finetune", "head")
    monkeypatch.setattr(
        "hf_cushing.training.calibrate.scorer",
        lambda saved, config: lambda photos: np.array(photos["label"][:])[:, None] * [1.0, 0.0],
    )
    fine_tune(parse(options))
    facts = read_json(tmp_path / "run" / "manifest.json")["run"]["calibration"]
    assert facts["method"] == "none"
    assert "don't rise with the truth" in facts["reason"]


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
