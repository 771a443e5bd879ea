"""The command that serves a run as a web page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.command import command
from hf_cushing.cli.common import (
    Host,
    Port,
    Revision,
    RootPath,
    RunName,
    needs_gradio,
    open_runs,
    say,
)
from hf_cushing.schema import RESEARCH_NOTICE


@command(name="app")
def serve(
    run: RunName,
    revision: Revision = None,
    port: Port = 7860,
    host: Host = "127.0.0.1",
    root_path: RootPath = "",
    explain: Annotated[
        Path | None, typer.Option(help="Folder of `explain`: its best heatmap is shown.")
    ] = None,
    followup: Annotated[
        Path | None, typer.Option(help="Folder of `followup`: how repeatable the score is.")
    ] = None,
    per_minute: Annotated[
        int, typer.Option(min=1, help="Uploads and calls a minute for each client.")
    ] = 120,
) -> None:
    """Serve the Space for a run until Ctrl+C; photos stay in memory. Research use only."""
    with needs_gradio("the page"):
        from hf_cushing.app.app import serve_app

    say(RESEARCH_NOTICE)
    serve_app(
        *open_runs([run], revision), host=host, port=port, root_path=root_path, tell=say,
        explanation=explain, followup=followup, per_minute=per_minute,
    )  # fmt: skip
