"""Does a confidence of 0.8 mean that 8 points of 10 are right? Measured, and put right with two numbers.

A point is "right" when its error is below 0.1 of the animal's size (PCK@0.1); points that are not labelled are left
out, for nobody knows where they are.

The calibration that belongs to a checkpoint lies beside it, ``best.calibration.json`` beside ``best.pth``. Averaging
with the mirrored picture or over several scales changes the confidences, so each has one of its own. The file names the
weights by their SHA-256 and what else confidences follow from by a digest of it: after another training under the same
name, or with other settings of the network, it counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import special

from equistera import commands
from equistera.checkpoints import file_hash
from equistera.errors import UserError
from equistera.evaluation.instances import EvaluationSet, pair
from equistera.files import read_json, write_json
from equistera.skeleton import Skeleton

BINS = 10

#: Confidences are kept this far from 0 and 1, where the logit is infinite. Raw SimCC maxima may exceed 1.
MARGIN = 1e-4

#: Below this number of labelled points nothing is fitted.
FEWEST_POINTS = 50

#: A confidence that has nothing to do with being right would get an infinite temperature.
HOTTEST = 100.0

#: Crops of the usual size alone.
ONE_VIEW = (1.0,)

_FIT_AGAIN = "Delete it and fit again: python tools/test.py CONFIG CHECKPOINT --split val"


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

    @classmethod
    def from_json(cls, content: object) -> Calibration:
        """Reads ``{"temperature", "bias"}``; raises UserError where something else stands there."""
        numbers = [content.get(key) for key in ("temperature", "bias")] if isinstance(content, dict) else []
        # NaN is not below anything, and a whole number may be longer than any float
        if len(numbers) != 2 or not all(type(n) in (int, float) and abs(n) < 1e9 for n in numbers) or numbers[0] <= 0:
            raise UserError(f"a calibration must be {{'temperature': above 0, 'bias': number}}, found {content!r}")
        return cls(*map(float, numbers))


def confidence_and_correctness(animals: EvaluationSet) -> tuple[np.ndarray, np.ndarray]:
    """The labelled points of animals that have a size and that something was predicted for.

    Returns:
        float64 [P] raw confidences and bool [P] whether the error is below 0.1 of the size.
    """
    points = animals.sized & ~animals.missed[:, None]
    return animals.scores[points], animals.correct[points]


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> list[dict]:
    """The reliability curve: share of right points (bool [P]) by confidence ([P], taken as 0 below 0 and as 1 above 1).

    Returns:
        For each of the bins of equal width, which hold their lower edge, the last one 1 as well, ``low``, ``high``,
        ``points``, and where there are any ``confidence`` (mean) and ``correct`` (share), else None.
    """
    confidence = np.clip(np.asarray(confidence, dtype=float), 0, 1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    curve = []
    for b in range(bins):
        inside = index == b
        entry = {
            "low": b / bins,
            "high": (b + 1) / bins,
            "points": int(inside.sum()),
            "confidence": None,
            "correct": None,
        }
        if entry["points"]:
            entry |= {"confidence": float(confidence[inside].mean()), "correct": float(np.mean(correct[inside]))}
        curve.append(entry)
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
    numbers. None for fewer than 50 points ([P] raw confidences, bool [P]), from which nothing can be said.
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
    """Fits a calibration on a model's predictions for the validation set; arguments and errors as for :func:`pair`.

    Returns:
        The calibration, None where too few points are labelled, and what it was fitted on: ``points`` and the
        expected calibration error on them, ``ECE`` before and ``ECE_calibrated`` after.
    """
    confidence, correct = confidence_and_correctness(pair(gt_coco, results, skeleton))
    calibration = fit(confidence, correct)
    summary = summarise_calibration(confidence, correct, calibration)
    errors = {key: summary[key] for key in ("ECE", "ECE_calibrated") if key in summary}
    return calibration, {"points": len(confidence), **errors}


def summarise_calibration(confidence: np.ndarray, correct: np.ndarray, calibration: Calibration | None = None) -> dict:
    """What goes into ``metrics.json``, of [P] raw confidences and bool [P], with a calibration from other pictures.

    ``ECE`` and ``reliability`` of the raw confidence; with a calibration also ``temperature``, ``bias``,
    ``ECE_calibrated`` and ``reliability_calibrated``.
    """
    raw = reliability(confidence, correct)
    summary = {"ECE": expected_calibration_error(raw), "reliability": raw}
    if calibration is not None:
        fitted = reliability(calibration.apply(confidence), correct)
        summary |= asdict(calibration)
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


def calibration_path(checkpoint: str | Path) -> Path:
    """Where a checkpoint's calibration is stored."""
    return Path(checkpoint).with_suffix(".calibration.json")


