"""What every page of ours tells the browser."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from huggingface_hub import constants

from hf_cushing.app.routes import FIXED

POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors"
"""The browser itself refuses to load anything from, or send anything to, another place."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def headers_for(path: str) -> dict[str, str]:
    """Headers of an answer: nobody may frame it but the Hub a Space, and no cache keeps a page."""
    frame = constants.ENDPOINT if os.environ.get("SPACE_ID") else "'none'"
    headers = {
        "content-security-policy": f"{POLICY} {frame}",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return headers if path.startswith(FIXED) else headers | {"cache-control": "no-store"}


def with_headers(path: str, send: Send) -> Send:
    """`send` that puts `headers_for` into the answer, instead of those of the same name."""
    new = [(name.encode(), value.encode()) for name, value in headers_for(path).items()]
    names = {name for name, _ in new}

    async def marked(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() not in names]
            message = message | {"headers": kept + new}
        await send(message)

    return marked
