"""Which crops a data set needs: where each lies in its photo, how large it is stored, the name of their cache."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from equistera.augmentation import Augmentation
from equistera.crops.decoding import decode, from_blocks, reduction
from equistera.crops.geometry import Need, need_of
from equistera.dataset.images import ImageHeader

#: Changes whenever a crop's bytes would come out otherwise.
VERSION = 4


@dataclass(frozen=True)
class Animal:
    """An annotated animal.

    Attributes:
        path: Its picture.
        box: x1, y1, x2, y2, pixels.
        points: float [K, 2], pixels.
        visible: float [K], above 0 where labelled.
    """

    path: str
    box: Sequence[float]
    points: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class Crop:
    """A part of a photo, stored at the resolution that it is needed at.

    Attributes:
        path: The picture.
        header: Of the picture.
        region: x1, y1, x2, y2 in pixels of the photo; x2 and y2 are the first ones outside. The last pixels of a
            photo that is decoded smaller may reach beyond its edge.
        size: Width and height as stored.
        factor: The photo is decoded at 1/factor for it.
    """

    path: str
    header: ImageHeader
    region: tuple[int, int, int, int]
    size: tuple[int, int]
    factor: int = 1

    @property
    def to_photo(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Scale and offset in x and in y that take the crop's pixels to the photo's."""
        x1, y1, x2, y2 = self.region
        return from_blocks((x2 - x1) / self.size[0], x1), from_blocks((y2 - y1) / self.size[1], y1)


@dataclass(frozen=True)
class Request:
    """The crops that a data set wants.

    Attributes:
        label: What a person knows it by; starts the names of its caches.
        animals: Its animals.
        halves: Keypoints of the upper and of the lower body.
        presets: What augmentation draws from.
        input_size: Width and height of the network's input.
    """

    label: str
    animals: Sequence[Animal]
    halves: Sequence[Sequence[int]]
    presets: Sequence[Augmentation]
    input_size: tuple[int, int]
    _needs: dict[int, Need] = field(default_factory=dict, init=False, repr=False)

    def need(self, i: int) -> Need:
        """What the views of animal ``i`` need of its photo."""
        if i not in self._needs:
            animal = self.animals[i]
            shape = animal.box, animal.points, animal.visible
            self._needs[i] = need_of(*shape, self.halves, self.presets, self.input_size)
        return self._needs[i]

    def crop(self, i: int, header: ImageHeader) -> Crop:
        """The crop of animal ``i``, whose picture has this header."""
        need = self.need(i)
        density = min(1.0, need.density)
        factor = reduction(header, 1 / density)
        (x1, y1, x2, y2), (width, height) = need.region, header.size
        # at least a pixel of a box that lies beside its picture
        x1, y1 = int(np.clip(math.floor(x1), 0, width - 1)), int(np.clip(math.floor(y1), 0, height - 1))
        x2, y2 = int(np.clip(math.ceil(x2), x1 + 1, width)), int(np.clip(math.ceil(y2), y1 + 1, height))
        x1, y1 = (value // factor * factor for value in (x1, y1))
        x2, y2 = (-(-value // factor) * factor for value in (x2, y2))
        # rounded before it is rounded up: what is a whole number but for the last bit stays one
        size = math.ceil(round((x2 - x1) * density, 6)), math.ceil(round((y2 - y1) * density, 6))
        return Crop(self.animals[i].path, header, (x1, y1, x2, y2), size, factor)

    def name(self) -> str:
        """Name of the cache that holds these crops of the pictures as they are now.

        It follows from all that a crop's bytes follow from. For a picture's content stand its file's name, size, time
        of modification and time of change, which nobody can set: no picture is read.

        Raises:
            OSError: A picture is missing.
        """
        states = {path: _state(path) for path in {animal.path for animal in self.animals}}
        needs = map(self.need, range(len(self.animals)))
        rows = [[*states[a.path], *need.region, need.density] for a, need in zip(self.animals, needs, strict=True)]
        key = hashlib.blake2b(json.dumps([VERSION, rows]).encode(), digest_size=12).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', self.label)}-{key}"


def _state(path: str) -> tuple[str, int, int, int]:
    status = os.stat(path)
    return os.path.basename(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def decoded(crop: Crop) -> np.ndarray:
    """The photo of a crop, decoded at 1/factor.

    Raises:
        UserError: It cannot be decoded.
        OSError: It cannot be read.
    """
    return decode(Path(crop.path).read_bytes(), crop.path, crop.header, crop.factor)


def cut(picture: np.ndarray, crop: Crop) -> np.ndarray:
    """The pixels of a crop, uint8 [h, w, 3], contiguous, from its photo decoded at 1/factor."""
    return _resized(_part(picture, crop.region, crop.factor), crop.size)


def cut_whole(picture: np.ndarray, crop: Crop) -> np.ndarray:
    """As :func:`cut`, from the whole photo: its blocks are averaged here instead of by a JPEG's decoder."""
    part = _part(picture, crop.region, 1)
    return _resized(_resized(part, tuple(side // crop.factor for side in part.shape[1::-1])), crop.size)


def _part(picture: np.ndarray, region: tuple[int, int, int, int], factor: int) -> np.ndarray:
    x1, y1, x2, y2 = (value // factor for value in region)
    part = picture[y1:y2, x1:x2]
    right, below = (x2 - x1) - part.shape[1], (y2 - y1) - part.shape[0]
    if right or below:
        part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return part


def _resized(part: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if part.shape[1::-1] == size:
        return np.ascontiguousarray(part)
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
