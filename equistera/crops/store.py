"""Crops as data sets read them: from a finished cache, or cut from the photos each time, to the same bits.

A cache is a folder ``LABEL-KEY.crops`` with all crops one after the other in the file ``pixels`` and, in
``index.json``, the place of each in its photo and a sum of its bytes. It gets its name when both are on the disk.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equistera.crops.decoding import ToPhoto, from_blocks
from equistera.crops.request import Crop, Request, cut, decoded
from equistera.dataset.images import read_header
from equistera.errors import UserError
from equistera.files import read_json

PIXELS, INDEX = "pixels", "index.json"
#: Crops start at multiples of this many bytes: a cache line.
_ALIGNED = 64


class DecodedCrops:
    """What :class:`CropStore` gives, bit for bit, made anew from the photo each time."""

    def __init__(self, request: Request):
        self.request = request
        self._planned: dict[int, Crop] = {}

    def __len__(self) -> int:
        return len(self.request.animals)

    def __getitem__(self, i: int) -> tuple[np.ndarray, ToPhoto]:
        """Crop ``i``: BGR uint8 [h, w, 3], and how its pixels map to the photo's.

        Raises:
            UserError: The photo is missing or cannot be decoded.
        """
        crop = self._planned.get(i)
        if crop is None:
            crop = self._planned[i] = self.request.crop(i, read_header(self.request.animals[i].path))
        return cut(decoded(crop), crop), crop.to_photo


class CropStore(DecodedCrops):
    """Crops in a finished cache; make one with :meth:`open`.

    The file is mapped into memory, so all processes share one copy of what they read, and the system may take it back.
    Each process compares a crop with its sum when it first reads it. One that is damaged is cut from its photo instead,
    which is said, and the cache is given up, so that the next run makes it anew.

    Args:
        folder: The cache.
        request: What it holds crops for.
        rows: int64 [N, 7] of its index, see :func:`index_of`.
    """

    def __init__(self, folder: Path, request: Request, rows: np.ndarray):
        super().__init__(request)
        self._folder, self._sizes, self._sums = folder, rows[:, 4:6], rows[:, 6]
        self._offsets = offsets_of(self._sizes)
        scales = (rows[:, 2:4] - rows[:, :2]) / self._sizes
        self._to_photo = np.stack(from_blocks(scales, rows[:, :2]), axis=-1)
        self._checked = bytearray(len(rows))
        # at once, so that the crops stay readable whatever becomes of the file's name
        self._map: mmap.mmap | None = self._mapped()

    def _mapped(self) -> mmap.mmap:
        with (self._folder / PIXELS).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def open(cls, folder: Path, request: Request) -> CropStore | None:
        """Opens the cache in ``folder``; None if it is not there, not whole, or holds anything else."""
        try:
            content = read_json(folder / INDEX)
            if content != index_of(folder.name, content["crops"]) or len(content["crops"]) != len(request.animals):
                return None
            store = cls(folder, request, np.array(content["crops"]))
            return store if (folder / PIXELS).stat().st_size == store.bytes else None
        except (OSError, UserError, LookupError, TypeError, ValueError):
            return None

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
        if not self._checked[i]:
            if zlib.crc32(pixels) != self._sums[i]:
                self._give_up()
                return super().__getitem__(i)
            self._checked[i] = 1
        return pixels.reshape(height, width, 3), self._to_photo[i]

    def _give_up(self) -> None:
        if (self._folder / INDEX).exists():
            # where that is forbidden, every run finds the damage and says it
            with contextlib.suppress(OSError):
                (self._folder / INDEX).unlink()
            print(
                f"the crop cache {self._folder} is damaged: damaged crops are cut from their photos, and the next run "
                "makes the cache anew",
                flush=True,
            )

    def __getstate__(self) -> dict:
        # another process maps the file itself
        return {**self.__dict__, "_map": None}


def offsets_of(sizes: np.ndarray) -> np.ndarray:
    """int64 [N + 1]: where each crop of a width and height [N, 2] starts in the file, and the size of the file."""
    return np.concatenate([[0], np.cumsum(-(-3 * sizes.prod(axis=1) // _ALIGNED) * _ALIGNED)])


def index_of(name: str, rows: Sequence[Sequence[int]]) -> dict:
    """What stands in the index of a cache.

    Args:
        name: Of its folder.
        rows: Of each crop x1, y1, x2, y2 in its photo, width and height as stored, and the sum of its bytes.
    """
    return {"cache": name, "crops": rows, "sum": zlib.crc32(json.dumps(rows).encode())}
