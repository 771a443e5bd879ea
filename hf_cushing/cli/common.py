"""What commands share: frequent options, exit codes, progress bars and output."""

from __future__ import annotations

import atexit
import gc
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_cushing.cli.command import app
from hf_cushing.data.options import Progress
from hf_cushing.schema import UsageError, UserError

if TYPE_CHECKING:
    from hf_cushing.run import Run

RunName = Annotated[str, typer.Argument(help="Run folder or Hub id.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")]
Dataset = Annotated[str, typer.Option(help="Prepared dataset: folder or Hub id.")]
ReportFolder = Annotated[Path, typer.Option(help="Report folder to make.")]
Thumbnails = Annotated[bool, typer.Option(help="Show persons in the report.")]
Cpu = Annotated[bool, typer.Option(help="Do not use an accelerator.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Port = Annotated[int, typer.Option(help="Port.")]
Host = Annotated[
    str, typer.Option(help="127.0.0.1 for this machine alone; 0.0.0.0 for its network.")
]
RootPath = Annotated[
    str, typer.Option(help="Path under which a proxy offers the page, as /cushing.")
]


def main() -> None:
    """Run the command; exit codes 0 done, 1 data or environment at fault, 2 wrong usage."""
    start_and_end_sooner()
    try:
        app()
    except UserError as error:
        say(f"hf-cushing: {error}")
        sys.exit(2 if isinstance(error, UsageError) else 1)


def start_and_end_sooner() -> None:
    """Spare this process over a second of garbage collection, of the five that `predict` takes.

    Of the million objects that importing torch and transformers makes, none is garbage: they are
    searched less often, and not once more when the process ends.
    """
    gc.set_threshold(10_000, 20, 10)
    atexit.register(gc.freeze)


def open_runs(names: Sequence[str], revision: str | None = None) -> list[Run]:
    """The runs of that name; importing torch takes seconds, so it is done here."""
    from hf_cushing.run import Run

    return [Run(name, revision) for name in names]


@contextmanager
def progress_bars(kept: Path | None = None) -> Iterator[Progress]:
    """Progress bars on stderr; the result goes to stdout.

    Parameters
    ----------
    kept : Path, optional
        Where the work goes on when it is stopped and called again: said on Ctrl+C.
    """
    from rich import progress
    from rich.console import Console

    bars = progress.Progress(
        "{task.description}", progress.BarColumn(), progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(), console=Console(stderr=True),
    )  # fmt: skip

    def start(title: str, total: int) -> Callable[[int], None]:
        bars.start()
        task = bars.add_task(title, total=total)
        return lambda count: bars.advance(task, count)

    try:
        yield start
    except KeyboardInterrupt:
        if kept:
            say(f"stopped: run it again to go on; what is done is in {kept}")
        raise
    finally:
        if bars.tasks:
            bars.stop()


@contextmanager
def needs_gradio(what: str) -> Iterator[None]:
    """Say which extra is missing where a page can't be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError(f'{what} needs gradio: pip install "hf-cushing[app]"') from None


def say(text: str) -> None:
    print(text, file=sys.stderr)


def show(value: Any, text: str, *, as_json: bool, page: Path | None = None) -> None:
    """Say where the report's page is, then print the result, as JSON or as text."""
    if page:
        say(f"report: {page}")
    print_json(value) if as_json else print(text)


def print_json(value: Any) -> None:
    from hf_cushing.files import plain

    print(json.dumps(plain(value), indent=2, ensure_ascii=False))
