"""The boxes of a COCO keypoint file: those of animals without a labelled keypoint too, which poses leave out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from equistera.dataset.boxes import clip_box
from equistera.dataset.coco import load_annotations, read_coco
from equistera.skeleton import Skeleton


def load_boxes(path: str | Path, skeleton: Skeleton) -> dict:
    """As :func:`load_annotations`, with what that leaves out as far as it has a box.

    Args:
        path: The annotation file.
        skeleton: Its points.

    Returns:
        The same dictionary; each annotation also has ``iscrowd``: 1 for a box around many, of which nobody is one.

    Raises:
        UserError: As :func:`load_annotations`.
    """
    coco = load_annotations(path, skeleton)
    known = {annotation["id"] for annotation in coco["annotations"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    beside = [entry for entry in read_coco(path)["annotations"] if isinstance(entry, dict)]
    beside = [entry for entry in beside if entry.get("id") not in known and entry.get("image_id") in sizes]
    annotations = [{**annotation, "iscrowd": 0} for annotation in coco["annotations"]]
    return {**coco, "annotations": [*annotations, *(box for entry in beside for box in _box(entry, sizes))]}


def _box(entry: Mapping, sizes: Mapping) -> Iterator[dict]:
    """The box of an entry within its picture, if it is one."""
    own = entry.get("bbox")
    if not isinstance(own, (list, tuple)) or len(own) != 4 or not all(map(_is_number, own)):
        return
    if box := clip_box(list(own), *sizes[entry["image_id"]]):
        crowd = int(entry.get("iscrowd") in (1, True))
        about = {"id": entry.get("id"), "image_id": entry["image_id"], "iscrowd": crowd}
        yield {**about, "bbox": box, "area": box[2] * box[3]}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
