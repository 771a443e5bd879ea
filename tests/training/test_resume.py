"""A run killed at any moment, and resumed, ends with the weights of an undisturbed one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_cushing.files import read_json
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests import new_process
from tests.conftest import train_options
from tests.training.kill_at import CALLS

KILL_AT = Path(__file__).with_name("kill_at.py")
OF_A_TEACHER = {"any": 3}
"""Checkpoints that another network has written before."""

METHODS = {
    "any": ("tiny-swin", "--drop_path", "0.2", "--framing", "any"),
    "full": ("tiny-swin", "--drop_path", "0.2"),
    "dro": ("tiny-resnet", "--mitigation", "group_dro"),
    "face": ("face-resnet", "--init", "pretrained", "--finetune", "lp-ft"),
    "lora": ("tiny-dinov2", "--finetune", "lora", "--lora_dropout", "0.1"),
}


def train(dataset, out, method, *more, moment="never", number=1, start=new_process.python):
    model, *options = METHODS.get(method, ("tiny-vit", "--finetune", "head"))
    if method in METHODS:
        options += ["--epochs", "3", "--patience", "2"]
    arguments = train_options(dataset, out, *options, *more, model=model)
    return start(str(KILL_AT), moment, str(number), *arguments)


def interpreter(*words):
    """A process with a hash seed of its own."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.fixture(scope="module")
def undisturbed(dataset, tmp_path_factory):
    """Finished runs by method."""
    found = {}

    def finished(method):
        if method not in found:
            out = found[method] = tmp_path_factory.mktemp(method) / "run"
            done = train(dataset, out, method)
            assert done.returncode == 0, done.stderr
        return found[method]

    return finished


CASES = [
    pytest.param("full", "in an update", 0, marks=pytest.mark.slow),
    pytest.param("any", "while a checkpoint is written", 2, marks=pytest.mark.slow),
    pytest.param("full", "before the model is saved", 0, marks=pytest.mark.slow),
    ("lora", "in an update", 0),
    pytest.param("face", "in an update", 0, marks=pytest.mark.slow),
    pytest.param("dro", "in an update", 0, marks=pytest.mark.slow),
    ("head", "between two shards", 2),
    pytest.param("head", "in the fit", 0, marks=pytest.mark.slow),
]
"""`benchmarks/resume.py` goes through all moments."""


@pytest.mark.parametrize(("method", "moment", "workers"), CASES)
def test_killed_and_resumed_run_is_bit_identical(
    dataset, tmp_path, undisturbed, method, moment, workers
):
    out = tmp_path / "run"
    more = ("--num_workers", str(workers))
    number = CALLS[moment] + OF_A_TEACHER.get(method, 0)
    killed = train(dataset, out, method, *more, moment=moment, number=number)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (out / "manifest.json").exists()
    done = train(dataset, out, method, *more, "--resume")
    assert done.returncode == 0, done.stderr
    expected = undisturbed(method)
    for name in ("model.safetensors", "metrics.json", "predictions.parquet"):
        assert (out / name).read_bytes() == (expected / name).read_bytes(), name


@pytest.mark.parametrize("method", ["full", "any"])
def test_run_is_told_apart_from_another_when_resumed(dataset, tmp_path, method):
    out = tmp_path / "run"
    killed = train(dataset, out, method, moment="after the seal", number=1)
    assert killed.returncode == -signal.SIGKILL
    model, *options = METHODS[method]
    options = train_options(dataset, out, *options, "--epochs", "3", "--patience", "2", model=model)
    with pytest.raises(UserError, match="unfinished run; add --resume"):
        fine_tune(parse(options))
    with pytest.raises(
        UserError, match=r"other settings, photos or processes \(--fold was None, is 1\)"
    ):
        fine_tune(parse([*options, "--fold", "1", "--resume"]))
    with pytest.raises(UserError, match="the run did not finish"):
        _ = Run(out).finished_manifest


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.slow
def test_full_disk_is_told_and_the_checkpoint_before_stays_whole(dataset, tmp_path, undisturbed):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here")
    try:
        out = small / "run"
        killed = train(dataset, out, "full", moment="after the seal", number=1)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        (checkpoint,) = (out / "checkpoints").glob("checkpoint-*")
        room = os.statvfs(small)
        ballast = small / "ballast"
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - 300_000))
        done = train(dataset, out, "full", "--resume")
        assert done.returncode == 1
        assert "--resume" in done.stderr
        assert "Traceback" not in done.stderr
        assert checkpoint.is_dir()
        ballast.unlink()
        done = train(dataset, out, "full", "--resume")
        assert done.returncode == 0, done.stderr
        weights = (out / "model.safetensors").read_bytes()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert weights == (undisturbed("full") / "model.safetensors").read_bytes()


def test_same_inputs_give_the_same_bytes(dataset, tmp_path, undisturbed):
    again = train(dataset, tmp_path / "run", "lora", start=interpreter)
    assert again.returncode == 0, again.stderr
    for name in ("metrics.json", "model.safetensors", "adapter/adapter_model.safetensors"):
        one, two = (run / name for run in (tmp_path / "run", undisturbed("lora")))
        assert one.read_bytes() == two.read_bytes(), name
    manifests = [
        read_json(run / "manifest.json") for run in (tmp_path / "run", undisturbed("lora"))
    ]
    for manifest in manifests:
        del manifest["run"]["seconds"]
    assert manifests[0] == manifests[1]
