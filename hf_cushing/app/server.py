"""How a page of ours is served: nothing is sent elsewhere, and an open port is warned of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from hf_cushing.schema import UserError

LOCAL = ("127.0.0.1", "localhost", "::1")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where gradio keeps files until the server ends; it reports nothing to its makers."""
    with tempfile.TemporaryDirectory(prefix="hf-cushing-") as scratch:
        os.environ |= {"GRADIO_TEMP_DIR": scratch, "GRADIO_ANALYTICS_ENABLED": "False"}
        yield Path(scratch)


def start(
    blocks: gr.Blocks, *, host: str | None, port: int | None, guard: Middleware, **options: Any
) -> None:
    """Start the server and return; nothing is shared, nothing is loaded from elsewhere.

    Without host and port they are as the environment says, as on a Space.

    Raises
    ------
    UserError
        A port that is taken.
    """
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            enable_monitoring=False,
            ssr_mode=False,
            app_kwargs={"middleware": [guard]},
            **options,
        )
    except OSError:
        raise UserError(f"port {port} is taken or not allowed; choose another --port") from None


def tell_if_open(host: str | None, risk: str, tell: Callable[[str], None]) -> None:
    """Warn whoever serves to others than this machine."""
    if host and host not in LOCAL:
        tell(
            f"--host {host}: open to the network; {risk}, so keep to a network you trust, or put "
            "an HTTPS proxy before it"
        )


def serve(
    blocks: gr.Blocks, title: str, *, host: str | None, risk: str, tell: Callable[[str], None]
) -> None:
    """Say where a started page is and what an open port risks; serve it until Ctrl+C."""
    tell(f"{title}: {blocks.local_url} Ctrl+C closes it")
    tell_if_open(host, risk, tell)
    with suppress(KeyboardInterrupt):
        blocks.block_thread()
