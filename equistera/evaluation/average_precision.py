"""COCO keypoint AP and AR, computed by pycocotools with the skeleton's sigmas."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.ground_truth import check_results, prepare
from equistera.skeleton import Skeleton

#: Names of ``COCOeval.stats`` for keypoints; M: area of 32^2 to 96^2 px, L: above.
AP_NAMES = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")

#: Keypoints with less confidence do not count towards an animal's score: MMPose's default, see `instance_score`.
KEYPOINT_SCORE_THRESHOLD = 0.2

_RESULT_FIELDS = ("image_id", "category_id", "keypoints", "score", "bbox")


def instance_score(keypoint_scores: np.ndarray, bbox_score: float = 1.0) -> float:
    """The score that ranks an animal in AP, as MMPose's ``CocoMetric`` computes it by default.

    Source: mmpose 1.3.2, ``evaluation/metrics/coco_metric.py``, ``score_mode='bbox_keypoint'``: the box's score times
    the mean of the keypoint scores above 0.2.

    Of no confidence ([K]) above that it is 0; ``bbox_score`` is the detector's confidence, 1 for an annotated box.
    """
    confident = np.asarray(keypoint_scores, dtype=float)
    confident = confident[confident > KEYPOINT_SCORE_THRESHOLD]
    return float(bbox_score * confident.mean()) if confident.size else 0.0


def coco_ap(gt_coco: dict, results: list[dict], skeleton: Skeleton) -> dict[str, float | None]:
    """AP and AR over OKS thresholds 0.50:0.05:0.95, exactly as ``pycocotools.cocoeval.COCOeval`` gives them.

    Two defects of calling it by hand are avoided: its sigmas are those of the human skeleton unless they are set, and
    an annotation with id 0 counts as never found. Arguments and errors as for :func:`~.metrics.evaluate`.

    Returns:
        Values in [0, 1] by the names of :data:`AP_NAMES`; None where COCO gives -1, that is where the file has no
        animal of that size (medium or large).
    """
    return summary_of(run_cocoeval(gt_coco, results, skeleton))


def run_cocoeval(gt_coco: dict, results: list[dict], skeleton: Skeleton):
    """The ``COCOeval`` behind :func:`coco_ap`, with ``evalImgs``, ``eval`` and ``stats``; nothing given is modified."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UserError(f"pycocotools cannot be imported: {error}", hint="Install it: ./setup.sh") from error
    ground_truth = prepare(gt_coco, skeleton)
    check_results(results, ground_truth, skeleton)
    # ids from 1: COCOeval marks a detection as matched by the annotation's id and reads 0 as "not matched"
    annotations = [{**ann, "id": i} for i, ann in enumerate(ground_truth["annotations"], start=1)]
    # loadRes takes the area of every detection from its box if the first one has a box, else from its keypoints
    fields = _RESULT_FIELDS if all("bbox" in result for result in results) else _RESULT_FIELDS[:-1]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy({**ground_truth, "annotations": annotations})
        truth.createIndex()
        detections = truth.loadRes([{field: result[field] for field in fields} for result in results])
        evaluation = COCOeval(truth, detections, "keypoints")
        evaluation.params.kpt_oks_sigmas = skeleton.sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def summary_of(evaluation) -> dict[str, float | None]:
    """``COCOeval.stats`` by name, with None in place of COCO's -1."""
    stats = zip(AP_NAMES, evaluation.stats, strict=True)
    return {name: None if value < 0 else float(value) for name, value in stats}
