"""Where horses stand and from where they are photographed."""

from __future__ import annotations

import numpy as np

from equistera.synthetic.camera import Camera, look_at
from equistera.synthetic.horse import Horse, sample_horse


def place_horses(rng: np.random.Generator) -> list[Horse]:
    """One horse at the origin, sometimes with another beside it that it does not touch."""
    first = sample_horse(rng).moved(rng.uniform(-np.pi, np.pi), np.zeros(3))
    if rng.random() > 0.22:
        return [first]
    mare_and_foal = first.build.name != "foal" and rng.random() < 0.4
    second = sample_horse(rng, build="foal" if mare_and_foal else None)
    heading = rng.uniform(-np.pi, np.pi)
    direction = rng.uniform(-np.pi, np.pi)
    step = np.array([np.cos(direction), np.sin(direction), 0.0])
    second = second.moved(heading, np.zeros(3))
    gap = 0.2
    while _overlap(first, second, step * gap):
        gap += 0.1
    return [first, second.moved(0.0, step * (gap + rng.uniform(0.1, 1.2)))]


def _overlap(first: Horse, second: Horse, shift: np.ndarray) -> bool:
    """Whether two horses come nearer than 20 cm to each other, seen from above."""
    one, two = first.mesh.vertices[::40, :2], second.mesh.vertices[::40, :2] + shift[:2]
    return bool((((one[:, None] - two[None]) ** 2).sum(axis=-1) < 0.04).any())


def frame(rng: np.random.Generator, horses: list[Horse], size: tuple[int, int], fill: float | None = None) -> Camera:
    """Draws a point of view and frames the horses as a photographer would.

    Most pictures hold all of every horse and are well filled; some cut a part off.

    Args:
        rng: Random numbers.
        horses: Who is photographed.
        size: Width and height of the picture, pixels.
        fill: Share of the picture's width or height that they take, anywhere on it; by default a photographer's.
    """
    points = np.concatenate([horse.mesh.vertices[::7] for horse in horses])
    low, high = points.min(axis=0), points.max(axis=0)
    target = (low + high) / 2
    around = rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.35:
        # side views are what most people take
        side = rng.choice([-1, 1]) * np.pi / 2
        forward = horses[0].keypoints["withers"] - horses[0].keypoints["tail_base"]
        around = np.arctan2(forward[1], forward[0]) + side + rng.normal(0, 0.3)
    focal = rng.uniform(0.85, 2.6) * size[0]
    far, cut = fill is not None, rng.random() < 0.16 and fill is None
    if fill is None:
        fill = rng.uniform(0.95, 1.45) if cut else rng.uniform(0.55, 0.93)
    # people take pictures standing, kneeling, and now and then from a slope or a stand
    eye = rng.choice([rng.uniform(0.9, 1.9), rng.uniform(0.35, 0.9), rng.uniform(1.9, 5.0)], p=[0.66, 0.17, 0.17])
    tilt = rng.normal(0, np.radians(2.0))
    distance = 2.0 + float(np.linalg.norm(high - low)) * focal / size[0]
    for _ in range(8 if far else 3):
        level = np.sqrt(max(distance**2 - (eye - target[2]) ** 2, 0.5 * distance**2))
        position = np.array([target[0] + level * np.cos(around), target[1] + level * np.sin(around), eye])
        camera = look_at(position, target, tilt, focal, size)
        pixels, depth = camera.project(points)
        pixels = pixels[depth > 0.3]
        extent = (pixels.max(axis=0) - pixels.min(axis=0)) / np.array(size)
        distance = max(distance * float(extent.max()) / fill, 1.6 + float(np.linalg.norm(high[:2] - low[:2])) / 2)
    middle = (pixels.max(axis=0) + pixels.min(axis=0)) / 2
    spare = np.maximum(1 - extent, 0.0) / 2
    shift = rng.uniform(-1, 1, 2) * (spare if far else rng.uniform(0.12, 0.4) if cut else np.minimum(0.75 * spare, 0.2))
    wanted = (0.5 + shift) * np.array(size)
    center = np.array(camera.center) + wanted - middle
    return look_at(position, target, tilt, focal, size, (float(center[0]), float(center[1])))
