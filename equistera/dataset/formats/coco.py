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
from dataclasses import dataclass, replace
from pathlib import Path

from equistera.dataset.coco import category_of, is_id
from equistera.dataset.formats.records import HORSE, Animal, Export, Picture, Skip
from equistera.dataset.formats.values import Unusable, number, numbers, point, positive_size, shown, subset_names, text
from equistera.errors import UserError
from equistera.skeleton import Skeleton

TITLE = "COCO keypoints"

#: Pictures of Label Studio's COCO export that hold more than one horse.
_MIXED = "Label Studio's COCO export makes one animal of all points in a picture: export JSON instead of COCO"
_EXPORT_JSON = "Export JSON instead of COCO from Label Studio, and convert that."
_NO_PICTURE, _TWICE = "its image_id is no picture of the file", "a picture id stands twice"
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
    """Reads a COCO keypoint file, of which the parsed JSON is at hand.

    Raises:
        UserError: No category names its keypoints, a name stands twice in one, or ids are moved or got lost.
    """
    export = Export(path, TITLE)
    categories = categories_with_keypoints(content.get("categories"), path)
    animals: dict[object, list[Animal]] = defaultdict(list)
    images = _images_by_id(content["images"], export)
    annotations = _with_ids(content["annotations"], content["categories"], images, categories, export)
    of_label_studio = _of_label_studio(content, annotations, images, export)
    for position, annotation in enumerate(annotations):
        if of_label_studio and _is_box(annotation):
            continue
        label = annotation.get("id", position) if isinstance(annotation, dict) else position
        with export.leaving_out("horse", f"{path.name}, annotation {shown(label)}"):
            image_id, animal = _animal(annotation, categories)
            if image_id not in images:
                raise Unusable(_NO_PICTURE, f"image_id {shown(image_id)}")
            if of_label_studio:
                # its own is drawn around the points
                animal = replace(animal, box=box_of(of_label_studio.boxes.get(image_id)))
            animals[image_id].append(animal)
    # declared even if no annotation uses them: that is how a public data set is known
    for name, keypoints in categories.values():
        export.keypoints.setdefault(name, list(keypoints))
    mixed = of_label_studio.mixed if of_label_studio else {}
    # CVAT writes person_keypoints_SUBSET.json
    subset = path.stem.removeprefix("person_keypoints_")
    for image_id, image in images.items():
        name = image["file_name"]
        where = f"{path.name}, picture {name}"
        with export.leaving_out("picture", where):
            names = (name,) if subset == path.stem else subset_names(name, subset, path)
            if not animals[image_id]:
                export.empty.append(Picture(names, where, ()))
                raise Unusable("no annotation that can be used", hint="" if annotations else _NO_ANNOTATIONS)
            if image_id in mixed:
                raise Unusable(_MIXED, f"{mixed[image_id]} boxes, one set of points", _EXPORT_JSON)
            size = positive_size(image.get("width"), image.get("height"))
            export.add(Picture(names, where, tuple(animals[image_id]), size))
    return export


