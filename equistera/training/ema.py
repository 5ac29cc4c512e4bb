"""Averaged weights (exponential moving average): how fast they forget, from the length of the run.

A decay copied from a large data set is wrong here: at 0.9998 the average still holds half of what the weights were
3,465 steps ago, and a few hundred pictures may have no more steps than that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Half-life as a share of the run: an average over the last steps that the cosine has brought near to rest.
SHARE = 0.02

#: Longest half-life in steps, about that of the decay 0.9998 that MMPose's RTMPose configs have for large data sets.
AT_MOST = 3500

USUAL = {"share": SHARE, "at_most": AT_MOST}


@dataclass(frozen=True)
class Ema:
    """An average of the weights over the steps, ``average = decay x average + (1 - decay) x weights``.

    Attributes:
        half_life: Steps after which a weight counts half, once the start is over.
    """

    half_life: float

    @property
    def decay(self) -> float:
        """The decay once the start is over."""
        return 0.5 ** (1 / self.half_life)

    def decay_at(self, step: int) -> float:
        """The decay at an optimiser step (from 0).

        It begins at 0.1 and rises as ``(1 + step) / (10 + step)``, so that the average leaves the starting weights
        within a few steps (the rule of TensorFlow's ``tf.train.ExponentialMovingAverage`` with ``num_updates``).
        """
        return min(self.decay, (1 + step) / (10 + step))

    @property
    def start_steps(self) -> int:
        """Steps that the start takes: after them the decay is what the half-life says."""
        # (1 + t) / (10 + t) >= decay, solved for t
        return max(0, math.ceil((10 * self.decay - 1) / (1 - self.decay)))


def make_ema(settings: Mapping | None, total_steps: int) -> Ema | None:
    """The average that fits a run.

    Args:
        settings: ``ema`` of the config: None for no average, or ``dict(share=, at_most=)`` with the half-life as a
            share of the run and its limit in steps, both optional.
        total_steps: Optimiser steps of the run.

    Returns:
        The average, or None.
    """
    if settings is None:
        return None
    share, at_most = (own if (own := settings.get(name)) is not None else usual for name, usual in USUAL.items())
    # no floor: in a run of a few steps there is nothing to average, and the average is the weights themselves
    return Ema(min(share * max(1, total_steps), at_most))
