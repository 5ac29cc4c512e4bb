"""Photometric augmentation of a crop, from one generator: keypoints stay where they are.

Values follow ``equistera.augmentation``. Blur, noise and dropout are albumentations', each seeded by the sample.
Colour is not: albumentations has no additive brightness, no turn of the hue and no contrast around the mean in one,
and its HueSaturationValue alone takes five times what two look-up tables take.
"""

from __future__ import annotations

import functools
from typing import Any

import albumentations as A
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equistera.augmentation import Augmentation
from equistera.mm.data.occlusion import Texture, occlude

#: Of the colour circle in one of OpenCV's steps of 8-bit hue, which has 180.
DEGREES = 2


@TRANSFORMS.register_module()
class Photometric(BaseTransform):
    """Colour, blur, noise, dropout and occlusion on the crop, as the sample's ``augmentation`` asks.

    Adds to ``drawn`` what was applied. A piece of another picture, for an occluder, comes from ``texture``, which the
    data set puts into a sample.
    """

    def transform(self, results: dict) -> dict:
        results["img"], drawn = apply(results["img"], results["augmentation"], results["rng"], results.get("texture"))
        results.setdefault("drawn", {}).update(drawn)
        return results


def apply(
    image: np.ndarray, values: Augmentation, rng: np.random.Generator, texture: Texture | None = None
) -> tuple[np.ndarray, dict[str, object]]:
    """Applies what ``values`` ask for; without a ``texture`` no occluder is made of another picture.

    Returns:
        A changed copy of ``image``, BGR uint8 [H, W, 3], and what was applied: the value drawn, by its field's name.
    """
    drawn: dict[str, Any] = {}
    # all coins first, so that one probability does not shift the draws of the others
    coins = rng.random(8)
    image = _colour(image, values, rng, coins[:4] < values.photometric, drawn)
    for coin, name in zip(coins[4:7], ("blur", "noise", "dropout"), strict=True):
        if coin < getattr(values, name):
            transform = _albumentations(values)[name]
            transform.set_random_seed(int(rng.integers(2**31)))
            image = transform(image=image)["image"]
            drawn[name] = _MEASURES[name](transform.params)
    if coins[7] < values.occlusion:
        image, drawn["occlusion"] = occlude(image, rng, texture)
    return image, drawn


def _colour(
    image: np.ndarray, values: Augmentation, rng: np.random.Generator, chosen: np.ndarray, drawn: dict[str, Any]
) -> np.ndarray:
    draws = {
        "brightness": rng.uniform(-values.brightness, values.brightness),
        "contrast": rng.uniform(*values.contrast),
        "saturation": rng.uniform(*values.saturation),
        "hue": rng.uniform(-values.hue, values.hue),
    }
    drawn.update((name, value) for (name, value), taken in zip(draws.items(), chosen, strict=True) if taken)
    brightness, contrast = drawn.get("brightness", 0.0), drawn.get("contrast", 1.0)
    saturation, hue = drawn.get("saturation", 1.0), drawn.get("hue", 0.0)
    levels = np.arange(256)
    if brightness or contrast != 1.0:
        mean = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean()
        table = (levels - mean) * contrast + mean + brightness
        image = cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8))
    if saturation != 1.0 or hue:
        h, s, v = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
        h = cv2.LUT(h, ((levels + round(hue / DEGREES)) % 180).astype(np.uint8))
        s = cv2.LUT(s, np.clip(np.rint(levels * saturation), 0, 255).astype(np.uint8))
        image = cv2.cvtColor(cv2.merge((h, s, v)), cv2.COLOR_HSV2BGR)
    return image


class _Noise(A.GaussNoise):
    """albumentations' Gaussian noise, drawn and added as int16 instead of float64: a third of the time."""

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        sigma = 255 * self.py_random.uniform(*self.std_range)
        noise = np.empty(params["shape"], np.int16)
        # OpenCV's generator belongs to the thread, so it is seeded anew each time
        cv2.setRNGSeed(int(self.random_generator.integers(2**31)))
        cv2.randn(noise, (0, 0, 0), (sigma, sigma, sigma))
        return {"noise_map": noise, "sigma": sigma}

    def apply(self, img: np.ndarray, noise_map: np.ndarray, **params) -> np.ndarray:
        return cv2.add(img, noise_map, dtype=cv2.CV_8U)


@functools.lru_cache(maxsize=32)
def _albumentations(values: Augmentation) -> dict[str, A.BasicTransform]:
    low, high = values.noise_sigma
    return {
        # strict: albumentations only warns about an argument that it does not know, and does something else
        "blur": A.GaussianBlur(blur_limit=0, sigma_limit=values.blur_sigma, p=1.0, strict=True),
        "noise": _Noise(std_range=(low / 255, high / 255), p=1.0, strict=True),
        "dropout": A.CoarseDropout(
            num_holes_range=values.dropout_holes,
            hole_height_range=values.dropout_size,
            hole_width_range=values.dropout_size,
            fill=0,
            p=1.0,
            strict=True,
        ),
    }


def _sigma_of(kernel: np.ndarray) -> float:
    offsets = np.arange(len(kernel)) - (len(kernel) - 1) / 2
    return float(np.sqrt(kernel.ravel() @ offsets**2))


#: What the parameters that albumentations drew say, in the units of :class:`Augmentation`.
_MEASURES = {
    "blur": lambda params: _sigma_of(params["kernel"]),
    "noise": lambda params: params["sigma"],
    "dropout": lambda params: len(params["holes"]),
}
