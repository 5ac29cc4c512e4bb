"""Checks of what is labelled: coordinates, visibility, boxes, areas, counts, and copies of the same animal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equistera.dataset.anatomy import oddity_of
from equistera.dataset.boxes import EDGE, MIN_AREA_SHARE, SAME, other_unit
from equistera.dataset.coco import is_id
from equistera.dataset.readings import other_readings, upper_left
from equistera.dataset.repeats import never_clicked
from equistera.dataset.verify.annotation_file import AnnotationFile, number, short
from equistera.dataset.verify.findings import Item, not_checked

#: Share of the box's sides by which a point may stand outside it. The crop is wider than the box by 12.5 % a side.
BOX_MARGIN = 0.05
#: Areas are rounded; more than this factor above the box is a mistake.
MAX_AREA_FACTOR = 1.01
#: Keypoints labelled on a smaller share of the animals are too rare, from this number of animals on.
RARE_SHARE, RARE_FROM = 0.05, 20
#: Points of one annotation that are written out.
_SHOWN = 4


def check_labels(file: AnnotationFile) -> Iterator[Item]:
    """Everything that is wrong with single annotations, and keypoints too rare to learn."""
    yield from _keypoint_counts(file)
    yield from _points(file)
    yield from _set_as_a_whole(file)
    yield from _boxes(file)
    yield from _areas(file)
    yield from _counts(file)
    for first, copy in copies_of(file):
        yield Item("annotation-twice", f"{file.label(copy)} is {file.label(first)} again", annotation=copy)
    yield from _rare(file)


def _keypoint_counts(file: AnnotationFile) -> Iterator[Item]:
    for n in np.flatnonzero(~file.well_formed).tolist():
        entry = file.annotations[n]
        values, category = entry.get("keypoints"), entry.get("category_id")
        columns = file.columns.get(category) if is_id(category) else None
        if columns is None or values is None:
            continue
        if isinstance(values, list):
            found = f"{len(values)} values, expected {3 * len(columns)} (x, y, flag of each keypoint)"
        else:
            found = f"expected a list, found {short(values)}"
        yield Item("keypoint-count", f"{file.label(n)}: {found}", annotation=n)


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


def _boxes(file: AnnotationFile) -> Iterator[Item]:
    usable, overhang = usable_boxes(file), box_overhang(file)
    for n, entry in enumerate(file.annotations):
        if not usable[n]:
            yield Item("box", f"{file.label(n)}: bbox {short(entry.get('bbox'))}", annotation=n)
        elif overhang[n] > EDGE:
            size = _frame(file.annotation_picture_sizes[n])
            text = f"{file.label(n)}: {_frame(file.boxes[n])} reaches {overhang[n]:.0f} pixels out of the {size}"
            yield Item("box-outside-picture", text, annotation=n, badness=float(overhang[n]))


def _areas(file: AnnotationFile) -> Iterator[Item]:
    for n, entry in enumerate(file.annotations):
        problem = area_problem(entry.get("area"), file.boxes[n])
        if problem:
            code = "area-above-box" if "above" in problem else "area"
            yield Item(code, f"{file.label(n)}: {problem}", annotation=n)


def area_problem(area: object, box: np.ndarray) -> str:
    """Why an area cannot be that of an animal in the box, or ""."""
    value, of_box = number(area), box[2] * box[3]
    if not np.isfinite(value) or value <= 0:
        return f"area {short(area)}"
    if value < MIN_AREA_SHARE * of_box:
        return f"area {value:.4g} in a box of {of_box:.0f} square pixels"
    return f"area {value:.0f} above its box's {of_box:.0f}" if value > MAX_AREA_FACTOR * of_box > 0 else ""


def _counts(file: AnnotationFile) -> Iterator[Item]:
    labelled = file.labelled.sum(axis=1)
    readable = np.isfinite(file.keypoints).all(axis=(1, 2))
    for n, entry in enumerate(file.annotations):
        if entry.get("iscrowd"):
            yield Item("crowd", file.label(n), annotation=n)
        if entry.get("keypoints") is None:
            yield Item("unlabelled", f"{file.label(n)}: no 'keypoints'", annotation=n)
        if not readable[n]:
            continue
        stored, found = entry.get("num_keypoints"), int(labelled[n])
        if not found:
            yield Item("unlabelled", file.label(n), annotation=n)
        if number(stored) != found:
            code = "num-keypoints-zero" if found and not number(stored) > 0 else "num-keypoints"
            yield Item(code, f"{file.label(n)}: num_keypoints {short(stored)}, {found} labelled", annotation=n)


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
