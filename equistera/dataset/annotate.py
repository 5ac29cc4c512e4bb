"""From an animal of an export to a COCO annotation: displayed pixels, the skeleton's order, a box and an area."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from equistera.dataset.boxes import EDGE, MIN_AREA_SHARE, box_around, clip_box
from equistera.dataset.formats.records import Animal, Picture, Skip
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageHeader
from equistera.skeleton import Skeleton

Number = TypeVar("Number", float, np.ndarray)

#: Pixels that an animal reaches at least, if its points are any.
_ONE_PLACE = 1.5
#: Digits after the point that are kept: a thousandth of a pixel.
_DIGITS = 3


@dataclass(frozen=True)
class Frame:
    """How coordinates of an export become pixels of the displayed picture.

    Attributes:
        width: Pixels, as displayed.
        height: Pixels, as displayed.
        scale: Factors to pixels of the picture that the labelling tool showed.
        orientation: EXIF orientation by which that picture has still to be turned; 1 for none.
    """

    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    orientation: int = 1

    def to_pixels(self, x: Number, y: Number) -> tuple[Number, Number]:
        """A point of the export, or several, in pixels of the displayed picture."""
        x, y = x * self.scale[0], y * self.scale[1]
        # the stored picture's right and bottom edge, for the orientations that count from there
        right, bottom = self.width - 1, self.height - 1
        if self.orientation >= 5:
            right, bottom = bottom, right
        return {
            1: (x, y),
            2: (right - x, y),
            3: (right - x, bottom - y),
            4: (x, bottom - y),
            5: (y, x),
            6: (bottom - y, x),
            7: (bottom - y, right - x),
            8: (y, right - x),
        }[self.orientation]


def frame_of(picture: Picture, header: ImageHeader | None, stored: bool = False) -> Frame:
    """How the coordinates of a picture become pixels of the displayed one.

    Args:
        picture: From the export.
        header: Of the picture on disk, or None if it is not there: then the export's size counts.
        stored: The labels were made on the picture as it lies in the file, before its EXIF orientation.

    Raises:
        Unusable: Neither a picture nor the export gives a size.
    """
    if header is None:
        if picture.size is None:
            hint = "--img-dir names the folder of the pictures, which are needed for their size."
            raise Unusable("picture not found, and the export does not give its size", picture.names[0], hint)
        return Frame(*picture.size, scale=picture.size if picture.relative else (1.0, 1.0))
    labelled_on = header.stored_size if stored else header.size
    scale = labelled_on if picture.relative else (1.0, 1.0)
    return Frame(*header.size, scale=scale, orientation=header.orientation if stored else 1)


def placed(animal: Animal, frame: Frame, target: Mapping[str, str], skeleton: Skeleton) -> np.ndarray:
    """float64 [K, 3]: an animal's points in the skeleton's order, in pixels of the displayed picture, with their flags;
    NaN, NaN, 0 where not labelled."""
    points = np.full((len(skeleton), 3), (np.nan, np.nan, 0.0))
    for file_name, name in target.items():
        x, y, visibility = animal.points.get(file_name, (0.0, 0.0, 0))
        if visibility:
            points[skeleton.index[name]] = x, y, visibility
    with np.errstate(over="ignore"):  # what is no place in any picture is left out later
        points[:, 0], points[:, 1] = frame.to_pixels(points[:, 0].copy(), points[:, 1].copy())
    return points


def annotate(
    animal: Animal, frame: Frame, target: Mapping[str, str], skeleton: Skeleton, where: str = ""
) -> tuple[dict[str, object], list[Skip]]:
    """Makes a COCO annotation, without its ids.

    Args:
        animal: From the export.
        frame: Of its picture.
        target: The skeleton's keypoint by the file's name; other points are left out.
        skeleton: Gives the order of the result.
        where: The place in the export, for messages.

    Returns:
        The annotation, and what of the animal was left out: points outside the picture, and a box without a size in
        it, for which that around the points stands.

    Raises:
        Unusable: No labelled point is left, or there is neither a box nor points to make one from.
    """
    points = placed(animal, frame, target, skeleton)
    # NaN fails it, as what is not labelled should
    inside = ((points[:, :2] >= -EDGE) & (points[:, :2] <= (frame.width - 1 + EDGE, frame.height - 1 + EDGE))).all(
        axis=1
    )
    outside = [own for own, name in target.items() if points[k := skeleton.index[name], 2] and not inside[k]]
    points[~inside] = 0
    labelled = points[:, 2] > 0
    if not labelled.any():
        raise Unusable("no keypoint of the skeleton is labelled in the picture", ", ".join(outside[:5]))
    if (
        labelled.sum() > 2
        and (np.ptp(points[labelled, :2], axis=0) < _ONE_PLACE).all()
        and min(frame.width, frame.height) > 10 * _ONE_PLACE
    ):
        x, y = points[labelled, :2].max(axis=0)
        raise Unusable(
            "all its points lie in one place", f"at ({x:.3g}, {y:.3g}) in {frame.width}x{frame.height} pixels"
        )
    left_out = [Skip("point", where, "lies outside the picture", name) for name in outside]
    box = _box(animal, frame)
    if box is None and animal.box is not None:
        size = f"{animal.box[2]:g} x {animal.box[3]:g}"
        left_out.append(Skip("box", where, "has no size in the picture: made from the points", size))
    box = box or box_around(points[labelled, :2], frame.width, frame.height)
    if box is None:
        raise Unusable("no box, and its points span none", f"labelled points: {int(labelled.sum())}")
    box = [round(value, _DIGITS) for value in box]
    return {
        "keypoints": [value for x, y, v in points.tolist() for value in (round(x, _DIGITS), round(y, _DIGITS), int(v))],
        "num_keypoints": int(labelled.sum()),
        "bbox": box,
        "area": _area(animal, frame, box),
        "iscrowd": 0,
    }, left_out


def _box(animal: Animal, frame: Frame) -> list[float] | None:
    """The export's box, turned and clipped; None if it has none or nothing of it lies in the picture."""
    if animal.box is None or min(animal.box[2:]) <= 0:
        return None
    x, y, w, h = animal.box
    (x0, y0), (x1, y1) = frame.to_pixels(x, y), frame.to_pixels(x + w, y + h)
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        return None
    box = clip_box([min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)], frame.width, frame.height)
    # a sliver rounds to nothing
    return box if box is not None and min(box[2:]) >= 1 else None


def _area(animal: Animal, frame: Frame, box: list[float]) -> float:
    """The outline's area where the export has a plausible one, else the box's: never 0, which makes AP -1."""
    of_box = round(box[2] * box[3], _DIGITS)
    plausible = animal.area is not None and MIN_AREA_SHARE * of_box <= animal.area <= of_box
    return round(animal.area, _DIGITS) if plausible else of_box
