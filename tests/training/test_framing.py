from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.evaluation.record import report_from_json
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.training import fine_tune as module
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from hf_cushing.training.selection import framed_metrics, validation_metrics
from hf_cushing.training.teacher import LABELS_SHARE, SMALLEST_SPREAD, Teacher
from tests.conftest import train_options


def test_every_run_has_the_figures_of_photos_as_they_are(run):
    scored = load_predictions(run)
    assert scored.plain.shape == scored.probabilities.shape
    assert not np.allclose(scored.plain, scored.probabilities)
    report = report_from_json(read_json(run / "metrics.json"))
    plain = report.plain
    assert [row.subgroup for row in plain.subgroups] == ["all", "female", "male"]
    assert {point.split for point in plain.operating_points} == {"validation"}
    aurocs = [rows[0].values["auroc"].estimate for rows in (plain.subgroups, plain.at_aligned)]
    assert aurocs[0] == aurocs[1] != report.subgroups[0].values["auroc"].estimate
    assert "aligned and as they are" in (run / "metrics.md").read_text()


def test_the_plain_pipeline_on_a_stored_view_gives_the_recorded_score(run, dataset, tmp_path):
    from transformers import pipeline

    photos = load_faces(str(dataset)).roles["test"]
    photos[0]["context"].save(tmp_path / "photo.png")
    classify = pipeline("image-classification", model=str(run), device="cpu",
                        trust_remote_code=False)  # fmt: skip
    scores = {one["label"]: one["score"] for one in classify(Image.open(tmp_path / "photo.png"))}
    recorded = load_predictions(run)
    place = list(recorded.photo_id).index(photos[0]["photo_id"])
    expected = recorded.plain[place, recorded.labels.index("cushing")]
    assert scores["cushing"] == pytest.approx(expected, abs=1e-4)


def test_evaluate_finds_the_same_from_the_recorded_and_from_new_scores(run, dataset):
    few = EvaluationOptions(draws=100, shuffles=100)
    recorded, _ = evaluate_runs([Run(run)], few)
    anew, _ = evaluate_runs([Run(run)], few, dataset=str(dataset), cpu=True)
    first, second = (r.plain.subgroups[0].values["recall"] for r in (recorded, anew))
    assert first.estimate == pytest.approx(second.estimate)


def test_the_epoch_is_chosen_by_crops_and_wide_views_together():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 2)), np.tile([0, 1], 20)
    sexes = np.repeat(["female", "male"], 10)
    both = framed_metrics(logits, labels, sexes)
    halves = [validation_metrics(logits[i], labels[i], sexes) for i in (np.s_[:20], np.s_[20:])]
    assert both["selection"] == pytest.approx(np.mean([half["selection"] for half in halves]))
    assert both["auroc"] == halves[0]["auroc"]
    assert both["plain_auroc"] == halves[1]["auroc"]


def test_any_framing_starts_from_a_network_of_aligned_crops_that_stays_beside_it(
    dataset, tmp_path, monkeypatch
):
    starts, descend = [], module.descend

    def watched(config, data, classifier, model, *rest):
        starts.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return descend(config, data, classifier, model, *rest)

    batches, loss = [], Teacher.loss
    monkeypatch.setattr(module, "descend", watched)
    monkeypatch.setattr(Teacher, "loss", lambda *a: batches.append(len(a[2])) or loss(*a))
    out = tmp_path / "run"
    fine_tune(parse(train_options(dataset, out, "--framing", "any", "--epochs", "1")))
    assert sum(batches) >= len(load_faces(str(dataset)).roles["train"])  # one epoch of one network
    teacher = load_classifier(str(out / "aligned")).model.state_dict()
    of_teacher, of_student = starts
    assert all(torch.equal(of_student[name], teacher[name]) for name in teacher)
    assert not all(torch.equal(of_teacher[name], teacher[name]) for name in teacher)
    manifest = read_json(out / "aligned/manifest.json")
    assert manifest["config"]["training"]["framing"] == "aligned"


def test_the_loss_is_the_distance_from_the_teacher_and_a_share_of_the_labels():
    head, features = torch.nn.Identity(), np.array([[0, 0], [2, 4]], np.float32)
    teacher = Teacher(head, features)
    head(torch.tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True))
    spread = features.std(0, ddof=1) + SMALLEST_SPREAD
    expected = np.mean([0, (4 / spread[1]) ** 2, 0, 0]) + LABELS_SHARE * 5
    found = teacher.loss(torch.tensor(5.0), torch.tensor([1, 0]))
    assert found.item() == pytest.approx(expected)


def test_a_dataset_without_wide_views_trains_on_crops_and_refuses_more(tmp_path):
    out = Path(__file__).parents[1] / "older" / "dataset"
    with pytest.raises(UserError, match="has no wide views"):
        fine_tune(parse(train_options(out, tmp_path / "run", "--framing", "any")))
    fine_tune(parse(train_options(out, tmp_path / "run", "--epochs", "1")))
    assert read_json(tmp_path / "run" / "metrics.json")["plain"] is None
    assert load_predictions(tmp_path / "run").plain is None
