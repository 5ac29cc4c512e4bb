"""Checks of a file's entries: categories, pictures, annotations, and the points, boxes and areas that they hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from equistera.dataset.anatomy import oddity_of
from equistera.dataset.boxes import EDGE, MIN_AREA_SHARE, SAME, other_unit
from equistera.dataset.coco import is_id
from equistera.dataset.matching import public_skeleton
from equistera.dataset.paths import name_parts
from equistera.dataset.readings import other_readings, upper_left
from equistera.dataset.repeats import never_clicked
from equistera.dataset.verify.annotation_file import AnnotationFile, keypoint_names, number, picture_problem, short
from equistera.dataset.verify.findings import Item, not_checked
from equistera.skeleton import SkeletonError
from equistera.words import counted

#: Share of the box's sides by which a point may stand outside it. The crop is wider than the box by 12.5 % a side.
BOX_MARGIN = 0.05
#: Areas are rounded; more than this factor above the box is a mistake.
MAX_AREA_FACTOR = 1.01
#: Keypoints labelled on a smaller share of the animals are too rare, from this number of animals on.
RARE_SHARE, RARE_FROM = 0.05, 20
#: Points of one annotation that are written out.
_SHOWN = 4


def check_structure(file: AnnotationFile) -> Iterator[Item]:
    """Everything that is wrong with the entries as such; what is labelled is not looked at."""
    if not file.content["annotations"]:
        yield Item("no-annotations", f"{counted(len(file.content['images']), 'pictures')}, 0 annotations")
    yield from _categories(file)
    yield from _pictures(file)
    yield from _annotations(file)


def check_labels(file: AnnotationFile) -> Iterator[Item]:
    """Everything that is wrong with what single annotations hold, and keypoints too rare to learn."""
    yield from _values(file)
    yield from _points(file)
    yield from _set_as_a_whole(file)
    for first, copy in copies_of(file):
        yield Item("annotation-twice", f"{file.label(copy)} is {file.label(first)} again", annotation=copy)
    yield from _rare(file)


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
    for place, entry in enumerate(file.content["images"], 1):
        if problem := picture_problem(entry):
            yield Item("picture-entry", f"entry {place} of 'images': {problem}")
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
    for place, entry in enumerate(file.content["annotations"], 1):
        if not isinstance(entry, dict):
            yield Item("annotation-entry", f"entry {place} of 'annotations': expected an object, found {short(entry)}")
    ids = Counter(entry["id"] for entry in file.annotations if is_whole(entry.get("id")))
    for n, entry in enumerate(file.annotations):
        own, category = entry.get("id"), entry.get("category_id")
        if not is_whole(own):
            yield _item("annotation-id", file, n, f": 'id' must be a whole number, found {short(own)}")
        elif ids[own] > 1:
            yield _item("annotation-id-twice", file, n, f" is one of {ids[own]}")
        if own == 0 and is_whole(own):
            yield _item("annotation-id-zero", file, n)
        if file.picture_of(n) is None:
            yield _item("picture-unknown", file, n, f": image_id {short(entry.get('image_id'))}")
        if not is_id(category) or category not in file.named_categories:
            yield _item("category-unknown", file, n, f": category_id {short(category)}")


def _item(code: str, file: AnnotationFile, n: int, text: str = "", badness: float = 0.0) -> Item:
    return Item(code, f"{file.label(n)}{text}", annotation=n, badness=badness)


def _values(file: AnnotationFile) -> Iterator[Item]:
    usable, overhang = usable_boxes(file), box_overhang(file)
    labelled, readable = file.labelled.sum(axis=1).tolist(), np.isfinite(file.keypoints).all(axis=(1, 2))
    for n, entry in enumerate(file.annotations):
        values, category, stored = entry.get("keypoints"), entry.get("category_id"), entry.get("num_keypoints")
        if entry.get("iscrowd"):
            yield _item("crowd", file, n)
        if values is None:
            yield _item("unlabelled", file, n, ": no 'keypoints'")
        elif not file.well_formed[n] and is_id(category) and category in file.columns:
            expected = f"{3 * len(file.columns[category])} (x, y, flag of each keypoint)"
            found = f"expected a list, found {short(values)}"
            found = f"{len(values)} values, expected {expected}" if isinstance(values, list) else found
            yield _item("keypoint-count", file, n, f": {found}")
        if readable[n] and not labelled[n]:
            yield _item("unlabelled", file, n)
        if readable[n] and number(stored) != labelled[n]:
            code = "num-keypoints-zero" if labelled[n] and not number(stored) > 0 else "num-keypoints"
            yield _item(code, file, n, f": num_keypoints {short(stored)}, {labelled[n]} labelled")
        if not usable[n]:
            yield _item("box", file, n, f": bbox {short(entry.get('bbox'))}")
        elif overhang[n] > EDGE:
            size = _frame(file.annotation_picture_sizes[n])
            text = f": {_frame(file.boxes[n])} reaches {overhang[n]:.0f} pixels out of the {size}"
            yield _item("box-outside-picture", file, n, text, float(overhang[n]))
        if problem := area_problem(entry.get("area"), file.boxes[n]):
            yield _item("area-above-box" if "above" in problem else "area", file, n, f": {problem}")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _repeated(values: Iterable[object]) -> Iterator[tuple[object, list[int]]]:
    """Values that occur more than once, with their positions."""
    places = defaultdict(list)
    for i, value in enumerate(values):
        places[value].append(i)
    yield from ((value, where) for value, where in places.items() if len(where) > 1)


def _points(file: AnnotationFile) -> Iterator[Item]:
    """Points that are wrong by themselves; of each kind which ones, and what is said of one and of where it should be.

    The more of an animal's points are outside, the worse.
    """
    flags, beyond = file.keypoints[..., 2], outside_picture(file)

    def raw(n: int, k: int) -> str:
        place = 3 * file.columns_for(n)[k]
        return f" ({', '.join(short(value) for value in file.annotations[n]['keypoints'][place : place + 3])})"

    def place(n: int, k: int) -> str:
        x, y = file.labelled_points[n, k]
        return f" at ({x:.0f}, {y:.0f})"

    for code, wrong, said, limits in (
        ("coordinates", ~np.isfinite(file.keypoints).all(axis=2) & file.well_formed[:, None], raw, None),
        ("visibility-flag", np.isfinite(flags) & ~np.isin(flags, (0, 1, 2)), lambda n, k: f" {flags[n, k]:g}", None),
        ("labelled-at-origin", at_origin(file), lambda n, k: "", None),
        ("outside-picture", beyond, place, file.annotation_picture_sizes),
        ("outside-box", outside_box(file) & ~beyond & usable_boxes(file)[:, None], place, file.boxes),
    ):
        for n in np.flatnonzero(wrong.any(axis=1)).tolist():
            points = np.flatnonzero(wrong[n]).tolist()
            text = ", ".join(file.skeleton.names[k] + said(n, k) for k in points[:_SHOWN])
            text += f" and {len(points) - _SHOWN} more" if len(points) > _SHOWN else ""
            badness = 0 if limits is None else len(points)
            text += "" if limits is None else f", {_frame(limits[n])}"
            yield Item(code, f"{file.label(n)}: {text}", annotation=n, points=tuple(points), badness=badness)


def _set_as_a_whole(file: AnnotationFile) -> Iterator[Item]:
    """What all animals together say about how the file means its numbers."""
    points, sizes = file.labelled_points, file.annotation_picture_sizes
    if text := other_unit(points, file.picture_sizes):
        yield Item("coordinates-scale", text)
    elif text := upper_left(points, sizes):
        yield Item("upper-left", text)
    box_reading, point_readings = other_readings(points, file.boxes, sizes)
    if box_reading:
        yield Item("box-reading", f"points lie in their boxes if these are {box_reading}")
    yield from (Item("point-reading", f"boxes hold their points if these are {one}") for one in point_readings)
    code, text = oddity_of(points, file.skeleton)
    if code:
        yield Item(code, text)
    yield from (Item("never-clicked", sentence) for sentence in never_clicked(file.labels, file.skeleton.names))


def at_origin(file: AnnotationFile) -> np.ndarray:
    """bool [N, K]: labelled, but exactly in the upper left corner."""
    return file.labelled & (file.keypoints[..., :2] == 0).all(axis=2)


def outside_picture(file: AnnotationFile) -> np.ndarray:
    """bool [N, K]: labelled, but not in the picture."""
    size = file.annotation_picture_sizes[:, None]
    with np.errstate(invalid="ignore"):  # comparisons with NaN (not labelled, size unknown) are False, as they should
        return ((file.labelled_points < -EDGE) | (file.labelled_points > size - 1 + EDGE)).any(axis=2)


def outside_box(file: AnnotationFile) -> np.ndarray:
    """bool [N, K]: labelled, but well outside the box."""
    low = file.boxes[:, None, :2]
    room = BOX_MARGIN * file.boxes[:, None, 2:] + EDGE
    with np.errstate(invalid="ignore"):
        points = file.labelled_points
        return ((points < low - room) | (points > low + file.boxes[:, None, 2:] + room)).any(axis=2)


def _frame(limits: np.ndarray) -> str:
    numbers = [f"{value:.0f}" for value in limits]
    return f"picture {numbers[0]}x{numbers[1]}" if len(numbers) == 2 else f"box [{', '.join(numbers)}]"


def usable_boxes(file: AnnotationFile) -> np.ndarray:
    """bool [N]: four numbers with a size, some of it inside the picture."""
    low, high = file.boxes[:, :2], file.boxes[:, :2] + file.boxes[:, 2:]
    size = file.annotation_picture_sizes
    with np.errstate(invalid="ignore"):
        apart = (high <= 0).any(axis=1) | (low >= size).any(axis=1)
        return np.isfinite(file.boxes).all(axis=1) & (file.boxes[:, 2:] > 0).all(axis=1) & ~apart


def box_overhang(file: AnnotationFile) -> np.ndarray:
    """float64 [N]: pixels by which a box reaches out of its picture, 0 where it does not or nobody knows."""
    low, high = file.boxes[:, :2], file.boxes[:, :2] + file.boxes[:, 2:]
    over = np.concatenate([-low, high - file.annotation_picture_sizes], axis=1)
    return np.where(np.isfinite(over), over, 0).max(axis=1, initial=0)


def area_problem(area: object, box: np.ndarray) -> str:
    """Why an area cannot be that of an animal in the box, or ""."""
    value, of_box = number(area), box[2] * box[3]
    if not np.isfinite(value) or value <= 0:
        return f"area {short(area)}"
    if value < MIN_AREA_SHARE * of_box:
        return f"area {value:.4g} in a box of {of_box:.0f} square pixels"
    return f"area {value:.0f} above its box's {of_box:.0f}" if value > MAX_AREA_FACTOR * of_box > 0 else ""


def copies_of(file: AnnotationFile) -> list[tuple[int, int]]:
    """Pairs (first, copy) of annotations of one picture that agree in every point, flag and box."""
    points = np.nan_to_num(file.labelled_points).reshape(len(file.annotations), 2 * len(file.skeleton))
    everything = np.concatenate([points, file.flags, file.boxes], axis=1)
    pairs = []
    for places in file.annotations_by_picture.values():
        kept = []
        for n in places:
            first = next((k for k in kept if (np.abs(everything[k] - everything[n]) <= SAME).all()), None)
            if first is None or not file.labelled[n].any():
                kept.append(n)
            else:
                pairs.append((first, n))
    return pairs


def _rare(file: AnnotationFile) -> Iterator[Item]:
    animals = int(file.labelled.any(axis=1).sum())
    if not animals:
        return
    for k, count in enumerate(file.labelled.sum(axis=0).tolist()):
        name = file.skeleton.names[k]
        if not count:
            yield Item("keypoint-never", name, points=(k,))
        elif animals >= RARE_FROM and count < RARE_SHARE * animals:
            yield Item("keypoint-rare", f"{name}: on {count} of {animals} animals", points=(k,), badness=-count)
    if animals < RARE_FROM:
        yield not_checked("keypoints that are hardly ever labelled", animals, "labelled animals", RARE_FROM)
