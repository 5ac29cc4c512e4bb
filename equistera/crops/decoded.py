"""Crops without a cache: the pixels that one would hold, made anew from the photo each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equistera.crops.pictures import ToPhoto, decode
from equistera.crops.plan import Crop, Request, cut
from equistera.dataset.images import read_header


class DecodedCrops:
    """What :class:`equistera.crops.store.CropStore` gives, bit for bit, without its file.

    Args:
        request: The crops that are wanted.
    """

    def __init__(self, request: Request):
        self._request = request
        self._planned: dict[int, Crop] = {}

    def __len__(self) -> int:
        return len(self._request.animals)

    def __getitem__(self, i: int) -> tuple[np.ndarray, ToPhoto]:
        """Crop ``i``: BGR uint8 [h, w, 3], and how its pixels map to the photo's.

        Raises:
            UserError: The photo is missing or cannot be decoded.
        """
        crop = self._planned.get(i)
        if crop is None:
            wanted, animal = self._request, self._request.animals[i]
            crop = self._planned[i] = wanted.crop(animal, read_header(animal.path))
        picture = decode(Path(crop.path).read_bytes(), crop.path, crop.header, crop.factor)
        return cut(picture, crop), crop.to_photo
