"""AnimalPose: the authors' own ``keypoints.json``, and the species that MMPose's version of it does not name.

In the authors' file ``images`` is an object of names by id, a box is ``[xmin, ymin, xmax, ymax]``, keypoints are
``[x, y, seen]`` with ``seen`` 0 or 1 (https://sites.google.com/view/animal-pose/). MMPose's COCO files have one
category for all five species; only the pictures of the second part carry the species, in their folder or file name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath

from equistera.dataset.formats import coco
from equistera.dataset.formats.records import (
    ABSENT,
    VISIBLE,
    Animal,
    Export,
    Picture,
    Skip,
    Unusable,
    number,
    point,
    shown,
)

TITLE = "AnimalPose keypoints.json"

#: How the second part of AnimalPose names its pictures, such as ``ho105.jpeg``.
_SPECIES = {"ca": "cat", "co": "cow", "do": "dog", "ho": "horse", "sh": "sheep"}
_PART_TWO = re.compile(rf"^({'|'.join(_SPECIES)})\d+$")


def accepts(content: object) -> bool:
    """Whether parsed JSON is the authors' file."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("images"), dict)
        and isinstance(content.get("annotations"), list)
        and isinstance(content.get("categories"), list)
    )


def read(content: dict, path: Path) -> Export:
    """Reads the authors' file.

    Args:
        content: Parsed JSON that :func:`accepts` knows.
        path: Where it came from.

    Raises:
        UserError: No category names its keypoints.
    """
    export = Export(path, TITLE)
    categories = coco.categories_with_keypoints(content["categories"], path)
    for name, keypoints in categories.values():
        export.keypoints.setdefault(name, list(keypoints))
    animals: dict[str, list[Animal]] = defaultdict(list)
    for position, annotation in enumerate(content["annotations"]):
        try:
            image_id, animal = _animal(annotation, categories)
            if image_id not in content["images"]:
                raise Unusable("its image_id is no picture of the file", f"image_id {shown(image_id)}")
            animals[image_id].append(animal)
        except Unusable as error:
            export.skip("horse", f"{path.name}, annotation {position}", error)
    for image_id, name in content["images"].items():
        where = f"{path.name}, picture {shown(name)}"
        if not isinstance(name, str) or not name.strip():
            export.skips.append(Skip("picture", where, "the picture's file name is missing"))
        elif not animals[image_id]:
            export.skips.append(Skip("picture", where, "no annotation that can be used"))
        else:
            export.add(Picture((name,), where, tuple(animals[image_id])))
    return export


def species_of(file_name: str) -> str:
    """The animal that AnimalPose's folder or file name gives, or ``""``.

    >>> species_of("animalpose_image_part2/horse/ho105.jpeg"), species_of("VOC2012/JPEGImages/2007_000063.jpg")
    ('horse', '')
    """
    path = PurePosixPath(file_name.replace("\\", "/"))
    if path.parent.name in _SPECIES.values():
        return path.parent.name
    match = _PART_TWO.match(path.stem)
    return _SPECIES[match[1]] if match else ""


def with_species(export: Export) -> Export:
    """An AnimalPose export whose animals have the species that their pictures' names give as category.

    Args:
        export: Of AnimalPose's points in any format. Animals of pictures that give none keep their category.
    """
    named = replace(export, keypoints=dict(export.keypoints), pictures=[])
    keypoints = next(iter(export.keypoints.values()), [])
    for picture in export.pictures:
        if species := species_of(picture.names[0]):
            named.keypoints.setdefault(species, list(keypoints))
            picture = replace(picture, animals=tuple(replace(a, category=species) for a in picture.animals))
        named.pictures.append(picture)
    return named


def _animal(annotation: object, categories: dict[object, tuple[str, list[str]]]) -> tuple[str, Animal]:
    if not isinstance(annotation, dict):
        raise Unusable("an annotation is not an object", f"found {shown(annotation)}")
    category_id = annotation.get("category_id")
    if not isinstance(category_id, (int, str)) or category_id not in categories:
        raise Unusable("its category has no keypoints", f"category_id {shown(category_id)}")
    category, names = categories[category_id]
    rows = annotation.get("keypoints")
    if not isinstance(rows, list) or len(rows) != len(names):
        found = len(rows) if isinstance(rows, list) else shown(rows)
        raise Unusable("the number of keypoints is not that of its category", f"{found}, expected {len(names)}")
    points = {}
    for name, row in zip(names, rows, strict=True):
        if not isinstance(row, list) or len(row) != 3:
            found = f"{len(row)} numbers" if isinstance(row, list) else shown(row)
            raise Unusable("a keypoint is not x, y, seen", f"{name} has {found}")
        x, y, seen = point(*row, name)
        points[name] = (x, y, VISIBLE if seen else ABSENT)
    box = annotation.get("bbox")
    if box in (None, []):
        return str(annotation.get("image_id")), Animal(points, None, category)
    left, top, right, bottom = _corners(box)
    return str(annotation.get("image_id")), Animal(points, (left, top, right - left, bottom - top), category)


def _corners(value: object) -> tuple[float, float, float, float]:
    if not isinstance(value, list) or len(value) != 4:
        raise Unusable("a box is not four numbers", f"'bbox' is {shown(value)}")
    return tuple(number(v, "'bbox'") for v in value)
