import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from scipy.special import softmax
from torch import nn
from transformers import set_seed

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.score import score
from hf_cushing.schema import UsageError
from hf_cushing.stats.calibration import Platt, Temperature
from hf_cushing.training.calibrate import calibrate_saved, check_evaluation, check_head, fold_into
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from hf_cushing.training.run_folder import score_saved
from tests.conftest import train_options


@pytest.mark.parametrize("found", [Temperature(2.5), Platt(0.4, -0.7)])
def test_folded_head_gives_the_calibrated_logits(found):
    torch.manual_seed(0)
    linear, features = nn.Linear(6, 2), torch.randn(20, 6)
    before = linear(features).detach().double().numpy()
    fold_into(linear, found.apply)
    assert np.allclose(linear(features).detach().numpy(), found.apply(before), atol=1e-5)


def test_temperature_folds_into_several_classes():
    torch.manual_seed(0)
    linear, features = nn.Linear(6, 4), torch.randn(20, 6)
    before = linear(features).detach().numpy()
    fold_into(linear, Temperature(3.0).apply)
    assert np.allclose(linear(features).detach().numpy(), before / 3, atol=1e-6)


@pytest.fixture(scope="module")
def uncalibrated(dataset, tmp_path_factory):
    """A run with a fitted head as it is (read only)."""
    out = tmp_path_factory.mktemp("uncalibrated") / "run"
    fine_tune(parse(train_options(dataset, out, "--finetune", "head", "--calibration", "none")))
    return out


@pytest.fixture
def copied(uncalibrated, tmp_path):
    """Folder that holds a copy of `uncalibrated` and of its features."""
    return shutil.copytree(uncalibrated.parent, tmp_path / "copied")


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_calibration_keeps_the_order_and_lowers_the_log_loss(dataset, copied, method):
    options = train_options(dataset, copied / "run", "--finetune", "head")
    data = load_faces(str(dataset))
    photos = data.roles["train"]  # the head was fitted on them, so that its scores rise with truth
    known = replace(data, roles=data.roles | {"validation": photos})
    before = score(load_classifier(str(copied / "run")), photos, cpu=True)
    config = parse([*options, "--calibration", method])
    facts = calibrate_saved(config, known)["calibration"]
    after = score(load_classifier(str(copied / "run")), photos, cpu=True)
    assert facts["method"] == method
    assert facts["log_loss_after"] < facts["log_loss_before"]
    odds = [logits[:, 1] - logits[:, 0] for logits in (before, after)]
    assert np.array_equal(np.argsort(odds[0]), np.argsort(odds[1]))
    numbers = np.array(photos["label"][:])
    loss = -np.log(softmax(after, axis=1)[np.arange(len(numbers)), numbers]).mean()
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
    logits = score(load_classifier(str(run)), photos, cpu=True)
    recorded = load_predictions(run).of_split("validation")
    order = np.argsort(np.array(photos["photo_id"]))
    assert np.allclose(softmax(logits, axis=1)[order], recorded.probabilities, atol=1e-6)


def test_platt_of_three_classes_and_unknown_rules_are_refused_before_training(tmp_path):
    config = parse(train_options("d", tmp_path, "--calibration", "platt"))
    with pytest.raises(UsageError, match="for two classes, the dataset has 3; give temperature"):
        check_evaluation(config, ["control", "cushing", "acromegaly"])
    config = parse(train_options("d", tmp_path, "--threshold_rule", "sensitivity:9"))
    with pytest.raises(UsageError, match="above 0, at most 1"):
        check_evaluation(config, ["control", "cushing"])


HEAD, FULL = ("--finetune", "head"), ("--finetune", "full", "--epochs", "1")
LORA = ("--finetune", "lora", "--epochs", "1", "--learning_rate", "0.05")


