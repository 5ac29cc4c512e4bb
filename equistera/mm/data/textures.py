"""Pieces of other samples' pictures, for occluders that look real."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from equistera.crops.decoding import ToPhoto
from equistera.crops.store import CropStore, DecodedCrops

#: Animals whose pictures serve, and the longer side that is kept of each: 7 MB in a process at most.
ANIMALS, _SIDE = 64, 192


class Textures:
    """Draws pieces of the pictures of some animals, which are read once, when first asked for, and kept small.

    Which animals serve follows from the seed, and which piece is drawn from the generator alone: every process draws
    the same, whatever it has drawn before.

    Args:
        animals: Path of the picture and box [x1, y1, x2, y2] of each animal of a data set.
        crops: Their crops, in the same order.
        seed: Chooses those that serve.
    """

    def __init__(self, animals: Sequence[tuple[str, np.ndarray]], crops: CropStore | DecodedCrops, seed: int):
        chosen = np.random.default_rng(seed).permutation(len(animals))[:ANIMALS].tolist()
        self._animals = [animals[i] for i in chosen]
        self._crops, self._places = crops, chosen
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
            self._pictures[slot] = self._read(slot)
        picture = self._pictures[slot]
        height, width = np.ceil(picture.shape[:2] * rng.uniform(0.3, 0.6, 2)).astype(int)
        y, x = (rng.integers(0, side - size + 1) for side, size in zip(picture.shape, (height, width), strict=False))
        return picture[y : y + height, x : x + width]

    def _read(self, slot: int) -> np.ndarray:
        """An animal's box, at most ``_SIDE`` pixels long."""
        picture, to_photo = self._crops[self._places[slot]]
        piece = _part(picture, to_photo, self._animals[slot][1])
        shrink = min(1.0, _SIDE / max(piece.shape[:2]))
        size = max(1, round(piece.shape[1] * shrink)), max(1, round(piece.shape[0] * shrink))
        return cv2.resize(piece, size, interpolation=cv2.INTER_AREA)


def _part(picture: np.ndarray, to_photo: ToPhoto, box: np.ndarray) -> np.ndarray:
    """What a picture shows of a box in its photo, at least a pixel of it."""
    slices = []
    for (scale, offset), start, end, side in zip(to_photo, box[:2], box[2:], picture.shape[1::-1], strict=True):
        # edges of pixels, not their middles
        edge = offset - (scale - 1) / 2
        first = int(np.clip((start - edge) / scale, 0, side - 1))
        slices.append(slice(first, int(np.clip(np.ceil((end - edge) / scale), first + 1, side))))
    return picture[slices[1], slices[0]]
