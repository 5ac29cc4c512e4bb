"""A repaired copy of an annotation file: only repairs that lose nothing and guess nothing, each of them told."""

from __future__ import annotations

import copy
import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from equistera.dataset.boxes import EDGE, box_around, other_unit
from equistera.dataset.coco import category_of, is_id
from equistera.dataset.readings import other_readings, read_boxes
from equistera.dataset.verify.annotation_file import AnnotationFile, keypoint_names, number
from equistera.dataset.verify.entries import (
    area_problem,
    at_origin,
    box_overhang,
    copies_of,
    is_whole,
    outside_box,
    outside_picture,
    usable_boxes,
)
from equistera.dataset.verify.pictures import is_unturned, points_fit_turned
from equistera.words import counted

#: What a step has done: how many, and a sentence with ``{} plural`` for them.
Changes: TypeAlias = Iterator[tuple[int, str]]

#: Of an animal's labelled points this share may be outside the picture for them to count as slips.
MAX_OUTSIDE = 1 / 3


def repair(file: AnnotationFile) -> tuple[dict, list[str]]:
    """Repairs what is safe to repair of a file whose pictures were looked at; it is not changed.

    Returns:
        The repaired COCO content, and what was changed, one sentence each.
    """
    content = copy.deepcopy(file.content)
    changes: list[str] = []
    if other_readings(file.labelled_points, file.boxes, file.annotation_picture_sizes)[1] or other_unit(
        file.labelled_points, file.picture_sizes
    ):
        # repairs would fit the boxes to points that are elsewhere, and nobody would see it any more
        return content, changes
    for step in _STEPS:
        # every step sees the file as the steps before have left it
        for count, sentence in step(replace(file, content=content)):
            before, nouns, after = re.split(r"\{\} (\w+)", sentence)
            changes += [before + counted(count, nouns) + after] if count else []
    if emptied := _empty_nonfinite(content):
        changes.append(f"emptied {emptied} other NaN or infinite numbers, which JSON does not have")
    return content, changes


def _same_pictures(file: AnnotationFile) -> Changes:
    kept, seen = [], defaultdict(list)
    for entry in file.content["images"]:
        same = seen[entry["id"]] if isinstance(entry, dict) and is_id(entry.get("id")) else []
        if entry not in same:
            kept.append(entry)
        same.append(entry)
    yield len(file.content["images"]) - len(kept), "left out {} repeated entries of a picture"
    file.content["images"][:] = kept


def _sizes(file: AnnotationFile) -> Changes:
    filled = turned = 0
    for place, entry in enumerate(file.pictures):
        header = file.picture_states[place].header
        if header is None:
            continue
        if np.isnan(file.picture_sizes[place]).any():
            filled += 1
        elif is_unturned(file, place, header) and points_fit_turned(file, place, header):
            turned += 1
        else:
            continue
        entry["width"], entry["height"] = header.size
    yield filled, "filled in the size of {} pictures"
    yield turned, "exchanged width and height of {} pictures turned by EXIF"


def _orphans(file: AnnotationFile) -> Changes:
    orphans = [n for n in range(len(file.annotations)) if file.picture_of(n) is None]
    if len(orphans) < len(file.annotations):
        _leave_out(file, orphans)
        yield len(orphans), "left out {} annotations that belong to no picture"


def _leave_out(file: AnnotationFile, places: Collection[int]) -> None:
    gone = {id(file.annotations[n]) for n in places}
    file.content["annotations"][:] = [entry for entry in file.content["annotations"] if id(entry) not in gone]


def _categories(file: AnnotationFile) -> Changes:
    if len(file.columns) != 1 or len(file.named_categories) != 1:
        return
    (only,) = file.columns
    wrong = [
        entry
        for entry in file.annotations
        if not is_id(entry.get("category_id")) or entry["category_id"] not in file.named_categories
    ]
    for entry in wrong:
        entry["category_id"] = only
    yield len(wrong), f"put {{}} annotations into category {only!r}, the only one with keypoints"


def _points(file: AnnotationFile) -> Changes:
    """Points that are no places: NaN, (0, 0), outside the picture."""
    origin, outside = at_origin(file), outside_picture(file)
    counts = np.maximum(file.labelled.sum(axis=1, keepdims=True), 1)
    outside &= outside.sum(axis=1, keepdims=True) <= MAX_OUTSIDE * counts
    outside[[not _size_is_right(file, n) for n in range(len(file.annotations))]] = False
    nonfinite = 0
    for n, entry in enumerate(file.annotations):
        columns = file.columns_for(n)
        if columns is None:
            continue
        for k, column in enumerate(columns.tolist()):
            place = slice(3 * column, 3 * column + 3)
            is_number = np.isfinite(file.keypoints[n, k]).all()
            empty = not is_number and not any(
                isinstance(value, (str, list, dict)) for value in entry["keypoints"][place]
            )
            nonfinite += empty
            if empty or origin[n, k] or outside[n, k]:
                entry["keypoints"][place] = [0, 0, 0]
    yield nonfinite, "set {} points without coordinates to not labelled"
    yield int(origin.sum()), "set {} points at (0, 0) to not labelled"
    yield int(outside.sum()), "set {} points outside their picture to not labelled"


def _size_is_right(file: AnnotationFile, n: int) -> bool:
    """False where the picture on disk has another size than the file says: outside the one may be inside the other."""
    place = file.picture_of(n)
    header = None if place is None else file.picture_states[place].header
    return header is None or tuple(file.picture_sizes[place]) == header.size


