"""Drawings of what was found on a picture, and its entries in a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from equistera.drawing import draw_box, draw_pose, put_text, side_by_side, viewing_scale
from equistera.evaluation.average_precision import instance_score
from equistera.mm.prediction.confidence import Confidence
from equistera.mm.prediction.stream import Seen
from equistera.skeleton import Skeleton


def draw_seen(seen: Seen, skeleton: Skeleton, confidence: Confidence) -> np.ndarray:
    """The predictions on the picture; beside them what is annotated, where anything is.

    Args:
        seen: What was found; its picture is drawn on.
        skeleton: The keypoints.
        confidence: Points below its threshold are dimmed.

    Returns:
        RGB uint8, as high as the picture.
    """
    image = seen.frame.image
    truth = _annotated(seen, skeleton)
    for pose in seen.poses:
        scores = confidence.apply(pose.scores)
        scale = viewing_scale(image, float(max(pose.bbox[2:])))
        if seen.boxes is not None:
            draw_box(image, pose.bbox, label=f"{scores.mean():.2f}", scale=scale)
        draw_pose(image, pose.points, skeleton, scores=scores, threshold=confidence.threshold, scale=scale)
    if truth is None:
        return image
    for panel, title in ((truth, "labelled"), (image, "predicted")):
        scale = viewing_scale(image, float("inf"))
        put_text(panel, title, (6 * scale, image.shape[0] - 6 * scale), scale=1.5 * scale)
    return side_by_side(truth, image)


def _annotated(seen: Seen, skeleton: Skeleton) -> np.ndarray | None:
    animals = [box.animal for box in seen.boxes or () if box.animal is not None and box.animal.keypoints is not None]
    if not animals:
        return None
    image = seen.frame.image.copy()
    for animal in animals:
        points, visible = animal.keypoints[:, :2], animal.keypoints[:, 2]
        scale = viewing_scale(image, max(animal.bbox[2:]))
        draw_box(image, animal.bbox, scale=scale)
        draw_pose(image, points, skeleton, visible=visible, scale=scale)
    return image


def results_of(seen: Seen, confidence: Confidence, image_ids: Mapping[str, object] | None = None) -> list[dict]:
    """COCO keypoint results of one picture.

    Args:
        seen: What was found.
        confidence: Makes the third number of each keypoint; ``score`` follows from them and the box's.
        image_ids: By the picture's name; by default a picture's number in the folder or video, from 0.

    Returns:
        ``image_id``, ``file_name``, ``category_id``, ``bbox``, ``keypoints`` [x, y, confidence, ...] and ``score``.
    """
    results = []
    for pose in seen.poses:
        scores = confidence.apply(pose.scores)
        results.append(
            {
                "image_id": seen.frame.number if image_ids is None else image_ids[seen.frame.name],
                "file_name": seen.frame.name,
                "category_id": 1,
                "bbox": np.round(pose.bbox, 2).tolist(),
                "keypoints": np.round(np.column_stack([pose.points, scores]), 4).ravel().tolist(),
                "score": instance_score(scores, pose.bbox_score),
            }
        )
    return results
