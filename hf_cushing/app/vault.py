"""Uploads in memory: a file is on disk only while it arrives, its bytes are dropped when read.

gradio writes an upload into its temporary folder and keeps it there. The middleware takes the
file away before the browser even learns its path, and answers the preview from memory. The path
holds a hash of the content, so two visitors with the same photo share an entry, and a counter.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from hf_cushing.app.headers import Receive, Scope, Send, with_headers

SECONDS = 60.0
"""How long an upload that nobody reads stays in memory, and a broken one on disk."""

CAPACITY = 1_000_000_000
"""Bytes of uploads that wait at once; above it an upload is refused."""

MAX_CALL_BYTES = 1_000_000
"""Largest body of a call; photos come by upload, never within a call."""

UPLOAD, FILE = "/gradio_api/upload", "/gradio_api/file="
CALLS = ("/gradio_api/queue/join", "/gradio_api/call/", "/gradio_api/run/", "/gradio_api/api/")


@dataclass
class Entry:
    """Bytes of an upload, how often it will be read, and until when it may wait."""

    data: bytes
    reads: int
    until: float


class Vault:
    """Bytes of uploads by the path that gradio gave them.

    Parameters
    ----------
    folder : Path
        gradio's temporary folder.
    seconds : float
        How long an upload may wait to be read.
    """

    def __init__(self, folder: Path, seconds: float = SECONDS):
        self.folder = Path(folder)
        self.seconds = seconds
        self.entries: dict[str, Entry] = {}
        self.lock = threading.RLock()  # workers take what the server admits
        self.arriving: list[float] = []

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """While an upload arrives, however slowly, no file that came since is swept."""
        began = time.time()
        self.arriving.append(began)
        try:
            yield
        finally:
            self.arriving.remove(began)

    def admit(self, paths: Iterable[str]) -> bool:
        """Take files from disk; False, and none is kept, where too many are waiting."""
        until = time.monotonic() + self.seconds
        for path in paths:
            data = self._remove(Path(path))
            with self.lock:
                known = self.entries.get(path)
                if known:
                    known.reads, known.until = known.reads + 1, until
                elif data is not None:
                    self.entries[path] = Entry(data, 1, until)
        if self.held > CAPACITY:
            for path in paths:
                self.take(path)
            return False
        return True

    @property
    def held(self) -> int:
        """Bytes in memory."""
        with self.lock:
            return sum(len(entry.data) for entry in list(self.entries.values()))

    def peek(self, path: str) -> bytes | None:
        """The bytes of an upload that is still to be read."""
        entry = self.entries.get(path)
        return entry.data if entry else None

    def take(self, path: str) -> bytes | None:
        """The bytes of an upload, this once; None where it has been read or has waited too long."""
        with self.lock:
            entry = self.entries.get(path)
            if entry is None:
                return None
            entry.reads -= 1
            if entry.reads <= 0:
                del self.entries[path]
            return entry.data

    def owns_files_of(self, body: bytes) -> bool:
        """Whether all files that a call names (JSON) lie in the folder of uploads."""
        try:
            return all(map(self._owns, _paths(json.loads(body))))
        except (ValueError, RecursionError):
            return False

    def _owns(self, path: Any) -> bool:
        inside = isinstance(path, str) and "://" not in path and "\0" not in path
        return inside and Path(path).resolve().is_relative_to(self.folder.resolve())

    def sweep(self) -> None:
        """Forget what has waited too long, in memory and on disk."""
        now = time.monotonic()
        with self.lock:
            for path in [p for p, entry in self.entries.items() if entry.until <= now]:
                del self.entries[path]
        # A file system's clock may run some milliseconds behind: hence a second less.
        oldest = min([time.time() - self.seconds, *(began - 1 for began in self.arriving)])
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(FileNotFoundError):  # gradio moves what has arrived
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _remove(self, path: Path) -> bytes | None:
        """Read and delete a file, and its folder; nothing outside the folder of uploads."""
        if not path.resolve().is_relative_to(self.folder.resolve()) or not path.is_file():
            return None
        data = path.read_bytes()
        path.unlink()
        if path.parent != self.folder and not any(path.parent.iterdir()):
            path.parent.rmdir()
        return data


class Rate:
    """Allows so many requests a minute to each client.

    Parameters
    ----------
    per_minute : int
    """

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self.seen: dict[str, deque[float]] = {}

    def allows(self, client: str) -> bool:
        """Count a request, unless it is one too many."""
        now = time.monotonic()
        if len(self.seen) > 10_000:
            self.seen = {k: times for k, times in self.seen.items() if times[-1] > now - 60}
        times = self.seen.setdefault(client, deque())
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self.per_minute:
            return False
        times.append(now)
        return True


class Guard:
    """ASGI middleware: uploads into the vault, limits, headers, nothing in caches."""

    def __init__(self, app: Callable, vault: Vault, rate: Rate):
        self.app, self.vault, self.rate = app, vault, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is refused or answered from memory."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, send = scope["path"], with_headers(scope["path"], send)
        posted = scope["method"] == "POST" and path.startswith((UPLOAD, *CALLS))
        if posted and not self.rate.allows(client_of(scope)):
            await _refusal(429, "Too many requests: wait a minute.")(scope, receive, send)
        elif posted and path != UPLOAD and _length(scope) > MAX_CALL_BYTES:
            text = "Upload the file instead of sending it here."
            await _refusal(413, text)(scope, receive, send)
        elif path.startswith(FILE):
            await self._preview(unquote(path.removeprefix(FILE)), scope, receive, send)
        elif path == UPLOAD and posted:
            await self._upload(scope, receive, send)
        elif posted:
            await self._call(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _preview(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        data = self.vault.peek(path)
        if data is None:
            await self.app(scope, receive, send)
        else:
            await Response(data, media_type=_kind(data))(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a call name uploads only: gradio would fetch a link, and keep what it gets."""
        body = await _body(receive)
        if not self.vault.owns_files_of(body):
            await _refusal(400, "Upload the file itself.")(scope, receive, send)
            return
        first = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> dict[str, Any]:
            return next(first, None) or await receive()

        await self.app(scope, again, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the answer back until its files have moved from disk into the vault."""
        messages: list[dict[str, Any]] = []

        async def kept(message: dict[str, Any]) -> None:
            messages.append(message)

        try:
            with self.vault.receiving():
                await self.app(scope, receive, kept)
                body = b"".join(m.get("body", b"") for m in messages)
                arrived = messages[0].get("status") == 200
                refused = arrived and not self.vault.admit(json.loads(body))
        finally:
            self.vault.sweep()
            asyncio.get_running_loop().call_later(self.vault.seconds + 1, self.vault.sweep)
        if refused:
            await _refusal(503, "Too busy: try again in a minute.")(scope, receive, send)
            return
        for message in messages:
            await send(message)


def _paths(value: Any) -> Iterator[Any]:
    """What is called ``path`` anywhere in a call: gradio's way to name a file."""
    if isinstance(value, dict):
        yield from (item for name, item in value.items() if name == "path" and item is not None)
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths(item)


async def _body(receive: Receive) -> bytes:
    """The whole body, whose length was checked; a client that leaves gives what came."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def client_of(scope: Scope) -> str:
    """Who asks; on a Space, whose proxy hides that, what the proxy says."""
    if os.environ.get("SPACE_ID"):
        clients = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1")
        if clients:
            return clients.rpartition(",")[2].strip()
    return scope["client"][0] if scope.get("client") else ""


def _length(scope: Scope) -> int:
    """Length of the body as announced; without one, too long."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else MAX_CALL_BYTES + 1


def _kind(data: bytes) -> str:
    """Content type of what a browser may show; anything else is no picture."""
    for start, kind in ((b"\xff\xd8", "jpeg"), (b"\x89PNG", "png"), (b"GIF8", "gif")):
        if data.startswith(start):
            return f"image/{kind}"
    return "image/webp" if data[8:12] == b"WEBP" else "application/octet-stream"


def _refusal(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
