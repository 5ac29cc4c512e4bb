"""Checks of a file's entries: categories and their keypoint names, ids, and who refers to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from equistera.dataset.coco import is_id
from equistera.dataset.matching import public_skeleton
from equistera.dataset.paths import name_parts
from equistera.dataset.verify.annotation_file import AnnotationFile, keypoint_names, picture_problem, short
from equistera.dataset.verify.findings import Item
from equistera.skeleton import SkeletonError
from equistera.words import counted


def check_structure(file: AnnotationFile) -> Iterator[Item]:
    """Everything that is wrong with the entries as such."""
    if not file.content["annotations"]:
        yield Item("no-annotations", f"{counted(len(file.content['images']), 'pictures')}, 0 annotations")
    yield from _categories(file)
    yield from _pictures(file)
    yield from _annotations(file)


def _categories(file: AnnotationFile) -> Iterator[Item]:
    named = [category for category in file.content["categories"] if keypoint_names(category)]
    if not named:
        expected = ", ".join(file.skeleton.names[:3])
        yield Item("no-keypoint-names", f"no category has a 'keypoints' list, such as [{expected}, ...]")
    for category in named:
        title = f"category {short(category.get('name', category.get('id')))}"
        try:
            columns = file.skeleton.columns_of(keypoint_names(category))
        except SkeletonError as error:
            if own := public_skeleton(keypoint_names(category), file.skeleton):
                yield Item("keypoint-names", f"{title}: these are the keypoints of --skeleton {own.name}")
            for problem in error.problems:
                yield Item("keypoint-names", f"{title}: {problem}")
            continue
        moved = np.flatnonzero(columns != np.arange(len(columns)))
        if len(moved):
            first = int(moved[0])
            text = f"{title}: {file.skeleton.names[first]} is number {columns[first] + 1}, not {first + 1}"
            yield Item("keypoint-order", f"{text} ({len(moved)} of {len(columns)} are elsewhere)")


def _pictures(file: AnnotationFile) -> Iterator[Item]:
    for number, entry in enumerate(file.content["images"], 1):
        if problem := picture_problem(entry):
            yield Item("picture-entry", f"entry {number} of 'images': {problem}")
    names = ["/".join(name_parts(entry["file_name"])) for entry in file.pictures]
    for own, places in _repeated(entry["id"] for entry in file.pictures):
        for place in places:
            yield Item("picture-id-twice", f"id {short(own)}: {names[place]}", picture=place)
    for name, places in _repeated(names):
        ids = {file.pictures[place]["id"] for place in places}
        if len(ids) > 1:
            text = f"{name}: ids {', '.join(map(str, sorted(ids, key=str)))}"
            for place in places[1:]:
                yield Item("picture-twice", text, picture=place)
    for place in np.flatnonzero(np.isnan(file.picture_sizes[:, 0])).tolist():
        entry = file.pictures[place]
        found = f"width {short(entry.get('width'))}, height {short(entry.get('height'))}"
        yield Item("picture-size-missing", f"{names[place]}: {found}", picture=place)
    for place, name in enumerate(names):
        if place not in file.annotations_by_picture:
            yield Item("picture-unlabelled", name, picture=place)


def _annotations(file: AnnotationFile) -> Iterator[Item]:
    for number, entry in enumerate(file.content["annotations"], 1):
        if not isinstance(entry, dict):
            yield Item("annotation-entry", f"entry {number} of 'annotations': expected an object, found {short(entry)}")
    ids = [entry.get("id") for entry in file.annotations]
    for own, places in _repeated(own if is_whole(own) else None for own in ids):
        if own is not None:
            for n in places:
                yield Item("annotation-id-twice", f"{file.label(n)} is one of {len(places)}", annotation=n)
    for n, entry in enumerate(file.annotations):
        if not is_whole(entry.get("id")):
            text = f"{file.label(n)}: 'id' must be a whole number, found {short(entry.get('id'))}"
            yield Item("annotation-id", text, annotation=n)
        elif entry["id"] == 0:
            yield Item("annotation-id-zero", file.label(n), annotation=n)
        if file.picture_of(n) is None:
            yield Item("picture-unknown", f"{file.label(n)}: image_id {short(entry.get('image_id'))}", annotation=n)
        category = entry.get("category_id")
        if not is_id(category) or category not in file.named_categories:
            yield Item("category-unknown", f"{file.label(n)}: category_id {short(category)}", annotation=n)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _repeated(values: Iterable[object]) -> Iterator[tuple[object, list[int]]]:
    """Values that occur more than once, with their positions."""
    places = defaultdict(list)
    for i, value in enumerate(values):
        places[value].append(i)
    yield from ((value, where) for value, where in places.items() if len(where) > 1)
