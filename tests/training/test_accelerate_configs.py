"""The shipped accelerate configs, read by accelerate itself."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from tests.conftest import train_options
from tests.training.test_launch import launch

FOLDER = Path(__file__).parents[2] / "configs" / "accelerate"
KINDS = {
    "cpu": ("NO", 1),
    "cpu_2": ("MULTI_GPU", 2),
    "one_gpu": ("NO", 1),
    "multi_gpu": ("MULTI_GPU", 4),
    "multi_node": ("MULTI_GPU", 8),
    "fsdp": ("FSDP", 4),
}


def test_every_config_is_listed_here_and_in_the_page():
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    page = (FOLDER.parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert names == set(KINDS)
    assert all(f"configs/accelerate/{name}.yaml" in page for name in names)


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_reads_the_config(name):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (str(config.distributed_type.value), config.num_processes) == KINDS[name]


@pytest.mark.slow
def test_config_for_two_processes_on_a_cpu_starts_two(dataset, tmp_path):
    done = launch(
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(FOLDER / "cpu_2.yaml"),
        "train.py",
        *train_options(dataset, tmp_path / "run", "--finetune", "head"),
    )
    assert done.returncode == 0, done.stderr
    assert "processes: 2" in done.stderr
