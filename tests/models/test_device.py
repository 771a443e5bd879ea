"""Where a network computes, and how many processes feed it."""

import os

import pytest
import torch
from accelerate import PartialState

from hf_cushing.models.device import FEEDING, exact_device, loader_processes


@pytest.fixture
def on_a_gpu(monkeypatch):
    """What this process believes to compute on; nothing is computed."""
    monkeypatch.setattr(PartialState(cpu=True), "device", torch.device("cuda", 0))
    for name in ("allow_tf32", "deterministic"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))


@pytest.mark.parametrize(
    ("cores", "processes", "expected"), [(64, 1, FEEDING), (16, 4, 4), (2, 4, 0)]
)
def test_a_gpu_gets_loader_processes_by_the_cores_that_are_there(
    on_a_gpu, monkeypatch, cores, processes, expected
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(PartialState(cpu=True), "num_processes", processes)
    assert loader_processes(None, cpu=True) == expected


def test_loader_processes_are_as_asked_for_and_none_on_a_cpu(on_a_gpu, monkeypatch):
    assert loader_processes(3, cpu=True) == 3
    monkeypatch.setattr(PartialState(cpu=True), "device", torch.device("cpu"))
    assert loader_processes(None, cpu=True) == 0


def test_a_gpu_computes_fp32_in_full(on_a_gpu):
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False
    exact_device(cpu=True)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (False, True)
