"""Boxes of followed animals as their middle and size (x, y, width, height; pixels), and whose a found box is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equistera.dataset.boxes import overlaps, shared_areas

#: Overlap of a box that was found with one that is followed, from which they are one animal.
SAME_ANIMAL = 0.3
#: Or how far, in its longer sides, the middle of what was found may lie from that of an animal of about its size (an
#: area up to so many times as large) in whose box nothing else is found: that has moved otherwise than expected.
NEAR, ABOUT_AS_LARGE = 0.75, 2.0
#: Frames beside one that say where an animal is in it.
_BESIDE = 4


def animals_shown(boxes: np.ndarray, followed: Sequence[np.ndarray]) -> list[int | None]:
    """Which followed animal each found box shows, if any.

    Args:
        boxes: [N, 4], middle and size, the surest first.
        followed: Where the animals are expected, the same.
    """
    shown: list[int | None] = [None] * len(boxes)
    expected = list(followed)
    for b, box in enumerate(boxes):
        shared = [overlap(box, other) for other in expected]
        if shared and max(shared) >= SAME_ANIMAL:
            shown[b] = p = int(np.argmax(shared))
            # a part of it lies in what was expected rather than in what was found
            expected[p] = box
    for b, box in enumerate(boxes):
        free = [p for p in range(len(followed)) if p not in shown and np.isfinite(followed[p]).all()]
        if shown[b] is None and free:
            away = [float(np.linalg.norm(followed[p][:2] - box[:2])) / box[2:].max() for p in free]
            p = free[int(np.argmin(away))]
            size = np.prod(followed[p][2:]) / np.prod(box[2:])
            if min(away) <= NEAR and 1 / ABOUT_AS_LARGE <= size <= ABOUT_AS_LARGE:
                shown[b] = p
    return shown


def from_neighbours(t: int, boxes: np.ndarray, good: np.ndarray) -> list[np.ndarray]:
    """Where the frames beside, [T, 4] where ``good``, say that an animal is: between them, or as it went on."""
    there = np.flatnonzero(good)
    if not len(there):
        return []
    before, after = there[there < t], there[there > t]
    if len(before) and len(after):
        return [np.array([np.interp(t, there, boxes[there, i]) for i in range(4)])]
    near = (before[-_BESIDE:] if len(before) else after[:_BESIDE]).astype(int)
    end = near[-1] if len(before) else near[0]
    box = boxes[end].copy()
    if len(near) > 1:
        box[:2] += np.clip((t - end) * np.polyfit(near, boxes[near, :2], 1)[0], -box[2:], box[2:])
    return [box]


def centred(xywh: Sequence[float]) -> np.ndarray:
    """The middle and size of a box (x, y, width, height)."""
    x, y, width, height = xywh
    return np.array([x + width / 2, y + height / 2, width, height])


def cornered(box: np.ndarray) -> np.ndarray:
    """The opposite of :func:`centred`."""
    return np.concatenate([box[:2] - box[2:] / 2, box[2:]])


def share_inside(inner: np.ndarray, outer: np.ndarray) -> float:
    """Share of a box that lies in another one."""
    return float(shared_areas(cornered(inner)[None], cornered(outer)[None])[0, 0] / np.prod(inner[2:]))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 0 where one is NaN."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    return float(overlaps(cornered(a)[None], cornered(b)[None])[0, 0])
