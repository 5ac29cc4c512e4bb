"""Photometric augmentation of a crop, from one generator.

Values follow ``equistera.augmentation``; blur, noise and dropout are albumentations', each seeded by the sample.
"""

from __future__ import annotations

import functools
import warnings

import albumentations as A
import cv2
import numpy as np

from equistera.augmentation import Augmentation


def apply(image: np.ndarray, drawn: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Applies what ``drawn`` asks for.

    Args:
        image: BGR uint8 [H, W, 3]; not changed.
        drawn: Ranges and probabilities.
        rng: The sample's generator.

    Returns:
        BGR uint8 [H, W, 3].
    """
    # all coins first, so that one probability does not shift the draws of the others
    coins = rng.random(8)
    image = _colour(image, drawn, rng, coins[:4] < drawn.photometric)
    for coin, probability, name in zip(
        coins[4:7], (drawn.blur, drawn.noise, drawn.dropout), ("blur", "noise", "dropout"), strict=True
    ):
        if coin < probability:
            transform = _albumentations()[name]
            transform.set_random_seed(int(rng.integers(2**31)))
            image = transform(image=image)["image"]
    if coins[7] < drawn.occlusion:
        image = occlude(image, rng)
    return image


def _colour(image: np.ndarray, drawn: Augmentation, rng: np.random.Generator, chosen: np.ndarray) -> np.ndarray:
    brightness = rng.uniform(-drawn.brightness, drawn.brightness) if chosen[0] else 0.0
    contrast = rng.uniform(*drawn.contrast) if chosen[1] else 1.0
    saturation = rng.uniform(*drawn.saturation) if chosen[2] else 1.0
    hue = rng.uniform(-drawn.hue, drawn.hue) if chosen[3] else 0.0
    if brightness or contrast != 1.0:
        mean = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean()
        levels = (np.arange(256) - mean) * contrast + mean + brightness
        image = cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    if saturation != 1.0 or hue:
        h, s, v = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
        h = cv2.LUT(h, ((np.arange(256) + round(hue)) % 180).astype(np.uint8))
        s = cv2.LUT(s, np.clip(np.rint(np.arange(256) * saturation), 0, 255).astype(np.uint8))
        image = cv2.cvtColor(cv2.merge((h, s, v)), cv2.COLOR_HSV2BGR)
    return image


@functools.cache
def _albumentations() -> dict[str, A.BasicTransform]:
    # albumentations only warns about an argument that it does not know and then does something else
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {
            "blur": A.GaussianBlur(blur_limit=0, sigma_limit=(0.5, 2.5), p=1.0),
            "noise": A.GaussNoise(std_range=(0.02, 0.1), p=1.0),
            "dropout": A.CoarseDropout(
                num_holes_range=(1, 4), hole_height_range=(0.08, 0.25), hole_width_range=(0.08, 0.25), fill=0, p=1.0
            ),
        }


def occlude(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts something in front: a patch of noise, a flat patch, or a bar like a rail, post or person.

    Args:
        image: BGR uint8 [H, W, 3]; not changed.
        rng: The sample's generator.

    Returns:
        A changed copy.
    """
    height, width = image.shape[:2]
    image = image.copy()
    kind = rng.integers(3)
    if kind == 2:
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3) * width
        direction = np.array([np.cos(angle), np.sin(angle)])
        middle = np.array([width, height]) / 2 + np.array([-direction[1], direction[0]]) * offset
        ends = [tuple(np.rint(middle + sign * direction * (width + height)).astype(int).tolist()) for sign in (-1, 1)]
        thickness = max(1, round(rng.uniform(0.03, 0.12) * width))
        cv2.line(image, *ends, rng.integers(0, 256, 3).tolist(), thickness, cv2.LINE_AA)
        return image
    h, w = (max(1, round(side * share)) for side, share in zip((height, width), rng.uniform(0.1, 0.35, 2), strict=True))
    y, x = (int(rng.integers(0, side - size + 1)) for side, size in ((height, h), (width, w)))
    image[y : y + h, x : x + w] = rng.integers(0, 256, 3) if kind == 1 else rng.integers(0, 256, (h, w, 3))
    return image
