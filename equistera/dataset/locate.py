"""Finding the pictures of an export on disk.

An export names its pictures as the labelling tool saw them: by a URL, by a path on another computer, relative to a
project. Only files below the given folder are ever used, whatever the export says.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from equistera.dataset.formats.records import Unusable
from equistera.dataset.images import LISTED, TO_CONVERT
from equistera.dataset.paths import ends_with, is_hidden
from equistera.errors import UserError

#: Reason of a picture that is nowhere below the folder.
NOT_FOUND = "picture not found"
#: The folder of uploads in Label Studio's addresses, and what it puts before their names.
_UPLOADS, _UPLOAD_PREFIX = "upload", re.compile(r"^[0-9a-f]{8}-(?=.)")
#: Endings of JPEG files, as converters write them.
_JPEG = (".jpg", ".jpeg", ".JPG", ".JPEG")


class PictureFinder:
    """The pictures below a folder, to be found by what exports call them.

    Args:
        root: The folder.
        leave_out: Files that are not to be found, such as those in the output; resolved.

    Raises:
        UserError: No such folder.
    """

    def __init__(self, root: Path, leave_out: Iterable[Path] = ()):
        if not root.is_dir():
            raise UserError(
                f"no such picture folder: {root}", hint="Give the folder that holds the pictures with --img-dir."
            )
        self.root = root
        self._files = set(_pictures(root, set(leave_out)))
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_folded_name: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self._files):
            name = file.rsplit("/", 1)[-1]
            self._by_name[name].append(file)
            self._by_folded_name[_folded(name)].append(file)

    def __len__(self) -> int:
        return len(self._files)

    def find(self, names: Sequence[str], beside: str = "") -> str:
        """Finds a picture.

        A file fits a name if the path of one ends with the other. Of several files that fit, those in the folder of
        the annotation file go first. Where a photo must be converted to be read, its JPEG stands for it: the one beside
        it, or one that would fit if the name ended so.

        Args:
            names: What the export may mean, the likeliest first; relative or absolute, ``/`` or ``\\`` as separator.
            beside: Folder of the annotation file, relative to the root, ``""`` for the root itself.

        Returns:
            Path relative to the root, with ``/``.

        Raises:
            Unusable: There is no such picture, there are several, or the name leads out of the folder.
        """
        for name in [*names, *(jpeg for photo in names for jpeg in _converted(photo))]:
            parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
            if ".." in parts or "\0" in name:
                raise Unusable("the picture's name leads out of the picture folder", repr(name))
            if not parts:
                continue
            for found in (self._exact(parts, beside), self._fitting(parts), self._alike(parts)):
                near = [file for file in found if file.startswith(f"{beside}/")] if beside else []
                best = near or found
                if len(best) == 1:
                    return next((jpeg for jpeg in _converted(best[0]) if jpeg in self._files), best[0])
                if best:
                    raise Unusable("several pictures have this name", f"{name}: {', '.join(sorted(best)[:3])}")
        raise Unusable(NOT_FOUND, names[0] if names else "")

    def _exact(self, parts: list[str], beside: str) -> list[str]:
        path = "/".join(parts)
        places = [f"{beside}/{path}", path] if beside else [path]
        return next(([place] for place in places if place in self._files), [])

    def _fitting(self, parts: list[str]) -> list[str]:
        above = self.root.resolve().parts
        fitting = []
        for file in self._by_name.get(parts[-1], ()):
            own = file.split("/")
            absolute = [*above, *own]
            if ends_with(parts, own) or ends_with(absolute, parts):
                fitting.append(file)
        return fitting

    def _alike(self, parts: list[str]) -> list[str]:
        # Label Studio replaces spaces and drops special characters when a file is uploaded: several may be meant
        if len(parts) > 1 and _UPLOADS not in parts[:-1]:
            return []
        names = (parts[-1], _UPLOAD_PREFIX.sub("", parts[-1]))
        return next((found for name in names if (found := self._by_folded_name.get(_folded(name)))), [])


def _pictures(root: Path, leave_out: set[Path]) -> Iterable[str]:
    """Picture files below a folder, relative to it, with ``/``; without hidden ones."""
    seen = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)  # a link may lead back up
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(PurePath(name)))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        yield from (
            prefix + file
            for file in files
            if file.lower().endswith(LISTED) and not is_hidden(PurePath(file)) and Path(real, file) not in leave_out
        )


def _converted(name: str) -> list[str]:
    """What the JPEG made from a photo that cannot be read as it is may be called; nothing for other pictures."""
    if not name.lower().endswith(TO_CONVERT):
        return []
    return [f"{base}{suffix}" for base in (name.rpartition(".")[0], name) for suffix in _JPEG]


def _folded(name: str) -> str:
    """A file name as Django's ``get_valid_filename`` leaves it, which Label Studio uses; case does not count."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_")).casefold()
