import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.schema import UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from hf_cushing.training.run_folder import read_manifest
from tests.conftest import train_options

ROOT = Path(__file__).parents[2]


def launch(*command, **environment):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | environment,
    )


def test_run_folder_is_complete_and_holds_no_pickle(run):
    files = {path.name for path in run.rglob("*") if path.is_file()}
    assert files >= {
        "model.safetensors",
        "config.json",
        "preprocessor_config.json",
        "manifest.json",
        "predictions.parquet",
        "metrics.json",
        "metrics.md",
        "roc.png",
        "README.md",
    }
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert any("tfevents" in name for name in files)
    assert not (run / "checkpoints").exists()


def test_every_validation_and_test_photo_is_scored_exactly_once(run, dataset):
    predictions = load_predictions(run)
    for split, photos in load_faces(str(dataset)).roles.items():
        scored = sorted(predictions.photo_id[predictions.split == split].tolist())
        assert scored == ([] if split == "train" else sorted(photos["photo_id"]))


def test_manifest_tells_how_to_repeat_the_run(run, dataset):
    manifest = read_manifest(run)
    assert manifest["config"]["training"]["epochs"] == 2
    assert manifest["dataset_revision"] == load_faces(str(dataset)).revision
    assert manifest["environment"]["torch"] in torch.__version__
    assert manifest["run"]["processes"] == 1
    assert str(dataset.parent) not in (run / "manifest.json").read_text()
    tested = load_predictions(run).of_split("test").photo_id.tolist()
    assert set(manifest["seen_photo_ids"]).isdisjoint(tested)


def test_card_has_the_notice_and_the_figures_of_metrics_json(run):
    card = (run / "README.md").read_text()
    assert "Research use only" in card
    rows = read_json(run / "metrics.json")["subgroups"]
    for row in rows:
        value = row["values"]["accuracy"]["estimate"]
        assert value is None or f"{value:.3f}" in card


def test_same_seed_gives_the_same_weights_and_another_seed_others(dataset, tmp_path):
    weights = []
    for name, seed in (("a", "4"), ("b", "4"), ("c", "5")):
        options = train_options(dataset, tmp_path / name, "--epochs", "1", "--seed", seed)
        fine_tune(parse(options))
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    same = [torch.equal(weights[0][k], weights[1][k]) for k in weights[0]]
    assert all(same)
    assert not all(torch.equal(weights[0][k], weights[2][k]) for k in weights[0])


def test_head_leaves_the_backbone_untouched(dataset, tmp_path):
    more = ("--finetune", "head", "--epochs", "1")
    options = train_options(dataset, tmp_path / "run", *more, model="tiny-dinov2")
    config = parse(options)
    from transformers import set_seed

    from hf_cushing.models.build import build_classifier, load_classifier

    set_seed(config.training.seed)
    before = build_classifier(
        "tiny-dinov2", ["control", "cushing"], init="random"
    ).model.state_dict()
    fine_tune(config)
    after = load_classifier(str(tmp_path / "run")).model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("model", ["tiny-vit", "tiny-swin", "tiny-dinov2-reg", "tiny-densenet"])
def test_each_family_trains_and_predicts(dataset, tmp_path, model):
    result = fine_tune(parse(train_options(dataset, tmp_path / "r", "--epochs", "1", model=model)))
    assert np.isfinite(load_predictions(result.folder).probabilities).all()


def test_fold_run_tests_on_its_fold(dataset, tmp_path):
    fine_tune(parse(train_options(dataset, tmp_path / "r", "--epochs", "1", "--fold", "2")))
    predictions = load_predictions(tmp_path / "r")
    assert set(predictions.of_split("test").fold.tolist()) == {2}
    assert set(predictions.of_split("validation").fold.tolist()) == {3}


def test_finished_run_is_not_overwritten(run, dataset):
    with pytest.raises(UserError, match="holds a finished run"):
        fine_tune(parse(train_options(dataset, run)))


