"""Figures of single pictures, from which every metric follows for any weighting of the pictures.

COCO's AP is not a mean over pictures, but its costly part, the matching of predictions and animals, belongs to single
pictures. Ranking all predictions once and counting each with its picture's weight gives the AP that COCO's own
evaluation gives when every picture is repeated as often as its weight says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.evaluation.instances import EvaluationSet
from equistera.evaluation.keypoint_metrics import CORRECT, correct_points, pck_name

#: The metrics that get an interval.
AP_METRICS = ("AP", "AP50", "AP75", "AR")
PCK = pck_name(CORRECT)
METRICS = (*AP_METRICS, PCK, "median_px")

#: Largest number of values in one array of draws times points: 32 MB.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class PictureScores:
    """What one model did on each of I pictures; make it with :func:`picture_scores`.

    Attributes:
        matches: One ranked list of predictions for each category.
        correct: int64 [I, K] points within PCK@0.1.
        counted: int64 [I, K] points that have a PCK.
        error_px: float64 [P] pixel errors of all points, ascending.
        error_picture: int64 [P] their pictures.
    """

    matches: tuple[RankedMatches, ...]
    correct: np.ndarray
    counted: np.ndarray
    error_px: np.ndarray
    error_picture: np.ndarray

    def resampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of :data:`METRICS` under weights.

        Args:
            weights: int64 [B, I], how often every picture counts in every draw.

        Returns:
            float64 [B] by metric; NaN where nothing counts.
        """
        points = max([len(self.error_px), *(match.scores.size for match in self.matches)], default=0)
        step = max(1, _CHUNK // max(points, 1))
        parts = [self._resampled(weights[start : start + step]) for start in range(0, len(weights), step)]
        return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}

    def resampled_pck(self, weights: np.ndarray) -> np.ndarray:
        """float64 [B, K]: PCK@0.1 of every keypoint under weights int64 [B, I]."""
        counted = weights @ self.counted
        return np.divide(weights @ self.correct, counted, out=np.full(counted.shape, np.nan), where=counted > 0)

    def _resampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        by_category = [match.resampled(weights) for match in self.matches]
        aps = {name: _nanmean(np.stack([part[name] for part in by_category], axis=-1)) for name in AP_METRICS}
        return {
            **aps,
            PCK: _nanmean(self.resampled_pck(weights)),
            "median_px": weighted_median(self.error_px, weights[:, self.error_picture]),
        }


