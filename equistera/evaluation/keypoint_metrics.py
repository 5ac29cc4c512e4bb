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

from equistera.errors import UserError
from equistera.evaluation.instances import EvaluationSet, keypoint_similarity

PCK_THRESHOLDS = (0.05, 0.1, 0.2)

#: A prediction within this share of the animal's size counts as correct where one threshold has to be chosen:
#: swaps, calibration, verdicts.
CORRECT = 0.1

#: Two annotated points nearer to each other than this share of the animal's size are not told apart.
SEPARABLE = 0.05


def pck_name(threshold: float) -> str:
    """``PCK@0.1``: the name of the metric in every table and file."""
    return f"PCK@{threshold:g}"


def animal_size(animals: EvaluationSet, body_length: tuple[str, str] | None = None) -> np.ndarray:
    """The length that errors are measured in.

    Args:
        animals: N animals.
        body_length: Two keypoints, such as ``("withers", "tail_base")``; the box's longer side by default.

    Returns:
        float64 [N] pixels; NaN where the two points are not labelled or lie on each other.

    Raises:
        UserError: No such keypoint, or no animal has both.
    """
    if body_length is None:
        return animals.bbox_xywh[:, 2:].max(axis=1)
    unknown = [name for name in body_length if name not in animals.skeleton.index]
    if unknown or len(set(body_length)) != 2:
        raise UserError(
            f"a body length needs two different keypoints, found {', '.join(body_length)}",
            hint=f"Keypoints: {', '.join(animals.skeleton.names)}",
        )
    a, b = (animals.skeleton.index[name] for name in body_length)
    length = np.linalg.norm(animals.keypoints[:, a] - animals.keypoints[:, b], axis=-1)
    usable = animals.labelled[:, a] & animals.labelled[:, b] & (length > 0)
    if not usable.any():
        raise UserError(f"no animal has both {body_length[0]} and {body_length[1]} labelled")
    return np.where(usable, length, np.nan)


def correct_points(animals: EvaluationSet, size: np.ndarray, threshold: float = CORRECT) -> np.ndarray:
    """bool [N, K]: points whose error is below ``threshold`` times the animal's size [N]."""
    return animals.error_px < threshold * size[:, None]


def confusion(animals: EvaluationSet, size: np.ndarray) -> np.ndarray:
    """How often the prediction of one keypoint lies on another one.

    Entry (i, j) is the share of animals whose prediction of i is nearer to the annotated j than to the annotated i,
    and near enough to j to be correct for it (PCK@0.1). Animals count where both points are labelled, something was
    predicted, and the two points are at least 0.05 of the animal's size apart; nearer ones cannot be told apart. With
    j the mirror image of i this is the left-right swap rate (an "inversion" in Ronchi and Perona, "Benchmarking and
    error diagnosis in multi-instance pose estimation", 2017, who bound it by OKS instead of PCK).

    Args:
        animals: N animals of K keypoints.
        size: float64 [N] pixels.

    Returns:
        float64 [K, K]; NaN where no animal counts, and on the diagonal.
    """
    by_point = (swapped_with(animals, size, i) for i in range(len(animals.skeleton)))
    hits, counted = np.array([[lies.sum(axis=0), counts.sum(axis=0)] for lies, counts in by_point]).transpose(1, 0, 2)
    return np.divide(hits, counted, out=np.full(hits.shape, np.nan), where=counted > 0)


