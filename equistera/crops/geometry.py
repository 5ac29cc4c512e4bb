"""Where a sample's view lies in its photo, and what all the views that presets can draw have in common.

A view is a rectangle with the input's aspect ratio: a centre and a scale (its width and height in pixels of the
photo) and a rotation. Coordinates are pixels of the photo as displayed, (0, 0) the centre of the top left pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.augmentation import Augmentation

#: Share of the box that the crop shows around it on each axis: MMPose's default, which the public weights saw.
BOX_PADDING = 1.25
#: A half-body crop needs this many labelled keypoints in all, and this many in the half that is kept.
HALF_BODY_TOTAL, HALF_BODY_KEPT = 9, 3
#: Padding around the kept half (MMPose's default).
HALF_BODY_PADDING = 1.5
#: Pixels kept around what can be shown: what interpolation and the minification of whole blocks read beyond it.
MARGIN = 6


def padded_box(box: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale, float32 [2] each, of the view of a box [x1, y1, x2, y2] without augmentation."""
    x1, y1, x2, y2 = box
    return np.array([x1 + x2, y1 + y2], np.float32) / 2, np.array([x2 - x1, y2 - y1], np.float32) * BOX_PADDING


def half_body_box(
    points: np.ndarray, visible: np.ndarray, half: Sequence[int], scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre and scale of the view of one half of the keypoints.

    Args:
        points: float [K, 2], pixels.
        visible: float [K], above 0 where labelled.
        half: The keypoints of that half.
        scale: Scale of the whole animal's view, of which a half takes at least a fifth.

    Returns:
        float32 [2] each, or None where too few keypoints are labelled.
    """
    labelled = visible > 0
    if labelled.sum() < HALF_BODY_TOTAL:
        return None
    ids = np.asarray(half, dtype=int)
    points = points[ids[labelled[ids]]]
    if len(points) < HALF_BODY_KEPT:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    # three points in a row would make a crop of no height
    size = np.maximum(high - low, 0.2 * scale / BOX_PADDING)
    return ((low + high) / 2).astype(np.float32), (size * HALF_BODY_PADDING).astype(np.float32)


def with_aspect_ratio(scale: np.ndarray, ratio: float) -> np.ndarray:
    """The smallest scale around ``scale`` (w, h) with w / h = ratio, float32 [2]."""
    width, height = scale
    if width > height * ratio:
        return np.array([width, width / ratio], dtype=np.float32)
    return np.array([height * ratio, height], dtype=np.float32)


def shrinking(scale: np.ndarray, input_size: tuple[int, int]) -> float:
    """Pixels of the photo for each pixel of the input along one axis, for a view's scale (w, h)."""
    width, height = input_size
    return float(with_aspect_ratio(scale, width / height)[0]) / width


def view_to_input(
    center: np.ndarray, scale: np.ndarray, rotation: float, input_size: tuple[int, int], udp: bool = False
) -> np.ndarray:
    """The map from the photo to the network's input, float64 [2, 3].

    It is that of MMPose's ``get_warp_matrix``; with ``udp`` that of ``get_udp_warp_matrix``, by which the middles of
    the first and of the last pixel lie on the view's edges, for the same sense of rotation.

    ``center`` and ``scale`` [2] are the view's, with the input's aspect ratio; ``rotation`` is in degrees.
    """
    across, angle = np.asarray(input_size) - udp, math.radians(rotation)
    # with a pixel less of each side the zoom is not quite the same along both
    zoom = across / scale.astype(np.float64) if udp else np.full(2, across[0] / float(scale[0]))
    cos, sin = math.cos(angle), math.sin(angle)
    linear = zoom[:, None] * np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, across / 2 - linear @ center.astype(np.float64)])


def presets_of(views: Sequence[float]) -> list[Augmentation]:
    """What crops are made for that show an animal in views of so many times the sides of its padded box."""
    return [Augmentation(scale=(min(views), max(views)))] if views else []


@dataclass(frozen=True)
class Need:
    """What the views of one animal need of its photo.

    Attributes:
        region: x1, y1, x2, y2: all that a view can show, with a margin; not clipped to the photo.
        density: Pixels of the input for each pixel of the photo at the largest zoom-in.
    """

    region: tuple[float, float, float, float]
    density: float


def need_of(
    box: Sequence[float],
    points: np.ndarray,
    visible: np.ndarray,
    halves: Sequence[Sequence[int]],
    presets: Sequence[Augmentation],
    input_size: tuple[int, int],
) -> Need:
    """What an animal's photo must give for every view that presets can draw, whatever the codec.

    UDP's views are the same rectangles, with half a pixel of the input around them (which the margin has) and not
    quite as fine, so they share their crops.

    Args:
        box: x1, y1, x2, y2.
        points: float [K, 2].
        visible: float [K].
        halves: Keypoints of the upper and of the lower body.
        presets: What is drawn from; none for the view without augmentation.
        input_size: Width and height of the network's input.
    """
    whole = padded_box(box)
    views = [whole]
    presets = presets or [Augmentation()]
    if any(preset.half_body for preset in presets):
        views += [v for half in halves if (v := half_body_box(points, visible, half, whole[1])) is not None]
    ratio = input_size[0] / input_size[1]
    smallest, largest = min(preset.scale[0] for preset in presets), max(preset.scale[1] for preset in presets)
    shift, rotation = max(preset.shift for preset in presets), max(preset.rotation for preset in presets)
    density = max(1 / shrinking(s * smallest, input_size) for _, s in views)
    corners = []
    for center, scale in views:
        center, scale = center.astype(float), scale.astype(float)
        width, height = with_aspect_ratio(scale * largest, ratio).tolist()
        turned = np.array([_widest(width, height, rotation), _widest(height, width, rotation)])
        room = scale / BOX_PADDING * shift + turned / 2 + MARGIN / min(density, 1.0)
        corners.append([*(center - room), *(center + room)])
    corners = np.array(corners)
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return Need((float(low[0]), float(low[1]), float(high[0]), float(high[1])), density)


def _widest(along: float, across: float, rotation: float) -> float:
    """Side of the upright box around a rectangle that is turned by up to ``rotation`` degrees."""
    angle = min(math.radians(rotation), math.atan2(across, along))
    return along * math.cos(angle) + across * math.sin(angle)
