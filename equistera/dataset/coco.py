"""Reading and writing COCO keypoint files.

Coordinates are pixels of the displayed picture, (0, 0) the centre of the top left pixel, as pictures are rendered,
warped, mirrored and turned here. Labelling tools count from that pixel's outer corner, half a pixel more; their numbers
are taken as they are, for nobody clicks that exactly. ``bbox`` is ``[x, y, width, height]``; a keypoint is ``x, y, v``
with ``v`` 0 not labelled, 1 labelled but hidden, 2 visible (https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equistera.commands import verify_command
from equistera.dataset.boxes import other_unit
from equistera.errors import UserError
from equistera.files import read_json
from equistera.skeleton import Skeleton

#: Contents that :func:`load_annotations` remembers: of training, validation, test set and one more.
_MOST_KNOWN = 4
_known: dict[tuple, dict] = {}

#: What to do with a file that is not COCO where one is needed.
CONVERT_FIRST = "An export of a labelling tool is converted first: tools/convert_dataset.py --help"


def category_of(skeleton: Skeleton) -> dict:
    """The COCO category entry that carries a skeleton (its links count from 1, as COCO's do)."""
    return {
        "id": 1,
        "name": "horse",
        "supercategory": "animal",
        "keypoints": list(skeleton.names),
        "skeleton": (skeleton.link_indices + 1).tolist(),
    }


def is_id(value: object) -> bool:
    """Whether a value can be an id: a whole number or a text."""
    return isinstance(value, (int, str, np.integer)) and not isinstance(value, bool)


def read_coco(path: str | Path, lists: Sequence[str] = ("images", "annotations", "categories")) -> dict:
    """The content of a COCO file, as it is.

    Raises:
        UserError: It is missing, not JSON, or has not these lists.
    """
    content = read_json(path, CONVERT_FIRST)
    if not isinstance(content, dict):
        found = f"expected an object, found {type(content).__name__}"
        raise UserError(f"{path} is not a COCO keypoint file: {found}", hint=CONVERT_FIRST)
    if absent := [key for key in lists if not isinstance(content.get(key), list)]:
        which = f"list {absent[0]} is" if len(absent) == 1 else f"lists {', '.join(absent)} are"
        raise UserError(f"{path} is not a COCO keypoint file: the {which} missing", hint=CONVERT_FIRST)
    return content


def load_annotations(path: str | Path, skeleton: Skeleton) -> dict:
    """Reads a COCO keypoint file and puts it into the skeleton's order.

    The file's categories name their keypoints; another order than the skeleton's is put right. Annotations without
    a labelled keypoint, and crowds, are left out. A missing ``area`` becomes that of the box: with 0, COCO's
    evaluation would call every prediction wrong without a word.

    A file that is as it was when this process read it is not parsed again: whoever asks shares one content, which is
    not to be changed.

    Returns:
        A COCO dictionary with ``images`` and ``annotations`` as in the file (other fields kept) and one category,
        ``category_of(skeleton)``. Every annotation has finite ``keypoints`` (K * 3 floats), ``bbox``, ``area`` and
        ``num_keypoints``. ``animals``: the names that the file gives its annotations' categories.

    Raises:
        UserError: The file cannot be read, or holds something that cannot be trained on; all findings are listed.
    """
    try:
        status = os.stat(path)
    except OSError:
        # said in words there
        return _parsed(path, skeleton)
    key = (os.path.abspath(path), status.st_ino, status.st_mtime_ns, status.st_size, skeleton.names, skeleton.links)
    if key not in _known:
        while len(_known) >= _MOST_KNOWN:
            _known.pop(next(iter(_known)))
        _known[key] = _parsed(path, skeleton)
    return _known[key]


def _parsed(path: str | Path, skeleton: Skeleton) -> dict:
    content = read_coco(path)
    images, entries = checked_entries(content, skeleton, path)
    annotations = [entry for entry in entries if entry is not None]
    unit = _other_unit(images, annotations, len(skeleton))
    # percent may be small animals in a corner all the same: verification tells of them
    if "fractions" in unit:
        raise UserError(
            f"{path} cannot be used:",
            [unit],
            f"Everything that is wrong with it: {verify_command(path, skeleton.option)}",
        )
    kept = [said for said, entry in zip(content["annotations"], entries, strict=True) if entry is not None]
    animals = _animals(content["categories"], kept)
    return {"images": images, "annotations": annotations, "categories": [category_of(skeleton)], "animals": animals}


def _animals(categories: list, annotations: list[dict]) -> list[str]:
    """The names of the categories of some annotations, as far as they have any."""
    named = [category for category in categories if isinstance(category, dict) and is_id(category.get("id"))]
    names = {category["id"]: str(category.get("name") or "") for category in named}
    return sorted({names[annotation["category_id"]] for annotation in annotations} - {""})


def _other_unit(images: list[dict], annotations: list[dict], count: int) -> str:
    points = np.array([entry["keypoints"] for entry in annotations]).reshape(-1, count, 3)
    sides = [[image.get(key) for key in ("width", "height")] for image in images]
    sizes = [size for size in sides if all(isinstance(side, (int, float)) and 0 < side < 1e6 for side in size)]
    return other_unit(np.where(points[..., 2:] > 0, points[..., :2], np.nan), np.array(sizes, dtype=float))


def checked_entries(
    content: dict, skeleton: Skeleton, path: str | Path, with_ids: bool = True
) -> tuple[list[dict], list[dict | None]]:
    """Checks the entries of a COCO file and puts the annotations into the skeleton's order.

    Args:
        content: From :func:`read_coco`.
        skeleton: The points wanted.
        path: Where it came from, for messages.
        with_ids: Whether annotations need an ``id`` of their own, as all that is trained or scored on does.

    Returns:
        The images, and for each entry of ``annotations`` what :func:`load_annotations` makes of it: None where that
        leaves it out.

    Raises:
        UserError: As :func:`load_annotations`.
    """
    problems: list[str] = []
    columns = _columns_by_category(content["categories"], skeleton, path, problems)
    images = {}
    for image in content["images"]:
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            problems.append(f"an image needs 'id' and 'file_name', found {str(image)[:80]}")
        elif not is_id(image["id"]):
            problems.append(f"image id {str(image['id'])[:40]} is neither a whole number nor a text")
        elif image["id"] in images:
            problems.append(f"image id {image['id']!r} stands twice ({image['file_name']!r})")
        else:
            images[image["id"]] = image
    entries: list[dict | None] = []
    known: set[int | str] = set()
    for annotation in content["annotations"]:
        try:
            entry = _normalised(annotation, columns, images)
            if entry is not None and with_ids:
                _take_id(entry.get("id"), known)
            entries.append(entry)
        except ValueError as error:
            label = annotation.get("id") if isinstance(annotation, dict) else str(annotation)[:40]
            problems.append(f"annotation {label!r}: {error}")
    if with_ids:
        for what, ids in (("image", images), ("annotation", known)):
            if len({isinstance(value, str) for value in ids}) > 1:
                problems.append(f"{what} ids are numbers in some places and texts in others")
    if problems:
        raise UserError(
            f"{path} cannot be used:",
            problems,
            f"Everything that is wrong with it: {verify_command(path, skeleton.option)}",
        )
    return list(images.values()), entries


def _take_id(value: Any, known: set[int | str]) -> None:
    if not is_id(value):
        raise ValueError(f"id {str(value)[:40]} is neither a whole number nor a text")
    if value in known:
        raise ValueError("this id stands twice")
    known.add(value)


def _columns_by_category(
    categories: list, skeleton: Skeleton, path: str | Path, problems: list[str]
) -> dict[int | str, np.ndarray]:
    columns, problem = {}, None
    for category in categories:
        names = category.get("keypoints") if isinstance(category, dict) else None
        if not isinstance(names, list) or not names:
            continue
        if not is_id(category.get("id")):
            problems.append(f"category id {str(category.get('id'))[:40]} is neither a whole number nor a text")
            continue
        try:
            columns[category["id"]] = skeleton.columns_of([str(name) for name in names])
        except UserError as error:
            problem = error
    if columns or problems:
        return columns
    if problem is not None:
        raise UserError(f"{path}: {problem.summary}", problem.problems, problem.hint) from problem
    raise UserError(
        f"{path} names no keypoints: no category has a 'keypoints' list",
        hint=f"Expected the {len(skeleton)} names of skeleton {skeleton.name!r}, as in {list(skeleton.names[:3])} ...",
    )


def _normalised(annotation: object, columns: dict[int | str, np.ndarray], images: dict) -> dict | None:
    if not isinstance(annotation, dict):
        raise ValueError("is not an object")
    for key, known, what in (
        ("image_id", images, "image of the file"),
        ("category_id", columns, "category with these keypoints"),
    ):
        if not is_id(annotation.get(key)) or annotation[key] not in known:
            raise ValueError(f"{key} {annotation.get(key)!r} is no {what}")
    points, box = annotation.get("keypoints"), annotation.get("bbox")
    order = columns[annotation["category_id"]]
    if annotation.get("iscrowd") or points is None:
        return None
    points = _numbers(points, "keypoints")
    if points.size != 3 * len(order):
        raise ValueError(
            f"{points.size} numbers in 'keypoints', expected 3 for each of its category's {len(order)} keypoints"
        )
    points = points.reshape(-1, 3)[order]
    if not (points[:, 2] > 0).any():
        return None
    box = _numbers(box if box is not None else [], "bbox")
    if box.size != 4 or box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"bbox must be [x, y, width, height] with a positive size, found {annotation.get('bbox')}")
    area = annotation.get("area")
    if not isinstance(area, (int, float)) or not 0 < area <= sys.float_info.max:
        area = float(box[2] * box[3])
    return {
        **annotation,
        "category_id": 1,
        "keypoints": points.ravel().tolist(),
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "bbox": box.tolist(),
        "area": float(area),
        "iscrowd": 0,
    }


def _numbers(values: object, what: str) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{what} holds something that is not a number") from error
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"{what} must be a flat list of finite numbers")
    return array
