"""Decoding no more of a photo than is needed: a JPEG at a fraction of its size, averages instead of left-out pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from equistera.dataset.images import ImageHeader, read_rgb
from equistera.errors import UserError

#: Scale and offset in x and in y, from the pixels of a picture to those of the photo that it was taken from.
ToPhoto = tuple[tuple[float, float], tuple[float, float]]

#: OpenCV's flags for decoding at 1/factor, largest factor first.
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
#: Pixels, OpenCV's own limit; no JPEG can have longer sides.
_MOST_SIDE = 1 << 20


def reduction(header: ImageHeader, wanted: float) -> int:
    """The largest factor, at most ``wanted``, by which a picture can be decoded smaller.

    Only a JPEG's decoder averages blocks of pixels. It pads on the right and below, so a picture that is turned for
    display has no whole blocks at its left or upper edge unless its sides are multiples of the factor.
    """
    if header.format != "JPEG":
        return 1
    for factor in REDUCED:
        whole = all(side % factor == 0 for side in header.size)
        if factor <= wanted and (whole or header.orientation == 1):
            return factor
    return 1


def decode(content: bytes, path: str | Path, header: ImageHeader, factor: int = 1) -> np.ndarray:
    """Decodes a picture as it is displayed.

    Args:
        content: The file's.
        path: Its name, for messages.
        header: What :func:`equistera.dataset.images.read_header` says of it.
        factor: As :func:`reduction` gives it.

    Returns:
        BGR uint8 [ceil(height / factor), ceil(width / factor), 3]; pixel (i, j) is the average of a block of
        ``factor`` x ``factor`` whose first pixel is (i * factor, j * factor).

    Raises:
        UserError: The picture cannot be decoded.
    """
    picture = None
    if header.format == "JPEG":
        if content:
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), REDUCED.get(factor, cv2.IMREAD_COLOR))
    elif max(header.size) <= _MOST_SIDE:
        # OpenCV has no HEIC, and drops transparency where everybody else shows it over white
        picture = cv2.cvtColor(read_rgb(path, content), cv2.COLOR_RGB2BGR)
    expected = tuple(-(-side // factor) for side in (header.height, header.width))
    if picture is None or picture.shape[:2] != expected:
        found = "" if picture is None else f": it has {picture.shape[1]}x{picture.shape[0]} pixels, not {expected}"
        raise UserError(
            f"cannot decode {path}{found}", hint="tools/verify_dataset.py names every unreadable picture of a data set"
        )
    return picture


def from_blocks(factor: float, start: float = 0.0) -> tuple[float, float]:
    """Scale and offset that take a coordinate in a picture of averages to the larger one: ``x * scale + offset``.

    ``factor`` pixels of the larger picture, from ``start`` on, were averaged into one along this axis.
    """
    return factor, start + (factor - 1) / 2


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``cv2.warpAffine`` that averages the pixels it makes smaller, instead of leaving some out.

    A picture that would shrink by more than 1.5 is first averaged over blocks of a whole number of pixels, where the
    result shows it, so that the warp is left with a factor of 0.75 to 1.5.

    Args:
        image: uint8 [H, W, 3]; outside of it all is black.
        matrix: float64 [2, 3], from its pixels to those of the result.
        size: Width and height of the result.

    Returns:
        uint8 [height, width, 3].
    """
    factor = round(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor > 1:
        x1, y1, x2, y2 = _shown(image, matrix, size, factor)
        if x2 - x1 >= factor and y2 - y1 >= factor:
            blocks = (x2 - x1) // factor, (y2 - y1) // factor
            part = image[y1 : y1 + blocks[1] * factor, x1 : x1 + blocks[0] * factor]
            image = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
            (scale, x), (_, y) = from_blocks(factor, x1), from_blocks(factor, y1)
            matrix = matrix @ np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)


def _shown(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], factor: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the part that the result reads; blocks start at multiples of ``factor``."""
    inverse = cv2.invertAffineTransform(matrix)
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ inverse.T
    low = np.floor(corners.min(axis=0) - 2 * factor).astype(int) // factor * factor
    high = np.ceil(corners.max(axis=0) + 2 * factor).astype(int)
    limit = image.shape[1], image.shape[0]
    x1, y1 = (int(np.clip(value, 0, side)) // factor * factor for value, side in zip(low, limit, strict=True))
    x2, y2 = (int(np.clip(value, 0, side)) for value, side in zip(high, limit, strict=True))
    return x1, y1, x2, y2
