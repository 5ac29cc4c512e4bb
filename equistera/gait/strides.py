"""Strides from hooves: how long they take, when each hoof lands and lifts off, and how far the horse comes.

A hoof that stands goes back under the horse as fast as the horse goes on: beside the trunk it draws a straight line
over time, and its height stays. It lands and lifts off where it leaves that line or that height; that needs no ground
on the picture and holds for a camera that pans. (Of five known ways Boye et al., J Biomech 47, 2014, found the hoof's
speed beside the body's best at the walk; Starke and Clayton, PeerJ 3:e783, 2015, take the hoof's speed and the way that
it has left its place by.) The strides of a leg are laid over each other before that, so that the moments are found
between the frames, and noise is averaged out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from equistera.errors import UserError
from equistera.gait.body import LEGS, Body
from equistera.gait.contact import stance_of
from equistera.words import counted

#: A hoof's way along the body, body lengths, from which it takes strides; one that stands only shifts.
MOVES = 0.15
#: Times of a stride that are looked for, seconds: shorter than a racing gallop's, longer than a slow walk's.
PERIODS = (0.3, 2.0)
#: How much the legs' stride times may differ, by the shortest.
AGREE = 1.1
#: Left and right hoof are told apart where the distance between them, root mean square by the sum of both ways', is as
#: large as this (1 where one goes forward while the other goes back, 0.37 where one follows an eighth of a stride
#: behind), and each is in front for at least such a share of the time.
APART, IN_FRONT = 0.35, 0.2
#: All legs carry one body: how much their lengths of a stride may differ, by the shortest, and their duty factors.
SAME_LENGTH, SAME_DUTY = 1.3, 0.12
#: Strides of each leg that are needed at least.
LEAST = 3
#: Share of the time of a stride by which one may differ from the usual.
_REGULAR = 0.3
#: Part of the usual stride, on either side of a hoof's passing below the body, whose frames say when that was.
_PASSING = 0.12
_SWAPPED = "Were left and right exchanged for a while? The quality page of tools/analyze.py shows such moments."


@dataclass(frozen=True)
class Leg:
    """One leg's strides.

    Attributes:
        passing: [N + 1] moments, seconds, at which the hoof passes below the body while it stands.
        whole: bool [N], whether a whole stride lies between two of them (else: a gap in the track).
        down: When the hoof lands, from its passing, as part of a stride: below 0.
        off: When it lifts off, as part of a stride.
        lengths: [N + 1], of a stride, body lengths, as each stance tells it; NaN where it tells none.
    """

    passing: np.ndarray
    whole: np.ndarray
    down: float
    off: float
    lengths: np.ndarray

    @property
    def times(self) -> np.ndarray:
        """Of the strides, seconds; NaN where there is a gap."""
        return np.where(self.whole, np.diff(self.passing), np.nan)

    @property
    def usual(self) -> float:
        """Mean time of a stride, seconds."""
        return float(np.nanmean(self.times))

    @property
    def length(self) -> float:
        """Mean length of a stride, body lengths."""
        return float(np.nanmean(self.lengths)) if np.isfinite(self.lengths).any() else np.nan

    @property
    def duty(self) -> float:
        """Stance by stride time (Robilliard, Pfau and Wilson, J Exp Biol 210:187, 2007)."""
        return self.off - self.down

    @property
    def stances(self) -> list[tuple[float, float]]:
        """Touch-down and lift-off, seconds, of each stance."""
        return [(float(t + self.down * self.usual), float(t + self.off * self.usual)) for t in self.passing]


def legs_of(body: Body) -> dict[str, Leg]:
    """The strides of every leg.

    Raises:
        UserError: The horse stands, its legs do not agree on a stride, are not told apart or take too few strides.
    """
    ways = {leg: body.forward(f"{leg}_hoof") for leg in LEGS}
    reach = {leg: float(np.subtract(*np.nanpercentile(way, [95, 5]))) for leg, way in ways.items()}
    if max(reach.values()) < MOVES:
        raise UserError(
            f"the horse stands: its hooves move {max(reach.values()):.2f} body lengths along its body at most",
            hint=f"Strides are measured from {MOVES:g} on",
        )
    usual = _agreed(body.times, ways)
    result = {}
    for leg in LEGS:
        way = _own_way(body, leg, usual)
        passing = _passing(body.times, way, usual)
        whole = int((np.abs(np.diff(passing) - usual) <= _REGULAR * usual).sum())
        if whole < LEAST:
            raise UserError(f"the {LEGS[leg]} takes {counted(whole, 'whole strides')}, expected {LEAST} or more")
        result[leg] = _leg(body, leg, passing, usual)
    _check(result)
    return result


def _check(legs: dict[str, Leg]) -> None:
    """Refuses legs of which one says of the horse what another does not.

    Raises:
        UserError: They differ in how far a stride goes, or in how long a hoof stands.
    """
    lengths = {LEGS[name]: leg.length for name, leg in legs.items()}
    least = min(lengths.values())
    if not (least > 0 and max(lengths.values()) <= SAME_LENGTH * least):
        raise UserError(
            "the legs do not agree on how far the horse comes in a stride:",
            [f"{who}: {length:.2f} body lengths" for who, length in lengths.items()],
            hint=_SWAPPED,
        )
    duties = {LEGS[name]: leg.duty for name, leg in legs.items()}
    if max(duties.values()) - min(duties.values()) > SAME_DUTY:
        raise UserError(
            "the legs do not agree on how long a hoof stands:",
            [f"{who}: {duty:.2f} of a stride" for who, duty in duties.items()],
            hint=_SWAPPED,
        )


def again(body: Body, legs: dict[str, Leg], without: slice | None = None) -> dict[str, Leg]:
    """The same strides measured again: with other points, or without some of them.

    Args:
        body: Its points may be others.
        legs: As :func:`legs_of` found them.
        without: Numbers of strides to leave out.
    """
    result = {}
    for leg, old in legs.items():
        usual = old.usual
        way = _own_way(body, leg, usual)
        passing = np.array([_crossing(body.times, way, t, usual) for t in old.passing])
        passing = np.where(np.isfinite(passing), passing, old.passing)
        found = _leg(body, leg, passing, usual, without)
        if without is not None:
            whole = found.whole.copy()
            whole[without] = False
            found = replace(found, whole=whole)
        result[leg] = found
    return result


def _agreed(times: np.ndarray, ways: dict[str, np.ndarray]) -> float:
    """The usual time of a stride, seconds.

    Raises:
        UserError: The legs, or the distances between left and right, say different times.
    """
    pairs = {"fore hooves": ("lf", "rf"), "hind hooves": ("lh", "rh")}
    said = {LEGS[leg]: _period(times, way) for leg, way in ways.items()}
    said |= {f"distance of the {pair}": _period(times, ways[a] - ways[b]) for pair, (a, b) in pairs.items()}
    if max(said.values()) > AGREE * min(said.values()):
        raise UserError(
            "the legs do not agree on the time of a stride:",
            [f"{who}: {seconds:.3f} s" for who, seconds in said.items()],
            hint=_SWAPPED,
        )
    for pair, (a, b) in pairs.items():
        one, other = (ways[leg] - np.nanmean(ways[leg]) for leg in (a, b))
        between = ways[a] - ways[b]
        size = np.sqrt(np.nanmean((one - other) ** 2))
        apart = float(size / (np.sqrt(np.nanmean(one**2)) + np.sqrt(np.nanmean(other**2))))
        front = float((between[np.isfinite(between)] > 0).mean())
        if apart < APART or not IN_FRONT <= front <= 1 - IN_FRONT:
            raise UserError(
                f"left and right of the {pair} are not told apart: they move together, or one is always in front",
                [f"left in front for {front:.0%} of the time", f"distance by their ways: {apart:.2f}"],
                hint=f"Expected {IN_FRONT:.0%} to {1 - IN_FRONT:.0%}, and {APART:g} or more",
            )
    return float(np.median(list(said.values())))


def _period(times: np.ndarray, way: np.ndarray) -> float:
    """The shortest time after which a way is like itself, seconds."""
    known = np.isfinite(way)
    step = min(float(np.median(np.diff(times))), 0.02)
    even = np.arange(times[0], times[-1], step)
    centred = np.interp(even, times[known], way[known] - np.nanmean(way))
    least, most = int(PERIODS[0] / step), min(int(PERIODS[1] / step), len(even) * 2 // 3)
    lags = np.arange(least, most + 1)
    power = np.concatenate([[0.0], np.cumsum(centred**2)])
    alike = np.empty(len(lags))
    for n, lag in enumerate(lags.tolist()):
        both = np.sqrt((power[-1] - power[lag]) * power[len(centred) - lag])
        alike[n] = centred[:-lag] @ centred[lag:] / max(both, 1e-12)
    inner = np.arange(1, len(alike) - 1)
    peaks = inner[(alike[inner] >= alike[inner - 1]) & (alike[inner] >= alike[inner + 1])]
    if not len(peaks):
        return float(lags[np.argmax(alike)] * step)
    peak = peaks[alike[peaks] >= 0.8 * alike[peaks].max()][0]
    before, at, after = alike[peak - 1 : peak + 2]
    bend = before - 2 * at + after
    return float((lags[peak] + (0.5 * (before - after) / bend if bend < 0 else 0.0)) * step)


def _own_way(body: Body, leg: str, usual: float) -> np.ndarray:
    """[T]: a hoof's place along the body beside where it is on average over a stride, body lengths.

    That average goes on as the horse does, evenly, and turns as the camera does; the trunk rocks in every stride.
    """
    x = body.point(f"{leg}_hoof")[:, 0]
    return body.heading * (x - mean_way(body.times, x, usual)) / body.trunk


def mean_way(times: np.ndarray, way: np.ndarray, usual: float) -> np.ndarray:
    """[T]: means over a stride around each frame; at the ends they go on along a line."""
    known = np.isfinite(way)
    step = usual / 60
    even = np.arange(times[0], times[-1] + step, step)
    total = np.concatenate([[0.0], np.cumsum(np.interp(even, times[known], way[known]))])
    means = (total[60:] - total[:-60]) / 60
    middles = even[: len(means)] + 29.5 * step
    result = np.interp(times, middles, means)
    for end, beyond in ((slice(None, 31), times < middles[0]), (slice(-31, None), times > middles[-1])):
        slope, at = np.polyfit(middles[end] - middles[end].mean(), means[end], 1)
        result[beyond] = at + slope * (times[beyond] - middles[end].mean())
    return result


def _passing(times: np.ndarray, way: np.ndarray, usual: float) -> np.ndarray:
    """Moments at which a hoof goes back through the middle of its way, 0."""
    known = np.isfinite(way)
    step = usual / 60
    even = np.arange(times[0], times[-1], step)
    # smoothed over a quarter of a stride, so that noise does not cross twice
    window = np.hanning(17)[1:-1]
    smooth = np.convolve(np.pad(np.interp(even, times[known], way[known]), 7, "edge"), window / window.sum(), "valid")
    crossed = np.flatnonzero((smooth[:-1] > 0) & (smooth[1:] <= 0))
    found: list[float] = []
    for moment in even[crossed]:
        exact = _crossing(times, way, float(moment), usual)
        if np.isfinite(exact) and (not found or exact - found[-1] > 0.5 * usual):
            found.append(exact)
    return np.array(found)


def _crossing(times: np.ndarray, way: np.ndarray, moment: float, usual: float) -> float:
    """Where the line through the frames around a moment crosses 0; NaN where too few are known."""
    for _ in range(2):
        near = slice(*np.searchsorted(times, [moment - _PASSING * usual, moment + _PASSING * usual]))
        known = np.isfinite(way[near])
        t, y = times[near][known] - moment, way[near][known]
        if len(t) < 2 or np.ptp(t) <= _PASSING * usual / 2:
            return np.nan
        slope, at = np.polyfit(t, y, 1)
        if slope >= 0 or abs(at / slope) > 2 * _PASSING * usual:
            return np.nan
        moment -= at / slope
    return float(moment)


def _leg(body: Body, leg: str, passing: np.ndarray, usual: float, without: slice | None = None) -> Leg:
    """A leg from the moments at which its hoof passes; ``without`` some of its stances."""
    times = np.diff(passing)
    whole = np.abs(times - usual) <= _REGULAR * usual
    around = np.where(whole, times, np.nan)
    beside = np.stack([np.append(around, np.nan), np.append(np.nan, around)])
    lasts = np.full(len(passing), usual)
    some = np.isfinite(beside).any(axis=0)
    lasts[some] = np.nanmean(beside[:, some], axis=0)
    place = np.stack([_own_way(body, leg, usual), body.height(f"{leg}_hoof")], axis=-1)
    kept = np.ones(len(passing), dtype=bool)
    if without is not None:
        kept[without] = False
    phase, number, seen = [], [], []
    for n in np.flatnonzero(kept):
        inside = slice(*np.searchsorted(body.times, passing[n] + lasts[n] * np.array([-0.5, 0.5])))
        known = np.isfinite(place[inside]).all(axis=1)
        phase.append(((body.times[inside] - passing[n]) / lasts[n])[known])
        seen.append((place[inside] - place[inside][known].mean(axis=0))[known])
        number.append(np.full(known.sum(), n))
    down, off, slopes = stance_of(np.concatenate(phase), np.concatenate(seen), np.concatenate(number), len(passing))
    return Leg(passing, whole, down, off, -slopes)
