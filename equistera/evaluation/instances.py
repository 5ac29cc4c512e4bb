"""Annotated animals and the predictions made for them, as arrays, and how near these are: errors, PCK, COCO's OKS."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.ground_truth import check_results, is_scored, prepare
from equistera.skeleton import Skeleton

#: A prediction within this share of the animal's size counts as correct where one threshold has to be chosen:
#: swaps, calibration, verdicts.
CORRECT = 0.1


def pck_name(threshold: float) -> str:
    """``PCK@0.1``: the name of the metric in every table and file."""
    return f"PCK@{threshold:g}"


PCK = pck_name(CORRECT)


@dataclass(frozen=True)
class EvaluationSet:
    """N annotated animals with their predictions; make one with :func:`pair`.

    Coordinates are pixels of the picture. An animal that nothing was predicted for has NaN predictions and score 0.

    Attributes:
        skeleton: The K keypoints.
        image_ids: [N] picture of every animal.
        ann_ids: [N] annotation of every animal.
        keypoints: float64 [N, K, 2] annotated points.
        visibility: int64 [N, K]: 0 not labelled, 1 labelled but hidden, 2 visible.
        bbox_xywh: float64 [N, 4].
        area: float64 [N] square pixels.
        size: float64 [N] pixels, what errors are measured in; NaN where it is not known.
        predictions: float64 [N, K, 2].
        scores: float64 [N, K] confidences.
        file_names: Every picture of the file, with or without animals: its file name by id.
        extra: Predictions that belong to no annotated animal.
    """

    skeleton: Skeleton
    image_ids: np.ndarray
    ann_ids: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    bbox_xywh: np.ndarray
    area: np.ndarray
    size: np.ndarray
    predictions: np.ndarray
    scores: np.ndarray
    file_names: Mapping[Hashable, str]
    extra: int

    def __len__(self) -> int:
        return len(self.ann_ids)

    @functools.cached_property
    def labelled(self) -> np.ndarray:
        """bool [N, K]: points that count, visible or hidden."""
        return self.visibility > 0

    @functools.cached_property
    def missed(self) -> np.ndarray:
        """bool [N]: animals that nothing was predicted for."""
        return np.isnan(self.predictions[:, 0, 0])

    @functools.cached_property
    def offset_px(self) -> np.ndarray:
        """float64 [N, K, 2]: prediction minus annotation; NaN where not labelled or nothing was predicted."""
        return np.where(self.labelled[..., None], self.predictions - self.keypoints, np.nan)

    @functools.cached_property
    def error_px(self) -> np.ndarray:
        """float64 [N, K]: distance; NaN where not labelled, infinite where nothing was predicted."""
        distance = np.linalg.norm(self.offset_px, axis=-1)
        return np.where(self.labelled & self.missed[:, None], np.inf, distance)

    @functools.cached_property
    def sized(self) -> np.ndarray:
        """bool [N, K]: points that have a PCK: labelled ones of animals with a size."""
        return self.labelled & np.isfinite(self.size)[:, None]

    @functools.cached_property
    def correct(self) -> np.ndarray:
        """bool [N, K]: points whose error is below 0.1 of the animal's size."""
        return self.error_px < CORRECT * self.size[:, None]

    @functools.cached_property
    def oks(self) -> np.ndarray:
        """float64 [N]: OKS of every animal."""
        return instance_oks(self.error_px, self.labelled, self.area, self.skeleton.sigmas)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, NaN where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def keypoint_similarity(error_px: np.ndarray, area: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Similarity of single keypoints, ``exp(-d^2 / (2 * area * (2 * sigma)^2))``, float64 [..., K] in [0, 1].

    Source: https://cocodataset.org/#keypoints-eval and pycocotools' ``COCOeval.computeOks``, whose ``k`` is
    ``2 * sigma`` and whose ``s^2`` is the annotation's ``area``.

    Args:
        error_px: [..., K] distances in pixels; infinite gives 0, NaN stays NaN.
        area: [...] area of the annotated animal, square pixels.
        sigmas: [K].
    """
    scaled = np.square(error_px) / (np.square(2 * sigmas) * (np.asarray(area)[..., None] + np.spacing(1)) * 2)
    return np.exp(-scaled)


def instance_oks(error_px: np.ndarray, labelled: np.ndarray, area: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """OKS of whole animals, float64 [...]: the mean similarity of the labelled keypoints, hidden ones (v=1) included.

    NaN where nothing is labelled (bool [..., K]); the other arguments as for :func:`keypoint_similarity`.
    """
    similarity = np.where(labelled, keypoint_similarity(error_px, area, sigmas), 0.0)
    return share(similarity.sum(axis=-1), labelled.sum(axis=-1))


def pair(
    gt_coco: dict, results: list[dict], skeleton: Skeleton, body_length: Sequence[str] | None = None
) -> EvaluationSet:
    """Finds for every annotated animal the prediction that was made for it.

    A result with an ``ann_id`` belongs to that annotation. The others are given, within their picture and category,
    to the remaining animals in the order of their OKS, best pair first, each prediction and each animal once (where
    OKS is 0 the nearer pair goes first). So among several predictions for one animal the best one counts here; that
    a model predicts too many is what AP is for. Crowds and animals without a labelled keypoint are left out.

    An animal's size is the box's longer side, or the distance of two keypoints, ``("withers", "tail_base")``.

    Raises:
        UserError: Annotations or predictions cannot be scored, or no animal has that body length.
    """
    ground_truth = prepare(gt_coco, skeleton)
    check_results(results, ground_truth, skeleton)
    annotations = [ann for ann in ground_truth["annotations"] if is_scored(ann)]
    count = len(skeleton)
    truth = np.array([ann["keypoints"] for ann in annotations]).reshape(-1, count, 3)
    predicted = np.array([result["keypoints"] for result in results], dtype=float).reshape(-1, count, 3)
    area = np.array([ann["area"] for ann in annotations])
    boxes = np.array([ann["bbox"] for ann in annotations], dtype=float)
    chosen = _assign(annotations, truth, area, results, predicted, skeleton)
    found = chosen >= 0
    matched = np.tile([np.nan, np.nan, 0.0], (len(annotations), count, 1))
    matched[found] = predicted[chosen[found]]
    return EvaluationSet(
        skeleton=skeleton,
        image_ids=np.array([ann["image_id"] for ann in annotations]),
        ann_ids=np.array([ann["id"] for ann in annotations]),
        keypoints=truth[..., :2],
        visibility=truth[..., 2].astype(int),
        bbox_xywh=boxes,
        area=area,
        size=boxes[:, 2:].max(axis=1) if body_length is None else _body_lengths(truth, skeleton, body_length),
        predictions=matched[..., :2],
        scores=matched[..., 2],
        file_names={image["id"]: str(image.get("file_name", image["id"])) for image in ground_truth["images"]},
        extra=len(results) - int(found.sum()),
    )


def _body_lengths(truth: np.ndarray, skeleton: Skeleton, names: Sequence[str]) -> np.ndarray:
    if len(set(names)) != 2 or not all(name in skeleton.index for name in names):
        raise UserError(
            f"a body length needs two different keypoints, found {', '.join(names)}",
            hint=f"Keypoints: {', '.join(skeleton.names)}",
        )
    ends = truth[:, [skeleton.index[name] for name in names]]
    length = np.linalg.norm(ends[:, 0, :2] - ends[:, 1, :2], axis=-1)
    usable = (ends[..., 2] > 0).all(axis=1) & (length > 0)
    if not usable.any():
        raise UserError(f"no animal has both {names[0]} and {names[1]} labelled")
    return np.where(usable, length, np.nan)


def _assign(annotations, truth, area, results, predicted, skeleton) -> np.ndarray:
    """int64 [N]: for every animal the row of its prediction, or -1."""
    chosen = np.full(len(annotations), -1)
    row_of = {ann["id"]: row for row, ann in enumerate(annotations)}
    animals, free = defaultdict(list), defaultdict(list)
    for i, result in enumerate(results):
        if result.get("ann_id") is None:
            free[result["image_id"], result["category_id"]].append(i)
        elif result["ann_id"] in row_of:
            chosen[row_of[result["ann_id"]]] = i
    for row, ann in enumerate(annotations):
        if chosen[row] < 0:
            animals[ann["image_id"], ann["category_id"]].append(row)
    for key, rows in animals.items():
        if not free[key]:
            continue
        rows, candidates = np.array(rows), np.array(free[key])
        labelled = truth[rows, None, :, 2] > 0
        error = np.linalg.norm(truth[rows, None, :, :2] - predicted[None, candidates, :, :2], axis=-1)
        oks = instance_oks(error, np.broadcast_to(labelled, error.shape), area[rows, None], skeleton.sigmas)
        distance = np.where(labelled, error, 0).sum(axis=-1) / np.sqrt(area[rows, None])
        for flat in np.lexsort((distance.ravel(), -oks.ravel())):
            row, candidate = np.unravel_index(flat, oks.shape)
            if rows[row] >= 0 and candidates[candidate] >= 0:
                chosen[rows[row]] = candidates[candidate]
                rows[row] = candidates[candidate] = -1
    return chosen
