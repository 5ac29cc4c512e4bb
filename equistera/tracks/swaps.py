"""Left and right legs that were exchanged for some frames, found by how the tracks go on and put right.

Nothing but continuity is asked: a leg goes on where it went. Of each limb with its mirror image, a frame is either as
the model said it or exchanged; dynamic programming finds the series of these states that costs least. Costs are how far
points are from where the frames around them lead (a line or a cubic, so that legs may cross), and what each change of
state and each exchanged frame must be worth. Which of the two is the left leg cannot be told in this way: what most
frames say is taken for right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.skeleton import Skeleton
from equistera.tracks.tracks import SWAPPED, Tracks

#: What the beginning and the end of an exchange must be worth, in log likelihood. The end is cheap: where the legs lie
#: over each other nobody sees it, and what follows shall not stay exchanged for that.
BEGIN, END = 7.0, 1.0
#: What an exchanged frame must be worth: long exchanges are believed only where both ends are clear.
STAY = 0.3
#: A point that jumps says no more than this, however far.
MOST = 5.0
#: Frames that are compared share their noise; what they say together is less than their sum.
SHARED = 0.5
#: What an exchange must explain of a limb's points, in log likelihood.
_CLEAR = 3.0
#: And what its beginning and its end must explain each.
_EACH = 1.0
#: Seconds over which frames are compared.
LONGEST = 0.5
#: Frames that a line or a cubic is laid through, and the one it is compared with.
_WINDOWS = (3, 5)
#: Labels that are remembered.
_MEMORY = max(_WINDOWS) - 1
#: Of how far two legs are apart at most: from where they count as apart, and below which as met.
_APART, _MET = 0.4, 0.15
#: Points of a pair that is never this far apart, of the animal's size, are none of legs that swing.
_SWINGS = 0.1
#: Pixels: no model is more exact.
_LEAST_NOISE = 0.5


@dataclass(frozen=True)
class Limb:
    """Pairs of points that are exchanged together.

    Attributes:
        name: Of its left points' common part, for people: those names.
        left, right: Positions of the points, mirror images in the same order.
    """

    name: str
    left: tuple[int, ...]
    right: tuple[int, ...]


def limbs_of(skeleton: Skeleton) -> list[Limb]:
    """What may be exchanged: paired points that links connect without the middle line, and each other's mirror images.

    A horse has three: the head's eyes and ears, the forelegs and the hind legs. Of a skeleton without links each pair
    is one.
    """
    mirror = skeleton.flip_indices
    left = [
        k for k, point in enumerate(skeleton.keypoints)
        if mirror[k] != k and (point.side == "left" or (point.side != "right" and k < mirror[k]))
    ]  # fmt: skip
    group = {k: k for k in left}

    def root(k: int) -> int:
        while group[k] != k:
            k = group[k]
        return k

    for a, b in skeleton.link_indices.tolist():
        # links of the right side count for the left one
        a, b = (int(k if k in group else mirror[k]) for k in (a, b))
        if a in group and b in group:
            group[root(a)] = root(b)
    members: dict[int, list[int]] = {}
    for k in left:
        members.setdefault(root(k), []).append(k)
    return [
        Limb(", ".join(skeleton.names[k] for k in points), tuple(points), tuple(int(mirror[k]) for k in points))
        for points in members.values()
    ]


def repair_swaps(tracks: Tracks, skeleton: Skeleton) -> Tracks:
    """Exchanges what was exchanged for some frames.

    Args:
        tracks: Before smoothing.
        skeleton: Its keypoints, in the tracks' order.

    Returns:
        The tracks with points, confidence and spread of exchanged limbs in their places, and the bit
        :data:`~.tracks.SWAPPED` where a point came from its mirror image. ``raw`` stays.
    """
    limbs = limbs_of(skeleton)
    if not limbs or len(tracks) < 3:
        return tracks
    arrays = {name: getattr(tracks, name).copy() for name in ("points", "confidence", "spread", "changed")}
    for a in range(len(tracks.individuals)):
        swapped = exchanged(tracks.times, tracks.points[:, a], tracks.confidence[:, a], limbs)
        for limb, frames in zip(limbs, swapped.T, strict=True):
            for left, right in zip(limb.left, limb.right, strict=True):
                there = frames & tracks.known[:, a][:, [left, right]].any(axis=1)
                for array in arrays.values():
                    array[there, a, left], array[there, a, right] = array[there, a, right], array[there, a, left]
                arrays["changed"][there, a, left] ^= SWAPPED
                arrays["changed"][there, a, right] ^= SWAPPED
    return tracks.with_(**arrays)


def exchanged(times: np.ndarray, points: np.ndarray, confidence: np.ndarray, limbs: list[Limb]) -> np.ndarray:
    """Which limbs of one animal are exchanged, in which frames.

    Args:
        times: [T], seconds.
        points: [T, K, 2], pixels, NaN where not known.
        confidence: [T, K]; NaN counts as certain.
        limbs: L of them.

    Returns:
        bool [T, L].
    """
    certain = np.where(np.isnan(confidence), 1.0, confidence)
    found = [_costs(times, points, certain, limb) for limb in limbs]
    costs, fresh = np.stack([cost for cost, _ in found]), np.stack([new for _, new in found])
    # the whole animal mirrored is one event, which may be clear where that of none of its limbs is
    whole = _cheapest(costs.sum(axis=0, keepdims=True), fresh.all(axis=0, keepdims=True))
    return _supported(_cheapest(_relabelled(costs, whole), fresh) ^ whole, costs).T


def meetings(tracks: Tracks, skeleton: Skeleton) -> tuple[int, int]:
    """How often a leg met its mirror image, and how often it turned back there instead of passing it.

    Legs that swing pass each other. Where they mostly turn back, the model exchanges them from one meeting to the next
    or lays both on one leg; continuity says nothing of it, for in the meeting nobody sees which is which.

    Args:
        tracks: After repair.
        skeleton: Its keypoints.

    Returns:
        Meetings, and those of them that did not change which leg is in front.
    """
    met = turned = 0
    for a in range(len(tracks.individuals)):
        points = tracks.points[:, a]
        low, high = (pick(points, axis=1, initial=sign * np.inf, where=tracks.known[:, a, :, None])
                     for pick, sign in ((np.min, 1), (np.max, -1)))  # fmt: skip
        there = tracks.known[:, a].any(axis=1)
        if not there.any():
            continue
        size = float(np.sqrt(np.median((high - low)[there].prod(axis=1))))
        for limb in limbs_of(skeleton):
            apart = [
                _swing(points[:, left] - points[:, right]) for left, right in zip(limb.left, limb.right, strict=True)
            ]
            # of a leg the hoof, whatever it is called
            swing = max(apart, key=_reach)
            reach = _reach(swing)
            if reach < _SWINGS * size:
                continue
            sides, side = [], 0.0
            for way in swing:
                if way * side < _MET * reach:
                    side = 0.0
                if not side and abs(way) > _APART * reach:
                    side = np.sign(way)
                    sides.append(side)
            met += max(len(sides) - 1, 0)
            turned += int((np.diff(sides) == 0).sum())
    return met, turned


def _swing(apart: np.ndarray) -> np.ndarray:
    """Of differences [T, 2] the parts along the line on which they are largest, where they are known."""
    known = apart[np.isfinite(apart).all(axis=1)]
    return known @ np.linalg.eigh(known.T @ known)[1][:, -1]


def _reach(swing: np.ndarray) -> float:
    """How far apart two points usually get."""
    return float(np.percentile(np.abs(swing), 90)) if len(swing) else 0.0


def _supported(swapped: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Without the exchanges that a limb's own points say nothing for, such as that of eyes behind each other."""
    kept = swapped.copy()
    for own, limb in zip(kept, costs, strict=True):
        with_it = limb[np.arange(len(own)), _codes(own)]
        for first, end in runs(own):
            without = own.copy()
            without[first:end] = False
            gain = limb[np.arange(len(own)), _codes(without)] - with_it
            # both its beginning and its end have to show: where the model lays legs over each other, either may not
            ends = gain[first : first + _MEMORY + 1].sum(), gain[max(end - 1, first) : end + _MEMORY].sum()
            if gain[first : end + _MEMORY].sum() < _CLEAR or min(ends) < _EACH:
                own[first:end] = False
    return kept


