"""Pictures that stand in several places of the input: taken once where the labels agree, never chosen between.

An older export beside a newer one, a copy in another folder, a picture imported twice: no rule (name, date, order) says
reliably which labels are right, and the wrong ones would be trained on without anybody noticing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equistera.dataset.annotate import Frame
from equistera.dataset.boxes import SAME
from equistera.dataset.formats.records import Animal, Skip
from equistera.dataset.split_report import source_of
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
        is_there: Whether the picture is on disk.
        entries: COCO annotations in the skeleton's order, without ids.
        animals: What the file says of each of them.
        skips: What of the picture's labels was left out.
    """

    file_name: str
    file: Path
    where: str
    frame: Frame
    is_there: bool
    entries: list[dict] = field(default_factory=list)
    animals: list[Animal] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)


def take_once(pictures: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled], list[Skip]]:
    """Takes every picture once.

    Args:
        pictures: All places with labels; a place without any is none, and hides nothing.

    Returns:
        One place of each picture, in the order of the input; other places with the same labels; and pictures that one
        file labels in two ways, of which none is taken.

    Raises:
        UserError: Files contradict each other; all pairs are listed, with their pictures.
    """
    places = defaultdict(list)
    for picture in pictures:
        places[picture.file_name].append(picture)
    kept, repeated, skips = [], [], []
    contradictions: dict[tuple[Path, Path], list[str]] = defaultdict(list)
    for first, *others in places.values():
        different = [other for other in others if not _same_labels(first, other)]
        elsewhere = {other.file: None for other in different if other.file != first.file}
        for file in elsewhere:
            contradictions[first.file, file].append(first.file_name)
        if not different:
            kept.append(first)
            repeated.extend(others)
        elif not elsewhere:
            reason = "stands in the file more than once, with different labels"
            detail = f"{first.file_name}: {_difference(first, different[0])}"
            skips.extend(Skip("picture", place.where, reason, detail) for place in (first, *others))
    if contradictions:
        count = len({name for names in contradictions.values() for name in names})
        raise UserError(
            f"different files have different labels for {counted(count, 'pictures')}, and nothing says which "
            "are right:",
            [f"{one} and {other}: {_examples(names)}" for (one, other), names in contradictions.items()],
            "Give the right file with --input (and the pictures' folder with --img-dir), or move outdated files out of "
            "the folder.",
        )
    return kept, repeated, skips


def repeats_note(repeated: Sequence[Labelled]) -> list[str]:
    """A line for the user about pictures that were taken once, if there are any."""
    if not repeated:
        return []
    names = list(dict.fromkeys(picture.file_name for picture in repeated))
    files = ", ".join(map(str, dict.fromkeys(picture.file for picture in repeated)))
    return [f"labelled more than once with the same labels, taken once: {_examples(names)}; again in {files}"]


def shared_points(points: np.ndarray, photos: Sequence[Hashable]) -> list[list[int]]:
    """Animals that have their points, to the last digit, in several photos, which no hand does.

    Tracks that go on behind their end, label files that two pictures share, ids that lead to the wrong picture.

    Args:
        points: float [N, K, 3], x, y, visibility; 0 where not labelled.
        photos: What each animal's photo is known by; the same for copies of one photo, which may have its points.

    Returns:
        Groups of positions among the animals, one animal of each photo.
    """
    same: dict[bytes, dict[Hashable, int]] = defaultdict(dict)
    for n in np.flatnonzero((points[..., 2] > 0).sum(axis=1) >= _FEWEST).tolist():
        same[points[n].tobytes()].setdefault(photos[n], n)
    return [list(by_photo.values()) for by_photo in same.values() if len(by_photo) > 1]


def never_clicked(points: np.ndarray, keypoints: Sequence[str]) -> list[str]:
    """Sentences about keypoints that nobody has clicked: most animals have them where the tool puts new points.

    Args:
        points: As in :func:`shared_points`.
        keypoints: The K names.
    """
    enough = (points[..., 2] > 0).sum(axis=1) >= _FEWEST
    different = np.unique(points[enough], axis=0)
    sentences = []
    for k, name in enumerate(keypoints):
        labelled = different[different[:, k, 2] > 0, k, :2]
        places, counts = np.unique(labelled, axis=0, return_counts=True)
        most = counts.max(initial=0)
        if most >= _FEWEST and 2 * most > len(labelled):
            x, y = places[counts.argmax()]
            sentences.append(
                f"{name} is at ({x:g}, {y:g}) in {most} of {len(labelled)} animals that have it: "
                "probably never clicked, but left where the tool puts new points"
            )
    return sentences


def suspicions(pictures: Sequence[Labelled], keypoints: Sequence[str]) -> list[str]:
    """What :func:`shared_points` and :func:`never_clicked` find, for the user; every picture is given once."""
    animals = [(picture.file_name, entry["keypoints"]) for picture in pictures for entry in picture.entries]
    points = np.array([values for _, values in animals], dtype=float).reshape(len(animals), len(keypoints), 3)
    shared = shared_points(points, [source_of(name) or name for name, _ in animals])
    names = sorted({animals[n][0] for group in shared for n in group})
    first = (
        f"an animal has the same points in several pictures: {_examples(names)}; unless these are copies of one "
        "photo, all but one have another's labels: look at them"
    )
    return [*([first] if names else []), *never_clicked(points, keypoints)]


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


def _difference(one: Labelled, other: Labelled) -> str:
    """What is different between two places of a picture."""
    frames = [(place.frame.width, place.frame.height) for place in (one, other)]
    if frames[0] != frames[1]:
        return " and ".join(f"{width}x{height}" for width, height in frames) + " pixels"
    if len(one.entries) != len(other.entries):
        return f"{len(one.entries)} and {counted(len(other.entries), 'animals')}"
    pairs = [(a, b) for a in one.entries for b in other.entries if not agree(a, b)]
    points = [np.abs(np.subtract(a["keypoints"], b["keypoints"])).reshape(-1, 3) > SAME for a, b in pairs]
    fewest = min(int(moved.any(axis=1).sum()) for moved in points)
    return f"{counted(fewest, 'points')} of an animal" if fewest else "the box of an animal"


def agree(one: dict, other: dict) -> bool:
    """Whether two entries are the same animal, within what rounding does."""
    if one["keypoints"][2::3] != other["keypoints"][2::3]:
        return False
    return all(np.abs(np.subtract(one[key], other[key])).max() <= SAME for key in ("keypoints", "bbox"))
