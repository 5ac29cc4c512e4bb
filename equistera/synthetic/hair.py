"""Mane, forelock, tail and feathers: bundles of flat, tapering locks."""

from __future__ import annotations

import numpy as np

from equistera.synthetic import anatomy, rotation
from equistera.synthetic.anatomy import Build
from equistera.synthetic.body import PART, Body, in_head, unit_circle
from equistera.synthetic.kinematics import Frames, ring_at
from equistera.synthetic.mesh import Mesh, join, tubes
from equistera.synthetic.pose import Pose

_SIDES = 5
_TAIL_LOCKS, _TAIL_STEPS = 34, 12
_MANE_LOCKS, _MANE_STEPS = 64, 9


def locks(lines: np.ndarray, widths: np.ndarray, across: np.ndarray, flatness: float = 0.45) -> np.ndarray:
    """Puts a flat section around every point of every line.

    Args:
        lines: [N, R, 3].
        widths: [N, R], half widths.
        across: [N, 3] or [3]: about the direction of the broad side.
        flatness: Thickness over width.

    Returns:
        float64 [N, R, S, 3].
    """
    tangent = np.gradient(lines, axis=1)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-9
    thin = np.cross(tangent, np.broadcast_to(across, (len(lines), 3))[:, None])
    thin /= np.linalg.norm(thin, axis=-1, keepdims=True) + 1e-9
    broad = np.cross(thin, tangent)
    sine, cosine = unit_circle(_SIDES)
    section = sine[:, None] * broad[:, :, None] + flatness * cosine[:, None] * thin[:, :, None]
    return lines[:, :, None] + section * widths[:, :, None, None]


def grow(rng: np.random.Generator, build: Build, pose: Pose, frames: Frames, body: Body) -> tuple[Mesh, np.ndarray]:
    """Grows all hair.

    Args:
        rng: Random numbers.
        build: Proportions, among them the length of mane and tail.
        pose: Pose of the tail, and speed.
        frames: Of the same pose.
        body: Of the same frames.

    Returns:
        The mesh in body space, and the end of the tail [3].
    """
    tail, end = _tail(rng, build, pose, frames, body)
    meshes = [tail, _mane(rng, build, frames, body), _forelock(rng, build, frames)]
    if build.feather:
        meshes.append(_feathers(rng, build, frames))
    return join(meshes), end


def _tail(rng: np.random.Generator, build: Build, pose: Pose, frames: Frames, body: Body) -> tuple[Mesh, np.ndarray]:
    size = frames.scale
    gravity = frames.body.T @ np.array([-0.9 * pose.speed, 0.0, -1.0])
    gravity /= np.linalg.norm(gravity)
    lift = np.radians(pose.tail_lift)
    start = rotation.yaw(np.radians(-pose.tail_yaw)) @ np.array([-np.cos(lift - 0.9), 0.0, np.sin(lift - 0.9)])
    start = frames.pelvis @ start
    root = body.keypoints["tail_base"] - 0.012 * size * frames.pelvis[:, 0]
    length = 0.60 * build.tail * size
    step = length / (_TAIL_STEPS - 1)
    # the first lock is the middle of the tail and its longest
    spread = np.clip(rng.normal(0, 1, (_TAIL_LOCKS, 3)), -1.5, 1.5) * [0.045, 0.060, 0.025]
    spread[0] = 0
    reach = rng.uniform(0.72, 0.99, _TAIL_LOCKS)
    reach[0] = 1.0
    sway = np.clip(rng.normal(0, 1, (_TAIL_LOCKS, 3)), -1.5, 1.5) * [0.04, 0.08, 0.0]
    sway[0] = 0
    point = np.tile(root, (_TAIL_LOCKS, 1))
    direction = np.tile(start, (_TAIL_LOCKS, 1))
    bend = rng.uniform(0.12, 0.25)
    lines = [point]
    for k in range(1, _TAIL_STEPS):
        pull = min(0.9, bend * (1 + 0.6 * k)) * (1 - 0.5 * pose.tail_lift / 100)
        direction = direction * (1 - pull) + (gravity + sway) * pull
        if k == 2:
            direction = direction + spread * 4
        direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        point = point + direction * step * reach[:, None]
        lines.append(point)
    lines = np.stack(lines, axis=1)
    along = np.linspace(0, 1, _TAIL_STEPS)
    thick = np.interp(along, [0, 0.15, 0.5, 0.85, 1], [0.026, 0.022, 0.026, 0.018, 0.002])
    widths = thick * size * rng.uniform(0.7, 1.2, (_TAIL_LOCKS, 1)) * min(build.tail, 1.0)
    across = frames.pelvis @ np.array([0.0, 1.0, 0.0]) + rng.normal(0, 0.5, (_TAIL_LOCKS, 3))
    return tubes(locks(lines, widths, across), PART["tail"]), lines[0, -1]


