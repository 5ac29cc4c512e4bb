"""Locks between processes that the system gives back when their holder dies."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

#: What a lock says that another process holds; anything else will not get better by waiting.
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock at ``path`` while the block runs; waits for it if need be.

    Args:
        path: A file for nothing but this lock; made if it is missing.
        waiting: Called once if another process holds it.

    Raises:
        OSError: The file cannot be made, or the file system has no locks (Lustre and NFS may be without).
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
    """Whether some process holds ``path`` as :func:`hold_shared` does; what one may not write to counts as held."""
    if fcntl is None:
        return False
    try:
        # not only to read: NFS locks no other files exclusively
        file = path.open("r+b")
    except PermissionError:
        return True
    with file:
        return not _take(file)


def _take(file: IO) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise OSError(error.errno, f"files there cannot be locked ({error.strerror})") from error
    return True
