"""Pieces of other samples' pictures, for occluders that look real."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from equistera.errors import UserError

#: Animals whose pictures serve, and the longer side that is kept of each: 7 MB in a process at most.
ANIMALS, _SIDE = 64, 192
#: OpenCV's flags for decoding at 1/factor.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


class Textures:
    """Draws pieces of the pictures of some animals, which are decoded once, at low resolution, when first asked for.

    Which animals serve follows from the seed, and which piece is drawn from the generator alone: every process draws
    the same, whatever it has drawn before.

    Args:
        animals: Path of the picture and box [x1, y1, x2, y2] of each animal of a data set.
        seed: Chooses those that serve.
    """

    def __init__(self, animals: Sequence[tuple[str, np.ndarray]], seed: int):
        chosen = np.random.default_rng(seed).permutation(len(animals))[:ANIMALS]
        self._animals = [animals[i] for i in chosen]
        self._pictures: dict[int, np.ndarray] = {}

    def draw(self, rng: np.random.Generator, avoid: str) -> np.ndarray:
        """A piece of some animal's picture.

        Args:
            rng: The sample's generator.
            avoid: Path of the sample's own picture, which serves only where there is no other.

        Returns:
            BGR uint8 [h, w, 3]: 30 to 60 % of the sides of a box of an animal.

        Raises:
            UserError: The picture cannot be decoded.
        """
        first = int(rng.integers(len(self._animals)))
        slots = [(first + i) % len(self._animals) for i in range(len(self._animals))]
        slot = next((slot for slot in slots if self._animals[slot][0] != avoid), first)
        if slot not in self._pictures:
            self._pictures[slot] = _read(*self._animals[slot])
        picture = self._pictures[slot]
        height, width = np.ceil(picture.shape[:2] * rng.uniform(0.3, 0.6, 2)).astype(int)
        y, x = (rng.integers(0, side - size + 1) for side, size in zip(picture.shape, (height, width), strict=False))
        return picture[y : y + height, x : x + width]


def _read(path: str, box: np.ndarray) -> np.ndarray:
    """An animal's box, at most ``_SIDE`` pixels long."""
    x1, y1, x2, y2 = box
    factor = next((f for f in _REDUCED if f * _SIDE <= max(x2 - x1, y2 - y1)), 1)
    picture = cv2.imread(path, _REDUCED.get(factor, cv2.IMREAD_COLOR))
    if picture is None:
        raise UserError(
            f"cannot decode {path}", hint="tools/verify_dataset.py names every unreadable picture of a data set"
        )
    height, width = picture.shape[:2]
    # at least a pixel of a box that lies on the picture's rim
    x, y = (int(np.clip(start / factor, 0, side - 1)) for start, side in ((x1, width), (y1, height)))
    right, lower = (
        int(np.clip(np.ceil(end / factor), start + 1, side)) for end, start, side in ((x2, x, width), (y2, y, height))
    )
    piece = picture[y:lower, x:right]
    shrink = min(1.0, _SIDE / max(piece.shape[:2]))
    size = max(1, round(piece.shape[1] * shrink)), max(1, round(piece.shape[0] * shrink))
    return cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
