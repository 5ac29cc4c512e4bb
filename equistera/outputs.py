"""May a tool write here? One rule for all tools, asked before the work, so that none is lost after it.

A file that exists is refused, and ``--overwrite`` named; a file that the command reads is never replaced. Drawings,
figures and curves that a tool has written itself, and that nobody has touched since, are replaced without a question,
so that a command can be run again: each folder that such files were written into has a record of them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from equistera.errors import UserError, WriteError

#: In every folder that drawings, figures or curves were written into: a line of JSON a file, of which the last counts.
RECORD = ".written_by_equistera"


def check_targets(
    option: str,
    targets: Iterable[str | Path],
    *,
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool = False,
    tool: str | None = None,
) -> None:
    """Refuses files that may not be written.

    Args:
        option: What named them or their folder, such as ``--out``.
        targets: The files; their folders need not exist.
        inputs: Files that the command reads; those that are None do not count.
        overwrite: Whether the user said ``--overwrite``: replace any file but an input.
        tool: Replace what :func:`record` was told that this tool wrote, too; None where every file is asked about.

    Raises:
        UserError: Some are inputs, folders, or exist; all of them are named.
        WriteError: A folder cannot be written to, or not be made.
    """
    files = [Path(target) for target in targets]
    there = [path for path in files if os.path.lexists(path)]
    read = {_identity(Path(path)) for path in inputs if path is not None}
    if taken := [str(path) for path in files if _identity(path) in read]:
        raise UserError(f"{option}: what this command reads is never replaced:", taken, "Choose another place")
    if folders := [str(path) for path in there if path.is_dir()]:
        raise UserError(f"{option}: a file cannot take the place of a folder:", folders, "Choose another place")
    ours = Written()
    foreign = [str(path) for path in there if not overwrite and not (tool and ours.by(tool, path))]
    if foreign:
        raise UserError(
            f"{option}: files exist already and are not overwritten:",
            foreign,
            f"Add --overwrite to replace them, or choose another {option}",
        )
    for folder in dict.fromkeys(path.parent for path in files):
        check_folder(option, folder)


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


def record(tool: str, path: str | Path) -> None:
    """Remembers that a tool has just written a file, so that it may replace it as long as nobody changes it.

    Raises:
        WriteError: The record cannot be written.
    """
    path = Path(path)
    try:
        # behind whatever a killed process left
        line = "\n" + json.dumps({"file": path.name, "tool": tool, "sha256": _hash(path)})
        # one line at once, behind those of other threads and processes
        with open(path.parent / RECORD, "ab", buffering=0) as file:
            file.write(line.encode())
    except OSError as error:
        raise WriteError(path.parent / RECORD, error) from error


class Written:
    """What tools have written, as the folders' records say; each is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, dict]] = {}

    def by(self, tool: str, path: Path) -> bool:
        """Whether a file is there as a tool, named as :func:`record` was told, wrote it."""
        if path.parent not in self._folders:
            self._folders[path.parent] = _read(path.parent / RECORD)
        entry = self._folders[path.parent].get(path.name, {})
        if entry.get("tool") != tool or path.is_symlink() or not path.is_file():
            return False
        try:
            # not by its time: a run that was copied to another disk is still the tool's
            return entry.get("sha256") == _hash(path)
        except OSError:
            return False  # what cannot be read may be anybody's


def same_file(a: str | Path, b: str | Path) -> bool:
    """Whether two paths lead to one file, by links too; of files that do not exist, the paths are compared."""
    return _identity(Path(a)) == _identity(Path(b))


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, dict]:
    """A record's last entry of each file; lines that are half-written or others' say nothing."""
    entries = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("file"), str):
            entries[entry["file"]] = entry
    return entries
