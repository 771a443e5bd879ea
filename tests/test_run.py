"""A run opened once for everybody: folder, report folder, bare model, Hub id."""

import json
import shutil

import pytest

from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from tests.conftest import shared


@pytest.fixture(scope="module")
def opened(run):
    return Run(str(run))


def test_what_a_run_recorded_is_read_from_its_files(run, opened):
    metrics = json.loads((run / "metrics.json").read_text())
    manifest = json.loads((run / "manifest.json").read_text())
    assert opened.labels == ("control", "cushing")
    assert (
        opened.operating_point("cushing").threshold == metrics["operating_points"][0]["threshold"]
    )
    assert opened.threshold_rule == "f1"
    assert opened.weights_revision == manifest["model_revision"]
    assert opened.seen_photo_ids == set(manifest["seen_photo_ids"])
    assert set(opened.validation.split) == {"validation"}
    assert opened.drawn
    assert opened.title == run.name


def test_operating_point_of_a_sex_comes_before_the_shared_one(run, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    metrics = json.loads((own / "metrics.json").read_text())
    (point,) = metrics["operating_points"]
    metrics["operating_points"].append(point | {"sex": "female", "threshold": 0.123})
    (own / "metrics.json").write_text(json.dumps(metrics))
    found = [Run(str(own)).operating_point("cushing", sex) for sex in ("female", "male", "unknown")]
    assert [point.threshold == 0.123 for point in found] == [True, False, False]


def test_operating_points_of_other_weights_are_refused(run, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    metrics = json.loads((own / "metrics.json").read_text())
    metrics["operating_points"][0]["model_revision"] = "of another"
    (own / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="belongs to other weights"):
        _ = Run(str(own)).operating_points


def test_report_that_pools_models_has_no_one_operating_point(run, tmp_path):
    shutil.copy(run / "predictions.parquet", tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["operating_points"].append(metrics["operating_points"][0] | {"model_revision": "other"})
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="pools several models"):
        Run(str(tmp_path)).operating_point("cushing")


def test_a_bare_model_has_labels_and_nothing_that_was_recorded(run, tmp_path):
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        shutil.copy(run / name, tmp_path)
    bare = Run(str(tmp_path))
    assert bare.labels == ("control", "cushing")
    assert bare.operating_points == ()
    assert (bare.predictions, bare.validation, bare.limits, bare.report) == (None,) * 4
    assert bare.seen_photo_ids is None
    assert (bare.drawn, bare.calibrated) == (False, False)
    with pytest.raises(UserError, match="did not finish; go on with --resume"):
        _ = bare.finished_manifest
    with pytest.raises(UserError, match=r"holds no predictions\.parquet"):
        _ = bare.recorded_predictions


def test_folder_of_all_folds_says_what_to_give_instead(tmp_path):
    (tmp_path / "fold_0").mkdir()
    run = Run(str(tmp_path))
    for name in ("recorded_predictions", "finished_manifest"):
        with pytest.raises(UserError, match=f"all folds; give {tmp_path / 'report'}, .*fold_0"):
            getattr(run, name)


def test_predictions_alone_are_a_run_without_a_model(run):
    alone = Run(str(run / "predictions.parquet"))
    assert len(alone.recorded_predictions) == len(load_predictions(run))
    assert (alone.manifest, alone.weights_revision) == ({}, "")


def test_nothing_of_that_name_is_a_sentence():
    with pytest.raises(UserError, match="neither a run folder on this machine nor a model"):
        _ = Run("no/such-model").metrics


def test_a_revision_is_for_the_hub(run):
    with pytest.raises(UsageError, match="--revision main is for a Hub id"):
        Run(str(run), "main")


def test_photos_that_trained_the_model_are_refused_with_the_remedy(opened):
    seen = sorted(opened.seen_photo_ids)[:2]
    with pytest.raises(UserError, match=rf"2 of the 3 photos .*{seen[0]}.*take others"):
        opened.check_not_seen([*seen, "new"], "take others")
    opened.check_not_seen(["new"], "take others")


def test_own_dataset_is_dealt_as_the_run_had_it(run, dataset, opened):
    roles = opened.load_faces(str(dataset)).roles
    assert set(roles["test"]["photo_id"]).isdisjoint(opened.seen_photo_ids)
    assert set(roles["train"]["photo_id"]) <= opened.seen_photo_ids


def test_report_of_another_model_is_refused(opened, tmp_path):
    with pytest.raises(UserError, match=r"holds no explain\.json; make it with"):
        opened.companion("explain.json", tmp_path)
    (tmp_path / "explain.json").write_text(json.dumps({"model_revision": "of another"}))
    with pytest.raises(UserError, match=r"explain\.json was made with another model"):
        opened.companion("explain.json", tmp_path)
    assert opened.companion("explain.json") == {}


def test_shared_backbone_is_a_model_without_our_labels():
    assert "control" not in Run(str(shared("models/face-dinov2-tiny"))).labels


@pytest.mark.parametrize(
    "content", ["[]", "7", '{"labels": "cushing"}', '{"run": []}', '{"seen_photo_ids": [{}]}', "{"]
)
def test_an_odd_manifest_is_told_in_a_sentence(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="manifest"):
        _ = Run(str(tmp_path)).manifest
