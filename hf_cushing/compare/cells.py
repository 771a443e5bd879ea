"""Run the cells of a study, one after the other; what is done is not done again."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hf_cushing.compare.plan import Cell
from hf_cushing.files import read_json, write_json
from hf_cushing.schema import UsageError, UserError

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of the cells.

    Attributes
    ----------
    done : list of Cell
    missing : list of Cell
        Of another shard, and not there yet.
    failed : dict
        Name of a cell to what went wrong.
    """

    done: list[Cell]
    missing: list[Cell]
    failed: dict[str, str]


def run_cells(
    cells: Sequence[Cell], out: Path, *, shard: tuple[int, int] = (0, 1), tell: Tell
) -> Outcome:
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
    tell : callable
        Takes a line for the user.
    """
    own = set(_own(cells, shard))
    todo = [cell for cell in cells if cell in own and not is_done(cell)]
    clock = Clock(cells, todo)
    failed: dict[str, str] = {}
    for number, cell in enumerate(todo, 1):
        tell(f"[{number}/{len(todo)}] {cell.name} … ({clock.left(todo[number - 1 :])})")
        started = time.perf_counter()
        fault = _run(cell, out)
        seconds = time.perf_counter() - started
        clock.note(cell, seconds)
        if fault:
            failed[cell.name] = fault
        told = f"failed: {fault}" if fault else result_line(cell)
        tell(f"[{number}/{len(todo)}] {cell.name}: {told} ({seconds:.0f} s)")
    done = [cell for cell in cells if is_done(cell)]
    missing = [cell for cell in cells if not is_done(cell) and cell.name not in failed]
    return Outcome(done, missing, failed)


def is_done(cell: Cell) -> bool:
    """The run folder is complete: its manifest is written last."""
    return (cell.folder / "manifest.json").exists()


def result_line(cell: Cell) -> str:
    """AUROC of the cell's test photos, in words."""
    rows = read_json(cell.folder / "metrics.json")["subgroups"]
    shown = [
        f"{row['label']} AUROC {row['values']['auroc']['estimate']:.3f}"
        for row in rows
        if row["subgroup"] == "all" and row["unit"] == "photo"
        and row["values"]["auroc"]["estimate"] is not None
    ]  # fmt: skip
    return ", ".join(shown) or "done"


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


class Clock:
    """Guesses how long the rest takes, from what cells of the same kind took."""

    def __init__(self, cells: Sequence[Cell], todo: Sequence[Cell]):
        self.spent: dict[Any, list[float]] = defaultdict(list)
        waiting = set(todo)
        for cell in cells:
            if cell not in waiting and is_done(cell):
                self.note(cell, read_json(cell.folder / "manifest.json")["run"]["seconds"])

    def note(self, cell: Cell, seconds: float) -> None:
        """Remember what a cell took."""
        for kind in (cell.arm, cell.arm.finetune, "any"):
            self.spent[kind].append(seconds)

    def left(self, cells: Sequence[Cell]) -> str:
        """In words, for these cells."""
        if not self.spent:
            return f"{len(cells)} to go"
        total = 0.0
        for cell in cells:
            kinds = (cell.arm, cell.arm.finetune, "any")
            known = next(self.spent[kind] for kind in kinds if self.spent[kind])
            total += sum(known) / len(known)
        return f"about {total / 60:.0f} min left" if total > 90 else f"about {total:.0f} s left"


def _own(cells: Sequence[Cell], shard: tuple[int, int]) -> list[Cell]:
    """Every n-th arm: its folds share a feature pass, so they stay on one machine."""
    number, count = shard
    arms = {arm: place for place, arm in enumerate(dict.fromkeys(cell.arm for cell in cells))}
    return [cell for cell in cells if arms[cell.arm] % count == number]


def lock_of(cell: Cell) -> FileLock:
    """Of the file beside the cell's folder that the process training it holds."""
    cell.folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(cell.folder.with_name(f".{cell.folder.name}.lock"))


@contextmanager
def _alone(cell: Cell) -> Iterator[None]:
    """Two studies started in one folder must not train one cell at once."""
    if not is_first_process():
        yield
        return
    lock = lock_of(cell)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError("another process trains this cell; wait for it, or use --shard") from None
    try:
        yield
    finally:
        lock.release()


def _run(cell: Cell, out: Path) -> str:
    """Train one cell; what went wrong, or nothing."""
    from hf_cushing.training.fine_tune import fine_tune

    record = out / "failed" / f"{cell.folder.name}.json"
    try:
        with _alone(cell):
            fine_tune(cell.config)
    except Exception as error:  # one cell's fault, whatever it is, must not end the study
        fault = (str(error).splitlines() or [type(error).__name__])[0]
        if is_first_process():
            write_json(record, {"cell": cell.name, "kind": type(error).__name__, "error": fault})
        return fault
    record.unlink(missing_ok=True)
    return ""
