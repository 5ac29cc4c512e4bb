"""Locks between processes that the system gives back when their holder dies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock at ``path`` while the block runs; waits for it if need be.

    Args:
        path: A file for nothing but this lock; made if it is missing.
        waiting: Called once if another process holds it.
    """
    with path.open("a+b") as file:
        if not _take(file):
            waiting()
            while not _take(file):
                time.sleep(0.1)
        yield


def hold_shared(file: IO) -> None:
    """Marks an open file as in use until it is closed; on Windows that it is open says so by itself."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)


def in_use(path: Path) -> bool:
    """Whether some process holds ``path`` as :func:`hold_shared` does."""
    if fcntl is None:
        return False
    with path.open("rb") as file:
        return not _take(file)


def _take(file: IO) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
