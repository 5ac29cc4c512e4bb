"""The ground floor: JSON, files that are replaced as a whole or not at all, locks between processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from equistera.errors import UserError, WriteError
from equistera.words import near

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

#: Seconds that a file may be held open by another program: a virus scanner or a search index, more often than a person.
PATIENCE = 3.0

#: Names that ``mkstemp`` gives to files that are being written, and what they shall become.
_UNFINISHED = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part")
#: Of each folder that this process has written to: what stood there before, by the name that it should have got.
_left: dict[Path, dict[str, list[Path]]] = {}
#: What a lock says that another process holds; anything else will not get better by waiting.
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)


def read_json(path: str | Path, hint: str = "") -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        hint: What to do if it is missing.

    Raises:
        UserError: The file is missing, unreadable or not JSON.
    """
    try:
        # bytes, for UTF-16 (PowerShell's and old editors') is told from UTF-8 then
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}{near(path)}", hint=hint) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def write_json(path: str | Path, content: object, indent: int | None = None) -> None:
    """Writes JSON atomically; NaN and infinities are refused (``ValueError``)."""
    with atomic_write(path) as file:
        json.dump(content, file, indent=indent, allow_nan=False)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text atomically, see :func:`atomic_write`."""
    with atomic_write(path) as file:
        file.write(text)


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file beside ``path`` that takes its place only when the block ends without an error.

    What UTF-8 does not have (a file name in another encoding) is written as ``\\udcfc``.

    Args:
        path: The file to make or replace; its folder is made.
        mode: ``w`` (UTF-8 text) or ``wb``.

    Yields:
        The open file.

    Raises:
        WriteError: The folder cannot be made or written to, the disk is full, or the like.
    """
    path = Path(path)
    try:
        with _placed(path, mode) as file:
            yield file
    except OSError as error:
        raise WriteError(path, error) from error


@contextlib.contextmanager
def _placed(path: Path, mode: str) -> Iterator[IO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent, path.name)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
        with os.fdopen(handle, mode, **text) as file:
            # tells others that it is no leftover, where files can be locked
            with contextlib.suppress(OSError):
                hold_shared(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner can read; give the usual permissions instead
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def replace(written: str | Path, target: str | Path) -> None:
    """As ``os.replace``; where another program holds the target, as Windows lets it, it is tried for a while.

    Raises:
        OSError: It cannot be replaced.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(written, target)
            return
        except PermissionError as error:
            # only Windows refuses for what a moment may change
            if not hasattr(error, "winerror"):
                raise
            if time.monotonic() > end:
                raise PermissionError(errno.EACCES, "another program has it open; close that", str(target)) from error
            time.sleep(0.1)


def link_or_copy(source: Path, target: Path, symbolic: bool = False) -> None:
    """Makes ``target`` a second name of a file; a copy where the disk has no such links.

    Args:
        source: The file.
        target: Must not exist.
        symbolic: Whether a symbolic link will do where there can be no hard one.

    Raises:
        OSError: It cannot be made.
    """
    for make in (os.link, os.symlink) if symbolic else (os.link,):
        # not possible on this disk: the next best way
        with contextlib.suppress(OSError):
            make(source, target)
            return
    shutil.copy2(source, target)


def remove_unfinished(folder: Path, name: str | None = None) -> None:
    """Removes what killed processes left of files that they were writing; what another still writes stays.

    Args:
        folder: Is listed once in a process where ``name`` is given.
        name: What such a file should have become; None: anything.
    """
    folder = folder.absolute()
    if name is None or folder not in _left:
        _left[folder] = {}
        for path in folder.iterdir():
            if (match := _UNFINISHED.fullmatch(path.name)) and path.is_file():
                _left[folder].setdefault(match[1], []).append(path)
    for wanted in [name] if name is not None else [*_left[folder]]:
        for path in _left[folder].pop(wanted, ()):
            # gone meanwhile, or nobody can say that it is not in use
            with contextlib.suppress(OSError):
                if not in_use(path):
                    path.unlink()


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
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise OSError(error.errno, f"files there cannot be locked ({error.strerror})") from error
    return True
