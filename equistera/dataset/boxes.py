"""Coordinates and boxes: how exact they are, whether they are pixels, and boxes for animals without one."""

from __future__ import annotations

import numpy as np

# what the converters let pass, verification must not call a mistake
#: Pixels by which a point or box may stand outside its picture: rounding, and points at the edge of the last pixel.
EDGE = 1.0
#: An area below this share of its box is not a horse's: even a rope's is larger.
MIN_AREA_SHARE = 0.01
#: Pixels within which two labels agree.
SAME = 0.5


#: Share of the longer side by which a box made from points is padded on each side: ears, belly and hooves reach
#: beyond the keypoints.
PADDING = 0.1


def box_around(points: np.ndarray, width: float, height: float) -> list[float] | None:
    """A padded box around points, clipped to the picture.

    Args:
        points: [N, 2] pixels, the labelled points.
        width: Pixels of the picture, like ``height``; infinity where unknown.

    Returns:
        ``[x, y, width, height]``, or None if the points span no area.
    """
    if len(points) < 2 or not (np.ptp(points, axis=0) > 0).all():
        return None
    room = PADDING * np.ptp(points, axis=0).max()
    return clip_box([*(points.min(axis=0) - room), *(np.ptp(points, axis=0) + 2 * room)], width, height)


def clip_box(box: list[float], width: float, height: float) -> list[float] | None:
    """The part of ``[x, y, width, height]`` that lies in the picture, or None if there is none."""
    x, y, w, h = box
    low, high = np.maximum([x, y], 0), np.minimum([x + w, y + h], [width, height])
    return [*low.tolist(), *(high - low).tolist()] if (high > low).all() else None


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


def shared_areas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area that each box of one set shares with each of another.

    Args:
        a: float [N, 4], x, y, width, height.
        b: float [M, 4], likewise.

    Returns:
        float [N, M], square pixels.
    """
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum((a[:, :2] + a[:, 2:])[:, None], b[:, :2] + b[:, 2:])
    return np.maximum(high - low, 0).prod(axis=-1)


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, float [N, M], of boxes as :func:`shared_areas` takes them; 0 for boxes of no area."""
    shared = shared_areas(a, b)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
