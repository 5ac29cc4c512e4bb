"""Intervals and paired tests by resampling pictures.

The pictures of a test set are one draw of those that might have been taken. Drawing as many again from them, with
replacement, and scoring each draw shows how far a figure would wander (Efron and Tibshirani, "An introduction to the
bootstrap", 1993; the intervals are the percentile method of its chapter 13). Pictures of one horse or one video
resemble each other: give groups, and whole groups are drawn.

A draw is a vector of weights, how often each picture was drawn. Every metric is computed from weights without
scoring anything again. COCO's AP is not a mean over pictures, but its costly part, the matching of predictions and
animals, belongs to single pictures: ranking all predictions once and counting each with its picture's weight gives
the AP that COCO's own evaluation gives when every picture is repeated as often as its weight says.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.instances import PCK, EvaluationSet, share

SAMPLES = 1000
LEVEL = 0.95

#: With fewer pictures (or groups) than this, percentile intervals are known to be too narrow.
FEW = 20

#: The metrics that get an interval.
AP_METRICS = ("AP", "AP50", "AP75", "AR")
METRICS = (*AP_METRICS, PCK, "median_px")

#: Largest number of values in one array of draws times points: 32 MB.
_CHUNK = 4_000_000


def draw_weights(
    image_ids: Sequence, groups: Mapping[Hashable, Hashable] | None = None, samples: int = SAMPLES, seed: int = 0
) -> np.ndarray:
    """How often every one of I pictures occurs in every draw.

    Args:
        image_ids: The pictures.
        groups: The group of every picture, by id; None draws single pictures.
        samples: Number B of draws.
        seed: The same seed gives the same draws, so that models can be compared on them.

    Returns:
        int64 [B, I].

    Raises:
        UserError: Pictures without a group, or no draws wanted.
    """
    if samples < 1:
        raise UserError(f"the number of bootstrap draws must be at least 1, found {samples}")
    if groups is None:
        member = np.arange(len(image_ids))
    else:
        without = [str(image_id) for image_id in image_ids if image_id not in groups]
        if without:
            raise UserError("pictures without a group:", without)
        order = {group: i for i, group in enumerate(dict.fromkeys(groups[image_id] for image_id in image_ids))}
        member = np.array([order[groups[image_id]] for image_id in image_ids])
    count = int(member.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=samples)
    return drawn[:, member]


def interval(values: np.ndarray, level: float = LEVEL) -> list[float] | None:
    """``[low, high]`` of a figure's draws, float [B], by percentiles; those that are NaN are left out, None of none."""
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    return [float(v) for v in np.percentile(values, [50 * (1 - level), 50 * (1 + level)])]


def paired_p_value(differences: np.ndarray) -> float | None:
    """Two-sided p-value that two models are equally good, from differences on the same draws.

    Twice the share of draws on the wrong side of zero, a draw of exactly zero on both sides, one draw added so that
    it is never 0 (Efron and Tibshirani 1993, chapters 15 and 16; Koehn, "Statistical significance tests for machine
    translation evaluation", 2004).

    ``differences``, float [B], are one model's figure minus the other's, both on draw b. Gives p in (0, 1], or None
    without a finite draw.
    """
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return None
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return float(min(1.0, 2 * (tail + 1) / (differences.size + 1)))


def picture_order(animals: EvaluationSet) -> list:
    """Ids of all pictures, ascending: the order of weights, and COCO's own (it breaks ties between scores)."""
    return sorted(animals.file_names)


