"""What every reader returns: pictures with animals, points by the file's own names, and what was left out and why."""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equistera.errors import UserError
from equistera.words import near

#: Annotation files above this size are refused: 5,000 pictures with 26 points take some 20 MB in the wordiest format.
MAX_FILE_BYTES = 512 * 1024**2

#: Pixels; no picture is longer.
_MAX_SIDE = 100_000

#: The category that is taken where a file has several, and the user names none.
HORSE = "horse"

#: COCO's visibility flags.
ABSENT, HIDDEN, VISIBLE = 0, 1, 2


class Unusable(Exception):
    """One picture or animal of a file that cannot be converted; the rest of the file still can.

    Args:
        reason: What is wrong, in words that are the same for all items of the kind: they are counted together.
        detail: What was found in this one.
        hint: The next step, where it is another than to label it again.
    """

    def __init__(self, reason: str, detail: str = "", hint: str = ""):
        self.reason, self.detail, self.hint = reason, detail, hint
        super().__init__(f"{reason}: {detail}" if detail else reason)


class NotLabels(UserError):
    """A file that is not what was looked for, but need not be wrong: a folder's others are converted without it.

    Args:
        path: The file.
        what: What it is (not), in words that are the same for all files of the kind: they are told together.
        hint: The next step.
    """

    def __init__(self, path: Path, what: str, hint: str):
        self.path, self.what = path, what
        super().__init__(f"{path}: {what}", hint=hint)


@dataclass(frozen=True)
class Skip:
    """Something that was read and not converted.

    Attributes:
        what: ``picture``, ``horse``, ``point`` or ``box``.
        where: File, task or picture.
        reason: Why; equal for all items of a kind.
        detail: What was found in this one.
        hint: The next step, where it is another than to label it again.
    """

    what: str
    where: str
    reason: str
    detail: str = ""
    hint: str = ""

    @classmethod
    def of(cls, what: str, where: str, error: Unusable) -> Skip:
        """What an error leaves out."""
        return cls(what, where, error.reason, error.detail, error.hint)

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Animal:
    """One labelled animal.

    Attributes:
        points: ``x, y, visibility`` (COCO's flag) by the file's keypoint name; points that are not there may be left
            out or stand with flag 0, wherever (NaN where the file has no place for them).
        box: ``x, y, width, height``, perhaps without a size, or None where the file has none.
        category: The file's word for the animal, ``""`` where it has none.
        area: Pixels of the animal's outline, where the file gives it.
    """

    points: Mapping[str, tuple[float, float, int]]
    box: tuple[float, float, float, float] | None = None
    category: str = ""
    area: float | None = None


@dataclass(frozen=True)
class Picture:
    """One picture and its animals.

    Attributes:
        names: Under which names to look for the file, the likeliest first; relative, ``/`` between folders.
        where: The place in the export, for messages.
        animals: The labelled animals.
        size: ``width, height`` in pixels that the labelling tool wrote down, or None.
        relative: Coordinates are fractions of the displayed picture's width and height instead of pixels.
        plain_name: What to call the file where there is none, if that is not the last of ``names``.
    """

    names: tuple[str, ...]
    where: str
    animals: tuple[Animal, ...]
    size: tuple[int, int] | None = None
    relative: bool = False
    plain_name: str = ""


@dataclass
class Export:
    """The content of one annotation file.

    Attributes:
        path: The file.
        title: Name of the format for people.
        keypoints: By category, keypoint names in the order in which the file declares or first uses them.
        pictures: What can be converted.
        skips: What cannot.
        notes: What the user should know although nothing is lost.
        sized: Which size of a photo with an EXIF orientation the tool writes down: ``shown``: of what its labels were
            made on; ``stored``: of the file, while labels were made on the turned photo; "" where nobody knows.
        hint: How what is skipped is put right, where it is not in the labelling tool.
    """

    path: Path
    title: str
    keypoints: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sized: str = ""
    hint: str = ""

    def skip(self, what: str, where: str, error: Unusable) -> None:
        """Notes down an item that is left out."""
        self.skips.append(Skip(what, where, error.reason, error.detail, error.hint or self.hint))

    def add(self, picture: Picture) -> None:
        """Takes in a picture, and the keypoint names that it uses and the file did not declare."""
        self.pictures.append(picture)
        for animal in picture.animals:
            names = self.keypoints.setdefault(animal.category, [])
            names += [name for name in animal.points if name not in names]


