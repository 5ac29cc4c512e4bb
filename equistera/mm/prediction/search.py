"""Finding animals without a detector: the pose model itself looks everywhere, first coarsely, then closer.

A top-down model answers on every crop, with or without an animal. What tells them apart is that a true pose is found
again: a closer look at where its points are makes it surer, and looks from a little to the side put the points on the
same places. On a backdrop the points move with the crop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from equistera.dataset.boxes import box_around, shared_areas
from equistera.frames import Frame
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.mm.prediction.stream import Box

#: Sides of the windows of the first look as shares of the picture's shorter side; each is moved by half of it.
SIDES = (1.0, 1 / 2, 1 / 4, 1 / 8)
#: So many of the windows are looked at more closely, so many times.
CANDIDATES, LOOKS = 20, 2
#: Mean confidence from which the last looks, from the side, are worth their time: no animal has less by then.
SURE = 0.7
#: Points of at least this share of the surest point's confidence say where to look next, and at least so many points.
NEAR_THE_SUREST, LEAST_POINTS = 0.7, 6
#: Pixels of a box below which nothing is recognised.
LEAST_SIDE = 8
#: The last looks are from so far to the side, in shares of the box.
ASIDE = 0.12
#: Points that come back within this share of the box's longer side are found again.
SAME_PLACE = 0.07
#: Mean over the points of confidence x found again from which there is an animal in a picture (docs/benchmarks.md), and
#: in a video: that is searched again and again, and what once passed for an animal is followed.
FOUND, FOUND_IN_VIDEO = 0.3, 0.5
#: Overlap of boxes, as a share of the smaller one, from which two poses are of one animal.
SAME_ANIMAL = 0.5
#: What a user is told who gave neither boxes nor a detector.
WITHOUT_DETECTOR = "no --det: the pose model itself looks for animals, which is slow and misses small ones"


@dataclass
class _Candidate:
    box: tuple[float, float, float, float]
    pose: Pose
    score: float = 0.0


class SearchedBoxes:
    """Boxes that the pose model finds by itself; a :data:`equistera.mm.prediction.stream.BoxSource`.

    Args:
        predictor: The model.
        calibrated: Raw confidences, any shape, to probabilities.
        batch_size: Crops that go through the model together.
        sure: How sure an animal must be: :data:`FOUND` or :data:`FOUND_IN_VIDEO`.
    """

    def __init__(
        self,
        predictor: Predictor,
        calibrated: Callable[[np.ndarray], np.ndarray],
        batch_size: int = 16,
        sure: float = FOUND,
    ):
        self.predictor, self.calibrated, self.batch_size, self.sure = predictor, calibrated, batch_size, sure

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        """Boxes of each frame, the surest first; an empty list where no animal was found."""
        return [self._search(frame.image) for frame in frames]

    def _search(self, image: np.ndarray) -> list[Box]:
        found: list[_Candidate] = []
        for share in SIDES:
            for candidate in self._closer(image, share * min(image.shape[:2])):
                if candidate.score >= self.sure and all(_overlap(candidate.box, f.box) < SAME_ANIMAL for f in found):
                    found.append(candidate)
            if found:
                break
        return [Box(candidate.box, candidate.score) for candidate in found]

    def _closer(self, image: np.ndarray, side: float) -> list[_Candidate]:
        """The most promising of the windows of one size after closer looks, the best first."""
        height, width = image.shape[:2]
        windows = _windows(width, height, side)
        looks = [_Candidate(window, pose) for window, pose in zip(windows, self._poses(image, windows), strict=True)]
        looks.sort(key=lambda look: -self._confidence(look.pose).mean())
        candidates: list[_Candidate] = []
        for look in looks:
            box = self._around(look.pose, width, height)
            if len(candidates) < CANDIDATES and box and all(_overlap(box, c.box) < 0.8 for c in candidates):
                candidates.append(_Candidate(box, look.pose))
        for _ in range(LOOKS):
            poses = self._poses(image, [candidate.box for candidate in candidates])
            for candidate, pose in zip(candidates, poses, strict=True):
                candidate.pose = pose
                candidate.box = self._around(pose, width, height) or candidate.box
        candidates = [candidate for candidate in candidates if self._confidence(candidate.pose).mean() >= SURE]
        self._score(image, candidates)
        return sorted(candidates, key=lambda candidate: -candidate.score)

    def _score(self, image: np.ndarray, candidates: list[_Candidate]) -> None:
        moved = [(dx, dy) for dx in (-ASIDE, ASIDE) for dy in (-ASIDE, ASIDE)]
        boxes = [
            (x + dx * max(w, h), y + dy * max(w, h), w, h)
            for x, y, w, h in (c.box for c in candidates)
            for dx, dy in moved
        ]
        poses = self._poses(image, boxes)
        for i, candidate in enumerate(candidates):
            mine = poses[i * len(moved) : (i + 1) * len(moved)]
            points = np.stack([pose.points for pose in mine])
            confidence = np.stack([self._confidence(pose) for pose in mine]).mean(axis=0)
            spread = np.linalg.norm(points - np.median(points, axis=0), axis=-1).max(axis=0)
            again = spread <= SAME_PLACE * max(candidate.box[2:])
            candidate.score = float((confidence * again).mean())

    def _poses(self, image: np.ndarray, boxes: Sequence[Sequence[float]]) -> list[Pose]:
        return list(self.predictor.poses(((image, box) for box in boxes), self.batch_size))

    def _confidence(self, pose: Pose) -> np.ndarray:
        return self.calibrated(pose.scores)

    def _around(self, pose: Pose, width: int, height: int) -> tuple[float, float, float, float] | None:
        confidence = self._confidence(pose)
        least = min(NEAR_THE_SUREST * confidence.max(), np.sort(confidence)[-min(LEAST_POINTS, len(confidence))])
        box = box_around(pose.points[confidence >= least], width, height)
        return None if box is None or min(box[2:]) < LEAST_SIDE else (box[0], box[1], box[2], box[3])


def _windows(width: int, height: int, side: float) -> list[tuple[float, float, float, float]]:
    """Squares, x, y, width, height, that cover a picture and overlap by half."""

    def starts(length: int) -> np.ndarray:
        return np.linspace(0, length - side, int(np.ceil(2 * (length - side) / side)) + 1)

    return [(float(x), float(y), side, side) for y in starts(height) for x in starts(width)]


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Shared area as a share of the smaller box."""
    shared = shared_areas(np.array([a], dtype=float), np.array([b], dtype=float))[0, 0]
    return float(shared) / min(a[2] * a[3], b[2] * b[3])
