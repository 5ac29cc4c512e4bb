"""AnimalPose: the authors' own ``keypoints.json``, and the species that MMPose's version of it does not name.

In the authors' file ``images`` is an object of names by id, a box is ``[xmin, ymin, xmax, ymax]``, keypoints are
``[x, y, seen]`` with ``seen`` 0 or 1 (https://sites.google.com/view/animal-pose/). MMPose's COCO files have one
category for all five species; only the pictures of the second part carry the species, in their folder or file name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from equistera.dataset.formats import coco
from equistera.dataset.formats.records import Export
from equistera.dataset.formats.values import VISIBLE

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
    """Reads the authors' file, of which the parsed JSON is at hand.

    Raises:
        UserError: No category names its keypoints.
    """
    images = [{"id": image_id, "file_name": name} for image_id, name in content["images"].items()]
    annotations = [_as_coco(annotation) for annotation in content["annotations"]]
    export = coco.read({**content, "images": images, "annotations": annotations}, path)
    export.title = TITLE
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


def _as_coco(annotation: object) -> object:
    """An annotation as COCO has it; what is not as the authors write it stays, to be named by COCO's reader."""
    if not isinstance(annotation, dict):
        return annotation
    rows, box = annotation.get("keypoints"), annotation.get("bbox")
    if isinstance(rows, list):
        rows = [[*row[:2], VISIBLE] if isinstance(row, list) and row[2:] == [1] else row for row in rows]
    if isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box):
        box = [*box[:2], box[2] - box[0], box[3] - box[1]]
    return {**annotation, "image_id": str(annotation.get("image_id")), "keypoints": rows, "bbox": box}
