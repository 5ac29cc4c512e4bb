"""Where a picture ends in its file: what is missing from a broken copy or download.

The structure is read, no pixel is decoded. Nearly every file ends with its picture, and then a few bytes tell.
"""

from __future__ import annotations

import os
import re
import struct
from typing import BinaryIO

_JPEG_END = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
#: In JPEG pixel data 0xFF is followed by 0 (a literal 0xFF), a restart marker or padding; else a marker begins
#: (ITU-T T.81, B.1.1.2).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def has_end(file: BinaryIO, kind: str) -> bool:
    """Whether a ``JPEG`` or ``PNG`` file, open for reading, goes on to the end of its picture."""
    length = file.seek(0, os.SEEK_END)
    file.seek(-min(length, len(_PNG_END)), os.SEEK_END)
    if file.read().endswith(_JPEG_END if kind == "JPEG" else _PNG_END):
        return True
    # something may stand behind the end of the picture, as phones and editors leave it
    file.seek(0)
    return _jpeg_ends(file.read()) if kind == "JPEG" else _png_ends(file.read())


def has_all_boxes(file: BinaryIO) -> bool:
    """Whether a HEIC or AVIF file, open for reading, holds all of the boxes that it is made of (ISO 14496-12, 4.2)."""
    length, position = file.seek(0, os.SEEK_END), 0
    while position < length:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return False
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        elif size == 0:
            return True  # goes on to the end of the file, wherever that is
        if size < 8:
            return True  # something else stands behind the picture
        position += size
    return position == length


def _jpeg_ends(data: bytes) -> bool:
    """Walks the segments, whose payload may hold a whole thumbnail, to the picture's own end marker."""
    position = 2
    while marker := _JPEG_MARKER.search(data, position):
        if marker[0] == _JPEG_END:
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def _png_ends(data: bytes) -> bool:
    """Walks the chunks (PNG specification, 5.3) to IEND."""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return True
        position += 12 + length
    return False
