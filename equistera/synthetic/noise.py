"""Tileable noise, made once for the process from a fixed seed, so that every worker has the same."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def clouds(exponent: float = 1.2, size: int = 512, number: int = 0) -> np.ndarray:
    """float32 [size, size], tileable 1/f^exponent noise of mean 0 and standard deviation 1."""
    rng = np.random.default_rng([1401, size, number])
    x, y = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    frequency = np.hypot(x, y)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency**exponent
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return (noise / noise.std()).astype(np.float32)


@functools.cache
def volume(exponent: float = 1.8, size: int = 48) -> np.ndarray:
    """float32 [size, size, size], tileable, mean 0, standard deviation 1."""
    rng = np.random.default_rng([1402, size])
    axis = np.fft.fftfreq(size)
    frequency = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.fft.rfftfreq(size)[None, None] ** 2)
    frequency[0, 0, 0] = np.inf
    spectrum = np.fft.rfftn(rng.standard_normal((size, size, size))) / frequency**exponent
    noise = np.fft.irfftn(spectrum, s=(size, size, size), axes=(0, 1, 2))
    return (noise / noise.std()).astype(np.float32)


def at(noise: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Samples a noise volume, trilinearly and tiled.

    Args:
        noise: [S, S, S].
        places: [N, 3], in cells.

    Returns:
        float32 [N].
    """
    size = noise.shape[0]
    low = np.floor(places).astype(np.int64)
    share = (places - low).astype(np.float32)
    (x0, y0, z0), (x1, y1, z1) = (low % size).T, ((low + 1) % size).T
    fx, fy, fz = share.T
    flat = noise.ravel()
    result = np.zeros(len(places), dtype=np.float32)
    for x, wx in ((x0, 1 - fx), (x1, fx)):
        for y, wy in ((y0, 1 - fy), (y1, fy)):
            row = (x * size + y) * size
            weight = wx * wy
            result += weight * ((1 - fz) * flat[row + z0] + fz * flat[row + z1])
    return result
