"""Run train.py and kill it (SIGKILL) when a function is called for the n-th time.

python kill_at.py MOMENT N OPTIONS OF TRAIN.PY…
"""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

MOMENTS = {
    "in an update": "training.trainer:FaceTrainer.compute_loss",
    "while a checkpoint is written": "training.trainer:FaceTrainer._save_optimizer_and_scheduler",
    "before the seal": "training.trainer:seal",
    "after the seal": "training.trainer:keep_only",
    "before the model is saved": "training.fine_tune:save_model",
    "before scoring": "training.fine_tune:score_saved",
    "before the tables": "training.run_folder:write_report",
    "between two shards": "models.features:_write_shard",
    "in the fit": "training.probe:log_losses",
}
CALLS = dict.fromkeys(MOMENTS, 1) | {
    "in an update": 8,
    "while a checkpoint is written": 2,
    "before the seal": 2,
    "after the seal": 2,
    "between two shards": 2,
}
"""Which call is the last one: in the second epoch, or after the first shard."""

OF_TRAINING = tuple(MOMENTS)[:7]
OF_A_PROBE = tuple(MOMENTS)[4:]


def kill_at(moment: str, number: int) -> None:
    """Replace the moment's function by one that kills this process at its n-th call."""
    module, _, path = MOMENTS[moment].partition(":")
    *owners, name = path.split(".")
    owner = import_module(f"hf_cushing.{module}")
    for attribute in owners:
        owner = getattr(owner, attribute)
    original, calls = getattr(owner, name), []

    def killing(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            if moment == "while a checkpoint is written":
                cut_in_half(Path(args[1]))
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, killing)


def cut_in_half(checkpoint: Path) -> None:
    """Leave the weights as a kill in the middle of a write would."""
    for path in checkpoint.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


if __name__ == "__main__":
    from hf_cushing.models import features
    from hf_cushing.training.cli import main

    features.SHARD = 16
    if sys.argv[1] != "never":
        kill_at(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[3:])
