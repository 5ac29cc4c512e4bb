"""The folder of a run: one run at a time writes there, and a run that begins has one of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from equistera.errors import UserError
from equistera.monitor.plan import RUN_FILE
from equistera.training.checkpoints import written_by_runs

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

#: The file that a run holds locked; what is in it says who, for people.
LOCK_FILE = ".running"
#: Windows lets nobody read bytes that are locked, so the locked one lies behind all that are written.
_LOCKED_BYTE = 1 << 20


def fresh(wanted: Path) -> Path:
    """The folder of a run that begins: as wanted, or beside it where a run lies there already: NAME-2, NAME-3, ..."""
    return next(folder for folder in _series(wanted) if not holds_run(folder))


def newest(wanted: Path) -> Path:
    """The folder of the last run that began with this one wanted, see :func:`fresh`; itself where there is none."""
    return [wanted, *itertools.takewhile(holds_run, _series(wanted))][-1]


def _series(wanted: Path) -> Iterator[Path]:
    return itertools.chain([wanted], (wanted.with_name(f"{wanted.name}-{n}") for n in itertools.count(2)))


def holds_run(folder: Path) -> bool:
    """Whether a folder has a run's ``run.json``, or a checkpoint with a name that a run would write."""
    return folder.is_dir() and any(e.name == RUN_FILE or written_by_runs(e.name) for e in folder.iterdir())


def nearest_folder(work_dir: Path) -> Path:
    """The folder on the disk of the work dir that is there already: itself, or the nearest above it."""
    return next(folder for folder in (work_dir, *work_dir.parents) if folder.is_dir())


@contextlib.contextmanager
def held(work_dir: Path) -> Iterator[None]:
    """Keeps other runs out of a work dir while the block runs; the system lets go when the process dies.

    A file system without locks keeps nobody out: a warning says so. Of several processes of one run, one holds it.

    Args:
        work_dir: Must exist.

    Raises:
        UserError: Another run is going on there, or its file cannot be written.
    """
    try:
        file = (work_dir / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise _cannot_write(work_dir, error) from error
    with file:
        if not _taken(file, work_dir):
            raise _refusal(file, work_dir)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
        except OSError as error:
            raise _cannot_write(work_dir, error) from error
        yield


def refuse_if_running(work_dir: Path) -> None:
    """Says early that a run is going on in a work dir; :func:`held` is what makes sure.

    Raises:
        UserError: It is.
    """
    path = work_dir / LOCK_FILE
    if path.is_file() and os.access(path, os.R_OK | os.W_OK):
        with path.open("r+", encoding="utf-8") as file:
            if not _taken(file, work_dir, warn=False):
                raise _refusal(file, work_dir)


def is_running(work_dir: Path) -> bool:
    """Whether a run is going on in a work dir, as far as files there can be locked."""
    try:
        refuse_if_running(work_dir)
    except UserError:
        return True
    return False


def _taken(file: IO, work_dir: Path, warn: bool = True) -> bool:
    """Locks an open file; False if another process has.

    Not ``flock``: the workers of a killed run inherit such a lock and keep it until they notice.
    """
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if warn:
            print(
                f"warning: files in {work_dir} cannot be locked ({error.strerror}): nothing keeps a second run with "
                f"this work dir from writing over this one",
                file=sys.stderr,
                flush=True,
            )
    return True


def _refusal(file: IO, work_dir: Path) -> UserError:
    file.seek(0)
    return UserError(
        f"a run is going on in {work_dir}: {file.read() or 'its process has only begun'}",
        hint="--work-dir names another folder for this run; or wait, or stop the other one",
    )


def _cannot_write(work_dir: Path, error: OSError) -> UserError:
    return UserError(f"cannot write to work dir {work_dir}: {error.strerror}", hint="--work-dir names another")
