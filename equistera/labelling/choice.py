"""Choosing some of many pictures: worth each its labelling, and unlike each other.

Two rules, both greedy and weighted by worth:

- ``cover`` (k-medoids, facility location): the next one is that by which the distances of all pictures to the nearest
  chosen or labelled one fall most, in all: a picture that stands for many others that are worth it.
- ``spread`` (k-centre; Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; for labels: Sener and
  Savarese 2018): the next one is the farthest from all that is chosen or labelled: the odd ones come first.

Never two from one stride, never the same picture twice, and every group gets its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from equistera.dataset.phash import DISTANCE, Turned, are_near, table_of

COVER, SPREAD = "cover", "spread"
#: Distances that are held at once: where there are more, some of the pictures, drawn evenly, stand for all.
_MOST_DISTANCES = 30_000_000


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
    rule: str = COVER,
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
        rule: :data:`COVER` or :data:`SPREAD`.
        bits: In which the hashes of nearly the same pictures may differ.
        most: Of one group at most.
        labelled: float [M, D]: what is known already.
        labelled_hashes: Nearly the same pictures are not chosen.
        open_: bool [N]: those that may be chosen at all.
    """
    total = len(pool.vectors)
    free = np.ones(total, dtype=bool) if open_ is None else open_.copy()
    hashes = table_of(pool.hashes)
    scores = (_Cover if rule == COVER else _Spread)(pool, [] if labelled is None else labelled)
    near = np.zeros(total, dtype=bool)
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
        chosen = int(np.where(usable, scores.scores(), -np.inf).argmax())
        order.append(chosen)
        distances.append(float(scores.nearest[chosen]) if np.isfinite(scores.nearest[chosen]) else float("nan"))
        counts[pool.groups[chosen]] += 1
        scores.add(pool.vectors[chosen])
        free[chosen] = False
        same = (pool.clips == pool.clips[chosen]) & (pool.clips[chosen] >= 0)
        # where the camera stands still all frames look much the same, wherever the animal is
        alike = are_near(hashes, hashes[:, chosen], bits) & ~same
        stride = same & (np.abs(pool.times - pool.times[chosen]) < gap)
        near |= free & (alike | stride)
        free &= ~(alike | stride)
    return Choice(order, distances, int(near.sum()))


class _Spread:
    """Scores by distance: worth times that to the nearest.

    Attributes:
        nearest: float [N]: distance to the nearest chosen or labelled one, in usual distances.
    """

    def __init__(self, pool: Pool, labelled: Iterable[np.ndarray]):
        self.pool, self.usual = pool, _usual_distance(pool.vectors)
        self.nearest = np.full(len(pool.vectors), np.inf)
        for vector in labelled:
            self.add(vector)

    def add(self, vector: np.ndarray) -> None:
        """Takes in one that is chosen or labelled."""
        self.nearest = np.minimum(self.nearest, np.linalg.norm(self.pool.vectors - vector, axis=1) / self.usual)

    def scores(self) -> np.ndarray:
        """What choosing each would be worth, float [N]."""
        if np.isinf(self.nearest).all():
            # a typical one to begin with: what is farthest from everything is often no picture of use
            return -np.linalg.norm(self.pool.vectors - self.pool.vectors.mean(axis=0), axis=1) / self.pool.worth
        return self.pool.worth * self.nearest


class _Cover(_Spread):
    """Scores by what they stand for: how far the distances of all to the nearest, times their worth, would fall."""

    def __init__(self, pool: Pool, labelled: Iterable[np.ndarray]):
        total = len(pool.vectors)
        count = max(1, min(total, max(500, _MOST_DISTANCES // max(total, 1))))
        self.asked = np.linspace(0, total - 1, count).round().astype(int) if total else np.zeros(0, dtype=int)
        usual = _usual_distance(pool.vectors)
        square = np.square(pool.vectors).sum(axis=1)
        product = pool.vectors @ pool.vectors[self.asked].T
        distances = np.sqrt(np.maximum(square[:, None] + square[self.asked] - 2 * product, 0)) / usual
        self.distances = distances.astype(np.float32)
        super().__init__(pool, labelled)

    def scores(self) -> np.ndarray:
        # before there is anything, the farthest two are as far apart as something is from nothing
        nearest = np.minimum(self.nearest[self.asked], self.distances.max(initial=0)).astype(np.float32)
        return np.maximum(nearest - self.distances, 0) @ self.pool.worth[self.asked].astype(np.float32)


def _usual_distance(vectors: np.ndarray) -> float:
    """Root mean square of the distance of two of [N, D]; 1 where all are one."""
    spread = float(np.sqrt(2 * np.square(vectors - vectors.mean(axis=0)).sum(axis=1).mean())) if len(vectors) else 0.0
    return spread if spread > 0 else 1.0


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptions of N pictures put side by side, [N, D_i] each, so that each counts alike in their distances."""
    return np.concatenate([(part - part.mean(axis=0)) / _usual_distance(part) for part in parts], axis=1)
