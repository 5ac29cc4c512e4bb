"""Following animals: which pose of this frame belongs to which animal of the frames before.

Poses are matched by object keypoint similarity with where each animal's pose should be by now: its last one, moved on
by a Kalman filter. Trackers of boxes (ByteTrack, OC-SORT) were not taken: where two animals cross, their boxes are one,
while their points still say which way each looks and where its legs stand; and animals are few, seen at the rate of the
video, and their poses are known anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from equistera.skeleton import Skeleton
from equistera.tracks.kalman import Filter
from equistera.tracks.tracks import Tracks, individual_names

#: Of an animal's size (the root of its box' area): how exactly its place is seen; how fast it may already move when it
#: is first seen, per second; how its speed may change, per second and root of a second.
_PLACE, _SPEED, _PUSH = 0.03, 1.5, 1.5
#: By how much legs and head move against the body in a second, of its size, and at most.
_LIMBS, _MOST_LIMBS = 0.5, 0.2
#: Seconds over which an animal's shape is taken; by how much its legs differ from that, of its size.
_SHAPE, _LIMBS_IN_SHAPE = 0.5, 0.1
#: Who comes back is no faster than this, of its size in a second; nor larger or smaller by more than this; and looks
#: as much as this like itself.
_FASTEST, _OTHER_SIZE, LOOKS = 3.0, 2.0, 0.3
#: Similarity from which a pose is an animal's, where that is expected: of place and pose, times that of its shape.
SAME = 0.2
#: How much more exactly an animal goes on than people click, whom the keypoints' sigmas describe.
_SHARP = 0.3
#: Similarity of two poses of one frame from which they are the same animal, found twice; and from which the second one
#: is no further animal.
TWICE, NO_OTHER = 0.85, 0.5
#: Seconds out of sight after which an animal counts as seen just now no longer, and as gone.
_JUST_NOW, GONE = 0.2, 3.0
#: Mean confidence from which a pose that belongs to nobody is a new animal.
NEW = 0.3
#: Seconds: who is seen for less in all is no animal.
SHORTEST = 0.3
#: Share of a new size that counts.
_GROWS = 0.1
_LEAST_SIZE = 4.0


@dataclass
class _Animal:
    """One that is followed.

    ``moved`` is how far its last pose was from its first place, as the filter counts; ``shape`` is its pose of the last
    half second, wherever it stood: which way it looks.
    """

    id: int
    pose: np.ndarray
    shape: np.ndarray
    confidence: np.ndarray
    size: float
    time: float
    clock: float
    motion: Filter
    moved: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def expected(self) -> tuple[np.ndarray, float]:
        """The pose as it should be at the filter's time, [K, 2], and the variance of its place along one axis."""
        return self.pose + self.motion.mean[0, 0] - self.moved, float(self.motion.covariance[0, 0, 0])


