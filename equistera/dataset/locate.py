"""Finding the pictures of an export on disk: one rule for every format.

An export names its pictures as the labelling tool saw them: by a URL, by a path on another computer, relative to a
project. Only files below the given folder are ever used, whatever the export says.

**The rule.** A path that leads from the annotation file or from the folder to a picture, letter by letter, is that
picture. Otherwise a file fits a name if the path of one ends with the other, and both are read more and more loosely
(:data:`_READINGS`). The first reading in which something fits decides, and only if that is one picture: those in the
folder of the annotation file go first, several are refused. Whatever was found by a loose reading is counted.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import unquote

from equistera.dataset.formats.labelstudio_addresses import UPLOAD_PREFIX
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import LISTED, PHOTOS, SUFFIXES
from equistera.dataset.paths import ends_with, is_hidden, name_parts, spelled
from equistera.errors import UserError
from equistera.words import counted, near

#: Reasons of pictures that are not found.
NOT_FOUND = "picture not found"
ELSEWHERE = "only other folders than the export names have a picture of this name"
NOT_READ = "pictures with this ending are not read"
MISSING = (NOT_FOUND, ELSEWHERE, NOT_READ)

#: The folder of uploads in Label Studio's addresses, and what versions without a prefix put behind a name that was
#: taken, as Django's ``get_alternative_name`` does.
_UPLOADS = "upload"
_SUFFIX = re.compile(r"_[A-Za-z0-9]{7}$")


@dataclass(frozen=True)
class _Name:
    """The parts of a path as an export or a disk has them: folders, the file's name without its ending, the ending."""

    folders: tuple[str, ...]
    stem: str
    ending: str

    @classmethod
    def of(cls, path: str) -> _Name:
        *folders, last = name_parts(path) or [""]
        stem, dot, ending = last.rpartition(".")
        # a name may have a dot and no ending
        if not stem or f".{ending.lower().rstrip('. ')}" not in LISTED:
            stem, dot, ending = last, "", ""
        # what lies above, on another computer, says nothing here
        return cls(tuple(folder for folder in folders if folder != ".."), stem, dot + ending)

    def read(self, key: Callable[[str], str]) -> list[str]:
        # a web address may have quoted the signs between folders, too
        return [part for own in (*self.folders, self.stem + self.ending) for part in name_parts(key(own)) or [""]]

    @property
    def cores(self) -> set[str]:
        """What all readings of the name have in common, with one ending or two, as IMG_1.HEIC.jpg has them."""
        stems = [self.stem, *self.originals]
        if self.ending:
            stems += [self.stem + self.ending, _Name.of(self.stem).stem]
        return set(map(_core, stems))

    @property
    def is_unique(self) -> bool:
        """Whether Label Studio's prefix makes the name one that no other picture has, in whatever folder."""
        return UPLOAD_PREFIX.match(self.stem) is not None

    @property
    def originals(self) -> list[str]:
        """What an upload may have been called before, but for the characters that :func:`_stored` drops."""
        # other folders are the user's own, and what lies in them was never renamed
        exported = self.is_unique and all(folder == "images" or folder.isdigit() for folder in self.folders)
        if not exported and _UPLOADS not in self.folders:
            return []
        return [self.stem, (UPLOAD_PREFIX if self.is_unique else _SUFFIX).sub("", self.stem)]


def _unquoted(part: str) -> str:
    """Without the ``%20`` and ``+`` of web addresses; what was quoted twice is unquoted twice."""
    return spelled(unquote(unquote(part)).replace("+", " "))


def _stored(stem: str, form: Literal["NFC", "NFD"]) -> str:
    """A name as Django's ``get_valid_filename``, which Label Studio uses, leaves it."""
    kept = re.sub(r"[^-\w.]", "", unicodedata.normalize(form, stem).strip().replace(" ", "_"))
    return unicodedata.normalize("NFC", kept)


