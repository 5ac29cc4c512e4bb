"""Tiny data sets for the metrics: a five-point animal, pictures made of numbers."""

import numpy as np
import pytest

from equistera import skeleton as schema

POINTS = [
    {"name": "nose", "half": "upper", "sigma": 0.05},
    {"name": "l_knee", "swap": "r_knee", "half": "lower", "sigma": 0.06},
    {"name": "r_knee", "swap": "l_knee", "half": "lower", "sigma": 0.06},
    {"name": "withers", "half": "upper", "sigma": 0.07},
    {"name": "tail", "half": "upper", "sigma": 0.08},
]

#: Pixels in a box of 200 x 100 at (0, 0); every two points at least 50 px apart.
POSE = np.array([[190.0, 20.0], [140.0, 90.0], [60.0, 95.0], [120.0, 10.0], [10.0, 20.0]])


@pytest.fixture(scope="session")
def animal():
    """A skeleton of five points, one pair among them."""
    return schema.parse({"keypoints": POINTS, "links": [["nose", "withers"], ["withers", "tail"]]}, "five")


class Maker:
    """Makes COCO files and predictions from the pose of five points."""

    #: float64 [5, 2]: see POSE.
    pose = POSE

    def __init__(self, skeleton):
        self.skeleton = skeleton

    def moved(self, x: float, y: float) -> np.ndarray:
        """The pose, shifted by pixels."""
        return POSE + np.array([x, y])

    def truth(self, pictures: int, visibility=(2, 2, 2, 2, 2), shift=(0.0, 0.0), first_id: int = 1) -> dict:
        flat = np.column_stack([POSE + shift, visibility]).reshape(-1).tolist()
        ids = range(first_id, first_id + pictures)
        return {
            "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in ids],
            "categories": [{"id": 1, "name": "horse", "keypoints": list(self.skeleton.names)}],
            "annotations": [
                {
                    "id": i,
                    "image_id": i,
                    "category_id": 1,
                    "bbox": [shift[0], shift[1], 200.0, 100.0],
                    "area": 10000.0,
                    "iscrowd": 0,
                    "num_keypoints": int(np.count_nonzero(visibility)),
                    "keypoints": list(flat),
                }
                for i in ids
            ],
        }

    def result(self, image_id: int, points=POSE, scores=0.9, score=0.9, **extra) -> dict:
        points = np.asarray(points, dtype=float)
        flat = np.column_stack([points, np.broadcast_to(scores, len(points))]).reshape(-1).tolist()
        return {"image_id": image_id, "category_id": 1, "keypoints": list(flat), "score": score, **extra}

    def noisy(self, truth: dict, noise_px: float, seed: int = 0) -> list[dict]:
        """A prediction for every annotation: normal noise, scores that fall with the error."""
        rng = np.random.default_rng(seed)
        results = []
        for ann in truth["annotations"]:
            points = np.reshape(ann["keypoints"], (-1, 3))[:, :2]
            offset = rng.normal(0, noise_px, points.shape)
            scores = np.exp(-np.linalg.norm(offset, axis=1) / 20)
            points = points + offset
            results.append(self.result(ann["image_id"], points, scores, float(scores.mean()), ann_id=ann["id"]))
        return results


@pytest.fixture(scope="session")
def make(animal):
    """See :class:`Maker`."""
    return Maker(animal)
