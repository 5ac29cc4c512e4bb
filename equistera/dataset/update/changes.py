"""The record of a merge: every number that is another one now, as a table and in words."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from equistera.words import counted

COLUMNS = ("file", "picture", "animal", "keypoint", "change", "before", "after", "moved_px")

MOVED, FLAG, ADDED, REMOVED, BOX = "moved", "visibility", "added", "removed", "box"
ANIMAL_ADDED, ANIMAL_REMOVED, PICTURE_ADDED = "animal added", "animal removed", "picture added"

#: What is counted of each kind of change, and how that is said.
_WORDS = {
    MOVED: ("points", "moved"),
    FLAG: ("points", "of another visibility only"),
    ADDED: ("points", "newly labelled"),
    REMOVED: ("points", "no longer labelled"),
    BOX: ("boxes", "drawn anew"),
    ANIMAL_ADDED: ("animals", "added"),
    ANIMAL_REMOVED: ("animals", "taken out"),
    PICTURE_ADDED: ("pictures", "added"),
}


@dataclass(frozen=True)
class Change:
    """Something that is another now.

    Attributes:
        file: Name of the annotation file.
        picture: ``file_name``.
        animal: Id of the annotation; "" for a whole picture.
        keypoint: Its name; "" for a box or more.
        kind: One of the words above.
        before: x, y, flag of a point, x, y, width, height of a box; empty where there was nothing.
        after: Likewise.
    """

    file: str
    picture: str
    animal: object
    keypoint: str
    kind: str
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()

    @property
    def moved(self) -> float | None:
        """Pixels that the point was moved by; None where it was not in both."""
        return math.dist(self.before[:2], self.after[:2]) if self.kind in (MOVED, FLAG) else None

    def row(self) -> list[object]:
        """Its line of the table."""
        numbers = [" ".join(f"{value:g}" if value == round(value) else f"{value:.3f}" for value in values)
                   for values in (self.before, self.after)]  # fmt: skip
        moved = "" if self.moved is None else f"{self.moved:.2f}"
        return [self.file, self.picture, self.animal, self.keypoint, self.kind, *numbers, moved]


def write_changes(file: IO[str], changes: Sequence[Change]) -> None:
    """Writes the table as CSV; ``file`` is open for text."""
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(change.row() for change in changes)


def in_words(changes: Sequence[Change]) -> list[str]:
    """Lines for the terminal: how much of each kind, in how many pictures, and what was moved furthest."""
    kinds = Counter(change.kind for change in changes)
    animals = len({(change.file, change.animal) for change in changes if change.animal != ""})
    pictures = len({(change.file, change.picture) for change in changes})
    lines = [f"changed    {counted(animals, 'animals')} in {counted(pictures, 'pictures')}:"]
    for kind, (nouns, what) in _WORDS.items():
        if kinds[kind]:
            lines.append(f"  {counted(kinds[kind], nouns)} {what}")
    moved = [change for change in changes if change.kind == MOVED]
    if moved:
        furthest = max(moved, key=lambda change: change.moved)
        middle = sorted(change.moved for change in moved)[len(moved) // 2]
        lines.append(
            f"  moved by {middle:.1f} px (the median), {furthest.moved:.1f} px at most ({furthest.keypoint} of animal "
            f"{furthest.animal} in {furthest.picture})"
        )
    points = Counter(change.keypoint for change in changes if change.keypoint)
    if points:
        often = ", ".join(f"{name} {count}" for name, count in points.most_common(5))
        lines.append(f"  most often: {often}")
    return lines
