"""How a page of ours is served: nothing is sent elsewhere, and an open port is warned of."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
from filelock import FileLock, Timeout
from starlette.middleware import Middleware

from hf_cushing.schema import UsageError, UserError

LOCAL = ("127.0.0.1", "localhost", "::1")

PREFIX, LOCK, UPLOADS = "hf-cushing-page-", "lock", "uploads"
"""Start of a temporary folder's name, and what is in it; the lock is held by who made it."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where gradio keeps files until the server ends; it reports nothing to its makers.

    The end may be SIGTERM, too. What a process left that was killed is deleted here.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with FileLock(folder / LOCK), _stopped_by_sigterm():
        (folder / UPLOADS).mkdir()
        before = dict(os.environ)
        os.environ["GRADIO_TEMP_DIR"] = str(folder / UPLOADS)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        try:
            yield folder / UPLOADS
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
                os.environ.pop(name)
                os.environ |= {name: before[name]} if name in before else {}


def _sweep(place: Path) -> None:
    """Delete folders of ours whose makers no longer live, and so hold no lock."""
    for uploads in place.glob(f"{PREFIX}*/{UPLOADS}"):
        folder = uploads.parent
        with suppress(OSError, Timeout):  # another user's; one that lives
            if (folder / LOCK).is_file() and not folder.is_symlink():
                with FileLock(folder / LOCK, blocking=False):
                    shutil.rmtree(folder)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end what is served as Ctrl+C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def theme() -> gr.themes.Base:
    """gradio's own look with the contrast that WCAG AA asks for."""
    return gr.themes.Default().set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_700",
        block_label_text_color="*neutral_700",
    )


def start(
    blocks: gr.Blocks,
    *,
    host: str | None,
    port: int | None,
    root_path: str = "",
    guard: Middleware,
    **options: Any,
) -> None:
    """Start the server and return; nothing is shared, nothing is loaded from elsewhere.

    Without host and port they are as the environment says, as on a Space.

    Raises
    ------
    UserError
        A port that is taken.
    UsageError
        A `root_path` that doesn't begin with a slash or ends with one.
    """
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise UsageError(f"--root-path {root_path}: write it as /cushing")
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            root_path=root_path or None,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            enable_monitoring=False,
            mcp_server=False,
            run_history=False,  # it would keep faces in the browser
            ssr_mode=False,
            theme=theme(),
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
    """Say where a started page is and what an open port risks; serve it until Ctrl+C or SIGTERM."""
    tell(f"{title}: {blocks.local_url} Ctrl+C closes it")
    tell_if_open(host, risk, tell)
    with suppress(KeyboardInterrupt):
        blocks.block_thread()
