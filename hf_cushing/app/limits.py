"""How often somebody may ask or try within a minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable

WINDOW = 60.0
"""Seconds."""

MOST_KEPT = 10_000
"""Names that are remembered at once, as a rule."""


class Count:
    """Counts by name what happened within the last minute."""

    def __init__(self) -> None:
        self.times: dict[Hashable, deque[float]] = {}

    def of(self, name: Hashable) -> int:
        """How often within the minute."""
        times = self.times.get(name, deque())
        while times and times[0] <= time.monotonic() - WINDOW:
            times.popleft()
        return len(times)

    def add(self, name: Hashable) -> None:
        """It happened."""
        if len(self.times) > MOST_KEPT:
            self.times = {name: times for name, times in self.times.items() if self.of(name)}
        self.times.setdefault(name, deque()).append(time.monotonic())

    def undo(self, name: Hashable) -> None:
        """It did not happen, the last time."""
        if self.of(name):
            self.times[name].pop()

    def wait(self, name: Hashable) -> int:
        """Seconds until one less is counted."""
        times = self.times.get(name)
        return max(1, round(times[0] + WINDOW - time.monotonic())) if times else 1


class Rate:
    """Allows so many requests a minute to each client.

    Parameters
    ----------
    per_minute : int
    """

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self.seen = Count()

    def allows(self, client: str) -> bool:
        """Count a request, unless it is one too many."""
        if self.seen.of(client) >= self.per_minute:
            return False
        self.seen.add(client)
        return True


class Tries:
    """Limits failed logins: codes can't be guessed, and nobody locks another out.

    Whoever did not fail as this reader from this client within the last minute has a try,
    whatever others do. Further tries must wait where this client has failed too often as this
    reader, or all clients together have, as this reader or as anybody.

    Parameters
    ----------
    own, reader, everybody : int
        Failures within a minute: of one client as one reader; of all clients as one reader; of
        all clients as all readers.
    """

    def __init__(self, own: int = 5, reader: int = 10, everybody: int = 50):
        self.most = own, reader, everybody
        self.failed = Count()

    def wait(self, client: str, reader: str) -> int:
        """Seconds to wait; 0 where there is a try, which counts as failed until `succeed`."""
        names = _names(client, reader)
        failed = [self.failed.of(name) for name in names]
        if failed[0] and any(n >= most for n, most in zip(failed, self.most, strict=True)):
            return self.failed.wait(names[0])
        for name in names:
            self.failed.add(name)
        return 0

    def succeed(self, client: str, reader: str) -> None:
        """The last try did not fail."""
        for name in _names(client, reader):
            self.failed.undo(name)


def _names(client: str, reader: str) -> tuple[Hashable, Hashable, Hashable]:
    return (client, reader), (reader,), ()