class Follower:
    """Gives the poses of one frame after the other the numbers of the animals that they belong to.

    Args:
        skeleton: The keypoints.
        animals: How many there are at most, if that is known: nobody else is then taken for a further one.
    """

    def __init__(self, skeleton: Skeleton, animals: int | None = None):
        self.skeleton, self.animals = skeleton, animals
        self._known: list[_Animal] = []
        self._next = 1

    def update(
        self, time: float, poses: np.ndarray, confidence: np.ndarray, boxes: np.ndarray | None = None
    ) -> list[int | None]:
        """Takes in a frame.

        Args:
            time: Seconds, later than that of the frame before.
            poses: [N, K, 2], pixels; NaN where not seen.
            confidence: [N, K], 0 to 1.
            boxes: [N, 4], x, y, width, height, for the animals' sizes; from the poses by default.

        Returns:
            N numbers from 1; None for a pose that is nobody's: it shows an animal a second time, or little.
        """
        poses = np.asarray(poses, dtype=float).reshape(-1, len(self.skeleton), 2)
        weight = np.nan_to_num(np.asarray(confidence, dtype=float).reshape(poses.shape[:2]))
        weight = np.where(np.isfinite(poses).all(axis=-1), np.clip(weight, 1e-3, 1.0), 0.0)
        sizes = _sizes(poses, weight, boxes)
        for animal in self._known:
            passed = time - animal.clock
            animal.motion.predict(passed, np.array([(_PUSH * animal.size) ** 2]), np.zeros(1, dtype=bool))
            animal.clock = time
        ids: list[int | None] = [None] * len(poses)
        # an animal in front of another is often found in the place of both
        free: list[int] = []
        for n in np.argsort(-weight.mean(axis=1), kind="stable").tolist():
            if not self._shown(n, free, poses, weight, sizes, TWICE):
                free.append(n)
        recent = [animal for animal in self._known if time - animal.time <= _JUST_NOW]
        lost = [animal for animal in self._known if time - animal.time > _JUST_NOW]
        # who was seen just now comes first
        for known in (recent, [animal for animal in lost if time - animal.time <= GONE]):
            for animal, n in self._matches(time, known, free, poses, weight):
                self._take(animal, time, poses[n], weight[n], sizes[n])
                ids[n] = animal.id
            free = [n for n in free if ids[n] is None]
        for n in free:
            there = [m for m, found in enumerate(ids) if found is not None]
            if weight[n].mean() < NEW or self._shown(n, there, poses, weight, sizes, NO_OTHER):
                continue
            missing = [animal for animal in self._known if animal.id not in ids]
            again = self._come_back(time, missing, poses[n], weight[n], sizes[n])
            if again is None and (self.animals is None or len(self._known) < self.animals):
                ids[n] = self._new(time, poses[n], weight[n], sizes[n])
                continue
            if again is None and missing:
                # there is nobody else: it is one that is out of sight, wherever it went
                again = min(missing, key=lambda a: float(np.hypot(*_shift(a.expected()[0], poses[n], weight[n]))))
            if again is not None:
                self._forget_motion(again)
                self._take(again, time, poses[n], weight[n], sizes[n])
                ids[n] = again.id
        if self.animals is None:
            self._known = [animal for animal in self._known if time - animal.time <= GONE]
        return ids

    def _matches(
        self,
        time: float,
        known: Sequence[_Animal],
        free: Sequence[int],
        poses: np.ndarray,
        weight: np.ndarray,
    ) -> list[tuple[_Animal, int]]:
        """The pairs that are most alike together, none of them less alike than :data:`SAME`."""
        if not known or not free:
            return []
        from scipy.optimize import linear_sum_assignment

        alike = np.zeros((len(known), len(free)))
        near = np.zeros_like(alike)
        for i, animal in enumerate(known):
            expected, variance = animal.expected()
            limbs = min(_LIMBS * (time - animal.time), _MOST_LIMBS) * animal.size
            for j, n in enumerate(free):
                both = np.minimum(animal.confidence, weight[n])
                alike[i, j] = self._similarity(expected, poses[n], both, animal.size, variance + limbs**2)
                # of two that go side by side it is the nearer one, by less than people's clicks differ
                near[i, j] = self._similarity(expected, poses[n], both, _SHARP * animal.size, variance)
                # one that is found in the place of another behind it looks like itself
                alike[i, j] *= self._looks_alike(animal, poses[n], weight[n])
        rows, columns = linear_sum_assignment(-alike - near)
        return [(known[i], free[j]) for i, j in zip(rows, columns, strict=True) if alike[i, j] >= SAME]

    def _looks_alike(self, animal: _Animal, pose: np.ndarray, weight: np.ndarray) -> float:
        """Similarity of a pose with an animal's shape, wherever either stands."""
        both = np.minimum(animal.confidence, weight)
        shifted = animal.shape + _shift(animal.shape, pose, both)
        return self._similarity(shifted, pose, both, animal.size, (_LIMBS_IN_SHAPE * animal.size) ** 2)

    def _come_back(
        self, time: float, missing: Sequence[_Animal], pose: np.ndarray, weight: np.ndarray, size: float
    ) -> _Animal | None:
        """Who looks most like a pose, of those who can have got there; None: nobody."""
        best, alike = None, LOOKS
        for animal in missing:
            passed = time - animal.time
            away = float(np.hypot(*_shift(animal.pose, pose, np.minimum(animal.confidence, weight))))
            if passed > GONE or away > (1 + _FASTEST * passed) * animal.size:
                continue
            if max(size, animal.size) > _OTHER_SIZE * min(size, animal.size):
                continue
            if (looks := self._looks_alike(animal, pose, weight)) >= alike:
                best, alike = animal, looks
        return best

    def _similarity(
        self, one: np.ndarray, other: np.ndarray, weight: np.ndarray, size: float, variance: float = 0.0
    ) -> float:
        """Object keypoint similarity (https://cocodataset.org/#keypoints-eval), by confidence; 0 without a point.

        Args:
            one: [K, 2].
            other: [K, 2].
            weight: [K].
            size: Root of the area, pixels.
            variance: Of the distance along one axis, from other reasons than the keypoints' own.
        """
        told = weight > 0
        if not told.any():
            return 0.0
        square = np.square(one[told] - other[told]).sum(axis=1)
        tolerance = np.square(2 * self.skeleton.sigmas[told] * size) + variance
        return float(np.average(np.exp(-square / (2 * tolerance)), weights=weight[told]))

    def _shown(
        self, n: int, others: Sequence[int], poses: np.ndarray, weight: np.ndarray, sizes: np.ndarray, alike: float
    ) -> bool:
        """Whether a pose shows the animal of one of the others."""
        return any(
            self._similarity(poses[m], poses[n], np.minimum(weight[m], weight[n]), min(sizes[m], sizes[n])) >= alike
            for m in others
        )

    def _take(self, animal: _Animal, time: float, pose: np.ndarray, weight: np.ndarray, size: float) -> None:
        # points that are hidden say little of where the animal went
        both = np.minimum(animal.confidence, weight)
        shift = _shift(animal.pose, pose, both)
        moved = animal.moved + shift
        # nor do those of another animal, which do not move as the others do
        astray = np.abs(pose - animal.pose - shift)[both > 0]
        doubt = float(np.median(astray)) if len(astray) else animal.size
        animal.motion.update(moved[None], np.array([(_PLACE * animal.size) ** 2 + doubt**2]))
        animal.moved = moved
        # a point that is not seen now is where it was on the body
        seen = weight > 0
        slowly = (1 - np.exp(-(time - animal.time) / _SHAPE)) * weight
        # one that is seen for the first time has been nowhere yet
        slowly = np.where(animal.confidence > 0, slowly, 1.0)
        here = pose - _shift(animal.shape, pose, both)
        animal.shape = np.where(seen[:, None], animal.shape + slowly[:, None] * (here - animal.shape), animal.shape)
        animal.pose = np.where(seen[:, None], pose, animal.pose + shift)
        animal.confidence = np.where(seen, weight, 0.5 * animal.confidence)
        animal.size += _GROWS * (size - animal.size)
        animal.time = time

    def _forget_motion(self, animal: _Animal) -> None:
        animal.motion.covariance[0] = np.diag([1e6, (_SPEED * animal.size) ** 2])

    def _new(self, time: float, pose: np.ndarray, weight: np.ndarray, size: float) -> int:
        motion = Filter(1, order=2)
        motion.covariance[0] = np.diag([(_PLACE * size) ** 2, (_SPEED * size) ** 2])
        # what it does not show yet is anywhere, and counts for nothing
        pose = np.where((weight > 0)[:, None], pose, 0.0)
        self._known.append(_Animal(self._next, pose, pose, weight, size, time, time, motion))
        self._next += 1
        return self._next - 1


