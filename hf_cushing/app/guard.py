"""What stands before gradio: open routes alone, limits, headers, uploads into the vault."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse, Response

from hf_cushing.app.headers import Receive, Scope, Send, with_headers
from hf_cushing.app.limits import Rate
from hf_cushing.app.routes import FILE, SPACE, UPLOAD, Routes
from hf_cushing.app.vault import Arrival, Vault

MAX_CALL_BYTES = 1_000_000
"""Largest body of a call; photos come by upload, never within a call."""

MAX_UPLOAD_BYTES = 500_000_000
"""Largest body of an upload, all its files together."""


class TooLong(Exception):
    """A body is longer than allowed."""


class Guard:
    """ASGI middleware: open routes alone, short bodies, headers, nothing in caches.

    Parameters
    ----------
    app : callable
        The ASGI app behind it.
    routes : iterable of str
        As `Routes` takes them.
    """

    def __init__(self, app: Callable, routes: Iterable[str]):
        self.app, self.routes = app, Routes(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is refused."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":  # gradio has no websockets
            await send({"type": "websocket.close", "code": 1008})
        else:
            path = path_of(scope)
            await self.serve(path, scope, receive, with_headers(path, send))

    async def serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if (scope["method"], path) not in self.routes:
            await refusal(404, "There is nothing here.")(scope, receive, send)
        elif scope["method"] == "POST":
            await self.post(path, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with a body, which is read first."""
        try:
            body = await whole_body(scope, receive, MAX_CALL_BYTES)
        except TooLong:
            text = "Upload the file instead of sending it here."
            await refusal(413, text)(scope, receive, send)
            return
        await self.call(body, scope, receive, send)

    async def call(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose body was read."""
        first = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> dict[str, Any]:
            return next(first, None) or await receive()

        await self.app(scope, again, send)


class SpaceGuard(Guard):
    """The Space's: uploads go into the vault; calls name uploads alone.

    Parameters
    ----------
    app : callable
    vault : Vault
    rate : Rate
        Of uploads and calls.
    """

    def __init__(self, app: Callable, vault: Vault, rate: Rate):
        super().__init__(app, SPACE)
        self.vault, self.rate = vault, rate

    async def serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; previews come from memory."""
        data = self.vault.peek(path.removeprefix(FILE)) if path.startswith(FILE) else None
        if data is not None:
            await Response(data, media_type=_kind(data))(scope, receive, send)
        elif path.startswith(FILE) and not os.path.isabs(path.removeprefix(FILE)):
            await refusal(404, "There is no such file.")(scope, receive, send)  # an address
        else:
            await super().serve(path, scope, receive, send)

    async def post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an upload or a call, unless there were too many."""
        if not self.rate.allows(client_of(scope)):
            await refusal(429, "Too many requests: wait a minute.")(scope, receive, send)
        elif path == UPLOAD:
            await self._upload(scope, receive, send)
        else:
            await super().post(path, scope, receive, send)

    async def call(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a call name uploads only: gradio would fetch a link, and keep what it gets."""
        if self.vault.owns_files_of(body):
            await super().call(body, scope, receive, send)
        else:
            await refusal(400, "Upload the file itself.")(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the answer back until its files have moved from disk into the vault."""
        messages: list[dict[str, Any]] = []

        async def kept(message: dict[str, Any]) -> None:
            messages.append(message)

        try:
            with self.vault.receiving() as arrival:
                await self.app(scope, self._counted(receive, arrival), kept)
                body = b"".join(m.get("body", b"") for m in messages)
                arrived = messages[0].get("status") == 200
                full = arrival.refused or (arrived and not self.vault.admit(json.loads(body)))
        finally:
            self.vault.sweep()
            asyncio.get_running_loop().call_later(self.vault.seconds + 1, self.vault.sweep)
        if full:
            await refusal(503, "Too busy: try again in a minute.")(scope, receive, send)
            return
        for message in messages:
            await send(message)

    def _counted(self, receive: Receive, arrival: Arrival) -> Receive:
        """Count an upload as it comes; where it ends too soon, gradio deletes what came of it.

        That is what gradio does when its parser of forms raises a `MultiPartException`.
        """

        async def counted() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "http.disconnect" and not arrival.whole:
                raise MultiPartException("The upload was broken off.")
            arrival.bytes += len(message.get("body", b""))
            arrival.whole = not message.get("more_body", False)
            arrival.refused = self.vault.full
            if arrival.refused or arrival.bytes > MAX_UPLOAD_BYTES:
                raise MultiPartException("The maximum allowed size is exceeded; send less.")
            return message

        return counted


async def whole_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The whole body, counted as it comes, whatever its length is said to be.

    Raises
    ------
    TooLong
        It is said to have more than `most` bytes, or has.
    """
    said = dict(scope["headers"]).get(b"content-length", b"0")
    if said.isdigit() and int(said) > most:
        raise TooLong
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise TooLong
    return bytes(body)


def path_of(scope: Scope) -> str:
    """The path as gradio's routes have it: without that of a proxy, if it is still there."""
    root, path = scope.get("root_path", ""), scope["path"]
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def client_of(scope: Scope) -> str:
    """Who asks; on a Space, whose proxy hides that, what the proxy says."""
    if os.environ.get("SPACE_ID"):
        clients = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1")
        if clients:
            return clients.rpartition(",")[2].strip()
    return scope["client"][0] if scope.get("client") else ""


def _kind(data: bytes) -> str:
    """Content type of what a browser may show; anything else is no picture."""
    for start, kind in ((b"\xff\xd8", "jpeg"), (b"\x89PNG", "png"), (b"GIF8", "gif")):
        if data.startswith(start):
            return f"image/{kind}"
    return "image/webp" if data[8:12] == b"WEBP" else "application/octet-stream"


def refusal(status: int, detail: str) -> JSONResponse:
    """An answer that says why there is none."""
    return JSONResponse({"detail": detail}, status)