def _costs(times: np.ndarray, points: np.ndarray, certain: np.ndarray, limb: Limb) -> tuple[np.ndarray, np.ndarray]:
    """What the states (0 as it is, 1 exchanged) of some frames cost together.

    Returns:
        float64 [T, 2 ** 5]: of the five frames that end with each; the last frame's state is the lowest bit; bool [T]:
        whether nothing is known of the limb's recent past.
    """
    codes = np.arange(2 ** (_MEMORY + 1))
    cost, known = np.zeros((len(times), len(codes))), np.zeros(len(times), dtype=bool)
    for pair in zip(limb.left, limb.right, strict=True):
        members, sure = points[:, pair], certain[:, pair].min(axis=1)
        both = np.flatnonzero(np.isfinite(members).all(axis=(1, 2)))
        known[both] = True
        found = [_residuals(times, members, both, width) for width in _WINDOWS]
        found = [entry for entry in found if len(entry[0])]
        if not found:
            continue
        frames, squares, variance = min(found, key=lambda entry: entry[2])
        width = frames.shape[1]
        odd = np.minimum(squares / (2 * variance), MOST).sum(axis=2) * sure[frames].min(axis=1)[:, None]
        cost[frames[:, -1]] += SHARED * odd[:, codes % 2**width]
    last = np.maximum.accumulate(np.where(known, times, -np.inf))
    return cost, times - np.concatenate([[-np.inf], last[:-1]]) > LONGEST


