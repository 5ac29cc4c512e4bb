"""Regressions in which every row is told by the others: no label explains itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

#: Parts that the rows fall into; each is told by what the other parts teach.
PARTS = 10


def parts_of_rows(owner: np.ndarray) -> np.ndarray:
    """int64 [N], the part of each row, 0 to :data:`PARTS` - 1; rows of one owner (a picture) stay together."""
    return owner % PARTS


def standardised(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Columns [R, F] with mean 0 and spread 1 over the chosen rows (bool [R]), unknown ones 0, and a column of ones."""
    known = np.where(rows[:, None], columns, np.nan)
    columns = (columns - np.nanmean(known, axis=0)) / (np.nanstd(known, axis=0) + 1e-9)
    return np.column_stack([np.nan_to_num(columns), np.ones(len(columns))])


def ridge(columns: np.ndarray, values: np.ndarray, penalty: float, robust: int = 0) -> np.ndarray:
    """Coefficients float64 [F, D] of the last column's constant and the others, which are penalised.

    Args:
        columns: [R, F], the last one constant.
        values: [R, D].
        penalty: Of the squared coefficients.
        robust: Rounds in which rows far off weigh less and less (Cauchy's weights, at twice the median distance).
    """
    ridged = np.eye(columns.shape[1]) * penalty
    ridged[-1, -1] = 1e-3
    weight = np.ones(len(columns))
    for _ in range(robust + 1):
        weighted = (columns * weight[:, None]).T
        found = np.linalg.solve(weighted @ columns + ridged, weighted @ values)
        if robust:
            off = np.linalg.norm(values - columns @ found, axis=1)
            weight = 1 / (1 + np.square(off / max(2 * float(np.median(off)), 1e-9)))
    return found


def told_by_others(
    columns: np.ndarray, values: np.ndarray, rows: np.ndarray, parts: np.ndarray, penalty: float, robust: int = 0
) -> np.ndarray:
    """What :func:`ridge` expects of every row, float64 [R, D], from the chosen rows (bool [R]) of the other parts."""
    expected = np.zeros((len(columns), values.shape[1]))
    for part in np.unique(parts):
        others, own = rows & (parts != part), parts == part
        if others.any():
            expected[own] = columns[own] @ ridge(columns[others], values[others], penalty, robust)
    return expected


def logistic(columns: np.ndarray, outcomes: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients float64 [F] of a logistic regression (outcomes 0 or 1, [R]), all penalised, by Newton's method."""
    found = np.zeros(columns.shape[1])
    for _ in range(30):
        told = expit(columns @ found)
        slope = columns.T @ (told - outcomes) + penalty * found
        curvature = (columns * (told * (1 - told))[:, None]).T @ columns + penalty * np.eye(len(found))
        step = np.linalg.solve(curvature, slope)
        # a whole step can overshoot where all is told apart
        found -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-9))
    return found


def probabilities_by_others(
    columns: Sequence[np.ndarray], outcomes: np.ndarray, rows: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """The probability of 1 for each point, float64 [N, K], within (0, 1), as points of the other parts teach it.

    Args:
        columns: float64 [N, K] each, what it follows from, beside which point it is.
        outcomes: [N, K], 0 or 1.
        rows: bool [N, K], the points that teach.
        parts: int [N].
    """
    count = outcomes.shape[1]
    stacked = np.stack(columns, axis=-1).reshape(-1, len(columns))
    chosen, owners = rows.ravel(), np.repeat(parts, count)
    design = standardised(np.column_stack([stacked, np.tile(np.eye(count), (len(outcomes), 1))]), chosen)
    # beyond what many have nothing is known
    design[:, : len(columns)] = np.clip(design[:, : len(columns)], -2, 2)
    told = np.full(outcomes.size, 0.5)
    for part in np.unique(parts):
        others = chosen & (owners != part)
        if others.any():
            told[owners == part] = expit(
                design[owners == part] @ logistic(design[others], outcomes.ravel()[others], 10.0)
            )
    return np.clip(told, 1e-6, 1 - 1e-6).reshape(outcomes.shape)
