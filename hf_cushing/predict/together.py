"""Requests that wait at the same time go through the network as one batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """A function of many items, called by many threads with a few items each.

    One thread at a time works, and takes along what others have been waiting with; so nobody
    waits for a batch to fill. A call's result is the same as alone, but for rounding.

    Parameters
    ----------
    function : callable
        Takes a list of items, gives a list of results in their order.
    most : int
        Items at once.

    Attributes
    ----------
    busy : threading.Lock
        Held while the function runs; hold it to use the same means otherwise.

    Examples
    --------
    >>> Together(lambda items: [2 * item for item in items], most=2)([1, 2, 3])
    [2, 4, 6]
    """

    def __init__(self, function: Callable[[list[Item]], Sequence[Result]], most: int):
        self.function, self.most = function, most
        self.busy = threading.Lock()
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """Results of these items; what the function raises, its callers get."""
        own = [(item, Future()) for item in items]
        self._waiting.extend(own)
        for _, future in own:
            while not future.done():
                with self.busy:
                    if not future.done():
                        self._work()
        return [future.result() for _, future in own]

    def _work(self) -> None:
        """Serve those who have waited longest."""
        count = min(self.most, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(count)]
        try:
            results = self.function([item for item, _ in batch])
        except Exception as error:  # of whatever kind: it belongs to the callers
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
