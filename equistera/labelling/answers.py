"""What models said of labelled animals that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.files import atomic_write


@dataclass(frozen=True)
class View:
    """One way to look at an animal.

    Attributes:
        mirrored: Whether the picture is.
        wider: Sides of the box are so many times as long.
    """

    mirrored: bool
    wider: float

    def box(self, xywh: Sequence[float], width: int) -> tuple[float, float, float, float]:
        """Where to look in a picture so many pixels wide, or in its mirror image."""
        x, y, w, h = xywh
        x, y = x - (self.wider - 1) * w / 2, y - (self.wider - 1) * h / 2
        w, h = self.wider * w, self.wider * h
        return (width - 1 - x - w if self.mirrored else x), y, w, h


#: Labels are compared with the answers to all of these; where they differ, the model is not sure.
VIEWS = (View(False, 1.0), View(True, 1.0), View(False, 1.25), View(True, 1.25))


@dataclass(frozen=True)
class Answers:
    """What was said of N animals, over all views and models; NaN for an animal that nobody could be asked about.

    Attributes:
        points: float64 [N, K, 2], pixels of the picture: mean, weighted by the squared confidence.
        spread: float64 [N, K], pixels: root mean square distance of the single answers from it.
        scores: float64 [N, K], mean raw confidence.
        responses: float64 [N, K, K]: mean answer for keypoint i at the label of keypoint j, over its own peak; NaN
            where that is not labelled.
    """

    points: np.ndarray
    spread: np.ndarray
    scores: np.ndarray
    responses: np.ndarray

    @classmethod
    def none(cls, animals: int, keypoints: int) -> Answers:
        """Nothing said yet, to be filled."""
        shapes = [(animals, keypoints, 2), (animals, keypoints), (animals, keypoints), (animals, keypoints, keypoints)]
        return cls(*(np.full(shape, np.nan) for shape in shapes))

    def take(self, n: int, points: np.ndarray, scores: np.ndarray, responses: np.ndarray) -> None:
        """Sets what was said of an animal: by each of M views and models [M, K, 2], [M, K], [M, K, K]."""
        weight = np.maximum(scores, 1e-3)[..., None] ** 2
        self.points[n] = (points * weight).sum(axis=0) / weight.sum(axis=0)
        off = np.square(points - self.points[n]).sum(axis=-1)
        self.spread[n] = np.sqrt((off * weight[..., 0]).sum(axis=0) / weight[..., 0].sum(axis=0))
        self.scores[n], self.responses[n] = scores.mean(axis=0), responses.mean(axis=0)

    def write(self, path: Path, key: str) -> None:
        """Stores them with what they follow from."""
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, key=np.array(key), **vars(self))

    @classmethod
    def stored(cls, path: Path, key: str) -> Answers | None:
        """Those of a file that were stored with the same key; None where there are none."""
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            return cls(*(content[name] for name in ("points", "spread", "scores", "responses")))
