"""`--average_mirrored`: one answer for a photo and its mirror image, wherever it is given."""

import numpy as np
import pytest
import torch
from PIL import ImageOps

from hf_cushing.data.loading import load_faces
from hf_cushing.files import read_json
from hf_cushing.heatmaps.methods import explain
from hf_cushing.models.build import load_classifier
from hf_cushing.models.score import score, score_crops
from hf_cushing.predict.answer import Predictor
from hf_cushing.publish.gate import RULES
from hf_cushing.publish.options import ModelOptions
from hf_cushing.publish.staging import stage_model
from hf_cushing.run import Run
from hf_cushing.stats.metrics import auroc
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options


@pytest.fixture(scope="module")
def averaged(dataset, tmp_path_factory):
    """A head on cached features, which answers for both sides (read only)."""
    out = tmp_path_factory.mktemp("averaged") / "run"
    more = ["--finetune", "head", "--average_mirrored", "true", "--repeatability", "8"]
    fine_tune(parse(train_options(dataset, out, *more)))
    return out


@pytest.fixture(scope="module")
def crops(dataset):
    photos = load_faces(str(dataset)).roles["test"]
    return [row["image"].convert("RGB") for row in photos.select(range(4))]


def test_mirror_image_has_the_same_score_and_flips_no_call(averaged, crops):
    classifier = load_classifier(str(averaged))
    turned = [ImageOps.mirror(crop) for crop in crops]
    both = score_crops(classifier, crops, cpu=True)
    assert np.allclose(both, score_crops(classifier, turned, cpu=True), atol=1e-4)
    changes = read_json(averaged / "metrics.json")["repeatability"]["changes"]
    assert all(c["flipped"] == 0 for c in changes if c["alteration"] == "mirrored")


def test_recorded_scores_and_those_for_a_photo_are_means_of_both_sides(averaged, dataset, crops):
    classifier = load_classifier(str(averaged))
    pixels = classifier.processor(crops, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        sides = [classifier.model(pixel_values=p).logits for p in (pixels, pixels.flip(-1))]
    assert not torch.allclose(*sides, atol=1e-4)
    expected = ((sides[0] + sides[1]) / 2).softmax(1).numpy()
    photos = load_faces(str(dataset)).roles["test"].select(range(4))
    scored = torch.tensor(score(classifier, photos, cpu=True)).softmax(1).numpy()
    recorded = Run(averaged).recorded_predictions
    rows = [recorded.photo_id.tolist().index(photo) for photo in photos["photo_id"]]
    for found in (scored, recorded.probabilities[rows], Predictor(str(averaged)).score(crops)[0]):
        assert np.allclose(found, expected, atol=1e-5)


def test_heatmap_of_the_mirror_image_is_the_mirrored_heatmap(averaged, crops):
    classifier = load_classifier(str(averaged))
    own = explain(classifier, crops[0], "grad-cam").values
    turned = explain(classifier, ImageOps.mirror(crops[0]), "grad-cam").values
    assert own.any()
    assert np.allclose(own, turned[:, ::-1], atol=1e-6)


def test_validation_during_training_sees_both_sides(dataset, tmp_path):
    more = ["--epochs", "1", "--average_mirrored", "true"]
    fine_tune(parse(train_options(dataset, tmp_path / "run", *more)))
    run = Run(tmp_path / "run")
    rows = run.validation
    best = run.manifest["run"]["best_auroc"]
    assert best == pytest.approx(auroc(rows.label == "cushing", rows.score("cushing")))


@pytest.mark.slow
def test_gate_checks_the_published_model_on_both_sides(averaged, dataset, tmp_path):
    options = ModelOptions(repo_id="me/faces", license="mit", dataset=dataset)
    made = stage_model(Run(averaged), options, tmp_path)
    (rule,) = (rule for rule in RULES if rule.name == "reproduces")
    assert list(rule.faults(made)) == []
    assert "**The plain pipeline gives other scores**" in (made.folder / "README.md").read_text()
