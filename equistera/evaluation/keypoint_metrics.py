"""Accuracy of every keypoint: PCK, pixel errors, normalised error, swaps, OKS.

Definitions, the same everywhere in the project:

* A point counts when it is labelled (visibility above 0). ``visible`` are those with 2, ``hidden`` those with 1.
* PCK@a is the share of points whose error is below ``a`` times the animal's size (Yang and Ramanan, "Articulated human
  detection with flexible mixtures of parts", 2013). As in MMPose's ``PCKAccuracy`` the size is the longer side of the
  annotated box, the comparison is strict, and the value over all keypoints is the mean of the keypoints' own values
  (mmpose 1.3.2, ``keypoint_pck_accuracy``). A body length between two keypoints may stand for the box's side; animals
  whose two points are not both labelled then have no size and no PCK.
* Pixel errors are in pixels of the original picture: median and 90th percentile over all points together.
* Animals that nothing was predicted for are wrong in PCK and OKS; they have no pixel error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from equistera.evaluation.instances import CORRECT, PCK, EvaluationSet, keypoint_similarity, pck_name, share

PCK_THRESHOLDS = (0.05, CORRECT, 0.2)

#: Two annotated points nearer to each other than this share of the animal's size are not told apart.
SEPARABLE = 0.05


def confusion(animals: EvaluationSet) -> np.ndarray:
    """How often the prediction of one keypoint lies on another one.

    Entry (i, j) is the share of animals whose prediction of i is nearer to the annotated j than to the annotated i,
    and near enough to j to be correct for it (PCK@0.1). Animals count where both points are labelled, something was
    predicted, and the two points are at least 0.05 of the animal's size apart; nearer ones cannot be told apart. With
    j the mirror image of i this is the left-right swap rate (an "inversion" in Ronchi and Perona, "Benchmarking and
    error diagnosis in multi-instance pose estimation", 2017, who bound it by OKS instead of PCK).

    Returns:
        float64 [K, K]; NaN where no animal counts, and on the diagonal.
    """
    by_point = (swapped_with(animals, i) for i in range(len(animals.skeleton)))
    return share(*np.array([[lies.sum(axis=0), counts.sum(axis=0)] for lies, counts in by_point]).transpose(1, 0, 2))


def swapped_with(animals: EvaluationSet, i: int) -> tuple[np.ndarray, np.ndarray]:
    """For keypoint i: bool [N, K] where its prediction lies on another point, and bool [N, K] where that counts."""
    apart = np.linalg.norm(animals.keypoints - animals.keypoints[:, i, None], axis=-1)
    counts = animals.labelled & animals.labelled[:, i, None] & ~animals.missed[:, None]
    counts &= apart >= SEPARABLE * animals.size[:, None]
    counts[:, i] = False
    distance = np.linalg.norm(animals.predictions[:, i, None] - animals.keypoints, axis=-1)
    nearer = (distance < animals.error_px[:, i, None]) & (distance < CORRECT * animals.size[:, None])
    return nearer & counts, counts


def left_right_swaps(animals: EvaluationSet) -> np.ndarray:
    """bool [N, K]: predictions that lie on their mirror image (see :func:`confusion`)."""
    mirrors = enumerate(animals.skeleton.flip_indices)
    return np.stack([swapped_with(animals, k)[0][:, mirror] for k, mirror in mirrors], axis=1)


def summarise(animals: EvaluationSet, points: np.ndarray) -> dict:
    """The table's figures for some points (bool [N, K]), pooled; those that are not labelled do not count.

    Returns:
        ``points`` (their number), ``PCK@...``, ``normalised_error`` (mean error over size), ``OKS`` (mean similarity
        of the single points), ``median_px``, ``p90_px``. None where nothing counts.
    """
    points = points & animals.labelled
    error = animals.error_px
    relative = (error / animals.size[:, None])[points & animals.sized]
    found = error[points & np.isfinite(error)]
    similarity = keypoint_similarity(error, animals.area, animals.skeleton.sigmas)[points]
    return {
        "points": int(points.sum()),
        **{pck_name(t): _mean(relative < t) for t in PCK_THRESHOLDS},
        "normalised_error": _mean(relative[np.isfinite(relative)]),
        "OKS": _mean(similarity),
        "median_px": float(np.median(found)) if found.size else None,
        "p90_px": float(np.percentile(found, 90)) if found.size else None,
    }


def clipped(scores: np.ndarray) -> np.ndarray:
    """Raw confidences taken as probabilities: a peak above 1, which a SimCC head can have, is as sure as can be."""
    return np.clip(scores, 0, 1)


def per_keypoint(animals: EvaluationSet, probability: Callable[[np.ndarray], np.ndarray] = clipped) -> dict[str, dict]:
    """The table by keypoint; ``probability`` says what raw confidences mean as probabilities of being right.

    Returns:
        By name: the figures of :func:`summarise`; the same under ``visible`` and ``hidden``; ``swap_rate`` and
        ``mistaken_for`` (the keypoint it most often lies on, with the share of animals, or None); ``shift_px``
        (median x and y of prediction minus annotation), ``median_px_unshifted`` and ``PCK@0.1_unshifted`` (once that
        shift is taken off); ``score`` (5th and 95th percentile of the raw confidence, and its mean as a
        probability, over the points that count).
    """
    table, confused, names = {}, confusion(animals), animals.skeleton.names
    for k, (name, mirror) in enumerate(zip(names, animals.skeleton.flip_indices, strict=True)):
        column = np.zeros(animals.labelled.shape, dtype=bool)
        column[:, k] = True
        found = animals.labelled[:, k] & ~animals.missed
        offset, scores = animals.offset_px[found, k], animals.scores[found, k]
        row = {
            **summarise(animals, column),
            "visible": summarise(animals, column & (animals.visibility == 2)),
            "hidden": summarise(animals, column & (animals.visibility == 1)),
            "swap_rate": float(confused[k, mirror]) if np.isfinite(confused[k, mirror]) else None,
            **dict.fromkeys(("mistaken_for", "shift_px", "median_px_unshifted", f"{PCK}_unshifted", "score")),
        }
        if np.nan_to_num(confused[k]).any():
            other = int(np.nanargmax(confused[k]))
            row["mistaken_for"] = {"keypoint": names[other], "rate": float(confused[k, other])}
        if found.any():
            shift = np.median(offset, axis=0)
            unshifted, size = np.linalg.norm(offset - shift, axis=-1), animals.size[found]
            low, high = np.percentile(scores, [5, 95])
            row |= {
                "shift_px": shift.tolist(),
                "median_px_unshifted": float(np.median(unshifted)),
                f"{PCK}_unshifted": _mean((unshifted < CORRECT * size)[np.isfinite(size)]),
                "score": {"probability": float(probability(scores).mean()), "p05": float(low), "p95": float(high)},
            }
        table[name] = row
    return table


def overall(animals: EvaluationSet, table: dict[str, dict]) -> dict:
    """The figures over all keypoints: means over :func:`per_keypoint`, and pixel errors of all points together.

    The names of :func:`summarise`, ``swap_rate``, and ``visible`` and ``hidden`` likewise.
    """
    rows = list(table.values())
    return {
        **_mean_over_keypoints(rows, summarise(animals, animals.labelled)),
        "swap_rate": _mean([row["swap_rate"] for row in rows if row["swap_rate"] is not None]),
        **{
            part: _mean_over_keypoints([row[part] for row in rows], summarise(animals, animals.visibility == flag))
            for part, flag in (("visible", 2), ("hidden", 1))
        },
    }


def _mean_over_keypoints(rows: list[dict], pooled: dict) -> dict:
    means = [*map(pck_name, PCK_THRESHOLDS), "normalised_error", "OKS"]
    return pooled | {name: _mean([row[name] for row in rows if row[name] is not None]) for name in means}


def _mean(values) -> float | None:
    values = np.asarray(values, dtype=float)
    return float(values.mean()) if values.size else None
