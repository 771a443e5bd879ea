"""Several processes of one training, by accelerate's launcher, without its noise.

The launcher adds a traceback of its own after the sentence of the process that failed; here it is
called in this process, and what is shown last is that sentence.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hf_cushing.schema import UsageError, UserError


def launch_if_asked(given: Mapping[str, Any], arguments: Sequence[str]) -> int | None:
    """Launch the processes that ``--processes`` or ``--gpus`` ask for.

    Parameters
    ----------
    given : mapping of str to Any
        The options that were given by name; `processes`, `gpus` and `cpu` count here.
    arguments : sequence of str
        The command line, which every process gets again.

    Returns
    -------
    int or None
        Exit code; None where this process is to train: it was launched, or is the only one.

    Raises
    ------
    UserError
        More GPUs than there are, or a process was killed.
    """
    asked, wanted = given.get("processes"), given.get("gpus")
    if asked is None and wanted is None:
        return None
    if launched := int(os.environ.get("WORLD_SIZE", "0")):
        if asked not in (None, launched):
            raise UsageError(f"--processes {asked}: the launcher started {launched}; give it once")
        return None
    gpus = _gpus(asked, wanted, cpu=given.get("cpu", False))
    processes = asked or len(gpus)
    if wanted and processes != len(gpus):
        raise UsageError(f"--processes {asked} and --gpus {wanted} differ; give one of them")
    if processes == 1:
        if wanted:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[0]
        return None
    return _launch(processes, gpus[:processes], list(arguments))


def _gpus(processes: int | None, wanted: str | None, *, cpu: bool) -> list[str]:
    """Numbers of the GPUs to be used; none on a CPU.

    Without ``--gpus`` the first ones, as many as there are processes.
    """
    if processes is not None and processes < 1:
        raise UsageError(f"--processes {processes}: give 1 or more")
    if cpu and wanted:
        raise UsageError(f"--cpu and --gpus {wanted} contradict each other; leave one out")
    import torch

    there = [] if cpu else [str(number) for number in range(torch.cuda.device_count())]
    if wanted is None:
        if there and processes > len(there):
            raise UsageError(
                f"--processes {processes}: only {len(there)} GPUs are here; give fewer, or --cpu"
            )
        return there
    named = there if wanted == "all" else [word.strip() for word in wanted.split(",")]
    if not named or set(named) - set(there):
        found = f"GPUs {', '.join(there)} are" if there else "no GPU is"
        raise UsageError(f"--gpus {wanted}: {found} here; or give --processes N --cpu")
    return named


def _launch(processes: int, gpus: list[str], arguments: list[str]) -> int:
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.CRITICAL)  # the launcher's own; the processes have theirs
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # On CPUs too: accelerate 1.15 starts one process for --cpu, whatever it is asked for
    options = {
        "--num_processes": processes, "--num_machines": 1, "--gpu_ids": ",".join(gpus) or "all",
        "--main_process_port": 0, "--mixed_precision": "no", "--dynamo_backend": "no",
    }  # fmt: skip
    words = [str(word) for pair in options.items() for word in pair]
    own = arguments if gpus else [*arguments, "--cpu"]
    command = ["--multi_gpu", *words, "-m", "hf_cushing.train", *own]
    try:
        launch_command(launch_command_parser().parse_args(command))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code < 0:
            raise UserError(
                f"a process was ended from outside by signal {-code} (out of memory?); go on with "
                "--resume"
            ) from None
        return code
    except SignalException:
        raise KeyboardInterrupt from None
    finally:
        logging.disable(logging.NOTSET)
    return 0
