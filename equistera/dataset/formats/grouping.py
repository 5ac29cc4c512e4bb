"""Which point and which rectangle belong to which animal, for tools that draw them side by side.

A rectangle need not be an animal's: saddles, riders and stalls are drawn, too. Which labels are animals' is decided for
the whole file, by evidence: the words that the user gave, the rectangles that points name, and what the others hold.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from equistera.dataset.formats.records import Animal, Export, Picture, Skip
from equistera.dataset.formats.values import Unusable

#: How far outside of a box a point may lie and still belong to it, as a part of the box's longer side: boxes are drawn
#: around the body by eye, and ears, tail and hooves stick out.
SLACK = 0.02
#: Share of an animal's points that its box holds at least, and of the box's sides that they span: a saddle holds few
#: points, a stall is much larger than the horse in it.
MOST = 0.5

_Read = TypeVar("_Read")

#: Why a label counts as an animal's: the user or a skeleton names it, points name one of its boxes, or nobody names
#: it, but its boxes hold the points.
_NAMED, _TIED, _HOLDING = "named", "tied", "holding"

_TWICE = "an animal has a point twice: draw a box around each horse"


@dataclass(frozen=True)
class LoosePoint:
    """A point as drawn.

    Attributes:
        name: Keypoint name.
        x: Horizontal position, in the unit of the boxes.
        y: Vertical position.
        visibility: COCO's flag.
        groups: Keys of the regions that it is tied to, the nearest first and then those around that.
    """

    name: str
    x: float
    y: float
    visibility: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class LooseBox:
    """A rectangle as drawn, or another region that points are tied to.

    Attributes:
        box: ``x, y, width, height``; None for what has no extent of its own: a skeleton, a brush stroke.
        category: Its label.
        group: Key that points may name, or None.
        beside: For a region without extent: the group that its rectangle may be in, or None.
    """

    box: tuple[float, float, float, float] | None
    category: str = ""
    group: str | None = None
    beside: str | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn in one picture.

    Attributes:
        picture: The picture, still without animals.
        points: Its points.
        boxes: Its boxes, and other regions with points.
        bad: Points and boxes that could not be read.
        others: Kinds of the regions that are none of these.
    """

    picture: Picture
    points: Sequence[LoosePoint]
    boxes: Sequence[LooseBox] = ()
    bad: Sequence[Skip] = ()
    others: Sequence[str] = ()


