"""What a picture looks like, in numbers: how sharp it is, its colours and shapes, and hashes that find it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from equistera.dataset.phash import Turned, hashes_of

#: Longest side, pixels, at which sharpness is measured: what is blurred there is blurred for a labeller too.
_SHARP_SIDE = 640
#: Standard deviation of the blur that fine detail is compared with, pixels.
_COARSE = 2.0
#: Mean square of the coarse gradient (levels of 255 a pixel) below which a picture shows nothing at all.
_FLAT = 0.05
#: Columns and rows of the layout of colours, and of the grid of gradient histograms with so many directions.
_LAYOUT, _GRID, _DIRECTIONS = (8, 6), (4, 3), 8
#: Width and height of the version that shapes are taken from.
_SMALL = (160, 120)


@dataclass(frozen=True)
class Look:
    """A picture in numbers.

    Attributes:
        sharpness: Fine by coarse detail, see :func:`sharpness`.
        hashes: See :func:`equistera.dataset.phash.hashes_of`.
        colours: float32 [8 * 6 * 3], the layout of colours in Lab.
        shapes: float32 [4 * 3 * 8], how much goes which way where.
    """

    sharpness: float
    hashes: Turned
    colours: np.ndarray
    shapes: np.ndarray


def look_at(image: np.ndarray, box: Sequence[float] | None = None) -> Look:
    """Looks at a picture.

    Args:
        image: RGB uint8 [H, W, 3].
        box: x, y, width, height of the part that must be sharp, such as an animal; the whole by default.
    """
    small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA)
    return Look(
        sharpness(image if box is None else _part(image, box)),
        hashes_of(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)),
        _colours(small),
        _shapes(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)),
    )


def _part(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    height, width = image.shape[:2]
    low = np.clip(np.floor(box[:2]), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(np.add(box[:2], box[2:])), low + 1, [width, height]).astype(int)
    return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])


def sharpness(image: np.ndarray) -> float:
    """Energy of the gradient by that of the picture a little blurred, down or across, whichever is less.

    Blur takes fine detail first. Dividing by what is coarse makes it the same in bright and dark, plain and busy
    pictures. It is comparable between frames of one video; cameras, lenses and compression have levels of their own.

    Args:
        image: RGB uint8 [H, W, 3].

    Returns:
        From about 1 (nothing fine) upwards; 0 of a picture that shows nothing.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    factor = _SHARP_SIDE / max(grey.shape)
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if min(grey.shape) < 2:
        return 0.0
    fine, coarse = _energies(grey), _energies(cv2.GaussianBlur(grey, (0, 0), _COARSE))
    # a camera that pans blurs one direction only
    return float((fine / np.maximum(coarse, _FLAT)).min()) if coarse.max() > _FLAT else 0.0


def _energies(grey: np.ndarray) -> np.ndarray:
    """Mean squares of the gradient, down and across."""
    return np.array([np.square(np.diff(grey, axis=axis)).mean() for axis in (0, 1)])


def _colours(small: np.ndarray) -> np.ndarray:
    layout = cv2.resize(small, _LAYOUT, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(layout.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).ravel()


def _shapes(grey: np.ndarray) -> np.ndarray:
    """Histograms of gradient directions (0 to 180 degrees) in the cells of a grid, as in HOG, of length 1 in all."""
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    direction = (np.arctan2(down, across) % np.pi) / np.pi * _DIRECTIONS
    bins = np.minimum(direction.astype(int), _DIRECTIONS - 1)
    rows = np.arange(grey.shape[0])[:, None] * _GRID[1] // grey.shape[0]
    columns = np.arange(grey.shape[1])[None] * _GRID[0] // grey.shape[1]
    places = ((rows * _GRID[0] + columns) * _DIRECTIONS + bins).ravel()
    sums = np.bincount(places, strength.ravel(), _GRID[0] * _GRID[1] * _DIRECTIONS)
    length = np.linalg.norm(sums)
    return (sums / length if length > 0 else sums).astype(np.float32)
