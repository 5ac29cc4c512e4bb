"""Progress of long work: a bar with rate and ETA on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from equistera.words import counted

T = TypeVar("T")

#: Seconds between two plain lines where there is no terminal.
PLAIN_INTERVAL = 15.0


def track(iterable: Iterable[T], description: str, total: int | None = None, unit: str = "pictures") -> Iterator[T]:
    """Yields the items of ``iterable`` and shows on stderr how far it is.

    Args:
        iterable: What to go through.
        description: What is being done, such as ``"rendering train"``.
        total: Number of items, where ``len`` cannot tell.
        unit: What an item is, plural.

    Yields:
        The items, unchanged.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, desc=description, total=total, unit=f" {unit}", dynamic_ncols=True, leave=True)
    else:
        yield from _plain(iterable, description, total, unit)


def _plain(iterable: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
    start = last = time.monotonic()
    done = 0
    for item in iterable:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= PLAIN_INTERVAL and done != total:
            last = now
            rate = done / (now - start)
            left = f", {duration((total - done) / rate)} left" if total else ""
            print(f"{description}: {done}{f'/{total}' if total else ''} {unit}, {rate:.1f}/s{left}", file=sys.stderr)
    print(f"{description}: {counted(done, unit)} in {duration(time.monotonic() - start)}", file=sys.stderr)


def duration(seconds: float) -> str:
    """``"48 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
