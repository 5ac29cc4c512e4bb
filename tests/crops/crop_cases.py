"""Photos whose content is known, and requests for crops of them."""

import numpy as np

from equistera.augmentation import augmentation
from equistera.crops.request import Animal, Request

#: Keypoints of the upper and of the lower body in these tests.
HALVES = (range(13), range(13, 26))


def smooth_picture(width, height, seed=0):
    """BGR uint8, low frequencies only: sampling and averaging must agree on it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    picture = np.zeros((height, width, 3))
    for _ in range(6):
        fx, fy, phase = *rng.uniform(-9, 9, 2), rng.uniform(0, 6.28)
        picture += rng.uniform(5, 25, 3) * np.sin(2 * np.pi * (fx * x + fy * y) + phase)[..., None]
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def animal(path, box, seed=0):
    """An animal with 26 labelled points spread over its box."""
    rng = np.random.default_rng(seed)
    x1, y1, x2, y2 = box
    points = rng.uniform((x1, y1), (x2, y2), (26, 2)).astype(np.float32)
    return Animal(str(path), np.array(box, np.float32), points, np.ones(26, np.float32))


def request_of(animals, presets=("aggressive",), input_size=(64, 64), label="test"):
    return Request(label, animals, HALVES, [augmentation(name) for name in presets], input_size)
