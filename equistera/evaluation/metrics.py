"""All metrics of a model on a data set, ready for ``metrics.json``.

Example:
    >>> metrics = evaluate(gt_coco, results, skeleton.load("horse26"))     # doctest: +SKIP
    >>> print(format_table(metrics))                                       # doctest: +SKIP
"""

from __future__ import annotations

import numpy as np

from equistera.evaluation import keypoint_metrics
from equistera.evaluation.average_precision import coco_ap
from equistera.evaluation.constant_guess import constant_results, verdict
from equistera.evaluation.instances import pair
from equistera.skeleton import Skeleton


def evaluate(
    gt_coco: dict,
    results: list[dict],
    skeleton: Skeleton,
    *,
    body_length: tuple[str, str] | None = None,
    mean_pose: np.ndarray | None = None,
) -> dict:
    """Scores predictions.

    Args:
        gt_coco: Content of a COCO keypoint file; keypoints matched by name.
        results: COCO keypoint results in the skeleton's order (see :func:`~.ground_truth.check_results`).
        skeleton: The K keypoints and their sigmas.
        body_length: Two keypoints whose distance PCK is measured in, instead of the box's longer side.
        mean_pose: float64 [K, 2], the training set's (:func:`~.constant_guess.mean_pose`), to score a constant guess
            beside the model.

    Returns:
        JSON-ready: AP and AR (:func:`~.average_precision.coco_ap`) and the figures over all keypoints
        (:mod:`~.keypoint_metrics`) at the top level; ``per_keypoint``, ``visible``, ``hidden`` below; with a mean pose
        ``constant_guess``. A figure that nothing was labelled for is None.

    Raises:
        UserError: Annotations or predictions cannot be scored.
    """
    animals = pair(gt_coco, results, skeleton)
    size = keypoint_metrics.animal_size(animals, body_length)
    table = keypoint_metrics.per_keypoint(animals, size)
    metrics = {
        **coco_ap(gt_coco, results, skeleton),
        **keypoint_metrics.overall(animals, size, table),
        "skeleton": skeleton.name,
        "pictures": len(animals.all_image_ids),
        "animals": len(animals),
        "missed_animals": int(animals.missed.sum()),
        "extra_predictions": animals.extra,
        "size": "longer side of the box" if body_length is None else f"{body_length[0]} to {body_length[1]}",
        "per_keypoint": table,
    }
    if mean_pose is not None:
        guess = evaluate(gt_coco, constant_results(gt_coco, mean_pose, skeleton), skeleton, body_length=body_length)
        metrics["constant_guess"] = {
            **{name: guess[name] for name in ("AP", "AP50", "AP75", "AR", "PCK@0.1", "median_px")},
            "verdict": verdict(metrics, guess),
        }
    return metrics
