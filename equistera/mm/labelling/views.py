"""Several looks at each animal: mirrored, larger, smaller, a frame before and behind, by several checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from equistera.labelling.doubt import Seen
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Predictor

#: Sides of the larger and the smaller view as shares of the box.
SIDES = (1.2, 0.85)


@dataclass(frozen=True)
class Place:
    """Where an animal is: in a picture and, of a video, in those right before and behind it.

    Attributes:
        image: RGB uint8 [H, W, 3].
        box: x, y, width, height.
        before: Like ``image``; None where there is none.
        after: Likewise.
        score: Confidence that there is an animal.
    """

    image: np.ndarray
    box: Sequence[float]
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    score: float = 1.0


@dataclass(frozen=True)
class _Look:
    """What a model says of an animal's box: ``points`` and ``mirrored``, those on the mirrored picture, float64 [K, 2],
    ``scores`` [K] and ``features`` [D]."""

    points: np.ndarray
    mirrored: np.ndarray
    scores: np.ndarray
    features: np.ndarray


def see(models: Sequence[tuple[Predictor, Confidence]], places: Sequence[Place], batch_size: int = 16) -> list[Seen]:
    """Looks at animals from all sides.

    Args:
        models: One or several checkpoints with the same keypoints; frames beside a frame and the features are the first
            one's.
        places: Where the animals are.
        batch_size: Crops that go through a model together.
    """
    looks = [list(_looks(predictor, places, batch_size)) for predictor, _ in models]
    scaled = [[_scaled(predictor, places, side, batch_size) for side in SIDES] for predictor, _ in models]
    beside = jumps(models[0][0], places, batch_size)
    seen = []
    for i, place in enumerate(places):
        own = [each[i] for each in looks]
        size = float(np.sqrt(np.prod(place.box[2:])))
        others = [
            np.array([look.mirrored, *(view[i] for view in views)]) for look, views in zip(own, scaled, strict=True)
        ]
        off = np.array([np.linalg.norm(other - look.points, axis=-1) for look, other in zip(own, others, strict=True)])
        points = np.array([look.points for look in own])
        scores = [confidence.apply(look.scores) for (_, confidence), look in zip(models, own, strict=True)]
        seen.append(
            Seen(
                box=np.asarray(place.box, dtype=float),
                points=points.mean(axis=0),
                agreed=np.concatenate([points[:, None], others], axis=1).mean(axis=(0, 1)),
                confidence=np.mean(scores, axis=0),
                views=np.sqrt(np.square(off).mean(axis=(0, 1))) / size,
                models=_apart(points) / size,
                jump=beside[i] / size if i in beside else np.full(points.shape[1], np.nan),
                features=own[0].features,
                score=place.score,
            )
        )
    return seen


def _apart(points: np.ndarray) -> np.ndarray:
    """Root mean square distance of [M, K, 2] from their mean, [K]; NaN for a single one."""
    if len(points) < 2:
        return np.full(points.shape[1], np.nan)
    return np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=-1).mean(axis=0))


def _looks(predictor: Predictor, places: Sequence[Place], batch_size: int) -> Iterator[_Look]:
    model = predictor.model
    for start in range(0, len(places), batch_size):
        few = places[start : start + batch_size]
        batch = pseudo_collate([predictor.sample(place.image, place.box) for place in few])
        with torch.inference_mode():
            prepared = model.data_preprocessor(batch, training=False)
            inputs, samples = prepared["inputs"], prepared["data_samples"]
            features = model.extract_feat(inputs)
            back = model.unmirrored(model.head_outputs(model.extract_feat(inputs.flip(-1))))
            pooled = torch.cat([feature.mean(dim=(2, 3)) for feature in features], dim=1).float().cpu().numpy()
            mirrored = _decoded(model, back, samples)
            straight = _decoded(model, model.head_outputs(features), samples)
        for (points, scores), (turned, _), vector in zip(straight, mirrored, pooled, strict=True):
            yield _Look(points, turned, scores, vector)


def _scaled(predictor: Predictor, places: Sequence[Place], side: float, batch_size: int) -> list[np.ndarray]:
    """Points in boxes with so many times the sides."""
    crops = []
    for place in places:
        x, y, width, height = place.box
        crops.append(
            (place.image, (x + width * (1 - side) / 2, y + height * (1 - side) / 2, width * side, height * side))
        )
    return [pose.points for pose in predictor.poses(crops, batch_size)]


def jumps(predictor: Predictor, places: Sequence[Place], batch_size: int = 16) -> dict[int, np.ndarray]:
    """Distance of points from the middle of their places in the frames before and behind, pixels [K].

    Returns:
        By the number of the place; those without both frames are not in it.
    """
    both = [i for i, place in enumerate(places) if place.before is not None and place.after is not None]
    crops = [(image, places[i].box) for i in both for image in (places[i].before, places[i].image, places[i].after)]
    points = [pose.points for pose in predictor.poses(crops, batch_size)]
    before, here, after = points[::3], points[1::3], points[2::3]
    return {i: np.linalg.norm(h - (b + a) / 2, axis=-1) for i, b, h, a in zip(both, before, here, after, strict=True)}


def _decoded(model: torch.nn.Module, outputs: tuple, samples: list) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points, pixels of the picture, and scores."""
    found = []
    for sample in model.decode(outputs, samples):
        predicted = sample.pred_instances
        points = np.asarray(predicted.keypoints, dtype=np.float64)[0, :, :2]
        found.append((points, np.asarray(predicted.keypoint_scores, dtype=np.float64)[0]))
    return found
