"""The files of a cache: all crops one after the other in ``NAME.crops``, and ``NAME.json``, which says where each lies.

The index is written last, so a cache without one is not there. Both are made under another name, flushed to the disk
and renamed.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from equistera.crops.pictures import ToPhoto
from equistera.crops.plan import Crop
from equistera.files import atomic_write, hold_shared, replace

#: Layout of the files.
LAYOUT = 1
#: Crops start at multiples of this many bytes: a cache line.
_ALIGNED = 64
PIXELS, INDEX, UNFINISHED = ".crops", ".json", ".part"


def offsets_of(crops: Sequence[Crop]) -> np.ndarray:
    """int64 [N + 1]: where each crop starts in the file, and the size of the file."""
    sizes = [-(-crop.bytes // _ALIGNED) * _ALIGNED for crop in crops]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _index_of(crops: Sequence[Crop]) -> dict:
    """What stands in the index of a cache of these crops."""
    return {
        "layout": LAYOUT,
        "offsets": offsets_of(crops).tolist(),
        "digests": [crop.digest for crop in crops],
    }


class CropStore:
    """Crops in a finished cache; make one with :meth:`open`.

    The file is mapped into memory, so all processes share one copy of what they read, and the system may take it back.
    """

    def __init__(self, pixels: Path, held: IO, crops: Sequence[Crop]):
        self._pixels, self._held = pixels, held
        self._offsets = offsets_of(crops)
        self._sizes = np.array([crop.size for crop in crops], dtype=np.int64)
        self._to_photo = np.array([crop.to_photo for crop in crops], dtype=np.float64)
        # at once, so that the crops stay readable whatever becomes of the file's name
        self._map: mmap.mmap | None = self._mapped()

    def _mapped(self) -> mmap.mmap:
        with self._pixels.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def open(cls, folder: Path, name: str, crops: Sequence[Crop]) -> CropStore | None:
        """Opens a cache and marks it as in use.

        Args:
            folder: The cache's folder.
            name: Its name.
            crops: What must be in it.

        Returns:
            None if it is not there, not finished, or holds anything else.
        """
        pixels, path = folder / (name + PIXELS), folder / (name + INDEX)
        try:
            held = path.open("rb")
        except OSError:
            return None
        try:
            hold_shared(held)
            whole = json.load(held) == _index_of(crops) and pixels.stat().st_size == offsets_of(crops)[-1]
        except (OSError, ValueError, RecursionError):
            whole = False
        if not whole:
            held.close()
            return None
        # the order in which caches are given up; one that nobody may write to is not given up
        with contextlib.suppress(PermissionError):
            os.utime(path)
        return cls(pixels, held, crops)

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return int(self._offsets[-1])

    def __getitem__(self, i: int) -> tuple[np.ndarray, ToPhoto]:
        """Crop ``i``: BGR uint8 [h, w, 3], read-only, and how its pixels map to the photo's."""
        if self._map is None:
            self._map = self._mapped()
        width, height = self._sizes[i].tolist()
        pixels = np.frombuffer(self._map, np.uint8, 3 * width * height, int(self._offsets[i]))
        return pixels.reshape(height, width, 3), self._to_photo[i]

    def close(self) -> None:
        """Lets the cache be given up."""
        if self._held is not None:
            self._held.close()
        self._map = None

    def __getstate__(self) -> dict:
        # another process maps the file itself; the process that opened the cache holds it
        return {**self.__dict__, "_map": None, "_held": None}


class CropWriter:
    """Writes a cache: every crop with :meth:`put`, in any order, then :meth:`finish`; or :meth:`abandon`.

    Args:
        folder: The cache's folder.
        name: Its name.
        crops: What it shall hold.

    Raises:
        OSError: The disk has no room.
    """

    def __init__(self, folder: Path, name: str, crops: Sequence[Crop]):
        self._folder, self._name, self._crops = folder, name, crops
        self._offsets = offsets_of(crops)
        self._temporary = folder / f".{name}{PIXELS}{UNFINISHED}"
        self._file = self._temporary.open("wb")
        try:
            self._reserve(int(self._offsets[-1]))
        except OSError:
            self.abandon()
            raise

    def _reserve(self, size: int) -> None:
        allocate: Callable | None = getattr(os, "posix_fallocate", None)
        if allocate is not None:
            allocate(self._file.fileno(), 0, size)
        else:
            self._file.truncate(size)

    def put(self, i: int, pixels: np.ndarray) -> None:
        """Writes crop ``i``, uint8 [h, w, 3]."""
        width, height = self._crops[i].size
        if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"crop {i}: expected uint8 {(height, width, 3)}, found {pixels.dtype} {pixels.shape}")
        self._file.seek(int(self._offsets[i]))
        self._file.write(np.ascontiguousarray(pixels).data)

    def finish(self) -> None:
        """Makes the cache valid."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        replace(self._temporary, self._folder / (self._name + PIXELS))
        with atomic_write(self._folder / (self._name + INDEX)) as file:
            json.dump(_index_of(self._crops), file)

    def abandon(self) -> None:
        """Removes what was written."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)
