"""How well boxes of animals are found: COCO's AP and AR of boxes, and how far the boxes overlap."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from equistera.dataset.boxes import overlaps, shared_areas

#: Of these higher is better; names of ``COCOeval.stats`` for boxes that are logged, and their places.
SCORES = {"AP": 0, "AP50": 1, "AP75": 2, "AR": 8}


def box_scores(coco: Mapping, found: Mapping[int, Sequence[Sequence[float]]]) -> dict[str, float]:
    """Scores of boxes that were found on pictures.

    Args:
        coco: Annotations, as :func:`equistera.dataset.box_labels.load_boxes` gives them.
        found: By the picture's id x, y, width, height and score of each box. Other pictures do not count.

    Returns:
        The names of :data:`SCORES`, in [0, 1], as ``pycocotools.cocoeval.COCOeval`` gives them, and
        ``normalised_error``: 1 - IoU of an animal and the box that overlaps it most, the mean over all animals.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": image["id"]} for image in coco["images"] if image["id"] in found]
    # ids from 1: COCOeval marks a detection as matched by the annotation's id and reads 0 as "not matched"
    annotations = [
        {name: a[name] for name in ("image_id", "bbox", "area", "iscrowd")} | {"id": i, "category_id": 1}
        for i, a in enumerate((a for a in coco["annotations"] if a["image_id"] in found), start=1)
    ]
    results = [
        {"image_id": image, "category_id": 1, "bbox": list(box[:4]), "score": box[4]}
        for image, boxes in found.items()
        for box in boxes
    ]
    scores = dict.fromkeys(SCORES, 0.0) | {"normalised_error": 1 - _mean_overlap(annotations, found)}
    if results and annotations:
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
            truth.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        scores |= {name: max(0.0, float(evaluation.stats[place])) for name, place in SCORES.items()}
    return scores


def _mean_overlap(annotations: Sequence[Mapping], found: Mapping[int, Sequence[Sequence[float]]]) -> float:
    best = []
    for annotation in annotations:
        if annotation["iscrowd"]:
            continue
        boxes = np.array(found[annotation["image_id"]], dtype=float).reshape(-1, 5)[:, :4]
        best.append(float(overlaps(np.array([annotation["bbox"]], dtype=float), boxes).max(initial=0.0)))
    return float(np.mean(best)) if best else 0.0


def matched(
    coco: Mapping, found: Mapping[int, Sequence[Sequence[float]]], least: float = 0.5
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Which found box is which annotated animal: pairs of the largest overlap first, each box and animal once.

    Args:
        coco: As for :func:`box_scores`.
        found: As for :func:`box_scores`.
        least: IoU from which a box is the animal's.

    Returns:
        The place of its box among the picture's by annotation id, without the animals that were missed; and by
        picture the places of the boxes that are nobody's. Those in a crowd are somebody's.
    """
    by_picture = defaultdict(list)
    for annotation in coco["annotations"]:
        by_picture[annotation["image_id"]].append(annotation)
    pairs: dict[int, int] = {}
    invented: dict[int, list[int]] = {}
    for image, rows in found.items():
        boxes = np.array(rows, dtype=float).reshape(-1, 5)[:, :4]
        animals = [a for a in by_picture.get(image, []) if not a["iscrowd"]]
        shared = overlaps(np.array([a["bbox"] for a in animals], dtype=float).reshape(-1, 4), boxes)
        free = {*range(len(boxes))}
        while shared.size and shared.max() >= least:
            animal, box = np.unravel_index(shared.argmax(), shared.shape)
            pairs[animals[animal]["id"]] = int(box)
            free.discard(int(box))
            shared[animal], shared[:, box] = -1, -1
        crowds = np.array([a["bbox"] for a in by_picture.get(image, []) if a["iscrowd"]], dtype=float).reshape(-1, 4)
        inside = shared_areas(crowds, boxes).max(axis=0, initial=0) >= least * boxes[:, 2:].prod(axis=1)
        invented[image] = [box for box in sorted(free) if not (len(crowds) and inside[box])]
    return pairs, invented