def swapped_with(animals: EvaluationSet, size: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    """For keypoint i: bool [N, K] where its prediction lies on another point, and bool [N, K] where that counts."""
    apart = np.linalg.norm(animals.keypoints - animals.keypoints[:, i, None], axis=-1)
    counts = animals.labelled & animals.labelled[:, i, None] & ~animals.missed[:, None]
    counts &= apart >= SEPARABLE * size[:, None]
    counts[:, i] = False
    distance = np.linalg.norm(animals.predictions[:, i, None] - animals.keypoints, axis=-1)
    nearer = (distance < animals.error_px[:, i, None]) & (distance < CORRECT * size[:, None])
    return nearer & counts, counts


def summarise(animals: EvaluationSet, size: np.ndarray, points: np.ndarray) -> dict:
    """The table's figures for some points, pooled.

    Args:
        animals: N animals of K keypoints.
        size: float64 [N] pixels.
        points: bool [N, K], the points to look at; those that are not labelled do not count.

    Returns:
        ``points`` (their number), ``PCK@...``, ``normalised_error`` (mean error over size), ``OKS`` (mean similarity
        of the single points), ``median_px``, ``p90_px``. None where nothing counts.
    """
    points = points & animals.labelled
    error = animals.error_px
    sized = points & np.isfinite(size)[:, None]
    relative = (error / size[:, None])[sized]
    found = error[points & np.isfinite(error)]
    similarity = keypoint_similarity(error, animals.area, animals.skeleton.sigmas)[points]
    found_relative = relative[np.isfinite(relative)]
    return {
        "points": int(points.sum()),
        **{pck_name(t): _mean(relative < t) for t in PCK_THRESHOLDS},
        "normalised_error": _mean(found_relative),
        "OKS": _mean(similarity),
        "median_px": float(np.median(found)) if found.size else None,
        "p90_px": float(np.percentile(found, 90)) if found.size else None,
    }


def clipped(scores: np.ndarray) -> np.ndarray:
    """Raw confidences taken as probabilities: a peak above 1, which a SimCC head can have, is as sure as can be."""
    return np.clip(scores, 0, 1)


def per_keypoint(
    animals: EvaluationSet, size: np.ndarray, probability: Callable[[np.ndarray], np.ndarray] = clipped
) -> dict[str, dict]:
    """The table by keypoint.

    Args:
        animals: N animals of K keypoints.
        size: float64 [N] pixels.
        probability: What raw confidences mean as probabilities of being right.

    Returns:
        By name: the figures of :func:`summarise`; the same under ``visible`` and ``hidden``; ``swap_rate`` and
        ``mistaken_for`` (the keypoint it most often lies on, with the share of animals, or None); ``shift_px``
        (median x and y of prediction minus annotation), ``median_px_unshifted`` and ``PCK@0.1_unshifted`` (once that
        shift is taken off); ``score`` (5th and 95th percentile of the raw confidence, and its mean as a
        probability, over the points that count).
    """
    table, confused = {}, confusion(animals, size)
    mirror = animals.skeleton.flip_indices
    for k, name in enumerate(animals.skeleton.names):
        column = np.zeros(animals.labelled.shape, dtype=bool)
        column[:, k] = True
        found = np.isfinite(animals.offset_px[:, k]).all(axis=-1)
        offset = animals.offset_px[found, k]
        shift = np.median(offset, axis=0) if len(offset) else None
        unshifted = None if shift is None else np.linalg.norm(offset - shift, axis=-1)
        table[name] = {
            **summarise(animals, size, column),
            "visible": summarise(animals, size, column & (animals.visibility == 2)),
            "hidden": summarise(animals, size, column & (animals.visibility == 1)),
            "swap_rate": _number(confused[k, mirror[k]]),
            "mistaken_for": _most_confused(confused[k], animals.skeleton.names),
            "shift_px": None if shift is None else [float(v) for v in shift],
            "median_px_unshifted": None if unshifted is None else float(np.median(unshifted)),
            f"{pck_name(CORRECT)}_unshifted": _share_within(unshifted, CORRECT * size[found]),
            "score": _score_summary(animals.scores[animals.labelled[:, k] & ~animals.missed, k], probability),
        }
    return table


def overall(animals: EvaluationSet, size: np.ndarray, table: dict[str, dict]) -> dict:
    """The figures over all keypoints: means of the keypoints' values, and pixel errors of all points together.

    Args:
        animals: N animals.
        size: float64 [N] pixels.
        table: What :func:`per_keypoint` returned.

    Returns:
        The names of :func:`summarise`, ``swap_rate``, and ``visible`` and ``hidden`` likewise.
    """
    rows = list(table.values())
    everywhere = np.ones(animals.labelled.shape, dtype=bool)
    return {
        **_mean_over_keypoints(rows, summarise(animals, size, everywhere)),
        "swap_rate": _mean([row["swap_rate"] for row in rows if row["swap_rate"] is not None]),
        **{
            part: _mean_over_keypoints(
                [row[part] for row in rows], summarise(animals, size, animals.visibility == visibility)
            )
            for part, visibility in (("visible", 2), ("hidden", 1))
        },
    }


def _mean_over_keypoints(rows: list[dict], pooled: dict) -> dict:
    means = [*map(pck_name, PCK_THRESHOLDS), "normalised_error", "OKS"]
    return pooled | {name: _mean([row[name] for row in rows if row[name] is not None]) for name in means}


def _most_confused(rates: np.ndarray, names: tuple[str, ...]) -> dict | None:
    if not np.nan_to_num(rates).any():
        return None
    j = int(np.nanargmax(rates))
    return {"keypoint": names[j], "rate": float(rates[j])}


def _score_summary(scores: np.ndarray, probability: Callable[[np.ndarray], np.ndarray]) -> dict | None:
    if not scores.size:
        return None
    low, high = np.percentile(scores, [5, 95])
    return {"probability": float(probability(scores).mean()), "p05": float(low), "p95": float(high)}


def _mean(values) -> float | None:
    values = np.asarray(values, dtype=float)
    return float(values.mean()) if values.size else None


def _share_within(error: np.ndarray | None, limit: np.ndarray) -> float | None:
    return None if error is None else _mean((error < limit)[np.isfinite(limit)])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
