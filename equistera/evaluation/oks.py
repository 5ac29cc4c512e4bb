"""Object keypoint similarity, COCO's measure of how near a predicted pose is to the annotated one."""

from __future__ import annotations

import numpy as np


def keypoint_similarity(error_px: np.ndarray, area: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Similarity of single keypoints, ``exp(-d^2 / (2 * area * (2 * sigma)^2))``.

    Source: https://cocodataset.org/#keypoints-eval and pycocotools' ``COCOeval.computeOks``, whose ``k`` is
    ``2 * sigma`` and whose ``s^2`` is the annotation's ``area``.

    Args:
        error_px: [..., K] distances in pixels; infinite gives 0, NaN stays NaN.
        area: [...] area of the annotated animal, square pixels.
        sigmas: [K].

    Returns:
        float64 [..., K] in [0, 1].
    """
    scaled = np.square(error_px) / (np.square(2 * sigmas) * (np.asarray(area)[..., None] + np.spacing(1)) * 2)
    return np.exp(-scaled)


def instance_oks(error_px: np.ndarray, labelled: np.ndarray, area: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """OKS of whole animals: the mean similarity of the labelled keypoints, hidden ones (v=1) included.

    Args:
        error_px: [..., K] distances in pixels.
        labelled: bool [..., K], visibility above 0.
        area: [...] square pixels.
        sigmas: [K].

    Returns:
        float64 [...]; NaN where nothing is labelled.
    """
    similarity = np.where(labelled, keypoint_similarity(error_px, area, sigmas), 0.0)
    count = labelled.sum(axis=-1)
    return np.divide(similarity.sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)
