"""Making a cache: once for all processes that ask for it, in parallel, within a limit on the disk."""

from __future__ import annotations

import os
import shutil
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np

from equistera import commands
from equistera.crops.request import Crop, Request, cut, decoded
from equistera.crops.store import INDEX, PIXELS, CropStore, index_of, offsets_of
from equistera.dataset.images import read_header
from equistera.environment import usable_cores
from equistera.errors import UserError, WriteError
from equistera.files import exclusive, write_json
from equistera.in_order import in_order
from equistera.progress import track
from equistera.words import counted

#: Ends the names of finished caches, and of those that are being made.
FINISHED, UNFINISHED = ".crops", ".crops.part"
#: Bytes of a disk that are left free for everything else.
SPARE = 1 << 30
#: Bytes of decoded photos that may be in memory at once.
_DECODED = 1 << 30
_MOST_THREADS = 16


class CacheRefused(UserError):
    """There is no room for a cache."""


def find(folder: Path, request: Request) -> CropStore | None:
    """The cache that holds just what is wanted, if there is one; no picture is read for the answer."""
    try:
        return CropStore.open(folder / (request.name() + FINISHED), request)
    except OSError:
        # a picture is missing
        return None


def ensure(folder: Path, request: Request, max_bytes: int) -> CropStore:
    """Opens a cache, which is made if it is not there.

    Of several processes that ask at once, one makes it and the others wait. What a killed process left is removed.

    Args:
        folder: Where caches lie; made if it is missing.
        request: What is wanted.
        max_bytes: Most that all caches in the folder may take together.

    Raises:
        CacheRefused: The folder cannot be written, or the limit or the disk leaves no room.
        UserError: A picture cannot be decoded, or changes while it is read.
    """
    if found := find(folder, request):
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            found = find(folder, request) or CropStore.open(_make(folder, request, max_bytes), request)
    except (OSError, WriteError) as error:
        reason = error.reason if isinstance(error, WriteError) else error.strerror or error
        raise CacheRefused(
            f"the crop cache cannot be written to {folder}: {reason}", hint="--cache names another folder"
        ) from error
    if found is None:
        raise CacheRefused(f"the crop cache in {folder} was removed by another program while it was made")
    return found


def clear(folder: Path) -> None:
    """Removes all caches in a folder, and what killed processes left of others; waits for one that is being made.

    Raises:
        UserError: There is no such folder, or something cannot be removed.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    try:
        with _alone(folder):
            caches, size = list(folder.glob(f"*{FINISHED}")), _taken(folder)
            for path in [*caches, *folder.glob(f".*{UNFINISHED}")]:
                _remove(path)
    except OSError as error:
        raise UserError(f"cannot remove {error.filename or folder}: {error.strerror}") from error
    print(f"removed {counted(len(caches), 'crop caches')} ({_mb(size)}) from {folder}")


def _alone(folder: Path) -> AbstractContextManager[None]:
    return exclusive(folder / ".lock", waiting=lambda: print(f"waiting for another process that writes to {folder}"))


def _remove(cache: Path) -> None:
    # earlier versions made files
    shutil.rmtree(cache) if cache.is_dir() else cache.unlink()


def _taken(folder: Path) -> int:
    """Bytes of the caches in a folder."""
    return sum(path.stat().st_size for path in folder.glob(f"*{FINISHED}/{PIXELS}"))


def _make(folder: Path, request: Request, max_bytes: int) -> Path:
    """Makes a cache, while nobody else writes to the folder; returns its path."""
    for leftover in folder.glob(f".*{UNFINISHED}"):
        _remove(leftover)
    paths = list(dict.fromkeys(animal.path for animal in request.animals))
    found = in_order(read_header, paths, _threads(), ahead=len(paths))
    headers = dict(zip(paths, track(found, "reading pictures for the crop cache", total=len(paths)), strict=True))
    crops = [request.crop(i, headers[animal.path]) for i, animal in enumerate(request.animals)]
    # of the pictures as they are now
    cache, offsets = folder / (request.name() + FINISHED), offsets_of(np.array([crop.size for crop in crops])).tolist()
    # a damaged one
    shutil.rmtree(cache, ignore_errors=True)
    _check_room(folder, offsets[-1], max_bytes)
    print(f"crop cache: {counted(len(crops), 'animals')}, {_mb(offsets[-1])} in {folder} (limit {_mb(max_bytes)})")
    unfinished = folder / f".{cache.stem}{UNFINISHED}"
    unfinished.mkdir()
    try:
        rows = [[*crop.region, *crop.size, 0] for crop in crops]
        with (unfinished / PIXELS).open("wb") as file:
            for i, pixels in _cut_all(crops):
                rows[i][-1] = zlib.crc32(pixels)
                file.seek(offsets[i])
                file.write(pixels.data)
            file.truncate(offsets[-1])
            file.flush()
            os.fsync(file.fileno())
        if cache.stem != request.name():
            raise UserError("pictures changed while the crop cache was made", hint="Start again when that is over")
        write_json(unfinished / INDEX, index_of(cache.name, rows))
        unfinished.rename(cache)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return cache


def _check_room(folder: Path, size: int, max_bytes: int) -> None:
    taken, free = _taken(folder), shutil.disk_usage(folder).free
    if size > min(max_bytes - taken, free - SPARE):
        raise CacheRefused(
            f"no room for a crop cache of {_mb(size)} in {folder}: others there take {_mb(taken)} of the limit of "
            f"{_mb(max_bytes)}, and {_mb(free)} of the disk are free, of which {_mb(SPARE)} are left alone",
            hint=f"{commands.tool('build_cache', '--clear', '--cache', folder)} removes the others; --cfg-options "
            "cache.max_gb=N raises the limit; --cache names another folder",
        )


def _cut_all(crops: Sequence[Crop]) -> Iterator[tuple[int, np.ndarray]]:
    """Every crop with its place in the list; photos are decoded in threads, once for each size that is needed."""
    # a crop's bytes must depend on nothing but itself, not on what else is cut from its photo
    of_decoding: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, crop in enumerate(crops):
        of_decoding[crop.path, crop.factor].append(i)

    def read(places: list[int]) -> list[tuple[int, np.ndarray]]:
        picture = decoded(crops[places[0]])
        return [(i, cut(picture, crops[i])) for i in places]

    largest = max(crop.header.width * crop.header.height * 3 // crop.factor**2 for crop in crops)
    threads, before = _threads(largest), cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        results = in_order(read, of_decoding.values(), threads, ahead=threads)
        for result in track(results, "making the crop cache", total=len(of_decoding)):
            yield from result
    finally:
        cv2.setNumThreads(before)


def _threads(bytes_each: int = 1) -> int:
    """Threads to decode with: one for each core, as far as the memory that each may take allows."""
    return max(1, min(usable_cores(), _MOST_THREADS, _DECODED // bytes_each))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e6:.1f} MB"
