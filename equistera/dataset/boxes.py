"""Boxes for animals that were labelled without one."""

from __future__ import annotations

import numpy as np

#: Share of the longer side by which a box made from points is padded on each side: ears, belly and hooves reach
#: beyond the keypoints.
PADDING = 0.1


def box_around(points: np.ndarray, width: float, height: float) -> list[float] | None:
    """A padded box around points, clipped to the picture.

    Args:
        points: [N, 2] pixels, the labelled points.
        width: Pixels of the picture; infinity where unknown.
        height: Pixels of the picture; infinity where unknown.

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
