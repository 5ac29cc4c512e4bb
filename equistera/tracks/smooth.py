"""Tracks without the model's jitter: short gaps filled, wrong points left out, long gaps left open.

``kalman`` looks at each point's whole track, and at the confidence of each frame: a point that is probably wrong counts
little, by what the model says of it and by how far it lies from where the track goes on (in the manner of the Ensemble
Kalman Smoother of Biderman et al. 2024, with the calibrated confidence in the place of an ensemble's variance).
``savgol`` fits a polynomial to each window of frames (Savitzky and Golay 1964), on the frames' own times. ``raw`` is
kept by both.
"""

from __future__ import annotations

import itertools

import numpy as np

from equistera.errors import UserError
from equistera.tracks.kalman import Motion, in_frames, learned, smoothed
from equistera.tracks.tracks import FILLED, SMOOTHED, Tracks
from equistera.words import did_you_mean

METHODS = ("kalman", "savgol", "none")
#: Seconds up to which gaps are filled, and confidence from which a point counts as found, where nobody says otherwise.
MAX_GAP, THRESHOLD = 0.25, 0.5
#: Of the Kalman smoother: the acceleration drifts.
_ORDER = 3
#: How often it looks which points do not fit, and how much wider than its noise the first look sees.
_LOOKS, _FIRST = 4, 4.0
#: Confidences count within these bounds; that of points without any.
_LEAST, _MOST, _WITHOUT = 0.02, 0.99, 0.9
#: A weight that counts for nothing.
_NOTHING = 1e-3
#: Radius of the circle in which a wrong point may lie, by the animal's size.
_ASTRAY = 0.5
#: How far the way through a gap may lie from the straight one, by the distance of the gap's ends.
_BEND = 0.5
#: Of savgol: seconds of a window, and the polynomial's degree.
_WINDOW, _DEGREE = 0.2, 3


def smooth(tracks: Tracks, method: str = "kalman", max_gap: float = MAX_GAP, threshold: float = THRESHOLD) -> Tracks:
    """Smooths every point's track.

    Args:
        tracks: After :func:`~.swaps.repair_swaps`.
        method: One of :data:`METHODS`; ``none`` changes nothing.
        max_gap: Seconds. A gap is where a point is not known, has too little confidence or does not fit the track;
            a longer one stays NaN, and what is before it says nothing of what comes after.
        threshold: Confidence from which a point counts as found.

    Returns:
        The tracks with other ``points``, the bits :data:`~.tracks.FILLED` (in a gap) and :data:`~.tracks.SMOOTHED`, and
        from ``kalman`` the ``spread``.

    Raises:
        UserError: No such method, a gap below 0, or a threshold outside 0 to 1.
    """
    if method not in METHODS:
        raise UserError(
            f"no way to smooth {method!r}{did_you_mean(method, METHODS)}", hint=f"There are: {', '.join(METHODS)}"
        )
    if not 0 <= max_gap < np.inf:
        raise UserError(f"the longest gap to fill should be 0 s or more, and a number, found {max_gap:g}")
    if not 0 <= threshold <= 1:
        raise UserError(f"the confidence to count as found should be from 0 to 1, found {threshold:g}")
    if method == "none" or not len(tracks):
        return tracks
    work = _kalman if method == "kalman" else _savgol
    points, spread, changed = tracks.points.copy(), tracks.spread.copy(), tracks.changed.copy()
    for a in range(len(tracks.individuals)):
        confidence = np.where(np.isnan(tracks.confidence[:, a]), _WITHOUT, tracks.confidence[:, a])
        trusted = tracks.known[:, a] & (confidence >= threshold)
        points[:, a], spread[:, a], trusted = work(tracks.times, points[:, a], confidence, trusted, max_gap)
        there = np.isfinite(points[:, a]).all(axis=-1)
        changed[:, a] |= np.where(there, np.where(trusted, SMOOTHED, FILLED), 0).astype(np.uint8)
    return tracks.with_(points=points, spread=spread, changed=changed)


