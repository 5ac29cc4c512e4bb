"""Coordinates that are no pixels, told by how far the largest of a whole file reaches."""

from __future__ import annotations

import numpy as np

#: Largest coordinate of fractions (points may lie a little outside) and of percent.
_FRACTION, PERCENT = 1.5, 100.0
#: In pictures of fewer pixels a coordinate below 100 is nothing odd.
_LARGE_SIDE = 300


def other_unit(points: np.ndarray, sizes: np.ndarray) -> str:
    """In words, the unit other than pixels that a file's coordinates seem to have, or "".

    Args:
        points: float [N, K, 2], NaN where not labelled.
        sizes: float [M, 2], width and height of pictures, NaN where unknown.
    """
    known, sides = points[np.isfinite(points)], sizes[np.isfinite(sizes)]
    # two points may lie anywhere
    if known.size <= 4 or not 0 < known.max() <= PERCENT:
        return ""
    largest, side = known.max(), np.median(sides) if sides.size else np.inf
    if largest <= _FRACTION and side > 10 * _FRACTION:
        return f"no coordinate is above {largest:.4g}: fractions?"
    if known.size >= 2 * points.shape[1] and sides.size and side >= _LARGE_SIDE:
        return f"no coordinate is above {largest:.4g} in pictures of {side:.0f} pixels: percent?"
    return ""
