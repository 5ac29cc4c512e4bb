"""Values from strangers' files, each read or refused; and whole files of text."""

from __future__ import annotations

import codecs
import math
import os
from pathlib import Path
from typing import Any

from equistera.errors import UserError
from equistera.words import near

#: Annotation files above this size are refused: 5,000 pictures with 26 points take some 20 MB in the wordiest format.
MAX_FILE_BYTES = 512 * 1024**2

#: Pixels; no picture is longer.
_MAX_SIDE = 100_000

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
