"""Pictures of the evaluation report: annotation and prediction of one animal."""

from __future__ import annotations

import numpy as np

from equistera import drawing
from equistera.cutout import cut, view
from equistera.evaluation.keypoint_metrics import correct_points
from equistera.evaluation.metrics import Scored
from equistera.evaluation.per_animal import left_right_swaps

#: Width and height of one panel, pixels; the part of the picture is widened to this shape, so that panels line up.
PANEL = (440, 330)
GAP = 6

#: From a wrong prediction to where the point is: white; to its mirror image's place: vermillion (Okabe and Ito).
WRONG, SWAPPED = (255, 255, 255), (213, 94, 0)


def animal_panels(picture: np.ndarray, scored: Scored, n: int) -> np.ndarray:
    """The annotation above the prediction, cut out around the animal.

    On the prediction a line leads from every wrong point (error of at least 0.1 of the animal's size) to where it
    should be, in another colour where it lies on its mirror image.

    Args:
        picture: RGB uint8 [H, W, 3].
        scored: A model's predictions and annotations.
        n: Row of the animal.

    Returns:
        RGB uint8, two panels of one size.
    """
    animals = scored.animals
    origin, factor = view(picture.shape, animals.bbox_xywh[n], animals.keypoints[n][animals.labelled[n]], PANEL)
    truth = cut(picture, origin, factor, PANEL)
    prediction = truth.copy()
    true_points, points = (animals.keypoints[n] - origin) * factor, (animals.predictions[n] - origin) * factor
    # the page shows the panels reduced
    scale = 1.3 * drawing.stroke_scale(max(PANEL))
    drawing.draw_pose(truth, true_points, animals.skeleton, visible=animals.visibility[n], scale=scale)
    if not animals.missed[n]:
        drawing.draw_pose(prediction, points, animals.skeleton, scores=animals.scores[n], scale=scale)
        wrong = animals.labelled[n] & ~correct_points(animals, scored.size)[n] & np.isfinite(scored.size[n])
        _draw_errors(prediction, points, true_points, wrong, left_right_swaps(scored)[n])
    return np.concatenate([truth, np.full((GAP, PANEL[0], 3), 255, np.uint8), prediction])


def _draw_errors(
    image: np.ndarray, points: np.ndarray, true_points: np.ndarray, wrong: np.ndarray, swapped: np.ndarray
) -> None:
    import cv2

    for k in np.flatnonzero(wrong | swapped):
        # far-away predictions would overflow OpenCV's coordinates
        start, end = (tuple(np.clip(np.round(p), -1e4, 1e4).astype(int).tolist()) for p in (points[k], true_points[k]))
        cv2.line(image, start, end, (20, 20, 20), 4, cv2.LINE_AA)
        cv2.line(image, start, end, SWAPPED if swapped[k] else WRONG, 2, cv2.LINE_AA)
