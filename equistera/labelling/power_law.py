"""A learning curve through few points, and honestly how far it may be off where nothing was trained yet.

The error of a model (1 - AP, 1 - PCK, or a distance) falls with n pictures as ``a + b * n**-c`` (Hestness et al., "Deep
learning scaling is predictable, empirically", 2017, arXiv 1712.00409; Figueroa et al., "Predicting sample size required
for classification performance", 2012), but not yet where pictures are few: there it falls more slowly first, and the
law alone predicts too little (Jain et al., "A meta-learning approach to predicting performance and data requirements",
2023, arXiv 2303.01598). ``(n + n0)**-c`` bends so (with four parameters, POW4 of Viering and Loog, "The shape of
learning curves: a review", 2021, arXiv 2103.10948). A least-squares fit of four parameters to three sizes knows no
doubt. So here every curve is weighed by how well it explains the runs (Bayes' rule on a grid), and every point may lie
off its curve, the further the more often n has doubled:

    log error = log(a + b * (n + n0)**-c) + drift(log2 n) + noise of a run

with a Brownian drift. Nothing is assumed of the level; the prior of the rest is :data:`ASYMPTOTES` and :data:`ONSETS`
evenly, :data:`EXPONENTS` and :data:`NOISES` evenly in their logarithm, and of the drift in a doubling a half-Cauchy of
:data:`DRIFT_SCALE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError

#: ``a`` as a share of the error at the largest size that was trained.
ASYMPTOTES = (np.arange(20) + 0.5) / 20
EXPONENTS = np.geomspace(0.05, 2.0, 20)
#: ``n0`` as a share of the largest size that was trained.
ONSETS = np.array([0.0, 0.125, 0.25, 0.5, 1.0, 2.0])
#: Standard deviation of the logarithm of a run's error, by its seed and its pictures.
NOISES = np.geomspace(0.002, 0.3, 12)
#: Standard deviation of the drift in a doubling, and how likely it is taken to be.
DRIFTS = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
DRIFT_SCALE = 0.03
#: Curves that are drawn from what is likely; enough for two digits of a 95 % interval.
DRAWS = 4000
#: No curve is followed further than to so many pictures.
MOST = 1_000_000


@dataclass(frozen=True)
class Curve:
    """Curves that explain the runs, as often as they are likely; make it with :func:`fit`.

    Attributes:
        sizes: float64 [N], pictures, ascending, each once.
        runs_of_size: int64 [N], how many runs had so many.
        residuals: float64 [S, N], mean logarithm of their errors minus that of the curve, for each of S curves.
        level: float64 [S], logarithm of the error at the largest size.
        asymptote, exponent, onset, noise, drift: float64 [S].
    """

    sizes: np.ndarray
    runs_of_size: np.ndarray
    residuals: np.ndarray
    level: np.ndarray
    asymptote: np.ndarray
    exponent: np.ndarray
    onset: np.ndarray
    noise: np.ndarray
    drift: np.ndarray

    def law(self, sizes: np.ndarray) -> np.ndarray:
        """Errors of the bare curves, float64 [S, M], at float [M] pictures."""
        sizes = np.asarray(sizes, dtype=float) / self.sizes[-1]
        return np.exp(self.level[:, None] + _log_shape(sizes, self.asymptote, self.exponent, self.onset))

    def runs(self, sizes: Sequence[float], seed: int = 0) -> np.ndarray:
        """Errors that single new runs may have, float64 [S, M], at float [M] pictures: drift and noise included."""
        sizes = np.asarray(sizes, dtype=float)
        law = np.log(self.law(sizes))
        # the same for each size, so that a band is smooth
        drawn, own = np.random.default_rng(seed).standard_normal((2, len(self.level)))
        for noise, drift in {*zip(self.noise.tolist(), self.drift.tolist(), strict=True)}:
            rows = (self.noise == noise) & (self.drift == drift)
            at, across = _doublings(sizes, self.sizes[0]), _doublings(self.sizes, self.sizes[0])
            cross = drift**2 * _common(at, across)
            gain = cross @ np.linalg.inv(_covariance(self.sizes, self.runs_of_size, noise, drift))
            left = np.maximum(drift**2 * np.abs(at) - (gain * cross).sum(axis=1), 0)
            law[rows] += self.residuals[rows] @ gain.T + np.sqrt(left) * drawn[rows, None] + noise * own[rows, None]
        return np.exp(law)

    def flat_from(self, gain: float, step: int = 100) -> np.ndarray:
        """Pictures from which on the next ``step`` take less than ``gain`` off the error, float64 [S].

        At most :data:`MOST`, where that is not before.
        """
        grid = np.geomspace(max(1.0, self.sizes[0] / 4), MOST, 160)
        small = self.law(grid) - self.law(grid + step) < gain
        return np.where(small.any(axis=1), grid[small.argmax(axis=1)], MOST)


def fit(sizes: Sequence[int], errors: Sequence[float], seed: int = 0) -> Curve:
    """The curves that explain runs.

    Args:
        sizes: Pictures of each of N runs.
        errors: Their errors, above 0.
        seed: Of the curves that are drawn.

    Raises:
        UserError: Fewer than two sizes, or an error that is not above 0.
    """
    order = np.lexsort((errors, sizes))
    y, of_run = (np.asarray(values, dtype=float)[order] for values in (errors, sizes))
    n, size_of_run, count = np.unique(of_run, return_inverse=True, return_counts=True)
    if len(n) < 2:
        raise UserError(f"a learning curve needs two sizes at least, found {len(n)}")
    if not (y > 0).all() or not np.isfinite(y).all():
        raise UserError("a learning curve needs errors above 0")
    log_error = np.log(y)
    # of the runs of a size the mean says all of the curve, and their differences the rest of the noise
    mean_error = np.bincount(size_of_run, log_error) / count
    within, free = np.square(log_error - mean_error[size_of_run]).sum(), len(y) - len(n)
    asymptote, exponent, onset = (grid.ravel() for grid in np.meshgrid(ASYMPTOTES, EXPONENTS, ONSETS))
    rest = mean_error - _log_shape(n / n[-1], asymptote, exponent, onset)
    likelihood, level, spread = [], [], []
    for noise, drift in ((s, t) for s in NOISES for t in DRIFTS):
        # whitened
        root = np.linalg.inv(np.linalg.cholesky(_covariance(n, count, noise, drift)))
        ones, white = root.sum(axis=1), rest @ root.T
        weight = ones @ ones
        mean = white @ ones / weight
        squares = np.square(white).sum(axis=1) - mean**2 * weight + within / noise**2
        prior = np.log(drift / (1 + (drift / DRIFT_SCALE) ** 2))
        likelihood.append(prior + np.log(np.diag(root)).sum() - 0.5 * (np.log(weight) + squares) - free * np.log(noise))
        level.append(mean)
        spread.append(np.full(len(mean), weight**-0.5))
    flat = np.concatenate(likelihood)
    likely = np.exp(flat - flat.max())
    generator = np.random.default_rng(seed)
    # evenly spaced through the likely ones: of S draws each comes up as often as it should, but for one
    where = (np.arange(DRAWS) + generator.random()) / DRAWS
    chosen = generator.permutation(np.searchsorted(np.cumsum(likely) / likely.sum(), where).clip(0, len(flat) - 1))
    scale, shape = np.divmod(chosen, len(asymptote))
    levels = np.concatenate(level)[chosen] + np.concatenate(spread)[chosen] * generator.standard_normal(DRAWS)
    return Curve(
        sizes=n,
        runs_of_size=count,
        residuals=rest[shape] - levels[:, None],
        level=levels,
        asymptote=asymptote[shape],
        exponent=exponent[shape],
        onset=onset[shape],
        noise=NOISES[scale // len(DRIFTS)],
        drift=DRIFTS[scale % len(DRIFTS)],
    )


def _log_shape(n: np.ndarray, asymptote: np.ndarray, exponent: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """Logarithm of the error over that at the largest size, float64 [S, M]; sizes [M] in shares of that one."""
    asymptote, exponent, onset = (parameter[:, None] for parameter in (asymptote, exponent, onset))
    return np.log(asymptote + (1 - asymptote) * ((n + onset) / (1 + onset)) ** -exponent)


def _doublings(n: np.ndarray, first: float) -> np.ndarray:
    return np.log2(n / first)


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What two drifts from the first size have in common, in doublings, [A, B]; nothing on both sides of it."""
    a, b = a[:, None], b[None]
    return np.where(a * b > 0, np.minimum(np.abs(a), np.abs(b)), 0.0)


def _covariance(n: np.ndarray, count: np.ndarray, noise: float, drift: float) -> np.ndarray:
    """Of the means of ``count`` runs of each size."""
    at = _doublings(n, n[0])
    return drift**2 * _common(at, at) + np.diag(noise**2 / count)