def test_killed_training_is_resumed_on_request(dataset, tmp_path):
    out = tmp_path / "run"
    options = train_options(dataset, out, "--epochs", "4", "--patience", "9")
    command = [sys.executable, str(ROOT / "train.py"), *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(out.glob("checkpoints/checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(UserError, match="unfinished run; add --resume"):
        fine_tune(parse(options))
    other = [*options, "--fold", "1", "--resume"]
    with pytest.raises(UserError, match="a run with other settings or photos"):
        fine_tune(parse(other))
    (out / "checkpoints" / "checkpoint-99999").mkdir()
    with pytest.raises(UserError, match="the run did not finish"):
        read_manifest(out)
    fine_tune(parse([*options, "--resume"]))
    assert read_manifest(out)["run"]["epochs"] == 4


def test_accelerate_launch_trains_from_the_command_line(dataset, tmp_path):
    out = tmp_path / "run"
    done = launch(
        "accelerate.commands.launch",
        "--num_processes",
        "1",
        "train.py",
        *train_options(dataset, out, "--epochs", "1"),
    )
    assert done.returncode == 0, done.stderr
    assert "processes: 1" in done.stderr
    assert "| auroc |" in done.stdout


def test_two_processes_train_and_score_each_photo_once(dataset, tmp_path):
    out = tmp_path / "run"
    done = launch(
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "train.py",
        *train_options(dataset, out, "--epochs", "1"),
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert "processes: 2" in done.stderr
    assert read_manifest(out)["run"]["processes"] == 2
    scored = load_predictions(out).of_split("test").photo_id.tolist()
    assert sorted(scored) == sorted(load_faces(str(dataset)).roles["test"]["photo_id"])


def test_launcher_that_runs_fewer_processes_than_asked_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"asked for 2 processes but 1 run.*torchrun"):
        fine_tune(parse(train_options(dataset, tmp_path / "r")))


def test_both_diseases_at_once_are_trained_and_reported(tmp_path):
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare
    from hf_cushing.data.synthetic import CohortOptions, make_cohort

    cohort = CohortOptions(photos=60, diseases=("cushing", "acromegaly"), positive_share=0.6)
    make_cohort(tmp_path / "raw", tmp_path / "truth", cohort)
    options = PrepareOptions(identity=False, folds=3)
    prepare(tmp_path / "raw", tmp_path / "dataset", options, num_proc=1)
    options = train_options(tmp_path / "dataset", tmp_path / "run", "--epochs", "1")
    report = fine_tune(parse(options)).report
    assert {row.label for row in report.subgroups} == {"cushing", "acromegaly"}
    assert read_manifest(tmp_path / "run")["labels"] == ["control", "cushing", "acromegaly"]


def test_accumulated_steps_give_the_gradient_of_one_large_batch(dataset, tmp_path):
    from safetensors.torch import load_file

    weights = []
    for name, size, steps in (("one", "8", "1"), ("four", "2", "4")):
        more = (
            "--epochs",
            "1",
            "--batch_size",
            size,
            "--gradient_accumulation",
            steps,
            "--augment",
            "false",
            "--imbalance",
            "none",
        )
        fine_tune(parse(train_options(dataset, tmp_path / name, *more, model="tiny-vit")))
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    distance = [(weights[0][k] - weights[1][k]).abs().max().item() for k in weights[0]]
    assert max(distance) < 1e-4


def test_logged_gradient_norm_does_not_grow_with_accumulation(dataset, tmp_path):
    from hf_cushing.data.loading import FacePhotos
    from hf_cushing.models.build import build_classifier
    from hf_cushing.training.trainer import build_trainer

    norms = []
    for size, steps in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        options = train_options(
            dataset,
            tmp_path / str(size),
            "--batch_size",
            str(size),
            "--gradient_accumulation",
            str(steps),
            "--epochs",
            "1",
        )
        data = load_faces(str(dataset))
        classifier = build_classifier("tiny-vit", data.labels, init="random")
        train, validation = (
            FacePhotos(data.roles[r], classifier.processor) for r in ("train", "validation")
        )
        trainer = build_trainer(parse(options), classifier, train, validation)
        trainer.train()
        norms.append(trainer.state.log_history[0]["grad_norm"])
    assert norms[1] == pytest.approx(norms[0], rel=0.6)
