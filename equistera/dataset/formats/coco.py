"""COCO keypoint files of any origin in and out: any categories, any order of keypoints.

The public AP-10K, AnimalPose and Horse-10 files are COCO files; which of their animals are horses and which of their
points stand for the skeleton's is decided later, by the names that this reader passes on. ``dataset/coco.py`` is for
the project's own files.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from equistera.dataset.formats.records import (
    Animal,
    Export,
    Picture,
    Skip,
    Unusable,
    number,
    numbers,
    point,
    positive_size,
    shown,
    subset_names,
    text,
)
from equistera.errors import UserError

TITLE = "COCO keypoints"

#: Pictures of Label Studio's COCO export that hold more than one horse.
_MIXED = "Label Studio's COCO export makes one animal of all points in a picture: export JSON instead of COCO"
_EXPORT_JSON = "Export JSON instead of COCO from Label Studio, and convert that."
#: From this number of pictures on, one of them can hardly have all the animals of a file.
_PICTURES = 3
_NO_ANNOTATIONS = (
    "CVAT's 'COCO Keypoints' has skeletons only: points that are none are left out of it. Export as 'CVAT for images "
    "1.1', whose points with a label each are read, too; or check that the labels were saved."
)
#: A file name as Label Studio stores uploads: below media/upload or images, eight hexadecimal digits in front.
_UPLOADED = re.compile(r"(^|[\\/])(media[\\/]upload|images)[\\/](\d+[\\/])?[0-9a-f]{8}-[^\\/]+$")


def accepts(content: object) -> bool:
    """Whether parsed JSON is a COCO file with annotations."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("images"), list)
        and isinstance(content.get("annotations"), list)
    )


def read(content: dict, path: Path) -> Export:
    """Reads a COCO keypoint file.

    Args:
        content: Parsed JSON that :func:`accepts` knows.
        path: Where it came from.

    Raises:
        UserError: No category names its keypoints.
    """
    export = Export(path, TITLE)
    categories = categories_with_keypoints(content.get("categories"), path)
    animals: dict[object, list[Animal]] = defaultdict(list)
    images = _images_by_id(content["images"], export)
    annotations = _with_ids(content["annotations"], content.get("categories"), images, categories, export)
    for position, annotation in enumerate(annotations):
        label = annotation.get("id", position) if isinstance(annotation, dict) else position
        where = f"{path.name}, annotation {shown(label)}"
        try:
            image_id, animal = _animal(annotation, categories)
            if image_id not in images:
                raise Unusable("its image_id is no picture of the file", f"image_id {shown(image_id)}")
            animals[image_id].append(animal)
        except Unusable as error:
            export.skip("horse", where, error)
    # declared even if no annotation uses them: that is how a public data set is known
    for name, keypoints in categories.values():
        export.keypoints.setdefault(name, list(keypoints))
    if mixed := _mixed_by_label_studio(content, annotations, categories, export):
        # their boxes were left out for having no points
        export.skips = [replace(skip, hint=_EXPORT_JSON) for skip in export.skips]
    for image_id, image in images.items():
        where = f"{path.name}, picture {image['file_name']}"
        if not animals[image_id]:
            hint = "" if annotations else _NO_ANNOTATIONS
            export.skips.append(Skip("picture", where, "no annotation that can be used", hint=hint))
            continue
        if image_id in mixed:
            export.skips.append(
                Skip("picture", where, _MIXED, f"{mixed[image_id]} boxes, one set of points", _EXPORT_JSON)
            )
            continue
        size = positive_size(image.get("width"), image.get("height"))
        # CVAT writes person_keypoints_SUBSET.json
        subset, name = path.stem.removeprefix("person_keypoints_"), image["file_name"]
        names = (name,) if subset == path.stem else subset_names(name, subset, path)
        export.add(Picture(names, where, tuple(animals[image_id]), size))
    return export


def write(pictures: Sequence[Picture], names: Sequence[str], links: Sequence[Sequence[int]]) -> dict:
    """Makes a COCO keypoint file.

    Args:
        pictures: Pictures with known size and pixel coordinates; every animal has a box.
        names: Keypoint names, in the order to write.
        links: Pairs of positions in ``names``, from 0.
    """
    categories = sorted({animal.category for picture in pictures for animal in picture.animals})
    category_ids = {category: i for i, category in enumerate(categories, 1)}
    skeleton = [[a + 1, b + 1] for a, b in links]
    images, annotations = [], []
    for image_id, picture in enumerate(pictures, 1):
        width, height = picture.size
        images.append({"id": image_id, "file_name": picture.names[0], "width": width, "height": height})
        for animal in picture.animals:
            points = [animal.points.get(name, (0.0, 0.0, 0)) for name in names]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_ids[animal.category],
                    "keypoints": [value for point in points for value in point],
                    "num_keypoints": sum(v > 0 for _, _, v in points),
                    "bbox": list(animal.box),
                    "area": animal.area or animal.box[2] * animal.box[3],
                    "iscrowd": 0,
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": i, "name": name, "supercategory": "animal", "keypoints": list(names), "skeleton": skeleton}
            for name, i in category_ids.items()
        ],
    }


