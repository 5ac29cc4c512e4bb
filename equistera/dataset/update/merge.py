"""One picture's labels of an export beside those of the data set: what changes, and the changes made in the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from equistera.dataset.boxes import EDGE
from equistera.dataset.formats.records import Animal
from equistera.dataset.repeats import Labelled
from equistera.dataset.update import changes as kinds
from equistera.dataset.update.changes import Change
from equistera.dataset.update.known import KnownAnimal, KnownFile
from equistera.dataset.update.pairing import SAME, AmbiguousError, paired
from equistera.skeleton import Skeleton

#: Digits that box areas are written with may differ.
_SAME_AREA = 0.01
#: From this number of points on, a correction leaves at least one where it was.
_MANY = 6


@dataclass
class Merge:
    """What becomes of a data set.

    Attributes:
        skeleton: Names the points.
        same: Pixels within which a number of the export is the same.
        never_named: Points that the file of the next picture has in none: nobody was asked about them.
        not_asked: Those of them that some animal has.
        changes: What changes.
        problems: What cannot be merged; a line each.
        only_one_side: Animals that only the export has, or only the data set; a line each.
        outside: Points that lie outside of their animal's box now; a line each.
        all_moved: Animals of which no point stayed where it was; a line each.
        kept_hidden: Points that stay hidden although the export, which cannot say so, has them visible.
    """

    skeleton: Skeleton
    same: float = SAME
    never_named: frozenset[str] = frozenset()
    not_asked: set[str] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    only_one_side: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    all_moved: list[str] = field(default_factory=list)
    kept_hidden: int = 0

    def picture(self, file: KnownFile, labelled: Labelled, tells_hidden: bool) -> tuple[list[int], list[int]]:
        """Merges a picture into its file's text.

        Args:
            file: Has the picture.
            labelled: The export's labels of it.
            tells_hidden: Whether the export can say which points are hidden.

        Returns:
            Positions of the animals that only the export has (in ``labelled``) and only the data set (in ``file``).
        """
        name, image = labelled.file_name, file.images[labelled.file_name]
        size, now = (image.get("width"), image.get("height")), (labelled.frame.width, labelled.frame.height)
        if None not in size and size != now:
            self.problems.append(f"{labelled.where}: the picture has {now[0]}x{now[1]} pixels, {file.path.name} says "
                                 f"{size[0]}x{size[1]}")  # fmt: skip
            return [], []
        known = file.animals.get(name, [])
        found = [np.reshape(entry["keypoints"], (-1, 3)).astype(float) for entry in labelled.entries]
        boxes = [animal.box or _around(animal.points) for animal in known]
        try:
            pairs = paired(
                [a.points for a in known], found, boxes, [entry["bbox"] for entry in labelled.entries], self.same
            )
        except AmbiguousError as error:
            self.problems.append(f"{labelled.where}: {error}")
            return [], []
        for i, j in pairs:
            self._animal(file, name, known[i], found[j], labelled.entries[j], labelled.animals[j], tells_hidden)
        new = sorted(set(range(len(found))) - {j for _, j in pairs})
        gone = sorted(set(range(len(known))) - {i for i, _ in pairs})
        self.only_one_side += [f"{labelled.where}: animal {j + 1} is not in {file.path.name}" for j in new]
        self.only_one_side += [f"{labelled.where}: lacks animal {known[i].id} of {file.path.name}" for i in gone]
        return new, [known[i].position for i in gone]

    def _animal(
        self, file: KnownFile, name: str, known: KnownAnimal, found: np.ndarray, entry: dict, said: Animal,
        tells_hidden: bool,
    ) -> None:  # fmt: skip
        place: list[str | int] = ["annotations", known.position]
        after = self._with_kept(known.points, found, tells_hidden)
        for k, change in self._points(file, name, known, after):
            self.changes.append(change)
            old, new, column = known.points[k], after[k], 3 * int(known.columns[k])
            for i in range(2):
                if old[i] != new[i] and change.kind != kinds.FLAG:
                    file.text.replace([*place, "keypoints", column + i], round(float(new[i]), 3))
            if old[2] != new[2]:
                file.text.replace([*place, "keypoints", column + 2], int(new[2]))
        both = (known.points[:, 2] > 0) & (after[:, 2] > 0)
        stayed = (np.abs(known.points[:, :2] - after[:, :2]) <= self.same).all(axis=1)
        if both.sum() >= _MANY and not (both & stayed).any():
            self.all_moved.append(f"animal {known.id} in {name}")
        count = int((after[:, 2] > 0).sum())
        if "num_keypoints" in known.entry and known.entry["num_keypoints"] != count:
            file.text.replace([*place, "num_keypoints"], count)
        # a box that was made from the points says nothing of the one that was drawn
        box = known.box if said.box is None and known.box else tuple(entry["bbox"])
        if known.box is None or np.abs(np.subtract(box, known.box)).max() > self.same:
            self.changes.append(Change(file.path.name, name, known.id, "", kinds.BOX, known.box or (), box))
            file.text.replace([*place, "bbox"], list(box))
            if "area" in known.entry and (said.area is not None or _is_of_box(known)):
                file.text.replace([*place, "area"], entry["area"])
        self._say_outside(name, known, after, box)

    def _with_kept(self, before: np.ndarray, found: np.ndarray, tells_hidden: bool) -> np.ndarray:
        """The export's points, with those of the data set that it says nothing of."""
        after = found.copy()
        for k, point in enumerate(self.skeleton.names):
            if point in self.never_named and before[k, 2]:
                after[k] = before[k]
                self.not_asked.add(point)
        if not tells_hidden:
            both = (before[:, 2] > 0) & (after[:, 2] > 0)
            self.kept_hidden += int((both & (before[:, 2] != after[:, 2])).sum())
            after[both, 2] = before[both, 2]
        return after

    def _points(
        self, file: KnownFile, name: str, known: KnownAnimal, after: np.ndarray
    ) -> Iterator[tuple[int, Change]]:
        for k, point in enumerate(self.skeleton.names):
            old, new = known.points[k].tolist(), after[k].tolist()
            if not old[2] and not new[2]:
                continue
            moved = max(abs(old[0] - new[0]), abs(old[1] - new[1])) > self.same
            if not old[2]:
                kind, old = kinds.ADDED, []
            elif not new[2]:
                kind, new = kinds.REMOVED, []
                after[k] = 0
            elif moved:
                kind = kinds.MOVED
            elif old[2] != new[2]:
                kind = kinds.FLAG
            else:
                continue
            yield k, Change(file.path.name, name, known.id, point, kind, tuple(old), tuple(new))

    def _say_outside(self, name: str, known: KnownAnimal, after: np.ndarray, box: Sequence[float]) -> None:
        low, high = np.array(box[:2]) - EDGE, np.add(box[:2], box[2:]) + EDGE

        def outside(points: np.ndarray) -> np.ndarray:
            return (points[:, 2] > 0) & ((points[:, :2] < low) | (points[:, :2] > high)).any(axis=1)

        for k in np.flatnonzero(outside(after) & ~outside(known.points)):
            self.outside.append(f"{self.skeleton.names[k]} of animal {known.id} in {name}")