def _core(stem: str) -> str:
    """What all readings of a name have in common."""
    plain = unicodedata.normalize("NFKD", (name_parts(_unquoted(stem)) or [""])[-1])
    return re.sub(r"[\W_]", "", "".join(c for c in plain if not unicodedata.combining(c)))


def _tail(key: Callable[[str], str]) -> Callable[[_Name, _Name, Sequence[str]], bool]:
    def fits(name: _Name, file: _Name, above: Sequence[str]) -> bool:
        asked, own = name.read(key), file.read(key)
        return ends_with(asked, own) or ends_with([*map(key, above), *own], asked)

    return fits


def _other_ending(name: _Name, file: _Name, above: Sequence[str]) -> bool:
    """The export has no ending, as CVAT's of videos and Label Studio's YOLO, or another one of a photo that was
    converted."""
    if not spelled(name.ending).endswith(LISTED):
        # a point in a name begins no ending
        stems = [name.stem + name.ending]
    elif {spelled(name.ending), file.ending.lower()} <= {*PHOTOS}:
        # what was converted may have both endings
        stems = [name.stem, name.stem + name.ending, _Name.of(name.stem).stem]
    else:
        return False
    return any(_tail(_unquoted)(_Name(name.folders, stem, file.ending), file, above) for stem in stems)


def _other_folders(name: _Name, file: _Name, above: Sequence[str]) -> bool:
    """One path has folders that the other lacks, or Label Studio's own ones lead to a name that is unique."""
    asked, own = name.read(_unquoted), file.read(_unquoted)
    if asked[-1] != own[-1]:
        return False
    return name.is_unique or _within(own, asked) or _within(asked, [*map(_unquoted, above), *own])


def _uploaded(name: _Name, file: _Name, above: Sequence[str]) -> bool:
    """Label Studio renamed the file when it was uploaded; the folders are its own."""
    stored = {_stored(file.stem, form) for form in ("NFC", "NFD")}
    return any(_stored(original, "NFC") in stored for original in name.originals)


