"""Things that stand in front of the horses or right behind them: fences, posts, foliage, grass."""

from __future__ import annotations

import cv2
import numpy as np

from equistera.synthetic.camera import NEAR, Camera

_SHIFT = 4
_FENCE_COLORS = np.array([[226, 224, 218], [120, 92, 66], [78, 62, 50], [150, 140, 126]], np.float32)


def fence(
    rng: np.random.Generator, camera: Camera, distance: float, picture: np.ndarray, depth: np.ndarray, light: float
) -> None:
    """Draws a rail fence across the view.

    Args:
        rng: Random numbers.
        camera: The camera.
        distance: Metres in front of the camera at which the fence crosses the middle of the view.
        picture: float32 [H, W, 3]; changed.
        depth: float [H, W]; changed where the fence is the nearest.
        light: Brightness of the day, 1 normal.
    """
    forward = camera.axes[2] * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    turn = rng.uniform(-0.2, 0.2)
    across = np.array([forward[1], -forward[0], 0.0])
    across = np.cos(turn) * across + np.sin(turn) * forward
    middle = camera.position * [1, 1, 0] + forward * distance
    reach = distance * 1.2 * camera.width / camera.focal + 2
    top = rng.uniform(1.05, 1.45)
    rails = rng.integers(2, 4)
    thick = rng.uniform(0.035, 0.075)
    color = _FENCE_COLORS[rng.integers(len(_FENCE_COLORS))] * rng.uniform(0.85, 1.05) * light
    spacing, phase = rng.uniform(2.0, 3.2), rng.uniform(0, 3)
    for number in range(rails):
        z = top * (number + 1) / rails - 0.05
        _slab(camera, picture, depth, middle - across * reach, middle + across * reach, z - thick, z + thick, color)
    for place in np.arange(-reach + phase, reach, spacing):
        foot = middle + across * place
        half = across * rng.uniform(0.05, 0.09)
        _slab(camera, picture, depth, foot - half, foot + half, 0.0, top + 0.08, color * 0.92)


def post(
    rng: np.random.Generator, camera: Camera, distance: float, picture: np.ndarray, depth: np.ndarray, light: float
) -> None:
    """Draws one upright trunk or pole; arguments as for :func:`fence`."""
    forward = camera.axes[2] * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    across = np.array([forward[1], -forward[0], 0.0])
    sideways = rng.uniform(-0.4, 0.4) * distance * camera.width / camera.focal
    foot = camera.position * [1, 1, 0] + forward * distance + across * sideways
    half = across * rng.uniform(0.03, 0.11)
    color = np.array([96, 80, 64], np.float32) * rng.uniform(0.6, 1.4) * light
    for share, shade in ((1.0, 0.75), (0.6, 1.0)):
        _slab(camera, picture, depth, foot - half * share, foot + half * share, 0.0, 6.0, color * shade)


def _slab(
    camera: Camera,
    picture: np.ndarray,
    depth: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    bottom: float,
    top: float,
    color: np.ndarray,
) -> None:
    """Draws an upright rectangle over ``start``-``end``, shaded darker to its lower edge."""
    count = 9
    line = start + (end - start) * np.linspace(0, 1, count)[:, None]
    heights = np.array([bottom, (bottom + top) / 2, top])
    corners = line + heights[:, None, None] * np.array([0.0, 0.0, 1.0])
    points, far = camera.project(corners)
    for k in range(count - 1):
        if far[:, k : k + 2].min() <= NEAR:
            continue
        distance = float(far[:, k : k + 2].mean())
        for lower, shade in ((0, 0.78), (1, 1.0)):
            ring = points[[lower, lower, lower + 1, lower + 1], [k, k + 1, k + 1, k]]
            cover(picture, depth, ring, distance, color * shade)


def cover(picture: np.ndarray, depth: np.ndarray, ring: np.ndarray, distance: float, color: np.ndarray) -> None:
    """Fills a convex polygon where nothing nearer is.

    Args:
        picture: float32 [H, W, 3]; changed.
        depth: float [H, W]; changed.
        ring: [N, 2], pixels.
        distance: Depth of the polygon.
        color: [3].
    """
    height, width = depth.shape
    low = np.clip(np.floor(ring.min(axis=0)).astype(int), 0, [width, height])
    high = np.clip(np.ceil(ring.max(axis=0)).astype(int) + 1, 0, [width, height])
    if (high <= low).any():
        return
    box = slice(low[1], high[1]), slice(low[0], high[0])
    mask = np.zeros((high - low)[::-1], np.uint8)
    fixed = np.clip((ring - low) * (1 << _SHIFT), -(2**20), 2**20).round().astype(np.int32)
    cv2.fillConvexPoly(mask, fixed, 1, cv2.LINE_8, _SHIFT)
    nearest = (mask > 0) & (depth[box] > distance)
    picture[box][nearest] = color
    depth[box][nearest] = distance


