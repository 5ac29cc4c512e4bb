"""Kalman filter and smoother for many points at once: each moves with a velocity or an acceleration that drifts.

The acceleration (order 2: nearly constant velocity) or its change (order 3: nearly constant acceleration) is white
noise; frames may be unevenly spaced. Time is counted in the video's usual frame. Source: Bar-Shalom, Li and
Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 6.2; the smoother is that of Rauch, Tung
and Striebel (1965).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

#: Variances of what is not known at a start: place, pixels^2; velocity and acceleration, per frame.
_UNKNOWN = (1e6, 1e4, 1e3)
#: Radians a frame up to which a smoother lets movement pass, that are tried: from nearly still to nearly unsmoothed.
_CUTOFFS = np.geomspace(0.06, 3.0, 11)
#: Share of an animal's points that may move faster than what all of them are allowed to.
_FASTEST = 0.25
#: What is best for the error as a whole still shaves the peaks of a hoof's track, by some percent of its height; with
#: this factor on what is let pass by less than one (tests/tracks/test_smooth.py).
_MARGIN = 1.35
#: Frames from which a motion is learned: so many blocks of so many.
_BLOCKS, _BLOCK = 5, 300
#: Pixels: no model is more exact, and nothing is quite still.
_LEAST_NOISE = 0.1
#: A step is taken for a wrong point from so many usual steps on, when a motion is learned.
_ODD = 6.0


@dataclass(frozen=True)
class Motion:
    """How N points move and how exactly they are seen.

    Attributes:
        order: 2 or 3.
        noise: [N], standard deviation of what is seen, pixels along one axis.
        drive: [N], variance by which the highest derivative drifts in a frame, pixels^2 per frame^(2 order - 1).
    """

    order: int
    noise: np.ndarray
    drive: np.ndarray


@functools.lru_cache(maxsize=4096)
def step(frames: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Transition over some frames, and the covariance that a drive of 1 adds: [order, order] each."""
    powers = frames ** np.arange(2 * order)
    factorial = np.array([1.0, 1.0, 2.0, 6.0, 24.0, 120.0])
    transition = np.zeros((order, order))
    added = np.zeros((order, order))
    for i in range(order):
        for j in range(order):
            if j >= i:
                transition[i, j] = powers[j - i] / factorial[j - i]
            a, b = order - 1 - i, order - 1 - j
            added[i, j] = powers[a + b + 1] / (factorial[a] * factorial[b] * (a + b + 1))
    return transition, added


def in_frames(times: np.ndarray) -> np.ndarray:
    """Steps before each frame, [T], in the video's usual one; the first is 1."""
    steps = np.diff(times)
    return np.concatenate([[1.0], np.round(steps / np.median(steps), 6)]) if len(steps) else np.ones(len(times))


class Filter:
    """What is known of N points; several versions of their past can be followed together.

    Args:
        number: N.
        order: As in :class:`Motion`.
        values: D numbers that are seen of each with one variance: 2 for x and y.
        versions: Of the past; None for one.

    Attributes:
        mean: [N, order, D] or [versions, N, order, D]: places, velocities, accelerations.
        covariance: [N, order, order], of each of the D.
    """

    def __init__(self, number: int, order: int, values: int = 2, versions: int | None = None):
        self.order = order
        self.mean = np.zeros((*(() if versions is None else (versions,)), number, order, values))
        self.covariance = np.broadcast_to(np.diag(_UNKNOWN[:order]), (number, order, order)).copy()

    def predict(self, frames: float, drive: np.ndarray, start: np.ndarray) -> None:
        """Goes on by some frames; where ``start``, bool [N], nothing of the past counts."""
        transition, added = step(frames, self.order)
        self.mean = transition @ self.mean
        self.covariance = transition @ self.covariance @ transition.T + drive[:, None, None] * added
        if start.any():
            self.mean[..., start, :, :] = 0
            self.covariance[start] = np.diag(_UNKNOWN[: self.order])

    def update(self, points: np.ndarray, variance: np.ndarray, most: float = np.inf) -> None:
        """Takes in what is seen.

        Args:
            points: [..., N, D], finite.
            variance: [N]; infinite: not seen.
            most: Standard deviations that a point is moved by what is seen farther off, too.
        """
        seen = np.isfinite(variance)
        total = np.where(seen, self.covariance[:, 0, 0] + np.where(seen, variance, 1.0), np.inf)
        gain = self.covariance[:, :, 0] / total[:, None]
        off = points - self.mean[..., 0, :]
        if np.isfinite(most):
            bound = most * np.sqrt(total)[:, None]
            off = np.clip(off, -bound, bound)
        self.mean = self.mean + gain[:, :, None] * off[..., None, :]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, None, 0, :]


