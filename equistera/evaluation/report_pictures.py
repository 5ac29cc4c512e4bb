"""Pictures of the evaluation report: annotation and prediction of one animal."""

from __future__ import annotations

import numpy as np

from equistera import drawing
from equistera.evaluation.keypoint_metrics import correct_points
from equistera.evaluation.metrics import Scored
from equistera.evaluation.per_animal import left_right_swaps

#: Width and height of one panel, pixels; the part of the picture is widened to this shape, so that panels line up.
PANEL = (440, 330)
GAP = 6
BEYOND_THE_PICTURE = (60, 60, 60)

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
    origin, factor = _view(picture.shape, animals.bbox_xywh[n], animals.keypoints[n][animals.labelled[n]])
    truth = _cut(picture, origin, factor)
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


def _view(shape: tuple[int, ...], bbox: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float]:
    """Which part to show: the picture's coordinates of the panel's corner, and panel pixels per picture pixel.

    The box and all annotated points with a margin around, moved where the panel would reach beyond the picture.
    """
    corners = np.concatenate([points, bbox[None, :2], bbox[None, :2] + bbox[None, 2:]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    factor = float((np.array(PANEL) / (1.2 * np.maximum(high - low, 1))).min())
    window = np.array(PANEL) / factor
    room = np.array([shape[1], shape[0]]) - window
    return np.where(room >= 0, np.clip((low + high - window) / 2, 0, np.maximum(room, 0)), room / 2), factor


def _cut(picture: np.ndarray, origin: np.ndarray, factor: float) -> np.ndarray:
    """The part of a picture that fills a panel; what lies beyond the picture is grey."""
    import cv2

    panel = np.full((PANEL[1], PANEL[0], 3), BEYOND_THE_PICTURE, np.uint8)
    size = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(origin), 0, size).astype(int)
    high = np.clip(np.ceil(origin + np.array(PANEL) / factor), 0, size).astype(int)
    if (high <= low).any():
        return panel
    x0, y0 = np.clip(np.round((low - origin) * factor), 0, PANEL).astype(int)
    x1, y1 = np.clip(np.round((high - origin) * factor), 0, PANEL).astype(int)
    if x1 > x0 and y1 > y0:
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        part = picture[low[1] : high[1], low[0] : high[0]]
        panel[y0:y1, x0:x1] = cv2.resize(part, (int(x1 - x0), int(y1 - y0)), interpolation=interpolation)
    return panel


def _draw_errors(
    image: np.ndarray, points: np.ndarray, true_points: np.ndarray, wrong: np.ndarray, swapped: np.ndarray
) -> None:
    import cv2

    for k in np.flatnonzero(wrong | swapped):
        # far-away predictions would overflow OpenCV's coordinates
        start, end = (tuple(np.clip(np.round(p), -1e4, 1e4).astype(int).tolist()) for p in (points[k], true_points[k]))
        cv2.line(image, start, end, (20, 20, 20), 4, cv2.LINE_AA)
        cv2.line(image, start, end, SWAPPED if swapped[k] else WRONG, 2, cv2.LINE_AA)