def readable(read: Callable[[Any], _Read], items: Iterable, what: str, where: str, bad: list[Skip]) -> list[_Read]:
    """What can be read of some items; the others are noted down in ``bad``, and lose only themselves."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except Unusable as error:
            bad.append(Skip.of(what, where, error))
    return found


def add_all(export: Export, drawn: Sequence[Drawn], wanted: Collection[str]) -> None:
    """Puts the regions of a file's pictures together to animals, and takes the pictures into an export.

    It also gets what of them is left out, and notes on boxes. ``wanted`` are the user's words for the animals.
    """
    labels = _animal_labels(drawn, wanted)
    idle, others = Counter(), Counter()
    for one in drawn:
        animals, dropped, unused = _assemble(one, labels)
        skips = [*one.bad, *(Skip.of(what, one.picture.where, error) for what, error in dropped)]
        if animals:
            export.add(replace(one.picture, animals=animals))
            export.skips += skips
            idle.update(_shown(label) for label in unused)
            others.update(one.others)
        else:
            # what is wrong with the points is what is wrong with the picture
            first = skips[0] if skips else Skip("picture", "", "no keypoints in the annotation")
            export.skips.append(replace(first, what="picture", where=one.picture.where))
    export.notes += [
        f"rectangles {_shown(label)} are taken for the animals' boxes, for they hold the points; --category names the "
        "right ones"
        for label in sorted(label for label, why in labels.items() if why == _HOLDING)
    ]
    for what, counted in (("rectangles that are no labelled animal's box", idle), ("regions of other kinds", others)):
        if counted:
            left = ", ".join(f"{label} {count}" for label, count in counted.most_common())
            export.notes.append(f"{export.path.name}: {what}, left out: {left}")


def _animal_labels(drawn: Sequence[Drawn], wanted: Collection[str]) -> dict[str, str]:
    """Which labels of a file's boxes are animals', and why."""
    drawn = [one for one in drawn if one.boxes]
    words = {word.strip().casefold() for word in wanted}
    boxes = [box for one in drawn for box in one.boxes]
    named = {b.category: _NAMED for b in boxes if b.box is None or b.category.strip().casefold() in words}
    labels = dict(named)
    for one in drawn:
        for key, own in _tied_points(one, named).items():
            if (box := _own_box(key, own, one, named)) is not None:
                labels.setdefault(box.category, _TIED)
    while True:
        others = [label for label in dict.fromkeys(box.category for box in boxes) if label not in labels]
        scores = {label: _holding_score(label, drawn, labels) for label in others}
        best = max(scores, key=scores.__getitem__, default=None)
        # one after the other: what the best one holds is no evidence for a label that only overlaps it
        if best is None or scores[best] < MOST:
            return labels
        labels[best] = _HOLDING


def _assemble(
    one: Drawn, labels: Mapping[str, str]
) -> tuple[tuple[Animal, ...], list[tuple[str, Unusable]], list[str]]:
    """Puts the regions of one picture together to animals.

    What a point is tied to decides; a point that is tied to nothing belongs to the only animal's box, or to the only
    one that it lies in. In a picture without such boxes and ties all points are one animal's.

    Returns:
        The animals that have points, in the order of the boxes; what was left out, ``point`` or ``horse``, and why; and
        labels of rectangles that are no animal's box.
    """
    dropped: list[tuple[str, Unusable]] = []
    boxes, members = one.boxes, _tied_points(one, labels)
    tied = bool(members)
    chosen = {key: _own_box(key, own, one, labels) for key, own in members.items()}
    for key in _without_rectangle(members, boxes):
        taken = {id(box) for box in chosen.values()}
        free = [b for b in boxes if b.box is not None and b.category in labels and id(b) not in taken]
        chosen[key] = _box_around(members[key], free)
    owner = {id(box): key for key, box in chosen.items() if box is not None}
    keys = [owner.get(id(box), box.group or i) for i, box in enumerate(boxes)]
    candidates = [
        (key, box)
        for key, box in zip(keys, boxes, strict=True)
        if box.box is not None and (box.category in labels or id(box) in owner)
    ]
    for point in one.points:
        if point.groups:
            continue
        try:
            key = _key_of_loose(point, candidates, tied)
        except Unusable as error:
            dropped.append(("point", error))
            continue
        if key not in members:
            chosen[key] = next((box for own, box in candidates if own == key), None)
        members.setdefault(key, []).append(point)
    animals = []
    for key in sorted(members, key=lambda key: keys.index(key) if key in keys else len(keys)):
        box = chosen[key]
        try:
            named, again = _by_name(members[key])
        except Unusable as error:
            dropped.append(("horse", error))
            continue
        dropped += [("point", error) for error in again]
        category = _category(key, box, boxes, labels)
        animals.append(Animal(named, box.box if box is not None else None, category))
    used = {id(box) for box in chosen.values()}
    idle = [box.category for box in boxes if box.box is not None and id(box) not in used]
    return tuple(animals), dropped, idle


def _box_around(points: Sequence[LoosePoint], boxes: Sequence[LooseBox]) -> LooseBox | None:
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


def _tied_points(one: Drawn, labels: Mapping[str, str]) -> dict[object, list[LoosePoint]]:
    """The tied points of a picture by the key of their animal.

    Of regions inside one another, the nearest with a name of an animal is meant; else the outermost that also has
    points of its own: the head's rectangle inside of the horse's has points that are the horse's.
    """
    category = {box.group: box.category for box in one.boxes if box.group is not None}
    nearest = {point.groups[0] for point in one.points if point.groups}
    members: dict[object, list[LoosePoint]] = defaultdict(list)
    for point in one.points:
        if point.groups:
            named = [key for key in point.groups if labels.get(category.get(key)) == _NAMED]
            members[named[0] if named else [key for key in point.groups if key in nearest][-1]].append(point)
    return members


def _own_box(key: object, points: Sequence[LoosePoint], one: Drawn, labels: Mapping[str, str]) -> LooseBox | None:
    """The rectangle of a group: the one with an animal's name, or one that holds most of the group's points."""
    beside = {box.beside for box in one.boxes if box.group == key} - {None}
    tied = [box for box in one.boxes if box.box is not None and (box.group == key or box.group in beside)]
    named = [box for box in tied if labels.get(box.category) == _NAMED]
    if len(named or tied) > 1:
        return _box_around(points, named or tied)
    if named:
        return named[0]
    return next((box for box in tied if sum(_contains(box, p) for p in points) >= MOST * len(points)), None)


def _without_rectangle(groups: Iterable[object], boxes: Sequence[LooseBox]) -> list[object]:
    """The groups that no rectangle is in."""
    found = {box.group for box in boxes if box.box is not None} - {None}
    beside = {box.group for box in boxes if box.box is None and box.beside in found}
    return [key for key in groups if key not in found and key not in beside]


def _holding_score(label: str, drawn: Iterable[Drawn], known: Mapping[str, str]) -> float:
    """How well a label's boxes hold points that no known box has: the mean share of the names of an animal's points.

    A box that is much larger than what it holds counts as one that holds nothing.
    """
    shares = []
    for one in drawn:
        own = [box for box in one.boxes if box.box is not None and box.category == label]
        if not own:
            continue
        tied = _tied_points(one, known)
        sets = [[point for point in one.points if not point.groups]]
        sets += [tied[key] for key in _without_rectangle(tied, one.boxes)]
        others = [box for box in one.boxes if box.box is not None and box.category in known]
        for box in own:
            best = 0.0
            for points in filter(None, sets):
                inside = [p for p in points if _contains(box, p) and not any(_contains(other, p) for other in others)]
                if _fill(box, inside):
                    best = max(best, len({p.name for p in inside}) / len({p.name for p in points}))
            shares.append(best)
    return sum(shares) / len(shares) if shares else 0.0


def _fill(box: LooseBox, points: Sequence[LoosePoint]) -> bool:
    if not points:
        return False
    wide, high = (max(axis) - min(axis) for axis in ([p.x for p in points], [p.y for p in points]))
    # a lone point spans nothing, and is no evidence against a box
    return len(points) < 3 or (wide >= MOST * box.box[2] and high >= MOST * box.box[3])


def _key_of_loose(point: LoosePoint, boxes: Sequence[tuple[object, LooseBox]], tied: bool) -> object:
    """The key of the animal that a point lies in, or None where the picture has only one."""
    if not boxes and not tied:
        return None
    if len(boxes) == 1 and not tied:
        return boxes[0][0]
    around = [key for key, box in boxes if _contains(box, point)]
    if len(around) == 1:
        return around[0]
    where = f"point {point.name!r}"
    if not boxes:
        raise Unusable("a point belongs to no animal, while others of the picture do", where)
    raise Unusable(
        "a point lies in several boxes and names none" if around else "a point lies in none of the boxes", where
    )


def _category(key: object, box: LooseBox | None, boxes: Sequence[LooseBox], labels: Mapping[str, str]) -> str:
    own = [other for other in boxes if other.group is not None and other.group == key]
    # a skeleton's own word goes before that of the rectangle around it
    if box is not None and all(other.box is not None for other in own):
        return box.category
    own.sort(key=lambda other: (other.box is not None, labels.get(other.category) != _NAMED))
    return own[0].category if own else ""


def _contains(box: LooseBox, point: LoosePoint) -> bool:
    x, y, width, height = box.box
    slack = SLACK * max(width, height)
    return x - slack <= point.x <= x + width + slack and y - slack <= point.y <= y + height + slack


def _by_name(points: Sequence[LoosePoint]) -> tuple[dict[str, tuple[float, float, int]], list[Unusable]]:
    """An animal's points, and why some were left out.

    Raises:
        Unusable: A point stands twice, in different places, and nothing says which is right.
    """
    named: dict[str, LoosePoint] = {}
    again = []
    # tied ones first: they are this animal's for certain
    for point in sorted(points, key=lambda point: not point.groups):
        first = named.setdefault(point.name, point)
        if first is point:
            continue
        if (first.x, first.y, first.visibility) == (point.x, point.y, point.visibility):
            again.append(Unusable("a point stands twice in one place, taken once", f"point {point.name!r}"))
        elif first.groups and not point.groups:
            again.append(Unusable("a point that is tied to no animal, in one that has it", f"point {point.name!r}"))
        else:
            raise Unusable(_TWICE, f"point {point.name!r}")
    return {name: (point.x, point.y, point.visibility) for name, point in named.items()}, again


def _shown(label: str) -> str:
    return repr(label) if label else "without a label"