def categories_with_keypoints(categories: object, path: Path) -> dict[object, tuple[str, list[str]]]:
    """Name and keypoint names of every category that has any, by id.

    Raises:
        UserError: There is none.
    """
    found = {}
    for category in categories if isinstance(categories, list) else ():
        if not isinstance(category, dict) or not isinstance(category.get("id"), (int, str)):
            continue
        keypoints = category.get("keypoints")
        if isinstance(keypoints, list) and keypoints and all(isinstance(name, str) for name in keypoints):
            found[category["id"]] = (str(category.get("name", "")), keypoints)
    if not found:
        raise UserError(
            f"{path} names no keypoints: no category has a 'keypoints' list",
            hint="Expected COCO keypoints: https://cocodataset.org/#format-data. Detection files without points "
            "cannot train a pose model.",
        )
    for name, keypoints in found.values():
        if doubled := [keypoint for keypoint, count in Counter(keypoints).items() if count > 1]:
            raise UserError(f"{path}: category {name!r} has keypoint {doubled[0]!r} more than once")
    return found


def _images_by_id(images: list, export: Export) -> dict[object, dict]:
    """Pictures by id; ids that stand twice are left out, for nobody knows whose annotations are whose."""
    by_id: dict[object, dict] = {}
    doubled = set()
    for position, image in enumerate(images):
        where = f"{export.path.name}, images[{position}]"
        try:
            if not isinstance(image, dict) or not isinstance(image.get("id"), (int, str)):
                raise Unusable("a picture without an id", f"found {shown(image)}")
            text(image.get("file_name"), "the picture's file_name")
            if by_id.get(image["id"]) == image:
                continue  # the same entry again says nothing else
            if image["id"] in by_id:
                doubled.add(image["id"])
                raise Unusable("a picture id stands twice", f"id {shown(image['id'])}")
        except Unusable as error:
            export.skip("picture", where, error)
        else:
            by_id[image["id"]] = image
    for image_id in doubled:
        where = f"{export.path.name}, picture {by_id.pop(image_id)['file_name']}"
        export.skips.append(Skip("picture", where, "a picture id stands twice", f"id {shown(image_id)}"))
    return by_id


def _with_ids(
    annotations: list, declared: object, images: dict[object, dict], categories: dict, export: Export
) -> list[object]:
    """Annotations with the ids that they mean: 0, "0" and 0.0 are one, and points of an only category are its.

    Raises:
        UserError: Ids are those of the pictures or categories, moved by one: nearly every animal would get another's.
    """
    entries = declared if isinstance(declared, list) else []
    known = {
        "image_id": dict.fromkeys(images),
        "category_id": dict.fromkeys(
            entry["id"] for entry in entries if isinstance(entry, dict) and _is_id(entry.get("id"))
        ),
    }
    by_value = {key: {_value(own): own for own in own_ids} for key, own_ids in known.items()}
    only = next(iter(categories)) if len(categories) == 1 else None
    result, rewritten, given = [], 0, 0
    for annotation in annotations:
        if isinstance(annotation, dict):
            annotation = dict(annotation)
            for key, own_ids in known.items():
                own = annotation.get(key)
                if not (_is_id(own) and own in own_ids) and _value(own) in by_value[key]:
                    annotation[key], rewritten = by_value[key][_value(own)], rewritten + 1
            # CVAT gives a skeleton that is grouped with a box the box's category
            if only is not None and not (
                _is_id(annotation.get("category_id")) and annotation["category_id"] in categories
            ):
                points = _flat(annotation.get("keypoints"))
                if isinstance(points, list) and len(points) == 3 * len(categories[only][1]):
                    annotation["category_id"], given = only, given + 1
        result.append(annotation)
    _check_not_moved("image_id", result, set(images), export)
    _check_not_all_one(result, images, export)
    if len(categories) > 1:
        _check_not_moved("category_id", result, set(known["category_id"]), export)
    name = export.path.name
    if rewritten:
        export.notes.append(
            f'{name}: {rewritten} ids are written in two ways (such as 1, "1" and 1.0), taken for the same'
        )
    if given:
        export.notes.append(
            f"{name}: {given} annotations with the points of {categories[only][0]!r} name another category or none, as "
            "CVAT writes skeletons that are grouped with a box: taken for it"
        )
    return result


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str))


