"""Ultralytics YOLO pose: a data YAML and one text file a picture.

A line is ``class cx cy width height x y (v) x y (v) ...``, all positions parts of the displayed picture's width and
height (https://docs.ultralytics.com/datasets/pose). The YAML gives ``kpt_shape`` and, since 2025, ``kpt_names``;
without names the points are called "0", "1", ... and need a ``--keypoint-map``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from equistera.dataset.boxes import clip_box
from equistera.dataset.formats.records import (
    ABSENT,
    VISIBLE,
    Animal,
    Export,
    Picture,
    Skip,
    Unusable,
    flag,
    number,
    shown,
)
from equistera.dataset.images import LISTED
from equistera.dataset.paths import is_hidden
from equistera.dataset.tolerances import EDGE
from equistera.errors import UserError
from equistera.skeleton import Skeleton

TITLE = "Ultralytics YOLO pose"
SPLITS = ("train", "val", "test")

#: A data YAML is a page of text.
_MAX_YAML_BYTES = 1024**2
#: A label file has one line an animal.
_MAX_LABEL_BYTES = 4 * 1024**2


class _Loader(yaml.SafeLoader):
    """YAML without aliases: nested ones grow without bounds when looked at."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses aliases, which no data YAML needs")
        return super().compose_node(parent, index)


def accepts(path: Path) -> bool:
    """Whether a YAML file speaks of keypoints."""
    if path.stat().st_size > _MAX_YAML_BYTES:
        return False
    return b"kpt_shape" in path.read_bytes()


def read(path: Path) -> Export:
    """Reads the data set that a YAML file describes.

    Args:
        path: The YAML file; its pictures lie in its own folder.

    Raises:
        UserError: Not such a YAML file, or its pictures are not found in its folder.
    """
    content = _read_yaml(path)
    count, dimensions = _keypoint_shape(content, path)
    classes = _by_number(content.get("names"))
    names = _keypoint_names(content, count, path)
    export, root = Export(path, TITLE), path.parent.resolve()
    for split in SPLITS:
        for image in _images(content, split, path):
            label = _label_path(image, root)
            where = f"{path.name}, {label.relative_to(root)}"
            picture_name = image.relative_to(root).as_posix()
            if not label.is_file():
                export.skips.append(Skip("picture", where, "no label file beside the picture"))
                continue
            try:
                animals = _animals(label, classes, names, dimensions)
                export.add(Picture((picture_name,), where, animals, relative=True))
            except Unusable as error:
                export.skip("picture", where, error)
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
        animals.append(replace(animal, points=points, box=tuple(box)))
    return replace(picture, animals=tuple(animals)), outside


def write_label(picture: Picture, names: Sequence[str], categories: Sequence[str]) -> str:
    """The text of one label file, for a picture with known size and pixel coordinates that are :func:`inside` it."""
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


def data_yaml(skeleton: Skeleton, categories: Sequence[str], splits: Sequence[str]) -> str:
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
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    # wrong bytes and impossible dates come as ValueError
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not YAML that can be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a data YAML: expected fields such as kpt_shape and names")
    return content


def _keypoint_shape(content: dict, path: Path) -> tuple[int, int]:
    shape = content.get("kpt_shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(type(value) is int for value in shape)
        or not 1 <= shape[0] <= 1000
        or shape[1] not in (2, 3)
    ):
        raise UserError(f"{path}: kpt_shape must be [number of keypoints, 2 or 3], found {shown(shape)}")
    return shape[0], shape[1]


def _by_number(names: object) -> dict[int, object]:
    """A list, or an object with numbers as keys; both are in use."""
    if isinstance(names, list):
        return dict(enumerate(names))
    return {k: v for k, v in names.items() if isinstance(k, int)} if isinstance(names, dict) else {}


def _keypoint_names(content: dict, count: int, path: Path) -> list[str]:
    """Keypoint names, the same for all classes; numbers where the YAML has none."""
    found = content.get("kpt_names")
    if found is None:
        return [str(i) for i in range(count)]
    # one list, or a list for each class
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        by_class = [found]
    else:
        by_class = list(_by_number(found).values())
    for names in by_class:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) != count:
            raise UserError(f"{path}: kpt_names must list {count} names for each class, as kpt_shape says")
        if names != by_class[0] or len(set(names)) != count:
            raise UserError(f"{path}: kpt_names must be different names, the same for every class")
    if not by_class:
        raise UserError(f"{path}: kpt_names must list {count} names for each class, as kpt_shape says")
    return by_class[0]