def _kalman(
    times: np.ndarray, points: np.ndarray, confidence: np.ndarray, trusted: np.ndarray, max_gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One animal's points [T, K, 2], spread [T, K] and which of what was trusted fits, bool [T, K]."""
    frames = in_frames(times)
    motion = learned(frames, points, trusted, _ORDER)
    known = np.isfinite(points).all(axis=-1)
    seen = np.where(known[..., None], points, 0.0)
    prior = np.where(known, np.clip(confidence, _LEAST, _MOST), 0.0)
    astray = _ASTRAY * _size(points, trusted)
    start, weight = _pieces(times, trusted, max_gap)[0], prior
    for look in range(_LOOKS):
        found, _ = smoothed(frames, seen, _variance(motion, weight), start, motion)
        noise = motion.noise * (_FIRST if look == 0 else 1.0)
        off = np.square(seen - found).sum(axis=-1) / noise**2
        right = prior * np.exp(-off / 2) / (2 * noise**2)
        wrong = (1 - prior) / astray**2
        weight = np.where(known, right / (right + wrong), 0.0)
    fits = trusted & (weight >= 0.5)
    start, inside = _pieces(times, fits, max_gap)
    found, variance = smoothed(frames, seen, _variance(motion, np.where(inside, weight, 0.0)), start, motion)
    found, moved = _bounded(times, found, fits, inside & ~fits)
    return np.where(inside[..., None], found, np.nan), np.where(inside, np.sqrt(variance + moved**2), np.nan), fits


def _bounded(
    times: np.ndarray, found: np.ndarray, fits: np.ndarray, filled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points [T, K, 2] whose ways through gaps bend no more than :data:`_BEND`, and how far that moved them, [T, K].

    Speed and acceleration at a gap's ends are told by the frames in which the model was about to fail: followed freely
    they lead out of the picture.
    """
    result = found.copy()
    for k in np.flatnonzero(filled.any(axis=0)):
        ends = np.flatnonzero(fits[:, k])
        gaps = np.flatnonzero(filled[:, k])
        after = np.searchsorted(ends, gaps)
        one, other = found[ends[after - 1], k], found[ends[after], k]
        share = (times[gaps] - times[ends[after - 1]]) / (times[ends[after]] - times[ends[after - 1]])
        line = one + share[:, None] * (other - one)
        off = np.linalg.norm(found[gaps, k] - line, axis=-1)
        # a gap bends as one
        most = np.zeros(len(ends) + 1)
        np.maximum.at(most, after, off)
        limit = _BEND * np.linalg.norm(other - one, axis=-1)
        scale = np.minimum(limit / np.maximum(most[after], 1e-9), 1.0)
        result[gaps, k] = line + scale[:, None] * (found[gaps, k] - line)
    return result, np.linalg.norm(result - found, axis=-1)


def _variance(motion: Motion, weight: np.ndarray) -> np.ndarray:
    return np.where(weight > _NOTHING, motion.noise**2 / np.maximum(weight, _NOTHING), np.inf)


def _size(points: np.ndarray, trusted: np.ndarray) -> float:
    """Usual square root of the area of the box around an animal's points, pixels."""
    boxed = np.where(trusted[..., None], points, np.nan)[trusted.sum(axis=1) >= 2]
    if not len(boxed):
        return 1.0
    sides = np.nanmax(boxed, axis=1) - np.nanmin(boxed, axis=1)
    return max(float(np.sqrt(np.median(sides.prod(axis=1)))), 1.0)


def _pieces(times: np.ndarray, found: np.ndarray, max_gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Where tracks begin anew, and which frames lie inside a piece without a long gap.

    Args:
        times: [T], seconds.
        found: bool [T, N].
        max_gap: Seconds from the last frame before a gap to the first one after it, less a usual frame; no gap is
            shorter than its missing frames are shown.

    Returns:
        Two bool [T, N].
    """
    steps = np.diff(times)
    usual = np.median(steps) if len(steps) else 0.0
    # a tolerance for times that are rounded
    most = (max_gap + usual) * (1 + 1e-6) + 1e-9
    at = np.where(found, times[:, None], np.nan)
    before, after = _carried(at), _carried(at[::-1])[::-1]
    first = _carried(np.where(found, np.append(times[1:], np.inf)[:, None], np.nan))
    long = (after - before > most) | (after - first > most - usual)
    inside = np.isfinite(before) & np.isfinite(after) & (found | ~long)
    previous = np.concatenate([np.full_like(before[:1], np.nan), before[:-1]])
    far = ~(times[:, None] - previous <= most)
    return found & far, inside


def _carried(values: np.ndarray) -> np.ndarray:
    """The last value so far that is known, along the first axis."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def _savgol(
    times: np.ndarray, points: np.ndarray, confidence: np.ndarray, trusted: np.ndarray, max_gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`_kalman`; how certain a point is, is not known."""
    start, inside = _pieces(times, trusted, max_gap)
    rate = 1 / np.median(np.diff(times)) if len(times) > 1 else 0.0
    width = max(2 * round(_WINDOW * rate / 2) + 1, _DEGREE + 2)
    result = np.full_like(points, np.nan)
    for k in range(points.shape[1]):
        begins = np.flatnonzero(start[:, k])
        for first, end in itertools.pairwise([*begins, len(times)]):
            piece = first + np.flatnonzero(inside[first:end, k])
            here = piece[trusted[piece, k]]
            filled = np.stack([np.interp(times[piece], times[here], points[here, k, axis]) for axis in (0, 1)], axis=-1)
            result[piece, k] = _polynomial(times[piece], filled, width)
    return result, np.full(trusted.shape, np.nan), trusted


def _polynomial(times: np.ndarray, values: np.ndarray, width: int) -> np.ndarray:
    """Values [N, 2] of the polynomials that fit the frames around each; unchanged where these are too few."""
    if len(times) < width:
        return values
    usual = np.median(np.diff(times))
    first = np.clip(np.arange(len(times)) - width // 2, 0, len(times) - width)
    window = first[:, None] + np.arange(width)
    around = np.round((times[window] - times[:, None]) / usual, 6)
    kinds, kind = np.unique(around, axis=0, return_inverse=True)
    weights = np.linalg.pinv(kinds[..., None] ** np.arange(_DEGREE + 1))[:, 0]
    return np.einsum("nw,nwd->nd", weights[kind.ravel()], values[window])
