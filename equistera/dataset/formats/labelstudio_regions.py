"""From the results of a Label Studio annotation to the points and boxes of its pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from equistera.dataset.formats.grouping import Drawn, LooseBox, LoosePoint, readable, upright
from equistera.dataset.formats.labelstudio_addresses import address_of, file_names, original_name
from equistera.dataset.formats.records import Picture, Skip
from equistera.dataset.formats.values import ABSENT, HIDDEN, VISIBLE, Unusable, number, numbers, positive_size, shown

#: Words of a choice that says how well a point is seen, lower case.
HIDDEN_WORDS = ("hidden", "occluded", "not visible", "invisible")
ABSENT_WORDS = ("absent", "outside", "not labelled", "not labeled")
VISIBLE_WORDS = ("visible",)
_FLAGS = {
    **dict.fromkeys(HIDDEN_WORDS, HIDDEN),
    **dict.fromkeys(ABSENT_WORDS, ABSENT),
    **dict.fromkeys(VISIBLE_WORDS, VISIBLE),
}

#: What stands for a region that is switched off in the list of regions, which says nothing about the horse.
_EYE = "switched off in the list"

#: Results that say something about a region, or about the whole task, and are none themselves.
_ABOUT = {"choices", "textarea", "rating", "number", "taxonomy", "pairwise", "datetime", "ranker"}
_POINT, _BOX = "keypoint", "rectangle"
_WITH_EXTENT = (_BOX, "polygon", "ellipse")
#: Relative difference of two sizes of one picture that is no contradiction: percent stay right.
_SAME_SHAPE = 0.01
#: Percent of the picture within which a region is in one place.
_SAME_PLACE = 0.001


@dataclass
class _Region:
    """What several results with the same id say together."""

    kind: str = ""
    value: dict = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    parent: str | None = None
    tag: str | None = None
    item: object = None
    size: tuple[int, int] | None = None
    turned: bool = False
    torn: bool = False

    @property
    def place(self) -> tuple:
        return self.tag, self.item

    def named_place(self) -> tuple[str, float, float]:
        """Of a point: its only label, and its position as fractions of the picture.

        Raises:
            Unusable: It has none, or several labels.
        """
        if self.torn:
            # a point and its choice are one region, which lies somewhere once
            raise Unusable("the results of one point say different places", ", ".join(self.labels))
        x, y = self.value.get("x"), self.value.get("y")
        if x is None and y is None:
            # the clicks that prompted a brush stay in its export
            raise Unusable("a point has no position", ", ".join(self.labels) or "without a label")
        labels = [label.strip() for label in self.labels if label.strip()]
        if len(labels) != 1:
            raise Unusable("a point has several labels" if labels else "a point has no label", ", ".join(labels))
        where = f"point {labels[0]!r}"
        return labels[0], number(x, where) / 100, number(y, where) / 100

    def extent(self, size: tuple[int, int] | None) -> tuple[float, float, float, float]:
        """The upright rectangle around it, as fractions; a rectangle may be turned about its top left corner.

        Raises:
            Unusable: Numbers are missing, or it is turned and the picture's size is not known.
        """
        value, kind = self.value, f"a {self.kind}"
        if isinstance(value.get("points"), list):
            pairs = [pair for pair in value["points"] if isinstance(pair, list)]
            corners = [numbers(pair, f"{kind}'s corner") for pair in pairs]
            corners = np.array([corner for corner in corners if len(corner) == 2]) / 100
            if not len(corners):
                raise Unusable("a region has no corners", kind)
            return *corners.min(axis=0).tolist(), *np.ptp(corners, axis=0).tolist()
        sides = ("radiusX", "radiusY") if "radiusX" in value else ("width", "height")
        left, top, w, h = (number(value.get(key), f"{kind}'s {key}") / 100 for key in ("x", "y", *sides))
        if "radiusX" in value:
            x, y, w, h = left - w, top - h, 2 * w, 2 * h
        else:
            # drawn from right to left, or upwards
            x, y, w, h = min(left, left + w), min(top, top + h), abs(w), abs(h)
        turn = number(value.get("rotation") or 0, f"{kind}'s rotation")
        if not turn:
            return x, y, w, h
        if size is None:
            raise Unusable("a turned rectangle needs the picture's size, which the export lacks")
        wide, high = size
        x, y, w, h = upright((x * wide, y * high, w * wide, h * high), turn, (left * wide, top * high))
        return x / wide, y / high, w / wide, h / high


def _apart(one: object, other: object) -> bool:
    """Whether two results of a region have it in different places, percent."""
    both = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return both and abs(one - other) > _SAME_PLACE  # type: ignore[operator]


def word_means(word: str) -> int | None:
    """The visibility flag that a choice stands for, or None."""
    return _FLAGS.get(word.strip().lower().replace("_", " "))


def tags_of(results: Sequence[object]) -> set[str]:
    """Names of the tags that regions are drawn on."""
    return {
        str(result["to_name"])
        for result in results
        if isinstance(result, dict) and result.get("to_name") and str(result.get("type")) not in _ABOUT
    }


@dataclass
class Reader:
    """Makes points and boxes of annotations.

    Attributes:
        wanted: The user's words for the animals, without case.
        only_tag: Whether all regions of the export are on one tag.
        unknown_words: Words of choices on points, so far, that say nothing about visibility.
    """

    wanted: Collection[str]
    only_tag: bool
    unknown_words: set[str] = field(default_factory=set)

    def drawn_on(
        self, pictures: Mapping[str, str | list[str]], results: Sequence[object], where: str
    ) -> tuple[list[Drawn], list[Skip]]:
        """The points and boxes of an annotation, for every picture that has any; and pictures that cannot be used.

        Args:
            pictures: Of the task, from :func:`equistera.dataset.formats.labelstudio_addresses.pictures_of`.
            results: Of the annotation.
            where: The task's place in the export, for messages.
        """
        drawn, skips, bad = [], [], []
        regions, relations = _merge(results, where, bad)
        places = list(dict.fromkeys(region.place for region in regions.values() if region.kind == _POINT))
        if not places:
            return [], [Skip("picture", where, "no keypoints in the annotation")]
        for tag, item in places:
            own = {key: region for key, region in regions.items() if region.place == (tag, item)}
            here = where + (f", {tag if item is None else f'picture {shown(item)}'}" if len(places) > 1 else "")
            try:
                names = file_names(address_of(pictures, tag, item, self.only_tag))
                size = _size(own.values())
                picture = Picture(names, here, (), size, relative=True, plain_name=original_name(names[0]))
                drawn.append(self._drawn(picture, own, relations, bad))
            except Unusable as error:
                skips.append(Skip.of("picture", here, error))
            bad = []
        return drawn, skips

    def _drawn(
        self, picture: Picture, regions: dict[str, _Region], relations: Mapping[str, Sequence[str]], bad: list[Skip]
    ) -> Drawn:
        def point(key: str) -> LoosePoint:
            name, x, y = regions[key].named_place()
            return LoosePoint(name, x, y, self._visibility(regions[key]), _owners(key, regions, relations))

        points = readable(point, [key for key, r in regions.items() if r.kind == _POINT], "point", picture.where, bad)
        tied = {key for point in points for key in point.groups}
        boxes, others = [], []
        for key, region in regions.items():
            if region.kind == _BOX or (key in tied and region.kind not in (_POINT, "")):
                labels = [label for label in region.labels if label.strip().casefold() in self.wanted] or region.labels
                with_extent = [region] if region.kind in _WITH_EXTENT else []
                box = readable(lambda region: region.extent(picture.size), with_extent, "box", picture.where, bad)
                if box or key in tied:
                    boxes.append(LooseBox(box[0] if box else None, labels[0] if labels else "", key))
            elif region.kind not in (_POINT, ""):
                others.append(region.kind)
        return Drawn(picture, points, boxes, tuple(bad), others)

    def _visibility(self, region: _Region) -> int:
        found = {word: word_means(word) for word in region.choices}
        self.unknown_words.update(word for word, known in found.items() if known is None)
        return min((known for known in found.values() if known is not None), default=VISIBLE)


def _merge(results: Sequence[object], where: str, bad: list[Skip]) -> tuple[dict[str, _Region], dict[str, list[str]]]:
    """Regions by id (a region with several control tags stands once for each), and what relations tie to each."""
    regions: dict[str, _Region] = {}
    relations: dict[str, list[str]] = defaultdict(list)
    for position, result in enumerate(results):
        if not isinstance(result, dict):
            bad.append(Skip("point", where, "a region is not an object", f"found {shown(result)}"))
            continue
        kind = result["type"] if isinstance(result.get("type"), str) else ""
        value = result.get("value")
        if kind == "relation":
            ends = str(result.get("from_id")), str(result.get("to_id"))
            # it may be drawn either way
            relations[ends[0]].append(ends[1])
            relations[ends[1]].append(ends[0])
            continue
        if not isinstance(value, dict):
            continue
        region = regions.setdefault(str(result.get("id", f"#{position}")), _Region())
        region.torn = region.torn or any(_apart(region.value.get(axis), value.get(axis)) for axis in ("x", "y"))
        region.value = {**region.value, **value}
        region.parent = str(result["parentID"]) if result.get("parentID") else region.parent
        region.turned = region.turned or bool(result.get("image_rotation"))
        region.size = region.size or positive_size(result.get("original_width"), result.get("original_height"))
        if kind and kind not in _ABOUT and (kind != "labels" or not region.kind):
            extent = "" if not {"x", "y"} <= value.keys() else _BOX if "height" in value else _POINT
            region.kind = extent if kind == "labels" else kind.removesuffix("labels")
            region.tag = result["to_name"] if isinstance(result.get("to_name"), str) else None
            item = result.get("item_index")
            region.item = item if item is None or isinstance(item, int) else shown(item)
        for key in dict.fromkeys((kind, "keypointlabels", "rectanglelabels", "labels")):
            if key.endswith("labels"):
                region.labels += [label for label in _texts(value.get(key)) if label not in region.labels]
        region.choices += _texts(value.get("choices"))
        region.choices += [_EYE] if result.get("hidden") else []
        meta = result.get("meta")
        region.choices += _texts(meta.get("text")) if isinstance(meta, dict) else []
    tags = {region.tag for region in regions.values()} - {None}
    for region in regions.values():
        # written by hand, or by a model: there is only one picture that it can be on
        region.tag = region.tag or (next(iter(tags)) if len(tags) == 1 else None)
    return regions, relations


def _owners(start: str, regions: Mapping[str, _Region], relations: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The regions that a point is tied to by parents and relations, over other points, the nearest first.

    A parent that is not in the annotation holds its points together all the same.

    Raises:
        Unusable: It is tied to several that are not inside one another.
    """
    seen, queue, found = {start}, [start], []
    while queue:
        key = queue.pop(0)
        region = regions.get(key)
        if region is None or (region.kind not in (_POINT, "")):
            found.append(_upwards(key, regions))
            continue
        beside = [other for other in relations.get(key, ()) if other in regions]
        for other in filter(None, (region.parent, *beside)):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    longest = max(found, key=len, default=())
    if any(not set(chain) <= set(longest) for chain in found):
        ends = [chain[0] for chain in found]
        tied = ", ".join(next(iter(regions[key].labels if key in regions else ()), key) for key in ends)
        raise Unusable("a point is tied to several regions", f"point {regions[start].labels[0]!r}: {tied}")
    return longest


def _upwards(key: str | None, regions: Mapping[str, _Region]) -> tuple[str, ...]:
    """A region and those that it is inside of, without points between them."""
    chain: dict[str, None] = {}
    seen = set()
    while key is not None and key not in seen:
        seen.add(key)
        region = regions.get(key)
        if region is None or region.kind != _POINT:
            chain[key] = None
        key = region.parent if region is not None else None
    return tuple(chain)


def _texts(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _size(regions: Collection[_Region]) -> tuple[int, int] | None:
    """The picture's size as its regions state it.

    Raises:
        Unusable: They contradict one another, or the picture was turned: it is not known what the percent mean.
    """
    if any(region.turned for region in regions):
        raise Unusable("the picture was turned inside Label Studio: turn it back there, or turn the file")
    sizes = list(dict.fromkeys(region.size for region in regions if region.size is not None))
    for width, height in sizes[1:]:
        if abs(width * sizes[0][1] - height * sizes[0][0]) > _SAME_SHAPE * width * sizes[0][1]:
            raise Unusable(
                "regions of one picture state sizes of different shapes",
                f"{sizes[0][0]}x{sizes[0][1]} and {width}x{height}",
            )
    return sizes[0] if sizes else None
