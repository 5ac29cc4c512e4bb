"""What a path says before anybody looks at the disk: whether two names mean one picture, and what nobody put there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

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
