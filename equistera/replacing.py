"""The last step of writing a file: what was written beside it takes its place."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from pathlib import Path

from equistera.locks import in_use

#: Seconds that a file may be held open by another program: a virus scanner or a search index, more often than a person.
PATIENCE = 3.0

#: Names that ``mkstemp`` gives to files that are being written, and what they shall become.
_UNFINISHED = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part")
#: Of each folder that this process has written to: what stood there before, by the name that it should have got.
_left: dict[Path, dict[str, list[Path]]] = {}


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
