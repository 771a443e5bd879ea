"""The processes of one launch: all compute, the first one writes."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from accelerate import PartialState

from hf_cushing.schema import UserError


def first_process_writes(write: Callable[[], object]) -> None:
    """Call `write` in the first process, when nobody reads the old file any more.

    Every process calls this, and goes on when the new file is there.
    """
    state = PartialState()
    state.wait_for_everyone()
    if state.is_main_process:
        write()
    state.wait_for_everyone()


def check_processes(*, cpu: bool) -> None:
    """Fail where a launcher asked for several processes and one was set up."""
    count = PartialState(cpu=cpu).num_processes
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked != count:
        raise UserError(
            f"the launcher asked for {asked} processes but {count} run; launch with `hf-cushing "
            f"train --processes {asked}`, on a CPU with --cpu"
        )
    gpus = 0 if cpu else torch.cuda.device_count()
    if gpus > 1 and count == 1:
        raise UserError(
            f"{gpus} GPUs are visible to one process; give --gpus all, a process each, or one of "
            "them, as --gpus 0"
        )