def _residuals(
    times: np.ndarray, members: np.ndarray, both: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """How far the middle one of some frames is from the polynomial through the others.

    Args:
        times: [T], seconds.
        members: [T, 2, 2], left and right.
        both: Frames in which both are known.
        width: Odd number of frames.

    Returns:
        Frames, int [N, width]; squared distances [N, 2 ** width, 2] of left and right, for all states of the frames, of
        which the last is the lowest bit; their usual variance along an axis.
    """
    if len(both) < width:
        return np.zeros((0, width), int), np.zeros((0, 2**width, 2)), np.inf
    frames = np.lib.stride_tricks.sliding_window_view(both, width)
    frames = frames[times[frames[:, -1]] - times[frames[:, 0]] <= LONGEST]
    middle = width // 2
    others = np.delete(np.arange(width), middle)
    at = times[frames] - times[frames[:, [middle]]]
    # Lagrange's polynomial at the middle frame
    factors = np.zeros((len(frames), width))
    factors[:, middle] = 1
    for i in others:
        rest = [j for j in others if j != i]
        factors[:, i] = -np.prod(at[:, rest] / (at[:, rest] - at[:, [i]]), axis=1)
    states = (np.arange(2**width)[:, None] >> np.arange(width)[::-1]) & 1
    weighted = factors[:, :, None, None] * members[frames]
    squares = np.zeros((len(frames), 2**width, 2))
    for member in (0, 1):
        own, other = weighted[:, :, member], weighted[:, :, 1 - member]
        off = own.sum(axis=1)[:, None] + states @ (other - own)
        squares[..., member] = np.square(off).sum(axis=-1)
    # by what a point's noise becomes here, in comparison to frames without gaps
    spread = np.square(factors).sum(axis=1)
    squares *= (np.median(spread) / np.maximum(spread, np.median(spread)))[:, None, None] if len(frames) else 1.0
    if not len(frames):
        return frames, squares, np.inf
    # the median of a two-dimensional normal distribution
    variance = np.median(squares[:, 0]) / (2 * np.log(2))
    return frames, squares, max(variance, np.median(spread) * _LEAST_NOISE**2)


def _cheapest(costs: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """The series of states that costs least.

    Args:
        costs: [L, T, 2 ** 5], see :func:`_costs`.
        fresh: bool [L, T]: a change of state costs nothing here.

    Returns:
        bool [L, T], exchanged.
    """
    limbs, count, _ = costs.shape
    states, limb = 2**_MEMORY, np.arange(limbs)
    remembered, bit = np.arange(states)[:, None], np.arange(2)
    code = (remembered << 1 | bit).ravel()
    last = remembered & 1
    change = np.where(last == bit, 0.0, np.where(last, END, BEGIN)).ravel()
    stay = STAY * (code & 1)
    total = np.full((limbs, states), np.inf)
    total[:, [0, states - 1]] = 0.0, STAY
    # whether the oldest state that is forgotten was an exchange
    forgotten = np.zeros((count, limbs, states), dtype=np.uint8)
    for t in range(1, count):
        along = np.repeat(total, 2, axis=1) + costs[:, t] + stay + np.where(fresh[:, t, None], 0.0, change)
        # the code's highest bit is forgotten
        ways = along.reshape(limbs, 2, states)
        forgotten[t] = ways.argmin(axis=1)
        total = ways.min(axis=1)
    state = total.argmin(axis=1)
    found = np.zeros((limbs, count), dtype=bool)
    for t in range(count - 1, -1, -1):
        found[:, t] = state & 1
        state = (state >> 1) | (forgotten[t, limb, state].astype(int) << (_MEMORY - 1))
    return found


def _codes(swapped: np.ndarray) -> np.ndarray:
    """The states of each frame and of those before it, [..., T], see :func:`_costs`."""
    codes = np.zeros(swapped.shape, dtype=int)
    for back in range(_MEMORY + 1):
        codes[..., back:] |= swapped[..., : swapped.shape[-1] - back].astype(int) << back
    return codes


def _relabelled(costs: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Costs [L, T, 2 ** 5] of states that count from other ones, bool [1 or L, T]."""
    codes = np.arange(costs.shape[2]) ^ np.broadcast_to(_codes(swapped), costs.shape[:2])[..., None]
    return np.take_along_axis(costs, codes, axis=2)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First frame of each stretch of True, and the first one behind it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
