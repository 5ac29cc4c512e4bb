"""Rotation matrices about the axes of a horse, for scalars or arrays of angles."""

from __future__ import annotations

import numpy as np


def pitch(angle: np.ndarray | float) -> np.ndarray:
    """Raises what points forward: a hanging leg swings forward.

    Args:
        angle: Radians, [...].

    Returns:
        float64 [..., 3, 3], to be multiplied with column vectors.
    """
    return _planar(angle, 0, 2)


def yaw(angle: np.ndarray | float) -> np.ndarray:
    """Turns what points forward to the left; see :func:`pitch`."""
    return _planar(angle, 0, 1)


def roll(angle: np.ndarray | float) -> np.ndarray:
    """Raises what points to the left; see :func:`pitch`."""
    return _planar(angle, 1, 2)


def _planar(angle: np.ndarray | float, first: int, second: int) -> np.ndarray:
    angle = np.asarray(angle, dtype=float)
    matrix = np.zeros((*angle.shape, 3, 3))
    third = 3 - first - second
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -np.sin(angle)
    matrix[..., third, third] = 1.0
    return matrix
