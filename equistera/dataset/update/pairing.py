"""Which animal of an export is which of the data set's, in one picture.

A correction leaves most points where they were, to the hundredth of a pixel: that is the surest mark. Where all points
were moved, or another horse's got them, boxes decide. Where several animals could be meant nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equistera.dataset.boxes import overlaps

#: Pixels within which a number is the same: CVAT writes hundredths, YOLO files parts of the picture, and nobody clicks
#: that exactly.
SAME = 0.05
#: The same where all numbers are rounded to whole pixels; a hair more than a half.
WHOLE = 0.501
#: So many points in their old places tell an animal from every other one, or all of those of an animal with fewer.
_ENOUGH = 3
#: Intersection over union from which boxes are of one animal, and below which they have nothing to do with each other.
_ONE, _APART = 0.5, 0.1


class AmbiguousError(ValueError):
    """Several animals could be meant; the text says which."""


def rounding(found: Sequence[np.ndarray]) -> float:
    """Pixels within which a number of an export is the same: half of one where it rounds, as Label Studio's COCO.

    Args:
        found: float [K, 3] each, all of the export's animals.
    """
    labelled = [points[points[:, 2] > 0, :2] for points in found]
    whole = all((points == np.round(points)).all() for points in labelled)
    return WHOLE if whole else SAME


def paired(
    known: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    known_boxes: Sequence[Sequence[float]],
    found_boxes: Sequence[Sequence[float]],
    same: float = SAME,
) -> list[tuple[int, int]]:
    """Pairs of positions of animals that are the same.

    Args:
        known: float [K, 3] each, x, y and flag; the data set's animals in the picture.
        found: Likewise, the export's.
        known_boxes: x, y, width, height of each.
        found_boxes: Likewise.
        same: From :func:`rounding`.

    Raises:
        AmbiguousError: Animals are left that could be one another.
    """
    likeness = [[_unmoved(one, other, same) for other in found] for one in known]
    stayed = np.reshape(likeness, (len(known), len(found)))
    overlap = overlaps(np.reshape(known_boxes, (-1, 4)), np.reshape(found_boxes, (-1, 4)))
    pairs = _outstanding(stayed, stayed >= 1)
    left = _left(pairs, overlap)
    pairs += _outstanding(np.where(left, overlap, 0), overlap >= _ONE)
    left = _left(pairs, overlap)
    if left.sum() == 1 and (left & (overlap > _APART)).any():
        # the only one that is left for the only one that is left
        pairs += map(tuple, np.argwhere(left).tolist())
    elif (left & (overlap > _APART)).any():
        i, j = np.argwhere(left & (overlap > _APART))[0].tolist()
        raise AmbiguousError(
            f"animal {j + 1} of the export overlaps with animal {i + 1} of the data set, and neither points nor boxes "
            "say that it is that one"
        )
    return sorted(pairs)


def _unmoved(one: np.ndarray, other: np.ndarray, same: float) -> float:
    """Points that have stayed in their places, as a share of what is enough."""
    labelled = (one[:, 2] > 0) & (other[:, 2] > 0)
    stayed = labelled & (np.abs(one[:, :2] - other[:, :2]) <= same).all(axis=1)
    return stayed.sum() / max(1, min(_ENOUGH, (one[:, 2] > 0).sum()))


def _outstanding(likeness: np.ndarray, alike: np.ndarray) -> list[tuple[int, int]]:
    """Pairs that are alike, and twice as much so as either is to any other."""
    pairs = []
    for i, j in np.argwhere(alike & (likeness > 0)).tolist():
        others = [*np.delete(likeness[i], j), *np.delete(likeness[:, j], i)]
        if likeness[i, j] >= 2 * max(others, default=0):
            pairs.append((i, j))
    return pairs


def _left(pairs: Sequence[tuple[int, int]], shape_of: np.ndarray) -> np.ndarray:
    """bool, which pairs are still possible."""
    left = np.ones(shape_of.shape, dtype=bool)
    for i, j in pairs:
        left[i], left[:, j] = False, False
    return left
