"""Plausible horses for the tests of verification: a stick horse in 3-D, walked, turned and seen by a camera.

Labels are as careful annotators make them: points behind the animal are marked hidden or left out, clicks are off by a
little, and nothing is wrong. Tests break what they need broken.
"""

from __future__ import annotations

import numpy as np

from equistera import skeleton as skeletons
from equistera.dataset.coco import category_of
from equistera.files import write_json

HORSE26 = skeletons.load("horse26")
SIZE = (640, 480)

#: Metres: x forward, y to the left, z up.
_MIDDLE = {
    "neck": (0.55, 0, 1.05),
    "withers": (0.35, 0, 1.55),
    "back": (-0.1, 0, 1.45),
    "tail_base": (-0.75, 0, 1.35),
    "tail_end": (-0.95, 0, 0.65),
}
_SHOULDER, _HIP = np.array([0.42, 0.17, 0.92]), np.array([-0.6, 0.2, 1.1])
_FORE, _HIND = (0.42, 0.3, 0.14), (0.5, 0.33, 0.14)
_FORE_NAMES = ("{0}_elbow", "{0}_knee", "{0}f_fetlock", "{0}f_hoof")
_HIND_NAMES = ("{0}_hip", "{0}_hock", "{0}h_fetlock", "{0}h_hoof")


def _leg(start: np.ndarray, bones: tuple, phase: float, hind: bool) -> list[np.ndarray]:
    swing, lifted = 0.45 * np.sin(phase), max(0.0, np.cos(phase))
    bends = (-0.5, 0.3, 0.1) if hind else (0.1, 0.0, 0.2)
    flex = (-0.4 * lifted, 0.3 * lifted, -0.5 * lifted) if hind else (0.5 * lifted, -0.9 * lifted, -0.5 * lifted)
    points, at = [start], start
    for bone, bend, more in zip(bones, bends, flex, strict=True):
        angle = swing + bend + more
        at = at + bone * np.array([np.sin(angle), 0, -np.cos(angle)])
        points.append(at)
    return points


def _body(rng: np.random.Generator) -> dict[str, np.ndarray]:
    points = {name: np.array(place, dtype=float) for name, place in _MIDDLE.items()}
    points["tail_end"] += rng.normal(0, 0.12, 3)
    phase, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1)
    for side, sign, shift in (("l", 1, 0.0), ("r", -1, np.pi)):
        for names, start, bones, offset in (
            (_FORE_NAMES, _SHOULDER, _FORE, 0.0),
            (_HIND_NAMES, _HIP, _HIND, np.pi / 2),
        ):
            joints = _leg(start * (1, sign, 1), bones, spread * (phase + shift + offset), hind=names is _HIND_NAMES)
            points.update(zip((name.format(side) for name in names), joints, strict=True))
    pitch, turn = rng.uniform(-0.9, 0.5), rng.normal(0, 0.25)
    poll = points["withers"] + 0.75 * np.array([np.cos(0.5 + pitch), 0, np.sin(0.5 + pitch)])
    axis = np.array([np.cos(turn) * np.cos(-0.7 + pitch / 2), np.sin(turn), np.sin(-0.7 + pitch / 2)])
    left = np.array([-np.sin(turn), np.cos(turn), 0])
    points["nose"] = poll + 0.6 * axis
    for side, sign in (("l", 1), ("r", -1)):
        points[f"{side}_ear"] = poll + 0.07 * sign * left + [0, 0, 0.1]
        points[f"{side}_eye"] = poll + 0.17 * axis + 0.1 * sign * left
    return points


def horse(rng: np.random.Generator, yaw: float | None = None) -> np.ndarray:
    """One annotation: float [26, 3], x, y, flag, inside a picture of :data:`SIZE`.

    Args:
        rng: Source of everything random.
        yaw: Direction the horse looks in, radians: 0 to the right, pi/2 away from the camera.
    """
    body = _body(rng)
    world = np.stack([body[name] for name in HORSE26.names])
    yaw = rng.uniform(0, 2 * np.pi) if yaw is None else yaw
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = world @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])  # x right, y away, z up
    distance, height = rng.uniform(4, 9), rng.uniform(1.2, 2.0)
    depth = turned[:, 1] + distance
    focal = rng.uniform(0.4, 0.75) * distance * 200
    x = focal * turned[:, 0] / depth
    y = focal * (height - turned[:, 2]) / depth
    points = np.stack([x, y], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array(SIZE) - (high - low) - 40
    factor = min(1.0, *((np.array(SIZE) - 60) / (high - low)))
    points = (points - low) * factor + 20 + rng.uniform(0, 1, 2) * np.maximum(room, 0)
    points += rng.normal(0, 0.006, points.shape) * np.ptp(points[:, 1])
    flags = np.full(len(points), 2)
    sides = np.array([{"left": 1, "right": -1, "middle": 0}[k.side] for k in HORSE26.keypoints])
    far = sides * -np.cos(yaw) < -0.5  # looking right shows the right side
    flags[far] = rng.choice([0, 1, 2], far.sum(), p=[0.25, 0.45, 0.3])
    flags[rng.random(len(points)) < 0.03] = 0
    points[flags == 0] = 0
    return np.concatenate([points, flags[:, None]], axis=1)


def poses(count: int, seed: int = 0) -> np.ndarray:
    """float [count, 26, 3]."""
    rng = np.random.default_rng(seed)
    return np.stack([horse(rng) for _ in range(count)])


def annotation(keypoints: np.ndarray, number: int, image_id: int | None = None) -> dict:
    """A correct COCO annotation."""
    shown = keypoints[keypoints[:, 2] > 0, :2]
    low = np.maximum(shown.min(axis=0) - 12, 0)
    high = np.minimum(shown.max(axis=0) + 12, SIZE)
    width, height = (high - low).tolist()
    return {
        "id": number,
        "image_id": number if image_id is None else image_id,
        "category_id": 1,
        "keypoints": keypoints.round(2).ravel().tolist(),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "bbox": [*low.round(2).tolist(), round(width, 2), round(height, 2)],
        "area": round(width * height, 2),
        "iscrowd": 0,
    }


def coco(keypoints: np.ndarray, prefix: str = "") -> dict:
    """A correct COCO file, one horse a picture."""
    return {
        "images": [
            {"id": i, "file_name": f"{prefix}{i:04d}.jpg", "width": SIZE[0], "height": SIZE[1]}
            for i in range(1, len(keypoints) + 1)
        ],
        "annotations": [annotation(points, i) for i, points in enumerate(keypoints, 1)],
        "categories": [category_of(HORSE26)],
    }


def mistakes(findings) -> set[str]:
    """The codes of what is wrong; what could not be checked is no mistake."""
    return {finding.check.code for finding in findings} - {"not-checked"}


def write_pictures(content: dict, folder, seed: int = 0) -> None:
    """A different small-file JPEG for each picture of a COCO file: coarse random colours, scaled up."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in content["images"]:
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((entry["width"], entry["height"]), Image.Resampling.NEAREST).save(
            folder / entry["file_name"], quality=60
        )


def write_set(root, count: int, name: str = "train", seed: int = 0):
    """The guide's layout with a clean set; returns the annotation file and its content."""
    content = coco(poses(count, seed), prefix=f"{name}_")
    write_pictures(content, root / "images" / name, seed)
    path = root / "annotations" / f"{name}.json"
    write_json(path, content)
    return path, content
