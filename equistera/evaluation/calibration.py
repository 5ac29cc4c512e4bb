"""Does a confidence of 0.8 mean that 8 points of 10 are right? Measured, and put right with two numbers.

A point is "right" when its error is below 0.1 of the animal's size (PCK@0.1); points that are not labelled are left
out, for nobody knows where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from equistera.errors import UserError
from equistera.evaluation.instances import EvaluationSet, pair
from equistera.evaluation.keypoint_metrics import animal_size, correct_points
from equistera.skeleton import Skeleton

BINS = 10

#: Confidences are kept this far from 0 and 1, where the logit is infinite. Raw SimCC maxima may exceed 1.
MARGIN = 1e-4

#: Below this number of labelled points nothing is fitted.
FEWEST_POINTS = 50

#: A confidence that has nothing to do with being right would get an infinite temperature.
HOTTEST = 100.0


@dataclass(frozen=True)
class Calibration:
    """Turns a raw confidence into a probability: ``sigmoid((logit(score) + bias) / temperature)``.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", 2017) with a bias added as in Platt
    ("Probabilistic outputs for support vector machines", 1999): a pose model's confidence is the height of a peak,
    and temperature alone could never move a peak of 0.5, right or not. The order of the points does not change.

    Attributes:
        temperature: Above 0; above 1 where the model is too sure of itself.
        bias: Added to the logit; above 0 where peaks are lower than the model is good.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of raw confidences, any shape."""
        return special.expit((_logit(scores) + self.bias) / self.temperature)

    def to_json(self) -> dict:
        """``{"temperature", "bias"}``, to be stored beside a checkpoint."""
        return {"temperature": self.temperature, "bias": self.bias}

    @classmethod
    def from_json(cls, content: object) -> Calibration:
        """Reads what :meth:`to_json` gave.

        Raises:
            UserError: Something else stands there.
        """
        numbers = [content.get(key) for key in ("temperature", "bias")] if isinstance(content, dict) else []
        # NaN is not below anything, and a whole number may be longer than any float
        if len(numbers) != 2 or not all(type(n) in (int, float) and abs(n) < 1e9 for n in numbers) or numbers[0] <= 0:
            raise UserError(
                f"a calibration must be {{'temperature': above 0, 'bias': number}}, found {content!r}",
                hint="Fit it again: python tools/test.py CONFIG CHECKPOINT --split val",
            )
        return cls(*map(float, numbers))


def confidence_and_correctness(animals: EvaluationSet, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labelled points of animals that something was predicted for.

    Args:
        animals: N animals.
        size: float64 [N] pixels; animals without a size are left out.

    Returns:
        float64 [P] raw confidences and bool [P] whether the error is below 0.1 of the size.
    """
    points = animals.labelled & (~animals.missed & np.isfinite(size))[:, None]
    return animals.scores[points], correct_points(animals, size)[points]


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> list[dict]:
    """The reliability curve: share of right points by confidence.

    Args:
        confidence: [P]; taken as 0 below 0 and as 1 above 1.
        correct: bool [P].
        bins: Number of bins of equal width; a bin holds its lower edge, the last one 1 as well.

    Returns:
        For each bin ``low``, ``high``, ``points``, and where it holds any ``confidence`` (mean) and ``correct``
        (share), else None.
    """
    confidence = np.clip(np.asarray(confidence, dtype=float), 0, 1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    curve = []
    for b in range(bins):
        inside = index == b
        some = bool(inside.any())
        curve.append(
            {
                "low": b / bins,
                "high": (b + 1) / bins,
                "points": int(inside.sum()),
                "confidence": float(confidence[inside].mean()) if some else None,
                "correct": float(np.mean(correct[inside])) if some else None,
            }
        )
    return curve


def expected_calibration_error(curve: list[dict]) -> float | None:
    """Mean distance of confidence and share of right points over a reliability curve, weighted by points.

    Source: Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015. None without points.
    """
    total = sum(entry["points"] for entry in curve)
    if not total:
        return None
    filled = [entry for entry in curve if entry["points"]]
    return sum(entry["points"] * abs(entry["confidence"] - entry["correct"]) for entry in filled) / total


def fit(confidence: np.ndarray, correct: np.ndarray) -> Calibration | None:
    """Fits temperature and bias by maximum likelihood; use the validation set, never the test set.

    The targets are Platt's, a little inside 0 and 1, so that a set without a single wrong point still gives finite
    numbers.

    Args:
        confidence: [P] raw confidences.
        correct: bool [P].

    Returns:
        The calibration; None for fewer than 50 points, from which nothing can be said.
    """
    correct = np.asarray(correct, dtype=bool)
    if correct.size < FEWEST_POINTS:
        return None
    right = int(correct.sum())
    target = np.where(correct, (right + 1) / (right + 2), 1 / (correct.size - right + 2))
    logit = _logit(confidence)
    slope, intercept = _logistic_regression(logit, target)
    if slope < 1 / HOTTEST:
        slope = 1 / HOTTEST
        intercept = _logit(target.mean()) - slope * logit.mean()
    return Calibration(temperature=float(1 / slope), bias=float(intercept / slope))


def fit_on_results(gt_coco: dict, results: list[dict], skeleton: Skeleton) -> tuple[Calibration | None, dict]:
    """Fits a calibration on a model's predictions for the validation set.

    Args:
        gt_coco: Content of the validation set's COCO file.
        results: COCO keypoint results (see :func:`~.ground_truth.check_results`).
        skeleton: The K keypoints.

    Returns:
        The calibration, None where too few points are labelled, and what it was fitted on: ``points`` and the
        expected calibration error on them, ``ECE`` before and ``ECE_calibrated`` after.

    Raises:
        UserError: Annotations or predictions cannot be scored.
    """
    animals = pair(gt_coco, results, skeleton)
    confidence, correct = confidence_and_correctness(animals, animal_size(animals))
    calibration = fit(confidence, correct)
    summary = summarise_calibration(confidence, correct, calibration)
    errors = {key: summary[key] for key in ("ECE", "ECE_calibrated") if key in summary}
    return calibration, {"points": len(confidence), **errors}


def summarise_calibration(confidence: np.ndarray, correct: np.ndarray, calibration: Calibration | None = None) -> dict:
    """What goes into ``metrics.json``.

    Args:
        confidence: [P] raw confidences.
        correct: bool [P].
        calibration: Fitted on other pictures (the validation set).

    Returns:
        ``ECE`` and ``reliability`` of the raw confidence; with a calibration also ``temperature``, ``bias``,
        ``ECE_calibrated`` and ``reliability_calibrated``.
    """
    raw = reliability(confidence, correct)
    summary = {"ECE": expected_calibration_error(raw), "reliability": raw}
    if calibration is not None:
        fitted = reliability(calibration.apply(confidence), correct)
        summary |= calibration.to_json()
        summary |= {"ECE_calibrated": expected_calibration_error(fitted), "reliability_calibrated": fitted}
    return summary


def _logistic_regression(x: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of ``sigmoid(slope * x + intercept)`` that maximise the likelihood, by Newton's method."""
    design = np.column_stack([x, np.ones_like(x)])
    weights = np.zeros(2)

    def loss(w: np.ndarray) -> float:
        z = design @ w
        return float(np.mean(np.logaddexp(0, z) - target * z))

    for _ in range(100):
        p = special.expit(design @ weights)
        gradient = design.T @ (p - target) / len(x)
        # the ridge keeps the step finite where all confidences are equal
        curvature = (design * (p * (1 - p))[:, None]).T @ design / len(x) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(weights - step) > loss(weights) + 1e-15 and np.abs(step).max() > 1e-12:
            step /= 2
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return float(weights[0]), float(weights[1])


def _logit(probability: np.ndarray) -> np.ndarray:
    return special.logit(np.clip(np.asarray(probability, dtype=float), MARGIN, 1 - MARGIN))