def _mane(rng: np.random.Generator, build: Build, frames: Frames, body: Body) -> Mesh:
    size, grid = frames.scale, body.trunk
    side = 1 if rng.random() < 0.5 else -1
    first, last = ring_at(12.2), ring_at(anatomy.POLL_SECTION)
    place = np.sort(rng.uniform(first, last, _MANE_LOCKS))
    ring = np.floor(place).astype(int)
    share = (place - ring)[:, None, None]
    section = grid[ring] * (1 - share) + grid[ring + 1] * share
    # a lock follows the section from the crest down one side
    length = np.clip(rng.uniform(0.75, 1.1, _MANE_LOCKS) * build.mane * 0.62, 0.12, 0.95)
    quarter = grid.shape[1] / 2
    at = np.linspace(0, 1, _MANE_STEPS) * (length * quarter)[:, None]
    low = np.floor(at).astype(int)
    fraction = (at - low)[..., None]
    number = np.arange(_MANE_LOCKS)[:, None]
    line = section[number, side * low] * (1 - fraction) + section[number, side * (low + 1)] * fraction
    center = section.mean(axis=1, keepdims=True)
    outwards = line - center
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    along = np.linspace(0, 1, _MANE_STEPS)
    stand_off = np.interp(along, [0, 0.25, 1], [-0.004, 0.013, 0.010]) * rng.uniform(0.6, 1.5, (_MANE_LOCKS, 1))
    line = line + outwards * (stand_off * size)[..., None]
    neck = grid[ring + 1, 0] - grid[ring, 0]
    neck /= np.linalg.norm(neck, axis=-1, keepdims=True)
    # ends drift along the neck a little, each its own way
    line = line + neck[:, None] * (rng.normal(-0.012, 0.02, (_MANE_LOCKS, 1)) * along * size)[..., None]
    widths = np.interp(along, [0, 0.3, 0.8, 1], [0.012, 0.013, 0.009, 0.0015]) * size
    return tubes(locks(line, widths * rng.uniform(0.8, 1.3, (_MANE_LOCKS, 1)), neck, 0.4), PART["mane"])


def _forelock(rng: np.random.Generator, build: Build, frames: Frames) -> Mesh:
    count = 6
    along = np.linspace(-0.03, rng.uniform(0.16, 0.30) * min(build.mane, 1.2), 6)
    top = np.interp(along, anatomy.HEAD_SECTIONS[:, 0], anatomy.HEAD_SECTIONS[:, 1]) + 0.03
    sideways = rng.normal(0, 0.045, (count, 1)) + rng.normal(0, 0.05, (count, 1)) * np.linspace(0, 1, 6)
    local = np.stack(
        [np.broadcast_to(along, (count, 6)), sideways, np.broadcast_to(top, (count, 6)) - 0.5 * np.abs(sideways)],
        axis=-1,
    )
    lines = in_head(build, frames, local)
    widths = np.interp(np.linspace(0, 1, 6), [0, 0.4, 1], [0.012, 0.014, 0.002]) * frames.scale * np.ones((count, 1))
    return tubes(locks(lines, widths, frames.head[:, 1], 0.5), PART["mane"])


def _feathers(rng: np.random.Generator, build: Build, frames: Frames) -> Mesh:
    """Long hair that falls from above the fetlocks over the hooves."""
    count, steps = 22, 6
    size = frames.scale * build.bone
    lines, across = [], []
    for axes, angle, joints in zip(frames.leg_axes, frames.leg_angles, frames.joints, strict=True):
        around = rng.uniform(0.2 * np.pi, 1.8 * np.pi, count)
        cannon = np.cos(angle[3]) * axes[:, 0] + np.sin(angle[3]) * axes[:, 2]
        outwards = np.cos(around)[:, None] * cannon + np.sin(around)[:, None] * axes[:, 1]
        start = joints[4] + (joints[3] - joints[4]) * rng.uniform(0.0, 0.45, (count, 1))
        fall = frames.body.T @ np.array([0.0, 0.0, -1.0])
        along = np.linspace(0, 1, steps)[None, :, None]
        reach = (0.028 + 0.030 * np.sin(0.6 * np.pi * along)) * size
        length = rng.uniform(0.07, 0.11, (count, 1, 1)) * size * build.feather
        lines.append(start[:, None] + outwards[:, None] * reach + fall * length * along)
        across.append(np.cross(outwards, fall))
    widths = np.interp(np.linspace(0, 1, steps), [0, 0.4, 1], [0.010, 0.012, 0.002]) * size
    grids = locks(np.concatenate(lines), np.tile(widths, (4 * count, 1)), np.concatenate(across), 0.4)
    return tubes(grids, PART["feather"])
