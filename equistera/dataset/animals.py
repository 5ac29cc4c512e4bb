"""Where the animals of pictures are, from a COCO file: boxes, and what is labelled of their keypoints."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from equistera.dataset.coco import checked_entries, is_id, read_coco
from equistera.dataset.paths import ends_with, name_parts, spelled
from equistera.dataset.readings import corners_taken_for_sizes
from equistera.errors import UserError
from equistera.skeleton import Skeleton


@dataclass(frozen=True)
class Animal:
    """One annotated animal.

    Attributes:
        bbox: x, y, width, height, pixels.
        keypoints: float64 [K, 3], x, y and COCO's visibility; None where none is labelled.
        score: Confidence of the box; 1 unless a detector wrote the file.
        category: The file's word for the animal, "" where it has none.
    """

    bbox: tuple[float, float, float, float]
    keypoints: np.ndarray | None = None
    score: float = 1.0
    category: str = ""


@dataclass(frozen=True)
class PictureAnimals:
    """The animals of the pictures of a COCO file.

    Attributes:
        animals: By the picture's ``file_name`` in the file.
        image_ids: Likewise.
        sizes: Likewise width and height, pixels, where the file says them.
    """

    animals: Mapping[str, list[Animal]]
    image_ids: Mapping[str, object]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @functools.cached_property
    def _by_last_part(self) -> Mapping[str, list[str]]:
        names = defaultdict(list)
        for name in self.image_ids:
            names[spelled(_parts(name)[-1])].append(name)
        return names

    def find(self, name: str) -> str | None:
        """The ``file_name`` of a picture: the same path or, if only one does so, one that ends with the other.

        Letter by letter or, where none does so, in another spelling.
        """
        if name in self.image_ids:
            return name
        parts = _parts(name)
        alike = [(known, _parts(known)) for known in self._by_last_part.get(spelled(parts[-1]), ())]
        for read in (str, spelled):
            asked = list(map(read, parts))
            keyed = [(known, list(map(read, own))) for known, own in alike]
            fitting = [known for known, own in keyed if ends_with(own, asked) or ends_with(asked, own)]
            if fitting:
                return fitting[0] if len(fitting) == 1 else None
        return None


def read_animals(path: str, skeleton: Skeleton) -> PictureAnimals:
    """Reads boxes, and keypoints where a category has them; unlike for training, a box alone is enough.

    Returns:
        All pictures of the file, those without animals included.

    Raises:
        UserError: The file cannot be read, has other keypoints, or boxes that are none.
    """
    content = read_coco(path, ("images", "annotations"))
    categories = content.get("categories")
    if isinstance(categories, list) and any(isinstance(c, dict) and c.get("keypoints") for c in categories):
        _, labelled = checked_entries(content, skeleton, path, with_ids=False)
    else:
        labelled = [None] * len(content["annotations"])
    named = (
        [c for c in categories if isinstance(c, dict) and is_id(c.get("id"))] if isinstance(categories, list) else []
    )
    words = {str(category["id"]): str(category.get("name") or "") for category in named}
    names, animals, problems = {}, defaultdict(list), []
    for image in content["images"]:
        if isinstance(image, dict) and isinstance(image.get("file_name"), str) and "id" in image:
            names[str(image["id"])] = image
        else:
            problems.append(f"an image needs 'id' and 'file_name', found {str(image)[:80]}")
    for annotation, entry in zip(content["annotations"], labelled, strict=True):
        image = names.get(str(annotation.get("image_id"))) if isinstance(annotation, dict) else None
        if image is None:
            problems.append(f"an annotation needs the 'image_id' of an image, found {str(annotation)[:80]}")
            continue
        if annotation.get("iscrowd"):
            continue
        bbox, score = _box(annotation.get("bbox")), annotation.get("score", 1.0)
        if bbox is None or not isinstance(score, (int, float)):
            problems.append(f"annotation {annotation.get('id')!r}: bbox must be [x, y, width, height], above 0")
            continue
        points = None if entry is None else np.array(entry["keypoints"], dtype=float).reshape(-1, 3)
        animals[posix(image["file_name"])].append(
            Animal(bbox, points, float(score), words.get(str(annotation.get("category_id")), ""))
        )
    if problems:
        raise UserError(f"{path} cannot be used:", problems)
    by_name = {posix(image["file_name"]): image for image in names.values()}
    sizes = {name: (image.get("width"), image.get("height")) for name, image in by_name.items()}
    sizes = {name: size for name, size in sizes.items() if all(isinstance(side, int) and side > 0 for side in size)}
    boxes = [(animal.bbox, sizes.get(name, (np.nan, np.nan))) for name, own in animals.items() for animal in own]
    if boxes and corners_taken_for_sizes(*(np.array(column, dtype=float) for column in zip(*boxes, strict=True))):
        raise UserError(
            f"{path} cannot be used: most boxes reach out of their pictures, and would not if they were corners",
            hint="bbox must be [x, y, width, height], not [left, top, right, bottom].",
        )
    return PictureAnimals(dict(animals), {name: image["id"] for name, image in by_name.items()}, sizes)


def _box(values: object) -> tuple[float, float, float, float] | None:
    try:
        box = np.array(values, dtype=float)
    except (TypeError, ValueError):
        return None
    if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
        return None
    return tuple(box.tolist())


def posix(name: str) -> str:
    """A file name with ``/``, whatever system it comes from."""
    return name.replace("\\", "/")


def _parts(name: str) -> list[str]:
    return name_parts(name) or [name]
