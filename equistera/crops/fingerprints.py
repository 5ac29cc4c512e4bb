"""What a picture file holds: a hash of its content and its header, remembered as long as the file is untouched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from equistera.dataset.images import ImageHeader, read_header
from equistera.files import atomic_write
from equistera.progress import track

#: Name of the file in the cache's folder, and the layout of its rows.
MEMORY, VERSION = "pictures.json", 2


@dataclass(frozen=True)
class Fingerprint:
    """A picture's content and shape.

    Attributes:
        digest: Hash of the whole file, hexadecimal.
        header: Its size, orientation and format.
    """

    digest: str
    header: ImageHeader


def digest_of(content: bytes) -> str:
    """The hash that stands for a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


class Fingerprints:
    """Fingerprints of picture files.

    A file is hashed again whenever its size, its modification time or its change time (which nobody can set) differ.

    Args:
        folder: Where they are remembered from one run to the next.
    """

    def __init__(self, folder: Path):
        self._file = folder / MEMORY
        self._rows: dict[str, list] = {}
        try:
            content = json.loads(self._file.read_bytes())
            if content == _content(content["pictures"]):
                self._rows = content["pictures"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # missing or damaged: everything is hashed again
            self._rows = {}

    def get(self, path: str | Path) -> Fingerprint | None:
        """What is remembered of a file, unless it has been touched since."""
        row = self._rows.get(os.path.abspath(path))
        try:
            return None if row is None or row[:3] != _state(path) else Fingerprint(row[3], ImageHeader(*row[4:8]))
        except OSError:
            return None

    def read(self, paths: Iterable[str | Path], threads: int) -> None:
        """Hashes the files that are new or touched, and writes down what was found.

        Raises:
            ImageError: A picture is missing or unreadable.
        """
        missing = [path for path in dict.fromkeys(map(str, paths)) if self.get(path) is None]
        if not missing:
            return
        with ThreadPoolExecutor(threads) as pool:
            found = track(pool.map(_row, missing), "reading pictures for the crop cache", total=len(missing))
            self._rows.update(zip((os.path.abspath(path) for path in missing), found, strict=True))
        kept = {path: row for path, row in self._rows.items() if os.path.exists(path)}
        with atomic_write(self._file) as file:
            json.dump(_content(kept), file)


def _content(rows: dict[str, list]) -> dict:
    """What the file holds, with a sum by which damage is known: a wrong hash would pass for a picture that changes."""
    return {"version": VERSION, "pictures": rows, "sum": digest_of(json.dumps(rows, sort_keys=True).encode())}


def _state(path: str | Path) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _row(path: str) -> list:
    state, header = _state(path), read_header(path)
    return [*state, digest_of(Path(path).read_bytes()), header.width, header.height, header.orientation, header.format]