def write(pictures: Sequence[Picture], skeleton: Skeleton) -> dict:
    """Makes a COCO keypoint file.

    Args:
        pictures: With known size and pixel coordinates; every animal has a box. What a model has predicted has its
            ``score``.
        skeleton: Keypoints, in the order to write.
    """
    words = list(dict.fromkeys(a.category for picture in pictures for a in picture.animals)) or [HORSE]
    images, annotations = [], []
    for image_id, picture in enumerate(pictures, 1):
        width, height = picture.size
        images.append({"id": image_id, "file_name": picture.names[0], "width": width, "height": height})
        for animal in picture.animals:
            points = [animal.points.get(name, (0.0, 0.0, 0)) for name in skeleton.names]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": words.index(animal.category) + 1,
                    "keypoints": [value for point in points for value in (point if point[2] else (0.0, 0.0, 0))],
                    "num_keypoints": sum(v > 0 for _, _, v in points),
                    "bbox": list(animal.box),
                    "area": animal.area,
                    "iscrowd": 0,
                    **({} if animal.score is None else {"score": animal.score}),
                }
            )
    categories = [{**category_of(skeleton), "id": i, "name": word} for i, word in enumerate(words, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def categories_with_keypoints(categories: object, path: Path) -> dict[object, tuple[str, list[str]]]:
    """Name and keypoint names of every category that has any, by id.

    Raises:
        UserError: There is none.
    """
    found = {}
    for category in categories if isinstance(categories, list) else ():
        if not isinstance(category, dict) or not is_id(category.get("id")):
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
    doubled: dict[object, dict] = {}
    for position, image in enumerate(images):
        with export.leaving_out("picture", f"{export.path.name}, images[{position}]"):
            if not isinstance(image, dict) or not is_id(image.get("id")):
                raise Unusable("a picture without an id", f"found {shown(image)}")
            text(image.get("file_name"), "the picture's file_name")
            first = by_id.setdefault(image["id"], image)
            # the same entry again says nothing else
            if first != image:
                doubled[image["id"]] = first
                raise Unusable(_TWICE, f"id {shown(image['id'])}")
    for image_id, first in doubled.items():
        where = f"{export.path.name}, picture {first['file_name']}"
        export.skips.append(Skip("picture", where, _TWICE, f"id {shown(image_id)}"))
    return {image_id: image for image_id, image in by_id.items() if image_id not in doubled}


def _with_ids(
    annotations: list, declared: list, images: dict[object, dict], categories: dict, export: Export
) -> list[object]:
    """Annotations with flat keypoints and the ids that they mean: 0, "0" and 0.0 are one, and points of an only
    category are its.

    Raises:
        UserError: Ids are those of the pictures or categories, moved by one: nearly every animal would get another's.
    """
    ids = {
        "image_id": list(images),
        "category_id": [entry["id"] for entry in declared if isinstance(entry, dict) and is_id(entry.get("id"))],
    }
    by_value = {key: {_value(own): own for own in known} for key, known in ids.items()}
    only = next(iter(categories)) if len(categories) == 1 else None
    known = {key: set(own) for key, own in ids.items()}
    result, rewritten, given = [], 0, 0
    for annotation in annotations:
        if isinstance(annotation, dict):
            annotation = {**annotation, "keypoints": _flat(annotation.get("keypoints"))}
            for key in ids:
                own, meant = annotation.get(key), by_value[key].get(_value(annotation.get(key)))
                if meant is not None and not (is_id(own) and own in known[key]):
                    annotation[key], rewritten = meant, rewritten + 1
            category_id, points = annotation.get("category_id"), annotation["keypoints"]
            of_none = only is not None and not (is_id(category_id) and category_id in categories)
            # CVAT gives a skeleton that is grouped with a box the box's category
            if of_none and isinstance(points, list) and len(points) == 3 * len(categories[only][1]):
                annotation["category_id"], given = only, given + 1
        result.append(annotation)
    _check_not_moved("image_id", result, known["image_id"], export)
    _check_not_all_one(result, images, export)
    if len(categories) > 1:
        _check_not_moved("category_id", result, known["category_id"], export)
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


def _ids_of(annotations: list[object], key: str) -> list:
    return [a[key] for a in annotations if isinstance(a, dict) and is_id(a.get(key))]


def _value(own: object) -> object:
    """What an id means, however it is written; None for what is none."""
    try:
        value = float(own) if isinstance(own, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if math.isfinite(value) and value.is_integer():
        return int(value)
    return own if is_id(own) else None


def _check_not_moved(key: str, annotations: list[object], own: set, export: Export) -> None:
    """Refuses ids that count from 0 where the others count from 1, or the other way round."""
    used = set(_ids_of(annotations, key))
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
    used = _ids_of(annotations, "image_id")
    if len(set(used)) == 1 and len(used) >= len(images) >= _PICTURES and used[0] in images:
        raise UserError(
            f"{export.path}: all {len(used)} annotations have image_id {shown(used[0])}, although the file has "
            f"{len(images)} pictures",
            hint="Whose they are is lost: export again. If they are all on that picture, take the others out of "
            "'images' in the file.",
        )


@dataclass(frozen=True)
class _OfLabelStudio:
    """What an export of Label Studio's has, by the id of the picture.

    Attributes:
        mixed: Rectangles of pictures with several, and one set of points.
        boxes: The only rectangle of pictures with one, and one set of points.
    """

    mixed: dict[object, int]
    boxes: dict[object, object]


def _of_label_studio(
    content: dict, annotations: list[object], images: dict[object, dict], export: Export
) -> _OfLabelStudio | None:
    """Tells of Label Studio's COCO export, by its marks; None for another one.

    Its converter gives all points of a picture to one annotation, in an order that need not be that of the names,
    rounds them to pixels, and writes the size of the file while points are those of the turned photo
    (HumanSignal/label-studio#7537, #7632, #6608). Rectangles are annotations of their own.
    """
    info = content.get("info")
    posed = [c for c in content["categories"] if isinstance(c, dict) and c.get("keypoints")]
    marks = (
        isinstance(info, dict) and info.get("contributor") == "Label Studio",
        all(category.get("name") == category.get("supercategory") == "default" for category in posed),
        bool(images) and all(_UPLOADED.search(image["file_name"]) for image in images.values()),
    )
    if not any(marks):
        return None
    export.sized, export.tells_hidden = "stored", False
    export.title = "COCO keypoints of Label Studio"
    export.notes.append(
        f"{export.path.name} looks like Label Studio's COCO export, which makes one horse of several in a picture and "
        "may give points other names than they have: export JSON from Label Studio and convert that"
    )
    poses = Counter(_ids_of([a for a in annotations if not _is_box(a)], "image_id"))
    boxes: dict[object, list[object]] = defaultdict(list)
    for annotation in annotations:
        if isinstance(annotation, dict) and _is_box(annotation) and is_id(annotation.get("image_id")):
            boxes[annotation["image_id"]].append(annotation["bbox"])
    own = {image_id: found for image_id, found in boxes.items() if poses[image_id] == 1}
    return _OfLabelStudio(
        {image_id: len(found) for image_id, found in own.items() if len(found) > 1},
        {image_id: found[0] for image_id, found in own.items() if len(found) == 1},
    )


def _is_box(annotation: object) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("bbox")) and not annotation["keypoints"]


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
    if not is_id(image_id):
        raise Unusable(_NO_PICTURE, f"image_id {shown(image_id)}")
    if not is_id(category_id) or category_id not in categories:
        raise Unusable("its category has no keypoints", f"category_id {shown(category_id)}")
    if annotation.get("iscrowd"):
        raise Unusable("marked as a crowd")
    category, names = categories[category_id]
    values = annotation["keypoints"]
    if values in (None, []):
        raise Unusable("no keypoints in the annotation")
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