def _value(own: object) -> object:
    """What an id means, however it is written; None for what is none."""
    try:
        value = float(own) if isinstance(own, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if math.isfinite(value) and value.is_integer():
        return int(value)
    return own if _is_id(own) else None


def _check_not_moved(key: str, annotations: list[object], own: set, export: Export) -> None:
    """Refuses ids that count from 0 where the others count from 1, or the other way round."""
    used = {a[key] for a in annotations if isinstance(a, dict) and _is_id(a.get(key))}
    if len(own) < 2 or not used - own or not all(type(one) is int for one in used | own):
        return
    for step in (1, -1):
        if {one + step for one in used} == own:
            raise UserError(
                f"{export.path}: {key} runs from {min(used)} to {max(used)}, the ids it stands for from {min(own)} to "
                f"{max(own)}",
                hint=f"Add {step} to every {key}, or export anew: nearly every animal would get the wrong one.",
            )


def _check_not_all_one(annotations: list[object], images: dict[object, dict], export: Export) -> None:
    """Refuses as many animals as pictures, or more, that all name one of them: the ids of the others got lost."""
    used = [a["image_id"] for a in annotations if isinstance(a, dict) and _is_id(a.get("image_id"))]
    if len(set(used)) == 1 and len(used) >= len(images) >= _PICTURES and used[0] in images:
        raise UserError(
            f"{export.path}: all {len(used)} annotations have image_id {shown(used[0])}, although the file has "
            f"{len(images)} pictures",
            hint="Whose they are is lost: export again. If they are all on that picture, take the others out of "
            "'images' in the file.",
        )


def _mixed_by_label_studio(
    content: dict, annotations: list[object], categories: dict, export: Export
) -> dict[object, int]:
    """Tells of Label Studio's COCO export, by its marks; returns pictures of several horses, with their boxes.

    Its converter gives all points of a picture to one annotation, in an order that need not be that of the names, and
    writes the size of the file while points are those of the turned photo (HumanSignal/label-studio#7537, #7632,
    #6608).
    """
    info = content.get("info")
    names = [image.get("file_name") for image in content["images"] if isinstance(image, dict)]
    marks = (
        isinstance(info, dict) and info.get("contributor") == "Label Studio",
        any(name == "default" for name, _ in categories.values())
        and all(
            category.get("name") == category.get("supercategory") == "default"
            for category in content["categories"]
            if isinstance(category, dict) and category.get("keypoints")
        ),
        bool(names) and all(isinstance(name, str) and _UPLOADED.search(name) for name in names),
    )
    if not any(marks):
        return {}
    export.sized = "stored"
    export.title = "COCO keypoints of Label Studio"
    export.notes.append(
        f"{export.path.name} looks like Label Studio's COCO export, which makes one horse of several in a picture and "
        "may give points other names than they have: export JSON from Label Studio and convert that"
    )
    boxes: Counter[object] = Counter()
    posed: Counter[object] = Counter()
    for annotation in annotations:
        if isinstance(annotation, dict) and isinstance(annotation.get("image_id"), (int, str)):
            posed[annotation["image_id"]] += bool(annotation.get("keypoints"))
            boxes[annotation["image_id"]] += bool(annotation.get("bbox")) and not annotation.get("keypoints")
    return {image_id: count for image_id, count in boxes.items() if count > 1 and posed[image_id] == 1}


def _flat(values: object) -> object:
    """``[[x, y, v], ...]`` as ``[x, y, v, ...]``; anything else as it is."""
    if isinstance(values, list) and values and all(isinstance(row, list) and len(row) == 3 for row in values):
        return [value for row in values for value in row]
    return values


def _animal(annotation: object, categories: dict[object, tuple[str, list[str]]]) -> tuple[object, Animal]:
    """An annotation's image id and animal."""
    if not isinstance(annotation, dict):
        raise Unusable("an annotation is not an object", f"found {shown(annotation)}")
    image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
    if not isinstance(image_id, (int, str)):
        raise Unusable("its image_id is no picture of the file", f"image_id {shown(image_id)}")
    if not isinstance(category_id, (int, str)) or category_id not in categories:
        raise Unusable("its category has no keypoints", f"category_id {shown(category_id)}")
    if annotation.get("iscrowd"):
        raise Unusable("marked as a crowd")
    category, names = categories[category_id]
    if annotation.get("keypoints") in (None, []):
        raise Unusable("no keypoints in the annotation")
    values = _flat(annotation["keypoints"])
    if not isinstance(values, list):
        raise Unusable("a list of numbers is missing", f"'keypoints' is {shown(values)}")
    if len(values) != 3 * len(names):
        raise Unusable(
            "the number of keypoints is not that of its category",
            f"{len(values)} numbers, expected {3 * len(names)} for {len(names)} keypoints",
        )
    points = {
        name: point(x, y, v, name) for name, x, y, v in zip(names, values[::3], values[1::3], values[2::3], strict=True)
    }
    return image_id, Animal(points, box_of(annotation.get("bbox")), category, _area(annotation.get("area")))


def box_of(value: object) -> tuple[float, float, float, float] | None:
    """``x, y, width, height``, perhaps without a size, or None where the file gives no box.

    Raises:
        Unusable: Not four numbers.
    """
    if value in (None, []):
        return None
    box = numbers(value, "'bbox'")
    if len(box) != 4:
        raise Unusable("a box is not four numbers", f"'bbox' has {len(box)}")
    return box[0], box[1], box[2], box[3]


def _area(value: object) -> float | None:
    # some exporters write 0, which makes every prediction wrong in COCO's evaluation
    try:
        area = number(value, "'area'")
    except Unusable:
        return None
    return area if area > 0 else None