def added(
    file: KnownFile, labelled: Labelled, position: int, image_id: object, new_id: object, skeleton: Skeleton
) -> dict:
    """The annotation of an animal that only the export has, as the file has its own.

    Args:
        file: Its categories give the order of the points; an animal of none of them is of the first.
        labelled: The animal's picture.
        position: Among its animals.
        image_id: Of the picture in the file.
        new_id: Of the annotation.
        skeleton: The order of the export's points.
    """
    posed = [c for c in file.content["categories"] if isinstance(c, dict) and c.get("keypoints")]
    word = labelled.animals[position].category.strip().casefold()
    category = next((c for c in posed if str(c.get("name", "")).strip().casefold() == word), posed[0])
    entry = labelled.entries[position]
    points = [entry["keypoints"][3 * k : 3 * k + 3] for k in range(len(skeleton))]
    columns = skeleton.columns_of([str(name) for name in category["keypoints"]])
    ordered = [points[k] for k in np.argsort(columns)]
    flat = [value for point in ordered for value in point]
    return {"id": new_id, "image_id": image_id, "category_id": category["id"], **entry, "keypoints": flat}


def _is_of_box(known: KnownAnimal) -> bool:
    area = known.entry.get("area")
    if known.box is None or not isinstance(area, (int, float)):
        return True
    return abs(area - known.box[2] * known.box[3]) <= _SAME_AREA * known.box[2] * known.box[3]


def _around(points: np.ndarray) -> tuple[float, ...]:
    labelled = points[points[:, 2] > 0, :2]
    if not len(labelled):
        return 0.0, 0.0, 0.0, 0.0
    return *labelled.min(axis=0).tolist(), *np.ptp(labelled, axis=0).tolist()
