"""Angles of joints over time, as the horse is seen from its side."""

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
    """[T] by joint, degrees from 0 to 360: the angle in front of the joint, 180 where the three points are in line.

    A view that is a little oblique shortens what lies along the body; that is made good by as much as it shortens the
    trunk.
    """
    stretch = np.stack([body.heading * body.upright / body.trunk, np.ones(len(body.times))], axis=1)
    result = {}
    for joint, (upper, middle, lower) in joints(body.index).items():
        one, other = ((body.point(end) - body.point(middle)) * stretch for end in (upper, lower))
        turn = np.arctan2(one[:, 1], one[:, 0]) - np.arctan2(other[:, 1], other[:, 0])
        result[joint] = np.degrees(turn) % 360
    return result


def spreads_of(body: Body, noise: np.ndarray) -> dict[str, np.ndarray]:
    """[T] by joint: standard deviation of its angle, degrees, that the points' noise makes.

    Args:
        body: The points.
        noise: [K], standard deviation of each along one axis, pixels.
    """
    result = {}
    for joint, (upper, middle, lower) in joints(body.index).items():
        one, other = (body.point(end) - body.point(middle) for end in (upper, lower))
        a, b = (np.maximum((end**2).sum(axis=1), 1.0) for end in (one, other))
        around = noise[body.index[middle]] ** 2 * (1 / a + 1 / b - 2 * (one * other).sum(axis=1) / (a * b))
        ends = noise[body.index[upper]] ** 2 / a + noise[body.index[lower]] ** 2 / b
        result[joint] = np.degrees(np.sqrt(around + ends))
    return result
