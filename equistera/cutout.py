"""The part of a picture around an animal, in panels of one size."""

from __future__ import annotations

import numpy as np

BEYOND_THE_PICTURE = (60, 60, 60)


def view(
    shape: tuple[int, ...], bbox: np.ndarray, points: np.ndarray, panel: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """Which part to show: the box and all points with a margin, moved where the panel would reach beyond the picture.

    Args:
        shape: Height and width of the picture.
        bbox: [4], x, y, width, height.
        points: [N, 2], pixels.
        panel: Width and height, pixels.

    Returns:
        The picture's coordinates of the panel's corner, float64 [2], and panel pixels per picture pixel: a point p of
        the picture lies at ``(p - corner) * factor``.
    """
    corners = np.concatenate([points, bbox[None, :2], bbox[None, :2] + bbox[None, 2:]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    factor = float((np.array(panel) / (1.2 * np.maximum(high - low, 1))).min())
    window = np.array(panel) / factor
    room = np.array([shape[1], shape[0]]) - window
    return np.where(room >= 0, np.clip((low + high - window) / 2, 0, np.maximum(room, 0)), room / 2), factor


def cut(picture: np.ndarray, corner: np.ndarray, factor: float, panel: tuple[int, int]) -> np.ndarray:
    """The part of a picture that fills a panel, see :func:`view`; what lies beyond the picture is grey."""
    import cv2

    filled = np.full((panel[1], panel[0], 3), BEYOND_THE_PICTURE, np.uint8)
    size = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(corner), 0, size).astype(int)
    high = np.clip(np.ceil(corner + np.array(panel) / factor), 0, size).astype(int)
    if (high <= low).any():
        return filled
    x0, y0 = np.clip(np.round((low - corner) * factor), 0, panel).astype(int)
    x1, y1 = np.clip(np.round((high - corner) * factor), 0, panel).astype(int)
    if x1 > x0 and y1 > y0:
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        part = picture[low[1] : high[1], low[0] : high[0]]
        filled[y0:y1, x0:x1] = cv2.resize(part, (int(x1 - x0), int(y1 - y0)), interpolation=interpolation)
    return filled
