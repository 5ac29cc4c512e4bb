"""What a camera does to a scene: blur, exposure, colour cast, vignette, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np


def develop(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Turns a rendered scene into a photograph.

    Args:
        rng: Random numbers.
        picture: float32 [H, W, 3], sRGB 0-255, unclipped.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = picture.shape[:2]
    scale = width / 640
    # every lens blurs a little, which also smooths the renderer's edges; a few pictures are out of focus
    sigma = rng.uniform(0.45, 0.75) * max(1.0, 0.8 * scale)
    if rng.random() < 0.12:
        sigma *= rng.uniform(1.5, 2.8)
    picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if rng.random() < 0.08:
        picture = _shake(picture, rng.uniform(3, 9) * scale, rng.uniform(0, np.pi))
    gain = np.exp(rng.normal(0, 0.14)) * np.exp(rng.normal(0, 0.035, 3))
    contrast, mean = rng.uniform(0.85, 1.15), 118.0
    # exposure, cast and contrast in one pass
    change = np.hstack([np.diag(gain * contrast), np.full((3, 1), mean * (1 - contrast))])
    picture = cv2.transform(picture, change)
    if rng.random() < 0.5:
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
        darker = (1 - rng.uniform(0.05, 0.3) * (x**2 + y[:, None] ** 2) / 2).astype(np.float32)
        picture = cv2.multiply(picture, cv2.merge([darker] * 3))
    strength = rng.choice([rng.uniform(0.8, 3.0), rng.uniform(3.0, 9.0)], p=[0.8, 0.2])
    grain = rng.standard_normal(picture.shape[:2], dtype=np.float32) * np.float32(strength)
    picture = cv2.add(picture, cv2.merge([grain, grain * np.float32(0.9), grain * np.float32(1.1)]))
    # rounds and clips
    return cv2.convertScaleAbs(np.maximum(picture, 0))


def _shake(picture: np.ndarray, length: float, angle: float) -> np.ndarray:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    step = np.array([np.cos(angle), np.sin(angle)]) * middle
    one, two = np.round(middle - step).astype(int), np.round(middle + step).astype(int)
    cv2.line(kernel, tuple(one.tolist()), tuple(two.tolist()), 1.0, 1, cv2.LINE_AA)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def encode(picture: np.ndarray, quality: int) -> bytes:
    """JPEG file content of an RGB picture."""
    done, buffer = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG file")
    return buffer.tobytes()