def missing_because(
    checkpoint: str | Path, flip_test: bool, settings: str = "", scales: Sequence[float] = ONE_VIEW
) -> str:
    """Why :func:`stored_calibration` gives None, and how to get one: a sentence for people."""
    fit = commands.tool("test", "CONFIG", checkpoint, "--split", "val", *_options(_mode(flip_test, scales)))
    return f"no calibration: {_stored(checkpoint, flip_test, settings, scales)[1]}; fit it: {fit}"


def stored_calibration(
    checkpoint: str | Path, flip_test: bool = False, settings: str = "", scales: Sequence[float] = ONE_VIEW
) -> Calibration | None:
    """The calibration that ``tools/test.py`` has fitted for these very weights and settings, or None.

    Args:
        checkpoint: The weights' file.
        flip_test: Whether predictions are averaged with those on the mirrored picture.
        settings: A digest of what else confidences follow from.
        scales: Sides of the crops that predictions are averaged over, as shares of the usual crop's.

    Raises:
        UserError: The file holds something else.
    """
    entry, _ = _stored(checkpoint, flip_test, settings, scales)
    try:
        return None if entry is None else Calibration.from_json(entry)
    except UserError as error:
        raise UserError(f"{calibration_path(checkpoint)}: {error.summary}", hint=_FIT_AGAIN) from error


def stored_background(
    checkpoint: str | Path, flip_test: bool = False, settings: str = "", scales: Sequence[float] = ONE_VIEW
) -> float:
    """Up to which mean confidence of its points an animal may be none, as ``tools/test.py`` has found; 0: unknown.

    Arguments and errors as for :func:`stored_calibration`.
    """
    entry, _ = _stored(checkpoint, flip_test, settings, scales)
    found = entry.get("background", {}) if isinstance(entry, dict) else {}
    threshold = found.get("threshold", 0.0) if isinstance(found, dict) else None
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        path = calibration_path(checkpoint)
        raise UserError(f"{path}: background.threshold must be from 0 to 1, found {str(found)[:80]}", hint=_FIT_AGAIN)
    return float(threshold)


def _stored(checkpoint: str | Path, flip_test: bool, settings: str, scales: Sequence[float]) -> tuple[object, str]:
    """The stored entry, None where there is none, and then why."""
    path = calibration_path(checkpoint)
    if not path.is_file():
        return None, f"there is no {path}"
    content = _read(path)
    if content["sha256"] != file_hash(Path(checkpoint)):
        return None, f"{path} is of other weights"
    mode = _mode(flip_test, scales)
    entry = content["fits"].get(mode)
    if entry is None:
        there = " and ".join(" ".join(_options(other)) or "without options" for other in content["fits"])
        how = " ".join(_options(mode)) or "no option"
        return None, f"{path} has one for predictions {there or 'of no kind'}, and none for those with {how}"
    if isinstance(entry, dict) and entry.get("settings", "") != settings:
        return None, f"{path} was fitted with other settings of the network"
    return entry, ""


def store_calibration(
    checkpoint: str | Path,
    calibration: Calibration,
    flip_test: bool,
    settings: str = "",
    scales: Sequence[float] = ONE_VIEW,
    **about: object,
) -> Path:
    """Stores a calibration beside its checkpoint; the other modes' are kept if they belong to the same weights.

    Arguments as for :func:`stored_calibration`, and what else a reader should know, JSON-ready: on which pictures and
    points it was fitted. Returns the file; raises WriteError where the folder cannot be written.
    """
    path, sha256 = calibration_path(checkpoint), file_hash(Path(checkpoint))
    fits = {}
    if path.is_file():
        earlier = _read(path)
        fits = earlier["fits"] if earlier["sha256"] == sha256 else {}
    fits[_mode(flip_test, scales)] = {**asdict(calibration), "settings": settings, **about}
    write_json(path, {"checkpoint": Path(checkpoint).name, "sha256": sha256, "fits": fits}, indent=1)
    return path


def _read(path: Path) -> dict:
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), kind) for key, kind in (("sha256", str), ("fits", dict))
    ):
        raise UserError(f"{path} is no calibration of a checkpoint: it needs 'sha256' and 'fits'", hint=_FIT_AGAIN)
    try:
        json.dumps(content["fits"], allow_nan=False)
    except ValueError as error:
        raise UserError(f"{path} holds numbers that are not finite", hint=_FIT_AGAIN) from error
    return content


def _mode(flip_test: bool, scales: Sequence[float]) -> str:
    """What a kind of prediction is called in the file."""
    name = "flip_test" if flip_test else "plain"
    return name if tuple(scales) == ONE_VIEW else " ".join([name, "scales", *(f"{scale:g}" for scale in scales)])


def _options(mode: str) -> list[str]:
    """The options that make predictions of a kind."""
    name, _, scales = str(mode).partition(" scales ")
    return ["--flip-test"] * (name == "flip_test") + (["--scales", *scales.split()] if scales else [])
