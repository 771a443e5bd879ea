"""Run the cells of a study, one after the other; what is done is not done again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from filelock import FileLock, Timeout

from hf_cushing.compare.grid import Arm, Cell
from hf_cushing.files import write_json
from hf_cushing.reports.screen import Section
from hf_cushing.reports.table import Table
from hf_cushing.schema import UsageError

Say = Callable[[str], None]
"""Shows a line to the user."""


@dataclass(frozen=True)
class StudyOutcome:
    """What became of the cells of a study.

    Attributes
    ----------
    done : list of Cell
    missing : list of Cell
        Of another shard, and not there yet.
    failed, left_out : dict
        Name of a cell to what went wrong; of an arm to why it can't be trained.
    tables : list of Table
        Empty while cells are missing.
    verdicts : list of str
        What the study found, in sentences.
    screen : list of Section
        What to read first.
    """

    done: list[Cell]
    missing: list[Cell]
    failed: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    screen: list[Section] = field(default_factory=list)


def run_cells(
    cells: Sequence[Cell], out: Path, *, shard: tuple[int, int] = (0, 1), say: Say
) -> StudyOutcome:
    """Train what is not there, and account for every cell.

    A cell that fails leaves ``failed/NAME.json``, is tried again by the next call, and does not
    stop the others. All processes of a launch call this together.

    Parameters
    ----------
    cells : sequence of Cell
    out : Path
        The study's folder.
    shard : tuple of int
        This machine's number, from 0, and how many machines share the cells.
    say : callable
    """
    todo = [cell for cell in cells_of_shard(cells, shard) if not cell.done]
    spent = [(cell.arm, cell.run.manifest["run"]["seconds"]) for cell in cells if cell.done]
    failed: dict[str, str] = {}
    if spent:
        say(f"{len(spent)} of {len(cells)} cells are finished already and stay as they are")
    for number, cell in enumerate(todo):
        title = f"[{number + 1}/{len(todo)}] {cell.name}"
        say(f"{title} … ({_time_left(todo[number:], spent)})")
        started = time.perf_counter()
        try:
            fault = _train(cell, out)
        except KeyboardInterrupt:
            say(f"stopped: run it again to go on; what is done is in {out}")
            raise
        seconds = time.perf_counter() - started
        spent.append((cell.arm, seconds))
        if fault:
            failed[cell.name] = fault
        say(f"{title}: {f'failed: {fault}' if fault else result_line(cell)} ({seconds:.0f} s)")
    done = [cell for cell in cells if cell.done]
    missing = [cell for cell in cells if not cell.done and cell.name not in failed]
    return StudyOutcome(done, missing, failed)


def result_line(cell: Cell) -> str:
    """AUROC of the cell's test photos, in words."""
    report = cell.run.report
    areas = {label: report.find(label, "all").values["auroc"].estimate for label in report.labels}
    known = [f"{label} AUROC {area:.3f}" for label, area in areas.items() if area == area]
    return ", ".join(known) or "done"


def is_first_process() -> bool:
    """Of a launch by accelerate or torchrun, or alone."""
    return os.environ.get("RANK", "0") == "0"


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``0/4``: the first of four."""
    try:
        number, count = (int(part) for part in text.split("/"))
    except ValueError:
        number, count = -1, 0
    if not 0 <= number < count:
        raise UsageError(f"--shard {text}: give as i/n, with i from 0 to n - 1, as in 0/4")
    return number, count


def cells_of_shard(cells: Sequence[Cell], shard: tuple[int, int]) -> list[Cell]:
    """Every n-th arm: its folds share a feature pass, so they stay on one machine."""
    number, count = shard
    arms = list(dict.fromkeys(cell.arm for cell in cells))[number::count]
    return [cell for cell in cells if cell.arm in arms]


def _time_left(cells: Sequence[Cell], spent: Sequence[tuple[Arm, float]]) -> str:
    """In words, from what cells of the same arm, or else the same method, or any took."""
    if not spent:
        return f"{len(cells)} to go"
    total = 0.0
    for cell in cells:
        same_arm = [seconds for arm, seconds in spent if arm == cell.arm]
        alike = [seconds for arm, seconds in spent if arm.finetune == cell.arm.finetune]
        total += mean(same_arm or alike or [seconds for _, seconds in spent])
    return f"about {total / 60:.0f} min left" if total > 90 else f"about {total:.0f} s left"


def lock_of(cell: Cell) -> FileLock:
    """Of the file beside the cell's folder that the process training it holds."""
    cell.folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(cell.folder.with_name(f".{cell.folder.name}.lock"))


def _train(cell: Cell, out: Path) -> str:
    """Train one cell; what went wrong, or nothing.

    Two studies started in one folder never train one cell at once.
    """
    from hf_cushing.training.fine_tune import fine_tune

    record = out / "failed" / f"{cell.folder.name}.json"
    try:
        with lock_of(cell).acquire(blocking=False) if is_first_process() else nullcontext():
            fine_tune(cell.config)
    except Exception as error:  # one cell's fault, whatever it is, must not end the study
        fault = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, Timeout):
            fault = "another process trains this cell; wait for it, or use --shard"
        if is_first_process():
            write_json(record, {"cell": cell.name, "kind": type(error).__name__, "error": fault})
        return fault
    record.unlink(missing_ok=True)
    return ""
