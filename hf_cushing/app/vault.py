"""Uploads in memory: a file is on disk only while it arrives, its bytes are dropped when read.

gradio writes an upload into its temporary folder and keeps it there. The guard takes the file
away before the browser even learns its path, and answers the preview from memory. The path
holds a hash of the content, so two visitors with the same photo share an entry, and a counter.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""How long an upload that nobody reads stays in memory, and a broken one on disk."""

CAPACITY = 1_000_000_000
"""Bytes of uploads that wait at once; above it an upload is refused."""


@dataclass
class Entry:
    """Bytes of an upload, how often it will be read, and until when it may wait."""

    data: bytes
    reads: int
    until: float


@dataclass(eq=False)
class Arrival:
    """An upload on its way: since when, how much of it came, and how it ended."""

    began: float = field(default_factory=time.time)
    bytes: int = 0
    whole: bool = False
    refused: bool = False


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
        self.arriving: list[Arrival] = []

    @contextmanager
    def receiving(self) -> Iterator[Arrival]:
        """While an upload arrives, however slowly, no file that came since is swept."""
        arrival = Arrival()
        self.arriving.append(arrival)
        try:
            yield arrival
        finally:
            self.arriving.remove(arrival)

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

    @property
    def full(self) -> bool:
        """Whether what waits and what is on its way are more than fit."""
        return self.held + sum(one.bytes for one in self.arriving) > CAPACITY

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
        oldest = min([time.time() - self.seconds, *(one.began - 1 for one in self.arriving)])
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


def _paths(value: Any) -> Iterator[Any]:
    """What is called ``path`` anywhere in a call: gradio's way to name a file."""
    if isinstance(value, dict):
        yield from (item for name, item in value.items() if name == "path" and item is not None)
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths(item)
