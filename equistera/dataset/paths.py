"""Names of pictures: whether two mean one picture, what nobody put there, and where on the disk they may lead.

Names in annotation files are untrusted input, from systems of any kind.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from equistera.dataset.images import ImageError

#: The folder of Finder's own files in an archive that was packed on a Mac.
_MAC_FOLDER = "__MACOSX"
#: What no file name on Windows can hold; unpacking there puts "_" in its place.
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')


def name_parts(name: str) -> list[str]:
    """The parts of a path in a file from anywhere, with ``/`` or ``\\`` between them; ``.`` and ``a/..`` are gone.

    >>> name_parts(r".\\day1\\..\\day2//a.jpg"), name_parts("../a.jpg"), name_parts("C:/a.jpg")
    (['day2', 'a.jpg'], ['..', 'a.jpg'], ['C:', 'a.jpg'])
    """
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def spelled(part: str) -> str:
    """A part of a path without what disks, archives and systems change in it: two with the same are one name, spelled
    in two ways.

    A Mac takes letters apart (NFD), case does not count on Windows and Macs, Windows has no ``:`` and drops dots and
    spaces at the end, and a Mac's screenshots have a narrow space that some programs make a common one.
    """
    # lower() can take letters apart again
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).lower())
    return " ".join(_NOT_ON_WINDOWS.sub("_", folded).split()).rstrip(". ")


def ends_with(parts: Sequence[str], end: Sequence[str]) -> bool:
    """Whether a path's parts end with all parts of another one, of which there is at least one.

    >>> ends_with(["data", "horse1", "a.jpg"], ["horse1", "a.jpg"]), ends_with(["horse2", "a.jpg"], ["horse1", "a.jpg"])
    (True, False)
    """
    return bool(end) and list(parts[-len(end) :]) == list(end)


def is_hidden(path: PurePath) -> bool:
    """Whether a relative path is, or lies in, something that programs keep for themselves.

    Jupyter's ``.ipynb_checkpoints`` holds old copies under the same endings, and a Mac puts a file ``._a.json`` with
    the endings, but not the content, of each ``a.json`` onto foreign disks and into archives.
    """
    return any(part.startswith(".") or part == _MAC_FOLDER for part in path.parts)


def check_inside(root: str | Path, name: str, *, links: bool = False) -> Path:
    """Joins a picture folder and a file name from an annotation file, which nobody vouches for.

    Backslashes count as separators, as in files written on Windows. The picture need not exist.

    Args:
        root: The picture folder.
        name: File name relative to it.
        links: Allow the picture itself to be a symbolic link that leads elsewhere, as ``--images link`` makes them.
            A link among its folders is refused all the same.

    Returns:
        ``root / name``.

    Raises:
        ImageError: The name is empty, absolute, no name that this system can have, or leads out of ``root`` by ``..``
            or by a symbolic link.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise ImageError(f"a picture's file name must be text, found {name!r}")
    parts = PureWindowsPath(name).parts
    if PureWindowsPath(name).drive or PurePosixPath(name).is_absolute() or parts[:1] == ("\\",) or ".." in parts:
        raise ImageError(
            f"file name {name!r} leads out of the picture folder",
            hint=f"File names must be relative to {root}, without '..'; set the folder with --img-dir.",
        )
    path = Path(root, *parts)
    _check_possible(path, name)
    try:
        home = Path(root).resolve()
        real = path.parent.resolve() if links else path.resolve()
    except (OSError, RuntimeError) as error:
        raise ImageError(f"file name {name!r} cannot be followed: {error}") from error
    if not real.is_relative_to(home):
        raise ImageError(
            f"file name {name!r} leads out of the picture folder: a symbolic link goes to {real}",
            hint=f"Copy the pictures into {root} instead.",
        )
    return path


def picture_path(root: str | Path, name: str) -> Path:
    """Where the picture is that an annotation file names: what all tools think of a file name that they read.

    Separators of any system and ``./`` lead to the same picture. A name that nothing has letter by letter leads to the
    only one that is spelled otherwise (:func:`spelled`: case, Unicode form), part by part; so a
    copy on another system's disk is found.

    Returns:
        The picture, or where it would be if nothing or several are spelled so.

    Raises:
        ImageError: As :func:`check_inside`; the picture itself may be a link.
    """
    path = check_inside(root, name, links=True)
    if os.path.lexists(path):
        return path
    here = Path(root)
    for part in path.relative_to(root).parts:
        there = here / part
        if not os.path.lexists(there):
            alike = _by_spelling(here).get(spelled(part), ())
            if len(alike) != 1:
                return path
            there = here / alike[0]
        here = there
    # a folder that is spelled otherwise may be a link that leads out
    return check_inside(root, here.relative_to(root).as_posix(), links=True)


def _by_spelling(folder: Path) -> dict[str, list[str]]:
    try:
        return _listed_by_spelling(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}  # no folder, or not to be read: nothing is found in it


@functools.lru_cache(maxsize=32)
def _listed_by_spelling(folder: Path, _changed: int) -> dict[str, list[str]]:
    names = defaultdict(list)
    for name in os.listdir(folder):
        names[spelled(name)].append(name)
    return dict(names)


def _check_possible(path: Path, name: str) -> None:
    """Refuses names that no file can have, which most functions for paths answer with a traceback.

    Whether a file has the name does not matter.
    """
    try:
        os.lstat(path)
    except UnicodeEncodeError as error:
        raise ImageError(f"file name {name!r} holds characters that no file name can have") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageError(f"file name {name[:40]!r}... is too long: {len(name)} characters") from error
