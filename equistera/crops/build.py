"""Building a cache: once for all processes that ask for it, in parallel, within a limit on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from equistera.crops.fingerprints import Fingerprints, digest_of
from equistera.crops.pictures import decode
from equistera.crops.plan import Crop, Request, cut
from equistera.crops.store import INDEX, PIXELS, UNFINISHED, CropStore, CropWriter, offsets_of
from equistera.errors import UserError, WriteError
from equistera.files import exclusive, in_use
from equistera.in_order import in_order
from equistera.progress import track
from equistera.words import counted

#: Bytes of a disk that are left free for everything else.
SPARE = 1 << 30
#: Bytes of decoded photos that may be in memory at once.
_DECODED = 1 << 30
_MOST_THREADS = 16


class CacheRefused(UserError):
    """There is no room for a cache."""


def find(folder: Path, request: Request) -> CropStore | None:
    """The cache that holds just what is wanted, if there is one; no picture is read for the answer."""
    crops = request.crops(Fingerprints(folder))
    return None if crops is None else CropStore.open(folder, request.name(crops), crops)


def ensure(folder: Path, request: Request, max_bytes: int, say: Callable[[str], None] = print) -> CropStore:
    """Opens a cache, which is made if it is not there.

    Of several processes that ask at once, one makes it and the others wait. What a killed process left is removed. If
    the folder would grow beyond ``max_bytes``, the caches that were used longest ago and are not in use now go first.

    Args:
        folder: Where caches lie; made if it is missing.
        request: What is wanted.
        max_bytes: Most that all caches in the folder may take together.
        say: Takes a line for the user.

    Returns:
        The open cache.

    Raises:
        CacheRefused: The folder cannot be written, the limit is too low or the disk too full.
        UserError: A picture cannot be decoded, or changes while it is read.
    """
    found = find(folder, request)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / ".lock", waiting=lambda: say(f"waiting for another process that writes to {folder}")):
            fingerprints = Fingerprints(folder)
            fingerprints.read((animal.path for animal in request.animals), threads_for())
            crops = request.crops(fingerprints)
            if crops is None:
                raise UserError("pictures change while they are read", hint="Start again when that is over")
            name = request.name(crops)
            found = CropStore.open(folder, name, crops)
            if found is None:
                _make(folder, name, crops, max_bytes, say)
                found = CropStore.open(folder, name, crops)
    except (OSError, WriteError) as error:
        reason = error.reason if isinstance(error, WriteError) else error.strerror or error
        raise CacheRefused(
            f"the crop cache cannot be written to {folder}: {reason}", hint="--cache names another folder"
        ) from error
    if found is None:
        raise CacheRefused(f"the crop cache {folder / name} was removed by another program while it was made")
    return found


def _make(folder: Path, name: str, crops: Sequence[Crop], max_bytes: int, say: Callable[[str], None]) -> None:
    # nobody else writes here now, so these are leftovers of processes that were killed
    for leftover in [*folder.glob(f".*{UNFINISHED}"), folder / (name + INDEX), folder / (name + PIXELS)]:
        leftover.unlink(missing_ok=True)
    for pixels in folder.glob(f"*{PIXELS}"):
        if not pixels.with_suffix(INDEX).exists():
            pixels.unlink()
    size = int(offsets_of(crops)[-1])
    _make_room(folder, size, max_bytes, say)
    say(f"crop cache: {counted(len(crops), 'animals')}, {_mb(size)} in {folder} (limit {_mb(max_bytes)})")
    writer = CropWriter(folder, name, crops)
    try:
        for i, pixels in _crops_of(crops):
            writer.put(i, pixels)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _make_room(folder: Path, size: int, max_bytes: int, say: Callable[[str], None]) -> None:
    """Removes old caches as far as needed."""
    if size > max_bytes:
        raise CacheRefused(
            f"the crop cache would take {_mb(size)}, more than the limit of {_mb(max_bytes)}",
            hint="--cfg-options cache.max_gb=N raises it",
        )
    caches = sorted(folder.glob(f"*{PIXELS}"), key=lambda path: path.with_suffix(INDEX).stat().st_mtime)
    sizes = {path: path.stat().st_size for path in caches}

    def fits() -> bool:
        return sum(sizes.values()) + size <= max_bytes and shutil.disk_usage(folder).free >= size + SPARE

    for path in caches:
        index = path.with_suffix(INDEX)
        if fits():
            break
        if in_use(index):
            continue
        with contextlib.suppress(PermissionError):  # Windows: in use
            index.unlink()
            path.unlink()
            say(f"crop cache: removed {path.name} ({_mb(sizes.pop(path))}), which was used longest ago")
    if not fits():
        free = shutil.disk_usage(folder).free
        raise CacheRefused(
            f"no room for a crop cache of {_mb(size)} in {folder}: {_mb(free)} are free, of which {_mb(SPARE)} "
            f"are left alone; caches in use take {_mb(sum(sizes.values()))} of {_mb(max_bytes)}",
            hint="--cache names another folder",
        )


def _crops_of(crops: Sequence[Crop]) -> Iterator[tuple[int, np.ndarray]]:
    """Every crop with its place in the list; photos are decoded in threads, once for each size that is needed."""
    # a crop's bytes must depend on nothing but itself, not on what else is cut from its photo
    of_decoding: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, crop in enumerate(crops):
        of_decoding[crop.path, crop.factor].append(i)

    def read(places: list[int]) -> list[tuple[int, np.ndarray]]:
        first = crops[places[0]]
        content = Path(first.path).read_bytes()
        if digest_of(content) != first.picture:
            raise UserError(f"{first.path} changed while the crop cache was made", hint="Start again")
        picture = decode(content, first.path, first.header, first.factor)
        return [(i, cut(picture, crops[i])) for i in places]

    largest = max(crop.header.width * crop.header.height * 3 // crop.factor**2 for crop in crops)
    threads = threads_for(largest)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        results = in_order(read, of_decoding.values(), threads, ahead=threads)
        for result in track(results, "making the crop cache", total=len(of_decoding)):
            yield from result
    finally:
        cv2.setNumThreads(before)


def threads_for(bytes_each: int = 0) -> int:
    """Threads to decode with: one for each core, as far as the memory that each may take allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _MOST_THREADS, _DECODED // max(1, bytes_each)))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e6:.1f} MB"
