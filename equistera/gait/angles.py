"""Angles of joints over time, on the picture: true angles only where the horse is seen from its side."""

from __future__ import annotations

import numpy as np

from equistera.gait.body import Body

#: Horses have no label at stifle or shoulder by default, so the elbow is measured against the withers and the hock
#: against the hip; where a skeleton has a ``stifle`` it is used.
_SIDES = {"l": "left", "r": "right"}


def joints(names: dict[str, int]) -> dict[str, tuple[str, str, str]]:
    """The joints that a skeleton's points make: three names by joint, the angle is at the second."""
    found = {}
    for side, label in _SIDES.items():
        stifle = f"{side}_stifle"
        wanted = {
            f"{label} elbow": ("withers", f"{side}_elbow", f"{side}_knee"),
            f"{label} carpus": (f"{side}_elbow", f"{side}_knee", f"{side}f_fetlock"),
            f"{label} fore fetlock": (f"{side}_knee", f"{side}f_fetlock", f"{side}f_hoof"),
            f"{label} hip": ("croup" if "croup" in names else "tail_base", f"{side}_hip", f"{side}_hock"),
            f"{label} stifle": (f"{side}_hip", stifle, f"{side}_hock"),
            f"{label} hock": (stifle if stifle in names else f"{side}_hip", f"{side}_hock", f"{side}h_fetlock"),
            f"{label} hind fetlock": (f"{side}_hock", f"{side}h_fetlock", f"{side}h_hoof"),
        }
        found |= {joint: points for joint, points in wanted.items() if set(points) <= set(names)}
    return found


def angles_of(body: Body) -> dict[str, np.ndarray]:
    """[T] by joint, degrees from 0 to 360: the angle in front of the joint, 180 where the three points are in line."""
    result = {}
    for joint, (upper, middle, lower) in joints(body.index).items():
        one, other = body.point(upper) - body.point(middle), body.point(lower) - body.point(middle)
        turn = np.arctan2(one[:, 1], one[:, 0]) - np.arctan2(other[:, 1], other[:, 0])
        # which way round is in front depends on where the horse looks
        result[joint] = np.degrees(np.unwrap(body.heading * turn)) % 360
    return result
