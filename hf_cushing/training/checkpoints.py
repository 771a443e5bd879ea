"""Checkpoints that count only when they are whole: a run can be killed at any moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hf_cushing.files import plain, read_json, sha256_file, write_json
from hf_cushing.schema import ALIGNED, UserError

SEAL = "whole.json"
"""Written last, with size and hash of every other file."""

STATE = "trainer_state.json"
SELECTION = "eval_selection"
"""Name of the metric in the log by which the best epoch is chosen."""


def seal(checkpoint: Path) -> None:
    """Write the seal, after all other files have reached the disk."""
    facts = {}
    for path in sorted(p for p in checkpoint.rglob("*") if p.is_file() and p.name != SEAL):
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        name = path.relative_to(checkpoint).as_posix()
        facts[name] = [path.stat().st_size, sha256_file(path)]
    write_json(checkpoint / SEAL, facts)


def is_whole(checkpoint: Path) -> bool:
    """Say whether a checkpoint was sealed and is still what it was then."""
    try:
        sealed = read_json(checkpoint / SEAL)
    except UserError:
        return False
    return all(
        (checkpoint / name).is_file()
        and (checkpoint / name).stat().st_size == size
        and sha256_file(checkpoint / name) == digest
        for name, (size, digest) in sealed.items()
    )


def step_of(checkpoint: Path) -> int:
    """Number of updates before a checkpoint: its folder's name ends in it."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def newest_whole(folder: Path) -> Path | None:
    """Newest whole checkpoint whose best one is there and whole too; None if there is none."""
    whole = [path for path in sorted(folder.glob("checkpoint-*"), key=step_of) if is_whole(path)]
    steps = {step_of(path) for path in whole}
    usable = [path for path in whole if read_json(path / STATE)["best_global_step"] in steps]
    return usable[-1] if usable else None


def keep_only(folder: Path, steps: set[int]) -> None:
    """Delete the checkpoints after other numbers of updates."""
    for path in folder.glob("checkpoint-*"):
        if step_of(path) not in steps:
            shutil.rmtree(path, ignore_errors=True)


def find_checkpoint(run: Path, resume: bool) -> Path | None:
    """Checkpoint to go on from; refuse to mix two runs in one folder.

    What was cut off while it was written is recognised and not taken. A run whose teacher was
    begun (`run/aligned`) is unfinished, too.
    """
    if (run / "manifest.json").exists():
        raise UserError(f"{run} holds a finished run; choose another --output_dir or delete it")
    checkpoint = newest_whole(run / "checkpoints")
    if (checkpoint or (run / ALIGNED).exists()) and not resume:
        raise UserError(f"{run} holds an unfinished run; add --resume to go on, or delete it")
    return checkpoint


def drop_unusable(run: Path, checkpoint: Path | None) -> None:
    """Delete checkpoints that are not whole, or newer than the one to go on from."""
    kept = set()
    if checkpoint is not None:
        kept = {step_of(checkpoint), read_json(checkpoint / STATE)["best_global_step"]}
    keep_only(run / "checkpoints", kept)


def check_same_plan(run: Path, plan: dict[str, Any]) -> None:
    """Refuse to go on from a checkpoint that was trained otherwise, or on other photos."""
    path = run / "plan.json"
    recorded = read_json(path) if path.exists() else {}
    wanted = plain(plan)
    if recorded != wanted:
        raise UserError(
            f"{run} holds a checkpoint of a run with other settings, photos or processes"
            f"{_first_difference(recorded, wanted)}; resume it with those of plan.json, or choose "
            "another --output_dir"
        )


def _first_difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    for part in one.get("config", {}):
        for name, value in one["config"][part].items():
            wanted = other["config"].get(part, {}).get(name)
            if wanted != value:
                return f" (--{name} was {value}, is {wanted})"
    one, other = one.get("processes"), other.get("processes")
    return f" ({one} processes then, {other} now)" if one != other else ""


def epochs_without_gain(log_history: list[dict[str, Any]]) -> int:
    """Evaluations since the best one, told from a Trainer's log alone.

    >>> epochs_without_gain([{"eval_selection": v} for v in (0.6, 0.8, 0.7, 0.8)])
    2
    """
    values = [entry[SELECTION] for entry in log_history if SELECTION in entry]
    return len(values) - 1 - values.index(max(values)) if values else 0


def best_auroc(log_history: list[dict[str, Any]]) -> float:
    """Validation AUROC of the epoch that was chosen."""
    entries = [entry for entry in log_history if SELECTION in entry]
    return max(entries, key=lambda entry: entry[SELECTION])["eval_auroc"]


def epochs_if_over(checkpoint: Path | None, *, epochs: int, patience: int) -> int:
    """Epochs to train in all: fewer than `epochs` if the checkpoint's run had stopped early."""
    if checkpoint is None:
        return epochs
    state = read_json(checkpoint / STATE)
    over = epochs_without_gain(state["log_history"]) >= patience
    return round(state["epoch"]) if over else epochs
