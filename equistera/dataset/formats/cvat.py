"""CVAT for images 1.1: one XML file with points, skeletons and boxes, in and out; and CVAT's labels.

See https://docs.cvat.ai/docs/manual/advanced/xml_format.

Positions are pixels of the displayed picture. ``outside`` means not in the picture (COCO's flag 0), ``occluded`` hidden
(flag 1). A box belongs to the skeleton or points with the same ``group_id``, else to what lies in it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ElementTree, ParseError, SubElement, indent

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from equistera.dataset.formats.grouping import Drawn, LooseBox, LoosePoint, add_all, readable, upright
from equistera.dataset.formats.records import Animal, Export, Picture, Skip
from equistera.dataset.formats.values import (
    ABSENT,
    HIDDEN,
    VISIBLE,
    Unusable,
    number,
    positive_size,
    shown,
    subset_names,
    text,
)
from equistera.errors import UserError
from equistera.skeleton import Skeleton, hex_color

TITLE = "CVAT for images 1.1"


def accepts(path: Path) -> bool:
    """Whether the XML file's root element is CVAT's.

    Raises:
        UserError: Not XML, or XML that declares entities.
    """
    return next(_elements(path))[1].tag == "annotations"


def read(path: Path, wanted: Collection[str]) -> Export:
    """Reads an export, one picture at a time; ``wanted`` are the user's words for the animals.

    Raises:
        UserError: Not XML, a document type declaration, or an export for video.
    """
    export, subsets = Export(path, TITLE, sized="shown"), set()
    drawn = []
    for event, element in _elements(path):
        if event == "start" and element.tag == "track":
            raise UserError(
                f"{path} is 'CVAT for video', which has tracks instead of pictures",
                hint="Export the same task as 'CVAT for images 1.1'.",
            )
        if event == "end" and element.tag == "image":
            subsets.add(element.get("subset"))
            with export.leaving_out("picture", f"{path.name}, picture {element.get('name', '?')}"):
                drawn.append(_drawn(element, path, export))
            # 5,000 pictures with 26 elements each would otherwise stay in memory
            element.clear()
    add_all(export, drawn, wanted)
    if len(subsets) > 1:
        # several may have a picture of one name: the name alone could find another's
        export.pictures = [replace(picture, names=picture.names[:1]) for picture in export.pictures]
    return export


def write(file: IO[str], pictures: Sequence[Picture], names: Sequence[str]) -> None:
    """Writes an XML file that CVAT imports into a task with the labels that it declares.

    Args:
        file: Open for text.
        pictures: Pictures with known size and pixel coordinates; every animal has a box.
        names: Keypoint names in the order to write.
    """
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for category in sorted({animal.category for picture in pictures for animal in picture.animals}):
        points = [(name, "points", category) for name in names]
        for own in ((category, "skeleton", ""), (box_label(category), "rectangle", ""), *points):
            label = SubElement(labels, "label")
            for tag, value in zip(("name", "type", "parent"), own, strict=True):
                if value:
                    SubElement(label, tag).text = value
    # an id is the place among the names, as CVAT sorts them: it counts where a task has no such name
    ids = {name: str(i) for i, name in enumerate(sorted(picture.names[0] for picture in pictures))}
    for picture in pictures:
        width, height = map(str, picture.size)
        name = picture.names[0]
        image = SubElement(root, "image", id=ids[name], name=name, width=width, height=height)
        for group, animal in enumerate(picture.animals, 1):
            _add_animal(image, animal, names, str(group))
    indent(root)
    ElementTree(root).write(file, encoding="unicode", xml_declaration=True)


def box_label(category: str) -> str:
    """Name of the label of the rectangles around animals: CVAT wants one of its own."""
    return f"{category}_box"


def _add_animal(image: Element, animal: Animal, names: Sequence[str], group: str) -> None:
    source = {"source": "manual" if animal.score is None else "auto"}
    drawn = {**source, "z_order": "0", "group_id": group}
    # a skeleton of which nothing is in the picture cannot be seen in CVAT
    if any(visibility != ABSENT for _, _, visibility in animal.points.values()):
        skeleton = SubElement(image, "skeleton", {"label": animal.category, **drawn})
        for name in names:
            x, y, visibility = animal.points.get(name, (0.0, 0.0, ABSENT))
            flags = {"outside": f"{visibility == ABSENT:d}", "occluded": f"{visibility == HIDDEN:d}"}
            SubElement(skeleton, "points", {"label": name, **source, **flags, "points": f"{x:.4f},{y:.4f}"})
    x, y, w, h = animal.box
    corners = {key: f"{value:.4f}" for key, value in (("xtl", x), ("ytl", y), ("xbr", x + w), ("ybr", y + h))}
    SubElement(image, "box", {"label": box_label(animal.category), "occluded": "0", **drawn, **corners})


def _elements(path: Path) -> Iterator[tuple[str, Element]]:
    """Start and end of every element, with entities and document types refused."""
    try:
        with path.open("rb") as file:
            yield from iterparse(file, events=("start", "end"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise UserError(
            f"{path} declares a document type or entities, which can blow up memory or read other files; "
            "no labelling tool writes that",
            hint="Export it again, and be wary of where this file came from.",
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    # unknown encodings come as LookupError, wrong bytes and names as ValueError
    except (ParseError, LookupError, ValueError) as error:
        raise UserError(f"{path} is not XML that can be read: {error}") from error


def _drawn(element: Element, file: Path, export: Export) -> Drawn:
    """The regions of a picture; one without any is an empty one of the export.

    Raises:
        Unusable: It has no points, or no name.
    """
    name = text(element.get("name"), "the picture's name")
    subset = element.get("subset")
    names = subset_names(name, subset, file) if subset else (name,)
    where = f"{file.name}, picture {names[0]}"
    bad: list[Skip] = []
    points, regions = [], []
    for position, skeleton in enumerate(element.findall("skeleton")):
        # one key for all points of the skeleton
        key = f"skeleton {position}"
        own = readable(functools.partial(_point, group=key), skeleton.findall("points"), "point", where, bad)
        if any(point.visibility != ABSENT for point in own):
            label = text(skeleton.get("label"), "a skeleton's label")
            regions.append(LooseBox(None, label, key, beside=_group(skeleton)))
            points += own
    points += readable(lambda child: _point(child, _group(child)), element.findall("points"), "point", where, bad)
    regions += readable(_box, element.findall("box"), "box", where, bad)
    if not len(element):
        export.empty.append(Picture(names, f"{file.name}, picture {name}", ()))
    if not points and not bad:
        raise Unusable(
            "no points or skeletons in the picture",
            "",
            "In CVAT a keypoint is a shape 'points' with its name as label, or a point of a skeleton; boxes and "
            "polygons have none. Draw them and export as 'CVAT for images 1.1'.",
        )
    picture = Picture(names, where, (), positive_size(element.get("width"), element.get("height")))
    others = [child.tag for child in element if child.tag not in ("skeleton", "points", "box")]
    return Drawn(picture, points, regions, bad, others)


def _group(element: Element) -> str | None:
    group = element.get("group_id", "0")
    return None if group in ("", "0") else group


def _point(element: Element, group: str | None) -> LoosePoint:
    groups = () if group is None else (group,)
    name = text(element.get("label"), "a point's label")
    positions = element.get("points", "").split(";")
    if len(positions) != 1:
        raise Unusable(
            "points without names: one shape holds several; give every keypoint a label of its own in CVAT",
            f"shape {name!r} with {len(positions)} points",
        )
    if positions[0].count(",") != 1:
        raise Unusable("a point is not x,y", f"{name} is {shown(positions[0])}")
    x, y = (number(part, name) for part in positions[0].split(","))
    if element.get("outside", "0") == "1":
        return LoosePoint(name, x, y, ABSENT, groups)
    return LoosePoint(name, x, y, HIDDEN if element.get("occluded", "0") == "1" else VISIBLE, groups)


def _box(element: Element) -> LooseBox:
    left, top, right, bottom = (number(element.get(key), f"a box's {key}") for key in ("xtl", "ytl", "xbr", "ybr"))
    turn = number(element.get("rotation", "0"), "a box's rotation")
    centre = (left + right) / 2, (top + bottom) / 2
    # the other way round of box_label
    category = element.get("label", "").removesuffix("_box")
    return LooseBox(upright((left, top, right - left, bottom - top), turn, centre), category, _group(element))


#: CVAT's canvas for skeletons is 100 x 100, whatever the shape of the picture.
_CANVAS = 100
#: Characters that are written otherwise inside of XML: CVAT looks names up in the drawing as they stand.
_NOT_IN_NAMES = set("\"'<>&")


def labelling_config(skeleton: Skeleton, places: np.ndarray, categories: Sequence[str]) -> str:
    """The labels as JSON, for the tab "Raw" of a CVAT task or project.

    Args:
        skeleton: Its points and links.
        places: float [K, 2], where the points of a freshly drawn animal lie, fractions of its rectangle.
        categories: Names of the animals: a skeleton and a rectangle each.

    Raises:
        UserError: CVAT cannot hold the names; all are listed.
    """
    if bad := [name for name in (*skeleton.names, *categories) if _NOT_IN_NAMES & set(name)]:
        raise UserError("names that CVAT cannot hold in a skeleton's drawing:", bad, "Leave out \" ' < > & there.")
    at = np.round(_CANVAS * places, 1).tolist()
    lines = [
        f'<line x1="{at[a][0]}" y1="{at[a][1]}" x2="{at[b][0]}" y2="{at[b][1]}" data-type="edge" '
        f'data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        for a, b in skeleton.link_indices.tolist()
    ]
    circles = [
        f'<circle r="0.75" cx="{x}" cy="{y}" data-type="element node" data-element-id="{k}" data-node-id="{k}" '
        f'data-label-name="{name}"></circle>'
        for k, (name, (x, y)) in enumerate(zip(skeleton.names, at, strict=True), 1)
    ]
    # lines first: circles lie on top of them
    drawing = "\n".join([*lines, *circles])
    points = [
        {"name": point.name, "type": "points", "color": hex_color(point.color), "attributes": []}
        for point in skeleton.keypoints
    ]
    labels = []
    for category in categories:
        animal = {"name": category, "type": "skeleton", "attributes": []}
        labels.append({**animal, "sublabels": points, "svg": drawing})
        labels.append({"name": box_label(category), "type": "rectangle", "attributes": []})
    return json.dumps(labels, indent=1, ensure_ascii=False) + "\n"
