"""Which points of an animal that a teacher sees in an unlabelled picture are sure enough to be taught to a student."""

from __future__ import annotations

import numpy as np

from equistera.dataset.boxes import EDGE
from equistera.evaluation.instances import CORRECT
from equistera.labelling.doubt import Seen

#: Calibrated confidence from which a point is sure: that it is right (PCK@0.1). One of five may be wrong by that, so
#: the views below must agree as well.
CONFIDENT = 0.8
#: Distance, as a share of the animal's size, up to which the views, the teachers and the frames beside agree about a
#: point. What is taught is the mean over all of them, which is nearer to the truth (docs/benchmarks.md).
AGREED = CORRECT
#: Share of its points that must be sure for an animal to be taken: of one with fewer, the box is often wrong.
LEAST_SHARE = 0.25

#: Why a point is refused, in the order in which it is asked, and in words; the first that holds counts.
WHY = {
    "outside": "outside of their picture",
    "unsure": "below the confidence",
    "views": "elsewhere in a mirrored, larger or smaller view",
    "models": "elsewhere by another teacher",
    "jump": "not between the frames beside",
}


def refusals(seen: Seen, size: tuple[int, int], confident: float = CONFIDENT) -> np.ndarray:
    """Why each point of an animal is not sure: a key of :data:`WHY`, or "" for one that is.

    What nobody could ask (the only teacher, a picture without frames beside it) refuses nothing.

    Args:
        seen: The animal, K points.
        size: Width and height of its picture, pixels.
        confident: Confidence from which a point is sure.

    Returns:
        str [K].
    """
    inside = ((seen.agreed >= -EDGE) & (seen.agreed <= np.subtract(size, 1) + EDGE)).all(axis=1)
    # a confidence that is no number is not sure
    against = {"outside": ~inside, "unsure": ~(seen.confidence >= confident)}
    against |= {name: getattr(seen, name) > AGREED for name in ("views", "models", "jump")}
    return np.select(list(against.values()), list(against), "")


def is_taken(sure: int, points: int) -> bool:
    """Whether an animal is taken of whose points so many are sure."""
    return sure > 0 and sure >= LEAST_SHARE * points
