"""Perceptual hashes: which pictures show nearly the same thing, such as two frames of one burst.

The hash is pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the picture
at 32x32 grey pixels, its 8x8 lowest DCT frequencies, one bit each for above or below their median. It survives scaling,
compression and small changes of light, but not cropping. Mirrored and turned copies, as augmentation makes them, are
found by hashing every picture in all eight ways to lay it down: to mirror a picture changes the sign of every other
frequency, to turn it over the diagonal exchanges rows and columns.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from equistera.dataset import images
from equistera.errors import UserError
from equistera.progress import track
from equistera.words import counted

#: Bits of 64 in which two pictures of nearly the same scene may differ.
DISTANCE = 6

#: Pictures that all others are compared with first, pairs that are compared at a time, and the largest distance at
#: which parts of hashes tell what need not be compared.
_PIVOTS, _BLOCK, _FEW_BITS = 64, 1 << 20, 12

#: Hashes of a picture and of its mirrored and turned copies.
Turned = tuple[int, ...]

_SIDE, _LOW = 32, 8
#: Longest side that is decoded before scaling to 32x32: large enough that a JPEG's coarse decoding does no harm.
_DECODED_SIDE = 4 * _SIDE


def perceptual_hash(path: str | Path) -> int:
    """The 64-bit hash of a picture file, turned as it is displayed.

    Raises:
        ImageError: The picture cannot be decoded.
    """
    return turned_hashes(path)[0]


def turned_hashes(path: str | Path, *, by_thumbnail: bool = False) -> Turned:
    """The hashes of a picture file, as it is displayed, and of its mirrored and turned copies.

    Args:
        path: The picture.
        by_thumbnail: Hash the thumbnail that a camera has put into the file, where there is one: a hundred times
            faster, at most a few bits different, and damage to the picture goes unseen.

    Raises:
        ImageError: The picture cannot be decoded.
    """
    grey = images.read_thumbnail(path) if by_thumbnail else None
    return hashes_of(images.read_reduced(path, _DECODED_SIDE, grey=True) if grey is None else grey)


def hashes_of(grey: np.ndarray) -> Turned:
    """The 64-bit hashes of decoded pixels in the eight ways to lay a picture down, the given one first.

    Args:
        grey: uint8 [H, W].

    Returns:
        Unsigned integers; the lowest frequency is the highest bit.
    """
    small = np.asarray(Image.fromarray(grey).resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)
    # without rounding, the last digits of what should be 0 would decide the bits of flat and symmetric pictures
    low = (_DCT @ small @ _DCT.T).round(6)
    ways = np.stack([turned * signs for turned in (low, low.T) for signs in _MIRRORED]).reshape(-1, _LOW * _LOW)
    bits = np.packbits(ways > np.median(ways, axis=1, keepdims=True), axis=1)
    return tuple(int.from_bytes(row.tobytes(), "big") for row in bits)


def _dct_rows(count: int, size: int) -> np.ndarray:
    """float64 [count, size]: the first rows of the DCT-II (its constant factors do not change the order of values)."""
    frequency, sample = np.ogrid[:count, :size]
    return np.cos(np.pi * frequency * (2 * sample + 1) / (2 * size))


_DCT = _dct_rows(_LOW, _SIDE)

_ODD = (-1.0) ** np.arange(_LOW)
#: What mirroring does to the frequencies: not, left to right, upside down, both.
_MIRRORED = (np.ones((_LOW, _LOW)), np.outer(np.ones(_LOW), _ODD), np.outer(_ODD, np.ones(_LOW)), np.outer(_ODD, _ODD))


def duplicate_groups(paths: Mapping[Hashable, Path], distance: int) -> list[list[Hashable]]:
    """Groups of near-duplicate pictures (:func:`near_duplicates`), hashed on all cores by their thumbnails.

    Raises:
        UserError: Pictures that cannot be read, all of them listed.
    """

    def hashed(path: Path) -> Turned | images.ImageError:
        try:
            return turned_hashes(path, by_thumbnail=True)
        except images.ImageError as error:
            return error

    # decoding releases Python's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(track(pool.map(hashed, paths.values()), "comparing pictures", total=len(paths)))
    broken = [str(result) for result in results if isinstance(result, images.ImageError)]
    if broken:
        raise UserError(
            f"{len(broken)} of {counted(len(paths), 'pictures')} cannot be compared:",
            broken,
            "Set the picture folder with --img-dir, or repair them. Or move them away and convert the annotation file "
            "with tools/convert_dataset.py, which leaves out pictures that are missing.",
        )
    ids, hashes = list(paths), [result for result in results if not isinstance(result, images.ImageError)]
    return [[ids[i] for i in group] for group in near_duplicates(hashes, distance)]


def near_duplicates(hashes: Sequence[Turned], distance: int = DISTANCE) -> list[list[int]]:
    """Groups pictures whose hashes are close, mirrored and turned or not, directly or through others between them.

    Args:
        hashes: Of N pictures, equally many unsigned 64-bit hashes each; those of one are compared with all of another.
        distance: Number of bits that may differ, 0 to 64.

    Returns:
        Groups of two and more positions in ``hashes``, each sorted, ordered by their first member.
    """
    unique, inverse = np.unique(_table(hashes), axis=0, return_inverse=True)
    component = np.arange(len(unique))
    # a large group, such as a video's, is found as one before its pictures are compared with one another
    for one in np.unique(np.linspace(0, len(unique) - 1, min(len(unique), _PIVOTS)).astype(int)):
        near = np.flatnonzero((np.bitwise_count(unique ^ unique[one, 0]) <= distance).any(axis=1))
        component = _joined(component, np.full(len(near), one), near)
    for parts in _parts(distance):
        # entries of one key stand together, in the order of their components: only those behind the own one are asked
        keys = _keys(unique, parts) * len(unique) + component[:, None]
        order = keys.argsort(axis=None)
        keys, own = keys.ravel()[order], keys[:, 0]
        behind = np.searchsorted(keys, own, "right")
        end = np.searchsorted(keys, (own // len(unique) + 1) * len(unique))
        for ones, entries in _pairs(behind, end, order):
            apart = component[ones] != component[entries // unique.shape[1]]
            ones, entries = ones[apart], entries[apart]
            near = np.bitwise_count(unique.ravel()[entries] ^ unique[ones, 0]) <= distance
            component = _joined(component, ones[near], entries[near] // unique.shape[1])
    members: dict[int, list[int]] = {}
    for position, which in enumerate(component[inverse.ravel()].tolist()):
        members.setdefault(which, []).append(position)
    return sorted(group for group in members.values() if len(group) > 1)


def near_pairs(first: Sequence[Turned], second: Sequence[Turned], distance: int = DISTANCE) -> list[tuple[int, int]]:
    """Pairs of pictures from two lists whose hashes are close, such as a training and a validation file.

    Args:
        first: Of N pictures, as in :func:`near_duplicates`.
        second: Of M pictures.
        distance: Number of bits that may differ, 0 to 64.

    Returns:
        Positions in ``first`` and in ``second``, in order.
    """
    asked, table = _table(first)[:, 0], _table(second)
    found: set[tuple[int, int]] = set()
    for parts in _parts(distance):
        own, keys = _keys(asked, parts), _keys(table, parts).ravel()
        order = keys.argsort()
        start, end = (np.searchsorted(keys[order], own, side) for side in ("left", "right"))
        for ones, entries in _pairs(start, end, order):
            near = np.bitwise_count(table.ravel()[entries] ^ asked[ones]) <= distance
            found.update(zip(ones[near].tolist(), (entries[near] // table.shape[1]).tolist(), strict=True))
    return sorted(found)


def _table(hashes: Sequence[Turned]) -> np.ndarray:
    """uint64 [N, ways]."""
    return np.array(hashes, dtype=np.uint64).reshape(len(hashes), -1 if len(hashes) else 1)


def _parts(distance: int) -> list[tuple[tuple[int, int], ...]]:
    """Pairs of bit ranges such that hashes which are close agree in both ranges of at least one pair."""
    if distance > _FEW_BITS:
        return [()]  # so small parts would exclude too little: all are compared with all
    # each bit that differs spoils one part at most, so that two are left
    count = max(8, distance + 2)
    edges = [64 * i // count for i in range(count + 1)]
    return list(itertools.combinations(itertools.pairwise(edges), 2))


def _keys(hashes: np.ndarray, parts: Iterable[tuple[int, int]]) -> np.ndarray:
    """int64, of the shape of ``hashes``: their bits in the given ranges."""
    key = np.zeros(hashes.shape, dtype=np.int64)
    for low, high in parts:
        key = key << (high - low) | (hashes >> np.uint64(low) & np.uint64(2 ** (high - low) - 1)).astype(np.int64)
    return key


def _pairs(start: np.ndarray, end: np.ndarray, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every position in ``start`` with each of ``order[start:end]``, in blocks that bound the memory."""
    sizes = end - start
    ends = sizes.cumsum()
    first = 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(ends, ends[first] - sizes[first] + _BLOCK, "right")))
        size = sizes[first:last]
        within = np.arange(size.sum()) - np.repeat(size.cumsum() - size, size)
        yield np.repeat(np.arange(first, last), size), order[np.repeat(start[first:last], size) + within]
        first = last


def _joined(component: np.ndarray, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Components of which those of linked pictures are one, numbered by their first picture."""
    if not len(ones):
        return component
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = np.ones(len(ones), dtype=bool), (component[ones], component[others])
    _, label = connected_components(coo_array(links, shape=(len(component),) * 2), directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label[component]]
