"""Pictures that stand in several places of the input: taken once where the labels agree, never chosen between.

An older export beside a newer one, a copy in another folder, a picture imported twice: no rule (name, date, order) says
reliably which labels are right, and the wrong ones would be trained on without anybody noticing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.dataset.annotate import Frame
from equistera.dataset.formats.records import Skip
from equistera.dataset.split_names import source_of
from equistera.dataset.tolerances import SAME
from equistera.errors import UserError
from equistera.words import counted

_EXAMPLES = 3
#: Points that two animals must share, and pictures that must have a point in one place: fewer may meet by chance.
_FEWEST = 3


@dataclass(frozen=True)
class Labelled:
    """A picture as one place of the input labels it.

    Attributes:
        file_name: Path relative to the picture folder.
        file: The annotation file.
        where: The place in it, for messages.
        frame: Gives the picture's size.
        entries: COCO annotations in the skeleton's order, without ids; at least one.
        skips: What of the picture's labels was left out.
        path: The picture on disk, or None.
    """

    file_name: str
    file: Path
    where: str
    frame: Frame
    entries: list[dict]
    skips: list[Skip]
    path: Path | None


@dataclass(frozen=True)
class Once:
    """What is left when every picture is taken once.

    Attributes:
        kept: One place of each picture, in the order of the input.
        repeated: Other places with the same labels.
        skips: Pictures that one file labels in two ways: none of the two is taken.
    """

    kept: list[Labelled]
    repeated: list[Labelled]
    skips: list[Skip]


def take_once(pictures: Sequence[Labelled]) -> Once:
    """Takes every picture once.

    Args:
        pictures: All places with labels; a place without any is none, and hides nothing.

    Raises:
        UserError: Files contradict each other; all pairs are listed, with their pictures.
    """
    places = defaultdict(list)
    for picture in pictures:
        places[picture.file_name].append(picture)
    once = Once([], [], [])
    contradictions: dict[tuple[Path, Path], list[str]] = defaultdict(list)
    for first, *others in places.values():
        different = [other for other in others if not _same_labels(first, other)]
        elsewhere = {other.file: None for other in different if other.file != first.file}
        for file in elsewhere:
            contradictions[first.file, file].append(first.file_name)
        if not different:
            once.kept.append(first)
            once.repeated.extend(others)
        elif not elsewhere:
            reason = "stands in the file more than once, with different labels"
            once.skips.extend(Skip("picture", place.where, reason, place.file_name) for place in (first, *others))
    if contradictions:
        count = len({name for names in contradictions.values() for name in names})
        raise UserError(
            f"different files have different labels for {counted(count, 'pictures')}, and nothing says which "
            "are right:",
            [f"{one} and {other}: {_examples(names)}" for (one, other), names in contradictions.items()],
            "Give the right file with --input (and the pictures' folder with --img-dir), or move outdated files out of "
            "the folder.",
        )
    return once


def told(repeated: Sequence[Labelled]) -> list[str]:
    """A line for the user about pictures that were taken once, if there are any."""
    if not repeated:
        return []
    names = list(dict.fromkeys(picture.file_name for picture in repeated))
    files = ", ".join(map(str, dict.fromkeys(picture.file for picture in repeated)))
    return [f"labelled more than once with the same labels, taken once: {_examples(names)}; again in {files}"]


def same_elsewhere(pictures: Sequence[Labelled], keypoints: Sequence[str]) -> list[str]:
    """Lines for the user about labels that stand to the last digit in several pictures, which no hand does.

    Tracks that go on behind their end, label files that two pictures share, ids that lead to the wrong picture; and
    single points that nobody has clicked, where the tool has put them.

    Args:
        pictures: Every picture once. Copies of one photo, by their names, may have one's labels.
        keypoints: Names, in the order of the entries.
    """
    animals: dict[tuple, dict[str, str]] = defaultdict(dict)
    places = [Counter() for _ in keypoints]
    for picture in pictures:
        for entry in picture.entries:
            points = np.reshape(entry["keypoints"], (-1, 3)).tolist()
            if sum(flag > 0 for *_, flag in points) >= _FEWEST:
                photo = source_of(picture.file_name) or picture.file_name
                animals[tuple(entry["keypoints"])].setdefault(photo, picture.file_name)
    for key in animals:
        for place, (x, y, flag) in zip(places, np.reshape(key, (-1, 3)).tolist(), strict=True):
            place.update([(x, y)] * (flag > 0))
    notes = []
    shared = sorted({name for photos in animals.values() if len(photos) > 1 for name in photos.values()})
    if shared:
        notes.append(
            f"an animal has the same points in several pictures: {_examples(shared)}; unless these are copies of one "
            "photo, all but one have another's labels: look at them"
        )
    for name, place in zip(keypoints, places, strict=True):
        (where, count), *_ = place.most_common(1) or [((), 0)]
        if count >= _FEWEST and 2 * count > place.total():
            notes.append(
                f"{name} is at ({where[0]:g}, {where[1]:g}) in {count} of {place.total()} animals that have it: "
                "probably never clicked, but left where the tool puts new points"
            )
    return notes


def _examples(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_EXAMPLES])
    return f"{counted(len(names), 'pictures')}, {'such as ' * (len(names) > _EXAMPLES)}{shown}"


def _same_labels(one: Labelled, other: Labelled) -> bool:
    """Whether both have the same animals, in any order."""
    if (one.frame.width, one.frame.height) != (other.frame.width, other.frame.height):
        return False
    left = list(other.entries)
    for entry in one.entries:
        same = next((i for i, candidate in enumerate(left) if agree(entry, candidate)), None)
        if same is None:
            return False
        del left[same]
    return not left


def agree(one: dict, other: dict) -> bool:
    """Whether two entries are the same animal, within what rounding does."""
    if one["keypoints"][2::3] != other["keypoints"][2::3]:
        return False
    return all(np.abs(np.subtract(one[key], other[key])).max() <= SAME for key in ("keypoints", "bbox"))
