"""All metrics of a model on a data set, ready for ``metrics.json``.

Example:
    >>> metrics = evaluate(gt_coco, results, skeleton.load("horse26"))     # doctest: +SKIP
    >>> print(format_table(metrics))                                       # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equistera.evaluation import bootstrap, keypoint_metrics
from equistera.evaluation.average_precision import run_cocoeval, summary_of
from equistera.evaluation.calibration import Calibration, confidence_and_correctness, summarise_calibration
from equistera.evaluation.constant_guess import constant_results, outcome, verdict
from equistera.evaluation.findings import weak_spots
from equistera.evaluation.instances import PCK, EvaluationSet, pair
from equistera.skeleton import Skeleton


@dataclass(frozen=True)
class Options:
    """How to score.

    Attributes:
        body_length: Two keypoints whose distance PCK is measured in, instead of the box's longer side.
        mean_pose: float64 [K, 2], the training set's (:func:`~.constant_guess.mean_pose`), to score a constant guess
            beside the model.
        guess: That guess where it was scored before, on the same pictures with the same options.
        draws: Bootstrap draws for the intervals; 0 for none.
        groups: The group of every picture (horse, video) by image id, where groups are to be drawn, not pictures.
        seed: Seed of the draws.
        calibration: Fitted on the validation set.
    """

    body_length: Sequence[str] | None = None
    mean_pose: np.ndarray | None = None
    guess: Scored | None = None
    draws: int = 0
    groups: Mapping[Hashable, Hashable] | None = None
    seed: int = 0
    calibration: Calibration | None = None


def evaluate(gt_coco: dict, results: list[dict], skeleton: Skeleton, **options) -> dict:
    """Scores predictions.

    Args:
        gt_coco: Content of a COCO keypoint file; keypoints matched by name.
        results: COCO keypoint results in the skeleton's order (see :func:`~.ground_truth.check_results`).
        skeleton: The K keypoints and their sigmas.
        **options: Fields of :class:`Options`.

    Returns:
        JSON-ready: AP and AR (:func:`~.average_precision.coco_ap`) and the figures over all keypoints
        (:mod:`~.keypoint_metrics`) at the top level; ``per_keypoint``, ``visible``, ``hidden``, ``calibration`` and
        ``weak_spots`` below; with a mean pose ``constant_guess``; with draws ``intervals`` (95 %, by metric, and
        ``per_keypoint``) and ``bootstrap`` (how they were made). A figure that nothing was labelled for is None.

    Raises:
        UserError: Annotations or predictions cannot be scored.
    """
    return Scored.of(gt_coco, results, skeleton, Options(**options)).metrics


@dataclass(frozen=True)
class Scored:
    """One model's metrics together with what a comparison with another one needs.

    Attributes:
        metrics: What :func:`evaluate` returns.
        animals: Annotations and predictions side by side.
        resampled: Metrics of every bootstrap draw, float64 [B] by name; empty without draws.
        guess: The constant guess on the same pictures, where a mean pose was given.
    """

    metrics: dict
    animals: EvaluationSet
    resampled: dict[str, np.ndarray]
    guess: Scored | None = None

    @classmethod
    def of(cls, gt_coco: dict, results: list[dict], skeleton: Skeleton, options: Options) -> Scored:
        """See :func:`evaluate`."""
        animals = pair(gt_coco, results, skeleton, options.body_length)
        cocoeval = run_cocoeval(gt_coco, results, skeleton)
        probability = options.calibration.apply if options.calibration else keypoint_metrics.clipped
        table = keypoint_metrics.per_keypoint(animals, probability)
        metrics = {
            **summary_of(cocoeval),
            **keypoint_metrics.overall(animals, table),
            "skeleton": skeleton.name,
            "pictures": len(animals.file_names),
            "animals": len(animals),
            "missed_animals": int(animals.missed.sum()),
            "extra_predictions": animals.extra,
            "size": "longer side of the box" if options.body_length is None else " to ".join(options.body_length),
            "calibration": summarise_calibration(*confidence_and_correctness(animals), options.calibration),
            "per_keypoint": table,
        }
        resampled = {}
        if options.draws:
            ids = bootstrap.picture_order(animals)
            weights = bootstrap.draw_weights(ids, options.groups, options.draws, options.seed)
            resampled, pck = bootstrap.resampled(animals, cocoeval, weights)
            metrics["intervals"] = {
                **{name: bootstrap.interval(values) for name, values in resampled.items()},
                "per_keypoint": {name: {PCK: bootstrap.interval(pck[:, k])} for k, name in enumerate(skeleton.names)},
            }
            metrics["bootstrap"] = _how(options, ids)
        guess = None
        if options.mean_pose is not None:
            guess = options.guess
            if guess is None:
                guessed = constant_results(gt_coco, options.mean_pose, skeleton)
                guess = cls.of(gt_coco, guessed, skeleton, replace(options, mean_pose=None, calibration=None))
            difference = bootstrap.interval(resampled[PCK] - guess.resampled[PCK]) if resampled else None
            metrics["constant_guess"] = {
                **{name: guess.metrics[name] for name in bootstrap.METRICS},
                "outcome": outcome(metrics, guess.metrics, difference),
                "verdict": verdict(metrics, guess.metrics, difference),
            }
        metrics["weak_spots"] = weak_spots(metrics)
        return cls(metrics, animals, resampled, guess)


def _how(options: Options, ids: list) -> dict:
    unit = "pictures" if options.groups is None else "groups"
    count = len(ids if options.groups is None else {options.groups[image_id] for image_id in ids})
    how = {"draws": options.draws, "seed": options.seed, "level": bootstrap.LEVEL, "drawn": unit, "count": count}
    if count < bootstrap.FEW:
        how["note"] = f"only {count} {unit}: the true intervals are wider than these"
    return how
