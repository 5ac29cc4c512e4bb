"""The stride as a clock: where in it each frame is, and curves that come again in every stride."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.gait.strides import Leg

#: Points of a stride at which a curve is looked at.
FINE = 240
#: Degree of the slow change that is taken out of a height: a camera that pans, a horse that comes nearer.
_SLOW = 3


@dataclass(frozen=True)
class Cycle:
    """Frames by their place in the stride of the left fore.

    Attributes:
        phase: [T], in strides, rising; whole numbers in the middle of a stance of the left fore. NaN outside of whole
            strides.
        number: [T], of the stride; -1 outside.
        strides: How many there are.
    """

    phase: np.ndarray
    number: np.ndarray
    strides: int

    def without(self, number: slice) -> Cycle:
        """The same without some strides."""
        left_out = np.isin(self.number, np.arange(self.strides)[number])
        return Cycle(np.where(left_out, np.nan, self.phase), self.number, self.strides)


def cycle_of(times: np.ndarray, leg: Leg) -> Cycle:
    """The clock of one leg's strides, from the middle of a stance to the next."""
    middles = leg.passing + (leg.down + leg.off) / 2 * leg.usual
    number = np.searchsorted(middles, times, side="right") - 1
    inside = (number >= 0) & (number < len(leg.whole))
    inside[inside] = leg.whole[number[inside]]
    phase = np.where(inside, np.interp(times, middles, np.arange(len(middles))), np.nan)
    return Cycle(phase, np.where(inside, number, -1), len(leg.whole))


def curve(cycle: Cycle, values: np.ndarray, harmonics: int) -> np.ndarray:
    """What comes again in every stride, [FINE]; from 0 in the middle of the left fore's stance.

    Args:
        cycle: Places the frames.
        values: [T]; NaN counts for nothing.
        harmonics: Of the stride that the curve is made of.

    Returns:
        NaN throughout where too few frames are known.
    """
    known = np.isfinite(cycle.phase) & np.isfinite(values)
    design = np.concatenate([slow(cycle.phase[known]), waves(cycle.phase[known], harmonics)], axis=1)
    if known.sum() < 2 * design.shape[1]:
        return np.full(FINE, np.nan)
    weights = np.linalg.lstsq(design, values[known], rcond=None)[0]
    centre = weights[0]
    return centre + waves(np.arange(FINE) / FINE, harmonics) @ weights[_SLOW + 1 :]


def slow(phase: np.ndarray) -> np.ndarray:
    """[T, 4]: a polynomial over all strides; its first column is 1, the others are 0 on average."""
    along = (phase - phase.mean()) / max(float(np.ptp(phase)), 1e-9) if len(phase) else phase
    columns = np.stack([along**n for n in range(_SLOW + 1)], axis=1)
    columns[:, 1:] -= columns[:, 1:].mean(axis=0) if len(phase) else 0.0
    return columns


def waves(phase: np.ndarray, harmonics: int) -> np.ndarray:
    """[T, 2 * harmonics]."""
    turns = 2 * np.pi * phase[:, None] * np.arange(1, harmonics + 1)
    return np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
