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
_MAX_ROWS = 800
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
        precision = self._precisions(known)
        off = np.where(known, rows - self.location, 0)
        pull = np.einsum("nij,nj->ni", precision, off)
        weights = (DEGREES + known.sum(axis=1)) / (DEGREES + (off * pull).sum(axis=1))
        # the expected numbers equal the known ones where they are known
        filled = self.location + pull @ self.scatter
        unexplained = len(rows) * self.scatter - self.scatter @ precision.sum(axis=0) @ self.scatter
        location = weights @ filled / weights.sum()
        off = filled - location
        scatter = ((off * weights[:, None]).T @ off + unexplained) / len(rows)
        scatter = (1 - shrink) * scatter + shrink * np.diag(np.diag(scatter)) + np.diag(floor**2)
        return StudentT(location, scatter)

    def _precisions(self, known: np.ndarray) -> np.ndarray:
        """float64 [N, D, D]: inverse of the scatter of the known numbers [N, D], 0 for the others."""
        # most rows lack the same numbers as others do: each pattern is inverted once
        patterns, which = np.unique(known, axis=0, return_inverse=True)
        both = patterns[:, :, None] & patterns[:, None, :]
        # a unit variance of their own for unknown numbers makes the inverse fall into two blocks
        inverses = np.where(both, np.linalg.inv(np.where(both, self.scatter, np.eye(len(self.scatter)))), 0)
        return inverses[which.ravel()]

    def distances(self, rows: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances.

        Args:
            rows: float [N, M, D]; NaN where unknown, which must be the same for the M rows of each n.

        Returns:
            float64 [N, M]; 0 where nothing is known.
        """
        off = rows - self.location
        off = np.where(np.isfinite(off), off, 0)
        return ((off @ self._precisions(np.isfinite(rows[:, 0]))) * off).sum(axis=2)

    @staticmethod
    def log_ratio(distance: np.ndarray, other: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
        """Logarithm of the density at one squared distance over that at another, in so many dimensions."""
        return (DEGREES + dimensions) / 2 * (np.log(DEGREES + other) - np.log(DEGREES + distance))