class Cut(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("method", [HEAD, FULL, LORA], ids=["head", "full", "lora"])
def test_resumed_run_is_calibrated_once(dataset, tmp_path, monkeypatch, method):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    options = (*method, "--calibration", "temperature")

    def kept(config, data):
        shutil.copytree(whole, cut)  # what a kill at this moment leaves
        return score_saved(config, data)

    monkeypatch.setattr("hf_cushing.training.fine_tune.score_saved", kept)
    fine_tune(parse(train_options(dataset, whole, *options, model="tiny-vit")))
    monkeypatch.undo()
    fine_tune(parse(train_options(dataset, cut, *options, "--resume", model="tiny-vit")))
    facts = [read_json(run / "manifest.json")["run"]["calibration"] for run in (whole, cut)]
    assert facts[0] == facts[1]
    assert facts[0]["parameters"]["value"] != pytest.approx(1, abs=1e-3)
    weights = [(run / "model.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]
    if method is LORA:
        assert_adapters_answer_like_the_model(cut)


def _cut(*_):
    raise Cut


def assert_adapters_answer_like_the_model(run):
    set_seed(0)
    base = build_classifier("tiny-vit", ["control", "cushing"], init="random").model.eval()
    adapted = PeftModel.from_pretrained(base, run / "adapter").eval()
    pixels = torch.randn(3, 3, 64, 64)
    merged = load_classifier(str(run)).model(pixels).logits
    assert torch.allclose(adapted(pixels).logits, merged, atol=1e-5)


def test_interrupted_write_leaves_the_whole_uncalibrated_model(dataset, copied, monkeypatch):
    out = copied / "run"
    before = (out / "model.safetensors").read_bytes()
    monkeypatch.setattr("hf_cushing.training.saving.os.replace", _cut)
    config = parse(train_options(dataset, out, *HEAD, "--calibration", "temperature"))
    with pytest.raises(Cut):
        calibrate_saved(config, load_faces(str(dataset)))
    assert (out / "model.safetensors").read_bytes() == before
    monkeypatch.undo()
    calibrate_saved(config, load_faces(str(dataset)))
    assert (out / "model.safetensors").read_bytes() != before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_calibration_changes_the_head_alone_and_makes_no_new_features(dataset, copied):
    fine_tune(parse(train_options(dataset, copied / "own", *HEAD, "--calibration", "temperature")))
    plain, own = (load_file(copied / name / "model.safetensors") for name in ("run", "own"))
    changed = {name for name, tensor in plain.items() if not torch.equal(tensor, own[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert len(list((copied / ".features").iterdir())) == 2  # of crops and of wide views


@pytest.mark.parametrize("found", [Temperature(2.5), Platt(0.4, -0.7)])
@pytest.mark.parametrize("name", ["tiny-vit", "tiny-swin", "tiny-dinov2", "tiny-resnet"])
def test_whole_network_gives_the_calibrated_logits(name, found):
    torch.manual_seed(0)
    model = build_classifier(name, ["control", "cushing"], init="random").model.eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(pixels).logits.double().numpy()
        fold_into(head_linear(model), found.apply)
        after = model(pixels).logits.double().numpy()
    assert after == pytest.approx(found.apply(before), abs=1e-5)


class Network(nn.Module):
    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier


UNFIT = [
    nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
    nn.Conv2d(4, 2, 1),
    nn.Linear(4, 2, bias=False),
]


@pytest.mark.parametrize("head", UNFIT, ids=["two layers", "convolution", "no bias"])
def test_head_that_no_calibration_folds_into_is_refused_where_a_method_is_named(tmp_path, head):
    named = parse(train_options("d", tmp_path, "--calibration", "temperature"))
    with pytest.raises(UsageError, match="give --calibration none"):
        check_head(named, Network(head))
    check_head(parse(train_options("d", tmp_path)), Network(head))


def test_head_that_no_calibration_folds_into_stops_a_run_before_training(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("hf_cushing.training.fine_tune._learn", _cut)
    monkeypatch.setattr("hf_cushing.training.calibrate.head_linear", _not_linear)
    with pytest.raises(UsageError, match="no single linear layer with a bias"):
        fine_tune(parse(train_options(dataset, tmp_path / "run", "--calibration", "platt")))
    with pytest.raises(Cut):
        fine_tune(parse(train_options(dataset, tmp_path / "other")))


def test_head_that_no_calibration_folds_into_stays_as_it_is_by_default(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("hf_cushing.training.calibrate.head_linear", _not_linear)
    fine_tune(parse(train_options(dataset, tmp_path / "run", *HEAD)))
    facts = read_json(tmp_path / "run" / "manifest.json")["run"]["calibration"]
    assert facts["method"] == "none"
    assert "no single linear layer" in facts["reason"]


def _not_linear(_):
    raise UsageError("the head is no single linear layer with a bias")
