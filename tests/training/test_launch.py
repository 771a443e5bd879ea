"""Trainings that a launcher starts. It is called in this process; what it starts is real."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.run import Run
from hf_cushing.training.cli import main, parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options

ROOT = Path(__file__).parents[2]


def launch(*words):
    """Call a launcher in a process of its own."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def launched(monkeypatch, capfd):
    """Call a launcher in this process, and give what it and its processes write."""
    monkeypatch.chdir(ROOT)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    environment = dict(os.environ)

    def launched(start, *arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            sys.exit(start(arguments))
        return end.value.code or 0, capfd.readouterr()

    yield launched
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)


def by_accelerate(arguments):
    from accelerate.commands.launch import launch_command, launch_command_parser

    launch_command(launch_command_parser().parse_args(["--num_processes", "1", *arguments]))


def test_accelerate_launch_trains_from_the_command_line(dataset, tmp_path, launched):
    options = train_options(dataset, tmp_path / "run", "--epochs", "1")
    code, said = launched(by_accelerate, "train.py", *options)
    assert code == 0, said.err
    assert "processes: 1" in said.err
    assert "Chance  " in said.out
    assert len(said.out.splitlines()) <= 25
    assert "photos/s" not in said.err  # no bar where there is no terminal


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("--dataset nowhere", "no such folder; make it with `hf-cushing prepare`"),
        pytest.param("--fold 9", "has the folds 0 to 4", marks=pytest.mark.slow),
    ],
    ids=["before the processes know each other", "after"],
)
def test_launched_training_ends_with_our_sentence_and_its_exit_code(
    dataset, tmp_path, launched, fault, words
):
    options = train_options(dataset, tmp_path / "run", *fault.split(), "--processes", "2")
    code, said = launched(main, *options)
    assert code == 1
    assert all(line.startswith("hf-cushing: ") for line in said.err.splitlines()), said.err
    assert words in said.err


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("tiny-dinov2", ()),
        pytest.param(
            "face-resnet", ("--finetune", "lp-ft", "--init", "pretrained"), marks=pytest.mark.slow
        ),
    ],
)
def test_two_processes_give_the_weights_and_metrics_of_one(
    dataset, tmp_path, launched, model, more
):
    options = ("--epochs", "2", "--patience", "9", *more)
    one, two = tmp_path / "one", tmp_path / "two"
    fine_tune(parse(train_options(dataset, one, *options, "--batch_size", "14", model=model)))
    options = train_options(dataset, two, *options, "--batch_size", "7", model=model)
    code, said = launched(main, *options, "--processes", "2")
    assert code == 0, said.err
    assert "processes: 2" in said.err
    assert "Warning" not in said.err  # neither the launcher's nor transformers'
    assert Run(two).finished_manifest["run"]["processes"] == 2
    weights = [load_file(run / "model.safetensors") for run in (one, two)]
    assert max((weights[0][k] - weights[1][k]).abs().max().item() for k in weights[0]) < 1e-4
    scores = [load_predictions(run).probabilities for run in (one, two)]
    assert np.allclose(*scores, atol=1e-4)
    scored = load_predictions(two).of_split("test").photo_id.tolist()
    assert sorted(scored) == sorted(load_faces(str(dataset)).roles["test"]["photo_id"])


@pytest.mark.slow
def test_two_processes_share_the_feature_pass_of_a_probe(dataset, tmp_path):
    probes = []
    for name, start in (("one", ()), ("two", ("--standalone", "--nproc_per_node", "2"))):
        more = ("--finetune", "head")
        options = train_options(dataset, tmp_path / name / "run", *more, model="tiny-resnet")
        command = ("-m", "torch.distributed.run", *start, "train.py") if start else ("train.py",)
        done = launch(*command, *options)
        assert done.returncode == 0, done.stderr
        probes.append(load_file(tmp_path / name / "run" / "model.safetensors"))
    assert all(torch.equal(probes[0][k], probes[1][k]) for k in probes[0])
