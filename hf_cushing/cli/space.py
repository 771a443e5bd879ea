"""The command that serves a run as a web page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_cushing.cli.common import app, say
from hf_cushing.schema import RESEARCH_NOTICE, UserError


@app.command(name="app")
def serve(
    run: Annotated[str, typer.Argument(help="Run folder or Hub id.")],
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="127.0.0.1 for this machine alone; 0.0.0.0 for its network.")
    ] = "127.0.0.1",
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
    from hf_cushing.training.environment import quiet_libraries

    quiet_libraries()
    try:
        from hf_cushing.app.app import serve_app
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError('the page needs gradio: pip install "hf-cushing[app]"') from None
    say(RESEARCH_NOTICE)
    serve_app(
        run,
        host=host,
        port=port,
        tell=say,
        explanation=explain,
        followup=followup,
        per_minute=per_minute,
    )