#: The readings, the strictest first: what was different, for the report, and whether a file fits a name.
_READINGS: tuple[tuple[str, Callable[[_Name, _Name, Sequence[str]], bool]], ...] = (
    ("", _tail(str)),
    ("in case, spaces or Unicode form", _tail(spelled)),
    ("in the signs of a web address (%20)", _tail(_unquoted)),
    ("in the ending", _other_ending),
    ("in the folders", _other_folders),
    ("by what Label Studio makes of an upload's name", _uploaded),
)


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
                f"no such picture folder: {root}{near(root)}",
                hint="Give the folder that holds the pictures with --img-dir.",
            )
        self.root = root
        self._above = root.resolve().parts
        self._files: set[str] = set()
        self._by_core: dict[str, list[tuple[str, _Name]]] = defaultdict(list)
        self._not_read: dict[str, str] = {}
        for file in sorted(_files(root, set(leave_out))):
            if file.lower().endswith(SUFFIXES):
                self._files.add(file)
                name = _Name.of(file)
                self._by_core[_core(name.stem)].append((file, name))
            else:
                self._not_read[_unquoted(file.rsplit("/", 1)[-1])] = file
        self._loose: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._files)

    def path_of(self, file_name: str) -> Path:
        """Where a picture is that :meth:`find` has found."""
        return self.root / file_name

    def beside(self, file: Path) -> str:
        """Folder of an annotation file, relative to the root; ``""`` for the root itself, and for one outside of it."""
        folder, root = file.absolute().parent.resolve(), self.root.resolve()
        return folder.relative_to(root).as_posix() if folder.is_relative_to(root) and folder != root else ""

    def find(self, names: Sequence[str], beside: str = "") -> str:
        """Finds a picture by the rule above.

        Args:
            names: What the export may mean, the likeliest first; relative or absolute, ``/`` or ``\\`` as separator.
            beside: From :meth:`beside` of the annotation file.

        Returns:
            Path relative to the root, with ``/``.

        Raises:
            Unusable: There are several such pictures or none; what is known of the reason is said.
        """
        names = [name for name in names if name_parts(name) and "\0" not in name]
        for name in names:
            for place in (f"{beside}/{name}", name):
                if (path := "/".join(name_parts(place))) in self._files:
                    return self._only([path, *self._renamed_alike([name])], name, "")
        asked = self._candidates(names)
        fitting = [(difference, found) for difference, fits in _READINGS if (found := self._fitting(asked, fits))]
        if not fitting:
            raise self._missing(names)
        difference, found = fitting[0]
        inside = [[file for file in files if beside and file.startswith(f"{beside}/")] for _, files in fitting]
        # what fits better elsewhere leaves it open where something fits beside the annotations
        found = inside[0] or [*found, *(file for files in inside for file in files)]
        return self._only([*found, *self._renamed_alike(names)], names[0], difference)

    def notes(self) -> list[str]:
        """Lines for the report: how many pictures were found by each loose reading, and one of them."""
        return [
            f"{counted(len(found), 'pictures')} found by names that differ {difference}, such as {found[0][0]!r}: "
            f"{found[0][1]}"
            for difference, found in self._loose.items()
        ]

    def _candidates(self, names: Iterable[str]) -> list[tuple[_Name, list[tuple[str, _Name]]]]:
        """The names with the pictures that could fit them in any reading."""
        asked = []
        for name in map(_Name.of, names):
            asked.append((name, [found for core in sorted(name.cores) for found in self._by_core.get(core, ())]))
        return asked

    def _fitting(
        self,
        asked: Iterable[tuple[_Name, list[tuple[str, _Name]]]],
        fits: Callable[[_Name, _Name, Sequence[str]], bool],
    ) -> list[str]:
        for name, candidates in asked:
            if found := [file for file, own in candidates if fits(name, own, self._above)]:
                return found
        return []

    def _renamed_alike(self, names: Sequence[str]) -> list[str]:
        """Pictures of which Label Studio makes the same name, where it put no prefix to tell them apart."""
        asked = [name for name in names if (read := _Name.of(name)).originals and not read.is_unique]
        return self._fitting(self._candidates(asked), _uploaded)

    def _only(self, found: Sequence[str], name: str, difference: str) -> str:
        found = list(dict.fromkeys(found))
        if len(found) > 1:
            raise Unusable(
                "several pictures have this name",
                f"{name}: {', '.join(sorted(found)[:3])}",
                "Name the folder of the right ones with --img-dir, or give the pictures the names in the export.",
            )
        if difference:
            self._loose[difference].append((name, found[0]))
        return found[0]

    def _missing(self, names: Sequence[str]) -> Unusable:
        """The reason why nothing fits, as near to the truth as the disk allows."""
        for name in names:
            last = name_parts(name)[-1]
            if file := self._not_read.get(_unquoted(last)):
                hint = "Save such pictures as JPEG or PNG, with the same name but for the ending."
                return Unusable(NOT_READ, file, hint)
            asked = _Name.of(last)
            alike = self._by_core.get(_core(asked.stem), ())
            found = [file for file, own in alike if own.read(_unquoted)[-1:] == asked.read(_unquoted)[-1:]]
            if found:
                hint = "Put the pictures into folders as the export names them, or give the right one with --img-dir."
                return Unusable(ELSEWHERE, f"{name}: {', '.join(found[:3])}", hint)
        return Unusable(NOT_FOUND, names[0] if names else "")


def _within(parts: Sequence[str], others: Sequence[str]) -> bool:
    """Whether all parts stand among others, in the same order."""
    rest = iter(others)
    return all(part in rest for part in parts)


def _files(root: Path, leave_out: set[Path]) -> Iterable[str]:
    """Files below a folder, relative to it, with ``/``; without hidden ones."""
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
            prefix + file for file in files if not is_hidden(PurePath(file)) and Path(real, file) not in leave_out
        )
