"""What left and right look like in an annotation: the numbers by which exchanged labels are recognised.

For every left-right pair three numbers are taken: how far the left point stands to the right of the right one and how
far below it, in animal sizes, and how much more visible it is. Below and more visible mean nearer to the camera; both
are turned round where the animal looks to the right, so that the left side counts as the near one everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.dataset.verify.geometry import animal_sizes, link_lengths
from equistera.skeleton import Skeleton

#: Names that tell front from rear: the line between them is where the body, and by itself the head, looks to.
_FRONT, _REAR, _HEAD, _NOSE = ("nose", "neck", "throat", "wither"), ("tail", "back"), ("eye", "ear"), ("nose",)
#: Below this cosine of the heading an animal looks towards or away from the camera: no side is the near one.
_FRONTAL = 0.15
#: A pair cannot be further apart than this many animal sizes (typical limbs): one of its points is elsewhere.
_APART = 8.0


@dataclass(frozen=True)
class Views:
    """The numbers of N annotations with P pairs.

    Attributes:
        pairs: float64 [N, P, 3]: left point to the right of the right one; below it and more visible, where the left
            side counts as near. Exchanging a pair's labels changes the sign of its three. NaN where unknown.
        headings: float64 [N, 2], of body and head: about 1 looks to the left of the picture, 0 towards or away from
            the camera, -1 to the right.
    """

    pairs: np.ndarray
    headings: np.ndarray


def pairs_of(skeleton: Skeleton) -> np.ndarray:
    """int64 [P, 2]: left and right point of every pair."""
    return np.array(
        [(i, skeleton.index[k.swap]) for i, k in enumerate(skeleton.keypoints) if k.swap and k.side == "left"],
        dtype=np.int64,
    ).reshape(-1, 2)


def views_of(points: np.ndarray, flags: np.ndarray, skeleton: Skeleton) -> Views:
    """Takes the numbers.

    Args:
        points: float [N, K, 2] pixels, NaN where not labelled.
        flags: [N, K] visibility.
        skeleton: Names, pairs and links.
    """
    pairs = pairs_of(skeleton)
    size = animal_sizes(link_lengths(points, skeleton.link_indices))
    headings = _headings(points, size, skeleton)
    offset = (points[:, pairs[:, 0]] - points[:, pairs[:, 1]]) / size[:, None, None]
    with np.errstate(invalid="ignore"):
        offset[np.abs(offset) > _APART] = np.nan
    more_visible = flags[:, pairs[:, 0]].astype(float) - flags[:, pairs[:, 1]]
    left_is_near = np.where(np.abs(headings) > _FRONTAL, np.sign(headings), np.nan)
    on_head = np.array([_has(skeleton.names[a], _HEAD) for a in pairs[:, 0]], dtype=int)
    near = left_is_near[:, on_head]
    return Views(np.stack([offset[..., 0], offset[..., 1] * near, more_visible * near], axis=2), headings)


def _headings(points: np.ndarray, size: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    middle = [k.name for k in skeleton.keypoints if not k.swap]
    body = [n for n in middle if _has(n, _FRONT)], [n for n in middle if _has(n, _REAR)]
    head = [n for n in middle if _has(n, _NOSE)], [n for n in skeleton.names if _has(n, _HEAD)]
    columns = []
    for front, rear in (body, head):
        front_x, rear_x = (_mean_known(points[:, [skeleton.index[n] for n in names], 0]) for names in (front, rear))
        reach = (rear_x - front_x) / size
        # seen from the side the line has its full length, which is about what one animal in ten shows
        known = np.isfinite(reach)
        full = np.quantile(np.abs(reach[known]), 0.9) if known.any() else 1.0
        columns.append(reach / max(full, 1e-9))
    return np.stack(columns, axis=1)


def _has(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.casefold() for word in words)


def _mean_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