def _shift(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How far most points of a pose have moved, [2]: the median, by confidence."""
    told = weight > 0
    if not told.any():
        return np.zeros(2)
    moved, weight = (after - before)[told], weight[told]
    result = np.empty(2)
    for axis in (0, 1):
        order = np.argsort(moved[:, axis])
        reached = np.cumsum(weight[order])
        result[axis] = moved[order[np.searchsorted(reached, reached[-1] / 2)], axis]
    return result


def _sizes(poses: np.ndarray, weight: np.ndarray, boxes: np.ndarray | None) -> np.ndarray:
    """Roots of the boxes' areas, [N], pixels."""
    if boxes is not None:
        sides = np.asarray(boxes, dtype=float).reshape(-1, 4)[:, 2:]
    else:
        told = weight > 0
        low = np.where(told[..., None], poses, np.inf).min(axis=1)
        high = np.where(told[..., None], poses, -np.inf).max(axis=1)
        sides = np.where(np.isfinite(high - low), high - low, 0.0)
    return np.maximum(np.sqrt(np.prod(np.maximum(sides, 0), axis=1)), _LEAST_SIZE)


def collected(
    skeleton: Skeleton,
    times: np.ndarray,
    poses: Sequence[np.ndarray],
    confidence: Sequence[np.ndarray],
    ids: Sequence[Sequence[int | None]],
    *,
    size: tuple[int, int] | None = None,
    source: str = "",
    shortest: float = SHORTEST,
) -> tuple[Tracks, int]:
    """The tracks of the animals that a :class:`Follower` has told apart.

    Args:
        skeleton: The keypoints.
        times: [T], seconds.
        poses: Of each frame [N, K, 2].
        confidence: Of each frame [N, K].
        ids: Of each frame what :meth:`Follower.update` returned.
        size: Width and height of the frames.
        source: Name of the video.
        shortest: Seconds; what is seen for less in all is left out, unless nothing else is seen.

    Returns:
        The tracks, the animals in the order in which they appear (none where none was seen), and how many were left
        out.
    """
    frames: dict[int, int] = {}
    for numbers in ids:
        for number in numbers:
            if number is not None:
                frames[number] = frames.get(number, 0) + 1
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    animals = [number for number, count in frames.items() if count * usual >= shortest]
    if not animals:
        animals = sorted(frames, key=lambda number: -frames[number])[:1]
    place = {number: a for a, number in enumerate(sorted(animals))}
    shape = (len(times), len(place), len(skeleton))
    raw, found = np.full((*shape, 2), np.nan), np.full(shape, np.nan, np.float32)
    for t, numbers in enumerate(ids):
        for n, number in enumerate(numbers):
            if number in place:
                raw[t, place[number]], found[t, place[number]] = poses[t][n], confidence[t][n]
    names = individual_names(shape[1])
    tracks = Tracks.of(skeleton.names, times, raw, found, individuals=names, size=size, source=source)
    return tracks, len(frames) - len(place)
