"""Keypoints, visibility, box and area of a rendered horse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera import skeleton
from equistera.skeleton import Skeleton
from equistera.synthetic.anatomy import Build
from equistera.synthetic.camera import NEAR, Camera

#: How far behind the visible surface a keypoint may lie and still count as visible, in heights at the withers of a
#: horse of usual stoutness.
#: Joints lie inside the limb, at about half its thickness seen from any side; the base of the neck is the middle of a
#: thick section. On the far side of head, limb or trunk there is more than this in front of a point.
TOLERANCE = {
    "nose": 0.060,
    "l_eye": 0.035,
    "r_eye": 0.035,
    "l_ear": 0.040,
    "r_ear": 0.040,
    "neck": 0.200,
    "withers": 0.050,
    "back": 0.050,
    "tail_base": 0.060,
    "tail_end": 0.060,
    "elbow": 0.110,
    "knee": 0.065,
    "hip": 0.140,
    "hock": 0.070,
    "fetlock": 0.060,
    "hoof": 0.075,
}
HIDDEN, VISIBLE = 1, 2


@dataclass(frozen=True)
class Label:
    """What is known of one horse in a picture.

    Attributes:
        keypoints: float64 [26, 3], x, y, v of the skeleton ``horse26``; v is 2 visible, 1 inside the picture but
            hidden, 0 outside the picture (x and y are 0 then).
        bbox: x, y, width, height of the horse inside the picture, with what others hide of it.
        silhouette_area: Pixels of the horse inside the picture, with what others hide of it.
        visible_area: Pixels that can be seen.
    """

    keypoints: np.ndarray
    bbox: tuple[float, float, float, float]
    silhouette_area: int
    visible_area: int


def tolerance_of(name: str) -> float:
    """Entry of ``TOLERANCE`` for a keypoint of ``horse26``: its own, or that of the joint."""
    return TOLERANCE[name] if name in TOLERANCE else TOLERANCE[name.split("_", 1)[1]]


def tolerance_unit(build: Build) -> float:
    """Metres for one unit of ``TOLERANCE``: the horse's height, more where its limbs are stouter than usual."""
    return build.height * max(1.0, build.bone, build.muscle)


def label_keypoints(points: dict[str, np.ndarray], camera: Camera, depth: np.ndarray, unit: float) -> np.ndarray:
    """Projects keypoints and decides which can be seen.

    Args:
        points: [3] by name, world.
        camera: The camera.
        depth: [H, W], depth of whatever is nearest in the finished picture, infinite for the background.
        unit: Metres for one unit of ``TOLERANCE``, see :func:`tolerance_unit`.

    Returns:
        float64 [26, 3], see :class:`Label`.
    """
    names = skeleton.load("horse26").names
    world = np.stack([points[name] for name in names])
    pixels, distance = camera.project(world)
    result = np.zeros((len(names), 3))
    for k, name in enumerate(names):
        x, y = pixels[k]
        # a pixel reaches half a pixel beyond its centre
        if distance[k] <= NEAR or not (-0.5 <= x < camera.width - 0.5 and -0.5 <= y < camera.height - 0.5):
            continue
        in_front = distance[k] - depth[round(float(y)), round(float(x))]
        result[k] = x, y, VISIBLE if in_front <= tolerance_of(name) * unit else HIDDEN
    return result


def convert(keypoints: np.ndarray, target: Skeleton) -> np.ndarray:
    """Keypoints of ``horse26`` as those of another skeleton, by the matches marked exact.

    Args:
        keypoints: [26, 3].
        target: The skeleton to label with.

    Returns:
        float64 [K, 3]; points without an exact match are 0, 0, 0 (not labelled).
    """
    source = skeleton.load("horse26")
    result = np.zeros((len(target), 3))
    for match in target.correspondence_from(source):
        if match.exact:
            result[target.index[match.target]] = keypoints[source.index[match.source]]
    return result
