"""The user's own photos behind drawn horses: places, light and cameras that nobody has to draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equistera.dataset.images import ImageError, check_whole, read_header, read_reduced
from equistera.errors import UserError
from equistera.frames import picture_folder
from equistera.words import counted

#: A part of the photo that has the picture's shape is shown: at least this share of the largest there is.
LEAST_PART = 0.6


def find(folder: str | Path) -> tuple[tuple[Path, ...], list[str]]:
    """The photos in a folder and those below it.

    Returns:
        Those that can be read, in order of their names, and a line on each that cannot.

    Raises:
        UserError: There is no such folder, or no photo that can be read in it.
    """
    there = picture_folder(folder, None)
    photos, notes = [], list(there.notes)
    for path in (there.folder / name for name in there.names):
        try:
            check_whole(path, read_header(path))
        except ImageError as error:
            notes.append(str(error))
        else:
            photos.append(path)
    if not photos:
        raise UserError(f"none of {counted(len(there.names), 'pictures')} in {folder} can be read:", notes)
    return tuple(photos), notes


def paint(rng: np.random.Generator, photos: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """A part of one of the photos, half the time mirrored.

    Args:
        rng: Random numbers.
        photos: To choose from.
        size: Width and height, pixels.

    Returns:
        float32 [H, W, 3], sRGB 0-255.
    """
    photo = read_reduced(photos[int(rng.integers(len(photos)))], 2 * max(size))
    height, width = photo.shape[:2]
    scale = min(width / size[0], height / size[1]) * rng.uniform(LEAST_PART, 1)
    part = [max(1, round(side * scale)) for side in size]
    left, top = (int(rng.integers(whole - own + 1)) for whole, own in zip((width, height), part, strict=True))
    photo = photo[top : top + part[1], left : left + part[0]]
    if rng.random() < 0.5:
        photo = photo[:, ::-1]
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(photo), size, interpolation=way).astype(np.float32)
