"""Where a network computes, how exactly, and how many processes feed it."""

from __future__ import annotations

import os

import torch

FEEDING = 12
"""Loader processes that a GPU gets at most; more were not tried."""


def exact_device(*, cpu: bool) -> torch.device:
    """This process's device, set so that a photo's answer is that of a CPU as nearly as it can be.

    Left alone, GPUs since Ampere convolve in TF32, whose numbers have 10 bits after the point
    instead of 23, which moved a probability by up to 0.0015 (`benchmarks/gpu.py`), and choose
    algorithms that add up in any order. ``--precision bf16`` and ``fp16`` are untouched.

    Parameters
    ----------
    cpu : bool
        Do not use an accelerator that is there.
    """
    from accelerate import PartialState

    device = PartialState(cpu=cpu).device
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    return device


def loader_processes(asked: int | None, *, cpu: bool) -> int:
    """How many processes decode and augment for this one: as asked, or as the device needs.

    A CPU computes with all its cores, so none; a GPU waits for photos unless each process that
    drives one has its share of the cores for them.
    """
    if asked is not None:
        return asked
    from accelerate import PartialState

    state = PartialState(cpu=cpu)
    if state.device.type == "cpu":
        return 0
    return min(FEEDING, (os.cpu_count() or 1) // max(1, state.num_processes))
