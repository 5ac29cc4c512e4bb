"""Whether a tool may write where it was told to; asked before the work, so that none is lost after it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from equistera.errors import UserError, WriteError
from equistera.files import read_json


def check_json(
    option: str,
    target: str | Path,
    what: str,
    is_ours: Callable[[object], bool],
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool = False,
) -> None:
    """Refuses to replace a JSON file of anything but what is to be written, so that a command can be run again.

    Args:
        option: What named the file, such as ``--json``.
        target: The file to be written.
        what: Its kind, for the message.
        is_ours: Whether the content of a JSON file is of that kind.
        inputs: Files that the command reads; those that are None do not count.
        overwrite: Replace any file but an input.

    Raises:
        UserError: The file is an input, a folder, or exists and is of another kind; or it cannot be written.
    """
    target = Path(target)
    if target.is_dir():
        raise UserError(f"{option} {target} is a folder, expected a file name")
    if any(same_file(target, path) for path in inputs if path):
        raise UserError(
            f"{option} {target} is an input of this command; it is not replaced", hint="Choose another name"
        )
    if os.path.lexists(target) and not overwrite and not holds_json(target, is_ours):
        raise UserError(f"{option} {target} exists and does not hold {what}; it is kept", hint="Choose another name")
    check_folder(option, target.parent)


def check_folder(option: str, folder: str | Path) -> None:
    """Refuses a folder that cannot be written, or not be made; nothing is left in it.

    Raises:
        WriteError: It cannot, with the reason.
    """
    folder = Path(folder)
    # it is made when something is written
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WriteError(f"{option} {folder}", error) from error


def same_file(a: str | Path, b: str | Path) -> bool:
    """Whether two paths lead to one file, by links too; of files that do not exist, the paths are compared."""
    try:
        return os.path.samefile(a, b)
    except OSError:
        return Path(a).resolve() == Path(b).resolve()


def holds_json(path: Path, is_ours: Callable[[object], bool]) -> bool:
    """Whether a file is JSON of which ``is_ours`` is true."""
    try:
        return is_ours(read_json(path))
    except UserError:
        return False
