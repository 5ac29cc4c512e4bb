"""The guess that needs no model: the training set's mean pose, placed in the animal's box."""

from __future__ import annotations

import numpy as np

from equistera.evaluation.ground_truth import is_scored, prepare
from equistera.evaluation.instances import PCK
from equistera.skeleton import Skeleton

GUESS = "a constant guess (the mean pose of the training set in the box)"
#: What to do with a model that is not better.
ADVICE = "Do not use this model: train longer, lower the learning rate, or check the annotations"


def mean_pose(coco: dict, skeleton: Skeleton) -> np.ndarray:
    """Mean position of every keypoint in its box, over the training set's COCO file; errors as for :func:`prepare`.

    Returns:
        float64 [K, 2] in box units, (0, 0) the top left corner, (1, 1) the bottom right; over labelled points, hidden
        ones included. A keypoint that is never labelled stands in the middle.
    """
    annotations = [ann for ann in prepare(coco, skeleton)["annotations"] if is_scored(ann)]
    points = np.array([ann["keypoints"] for ann in annotations]).reshape(len(annotations), -1, 3)
    boxes = np.array([ann["bbox"] for ann in annotations], dtype=float)
    relative = (points[..., :2] - boxes[:, None, :2]) / boxes[:, None, 2:]
    labelled = points[..., 2:] > 0
    count = labelled.sum(axis=0)
    total = np.where(labelled, relative, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, 0.5), where=count > 0)


def constant_results(gt_coco: dict, pose: np.ndarray, skeleton: Skeleton) -> list[dict]:
    """COCO keypoint results, with ``ann_id`` and confidence 1, of a pose in box units for every animal that counts.

    Arguments and errors as for :func:`mean_pose`, which makes the pose, float64 [K, 2].
    """
    results = []
    for ann in prepare(gt_coco, skeleton)["annotations"]:
        if is_scored(ann):
            box = np.asarray(ann["bbox"], dtype=float)
            points = np.column_stack([box[:2] + pose * box[2:], np.ones(len(pose))])
            results.append(
                {
                    "image_id": ann["image_id"],
                    "category_id": ann["category_id"],
                    "ann_id": ann["id"],
                    "keypoints": points.reshape(-1).tolist(),
                    "score": 1.0,
                    "bbox": box.tolist(),
                }
            )
    return results


def outcome(model: dict, guess: dict, difference: list[float] | None = None) -> str:
    """Whether the model beats the constant guess, from the metrics of both on the same pictures.

    ``better`` when PCK@0.1 is higher and the median error lower; ``unclear`` when that holds, but the 95 % interval of
    the ``difference`` of PCK@0.1 on the same bootstrap draws reaches 0; else ``not better``.
    """
    if model["median_px"] is None or guess["median_px"] is None or model[PCK] is None:
        return "not better"
    if model[PCK] <= guess[PCK] or model["median_px"] >= guess["median_px"]:
        return "not better"
    return "unclear" if difference is not None and difference[0] <= 0 else "better"


def verdict(model: dict, guess: dict, difference: list[float] | None = None) -> str:
    """The outcome as a sentence with its figures; arguments as for :func:`outcome`."""
    return {
        "better": f"Better than {GUESS}: {figures(model, guess)}.",
        "unclear": f"Not clearly better than {GUESS}: {figures(model, guess)}. Too few pictures, or hardly trained.",
        "not better": f"NOT better than {GUESS}: {figures(model, guess)}. {ADVICE}.",
    }[outcome(model, guess, difference)]


def figures(model: dict, guess: dict) -> str:
    """What the model and the guess have, beside each other; arguments as for :func:`outcome`."""
    return (
        f"{PCK} {_show(model[PCK])} against {_show(guess[PCK])}, "
        f"median error {_show(model['median_px'], 1)} px against {_show(guess['median_px'], 1)} px, "
        f"AP {_show(model['AP'])} against {_show(guess['AP'])}"
    )


def _show(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
