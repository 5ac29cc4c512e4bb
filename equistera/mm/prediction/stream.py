"""Poses on a stream of pictures: many through the model together, read and drawn meanwhile in other threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from equistera.dataset.boxes import box_around
from equistera.frames import Frame
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.mm.prediction.where import Box, Where

#: Pixels that are held at most while a batch is gathered: 450 MB of decoded pictures.
MAX_HELD_PIXELS = 150e6
#: Fewer confident keypoints than this do not say where the animal is.
ENOUGH_POINTS = 4


@dataclasses.dataclass(frozen=True)
class Seen:
    """A picture and what was found on it.

    Attributes:
        frame: The picture; one that could not be read has no poses.
        poses: One for each box.
        boxes: Where the model was told to look; None where it looked everywhere.
    """

    frame: Frame
    poses: list[Pose]
    boxes: list[Box] | None

    def without_pixels(self) -> Seen:
        """The same, but the memory of the picture can be given back."""
        return dataclasses.replace(self, frame=dataclasses.replace(self.frame, image=None))


def predict_frames(
    predictor: Predictor,
    frames: Iterable[Frame],
    where: Where,
    is_sure: Callable[[np.ndarray], np.ndarray],
    batch_size: int = 16,
) -> Iterator[Seen]:
    """Predicts on every frame, in order.

    Where nothing is known of the place of the animal, the model looks at the whole picture and once more at where the
    points are that it is sure of; the look with the higher mean confidence counts.

    Args:
        predictor: The model.
        frames: Pictures; those without an image are handed on.
        where: Says where to look.
        is_sure: Raw confidences, [K], to whether each point counts as found, bool [K].
        batch_size: Crops that go through the model together.

    Yields:
        Frames with poses.
    """
    for chunk in _chunks(frames, batch_size):
        usable = [frame for frame in chunk if frame.image is not None]
        found = dict(zip((frame.number for frame in usable), where(usable), strict=True)) if usable else {}
        poses = _look(predictor, usable, found, is_sure, batch_size)
        for frame in chunk:
            yield Seen(frame, poses.get(frame.number, []), found.get(frame.number))


def _chunks(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    chunk, pixels = [], 0
    for frame in frames:
        chunk.append(frame)
        pixels += 0 if frame.image is None else frame.image.shape[0] * frame.image.shape[1]
        if len(chunk) >= size or pixels >= MAX_HELD_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _look(
    predictor: Predictor,
    frames: Sequence[Frame],
    found: dict[int, list[Box] | None],
    is_sure: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
) -> dict[int, list[Pose]]:
    crops = [
        (frame, box)
        for frame in frames
        for box in ([Box(_whole(frame))] if found[frame.number] is None else found[frame.number])
    ]
    poses: dict[int, list[Pose]] = {frame.number: [] for frame in frames}
    predicted = predictor.poses(((frame.image, box.xywh) for frame, box in crops), batch_size)
    for (frame, box), pose in zip(crops, predicted, strict=True):
        poses[frame.number].append(dataclasses.replace(pose, bbox_score=box.score))
    closer = []
    for frame in frames:
        if found[frame.number] is None:
            (pose,) = poses[frame.number]
            around = box_of(pose.points[is_sure(pose.scores)], frame.image.shape[1::-1])
            if around is not None:
                closer.append((frame, around))
    predicted = predictor.poses(((frame.image, around) for frame, around in closer), batch_size)
    for (frame, _), pose in zip(closer, predicted, strict=True):
        if pose.scores.mean() > poses[frame.number][0].scores.mean():
            poses[frame.number] = [pose]
    return poses


def _whole(frame: Frame) -> tuple[float, float, float, float]:
    height, width = frame.image.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def box_of(points: np.ndarray, size: tuple[int, int]) -> list[float] | None:
    """The box of an animal from its keypoints.

    Args:
        points: float [N, 2], pixels.
        size: Width and height of the picture.

    Returns:
        x, y, width, height inside the picture, or None if the points are too few or in one place.
    """
    return box_around(points, *size) if len(points) >= ENOUGH_POINTS else None