def smoothed(
    frames: np.ndarray, points: np.ndarray, variance: np.ndarray, start: np.ndarray, motion: Motion
) -> tuple[np.ndarray, np.ndarray]:
    """Where points were, from all that was seen before and after.

    Args:
        frames: [T], see :func:`in_frames`.
        points: [T, N, 2], pixels, finite.
        variance: [T, N], of what was seen; infinite: not seen.
        start: bool [T, N]: nothing leads from the frame before to this one.
        motion: Of the N points.

    Returns:
        Points [T, N, 2], and variances [T, N] along either axis.
    """
    state = Filter(points.shape[1], motion.order)
    count = len(frames)
    means = np.empty((count, *state.mean.shape))
    covariances = np.empty((count, *state.covariance.shape))
    for t in range(count):
        state.predict(float(frames[t]), motion.drive, start[t] if t else np.ones_like(start[0]))
        state.update(points[t], variance[t])
        means[t], covariances[t] = state.mean, state.covariance
    mean, covariance = means[-1], covariances[-1]
    for t in range(count - 2, -1, -1):
        transition, added = step(float(frames[t + 1]), motion.order)
        ahead = transition @ covariances[t] @ transition.T + motion.drive[:, None, None] * added
        gain = covariances[t] @ transition.T @ np.linalg.inv(ahead)
        gain[start[t + 1]] = 0
        mean = means[t] + gain @ (mean - transition @ means[t])
        covariance = covariances[t] + gain @ (covariance - ahead) @ gain.transpose(0, 2, 1)
        means[t], covariances[t] = mean, covariance
    return means[:, :, 0], np.maximum(covariances[:, :, 0, 0], 0)


def learned(frames: np.ndarray, points: np.ndarray, believed: np.ndarray, order: int) -> Motion:
    """How the points of one animal move and how exactly they are seen.

    Noise is told by fourth differences, which leave little of a movement. How much to smooth is what Stein's unbiased
    estimate of the error (1981) finds best for each point, and a little less. That alone would take a small and quick
    movement beside large noise, such as the bobbing of the withers, for noise, and flatten it; but an animal moves as a
    whole: no point is smoothed more than is good for its faster points.

    Args:
        frames: [T], see :func:`in_frames`.
        points: [T, N, 2], pixels.
        believed: bool [T, N], which of them count.
        order: As in :class:`Motion`.

    Returns:
        The motion; of a point that is seldom seen, the median of the others'.
    """
    chosen = _blocks(len(frames))
    points, steps, believed = points[chosen], frames[chosen], (believed & ~_odd(points, believed))[chosen]
    noise = _noise(points, believed)
    if not np.isfinite(noise).any():
        return Motion(order, np.ones(len(noise)), np.full(len(noise), _CUTOFFS[-1] ** (2 * order)))
    noise = np.maximum(np.where(np.isfinite(noise), noise, np.nanmedian(noise)), _LEAST_NOISE)
    count, number = len(_CUTOFFS), len(noise)
    variance = np.where(believed, noise**2, np.inf)
    start = np.repeat(np.diff(chosen, prepend=-1)[:, None] != 1, number, axis=1)
    ratios = np.repeat(_CUTOFFS ** (2 * order), number)
    motion = Motion(order, np.tile(noise, count), np.tile(noise**2, count) * ratios)
    seen = np.tile(np.where(believed[..., None], points, 0), (1, count, 1))
    found, spread = smoothed(steps, seen, np.tile(variance, (1, count)), np.tile(start, (1, count)), motion)
    shape = (len(chosen), count, number)
    off = np.square(found.reshape(*shape, 2) - points[:, None]).sum(axis=-1)
    risk = np.where(believed[:, None], off + 4 * spread.reshape(shape), 0).sum(axis=0)
    best = _CUTOFFS[risk.argmin(axis=0)]
    told = believed.sum(axis=0) >= _BLOCK / 10
    common = np.quantile(best[told] if told.any() else best, 1 - _FASTEST)
    passing = np.minimum(np.maximum(best, common) * _MARGIN, _CUTOFFS[-1])
    return Motion(order, noise, noise**2 * passing ** (2 * order))


def _noise(points: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """Standard deviation of white noise along one axis, [N]; NaN of a point that is seldom seen."""
    if len(points) < 5:
        return np.full(points.shape[1], np.nan)
    differences = np.abs(np.diff(points, 4, axis=0))
    seen = np.all([believed[n : len(believed) - 4 + n] for n in range(5)], axis=0)
    differences = np.where(seen[..., None], differences, np.nan)
    noise = np.full(points.shape[1], np.nan)
    enough = seen.sum(axis=0) >= 5
    if enough.any():
        # 0.6745: the median of the size of a standard normal variable; 70: the sum of the squares of 1, 4, 6, 4, 1
        noise[enough] = np.nanmedian(differences[:, enough], axis=(0, 2)) / (0.6745 * np.sqrt(70))
    return noise


def _blocks(count: int) -> np.ndarray:
    """Frames to learn from: all, or blocks spread over them."""
    if count <= _BLOCKS * _BLOCK:
        return np.arange(count)
    starts = np.linspace(0, count - _BLOCK, _BLOCKS).astype(int)
    return (starts[:, None] + np.arange(_BLOCK)).ravel()


def _odd(points: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """bool [T, N]: points far from the middle between those before and after."""
    odd = np.zeros(believed.shape, dtype=bool)
    if len(points) < 3:
        return odd
    off = np.hypot(*np.moveaxis(points[1:-1] - (points[:-2] + points[2:]) / 2, -1, 0))
    known = believed[1:-1] & believed[:-2] & believed[2:]
    off = np.where(known, off, np.nan)
    if known.any():
        with np.errstate(invalid="ignore"):
            rows = known.any(axis=0)
            usual = np.full(off.shape[1], np.inf)
            usual[rows] = np.nanmedian(off[:, rows], axis=0)
            odd[1:-1] = off > _ODD * np.maximum(usual, _LEAST_NOISE)
    return odd
