"""Several models that predict together: averaged before decoding where that is possible, after it where not.

Models with the same codec, crop and normalisation speak about the same bins or cells: their raw outputs are averaged
and decoded once, as with the mirrored picture of a flip test. Others are averaged keypoint by keypoint in pixels of
the picture, see :func:`fuse_points`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from equistera.evaluation.average_precision import instance_score
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.instances import CORRECT
from equistera.mm.prediction.predict import Predictor

#: Name of the ensemble in tables and files.
ENSEMBLE = "ensemble"


def by_input(predictors: Mapping[str, Predictor]) -> list[dict[str, Predictor]]:
    """Groups models that take the same crops and give outputs of the same meaning, in order of appearance."""
    groups = defaultdict(dict)
    for name, predictor in predictors.items():
        model = predictor.config.model
        groups[repr((model.codec, predictor.config.val_pipeline, model.data_preprocessor, model.head.type))][name] = (
            predictor
        )
    return list(groups.values())


def mean_outputs(outputs: Sequence[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    """Mean over models of their raw outputs (:meth:`~.predict.Predictor.raw_outputs`), part by part."""
    return tuple(torch.stack(parts).mean(dim=0) for parts in zip(*outputs, strict=True))


def fuse_points(points: np.ndarray, confidence: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Averages the predictions of M models for one animal, keypoint by keypoint.

    Models that see a keypoint in different places must not meet in the middle, where nobody sees it. So every
    prediction collects the confidence of those within ``near`` of it; around the one that collects most, the mean
    weighted by confidence is taken.

    Args:
        points: float [M, K, 2], pixels.
        confidence: float [M, K] in [0, 1], comparable between models (calibrated).
        near: Pixels.

    Returns:
        float64 [K, 2] and the confidence float64 [K]: that of the models that agree, summed, over M.
    """
    agree = np.linalg.norm(points[:, None] - points[None], axis=-1) <= near
    weight = np.maximum(confidence, 1e-9)
    surest = (agree * weight[None]).sum(axis=1).argmax(axis=0)
    chosen = weight * agree[surest, :, np.arange(points.shape[1])].T
    total = chosen.sum(axis=0)
    return (chosen[..., None] * points).sum(axis=0) / total[:, None], total / len(points)


def fuse_results(
    members: Sequence[list[dict]], calibrations: Sequence[Calibration | None], ground_truth: dict
) -> list[dict]:
    """Fuses the COCO keypoint results (with ``ann_id``) of several models for the same annotated boxes into one a box.

    Two predictions are near when they are within what counts as correct: 0.1 of the box's longer side. A model
    without a calibration is weighted by its raw confidence.
    """
    side = {annotation["id"]: max(annotation["bbox"][2:]) for annotation in ground_truth["annotations"]}
    found = [{result["ann_id"]: result for result in results} for results in members]
    fused = []
    for ann_id, first in found[0].items():
        values = np.array([results[ann_id]["keypoints"] for results in found]).reshape(len(found), -1, 3)
        confidence = np.stack(
            [(own or Calibration()).apply(raw) for own, raw in zip(calibrations, values[..., 2], strict=True)]
        )
        points, scores = fuse_points(values[..., :2], confidence, CORRECT * side[ann_id])
        flat = np.column_stack([points, scores]).ravel().tolist()
        fused.append({**first, "keypoints": flat, "score": instance_score(scores)})
    return fused
