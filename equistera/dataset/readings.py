"""How a file means its numbers, where all of its animals together say that it is not as its format has it.

One animal proves nothing: a click may lie anywhere. But where the points of hardly any animal lie in its box, and those
of nearly all do once boxes are read as corners, corners is what they are. Boxes are then read so, and that is said;
points are never guessed at: the file is refused, with what seems to be the matter. What contradicts itself here and
there only is counted and named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from equistera.dataset.anatomy import oddity_of
from equistera.dataset.annotate import Frame, placed
from equistera.dataset.boxes import EDGE, PERCENT, other_unit
from equistera.dataset.formats.records import Animal, Export
from equistera.dataset.formats.values import HIDDEN, VISIBLE
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Share of the box's sides by which a point may stand outside it, and share of its points that must not.
_ROOM, _INSIDE = 0.1, 0.9
#: Share of the animals that fit as the format has it above which nothing is wrong with the whole, and share that must
#: fit another reading before it is believed.
_FITTING, _CONVINCING = 0.5, 0.9
#: Animals needed to choose between readings that both fit, and to refuse points for another reading of theirs. Drawn
#: from 960 real animals, three in 1500 sets of three would choose wrongly, and one single animal would be refused.
_CHOOSE_FROM, _REFUSE_FROM = 6, 3
#: By how much boxes of another reading must be closer around the points (see :func:`_tightness`) where both fit.
_CLOSER = 0.1
#: Share of boxes that do not hold their points above which that is said; in 959 of real animals 2 in 100 do not.
_STRAY = 0.2
#: Share of the points outside their pictures, and their number, above which the points are those of other pictures.
_OUTSIDE, _MANY = 1 / 3, 8
#: All of this many animals in the upper left part of their pictures, this share of the sides, is no chance.
_CORNER_ANIMALS, _CORNER = 10, 0.55
#: No picture reaches as far, and squares of it are still numbers.
_FAR = 1e9
#: Fewer boxes that do not hold their points are left to verification.
_STRAY_FROM = 5

#: Points in the very corner from which on they are no clicks.
_PLACEHOLDERS = 2

#: Of N animals with K points each: float [N, K, 2], NaN where not labelled; [N, 4], NaN where there is none; and, of
#: their pictures, [N, 2], NaN where unknown. In pixels, but where a file is thought to mean something else.
Points: TypeAlias = np.ndarray
Boxes: TypeAlias = np.ndarray
Sizes: TypeAlias = np.ndarray

#: Other meanings of points, for refusing: what they are then, and how the format has them.
_POINTS: dict[str, Callable[[Points, Boxes, Sizes], Points]] = {
    "x and y exchanged": lambda p, b, s: p[..., ::-1],
    "fractions of the picture's sides": lambda p, b, s: p * s[:, None],
    "percent of the picture's sides": lambda p, b, s: p * s[:, None] / 100,
    "measured from the box's corner": lambda p, b, s: p + b[:, None, :2],
    "fractions of the box's sides": lambda p, b, s: p * b[:, None, 2:] + b[:, None, :2],
}


def _corners(b: Boxes) -> Boxes:
    return np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1)


def _centred(b: Boxes) -> Boxes:
    return np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, 2:]], axis=1)


#: Other meanings of the four numbers of a box: how they become x, y, width, height in pixels.
_BOXES: dict[str, Callable[[Boxes, Sizes], Boxes]] = {
    "corners (left, top, right, bottom)": lambda b, s: _corners(b),
    "corners (top, left, bottom, right)": lambda b, s: _corners(b[:, [1, 0, 3, 2]]),
    "centre, width, height": lambda b, s: _centred(b),
    "y, x, height, width": lambda b, s: b[:, [1, 0, 3, 2]],
    "fractions of the picture's sides": lambda b, s: b * np.tile(s, 2),
    "percent of the picture's sides": lambda b, s: b * np.tile(s, 2) / 100,
    "corners as fractions of the picture's sides": lambda b, s: _corners(b * np.tile(s, 2)),
    "centre, width, height as fractions of the picture's sides": lambda b, s: _centred(b * np.tile(s, 2)),
}


def interpret(
    animals: Sequence[tuple[Animal, Frame]], export: Export, target: Mapping[str, str], skeleton: Skeleton
) -> tuple[list[Animal], list[str]]:
    """Reads the numbers of an export as they are meant.

    Args:
        animals: Those of ``export`` that are converted, with the frame of each one's picture.
        target: The skeleton's keypoint by the file's name.

    Returns:
        The animals, and what the user should know.

    Raises:
        UserError: The points cannot be pixels of these pictures.
    """
    kept, notes = _without_placeholders([animal for animal, _ in animals])
    if placeless := sum(not (math.isfinite(x) and math.isfinite(y)) for a in kept for x, y, _ in a.points.values()):
        notes.append(f"{counted(placeless, 'points')} without a place (NaN, null) have flag 0: taken for not labelled")
    points, displayed, boxes, sizes = _in_pixels(kept, [frame for _, frame in animals], target, skeleton)
    if not np.isfinite(points).any():
        return kept, notes
    if unit := _unit(points, boxes, sizes):
        raise _refusal(export, [unit])
    reading, others = other_readings(points, boxes, sizes)
    if others:
        problem = "few animals have their points in their box; with points as {}, nearly all would"
        raise _refusal(export, [problem.format(other) for other in others])
    if reading:
        boxes = read_boxes(reading, boxes, sizes)
        notes.append(f"boxes are not x, y, width, height but {reading}: read so, for the points lie in them then")
    boxed = np.isfinite(boxes).all(axis=1) & np.isfinite(points).any(axis=(1, 2))
    stray = int((~fits(points, boxes, sizes) & boxed).sum())
    if stray >= _STRAY_FROM and stray > _STRAY * boxed.sum():
        notes.append(
            f"{stray} of {int(boxed.sum())} boxes do not hold their animal's points, or reach out of the picture"
        )
    if problem := _outside(points, sizes):
        raise _refusal(export, [problem])
    notes += [upper_left(points, sizes), oddity_of(displayed, skeleton)[1]]
    read = [
        replace(animal, box=tuple((box / (frame.scale * 2)).tolist())) if reading and math.isfinite(box[0]) else animal
        for animal, (_, frame), box in zip(kept, animals, boxes, strict=True)
    ]
    read, more = _binary_flags(read)
    return read, [f"{export.path.name}: {note}" for note in (*notes, *more) if note]


def fits(points: Points, boxes: Boxes, sizes: Sizes) -> np.ndarray:
    """bool [N]: the animal's points lie in its box, and the box in its picture, but for rounding and a stray one."""
    labelled = np.isfinite(points).all(axis=2)
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    with np.errstate(invalid="ignore"):  # comparisons with NaN are False, as they should
        room = _ROOM * boxes[:, None, 2:] + EDGE
        inside = ((points >= low - room) & (points <= high + room)).all(axis=2).sum(axis=1)
        edge = _ROOM / 4 * sizes + EDGE
        within = ((low[:, 0] >= -edge) & (high[:, 0] <= sizes + edge) & (boxes[:, 2:] > 0)).all(axis=1)
    return labelled.any(axis=1) & within & (inside >= _INSIDE * labelled.sum(axis=1))


