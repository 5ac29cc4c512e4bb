"""Where to look for animals in a picture: as annotated, or everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from equistera.dataset.animals import Animal, PictureAnimals
from equistera.frames import Frame


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

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        return [
            [Box(a.bbox, a.score, a) for a in self.pictures.animals.get(self.pictures.find(frame.name), ())]
            for frame in frames
        ]
