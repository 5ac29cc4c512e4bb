"""Poses on a stream of pictures: where to look in each, many through the model together, read and drawn meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equistera.dataset.animals import Animal, PictureAnimals
from equistera.dataset.boxes import box_around
from equistera.dataset.images import ImageError
from equistera.dataset.paths import picture_path
from equistera.dataset.phash import DISTANCE, turned_hashes
from equistera.dataset.verify.annotation_file import default_image_dir
from equistera.errors import UserError
from equistera.frames import Frame, PictureFiles
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.outputs import same_file

#: Pixels that are held at most while a batch is gathered: 450 MB of decoded pictures.
MAX_HELD_PIXELS = 150e6
#: Fewer confident keypoints than this do not say where the animal is.
ENOUGH_POINTS = 4
#: Longest side, in shares of the picture's, of animals that one look of a detector at the whole picture may miss.
SMALL = 0.25
#: So many pictures that are not the labelled file itself are compared with it: copies, perhaps saved anew, are fine.
_COMPARED = 50


@dataclasses.dataclass(frozen=True)
class Box:
    """A box to look into.

    Attributes:
        xywh: x, y, width, height, pixels.
        score: Confidence that there is an animal.
        animal: What is annotated there, if anything.
    """

    xywh: tuple[float, ...]
    score: float = 1.0
    animal: Animal | None = None


#: Says where to look: boxes of each frame (all have an image); None where nothing is known but the picture itself.
BoxSource = Callable[[Sequence[Frame]], list[list[Box] | None]]


@dataclasses.dataclass(frozen=True)
class PosedFrame:
    """A picture and what was found on it.

    Attributes:
        frame: The picture; one that could not be read has no poses.
        poses: One for each box.
        boxes: Where the model was told to look; None where it looked everywhere.
    """

    frame: Frame
    poses: list[Pose]
    boxes: list[Box] | None

    def without_pixels(self) -> PosedFrame:
        """The same, but the memory of the picture can be given back."""
        return dataclasses.replace(self, frame=dataclasses.replace(self.frame, image=None))


class AnnotatedBoxes:
    """The boxes of an annotation file; a :data:`BoxSource`."""

    def __init__(self, pictures: PictureAnimals):
        self.pictures = pictures

    def checked(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames; those of another size than the file says have its difference as their error instead of pixels."""
        for frame in frames:
            size = self.pictures.sizes.get(self.pictures.find(frame.name))
            found = None if frame.image is None else (frame.image.shape[1], frame.image.shape[0])
            if size and found and found != size:
                error = f"has {found[0]}x{found[1]} pixels, --ann-file labels one of {size[0]}x{size[1]}"
                frame = dataclasses.replace(frame, image=None, error=error)
            yield frame

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        return [
            [Box(a.bbox, a.score, a) for a in self.pictures.animals.get(self.pictures.find(frame.name), ())]
            for frame in frames
        ]


def refuse_other_pictures(ann_file: str | Path, pictures: PictureAnimals, source: PictureFiles) -> None:
    """Makes sure that pictures are those that a COCO file labels, and not those of another split with the same names.

    Raises:
        UserError: A picture of the same name beside the annotations shows something else.
    """
    own = default_image_dir(Path(ann_file))
    others = [f"{path} is not {labelled}" for path, labelled in _unlike(own, pictures, source)]
    if others:
        raise UserError(
            f"--ann-file {ann_file} labels other pictures that only have the same names:",
            others,
            f"Its own are in {own}; give the annotations of the pictures that are to be drawn",
        )


def _unlike(own: Path, pictures: PictureAnimals, source: PictureFiles) -> Iterator[tuple[Path, Path]]:
    """Pictures and those of the same name beside the annotations that show something else; of the first ones."""
    compared = 0
    for name in source.names:
        path, known = source.folder / name, pictures.find(name)
        if known is None or compared == _COMPARED:
            continue
        # a name that leads elsewhere says nothing of this picture; one that cannot be read is named when it is drawn
        with contextlib.suppress(ImageError):
            labelled = picture_path(own, known)
            if labelled.is_file() and not same_file(path, labelled):
                compared += 1
                if filecmp.cmp(path, labelled, shallow=False):
                    continue
                if (turned_hashes(path)[0] ^ turned_hashes(labelled)[0]).bit_count() > DISTANCE:
                    yield path, labelled


def predict_frames(
    predictor: Predictor,
    frames: Iterable[Frame],
    where: BoxSource | None,
    is_sure: Callable[[np.ndarray], np.ndarray],
    batch_size: int = 16,
) -> Iterator[PosedFrame]:
    """Predicts on every frame, in order; those without an image are handed on.

    Where ``where`` knows nothing of the place of the animal, or is None, the model looks at the whole picture and once
    more at where the points are that it is sure of; the look with the higher mean confidence counts.

    Args:
        predictor: The model.
        frames: Pictures, perhaps with their times.
        where: Says where to look.
        is_sure: Raw confidences, [K], to whether each point counts as found, bool [K].
        batch_size: Crops that go through the model together.
    """
    for chunk in _chunks(frames, batch_size):
        usable = [frame for frame in chunk if frame.image is not None]
        boxes = where(usable) if where and usable else [None] * len(usable)
        found = dict(zip((frame.number for frame in usable), boxes, strict=True))
        poses = _look(predictor, usable, found, is_sure, batch_size)
        for frame in chunk:
            yield PosedFrame(frame, poses.get(frame.number, []), found.get(frame.number))


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
    found: Mapping[int, list[Box] | None],
    is_sure: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
) -> dict[int, list[Pose]]:
    def look(crops: list[tuple[Frame, Box]]) -> Iterator[tuple[int, Pose]]:
        predicted = predictor.poses(((frame.image, box.xywh) for frame, box in crops), batch_size)
        for (frame, box), pose in zip(crops, predicted, strict=True):
            yield frame.number, dataclasses.replace(pose, bbox_score=box.score)

    poses: dict[int, list[Pose]] = {frame.number: [] for frame in frames}
    crops, closer = [], []
    for frame in frames:
        boxes = found[frame.number]
        height, width = frame.image.shape[:2]
        crops += [(frame, box) for box in (boxes if boxes is not None else [Box((0.0, 0.0, width, height))])]
    for number, pose in look(crops):
        poses[number].append(pose)
    for frame in frames:
        if found[frame.number] is None:
            (pose,) = poses[frame.number]
            around = box_of(pose.points[is_sure(pose.scores)], frame.image.shape[1::-1])
            closer += [] if around is None else [(frame, Box(around))]
    for number, pose in look(closer):
        poses[number] = [max(poses[number][0], pose, key=lambda pose: pose.scores.mean())]
    return poses


def box_of(points: np.ndarray, size: tuple[int, int]) -> tuple[float, ...] | None:
    """The box (x, y, width, height) of an animal from its keypoints, float [N, 2], in a picture of width and height.

    None if the points are too few or in one place.
    """
    box = box_around(points, *size) if len(points) >= ENOUGH_POINTS else None
    return None if box is None else tuple(box)
