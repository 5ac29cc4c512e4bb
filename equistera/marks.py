"""A mark in the drawings that a tool makes, by which it knows them again: it replaces those, and no other file.

It stands within the last bytes of a file, where editors that save a drawing anew do not leave it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from equistera.dataset.images import JPEGS
from equistera.errors import UserError
from equistera.files import atomic_write

_MARK = b"drawn by Equistera Trainer"
#: Bytes at the end of a file that hold the mark.
_LAST = 64


def marked(encoded: bytes, suffix: str) -> bytes:
    """A picture file's content with the mark: as a comment where OpenCV's encoder leaves room, else behind its end.

    Args:
        encoded: What OpenCV's encoder gave.
        suffix: Of the file's name, such as ``.jpg``.
    """
    if suffix.lower() in JPEGS:
        # a comment segment before the end marker
        return encoded[:-2] + b"\xff\xfe" + struct.pack(">H", len(_MARK) + 2) + _MARK + encoded[-2:]
    if suffix.lower() == ".png":
        # a text chunk before IEND, which has 12 bytes
        chunk = b"tEXtComment\0" + _MARK
        length, checksum = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
        return encoded[:-12] + length + chunk + checksum + encoded[-12:]
    return encoded + _MARK


def write_marked(path: Path, encoded: bytes) -> None:
    """Writes a picture file with the mark, atomically.

    Args:
        path: Its suffix says the format.
        encoded: What OpenCV's encoder gave.

    Raises:
        WriteError: It cannot be written.
    """
    with atomic_write(path, "wb") as file:
        file.write(marked(encoded, path.suffix))


def video_mark(suffix: str) -> bytes:
    """The mark as a part that players pass over at the end of a ``.mp4``, ``.mov`` or ``.avi``."""
    if suffix.lower() == ".avi":
        return b"JUNK" + struct.pack("<I", len(_MARK)) + _MARK
    return struct.pack(">I", len(_MARK) + 8) + b"free" + _MARK


def check_targets(
    option: str,
    targets: Iterable[Path],
    overwrite: bool = False,
    hint: str = "Choose another place, or add --overwrite to replace them",
) -> None:
    """Refuses files to draw into that exist and are no drawings of ours.

    Args:
        option: What named their place.
        targets: The files.
        overwrite: Replace any file.
        hint: What to do about files that are kept.

    Raises:
        UserError: They are all named; or one of them is a folder.
    """
    there = [path for path in targets if os.path.lexists(path)]
    folders = [str(path) for path in there if path.is_dir()]
    if folders:
        raise UserError(f"{option}: a drawing cannot take the place of a folder:", folders, "Choose another place")
    foreign = [] if overwrite else [str(path) for path in there if not is_marked(path)]
    if foreign:
        raise UserError(
            f"{option}: files that are no drawings of this tool would be replaced:",
            foreign,
            hint,
        )


def is_marked(path: Path) -> bool:
    """Whether a file is a drawing that was made with the mark."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(-min(_LAST, file.tell()), os.SEEK_END)
            return _MARK in file.read()
    except OSError:
        return False
