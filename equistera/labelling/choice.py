"""Choosing some of many pictures: worth each its labelling, and unlike each other.

Weighted k-centre, greedily: the next one is where worth times the distance to all that is chosen or labelled already is
largest (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; for labels: Sener and Savarese
2018). Never two from one stride, never the same picture twice, and every group gets its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.dataset.phash import DISTANCE, Turned, are_near, table_of


@dataclass(frozen=True)
class Pool:
    """What is chosen from.

    Attributes:
        vectors: float [N, D]: what is near is alike.
        groups: int [N]: of which video, horse or folder each is.
        clips: int [N]: its video, -1 for a picture.
        times: float [N], seconds within the video.
        hashes: N of them.
        worth: float [N], above 0: how much each counts.
    """

    vectors: np.ndarray
    groups: np.ndarray
    clips: np.ndarray
    times: np.ndarray
    hashes: Sequence[Turned]
    worth: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What was chosen, in order.

    Attributes:
        order: Positions in the pool.
        distances: Of each to all before it and to what is labelled, relative to the usual distance of two pictures;
            NaN of a first one.
        too_near: How many were left out because they are nearly the same as a labelled or chosen one, or of its stride.
    """

    order: list[int]
    distances: list[float]
    too_near: int


def choose(
    pool: Pool,
    count: int,
    *,
    gap: float,
    bits: int = DISTANCE,
    most: int | None = None,
    labelled: np.ndarray | None = None,
    labelled_hashes: Sequence[Turned] = (),
    open_: np.ndarray | None = None,
) -> Choice:
    """Chooses at most so many.

    Every group gets one before any gets two, and so on, as long as it has pictures left.

    Args:
        pool: What there is.
        count: How many are wanted.
        gap: Seconds that two of one video are apart at least.
        bits: In which the hashes of nearly the same pictures may differ.
        most: Of one group at most.
        labelled: float [M, D]: what is known already.
        labelled_hashes: Nearly the same pictures are not chosen.
        open_: bool [N]: those that may be chosen at all.
    """
    total = len(pool.vectors)
    free = np.ones(total, dtype=bool) if open_ is None else open_.copy()
    hashes = table_of(pool.hashes)
    usual = _usual_distance(pool.vectors)
    nearest = np.full(total, np.inf)
    near = np.zeros(total, dtype=bool)
    for vector in [] if labelled is None else labelled:
        nearest = np.minimum(nearest, np.linalg.norm(pool.vectors - vector, axis=1) / usual)
    for one in table_of(labelled_hashes).T:
        near |= free & are_near(hashes, one, bits)
    free &= ~near
    counts = np.zeros(pool.groups.max(initial=-1) + 1, dtype=int)
    level = 1
    order: list[int] = []
    distances: list[float] = []
    while len(order) < count and free.any():
        usable = free & (counts[pool.groups] < level)
        if not usable.any():
            level += 1
            if most is not None and level > most:
                break
            continue
        if np.isinf(nearest).all():
            # a typical one to begin with: what is farthest from everything is often no picture of use
            score = -np.linalg.norm(pool.vectors - pool.vectors.mean(axis=0), axis=1) / np.maximum(pool.worth, 1e-9)
        else:
            score = pool.worth * nearest
        chosen = int(np.where(usable, score, -np.inf).argmax())
        order.append(chosen)
        distances.append(float(nearest[chosen]) if np.isfinite(nearest[chosen]) else float("nan"))
        counts[pool.groups[chosen]] += 1
        nearest = np.minimum(nearest, np.linalg.norm(pool.vectors - pool.vectors[chosen], axis=1) / usual)
        free[chosen] = False
        same = (pool.clips == pool.clips[chosen]) & (pool.clips[chosen] >= 0)
        # where the camera stands still all frames look much the same, wherever the animal is
        alike = are_near(hashes, hashes[:, chosen], bits) & ~same
        stride = same & (np.abs(pool.times - pool.times[chosen]) < gap)
        near |= free & (alike | stride)
        free &= ~(alike | stride)
    return Choice(order, distances, int(near.sum()))


def _usual_distance(vectors: np.ndarray) -> float:
    """Root mean square of the distance of two of [N, D]; 1 where all are one."""
    spread = float(np.sqrt(2 * np.square(vectors - vectors.mean(axis=0)).sum(axis=1).mean())) if len(vectors) else 0.0
    return spread if spread > 0 else 1.0


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptions of N pictures put side by side, [N, D_i] each, so that each counts alike in their distances."""
    return np.concatenate([(part - part.mean(axis=0)) / _usual_distance(part) for part in parts], axis=1)
