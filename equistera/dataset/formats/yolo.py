"""Ultralytics YOLO pose: a data YAML and one text file a picture.

A line is ``class cx cy width height x y (v) x y (v) ...``, all positions parts of the displayed picture's width and
height (https://docs.ultralytics.com/datasets/pose). The YAML gives ``kpt_shape`` and, since 2025, ``kpt_names``;
without names the points are called "0", "1", ... and need a ``--keypoint-map``.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from equistera.dataset.boxes import EDGE, clip_box
from equistera.dataset.formats.records import HORSE, Animal, Export, Picture, Skip
from equistera.dataset.formats.values import ABSENT, VISIBLE, Unusable, number, point, read_text, shown
from equistera.dataset.formats.yolo_subsets import Subsets
from equistera.errors import UserError
from equistera.skeleton import Skeleton

TITLE = "Ultralytics YOLO pose"

_HINT = "The data YAML and the label files are plain text: put it right there, and run this again."

#: Reason of an animal without points.
BOX_ALONE = "a line has a box and no keypoints"

#: A data YAML is a page of text.
_MAX_YAML_BYTES = 1024**2
#: A label file has one line an animal.
_MAX_LABEL_BYTES = 4 * 1024**2


class _Loader(yaml.SafeLoader):
    """YAML without aliases, since nested ones grow without bounds when looked at, and without a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.YAMLError(f"{twice!r} stands in it twice")
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses aliases, which no data YAML needs")
        return super().compose_node(parent, index)


def accepts(path: Path) -> bool:
    """Whether a YAML file speaks of keypoints."""
    if path.stat().st_size > _MAX_YAML_BYTES:
        return False
    data = path.read_bytes()
    return any("kpt_shape".encode(encoding) in data for encoding in ("utf-8", "utf-16-le", "utf-16-be"))


def read(path: Path) -> Export:
    """Reads the data set that a YAML file describes; label files lie in its own folder.

    Raises:
        UserError: Not such a YAML file, it contradicts itself, or nothing that it names is in its folder.
    """
    content = _read_yaml(path)
    count, dimensions = _keypoint_shape(content, path)
    classes = _classes(content, path)
    names = _keypoint_names(content, count, path)
    export, root = Export(path, TITLE, tells_hidden=dimensions == 3), path.parent.resolve()
    labelled: dict[PurePosixPath, list[str]] = defaultdict(list)
    for picture, label in Subsets(path, content, export).pictures():
        where = f"{path.name}, {label}"
        with export.leaving_out("picture", where):
            # a list may hold names that no file can have
            if not os.path.isfile(root / label):
                raise Unusable("no label file for the picture")
            animals, problems = animals_of(root / label, classes, names, dimensions)
            labelled[label].append(str(picture))
            if not animals and not problems:
                export.empty.append(Picture((str(picture),), where, ()))
                raise Unusable("the label file is empty")
            export.add(Picture((str(picture),), where, tuple(animals), relative=True))
            export.skips += [Skip.of("horse", where, problem) for problem in problems]
    export.skips = [replace(skip, hint=_HINT) for skip in export.skips]
    export.notes += [
        f"{label} is the label file of {' and '.join(pictures)}: unless they show the same, one has the other's labels"
        for label, pictures in labelled.items()
        if len(set(pictures)) > 1
    ]
    return export


def inside(picture: Picture) -> tuple[Picture, list[str]]:
    """The labels cut to the picture: Ultralytics throws away a whole picture for one position beyond its edge.

    Args:
        picture: With known size, pixel coordinates, and a box for each animal.

    Returns:
        The picture, and the names of points that lie more than rounding outside and are left out.

    Raises:
        Unusable: A box has no part in the picture.
    """
    width, height = picture.size
    animals, outside = [], []
    for animal in picture.animals:
        box = clip_box(list(animal.box), width, height)
        if box is None:
            raise Unusable("a box lies outside the picture", f"{list(animal.box)} in {width}x{height}")
        points = {}
        for name, (x, y, visibility) in animal.points.items():
            if visibility and not (-EDGE <= x <= width - 1 + EDGE and -EDGE <= y <= height - 1 + EDGE):
                outside.append(name)
            elif visibility:
                points[name] = (min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height)), visibility)
        animals.append(replace(animal, points=points, box=(box[0], box[1], box[2], box[3])))
    return replace(picture, animals=tuple(animals)), outside


def write_label(picture: Picture, names: Sequence[str], categories: Sequence[str] = (HORSE,)) -> str:
    """The text of one label file, for a picture with known size and pixel coordinates that are :func:`inside` it.

    Args:
        picture: The picture.
        names: Keypoints in the order to write.
        categories: Of the data set; an animal's class is its place among them.
    """
    width, height = picture.size
    lines = []
    for animal in picture.animals:
        x, y, w, h = animal.box
        values = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        fields = [str(categories.index(animal.category)), *(f"{value:.8g}" for value in values)]
        for name in names:
            px, py, visibility = animal.points.get(name, (0.0, 0.0, ABSENT))
            fields += [f"{px / width:.8g}", f"{py / height:.8g}", str(visibility)] if visibility else ["0", "0", "0"]
        lines.append(" ".join(fields))
    return "".join(f"{line}\n" for line in lines)


