"""How exactly the points of a track are known, told from the track itself.

A horse does in every stride about the same. What a point does besides, from stride to stride, is the noise of the
points and the horse's own unevenness; here all of it counts as noise. The spread that comes with smoothed tracks knows
only noise that changes from frame to frame (docs/tracks.md), so of both the larger is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from equistera.gait.body import Body
from equistera.gait.cycle import Cycle, waves
from equistera.gait.strides import mean_way

#: Harmonics of a stride that a point's way is made of. Their size may change evenly over the strides.
_HARMONICS = 6
#: What frames have in common with the next ones is taken to be at most so much.
_MOST = 0.95


@dataclass(frozen=True)
class Noise:
    """Noise of an animal's points.

    Attributes:
        size: [K], standard deviation along one axis, pixels; 0 for points that are never known.
        lasts: Share of the noise of a frame that is still there in the next one, 0 to 1.
        spreads: Points for which the track's own spread was the larger.
    """

    size: np.ndarray
    lasts: float
    spreads: int

    def drawn(self, rng: np.random.Generator, frames: int) -> np.ndarray:
        """[frames, K, 2], pixels: noise as it might have been."""
        fresh = rng.standard_normal((frames, len(self.size), 2))
        fresh[1:] *= np.sqrt(1 - self.lasts**2)
        return lfilter([1.0], [1.0, -self.lasts], fresh, axis=0) * self.size[:, None]


def noise_of(body: Body, cycle: Cycle, usual: float, spread: np.ndarray) -> Noise:
    """What is left of the points when what every stride does is taken out.

    Args:
        body: The points.
        cycle: Places the frames in the stride.
        usual: Time of a stride, seconds.
        spread: [K], the track's own, pixels; NaN where it is not known.
    """
    inside = np.isfinite(cycle.phase)
    size, shares = np.zeros(len(spread)), []
    for k in range(len(spread)):
        left = []
        for axis in (0, 1):
            values = body.points[:, k, axis]
            known = inside & np.isfinite(values)
            design = _design(cycle.phase[known])
            if known.sum() < design.shape[1] + 10:
                continue
            rest = values[known] - mean_way(body.times, values, usual)[known]
            rest = rest - design @ np.linalg.lstsq(design, rest, rcond=None)[0]
            free = known.sum() - design.shape[1]
            left.append(float((rest**2).sum() / free))
            beside = np.diff(np.flatnonzero(known)) == 1
            if (rest**2).sum() > 0:
                shares.append(float((rest[1:] * rest[:-1])[beside].sum() / (rest**2).sum()))
        if left:
            size[k] = np.sqrt(np.mean(left))
    own = np.where(np.isfinite(spread), spread, 0.0)
    lasts = float(np.clip(np.median(shares), 0.0, _MOST)) if shares else 0.0
    return Noise(np.maximum(size, own), lasts, int((own > size).sum()))


def _design(phase: np.ndarray) -> np.ndarray:
    along = phase - phase.mean() if len(phase) else phase
    each = waves(phase, _HARMONICS)
    return np.concatenate([np.ones((len(phase), 1)), along[:, None], each, along[:, None] * each], axis=1)
