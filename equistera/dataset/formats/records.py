"""What every reader returns: pictures with animals, points by the file's own names, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from equistera.dataset.formats.values import Unusable
from equistera.errors import UserError

#: The category that is taken where a file has several, and the user names none.
HORSE = "horse"


class NotLabels(UserError):
    """A file that is not what was looked for, but need not be wrong: a folder's others are converted without it.

    Args:
        path: The file.
        what: What it is (not), in words that are the same for all files of the kind: they are told together.
        hint: The next step.
    """

    def __init__(self, path: Path, what: str, hint: str):
        self.path, self.what = path, what
        super().__init__(f"{path}: {what}", hint=hint)


@dataclass(frozen=True)
class Skip:
    """Something that was read and not converted.

    Attributes:
        what: ``picture``, ``horse``, ``point`` or ``box``.
        where: File, task or picture.
        reason: Why; equal for all items of a kind.
        detail: What was found in this one.
        hint: The next step, where it is another than to label it again.
    """

    what: str
    where: str
    reason: str
    detail: str = ""
    hint: str = ""

    @classmethod
    def of(cls, what: str, where: str, error: Unusable) -> Skip:
        """What an error leaves out."""
        return cls(what, where, error.reason, error.detail, error.hint)

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Animal:
    """One labelled animal.

    Attributes:
        points: ``x, y, visibility`` (COCO's flag) by the file's keypoint name; points that are not there may be left
            out or stand with flag 0, wherever (NaN where the file has no place for them).
        box: ``x, y, width, height``, perhaps without a size, or None where the file has none.
        category: The file's word for the animal, ``""`` where it has none.
        area: Pixels of the animal's outline, where the file gives it.
        score: How sure a model is of it, 0 to 1; None for what a person has labelled.
        confidences: Likewise of its points, by name.
    """

    points: Mapping[str, tuple[float, float, int]]
    box: tuple[float, float, float, float] | None = None
    category: str = ""
    area: float | None = None
    score: float | None = None
    confidences: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One picture and its animals.

    Attributes:
        names: Under which names to look for the file, the likeliest first; relative, ``/`` between folders.
        where: The place in the export, for messages.
        animals: The labelled animals.
        size: ``width, height`` in pixels that the labelling tool wrote down, or None.
        relative: Coordinates are fractions of the displayed picture's width and height instead of pixels.
        plain_name: What to call the file where there is none, if that is not the last of ``names``.
    """

    names: tuple[str, ...]
    where: str
    animals: tuple[Animal, ...]
    size: tuple[int, int] | None = None
    relative: bool = False
    plain_name: str = ""

    @property
    def score(self) -> float:
        """That of the animal that a model is least sure of; 0 without animals."""
        return min((animal.score or 0.0 for animal in self.animals), default=0.0)


@dataclass
class Export:
    """The content of one annotation file.

    Attributes:
        path: The file.
        title: Name of the format for people.
        keypoints: By category, keypoint names in the order in which the file declares or first uses them.
        pictures: What can be converted.
        skips: What cannot.
        empty: Pictures in which nothing is labelled, or no longer; they are among the skips, too.
        notes: What the user should know although nothing is lost.
        sized: Which size of a photo with an EXIF orientation the tool writes down: ``shown``: of what its labels were
            made on; ``stored``: of the file, while labels were made on the turned photo; "" where nobody knows.
        tells_hidden: Whether the format says which points are hidden; where it does not, all are visible.
    """

    path: Path
    title: str
    keypoints: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    empty: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sized: str = ""
    tells_hidden: bool = True

    @contextmanager
    def leaving_out(self, what: str, where: str) -> Iterator[None]:
        """Ends what is done with an item that turns out :class:`Unusable`, and notes it down."""
        try:
            yield
        except Unusable as error:
            self.skips.append(Skip.of(what, where, error))

    def add(self, picture: Picture) -> None:
        """Takes in a picture, and the keypoint names that it uses and the file did not declare."""
        self.pictures.append(picture)
        for animal in picture.animals:
            names = self.keypoints.setdefault(animal.category, [])
            names += [name for name in animal.points if name not in names]
