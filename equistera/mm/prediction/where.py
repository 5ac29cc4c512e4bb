"""Where to look for animals in a picture: as annotated, or everywhere."""

from __future__ import annotations

import dataclasses
import filecmp
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from equistera.dataset.animals import Animal, PictureAnimals
from equistera.dataset.images import ImageError, picture_path
from equistera.dataset.phash import DISTANCE, perceptual_hash
from equistera.dataset.verify.annotation_file import default_image_dir
from equistera.errors import UserError
from equistera.frames import Frame, PictureFiles
from equistera.outputs import same_file

#: So many pictures that are not the labelled file itself are compared with it: copies, perhaps saved anew, are fine.
_COMPARED = 50


@dataclass(frozen=True)
class Box:
    """A box to look into.

    Attributes:
        xywh: x, y, width, height, pixels.
        score: Confidence that there is an animal.
        animal: What is annotated there, if anything.
    """

    xywh: tuple[float, float, float, float]
    score: float = 1.0
    animal: Animal | None = None


class Where(Protocol):
    """Says where to look."""

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        """Boxes of each frame (all have an image); None where nothing is known but the picture itself."""


class Everywhere:
    """Nothing is known: one animal somewhere in each picture."""

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        return [None] * len(frames)


class Annotated:
    """The boxes of an annotation file.

    Args:
        pictures: What the file holds.
    """

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
    """Makes sure that pictures are those that a file labels, and not those of another split with the same names.

    Args:
        ann_file: COCO file; where its own pictures lie follows from its place.
        pictures: What it holds.
        source: The pictures to be drawn.

    Raises:
        UserError: A picture of the same name beside the annotations shows something else.
    """
    own = default_image_dir(Path(ann_file))
    pairs = _unlike(own, pictures, source)
    others = [f"{path} is not {labelled}" for path, labelled in pairs if _differ(path, labelled)]
    if others:
        raise UserError(
            f"--ann-file {ann_file} labels other pictures that only have the same names:",
            others,
            f"Its own are in {own}; give the annotations of the pictures that are to be drawn",
        )


def _unlike(own: Path, pictures: PictureAnimals, source: PictureFiles) -> Iterator[tuple[Path, Path]]:
    """Pictures and those of the same name beside the annotations, where the files are not the same; the first ones."""
    compared = 0
    for name in source.names:
        known = pictures.find(name)
        if known is None or compared == _COMPARED:
            continue
        path = source.folder / name
        try:
            labelled = picture_path(own, known)
        except ImageError:
            continue  # a name that leads elsewhere says nothing of this picture
        if labelled.is_file() and not same_file(path, labelled):
            compared += 1
            if not filecmp.cmp(path, labelled, shallow=False):
                yield path, labelled


def _differ(path: Path, labelled: Path) -> bool:
    try:
        return (perceptual_hash(path) ^ perceptual_hash(labelled)).bit_count() > DISTANCE
    except ImageError:
        return False  # named when it is read to be drawn
