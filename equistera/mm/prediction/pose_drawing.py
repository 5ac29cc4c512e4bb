"""What was found on a picture as a drawing and in a file of predictions, and what its confidences mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.drawing import draw_box, draw_pose, put_text, side_by_side, viewing_scale
from equistera.errors import UserError
from equistera.evaluation.average_precision import instance_score
from equistera.evaluation.calibration import (
    ONE_VIEW,
    Calibration,
    calibration_path,
    missing_because,
    stored_background,
    stored_calibration,
)
from equistera.mm.prediction.stream import PosedFrame
from equistera.skeleton import Skeleton

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
        background: Up to which mean of its calibrated confidences an animal may be none; 0: unknown.
    """

    calibration: Calibration | None
    threshold: float
    description: str
    background: float = 0.0

    @classmethod
    def of(
        cls,
        checkpoint: str | Path,
        flip_test: bool,
        threshold: float | None,
        settings: str = "",
        unsure: str = "dimmed",
        scales: Sequence[float] = ONE_VIEW,
        in_graph: bool = False,
    ) -> Confidence:
        """The confidences of a checkpoint's predictions; arguments as for :func:`stored_calibration`.

        ``unsure`` is what becomes of points below the threshold, for the description; ``in_graph`` says that the
        confidences of an exported network are probabilities as they come out of it.

        Raises:
            UserError: The threshold that was asked for is not between 0 and 1, or the calibration file is broken.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise UserError(f"--conf must be from 0 to 1, found {threshold:g}")
        calibration = stored_calibration(checkpoint, flip_test, settings, scales)
        source = calibration_path(checkpoint).name
        if calibration is None and in_graph:
            calibration, source = Calibration(), f"in {Path(checkpoint).name} itself"
        threshold = threshold if threshold is not None else RAW if calibration is None else CALIBRATED
        if calibration is not None:
            line = f"confidences are calibrated ({source}): points that are right with less than {threshold:.0%}"
        else:
            why = missing_because(checkpoint, flip_test, settings, scales)
            line = f"{why}\nconfidences are uncalibrated: points below {threshold:g}"
        background = stored_background(checkpoint, flip_test, settings, scales)
        return cls(calibration, threshold, f"{line} are {unsure}", background)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Raw confidences, any shape, calibrated where there is a calibration."""
        return np.asarray(scores, dtype=float) if self.calibration is None else self.calibration.apply(scores)

    def is_sure(self, scores: np.ndarray) -> np.ndarray:
        """Whether points of these raw confidences count as found."""
        return self.apply(scores) >= self.threshold


def draw_poses(seen: PosedFrame, skeleton: Skeleton, confidence: Confidence) -> np.ndarray:
    """The predictions drawn on the picture, RGB uint8; beside them what is annotated, where anything is.

    Points below the threshold of ``confidence`` are dimmed.
    """
    image = seen.frame.image
    truth = _annotated(seen, skeleton)
    for pose in seen.poses:
        scores = confidence.apply(pose.scores)
        scale = viewing_scale(image, float(max(pose.bbox[2:])))
        if seen.boxes is not None:
            draw_box(image, pose.bbox, label=f"{scores.mean():.2f}", scale=scale)
        draw_pose(image, pose.points, skeleton, scores=scores, threshold=confidence.threshold, scale=scale)
    if truth is None:
        return image
    for panel, title in ((truth, "labelled"), (image, "predicted")):
        scale = viewing_scale(image, float("inf"))
        put_text(panel, title, (6 * scale, image.shape[0] - 6 * scale), scale=1.5 * scale)
    return side_by_side(truth, image)


def _annotated(seen: PosedFrame, skeleton: Skeleton) -> np.ndarray | None:
    animals = [box.animal for box in seen.boxes or () if box.animal is not None and box.animal.keypoints is not None]
    if not animals:
        return None
    image = seen.frame.image.copy()
    for animal in animals:
        points, visible = animal.keypoints[:, :2], animal.keypoints[:, 2]
        scale = viewing_scale(image, max(animal.bbox[2:]))
        draw_box(image, animal.bbox, scale=scale)
        draw_pose(image, points, skeleton, visible=visible, scale=scale)
    return image


def results_of(seen: PosedFrame, confidence: Confidence, image_ids: Mapping[str, object] | None = None) -> list[dict]:
    """COCO keypoint results of a picture: ids, ``file_name``, ``bbox``, ``keypoints`` [x, y, confidence, ...], score.

    ``confidence`` makes the third number of each keypoint; ``score`` follows from them and the box's. ``image_ids`` are
    by the picture's name; by default an id is the picture's number in the folder or video, from 0.
    """
    results = []
    for pose in seen.poses:
        scores = confidence.apply(pose.scores)
        results.append(
            {
                "image_id": seen.frame.number if image_ids is None else image_ids[seen.frame.name],
                "file_name": seen.frame.name,
                "category_id": 1,
                "bbox": np.round(pose.bbox, 2).tolist(),
                "keypoints": np.round(np.column_stack([pose.points, scores]), 4).ravel().tolist(),
                "score": instance_score(scores, pose.bbox_score),
            }
        )
    return results
