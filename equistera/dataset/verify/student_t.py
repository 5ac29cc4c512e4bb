"""A multivariate t distribution fitted to incomplete numbers.

R. J. A. Little, "Robust Estimation of the Mean and Covariance Matrix from Data with Missing Values", Applied
Statistics 37 (1988): expectation maximisation in which odd rows weigh little and unknown numbers are replaced by what
the known ones of their row let expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Degrees of freedom: small for heavy tails, large enough that the covariance exists.
DEGREES = 4.0
#: More rows change the estimate little and cost time in proportion.
_MAX_ROWS = 1500
_ROUNDS = 15


@dataclass(frozen=True)
class StudentT:
    """The distribution.

    Attributes:
        location: float64 [D].
        scatter: float64 [D, D], positive definite.
    """

    location: np.ndarray
    scatter: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, floor: np.ndarray) -> StudentT:
        """Estimates the distribution.

        Args:
            rows: float [N, D], NaN where unknown.
            floor: float [D], smallest standard deviation to believe in, such as the error of a careful click.

        Returns:
            The estimate; correlations are shrunk where there are few rows for the dimensions.
        """
        rows = rows[np.isfinite(rows).any(axis=1)]
        if len(rows) > _MAX_ROWS:
            rows = rows[np.random.default_rng(0).choice(len(rows), _MAX_ROWS, replace=False)]
        known = np.isfinite(rows)
        dimensions = rows.shape[1]
        counts = np.maximum(known.sum(axis=0), 1)
        location = np.where(known, rows, 0).sum(axis=0) / counts
        variance = np.where(known, (rows - location) ** 2, 0).sum(axis=0) / counts
        result = cls(location, np.diag(variance + floor**2))
        shrink = dimensions / (dimensions + 10 * len(rows))
        for _ in range(_ROUNDS):
            result = result._refined(rows, known, shrink, floor)
        return result

    def _refined(self, rows: np.ndarray, known: np.ndarray, shrink: float, floor: np.ndarray) -> StudentT:
        """One round of expectation maximisation."""
        filled, weights = np.empty_like(rows), np.empty(len(rows))
        unexplained = np.zeros_like(self.scatter)
        for n, (row, here) in enumerate(zip(rows, known, strict=True)):
            there = ~here
            gain = np.linalg.solve(self.scatter[np.ix_(here, here)], self.scatter[np.ix_(here, there)]).T
            off = row[here] - self.location[here]
            distance = off @ np.linalg.solve(self.scatter[np.ix_(here, here)], off)
            weights[n] = (DEGREES + here.sum()) / (DEGREES + distance)
            filled[n, here] = row[here]
            filled[n, there] = self.location[there] + gain @ off
            unexplained[np.ix_(there, there)] += (
                self.scatter[np.ix_(there, there)] - gain @ self.scatter[np.ix_(here, there)]
            )
        location = weights @ filled / weights.sum()
        off = filled - location
        scatter = ((off * weights[:, None]).T @ off + unexplained) / len(rows)
        scatter = (1 - shrink) * scatter + shrink * np.diag(np.diag(scatter)) + np.diag(floor**2)
        return StudentT(location, scatter)

    def distances(self, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances [M] of rows [M, D], of which the same numbers ``known`` [D] are known."""
        off = rows[:, known] - self.location[known]
        return (off * np.linalg.solve(self.scatter[np.ix_(known, known)], off.T).T).sum(axis=1)

    @staticmethod
    def log_ratio(distance: np.ndarray, other: np.ndarray, dimensions: int) -> np.ndarray:
        """Logarithm of the density at one squared distance over that at another."""
        return (DEGREES + dimensions) / 2 * (np.log(DEGREES + other) - np.log(DEGREES + distance))
