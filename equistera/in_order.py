"""Work in threads whose results come in the order of the items, with a bound on how far it runs ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from equistera.environment import usable_cores

T = TypeVar("T")
R = TypeVar("R")


def default_threads() -> int:
    """Threads for decoding and encoding pictures: more than 4 outrun any model on one machine."""
    return max(1, min(4, usable_cores()))


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int) -> Iterator[R]:
    """``map`` in threads; decoders and encoders release the interpreter, so they overlap with the model.

    Args:
        function: Called for every item in some thread; with one thread strictly one after the other.
        items: Taken from the caller's thread, as needed.
        threads: How many.
        ahead: Items that may be under way or waiting to be taken: what bounds the memory.

    Yields:
        Results in order. An exception of ``function`` is raised where its result would be.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