def _images(content: dict, split: str, path: Path) -> Iterator[Path]:
    """Pictures of a split, sorted; the YAML gives a folder, a text file of names, or a list of either."""
    entries = content.get(split)
    for entry in entries if isinstance(entries, list) else [entries]:
        if entry in (None, ""):
            continue
        place = _inside(entry, split, content, path)
        if place.is_dir():
            found = (p for p in place.rglob("*") if p.suffix.lower() in LISTED)
            yield from sorted(p for p in found if not is_hidden(p.relative_to(place)))
        elif place.suffix == ".txt" and place.stat().st_size <= _MAX_LABEL_BYTES:
            try:
                lines = place.read_text(encoding="utf-8").splitlines()
            except ValueError as error:
                raise UserError(f"{place} is not text: {error}") from error
            for line in filter(None, (line.strip() for line in lines)):
                yield _inside(line, split, content, path)
        elif place.suffix.lower() in LISTED:
            yield place
        else:
            raise UserError(f"{path}: {split} is {shown(entry)}, expected a folder, a .txt file or pictures")


def _inside(entry: object, split: str, content: dict, path: Path) -> Path:
    """Where an entry of the YAML lies, if that is in the YAML's folder."""
    root = path.parent.resolve()
    if not isinstance(entry, str) or "\0" in entry:
        raise UserError(f"{path}: {split} must be the name of a folder or file, found {shown(entry)}")
    base = content.get("path")
    bases = [base, ""] if isinstance(base, str) and "\0" not in base else [""]
    # Roboflow writes ../train/images for what lies in train/images; Ultralytics tries both, too
    tries = [root / b / e for b in bases for e in (entry, entry.removeprefix("../"))]
    there = [place for place in tries if _exists(place)]
    found = [place for place in there if place.resolve().is_relative_to(root)]
    if not found:
        outside = bool(there)
        raise UserError(
            f"{path}: {split} is {shown(entry)}, which "
            + (f"leads out of {root}" if outside else f"is not found in {root}"),
            hint="Put the data YAML into the folder that holds images/ and labels/, and give that folder with --input.",
        )
    return found[0].resolve()


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return False  # a name that is too long, for instance


def _label_path(image: Path, root: Path) -> Path:
    """``.../labels/.../name.txt`` for ``.../images/.../name.jpg``, else the text file beside the picture.

    Ultralytics replaces the last folder ``images`` of the whole path; one above the data set's folder leads out of it.
    """
    parts = list(image.relative_to(root).parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return root.joinpath(*parts).with_suffix(".txt")


def _animals(label: Path, classes: dict[int, object], names: Sequence[str], dimensions: int) -> tuple[Animal, ...]:
    if label.stat().st_size > _MAX_LABEL_BYTES:
        raise Unusable("a label file is too large", f"{label.stat().st_size} bytes")
    try:
        lines = [line.split() for line in label.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise Unusable("a label file is not text that can be read", str(error)) from error
    if not lines:
        raise Unusable("the label file is empty")
    expected = 5 + len(names) * dimensions
    animals = []
    for i, line in enumerate(lines, 1):
        if len(line) != expected:
            raise Unusable(
                "a line has the wrong number of values", f"line {i} has {len(line)}, expected {expected} by kpt_shape"
            )
        values = [number(field, f"line {i}: value {k}") for k, field in enumerate(line, 1)]
        points = {}
        for k, name in enumerate(names):
            x, y, *seen = values[5 + k * dimensions : 5 + (k + 1) * dimensions]
            # without flags, Ultralytics marks an unlabelled point by 0 0
            visibility = flag(seen[0], name) if seen else VISIBLE if (x, y) != (0.0, 0.0) else ABSENT
            points[name] = (x, y, visibility)
        cx, cy, w, h = values[1:5]
        box = (cx - w / 2, cy - h / 2, w, h) if w > 0 and h > 0 else None
        animals.append(Animal(points, box, str(classes.get(int(values[0]), line[0]))))
    return tuple(animals)