def foliage(rng: np.random.Generator, picture: np.ndarray, depth: np.ndarray, distance: float, light: float) -> None:
    """Hangs twigs with leaves over one or two edges of the picture.

    Args:
        rng: Random numbers.
        picture: float32 [H, W, 3]; changed.
        depth: float [H, W]; changed.
        distance: Depth of the leaves.
        light: Brightness of the day.
    """
    height, width = depth.shape
    size = width / 640
    green = np.array([86, 122, 54], np.float32) * rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3) * light
    layer, mask = np.zeros_like(picture), np.zeros(depth.shape, np.uint8)
    for _ in range(rng.integers(1, 3)):
        edge = rng.integers(4)
        along = rng.uniform(0, 1)
        start = np.array(
            [[along * width, 0], [along * width, height], [0, along * height], [width, along * height]][edge]
        )
        inwards = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]][edge])
        for _ in range(rng.integers(3, 8)):
            reach = rng.uniform(0.08, 0.28) * height
            twig = inwards * reach + rng.normal(0, 0.35, 2) * reach
            root = start + rng.normal(0, 0.06 * width, 2) * np.abs(inwards[::-1])
            for share in np.sort(rng.uniform(0, 1, int(rng.integers(8, 18)))):
                center = root + twig * share + rng.normal(0, 7 * size, 2)
                axes = rng.uniform([5, 2], [11, 4.5]) * size
                color = green * rng.uniform(0.6, 1.5)
                fixed = tuple((center * (1 << _SHIFT)).round().astype(int).tolist())
                fixed_axes = tuple((axes * (1 << _SHIFT)).round().astype(int).tolist())
                angle = float(rng.uniform(0, 360))
                cv2.ellipse(layer, fixed, fixed_axes, angle, 0, 360, color.tolist(), -1, cv2.LINE_8, _SHIFT)
                cv2.ellipse(mask, fixed, fixed_axes, angle, 0, 360, 1, -1, cv2.LINE_8, _SHIFT)
    inside = (mask > 0) & (depth > distance)
    picture[inside] = layer[inside]
    depth[inside] = distance


def grass(
    rng: np.random.Generator,
    camera: Camera,
    picture: np.ndarray,
    colors: np.ndarray,
    near: float,
    far: float,
    count: int,
) -> None:
    """Draws blades of grass on the ground between two depths.

    Args:
        rng: Random numbers.
        camera: The camera.
        picture: float32 [H, W, 3]; changed.
        colors: [2, 3], between which the blades vary.
        near: Metres.
        far: Metres.
        count: Number of blades.
    """
    if far <= near:
        return
    forward = camera.axes[2] * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    across = np.array([forward[1], -forward[0], 0.0])
    # more blades where they are small, so that the picture is evenly covered
    distance = 1 / rng.uniform(1 / far, 1 / near, count)
    sideways = rng.uniform(-0.6, 0.6, count) * distance * camera.width / camera.focal
    foot = camera.position * [1, 1, 0] + forward * distance[:, None] + across * sideways[:, None]
    tip = foot + rng.normal(0, 0.02, (count, 3)) + [0, 0, 1] * rng.uniform(0.03, 0.11, (count, 1))
    start, depth = camera.project(foot)
    end, _ = camera.project(tip)
    shade = rng.uniform(0, 1, (count, 1))
    color = (colors[0] + (colors[1] - colors[0]) * shade) * rng.uniform(0.7, 1.2, (count, 1))
    lines = np.clip(np.stack([start, end], axis=1) * (1 << _SHIFT), -(2**20), 2**20).round().astype(int)
    for (one, two), tone, far_enough in zip(lines.tolist(), color.tolist(), depth > NEAR, strict=True):
        if far_enough:
            cv2.line(picture, tuple(one), tuple(two), tone, 1, cv2.LINE_AA, _SHIFT)