def resampled(animals: EvaluationSet, evaluation, weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The metrics under weights.

    Args:
        animals: Animals and predictions in I pictures.
        evaluation: The ``COCOeval`` of the same predictions (:func:`~.average_precision.run_cocoeval`).
        weights: int64 [B, I], how often every picture, in the order of :func:`picture_order`, counts in every draw.

    Returns:
        :data:`METRICS` by name, float64 [B], and PCK@0.1 of every keypoint, float64 [B, K]; NaN where nothing counts.
    """
    row = {image_id: i for i, image_id in enumerate(picture_order(animals))}
    picture = np.array([row[image_id] for image_id in animals.image_ids.tolist()])
    correct, counted = (np.zeros((len(row), len(animals.skeleton)), dtype=int) for _ in range(2))
    np.add.at(correct, picture, animals.correct)
    np.add.at(counted, picture, animals.sized)
    pck = share(weights @ correct, weights @ counted)
    found = np.isfinite(animals.error_px)
    order = np.argsort(animals.error_px[found])
    error = animals.error_px[found][order]
    error_picture = np.broadcast_to(picture[:, None], found.shape)[found][order]
    categories, predictions = _by_category(evaluation, row)
    step = max(1, _CHUNK // max(len(error), predictions, 1))
    parts = []
    for start in range(0, len(weights), step):
        some = weights[start : start + step]
        aps = _nanmean(np.array([category(some) for category in categories]).transpose(1, 2, 0))
        parts.append([*aps, weighted_median(error, some[:, error_picture])])
    *aps, median = np.concatenate(parts, axis=1)
    return dict(zip(METRICS, (*aps, _nanmean(pck), median), strict=True)), pck


def weighted_median(ascending: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``np.median`` of values, float64 [P], repeated as int64 weights [B, P] say: float64 [B], NaN where all are 0."""
    result = np.full(len(weights), np.nan)
    for b, steps in enumerate(np.cumsum(weights, axis=1)):
        if steps.size and steps[-1] > 0:
            middle = (steps[-1] - 1) // 2, steps[-1] // 2
            result[b] = ascending[np.searchsorted(steps, middle, side="right")].mean()
    return result


def _by_category(evaluation, row: dict) -> tuple[list[Callable[[np.ndarray], list[np.ndarray]]], int]:
    """For each category what gives :data:`AP_METRICS` under weights, and the most predictions that one has."""
    params = evaluation.params
    pictures, areas = len(params.imgIds), len(params.areaRng)
    first = [(c * areas + params.areaRngLbl.index("all")) * pictures for c in range(len(params.catIds))]
    entries = [[entry for entry in evaluation.evalImgs[i : i + pictures] if entry is not None] for i in first]
    most = max((sum(len(entry["dtScores"]) for entry in some) for some in entries), default=0)
    return [_ranked(some, row, params) for some in entries], most


def _ranked(entries: list[dict], row: dict, params) -> Callable[[np.ndarray], list[np.ndarray]]:
    """COCO's matching of one category, all predictions ranked by score, as a function of weights, int64 [B, I].

    It gives AP, AP50, AP75 and AR, float64 [B] each; NaN in draws without an animal.
    """
    animals = np.zeros(len(row), dtype=int)
    for entry in entries:
        animals[row[entry["image_id"]]] += np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)
    scores = np.array([score for entry in entries for score in entry["dtScores"]], dtype=float)
    # COCOeval uses mergesort too: among equal scores the earlier picture comes first
    order = np.argsort(-scores, kind="mergesort")
    picture = np.array([row[entry["image_id"]] for entry in entries for _ in entry["dtScores"]], dtype=int)[order]
    empty = np.zeros((len(params.iouThrs), 0), dtype=bool)
    # bool [T, D]: matched with an animal at each of T OKS thresholds; what is ignored is neither right nor wrong
    matched, ignored = (
        np.concatenate([empty, *(np.asarray(entry[key]) > 0 for entry in entries)], axis=1)[:, order]
        for key in ("dtMatches", "dtIgnore")
    )
    at = {round(float(t), 2): i for i, t in enumerate(params.iouThrs)}

    def under(weights: np.ndarray) -> list[np.ndarray]:
        total, weight = (weights @ animals).astype(float), weights[:, picture]
        precision, recall = [], []
        for hit, false in zip(matched & ~ignored, ~matched & ~ignored, strict=True):
            hits, falses = np.cumsum(weight * hit, axis=1), np.cumsum(weight * false, axis=1)
            precision.append(_average_precision(hits, falses, total, params.recThrs))
            recall.append(share(hits[:, -1] if hits.shape[1] else np.zeros(len(weights)), total))
        return [np.mean(precision, axis=0), precision[at[0.5]], precision[at[0.75]], np.mean(recall, axis=0)]

    return under


def _average_precision(hits: np.ndarray, falses: np.ndarray, total: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """Mean over recall thresholds of the best precision at that recall or a higher one, as COCO reads it."""
    precision = hits / (hits + falses + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.full(len(hits), np.nan)
    for b in np.flatnonzero(total > 0):
        at = np.searchsorted(hits[b] / total[b], recalls, side="left")
        result[b] = envelope[b, at[at < hits.shape[1]]].sum() / len(recalls)
    return result


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where all are."""
    return share(np.nansum(values, axis=-1), np.isfinite(values).sum(axis=-1))
