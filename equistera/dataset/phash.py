"""Perceptual hashes: which pictures show nearly the same thing, such as two frames of one burst.

The hash is pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the picture
at 32x32 grey pixels, its 8x8 lowest DCT frequencies, one bit each for above or below their median. It survives scaling,
compression and small changes of light, but not cropping. Mirrored and turned copies, as augmentation makes them, are
found by hashing every picture in all eight ways to lay it down: to mirror a picture changes the sign of every other
frequency, to turn it over the diagonal exchanges rows and columns.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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

#: Hashes of a picture and of its mirrored and turned copies.
Turned = tuple[int, ...]

_SIDE, _LOW = 32, 8
#: Longest side that is decoded before scaling to 32x32: large enough that a JPEG's coarse decoding does no harm.
_DECODED_SIDE = 4 * _SIDE


def turned_hashes(path: str | Path, *, by_thumbnail: bool = False) -> Turned:
    """The hashes of a picture file, as it is displayed, and of its mirrored and turned copies.

    Args:
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


_FREQUENCY, _SAMPLE = np.ogrid[:_LOW, :_SIDE]
#: float64 [8, 32]: the first rows of the DCT-II (its constant factors do not change the order of values).
_DCT = np.cos(np.pi * _FREQUENCY * (2 * _SAMPLE + 1) / (2 * _SIDE))

_ODD = (-1.0) ** np.arange(_LOW)
#: What mirroring does to the frequencies: not, left to right, upside down, both.
_MIRRORED = (np.ones((_LOW, _LOW)), np.outer(np.ones(_LOW), _ODD), np.outer(_ODD, np.ones(_LOW)), np.outer(_ODD, _ODD))


def duplicate_groups(paths: Mapping[str, Path], distance: int) -> list[list[str]]:
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
    ways = every = table_of(hashes)
    left, groups = np.arange(len(hashes)), []
    while len(left):
        group, left, ways = [int(left[0])], left[1:], ways[:, 1:]
        asked = set()
        # it grows while it is walked, by what has no group yet
        for one in group:
            own = every[:, one]
            if own.tobytes() in asked:
                continue
            asked.add(own.tobytes())
            near = are_near(ways, own, distance)
            if near.any():
                group += left[near].tolist()
                left, ways = left[~near], ways[:, ~near]
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def near_pairs(first: Sequence[Turned], second: Sequence[Turned], distance: int = DISTANCE) -> list[tuple[int, int]]:
    """Pairs of pictures from two lists whose hashes are close, such as a training and a validation file.

    Args:
        first: Of N pictures, as in :func:`near_duplicates`.
        second: Of M pictures.
        distance: As there.

    Returns:
        Positions in ``first`` and in ``second``, in order.
    """
    ways = table_of(second)
    near = (np.flatnonzero(are_near(ways, one, distance)).tolist() for one in table_of(first).T)
    return [(i, j) for i, found in enumerate(near) for j in found]


def table_of(hashes: Sequence[Turned]) -> np.ndarray:
    """The hashes of N pictures as uint64 [ways, N]."""
    return np.array(hashes, dtype=np.uint64).reshape(len(hashes), -1 if len(hashes) else 1).T.copy()


def are_near(ways: np.ndarray, one: np.ndarray, distance: int) -> np.ndarray:
    """bool [N]: the pictures (:func:`table_of`) that are close to one, [ways], in some way to lay either down.

    Turned hashes are rounded, so that the one way may find what the other just misses.
    """
    turned, others = np.bitwise_count(ways ^ one[0]), np.bitwise_count(ways[0] ^ one[1:, None])
    return (turned <= distance).any(axis=0) | (others <= distance).any(axis=0)
