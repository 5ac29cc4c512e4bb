"""Animals that several people labelled, side by side: the same animal in each labeller's file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from equistera.dataset.animals import PictureAnimals
from equistera.dataset.boxes import overlaps
from equistera.dataset.coco import load_annotations
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Two labellings are of one animal if their boxes overlap so far, or their points lie so near in shares of sqrt(area).
OVERLAP, NEAR = 0.5, 0.1
#: Pixels within which nobody clicks twice by chance.
SAME = 0.05
#: With a larger share of such points one labelling was made from the other, or both from the same pre-annotations.
COPIED = 0.1


@dataclass(frozen=True)
class DoubleLabels:
    """N animals that at least two of M people labelled; make it with :func:`read_double`.

    Attributes:
        skeleton: The K keypoints.
        labellers: M names.
        pictures: [N] file name of the picture of every animal.
        points: float64 [N, M, K, 2], pixels; NaN where that labeller did not label the point.
        visibility: int64 [N, M, K].
        boxes: float64 [N, M, 4], x, y, width, height; NaN where that labeller did not label the animal.
        areas: float64 [N, M], square pixels, likewise.
        notes: What was left out, and what gives reason to doubt.
    """

    skeleton: Skeleton
    labellers: tuple[str, ...]
    pictures: np.ndarray
    points: np.ndarray
    visibility: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def area(self) -> np.ndarray:
        """float64 [N], the mean of those that the labellers say."""
        return np.nanmean(self.areas, axis=1)


@dataclass(frozen=True)
class _Labelling:
    points: np.ndarray
    box: np.ndarray
    area: float


def read_double(paths: Sequence[str | Path], skeleton: Skeleton) -> DoubleLabels:
    """Reads a COCO file of each labeller and finds the animals that several of them labelled.

    Pictures are the same by their file name, or by the end of it; animals by boxes and points.

    Raises:
        UserError: A file cannot be read, or no animal was labelled twice.
    """
    names = _names(paths)
    files = [_by_picture(load_annotations(path, skeleton), path) for path in paths]
    notes = []
    clusters: list[dict[int, _Labelling]] = []
    pictures: list[str] = []
    known: dict[str, list[int]] = {}
    for m, file in enumerate(files):
        finder = PictureAnimals({}, dict.fromkeys(known))
        alone = 0
        for picture, animals in file.items():
            same = finder.find(picture) if known else None
            alone += same is None
            rows = known.setdefault(same or picture, [])
            pairs = _pairs([next(iter(clusters[row].values())) for row in rows], animals)
            for i, animal in enumerate(animals):
                if i in pairs:
                    clusters[rows[pairs[i]]][m] = animal
                else:
                    clusters.append({m: animal})
                    pictures.append(same or picture)
            new = range(len(clusters) - (len(animals) - len(pairs)), len(clusters))
            known[same or picture] = [*rows, *new]
        if m and alone == len(file):
            raise UserError(
                f"{paths[m]} has no picture of the files before it, by their file names",
                hint="Such as " + ", ".join([*list(file)[:1], *list(files[0])[:1]]),
            )
    labelled_by = [{m for m in range(len(names)) if any(m in clusters[row] for row in rows)} for rows in known.values()]
    if alone := sum(len(by) < 2 for by in labelled_by):
        notes.append(f"{counted(alone, 'pictures')} of {len(known)} labelled by one person alone: left out")
    twice = [row for row, cluster in enumerate(clusters) if len(cluster) > 1]
    shared = {row for rows, by in zip(known.values(), labelled_by, strict=True) if len(by) > 1 for row in rows}
    for m, name in enumerate(names):
        if own := sum(row in shared and [*clusters[row]] == [m] for row in range(len(clusters))):
            notes.append(
                f"{counted(own, 'animals')} labelled by {name} alone in pictures that others labelled: left out"
            )
    if not twice:
        raise UserError(
            "no animal was labelled twice:", notes, "Give files of the same pictures, labelled by different people"
        )
    count = len(skeleton)
    points = np.full((len(twice), len(names), count, 3), np.nan)
    boxes, areas = np.full((len(twice), len(names), 4), np.nan), np.full((len(twice), len(names)), np.nan)
    for n, row in enumerate(twice):
        for m, one in clusters[row].items():
            points[n, m], boxes[n, m], areas[n, m] = one.points, one.box, one.area
    visibility = np.nan_to_num(points[..., 2]).astype(int)
    places = np.where(visibility[..., None] > 0, points[..., :2], np.nan)
    found = DoubleLabels(
        skeleton, names, np.array([pictures[row] for row in twice]), places, visibility, boxes, areas, notes
    )
    notes += _doubts(found)
    return found


def _names(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """A name for each file: of its path, without what all have in common at its end and at its beginning."""
    parts = [Path(path).with_suffix("").parts for path in paths]
    if len({*parts}) < len(parts):
        raise UserError("a file is given twice:", map(str, paths))
    for side in (-1, 0):
        while min(map(len, parts)) > 1 and len({part[side:][:1] for part in parts}) == 1:
            parts = [part[:-1] if side else part[1:] for part in parts]
    return tuple("/".join(part) for part in parts)


def _by_picture(coco: Mapping, path: str | Path) -> dict[str, list[_Labelling]]:
    names = Counter(image["file_name"] for image in coco["images"])
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{path} has pictures twice, which nothing can be told apart by:", twice)
    found = {image["id"]: (image["file_name"], []) for image in coco["images"]}
    for annotation in coco["annotations"]:
        points = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
        labelling = _Labelling(points, np.array(annotation["bbox"], dtype=float), annotation["area"])
        found[annotation["image_id"]][1].append(labelling)
    return {name: animals for name, animals in found.values() if animals}


def _pairs(known: Sequence[_Labelling], animals: Sequence[_Labelling]) -> dict[int, int]:
    """For each animal the position of the known one that it is, where there is one."""
    if not known:
        return {}
    from scipy.optimize import linear_sum_assignment

    near = np.array([[_distance(a, b) for b in known] for a in animals])
    overlap = overlaps(np.array([a.box for a in animals]), np.array([b.box for b in known]))
    # nearer ones first; where points say nothing, boxes do
    rows, columns = linear_sum_assignment(np.minimum(near, 1) - overlap)
    same = (overlap >= OVERLAP) | (near <= NEAR)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if same[i, j]}


def _distance(one: _Labelling, other: _Labelling) -> float:
    """Median distance of points that both have, in shares of sqrt(area); infinite where there is none."""
    both = (one.points[:, 2] > 0) & (other.points[:, 2] > 0)
    if not both.any():
        return np.inf
    distance = np.linalg.norm(one.points[both, :2] - other.points[both, :2], axis=1)
    return float(np.median(distance)) / np.sqrt((one.area + other.area) / 2)


def _doubts(found: DoubleLabels) -> list[str]:
    lines = []
    for a, b in combinations(range(len(found.labellers)), 2):
        names = f"{found.labellers[a]} and {found.labellers[b]}"
        apart = np.abs(found.points[:, a] - found.points[:, b]).max(axis=-1)
        both = np.isfinite(apart)
        animals = np.isfinite(found.areas[:, a] + found.areas[:, b])
        one_only = ((found.visibility[:, a] > 0) != (found.visibility[:, b] > 0))[animals].sum()
        if both.any() and (same := (apart[both] <= SAME).mean()) > COPIED:
            lines.append(
                f"{names}: {same:.0%} of the points are the same to {SAME:g} px. Were both begun from the same labels? "
                "Then the sigmas are too small"
            )
        if one_only:
            total = both.sum() + one_only
            lines.append(f"{names}: {counted(one_only, 'points')} of {total} labelled by one of the two only")
    return lines
