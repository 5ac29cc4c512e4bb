"""What a pose model says of labelled animals: looked at as they are, mirrored, and from a little further away.

Beside the points, the response at every label is kept: how high the model's answer for each keypoint is where a label
stands, as a share of its peak. A label on a second peak is one that the model thought of as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.dataset import pseudo_collate

from equistera.labelling.answers import VIEWS, View
from equistera.mm.data.codecs import pixels_across, uses_udp
from equistera.mm.prediction.predict import Predictor

#: Crops that go through the model together at most.
_BATCH = 32


def ask(
    predictor: Predictor, image: np.ndarray, boxes: Sequence[Sequence[float]], labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asks a model about the labelled animals of a picture.

    Args:
        predictor: Without a flip test, which would average what is compared here.
        image: RGB uint8 [H, W, 3].
        boxes: x, y, width, height of A animals.
        labels: float [A, K, 2], pixels; NaN where not labelled.

    Returns:
        Of each of V views points, float64 [A, V, K, 2] in pixels of the picture, raw confidences [A, V, K], and the
        response for keypoint i at the label of keypoint j [A, V, K, K], 0 to 1.
    """
    width = image.shape[1]
    pictures = {False: image, True: np.ascontiguousarray(image[:, ::-1])}
    looks = [(n, view) for n in range(len(boxes)) for view in VIEWS]
    answers = []
    for start in range(0, len(looks), _BATCH):
        chosen = looks[start : start + _BATCH]
        samples = [predictor.sample(pictures[view.mirrored], view.box(boxes[n], width)) for n, view in chosen]
        prepared, raw = predictor.raw_outputs(pseudo_collate(samples))
        told = [part.float().cpu().numpy() for part in raw]
        for i, (sample, (n, view)) in enumerate(zip(predictor.decode(prepared, raw), chosen, strict=True)):
            answers.append(_answer(predictor, sample, [part[i] for part in told], view, labels[n], width))
    points, scores, responses = (np.stack(parts) for parts in zip(*answers, strict=True))
    shape = len(boxes), len(VIEWS)
    return tuple(values.reshape(*shape, *values.shape[1:]) for values in (points, scores, responses))


def _answer(
    predictor: Predictor, sample: dict, raw: list[np.ndarray], view: View, labels: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, confidences and responses of one view, as of the picture that is not mirrored."""
    mirror = predictor.skeleton.flip_indices
    predicted = sample["pred_instances"]
    points = np.asarray(predicted["keypoints"], dtype=np.float64)[0, :, :2]
    scores = np.asarray(predicted["keypoint_scores"], dtype=np.float64)[0]
    scale, center = (np.asarray(sample[f"input_{key}"], dtype=float) for key in ("scale", "center"))
    places = _mirrored(labels, mirror, width) if view.mirrored else labels
    codec = predictor.config.codec
    across, size = pixels_across(codec), np.asarray(codec.input_size, dtype=float)
    response = _responses(raw, (places - (center - scale / 2)) * across / scale, size, uses_udp(codec))
    if view.mirrored:
        points, scores, response = _mirrored(points, mirror, width), scores[mirror], response[mirror][:, mirror]
    return points, scores, response


def _mirrored(points: np.ndarray, mirror: np.ndarray, width: int) -> np.ndarray:
    return np.column_stack([width - 1 - points[:, 0], points[:, 1]])[mirror]


def _responses(raw: list[np.ndarray], places: np.ndarray, size: np.ndarray, udp: bool) -> np.ndarray:
    """float64 [K, K]: the answer for keypoint i at place j ([K, 2] pixels of the input) over its peak, 0 to 1.

    A SimCC head answers for x and y apart, of which the lower counts, as for its confidence.
    """
    if len(raw) == 1:
        (maps,) = raw
        cells = np.array(maps.shape[:0:-1])
        at = _cells(places, (cells - udp) / (size - udp), cells)
        values = maps[:, at[:, 1], at[:, 0]] / _peaks(maps.reshape(len(maps), -1))
    else:
        along = []
        for axis, part in enumerate(raw):
            at = _cells(places[:, axis], part.shape[1] / size[axis], part.shape[1])
            along.append(part[:, at] / _peaks(part))
        values = np.minimum(*along)
    known = np.isfinite(places).all(axis=1)
    # what lies on the edge is off it by the last bits
    inside = ((np.nan_to_num(places) > -1e-3) & (np.nan_to_num(places) < size - 1 + 1e-3)).all(axis=1)
    return np.where(known, np.where(inside, np.clip(values, 0, 1), 0), np.nan)


def _peaks(values: np.ndarray) -> np.ndarray:
    return np.maximum(values.max(axis=1, keepdims=True), 1e-6)


def _cells(places: np.ndarray, factor: np.ndarray | float, count: np.ndarray | int) -> np.ndarray:
    return np.clip(np.nan_to_num(np.round(places * factor)), 0, np.asarray(count) - 1).astype(int)
