"""Checks annotations and predictions before anything is counted, so that no metric is silently 0 or -1."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from equistera.dataset.coco import is_id
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.training.values import is_number
from equistera.words import counted

_REPAIR_HINT = "Check the whole file: python tools/verify_dataset.py --ann-file FILE"


def prepare(gt_coco: dict, skeleton: Skeleton) -> dict:
    """A checked copy of a COCO keypoint file whose keypoints, matched by name, stand in the skeleton's order.

    Categories without keypoints, and their annotations, are left out. ``num_keypoints`` is counted from the
    visibility flags. An annotation of a crowd or without a labelled keypoint stays, for COCO ignores what is
    predicted there. Preparing a prepared file changes nothing.

    Raises:
        UserError: No annotated animal to score, or entries that would make AP meaningless (``area`` or ``bbox``
            missing or not positive, unknown ``image_id``, a wrong number of keypoints, ...): all of them.
    """
    if not isinstance(gt_coco, dict):
        raise UserError(f"the annotations must be an object as in a COCO file, found {type(gt_coco).__name__}")
    absent = [
        key
        for key in ("images", "annotations", "categories")
        if not isinstance(gt_coco.get(key), list) or not all(isinstance(entry, dict) for entry in gt_coco[key])
    ]
    if absent:
        raise UserError(f"the annotations are not a COCO file: {', '.join(absent)} must be lists of objects")
    named = [category.get("keypoints") for category in gt_coco["categories"]]
    categories = [c for c, names in zip(gt_coco["categories"], named, strict=True) if isinstance(names, list) and names]
    if not categories:
        raise UserError("no category of the annotation file has 'keypoints', so there is nothing to score")
    problems = _repeated("category id", (category.get("id") for category in categories))
    if problems:
        raise UserError("the annotations cannot be scored:", problems, _REPAIR_HINT)
    columns = {category["id"]: skeleton.columns_of(category["keypoints"]) for category in categories}
    wanted = [ann for ann in gt_coco["annotations"] if _in(ann.get("category_id"), columns)]
    images = {image.get("id") for image in gt_coco["images"] if is_id(image.get("id"))}
    problems = _repeated("annotation id", (ann.get("id") for ann in wanted))
    problems += _repeated("image id", (image.get("id") for image in gt_coco["images"]))
    annotations = []
    for ann in wanted:
        found = _annotation_problems(ann, images, len(skeleton))
        problems += [f"annotation {ann.get('id')!r}: {problem}" for problem in found]
        if not found:
            annotations.append(_in_order(ann, columns[ann["category_id"]]))
    if problems:
        raise UserError("the annotations cannot be scored:", problems, _REPAIR_HINT)
    if not any(is_scored(ann) for ann in annotations):
        raise UserError(
            f"nothing to score: none of {counted(len(gt_coco['annotations']), 'annotations')} has a labelled keypoint",
            hint=_REPAIR_HINT,
        )
    ordered = [{**category, "keypoints": list(skeleton.names)} for category in categories]
    return {"images": gt_coco["images"], "categories": ordered, "annotations": annotations}


def is_scored(annotation: dict) -> bool:
    """Whether an annotation counts: COCO ignores crowds and animals without a labelled keypoint."""
    return not annotation.get("iscrowd") and annotation["num_keypoints"] > 0


def check_results(results: list[dict], ground_truth: dict, skeleton: Skeleton) -> None:
    """Refuses predictions that cannot be scored against annotations that :func:`prepare` returned.

    They are COCO keypoint results, ``{"image_id", "category_id", "keypoints": [x, y, score] * K, "score"}``, in the
    skeleton's order; optionally with ``bbox`` (x, y, width, height) and ``ann_id`` (the annotation whose box the
    prediction was made in).

    Raises:
        UserError: There are none, or some are not usable: all findings.
    """
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise UserError("the predictions must be a list of COCO keypoint results")
    if not results:
        raise UserError(
            "there are no predictions to score: the model found no animal in any picture",
            hint="Predict with the annotated boxes, or lower the detector's threshold.",
        )
    images = {image["id"] for image in ground_truth["images"]}
    categories = {category["id"] for category in ground_truth["categories"]}
    image_of = {ann["id"]: ann["image_id"] for ann in ground_truth["annotations"]}
    length = 3 * len(skeleton)
    problems = _repeated("ann_id", (result["ann_id"] for result in results if result.get("ann_id") is not None))
    for i, result in enumerate(results):
        found = []
        if not _in(result.get("image_id"), images):
            found.append(f"image_id {result.get('image_id')!r} is not among the {len(images)} annotated pictures")
        if not _in(result.get("category_id"), categories):
            found.append(f"category_id {result.get('category_id')!r}, expected one of {sorted(categories)}")
        found += _number_problems("keypoints", result.get("keypoints"), length)
        found += _number_problems("score", [result.get("score")], 1)
        if "bbox" in result:
            found += _number_problems("bbox", result["bbox"], 4)
        ann_id = result.get("ann_id")
        if ann_id is not None and (not _in(ann_id, image_of) or image_of[ann_id] != result.get("image_id")):
            found.append(f"ann_id {ann_id!r} is not an annotation of picture {result.get('image_id')!r}")
        problems += [f"prediction {i}: {problem}" for problem in found]
    if problems:
        raise UserError(
            "the predictions cannot be scored against these annotations:",
            problems,
            "Numbers that are not finite mean that training diverged: try a tenth of the learning rate.",
        )


def _in_order(annotation: dict, columns: np.ndarray) -> dict:
    flat = annotation.get("keypoints") or [0] * (3 * len(columns))
    points = np.asarray(flat, dtype=float).reshape(-1, 3)[columns]
    return {
        **annotation,
        "keypoints": points.reshape(-1).tolist(),
        "num_keypoints": int(np.count_nonzero(points[:, 2] > 0)),
        "iscrowd": int(bool(annotation.get("iscrowd"))),
        "area": float(annotation.get("area") or 0.0),
    }


def _annotation_problems(annotation: dict, images: set, count: int) -> list[str]:
    problems = []
    if not _in(annotation.get("image_id"), images):
        problems.append(f"image_id {annotation.get('image_id')!r} is not in the file's images")
    problems += _number_problems("bbox", annotation.get("bbox"), 4)
    flat = annotation.get("keypoints")
    if flat:
        problems += _number_problems("keypoints", flat, 3 * count)
    if problems:
        return problems
    if flat and not annotation.get("iscrowd") and any(v > 0 for v in flat[2::3]):
        if min(annotation["bbox"][2:]) <= 0:
            problems.append(f"bbox {annotation['bbox']} has no width or height")
        area = annotation.get("area")
        if not _is_finite(area) or area <= 0:
            problems.append(f"area must be a positive number, found {area!r} (OKS divides by it)")
    return problems


def _number_problems(name: str, values: object, length: int) -> list[str]:
    if not isinstance(values, (list, tuple, np.ndarray)) or len(values) != length:
        found = f"{len(values)}" if isinstance(values, (list, tuple, np.ndarray)) else repr(values)
        return [f"{name} must be {length} numbers, found {found}"]
    if not all(_is_finite(value) for value in values):
        return [f"{name} must be finite numbers, found {next(v for v in values if not _is_finite(v))!r}"]
    return []


def _is_finite(value: object) -> bool:
    return is_number(value.item() if isinstance(value, np.number) else value)


def _in(value: object, known: Iterable) -> bool:
    return is_id(value) and value in known


def _repeated(what: str, values: Iterable) -> list[str]:
    seen, problems = set(), []
    values = list(values)
    if len({isinstance(value, str) for value in values if is_id(value)}) > 1:
        problems.append(f"{what} is a number in some places and a text in others")
    for value in values:
        if not is_id(value):
            problems.append(f"{what} must be a whole number or a text, found {value!r}")
        elif value in seen:
            problems.append(f"{what} {value!r} stands twice")
        else:
            seen.add(value)
    return problems
