"""Does a file say what the networks say that it was made of? Asked on a user's own crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.dataset import pseudo_collate

from equistera.evaluation.calibration import Calibration
from equistera.mm.data.codecs import pixels_across
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import mean_outputs
from equistera.progress import track
from equistera.words import counted

_BATCH = 16


@dataclass(frozen=True)
class Difference:
    """How far two answers to the same crops are apart.

    Attributes:
        pixels: float64 [N, K], of the crop.
        confidence: float64 [N, K], the larger minus the smaller.
    """

    pixels: np.ndarray
    confidence: np.ndarray

    @property
    def worst(self) -> float:
        """Of the points, pixels."""
        return float(self.pixels.max())

    def in_words(self) -> str:
        """One line."""
        off, unsure = self.pixels, self.confidence
        return (
            f"{counted(off.size, 'points')} on {counted(len(off), 'crops')}: mean {off.mean():.2g} px, 99 % within "
            f"{np.quantile(off, 0.99):.2g} px, worst {off.max():.2g} px; confidence mean {unsure.mean():.2g}, worst "
            f"{unsure.max():.2g}"
        )

    def jumps(self, tolerance: float) -> int:
        """Points that differ by more than so many pixels."""
        return int((self.pixels > tolerance).sum())


def reference(
    predictors: Sequence[Predictor], samples: Sequence[dict], calibration: Calibration | None
) -> tuple[np.ndarray, np.ndarray]:
    """What this project says of crops, decoded as ``tools/test.py`` decodes, on the way that the graph does not take.

    Returns:
        Points [N, K, 2] in pixels of the crop, and confidences [N, K].
    """
    across, points, scores = pixels_across(predictors[0].config.codec), [], []
    starts = range(0, len(samples), _BATCH)
    for start in track(starts, "predicting", unit="batches"):
        batch = pseudo_collate(samples[start : start + _BATCH])
        prepared = [predictor.raw_outputs(batch) for predictor in predictors]
        for sample in predictors[0].decode(prepared[0][0], mean_outputs([raw for _, raw in prepared])):
            found = sample["pred_instances"]
            corner = sample["input_center"] - 0.5 * sample["input_scale"]
            points.append((np.asarray(found["keypoints"])[0, :, :2] - corner) / sample["input_scale"] * across)
            scores.append(np.asarray(found["keypoint_scores"])[0])
    confidence = np.array(scores, dtype=float)
    return np.array(points, dtype=float), confidence if calibration is None else calibration.apply(confidence)


def difference(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> Difference:
    """Of two pairs of points [N, K, 2] and confidences [N, K]."""
    return Difference(np.linalg.norm(one[0] - other[0], axis=-1), np.abs(one[1] - other[1]))