def shown(value: object, length: int = 60) -> str:
    """A value from a file for a message, cut short."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value[: length + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def number(value: Any, what: str) -> float:
    """A finite number from a file; raises :class:`Unusable` for text that is none, NaN, infinity, true, null ..."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise Unusable("a coordinate is not a number", f"{what} is {shown(value)}")
    return result


def numbers(values: object, what: str) -> list[float]:
    """A list of finite numbers; raises :class:`Unusable` for what is none."""
    if not isinstance(values, (list, tuple)):
        raise Unusable("a list of numbers is missing", f"{what} is {shown(values)}")
    return [number(value, what) for value in values]


def flag(value: object, what: str) -> int:
    """A COCO visibility flag; raises :class:`Unusable` for what is not 0, 1 or 2."""
    result = number(value, what)
    if result not in (ABSENT, HIDDEN, VISIBLE):
        raise Unusable("a visibility flag is not 0, 1 or 2", f"{what} is {shown(value)}")
    return int(result)


def point(x: object, y: object, visibility: object, name: str) -> tuple[float, float, int]:
    """A keypoint with its flag; one that is not labelled may have no place (NaN, null), and keeps none.

    Raises:
        Unusable: As :func:`number` and :func:`flag`.
    """
    seen = flag(visibility, name)
    try:
        return number(x, name), number(y, name), seen
    except Unusable:
        if seen != ABSENT:
            raise
        return math.nan, math.nan, ABSENT


def positive_size(width: object, height: object) -> tuple[int, int] | None:
    """``width, height`` of a picture as whole pixels, or None where the file gives no usable size."""
    try:
        size = round(number(width, "width")), round(number(height, "height"))
    except Unusable:
        return None
    return size if min(size) > 0 and max(size) <= _MAX_SIDE else None


def text(value: object, what: str) -> str:
    """Text from a file; raises :class:`Unusable` for what is none, or nothing but spaces."""
    if not isinstance(value, str) or not value.strip():
        raise Unusable(f"{what} is missing", "" if value is None else f"found {shown(value)}")
    return value.strip()


def subset_names(name: str, subset: str, file: Path) -> tuple[str, ...]:
    """Where a picture of one of CVAT's subsets may lie: in images/SUBSET, or, where there is no such folder, anywhere.

    Every task made from a video has a frame_000000, so the name alone could find another subset's picture.

    Args:
        name: The picture's name.
        subset: Of the picture.
        file: The annotation file, beside ``images`` or in a folder beside it.
    """
    own = f"{subset}/{name}"
    places = (home / images / subset for home in (file.parent, file.parent.parent) for images in ("images", "."))
    return (own,) if any(map(os.path.isdir, places)) else (own, name)


def check_file(path: Path) -> None:
    """Refuses what should not even be opened.

    Raises:
        UserError: Missing, not a file, or larger than :data:`MAX_FILE_BYTES`.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}{near(path)}" if not path.exists() else f"{path} is not a file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(
            f"{path} has {path.stat().st_size / 1024**2:.0f} MB; annotation files above {MAX_FILE_BYTES // 1024**2} MB "
            "are not opened",
            hint="Split the export into smaller ones; several files in one folder are converted together.",
        )


def read_text(path: Path, most: int = MAX_FILE_BYTES) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark, as PowerShell and Windows' editors write it.

    Args:
        path: The file.
        most: Bytes; a larger file is not opened.

    Raises:
        UserError: Not readable, too large, or in another encoding.
    """
    try:
        if (size := path.stat().st_size) > most:
            raise UserError(f"{path} has {size} bytes, expected at most {most}")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not text in UTF-8: {error.reason} at byte {error.start}",
            hint="Save it again as UTF-8 (Excel calls it 'CSV UTF-8', Notepad 'UTF-8').",
        ) from error
