"""Which point belongs to which animal, for tools that draw points and boxes side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equistera.dataset.formats.records import Animal, Unusable

#: How far outside of a box a point may lie and still belong to it, as a part of the box's longer side: boxes are drawn
#: around the body by eye, and ears, tail and hooves stick out.
SLACK = 0.02


@dataclass(frozen=True)
class LoosePoint:
    """A point as drawn.

    Attributes:
        name: Keypoint name.
        x: Horizontal position, in the unit of the boxes.
        y: Vertical position.
        visibility: COCO's flag.
        group: Key that ties it to other regions, or None.
    """

    name: str
    x: float
    y: float
    visibility: int
    group: str | None = None


@dataclass(frozen=True)
class LooseBox:
    """A rectangle as drawn.

    Attributes:
        box: ``x, y, width, height``.
        category: Its label.
        group: Key that points may name, or None.
    """

    box: tuple[float, float, float, float]
    category: str = ""
    group: str | None = None


def assemble(points: Sequence[LoosePoint], boxes: Sequence[LooseBox]) -> tuple[Animal, ...]:
    """Puts the regions of one picture together to animals.

    A point's own group decides; a point without one belongs to the only box, or to the only box that it lies in. In a
    picture without boxes and groups all points are one animal's.

    Args:
        points: All points of the picture.
        boxes: All boxes of the picture.

    Returns:
        The animals that have points, boxes first, in the order drawn.

    Raises:
        Unusable: A point could belong to several animals or to none, or an animal has a point twice.
    """
    box_of = {box.group: i for i, box in enumerate(boxes) if box.group is not None}
    members: dict[object, list[LoosePoint]] = {i: [] for i in range(len(boxes))}
    grouped = any(point.group is not None for point in points)
    for point in points:
        if point.group is not None:
            key = box_of.get(point.group, point.group)
        elif boxes:
            key = _only_box_around(point, boxes)
        elif grouped:
            raise Unusable("a point belongs to no animal, while others of the picture do", f"point {point.name!r}")
        else:
            key = None
        members.setdefault(key, []).append(point)
    animals = []
    for key, own in members.items():
        if own:
            box = boxes[key] if isinstance(key, int) else None
            animals.append(
                Animal(_by_name(own), box.box if box is not None else None, box.category if box is not None else "")
            )
    return tuple(animals)


def box_around(points: Sequence[LoosePoint], boxes: Sequence[LooseBox]) -> LooseBox | None:
    """The only one of ``boxes`` that holds all labelled points of an animal, or None."""
    around = [box for box in boxes if all(_contains(box, point) for point in points if point.visibility)]
    return around[0] if len(around) == 1 else None


def upright(
    box: tuple[float, float, float, float], degrees: float, about: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The upright box around a box that is turned clockwise about a point; all in pixels, y downwards."""
    x, y, width, height = box
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(cx - about[0], cy - about[1]) for cx in (x, x + width) for cy in (y, y + height)]
    xs = [about[0] + dx * cosine - dy * sine for dx, dy in corners]
    ys = [about[1] + dx * sine + dy * cosine for dx, dy in corners]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _only_box_around(point: LoosePoint, boxes: Sequence[LooseBox]) -> int:
    if len(boxes) == 1:
        return 0
    around = [i for i, box in enumerate(boxes) if _contains(box, point)]
    if len(around) != 1:
        raise Unusable(
            "a point lies in several boxes and names none" if around else "a point lies in none of the boxes",
            f"point {point.name!r}",
        )
    return around[0]


def _contains(box: LooseBox, point: LoosePoint) -> bool:
    x, y, width, height = box.box
    slack = SLACK * max(width, height)
    return x - slack <= point.x <= x + width + slack and y - slack <= point.y <= y + height + slack


def _by_name(points: Sequence[LoosePoint]) -> dict[str, tuple[float, float, int]]:
    named: dict[str, tuple[float, float, int]] = {}
    for point in points:
        if point.name in named:
            raise Unusable("an animal has a point twice: draw a box around each horse", f"point {point.name!r}")
        named[point.name] = (point.x, point.y, point.visibility)
    return named
