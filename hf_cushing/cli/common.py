"""What all commands share: the app, the exit codes, progress bars and output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

app = typer.Typer(
    help=f"Fine-tune and evaluate models on face photographs. {RESEARCH_NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def main() -> None:
    """Run the command; exit codes 0 done, 1 data or environment at fault, 2 wrong usage."""
    try:
        app()
    except UserError as error:
        say(f"hf-cushing: {error}")
        sys.exit(2 if isinstance(error, UsageError) else 1)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Progress bars on stderr; the result goes to stdout."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True))

    def start(title: str, total: int) -> Callable[[int], None]:
        bars.start()
        task = bars.add_task(title, total=total)
        return lambda count: bars.advance(task, count)

    try:
        yield start
    finally:
        if bars.tasks:
            bars.stop()


def say(text: str) -> None:
    print(text, file=sys.stderr)


def print_json(value: Any) -> None:
    from hf_cushing.files import plain

    print(json.dumps(plain(value), indent=2, ensure_ascii=False))