def _in_pixels(
    animals: Sequence[Animal], frames: Sequence[Frame], target: Mapping[str, str], skeleton: Skeleton
) -> tuple[Points, Points, Boxes, Sizes]:
    """In pixels of the pictures that were labelled; the points also (second) in those of the displayed ones."""
    points, displayed = np.full((2, len(animals), len(skeleton), 2), np.nan)
    boxes, sizes = np.full((len(animals), 4), np.nan), np.zeros((len(animals), 2))
    for n, (animal, frame) in enumerate(zip(animals, frames, strict=True)):
        sizes[n] = (frame.width, frame.height)[:: -1 if frame.orientation >= 5 else 1]
        points[n] = placed(animal, replace(frame, orientation=1), target, skeleton)[:, :2]
        displayed[n] = placed(animal, frame, target, skeleton)[:, :2] if frame.orientation > 1 else points[n]
        if animal.box is not None and min(animal.box[2:]) > 0:
            boxes[n] = np.multiply(animal.box, frame.scale * 2)
    # what is no place in any picture is told one by one later; here it must only not overflow
    points, displayed, boxes = (np.clip(values, -_FAR, _FAR) for values in (points, displayed, boxes))
    return points, displayed, boxes, sizes


def _unit(points: Points, boxes: Boxes, sizes: Sizes) -> str:
    """As :func:`equistera.dataset.boxes.other_unit`; where larger boxes hold the points, they are no percent."""
    unit = other_unit(points, sizes)
    boxes_larger = fits(points, boxes, sizes).any() and np.nanmax(boxes) > PERCENT
    return "" if boxes_larger and "percent" in unit else unit


def other_readings(points: Points, boxes: Boxes, sizes: Sizes) -> tuple[str, list[str]]:
    """What boxes or points mean instead, where hardly any points lie in the boxes as they should be.

    Returns:
        The reading of boxes that nearly all points lie in, for :func:`read_boxes`; and readings of points that nearly
        all boxes hold. Only one of the two has any.
    """
    known = np.isfinite(boxes).all(axis=1) & np.isfinite(points).any(axis=(1, 2))
    if not known.any():
        return "", []
    points, boxes, sizes = points[known], boxes[known], sizes[known]
    as_it_is = fits(points, boxes, sizes).mean()
    readings = {title: read(boxes, sizes) for title, read in _BOXES.items()}
    found = [title for title, other in readings.items() if fits(points, other, sizes).mean() >= _CONVINCING]
    # corners of animals in the upper left may still lie in the picture when they are taken for sizes, but loosely
    if as_it_is >= _FITTING:
        if len(boxes) < _CHOOSE_FROM:
            return "", []
        tighter = [t for t in found if _tightness(points, readings[t]) > _tightness(points, boxes) + _CLOSER]
        return max(tighter, key=lambda t: _tightness(points, readings[t]), default=""), []
    points_too = [
        title for title, read in _POINTS.items() if fits(read(points, boxes, sizes), boxes, sizes).mean() >= _CONVINCING
    ]
    if points_too:
        return "", points_too if len(boxes) >= _REFUSE_FROM else []
    return found[0] if found else "", []


