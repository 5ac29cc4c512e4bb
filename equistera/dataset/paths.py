"""What a path says before anybody looks at the disk: whether two names mean one picture, and what nobody put there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

#: The folder of Finder's own files in an archive that was packed on a Mac.
_MAC_FOLDER = "__MACOSX"


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
