"""Strides from hooves: when each lands and lifts off, and what follows from that.

A hoof that stands goes back under the horse as fast as the horse goes on, and in the air it comes forward again. So a
stance lies between the moment when the hoof is farthest in front of the trunk and when it is farthest behind (as in the
coordinate method of Zeni, Richards and Higginson, Gait & Posture 27, 2008), which needs no ground and holds for a
camera that pans. Within that it begins where the hoof goes back with half of its speed in the middle, and ends where it
no longer does: at both ends it is drawn along or swings a little.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError
from equistera.gait.body import LEGS, Body

#: A hoof's way along the body, body lengths, from which it takes strides; one that stands only shifts.
MOVES = 0.15
#: Shortest stride of any horse, seconds (a racing gallop has 0.42).
SHORTEST = 0.3
#: Strides of each leg that are needed at least.
LEAST = 2


@dataclass(frozen=True)
class Strides:
    """One leg's strides; N of them.

    Attributes:
        down: [N], when the hoof lands, seconds.
        off: [N], when it lifts off.
        next_down: [N], when it lands again.
        speed: [N], of the body over the ground while the hoof stands, body lengths a second.
    """

    down: np.ndarray
    off: np.ndarray
    next_down: np.ndarray
    speed: np.ndarray

    @property
    def values(self) -> dict[str, np.ndarray]:
        """[N] each: ``stride`` time, ``stance`` and ``swing`` time in seconds, ``duty`` factor (stance by stride time;
        Hildebrand 1965), ``speed`` in body lengths a second, ``length`` of the stride in body lengths."""
        stride, stance = self.next_down - self.down, self.off - self.down
        return {
            "stride": stride,
            "stance": stance,
            "swing": stride - stance,
            "duty": stance / stride,
            "speed": self.speed,
            "length": self.speed * stride,
        }


def strides_of(body: Body) -> dict[str, Strides]:
    """The strides of every leg.

    Raises:
        UserError: The horse stands, or no leg takes two whole strides.
    """
    ways = {leg: body.forward(f"{leg}_hoof") for leg in LEGS}
    reach = {leg: float(np.subtract(*np.percentile(way, [95, 5]))) for leg, way in ways.items()}
    if max(reach.values()) < MOVES:
        raise UserError(
            f"the horse stands: its hooves move {max(reach.values()):.2f} body lengths along its body at most",
            hint=f"Strides are measured from {MOVES:g} on",
        )
    period = _period(body.times, np.stack(list(ways.values())))
    found = {leg: _strides(body.times, way, period) for leg, way in ways.items()}
    if max(len(strides.down) for strides in found.values()) < LEAST:
        raise UserError(f"no leg takes {LEAST} whole strides in {body.times[-1] - body.times[0]:.1f} s")
    return found


def _period(times: np.ndarray, ways: np.ndarray) -> float:
    """The usual time of a stride, seconds: where the hooves' ways are most like themselves later."""
    step = float(np.median(np.diff(times)))
    even = np.arange(times[0], times[-1], step)
    centred = np.stack([np.interp(even, times, way - way.mean()) for way in ways])
    lags = np.arange(int(SHORTEST / step) + 1, len(even) // 2 + 1)
    if not len(lags):
        return float(times[-1] - times[0])
    alike = np.array([(centred[:, :-lag] * centred[:, lag:]).mean() / (centred**2).mean() for lag in lags.tolist()])
    peaks = [i for i in range(1, len(alike) - 1) if alike[i] >= alike[i - 1] and alike[i] >= alike[i + 1]]
    good = [i for i in peaks if alike[i] >= 0.8 * max(alike[peaks])]
    return float(lags[good[0] if good else int(np.argmax(alike))] * step)


def _strides(times: np.ndarray, way: np.ndarray, period: float) -> Strides:
    fronts = _extremes(times, way, period)
    backs = _extremes(times, -way, period)
    stances = []
    for front in fronts:
        later = backs[backs > front]
        if len(later) and later[0] - front < period:
            stances.append(_stance(times, way, front, later[0]))
    rows = []
    for (down, off, speed), (next_down, _, _) in itertools.pairwise(stances):
        if 0.5 * period < next_down - down < 1.6 * period:
            rows.append((down, off, next_down, speed))
    return Strides(*np.array(rows, dtype=float).reshape(-1, 4).T)


def _stance(times: np.ndarray, way: np.ndarray, front: float, back: float) -> tuple[float, float, float]:
    """When a hoof lands and lifts off between two extremes of its way, and how fast it goes back meanwhile."""
    between, speed = (times[1:] + times[:-1]) / 2, -np.diff(way) / np.diff(times)
    inner = (between > front + 0.3 * (back - front)) & (between < back - 0.3 * (back - front))
    usual = float(np.median(speed[inner])) if inner.any() else float(np.interp((front + back) / 2, between, speed))
    fine = np.linspace(front, back, 400)
    fast = np.flatnonzero(np.interp(fine, between, speed) >= usual / 2)
    middle = len(fine) // 2
    # the stretch around the middle in which it is fast without a break
    slow = np.setdiff1d(np.arange(len(fine)), fast)
    before, after = slow[slow < middle], slow[slow > middle]
    return (
        float(fine[before[-1]] if len(before) else front),
        float(fine[after[0]] if len(after) else back),
        usual,
    )


def _extremes(times: np.ndarray, way: np.ndarray, period: float) -> np.ndarray:
    """When a way is highest, once a period, between the frames: the top of a parabola through three of them."""
    around = period / 2.2
    found = []
    for t in range(1, len(times) - 1):
        near = np.abs(times - times[t]) <= around
        if way[t] < way[near].max() or (found and times[t] - found[-1] < around):
            continue
        # at the ends of the video it may go on rising
        if times[t] - times[0] < 0.1 * period or times[-1] - times[t] < 0.1 * period:
            continue
        a, b, _ = np.polyfit(times[t - 1 : t + 2] - times[t], way[t - 1 : t + 2], 2)
        shift = -b / (2 * a) if a < 0 else 0.0
        found.append(float(times[t] + np.clip(shift, times[t - 1] - times[t], times[t + 1] - times[t])))
    return np.array(found)