def read_boxes(reading: str, boxes: Boxes, sizes: Sizes) -> Boxes:
    """Boxes as x, y, width, height in pixels, from a reading of :func:`other_readings`."""
    return _BOXES[reading](boxes, sizes)


def corners_taken_for_sizes(boxes: Boxes, sizes: Sizes) -> bool:
    """Whether boxes without points are corners: most of them reach out of their pictures, and as corners none does."""
    known = np.isfinite(sizes).all(axis=1)
    if known.sum() < _REFUSE_FROM:
        return False
    boxes, sizes = boxes[known], sizes[known]
    edge = _ROOM / 4 * sizes + EDGE
    beyond = (boxes[:, :2] + boxes[:, 2:] > sizes + edge).any(axis=1)
    as_corners = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes[:, 2:] <= sizes + EDGE).all(axis=1)
    return bool(beyond.mean() > _FITTING and as_corners.all())


def _tightness(points: Points, boxes: Boxes) -> float:
    """Median overlap (intersection over union) of the boxes with those that the points span."""
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    common = np.minimum(high, boxes[:, :2] + boxes[:, 2:]) - np.maximum(low, boxes[:, :2])
    inside = np.maximum(common, 0).prod(axis=1)
    return float(np.median(inside / (boxes[:, 2:].prod(axis=1) + (high - low).prod(axis=1) - inside + 1)))


def _outside(points: Points, sizes: Sizes) -> str:
    """Tells of a set of which many points lie outside their pictures."""

    def outside(points: Points) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return ((points < -EDGE) | (points > sizes[:, None] - 1 + EDGE)).any(axis=2)

    known, beyond = np.isfinite(points).all(axis=2), outside(points)
    if beyond.sum() < _MANY or beyond.sum() <= _OUTSIDE * known.sum():
        return ""
    would = "; with x and y exchanged, all would be inside" * (not outside(points[..., ::-1]).any())
    return f"{int(beyond.sum())} of {int(known.sum())} points lie outside their pictures{would}"


def upper_left(points: Points, sizes: Sizes) -> str:
    """Tells of a set whose animals all lie in the upper left part of their pictures, as labels of smaller copies do."""
    labelled = np.isfinite(points).any(axis=(1, 2)) & np.isfinite(sizes).all(axis=1)
    shares = points[labelled] / sizes[labelled, None]
    if len(shares) < _CORNER_ANIMALS:
        return ""
    reach = np.nanmax(shares, axis=(0, 1), initial=0)
    if not (reach <= _CORNER).all():
        return ""
    part = f"{reach[0]:.0%} x {reach[1]:.0%}"
    return f"all points lie in the upper left {part} of the pictures: were smaller copies labelled?"


def _without_placeholders(animals: Sequence[Animal]) -> tuple[list[Animal], list[str]]:
    """Points at exactly (0, 0) or (-1, -1) that count as labelled: exports write so what is not there."""
    count = sum(_is_placeholder(*point) for animal in animals for point in animal.points.values())
    if count < _PLACEHOLDERS:
        return list(animals), []
    kept = [
        replace(a, points={n: (*p[:2], 0) if _is_placeholder(*p) else p for n, p in a.points.items()}) for a in animals
    ]
    return kept, [f"{count} points lie at exactly (0, 0) or (-1, -1): taken for not labelled, whatever their flag says"]


def _is_placeholder(x: float, y: float, flag: int) -> bool:
    return bool(flag) and (x, y) in ((0, 0), (-1, -1))


def _binary_flags(animals: Sequence[Animal]) -> tuple[list[Animal], list[str]]:
    """Flags of tools that know only labelled and not labelled: nobody labels a set in which no point is visible."""
    flags = [flag for animal in animals for _, _, flag in animal.points.values() if flag]
    if len(flags) < _MANY or set(flags) != {HIDDEN}:
        return list(animals), []
    visible = [
        replace(animal, points={name: (x, y, flag and VISIBLE) for name, (x, y, flag) in animal.points.items()})
        for animal in animals
    ]
    return visible, [
        f"none of {len(flags)} labelled points has flag 2 (visible), all have 1: taken for visible, as tools write "
        "that know only labelled and not labelled"
    ]


def _refusal(export: Export, problems: list[str]) -> UserError:
    return UserError(
        f"{export.path}: the coordinates are not pixels of these pictures:",
        problems,
        "Export again with coordinates in pixels of the pictures at hand (x to the right, y down, from the upper left "
        "corner), or convert them in the file.",
    )
