"""What a model's confidences mean: probabilities where a calibration is stored for its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.calibration_file import calibration_path, missing_because, stored_calibration

#: From here on a point counts as found: rather right than wrong by a calibrated probability, and MMPose's default for
#: raw confidences, which say less.
CALIBRATED, RAW = 0.5, 0.3


@dataclass(frozen=True)
class Confidence:
    """A network's own confidences made into what is shown and stored.

    Attributes:
        calibration: None where none is stored: confidences stay raw.
        threshold: From here on a point counts as found.
        description: What they are, for people.
    """

    calibration: Calibration | None
    threshold: float
    description: str

    @classmethod
    def of(cls, checkpoint: str | Path, flip_test: bool, threshold: float | None, settings: str = "") -> Confidence:
        """The confidences of a checkpoint's predictions.

        Args:
            checkpoint: The weights' file; its calibration lies beside it.
            flip_test: Whether predictions are averaged with those on the mirrored picture.
            threshold: What the user asked for; None for the default.
            settings: As for :func:`equistera.evaluation.calibration_file.stored_calibration`.

        Raises:
            UserError: The threshold is not between 0 and 1, or the calibration file is broken.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise UserError(f"--conf must be from 0 to 1, found {threshold:g}")
        calibration = stored_calibration(checkpoint, flip_test, settings)
        threshold = threshold if threshold is not None else RAW if calibration is None else CALIBRATED
        if calibration is not None:
            line = (
                f"confidences are calibrated ({calibration_path(checkpoint).name}): "
                f"points that are right with less than {threshold:.0%}"
            )
        else:
            why = missing_because(checkpoint, flip_test, settings)
            line = f"{why}\nconfidences are uncalibrated: points below {threshold:g}"
        return cls(calibration, threshold, f"{line} are dimmed")

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Raw confidences, any shape, calibrated where there is a calibration."""
        return np.asarray(scores, dtype=float) if self.calibration is None else self.calibration.apply(scores)

    def is_sure(self, scores: np.ndarray) -> np.ndarray:
        """Whether points of these raw confidences count as found."""
        return self.apply(scores) >= self.threshold
