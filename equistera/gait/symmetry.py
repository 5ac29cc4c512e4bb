"""How evenly head, withers and croup rise and sink on both sides, at the trot.

In a stride of the trot the body sinks twice, on each diagonal pair of legs. MinDiff is the difference of the two
minima, MaxDiff that of the two maxima of a part's height (HDmin, HDmax, PDmin and PDmax of Rhodin et al., PLoS ONE 12:
e0176253, 2017). Their sign is that of Fig. 1 of PMC5032979 (Equine Vet J, evj12446), where values above 0 are what is
seen when the right leg of the pair is spared:

- MinDiff: the lowest height while the right leg stands less the lowest while the left one does;
- MaxDiff: the highest height after the left leg's stance less the highest after the right one's.

The leg is the fore for head and withers and the hind for the croup. The head is told by the nose; the croup by the tail
base, a proxy, where the skeleton has no point ``croup``.
"""

from __future__ import annotations

import numpy as np

from equistera.gait.body import Body
from equistera.gait.cycle import FINE, Cycle, curve

#: Harmonics of the stride that a height is made of. Keegan, Pai, Wilson and Smith (Equine Vet J 33, 2001) take a head's
#: movement apart into one that comes once, one that comes twice and the rest; the others give the curve its shape.
HARMONICS = 4


def parts_of(names: dict[str, int]) -> dict[str, str]:
    """The keypoint that tells each part."""
    parts = {"head": "nose", "withers": "withers", "croup": "croup" if "croup" in names else "tail_base"}
    return {part: name for part, name in parts.items() if name in names}


def curves_of(body: Body, cycle: Cycle) -> dict[str, np.ndarray]:
    """[FINE] by part: height in a stride, body lengths, from the middle of the left fore's stance; NaN: not known."""
    return {part: curve(cycle, body.height(name), HARMONICS) for part, name in parts_of(body.index).items()}


def differences(height: np.ndarray, hind: bool) -> tuple[float, float]:
    """MinDiff and MaxDiff of a curve.

    Args:
        height: [FINE], from the middle of the left fore's stance, in which the right hind stands, too.
        hind: Whether the sides are told by the hind legs.

    Returns:
        Body lengths; NaN where a half of the stride has no minimum or no maximum of its own.
    """
    half, quarter = FINE // 2, FINE // 4
    on_left, on_right = (np.roll(height, quarter - shift)[: half + 1] for shift in (0, half))
    after_left, after_right = (np.roll(height, -shift)[: half + 1] for shift in (0, half))
    least = _extreme(on_right, -1) - _extreme(on_left, -1)
    most = _extreme(after_left, 1) - _extreme(after_right, 1)
    return (-least, -most) if hind else (least, most)


def _extreme(values: np.ndarray, sign: int) -> float:
    at = int(np.argmax(sign * values))
    return float(values[at]) if 0 < at < len(values) - 1 else np.nan
