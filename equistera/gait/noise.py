"""How exactly the points of a track are known, told from the track itself.

A horse does in every stride about the same. What a point does besides, from stride to stride, is the noise of the
points and the horse's own unevenness; here all of it counts as noise. The spread that comes with smoothed tracks knows
only noise that changes from frame to frame (docs/tracks.md), so of both the larger is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.gait.body import Body
from equistera.gait.cycle import Cycle, slow, waves

#: Harmonics of a stride that a point's way is made of. Their size may change evenly over the strides.
_HARMONICS = 6
#: What frames have in common with the next ones is taken to be at most so much.
_MOST = 0.95
#: Frames beyond what is fitted to them that tell noise.
_FREE = 10


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
        noise = rng.standard_normal((frames, len(self.size), 2))
        for t in range(1, frames):
            noise[t] = self.lasts * noise[t - 1] + np.sqrt(1 - self.lasts**2) * noise[t]
        return noise * self.size[:, None]


def noise_of(body: Body, cycle: Cycle, spread: np.ndarray) -> Noise:
    """What is left of the points when what every stride does is taken out.

    Args:
        body: The points.
        cycle: Places the frames in the stride.
        spread: [K], the track's own, pixels; NaN where it is not known.
    """
    inside = np.isfinite(cycle.phase)
    length = float(np.median(body.upright))
    size, shares = np.zeros(len(spread)), []
    for name, k in body.index.items():
        # along the body every point is measured from the trunk: its own two points tell no noise along it
        seen = [body.height(name)] if name in ("withers", "tail_base") else [body.height(name), body.forward(name)]
        left = []
        for values in seen:
            known = inside & np.isfinite(values)
            phase = cycle.phase[known]
            design = np.concatenate([slow(phase), *_repeating(phase)], axis=1)
            free = len(phase) - design.shape[1]
            if free < _FREE:
                continue
            rest = values[known] - design @ np.linalg.lstsq(design, values[known], rcond=None)[0]
            left.append(float((rest**2).sum() / free))
            beside = np.diff(np.flatnonzero(known)) == 1
            if left[-1] > 0:
                shares.append(float((rest[1:] * rest[:-1])[beside].sum() / (rest**2).sum()))
        if left:
            size[k] = length * np.sqrt(np.mean(left))
    known = np.isfinite(body.points).any(axis=(0, 2))
    own = np.where(known & np.isfinite(spread), spread, 0.0)
    lasts = float(np.clip(np.median(shares), 0.0, _MOST)) if shares else 0.0
    return Noise(np.maximum(size, own), lasts, int((own > size).sum()))


def _repeating(phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The waves of a stride, and the same growing over the strides."""
    each = waves(phase, _HARMONICS)
    return each, (phase - phase.mean() if len(phase) else phase)[:, None] * each