def _order(file: AnnotationFile) -> Changes:
    moved = {own for own, columns in file.columns.items() if (columns != np.arange(len(columns))).any()}
    # values that cannot be told apart would then stand under names that are not theirs
    blocked = {
        entry.get("category_id")
        for n, entry in enumerate(file.annotations)
        if is_id(entry.get("category_id")) and entry.get("keypoints") is not None and not file.well_formed[n]
    }
    moved -= blocked
    for n, entry in enumerate(file.annotations):
        columns = file.columns_for(n)
        if columns is not None and entry["category_id"] in moved:
            values = entry["keypoints"]
            entry["keypoints"] = [value for c in columns.tolist() for value in values[3 * c : 3 * c + 3]]
    ordered = category_of(file.skeleton)
    for category in file.content["categories"]:
        if keypoint_names(category) and is_id(category.get("id")) and category["id"] in moved:
            category.update(keypoints=ordered["keypoints"], skeleton=ordered["skeleton"])
    yield len(moved), "brought the keypoints of {} categories into the skeleton's order"


def _meanings(file: AnnotationFile) -> Changes:
    reading, _ = other_readings(file.labelled_points, file.boxes, file.annotation_picture_sizes)
    if not reading:
        return
    read = np.isfinite(file.boxes).all(axis=1)
    boxes = read_boxes(reading, file.boxes, file.annotation_picture_sizes)
    for n in np.flatnonzero(read).tolist():
        file.annotations[n]["bbox"] = boxes[n].round(2).tolist()
    yield int(read.sum()), f"wrote {{}} boxes, which were {reading}, as x, y, width, height"


def _boxes(file: AnnotationFile) -> Changes:
    usable, overhang = usable_boxes(file), box_overhang(file)
    beyond = outside_box(file) & ~outside_picture(file)
    made = clipped = widened = 0
    for n, entry in enumerate(file.annotations):
        points = file.labelled_points[n][file.labelled[n]]
        size = file.annotation_picture_sizes[n]
        if not usable[n]:
            known = np.isfinite(size).all()
            box = box_around(points, *(size if known else (np.inf, np.inf)))
            if box is None:
                continue
            made += 1
        else:
            x, y, width, height = file.boxes[n]
            low, high = np.array([x, y]), np.array([x + width, y + height])
            if beyond[n].any():
                wide = file.labelled_points[n][beyond[n]]
                low, high = np.minimum(low, wide.min(axis=0)), np.maximum(high, wide.max(axis=0))
                widened += 1
            elif overhang[n] <= EDGE:
                continue
            if overhang[n] > EDGE:
                low, high = np.maximum(low, 0), np.minimum(high, size)
                clipped += 1
            box = [*low.tolist(), *(high - low).tolist()]
        was = number(entry.get("area"))
        of_old_box = file.boxes[n, 2] * file.boxes[n, 3]
        entry["bbox"] = [round(value, 2) for value in box]
        if not np.isfinite(of_old_box) or abs(was - of_old_box) <= 0.01 * of_old_box:
            entry["area"] = round(box[2] * box[3], 2)
    yield made, "made {} boxes from the labelled points"
    yield clipped, "clipped {} boxes to their picture"
    yield widened, "widened {} boxes to their points"


def _areas(file: AnnotationFile) -> Changes:
    usable, count = usable_boxes(file), 0
    for n, entry in enumerate(file.annotations):
        if usable[n] and area_problem(entry.get("area"), file.boxes[n]):
            entry["area"] = round(float(file.boxes[n, 2] * file.boxes[n, 3]), 2)
            count += 1
    yield count, "set {} areas to that of the box"


def _counts(file: AnnotationFile) -> Changes:
    count = 0
    labelled, readable = file.labelled.sum(axis=1), np.isfinite(file.keypoints).all(axis=(1, 2))
    for n, entry in enumerate(file.annotations):
        if readable[n] and number(entry.get("num_keypoints")) != labelled[n]:
            entry["num_keypoints"] = int(labelled[n])
            count += 1
    yield count, "counted the labelled points of {} annotations anew"


def _copies(file: AnnotationFile) -> Changes:
    copies = [n for _, n in copies_of(file)]
    _leave_out(file, copies)
    yield len(copies), "left out {} annotations that repeat another one"


def _ids(file: AnnotationFile) -> Changes:
    ids = [entry.get("id") for entry in file.annotations]
    if all(is_whole(own) and own != 0 for own in ids) and len(set(ids)) == len(ids):
        return
    for n, entry in enumerate(file.annotations, 1):
        entry["id"] = n
    yield len(ids), "numbered all {} annotations anew"


#: In an order in which each relies on what those before have put right.
_STEPS: tuple[Callable[[AnnotationFile], Changes], ...] = (
    _same_pictures,
    _sizes,
    _orphans,
    _categories,
    _points,
    _order,
    _meanings,
    _boxes,
    _areas,
    _counts,
    _copies,
    _ids,
)


def _empty_nonfinite(value: Any) -> int:
    """Replaces NaN and infinities by null, in place; returns how many."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    count = 0
    for key, inner in list(places):
        if isinstance(inner, float) and not math.isfinite(inner):
            value[key] = None
            count += 1
        else:
            count += _empty_nonfinite(inner)
    return count
