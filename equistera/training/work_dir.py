"""The folder of a run: one run at a time writes there, and none buries an earlier one."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from equistera.errors import UserError
from equistera.monitor.plan import RUN_FILE
from equistera.outputs import check_folder
from equistera.training.checkpoints import written_by_runs

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

#: The file that a run holds locked; what is in it says who, for people.
LOCK_FILE = ".running"
#: Folders of earlier runs begin so.
EARLIER = "earlier_"
#: Windows lets nobody read bytes that are locked, so the locked one lies behind all that are written.
_LOCKED_BYTE = 1 << 20


def check(work_dir: Path, program: Path) -> None:
    """Refuses a work dir in which no run can begin; nothing is left there.

    Args:
        work_dir: Need not exist.
        program: The project's folder, which must not be moved aside with an earlier run.

    Raises:
        UserError: It cannot be written or made, or holds a run and the program.
    """
    check_folder("--work-dir", work_dir)
    if (program == work_dir or work_dir in program.parents) and work_dir.is_dir() and _holds_run(work_dir):
        raise UserError(
            f"work dir {work_dir} holds a run already, and the program itself, so the run cannot be moved aside",
            hint="--work-dir names a folder for this run alone",
        )


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


def set_aside(work_dir: Path, in_use: Collection[Path]) -> Path | None:
    """Moves an earlier run to a folder of its own inside the work dir, so that nothing of it is written over.

    A run is there if there is its ``run.json``, or a checkpoint with a name that a run would write.

    Args:
        work_dir: Of the run that is about to begin.
        in_use: Files and folders that it reads: what holds one of them stays, as do folders of other runs.

    Returns:
        The folder that the earlier run is in now; None if there was none.

    Raises:
        UserError: It cannot be moved.
    """
    if not _holds_run(work_dir):
        return None
    read = [path.resolve() for path in in_use]
    moved = [
        entry
        for entry in work_dir.iterdir()
        if entry.name != LOCK_FILE
        and not entry.name.startswith(EARLIER)
        and not any(path == entry or entry in path.parents for path in read)
        and not (entry.is_dir() and _holds_run(entry))
    ]
    try:
        aside = _new_folder(work_dir)
        for entry in moved:
            shutil.move(entry, aside / entry.name)
    except OSError as error:
        raise UserError(
            f"the run in {work_dir} cannot be moved aside: {error.strerror or error}", hint="--work-dir names another"
        ) from error
    return aside


def followed(path: Path, work_dir: Path, aside: Path | None) -> Path:
    """Where a file is after :func:`set_aside`.

    Args:
        path: The file, with links resolved, as it was before.
        work_dir: See there.
        aside: What it returned.
    """
    if aside is None or path.exists() or work_dir not in path.parents:
        return path
    return aside / path.relative_to(work_dir)


def _holds_run(folder: Path) -> bool:
    return any(entry.name == RUN_FILE or written_by_runs(entry.name) for entry in folder.iterdir())


def _new_folder(work_dir: Path) -> Path:
    name = time.strftime(f"{EARLIER}%Y%m%d_%H%M%S")
    for number in itertools.count(1):
        folder = work_dir / (name if number == 1 else f"{name}_{number}")
        if not folder.exists():
            folder.mkdir()
            return folder
    raise AssertionError


def _taken(file: IO, work_dir: Path, warn: bool = True) -> bool:
    """Locks an open file; False if another process has.

    Not ``flock``: the workers of a killed run inherit such a lock and keep it until they notice.
    """
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
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
