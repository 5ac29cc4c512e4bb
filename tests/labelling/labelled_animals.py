"""Labelled animals of a small skeleton, and what a fair model would say of them."""

import itertools
import json

import numpy as np

from equistera import skeleton
from equistera.labelling.answers import Answers
from equistera.labelling.pool import Pool, Source

LEGS = ("elbow", "knee", "hoof"), ("hip", "hock", "hind_hoof")
PAIRED = [f"{side}_{name}" for leg in LEGS for side in "lr" for name in leg]
NAMES = ("nose", "withers", "tail_base", *PAIRED)
CONTENT = {
    "keypoints": [
        {"name": name, "swap": "", "half": "upper", "sigma": 0.05}
        | ({"swap": ("r" if name[0] == "l" else "l") + name[1:]} if name in PAIRED else {})
        for name in NAMES
    ],
    "links": [
        ["nose", "withers"],
        ["withers", "tail_base"],
        *([f"{side}_{a}", f"{side}_{b}"] for leg in LEGS for side in "lr" for a, b in itertools.pairwise(leg)),
    ],
}
SKELETON = skeleton.parse(CONTENT, "small")
#: x, y of an animal that looks to the left, in sizes; the right side stands behind and a little above the left one.
SHAPE = np.array(
    [
        *([0, 0.1], [0.3, 0.1], [0.8, 0.15]),
        *([0.3, 0.4], [0.3, 0.6], [0.3, 0.8], [0.36, 0.38], [0.4, 0.56], [0.42, 0.74]),
        *([0.75, 0.4], [0.8, 0.6], [0.75, 0.8], [0.78, 0.38], [0.9, 0.56], [0.9, 0.74]),
    ]
)
SIZE = 200.0


def labels_of(animals, seed=0):
    """float64 [N, K, 3]: animals of two to a picture, each within its half of 500 pixels; the far side is hidden."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((animals, len(NAMES), 3))
    far = np.array([name[0] == "r" and name in PAIRED for name in NAMES])
    for n in range(animals):
        shape = SHAPE + 0.02 * rng.normal(size=SHAPE.shape)
        flags = np.where(far, 1, 2)
        if rng.random() < 0.5:
            # to the right: the left side is the far one
            shape = np.column_stack([1 - shape[:, 0], shape[:, 1]])[SKELETON.flip_indices]
            flags = flags[SKELETON.flip_indices]
        labels[n] = np.column_stack([[30 + 250 * (n % 2), 30] + SIZE * shape, flags])
    return labels


def pool_of(labels, folder, boxes=None, more=()):
    """A pool of them, read from a file in a folder; ``more`` are further annotations."""
    low = np.array([[20.0 + 250 * (n % 2), 30.0] for n in range(len(labels))])
    boxes = np.column_stack([low, np.full((len(labels), 2), 220.0)]) if boxes is None else boxes
    images = [{"id": p, "file_name": f"{p}.jpg", "width": 500, "height": 300} for p in range((len(labels) + 1) // 2)]
    annotations = [
        {"id": n + 1, "image_id": n // 2, "category_id": 1, "bbox": list(box), "keypoints": own.ravel().tolist()}
        for n, (own, box) in enumerate(zip(labels, boxes.tolist(), strict=True))
    ]
    category = {"id": 1, "name": "horse", "keypoints": list(NAMES)}
    (folder / "annotations").mkdir(exist_ok=True)
    path = folder / "annotations" / "train.json"
    path.write_text(json.dumps({"images": images, "annotations": [*annotations, *more], "categories": [category]}))
    return Pool.read([Source("train", path, folder / "images" / "train")], SKELETON)


def answers_for(truth, seed=0, error=0.015, exchanged=0.15):
    """Of a model that is off by a little, and takes left for right of some legs."""
    rng = np.random.default_rng(seed)
    count, points = len(truth), len(NAMES)
    told = Answers.none(count, points)
    for n in range(count):
        place = truth[n, :, :2].copy()
        for leg in LEGS:
            if rng.random() < exchanged:
                own = [NAMES.index(f"{side}_{name}") for name in leg for side in "lr"]
                place[own] = place[SKELETON.flip_indices[own]]
        views = place + error * SIZE * rng.normal(size=(4, points, 2))
        apart = np.linalg.norm(place[:, None] - truth[n, None, :, :2], axis=-1) / SIZE
        told.take(n, views, np.full((4, points), 0.8), np.tile(np.exp(-np.square(apart / 0.1)), (4, 1, 1)))
    return told