def data_yaml(skeleton: Skeleton, splits: Sequence[str], categories: Sequence[str] = (HORSE,)) -> str:
    """The data YAML for labels in the skeleton's order, with the pictures in ``images/<split>``."""
    content = {
        **{split: f"images/{split}" for split in splits},
        "kpt_shape": [len(skeleton), 3],
        "flip_idx": skeleton.flip_indices.tolist(),
        "names": dict(enumerate(categories)),
        "kpt_names": {i: list(skeleton.names) for i in range(len(categories))},
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.load(read_text(path, _MAX_YAML_BYTES), Loader=_Loader)
    # impossible dates come as ValueError
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not YAML that can be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a data YAML: expected fields such as kpt_shape and names")
    return content


def _keypoint_shape(content: dict, path: Path) -> tuple[int, int]:
    shape = content.get("kpt_shape")
    whole = isinstance(shape, list) and len(shape) == 2 and all(type(value) is int for value in shape)
    if not whole or not 1 <= shape[0] <= 1000 or shape[1] not in (2, 3):
        raise UserError(f"{path}: kpt_shape must be [number of keypoints, 2 or 3], found {shown(shape)}")
    return shape[0], shape[1]


def _by_number(names: Any) -> dict[int, Any]:
    """A list, or an object with numbers as keys; both are in use."""
    if isinstance(names, list):
        return dict(enumerate(names))
    numbered = names.items() if isinstance(names, dict) else ()
    return {int(key): value for key, value in numbered if isinstance(key, int) or str(key).isdecimal()}


def _classes(content: dict, path: Path) -> dict[int, str]:
    """Names of the classes, by number; empty where the YAML has none."""
    names, count = content.get("names"), content.get("nc")
    classes = {key: str(value) for key, value in _by_number(names).items()}
    if names is not None and (not isinstance(names, (list, dict)) or len(classes) != len(names)):
        raise UserError(f"{path}: names must list the classes, or name them by number; found {shown(names)}")
    if classes and count is not None and count != len(classes):
        raise UserError(
            f"{path}: nc is {shown(count)}, but names has {len(classes)}: {', '.join(classes.values())}",
            hint="Put right which of the two is wrong: the numbers in the label files count on it.",
        )
    return classes


def _keypoint_names(content: dict, count: int, path: Path) -> list[str]:
    """Keypoint names, the same for all classes; numbers where the YAML has none."""
    found = content.get("kpt_names")
    if found is None:
        return [str(i) for i in range(count)]
    # one list, or a list for each class
    is_one = isinstance(found, list) and all(isinstance(name, str) for name in found)
    by_class = [found] if is_one else list(_by_number(found).values())
    texts = [names for names in by_class if isinstance(names, list) and all(isinstance(name, str) for name in names)]
    if not texts or texts != by_class or any(len(names) != count for names in texts):
        raise UserError(f"{path}: kpt_names must list {count} names for each class, as kpt_shape says")
    if any(names != texts[0] for names in texts) or len(set(texts[0])) != count:
        raise UserError(f"{path}: kpt_names must be different names, the same for every class")
    return texts[0]


def animals_of(
    label: Path, classes: Mapping[int, str], names: Sequence[str], dimensions: int
) -> tuple[list[Animal], list[Unusable]]:
    """The animals of a label file, and what is wrong with its other lines.

    Args:
        label: The file.
        classes: Words for the animals by their numbers.
        names: Of the keypoints, in the file's order.
        dimensions: 3 with flags, 2 without.

    Raises:
        Unusable: It cannot be read, is empty, or has no line that is right.
    """
    try:
        lines = [line for line in read_text(label, _MAX_LABEL_BYTES).splitlines() if line.strip()]
    except UserError as error:
        raise Unusable("a label file is not text that can be read", error.summary) from error
    if not lines:
        raise Unusable("the label file is empty")
    animals, problems = [], []
    for i, line in enumerate(lines, 1):
        try:
            animals.append(_animal(line.split(), f"line {i}", classes, names, dimensions))
        except Unusable as error:
            problems.append(error)
    if not animals:
        raise problems[0]
    return animals, problems


def _animal(
    fields: Sequence[str], where: str, classes: Mapping[int, str], names: Sequence[str], dimensions: int
) -> Animal:
    expected, other = (5 + len(names) * size for size in (dimensions, 5 - dimensions))
    if len(fields) == 1 and ("," in fields[0] or ";" in fields[0]):
        raise Unusable("the values of a line must stand apart by blanks", f"{where} has {shown(fields[0], 30)}")
    if len(fields) == 5:
        raise Unusable(BOX_ALONE, where)
    if len(fields) != expected:
        as_for = f", the number for [{len(names)}, {5 - dimensions}]" if len(fields) == other else ""
        raise Unusable(
            "a line has the wrong number of values",
            f"{where} has {len(fields)}{as_for}; expected {expected} by kpt_shape [{len(names)}, {dimensions}]",
        )
    values = [number(field, f"{where}: value {k}") for k, field in enumerate(fields[:5], 1)]
    if not values[0].is_integer() or (classes and values[0] not in classes):
        raise Unusable("a class is none of the data YAML's names", f"{where}: class {fields[0]}")
    points = {}
    for k, name in enumerate(names):
        written: list[object] = [*fields[5 + k * dimensions : 5 + (k + 1) * dimensions], VISIBLE]
        seen = dimensions > 2
        x, y, visibility = point(written[0], written[1], written[2], f"{where}: {name}")
        # without flags, Ultralytics marks an unlabelled point by 0 0
        points[name] = (x, y, visibility if seen or (x, y) != (0.0, 0.0) else ABSENT)
    cx, cy, w, h = values[1:5]
    return Animal(points, (cx - w / 2, cy - h / 2, w, h), classes.get(int(values[0]), fields[0]))
