import numpy as np
import pytest
from scipy.special import softmax

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.score import check_labels, score
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from tests.conftest import shared

FEW = EvaluationOptions(draws=100, shuffles=100)


@pytest.mark.parametrize("workers", [0, 2])
def test_scores_do_not_depend_on_batch_or_workers(run, dataset, workers):
    photos = load_faces(str(dataset)).roles["test"]
    classifier = load_classifier(str(run))
    whole = score(classifier, photos, batch_size=64, cpu=True)
    parts = score(classifier, photos, batch_size=3, num_workers=workers, cpu=True)
    assert np.allclose(whole, parts, atol=1e-5)


def test_recorded_predictions_are_those_of_the_saved_model(run, dataset):
    recorded = load_predictions(run).of_split("test")
    photos = load_faces(str(dataset)).roles["test"]
    logits = score(load_classifier(str(run)), photos, cpu=True)
    order = np.argsort(np.array(photos["photo_id"]))
    assert np.array_equal(np.sort(recorded.photo_id), np.array(photos["photo_id"])[order])
    assert np.allclose(softmax(logits, axis=1)[order], recorded.probabilities, atol=1e-6)


def test_evaluating_anew_gives_the_recorded_metrics(run, dataset):
    anew, _ = evaluate_runs([Run(run)], FEW, dataset=str(dataset), cpu=True)
    recorded = read_json(run / "metrics.json")
    ours = anew.find("cushing", "all").values["auroc"].estimate
    row = next(r for r in recorded["subgroups"] if r["subgroup"] == "all")
    assert ours == pytest.approx(row["values"]["auroc"]["estimate"])
    thresholds = [point.threshold for point in anew.operating_points]
    assert thresholds == [point["threshold"] for point in recorded["operating_points"]]


def test_photos_seen_in_training_are_not_evaluated_as_test(run, dataset, clinic, tmp_path):
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare

    other = tmp_path / "other"
    prepare(clinic, other, PrepareOptions(identity=False, seed=5), num_proc=1)
    with pytest.raises(UserError, match=r"\d+ of the \d+ photos were among the train"):
        evaluate_runs([Run(run)], EvaluationOptions(), dataset=str(other), cpu=True)


def test_pooling_the_same_run_twice_is_refused(run):
    with pytest.raises(UserError, match="scored more than once"):
        evaluate_runs([Run(run), Run(run)], EvaluationOptions())


def test_dataset_with_other_labels_is_refused(run):
    with pytest.raises(UserError, match="knows the labels control, cushing"):
        check_labels(load_classifier(str(run)), ["control", "acromegaly"], "run")


def test_unknown_split_is_refused(run):
    with pytest.raises(UserError, match="--split holdout: give"):
        evaluate_runs([Run(run)], EvaluationOptions(split="holdout"))


def test_shared_backbone_classifies_real_photographs():
    folder = shared("models/face-dinov2-tiny")
    from PIL import Image

    from hf_cushing.faces.align import align_face
    from hf_cushing.faces.photo import open_photo

    photos = sorted((shared("data/lfw_moonface") / "images").iterdir())[:3]
    classifier = build_classifier(str(folder), ["control", "moon_face"])
    crops = [align_face(open_photo(path)).image for path in photos]
    assert all(isinstance(crop, Image.Image) for crop in crops)
    logits = classifier.model(**classifier.processor(crops, return_tensors="pt")).logits
    assert logits.shape == (3, 2)


def test_recorded_threshold_rule_is_kept_and_not_contradicted(dataset, tmp_path):
    from hf_cushing.training.cli import parse
    from hf_cushing.training.fine_tune import fine_tune
    from tests.conftest import train_options

    out = tmp_path / "run"
    options = train_options(dataset, out, "--epochs", "1", "--threshold_rule", "youden")
    fine_tune(parse(options))
    report, _ = evaluate_runs([Run(out)], FEW)
    assert {point.rule for point in report.operating_points} == {"youden"}
    with pytest.raises(UserError, match="was chosen by youden; leave the option out"):
        evaluate_runs([Run(out)], EvaluationOptions(rule="f1"), dataset=str(dataset), cpu=True)
