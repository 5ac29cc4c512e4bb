"""The surface of a posed horse, and where its keypoints are."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from equistera.synthetic import anatomy, kinematics, rotation
from equistera.synthetic.anatomy import Build
from equistera.synthetic.kinematics import Frames, Rings, ring_at
from equistera.synthetic.mesh import Mesh, join, tubes
from equistera.synthetic.pose import Pose

#: What a vertex belongs to; legs and hooves in the order of ``anatomy.LEGS``.
PARTS = (
    "trunk", "head", "lf_leg", "rf_leg", "lh_leg", "rh_leg", "lf_hoof", "rf_hoof", "lh_hoof", "rh_hoof",
    "l_ear", "r_ear", "eyes", "mane", "tail", "feather",
)  # fmt: skip
PART = {name: number for number, name in enumerate(PARTS)}

_TRUNK_SIDES, _HEAD_SIDES, _LEG_SIDES, _LEG_RINGS = 32, 22, 14, 42


def unit_circle(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine around a section; the first point is on top, the next ones to the left."""
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.sin(angle), np.cos(angle)


def trunk_grid(rings: Rings) -> np.ndarray:
    """float64 [R, S, 3]: trunk and neck, the first point of every section on top."""
    across, up = unit_circle(_TRUNK_SIDES)
    power = np.where(up > 0, rings.ridge[:, None], 0.85)
    across = np.sign(across) * np.abs(across) ** power * _relief()
    # the widest place is not half-way up
    shift = 2 * rings.widest[:, None] - 1
    along_half = shift + up * np.where(up > 0, 1 - shift, 1 + shift)
    return (
        rings.center[:, None]
        + along_half[..., None] * rings.half[:, None]
        + (across * rings.width[:, None])[..., None] * rings.side[:, None]
    )


@functools.cache
def _relief() -> np.ndarray:
    """float64 [R, S]: width at every point of the trunk relative to a plain section, by ``anatomy.RELIEF``."""
    rings = kinematics.rest_rings(anatomy.BUILDS["warmblood"])
    _, up = unit_circle(_TRUNK_SIDES)
    points = rings.center[:, None] + up[:, None] * rings.half[:, None]
    x, z = points[..., 0], points[..., 2]
    relief = np.ones(x.shape)
    for x0, z0, x1, z1, width, amount in anatomy.RELIEF:
        dx, dz = x1 - x0, z1 - z0
        along = np.clip(((x - x0) * dx + (z - z0) * dz) / (dx * dx + dz * dz), 0, 1)
        square = (x - x0 - along * dx) ** 2 + (z - z0 - along * dz) ** 2
        relief += amount * np.exp(-square / (2 * width * width))
    return relief


def _head_grid(build: Build, frames: Frames) -> np.ndarray:
    table = kinematics.interpolate(anatomy.HEAD_SECTIONS, np.linspace(0, len(anatomy.HEAD_SECTIONS) - 1, 42))
    across, up = unit_circle(_HEAD_SIDES)
    across = np.sign(across) * np.abs(across) ** 0.8
    middle, half = (table[:, 1] + table[:, 2]) / 2, (table[:, 1] - table[:, 2]) / 2
    # the jaw is narrower than the forehead
    narrowing = 1 - 0.18 * np.clip(-up, 0, 1) ** 2
    local = np.stack(
        [
            np.broadcast_to(table[:, :1], (len(table), _HEAD_SIDES)),
            across * narrowing * np.maximum(table[:, 3:4], 0.004),
            middle[:, None] + up * half[:, None],
        ],
        axis=-1,
    )
    return in_head(build, frames, local)


def in_head(build: Build, frames: Frames, local: np.ndarray) -> np.ndarray:
    """Points given in head lengths (to the muzzle, left, to the forehead) in body space."""
    length = anatomy.HEAD_LENGTH * build.head * frames.scale
    return frames.poll + (local * length) @ frames.head.T