@dataclass(frozen=True)
class RankedMatches:
    """COCO's matching of one category, all predictions ranked by score.

    Attributes:
        scores: float64 [D], descending.
        picture: int64 [D].
        hit: bool [T, D], matched with an animal at each of T OKS thresholds.
        false: bool [T, D], matched with nothing (what is neither a hit nor false is ignored by COCO).
        animals: int64 [I], animals that count, by picture.
        oks_thresholds: float64 [T].
        recall_thresholds: float64 [R] at which precision is read.
    """

    scores: np.ndarray
    picture: np.ndarray
    hit: np.ndarray
    false: np.ndarray
    animals: np.ndarray
    oks_thresholds: np.ndarray
    recall_thresholds: np.ndarray

    def resampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """AP, AP50, AP75 and AR under weights int64 [B, I]: float64 [B] each; NaN in draws without an animal."""
        total = (weights @ self.animals).astype(float)
        weight = weights[:, self.picture]
        precision, recall = [], []
        for hit, false in zip(self.hit, self.false, strict=True):
            hits, falses = np.cumsum(weight * hit, axis=1), np.cumsum(weight * false, axis=1)
            precision.append(self._average_precision(hits, falses, total))
            last = hits[:, -1] if hits.shape[1] else np.zeros(len(weights))
            recall.append(np.divide(last, total, out=np.full(total.shape, np.nan), where=total > 0))
        precision, recall = np.stack(precision), np.stack(recall)
        at = {round(float(t), 2): i for i, t in enumerate(self.oks_thresholds)}
        return {
            "AP": precision.mean(axis=0),
            "AP50": precision[at[0.5]],
            "AP75": precision[at[0.75]],
            "AR": recall.mean(axis=0),
        }

    def _average_precision(self, hits: np.ndarray, falses: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Mean over recall thresholds of the best precision at that recall or a higher one, as COCO reads it."""
        precision = hits / (hits + falses + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        result = np.full(len(hits), np.nan)
        for b in np.flatnonzero(total > 0):
            at = np.searchsorted(hits[b] / total[b], self.recall_thresholds, side="left")
            result[b] = envelope[b, at[at < hits.shape[1]]].sum() / len(self.recall_thresholds)
        return result


def picture_scores(animals: EvaluationSet, size: np.ndarray, evaluation) -> PictureScores:
    """Splits one evaluation by picture.

    Args:
        animals: N animals and predictions.
        size: float64 [N] pixels, what PCK is measured in.
        evaluation: The ``COCOeval`` of the same predictions (:func:`~.average_precision.run_cocoeval`).

    Returns:
        Scores whose pictures stand in the order of :func:`picture_order`.
    """
    row = {image_id: i for i, image_id in enumerate(picture_order(animals))}
    picture = np.array([row[image_id] for image_id in animals.image_ids.tolist()])
    shape = len(row), len(animals.skeleton)
    correct, counted = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    np.add.at(correct, picture, correct_points(animals, size))
    np.add.at(counted, picture, animals.labelled & np.isfinite(size)[:, None])
    found = np.isfinite(animals.error_px)
    error = animals.error_px[found]
    order = np.argsort(error)
    return PictureScores(
        matches=_ranked_matches(evaluation, row),
        correct=correct,
        counted=counted,
        error_px=error[order],
        error_picture=np.broadcast_to(picture[:, None], found.shape)[found][order],
    )


def picture_order(animals: EvaluationSet) -> list:
    """Ids of all pictures, ascending: the order of weights, and COCO's own (it breaks ties between scores)."""
    return sorted(animals.file_names)


def weighted_median(ascending: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``np.median`` of values that are repeated as often as integer weights say.

    Args:
        ascending: float64 [P].
        weights: int64 [B, P].

    Returns:
        float64 [B]; NaN where all weights are 0.
    """
    cumulated = np.cumsum(weights, axis=1)
    result = np.full(len(weights), np.nan)
    for b, steps in enumerate(cumulated):
        if steps.size and steps[-1] > 0:
            middle = (steps[-1] - 1) // 2, steps[-1] // 2
            result[b] = ascending[np.searchsorted(steps, middle, side="right")].mean()
    return result


def _ranked_matches(evaluation, row: dict) -> tuple[RankedMatches, ...]:
    params = evaluation.params
    pictures, areas = len(params.imgIds), len(params.areaRng)
    whole = params.areaRngLbl.index("all")
    matches = []
    for c in range(len(params.catIds)):
        start = (c * areas + whole) * pictures
        entries = [entry for entry in evaluation.evalImgs[start : start + pictures] if entry is not None]
        matches.append(_ranked(entries, row, params))
    return tuple(matches)


def _ranked(entries: list[dict], row: dict, params) -> RankedMatches:
    thresholds = len(params.iouThrs)
    animals = np.zeros(len(row), dtype=int)
    for entry in entries:
        animals[row[entry["image_id"]]] += np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)
    scores = np.array([score for entry in entries for score in entry["dtScores"]], dtype=float)
    picture = np.array([row[entry["image_id"]] for entry in entries for _ in entry["dtScores"]], dtype=int)
    empty = np.zeros((thresholds, 0), dtype=bool)
    matched = np.concatenate([empty, *(np.asarray(entry["dtMatches"]) > 0 for entry in entries)], axis=1)
    ignored = np.concatenate([empty, *(np.asarray(entry["dtIgnore"]) > 0 for entry in entries)], axis=1)
    # COCOeval uses mergesort too: among equal scores the earlier picture comes first
    order = np.argsort(-scores, kind="mergesort")
    return RankedMatches(
        scores=scores[order],
        picture=picture[order],
        hit=(matched & ~ignored)[:, order],
        false=(~matched & ~ignored)[:, order],
        animals=animals,
        oks_thresholds=params.iouThrs,
        recall_thresholds=params.recThrs,
    )


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where all are."""
    finite = np.isfinite(values)
    count = finite.sum(axis=-1)
    total = np.where(finite, values, 0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