def nose_place(build: Build, frames: Frames) -> np.ndarray:
    """The keypoint ``nose`` alone, [3] in body space."""
    head = _head_grid(build, frames)
    return head[-3, 0] * 0.5 + head[-3, _HEAD_SIDES // 2] * 0.5


def _ear_grids(build: Build, frames: Frames, pose: Pose) -> np.ndarray:
    """float64 [2, R, S, 3]: a leaf rolled to a cone, its opening turned with the ear."""
    along = np.linspace(0, 1, 8)
    width = 0.075 * np.sin(np.pi * np.clip(0.22 + 0.78 * along, 0, 1)) ** 0.8 + 0.003
    across, up = unit_circle(10)
    ears = []
    for side, turn in zip((1.0, -1.0), np.radians(pose.ears), strict=True):
        local = np.stack(
            [
                np.broadcast_to(up * width[:, None] * 0.7, (8, 10)),
                np.broadcast_to(across * width[:, None], (8, 10)),
                np.broadcast_to(0.30 * along[:, None], (8, 10)),
            ],
            axis=-1,
        )
        # an ear stands off the poll, a little outwards; the head hangs, so upright is towards the neck
        lean = rotation.roll(-side * 0.22) @ rotation.pitch(np.radians(32.0) - turn)
        base = ear_place(side)
        ears.append(in_head(build, frames, base + local @ lean.T))
    return np.stack(ears)


def _eye_grids(build: Build, frames: Frames) -> np.ndarray:
    latitude = np.linspace(0.05, np.pi - 0.05, 7)
    across, up = unit_circle(10)
    ball = np.stack(
        [
            np.broadcast_to(np.cos(latitude)[:, None], (7, 10)) * 0.052,
            np.sin(latitude)[:, None] * across * 0.034,
            np.sin(latitude)[:, None] * up * 0.040,
        ],
        axis=-1,
    )
    return np.stack([in_head(build, frames, eye_place(side) + ball) for side in (1.0, -1.0)])


def eye_place(side: float) -> np.ndarray:
    """Centre of an eye in the axes of the head, in head lengths; side +1 left, -1 right."""
    along, up, outwards = anatomy.EYE_PLACE
    return np.array([along, side * outwards, up])


def ear_place(side: float) -> np.ndarray:
    """Base of an ear; see :func:`eye_place`."""
    along, up, outwards = anatomy.EAR_PLACE
    return np.array([along, side * outwards, up])


def _leg_grids(build: Build, frames: Frames) -> np.ndarray:
    """float64 [4, R, S, 3], from the girdle to the coronet."""
    grids = []
    across, front = unit_circle(_LEG_SIDES)
    for leg in range(4):
        table = anatomy.FORE_SECTIONS if leg < 2 else anatomy.HIND_SECTIONS
        rows = kinematics.interpolate(table[:, 2:], np.linspace(0, len(table) - 1, _LEG_RINGS))
        place = np.interp(np.linspace(0, len(table) - 1, _LEG_RINGS), np.arange(len(table)), table[:, 0] + table[:, 1])
        # muscle above, bone below; the hoof's joints are the same whatever the muscle
        lower = np.clip((place - 2.2) / 0.6, 0, 1)
        grow = build.muscle * (1 - lower) + build.bone * lower
        rows = rows * grow[:, None] * frames.scale
        rows[:, 2] *= 1 + (build.trunk_width - 1) * (1 - lower)
        bone = np.minimum(place.astype(int), 4)
        fraction = place - bone
        joints = frames.joints[leg]
        center = joints[bone] + fraction[:, None] * (joints[bone + 1] - joints[bone])
        direction = _bend_smoothly(frames.leg_angles[leg], place)
        axes = frames.leg_axes[leg]
        forward = np.cos(direction)[:, None] * axes[:, 0] + np.sin(direction)[:, None] * axes[:, 2]
        reach = np.where(front > 0, rows[:, :1], rows[:, 1:2]) * front
        outwards = across * rows[:, 2:3] * anatomy.LEG_SIDES[leg]
        grids.append(center[:, None] + reach[..., None] * forward[:, None] + outwards[..., None] * axes[:, 1])
    return np.stack(grids)


def _bend_smoothly(angles: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Direction of the leg at each place (bone + fraction): a bone's own in its middle, mixed towards the joints."""
    knots, values = [], []
    for bone, angle in enumerate(angles):
        knots += [bone + 0.22, bone + 0.78]
        values += [angle, angle]
    return np.interp(place, knots, values)


def _hoof_grids(build: Build, frames: Frames) -> np.ndarray:
    """float64 [4, R, S, 3]."""
    grids = []
    for leg in range(4):
        axes = frames.leg_axes[leg] @ rotation.pitch(frames.hoof_angles[leg])
        grids.append(frames.joints[leg, -1] + hoof_shape(build, leg, frames.scale) @ axes.T)
    return np.stack(grids)


def hoof_shape(build: Build, leg: int, scale: float) -> np.ndarray:
    """float64 [R, S, 3]: a hoof that is flat, from its coronet, metres."""
    across, front = unit_circle(_LEG_SIDES)
    height = anatomy.FORE_JOINTS[-1, 2] * build.leg * scale
    down, shift, reach_front, reach_rear, side = anatomy.HOOF_SECTIONS.T[:, :, None]
    size = build.bone * scale
    forward = (shift + np.where(front > 0, reach_front, reach_rear) * front) * size
    outwards = across * side * size * anatomy.LEG_SIDES[leg]
    return np.stack([forward, outwards, np.broadcast_to(-down * height, forward.shape)], axis=-1)


@dataclass(frozen=True)
class Body:
    """A posed horse in body space.

    Attributes:
        mesh: Everything but hair.
        keypoints: [3] by name of the skeleton ``horse26``; ``tail_end`` comes with the hair.
        trunk: [R, S, 3], see :func:`trunk_grid`; the mane grows on it.
    """

    mesh: Mesh
    keypoints: dict[str, np.ndarray]
    trunk: np.ndarray


def build_body(build: Build, pose: Pose, frames: Frames) -> Body:
    """Makes the surface and the keypoints.

    Args:
        build: Proportions.
        pose: For the ears; the rest of it is in ``frames``.
        frames: From :func:`kinematics.forward`.
    """
    trunk, head = trunk_grid(frames.rings), _head_grid(build, frames)
    hooves = _hoof_grids(build, frames)
    mesh = join(
        [
            tubes(trunk[None], PART["trunk"]),
            tubes(head[None], PART["head"]),
            tubes(_leg_grids(build, frames), np.array([PART[f"{leg}_leg"] for leg in anatomy.LEGS])),
            tubes(hooves, np.array([PART[f"{leg}_hoof"] for leg in anatomy.LEGS])),
            tubes(_ear_grids(build, frames, pose), np.array([PART["l_ear"], PART["r_ear"]])),
            tubes(_eye_grids(build, frames), PART["eyes"]),
        ]
    )
    rings = frames.rings
    points = {
        "nose": nose_place(build, frames),
        "neck": rings.center[ring_at(anatomy.NECK_BASE_SECTION)],
        "withers": trunk[ring_at(anatomy.WITHERS_SECTION), 0],
        "back": trunk[ring_at(anatomy.BACK_SECTION), 0],
        "tail_base": trunk[ring_at(anatomy.TAIL_SECTION), 0],
    }
    for name, side in (("l", 1.0), ("r", -1.0)):
        outwards = np.array([0.0, side * 0.03, 0.0])
        points[f"{name}_eye"] = in_head(build, frames, eye_place(side) + outwards)
        points[f"{name}_ear"] = in_head(build, frames, ear_place(side))
    for leg, joints, hoof in zip(anatomy.LEGS, frames.joints, hooves, strict=True):
        if leg[1] == "f":
            points[f"{leg[0]}_elbow"], points[f"{leg[0]}_knee"] = joints[2], joints[3]
        else:
            points[f"{leg[0]}_hip"], points[f"{leg[0]}_hock"] = joints[1], joints[3]
        points[f"{leg}_fetlock"] = joints[4]
        points[f"{leg}_hoof"] = hoof[2:4].mean(axis=(0, 1))
    return Body(mesh, points, trunk)


@functools.cache
def rest_places() -> np.ndarray:
    """float32 [V, 3]: where the vertices of every body are on the standard horse at rest; the coat is painted there."""
    build, pose = anatomy.BUILDS["warmblood"], Pose()
    frames = kinematics.forward(build, pose)
    return build_body(build, pose, frames).mesh.vertices.astype(np.float32) / np.float32(frames.scale)
