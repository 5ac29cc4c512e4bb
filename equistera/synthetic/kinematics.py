"""Where a pose puts every bone of a horse (forward kinematics).

Every leg moves in its own plane, which may tilt sideways; neck and loin bend evenly along their length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from equistera.synthetic import anatomy, rotation
from equistera.synthetic.anatomy import Build
from equistera.synthetic.pose import Pose, clamp


@dataclass(frozen=True)
class Rings:
    """Cross-sections along trunk and neck, rump first; the last is at the poll.

    Attributes:
        center: [R, 3].
        half: [R, 3], from the centre to the top of the section.
        side: [R, 3], unit vector to the left.
        width: [R], half width.
        widest: [R], height of the widest place, 0 bottom to 1 top.
        ridge: [R], how sharp the top is.
    """

    center: np.ndarray
    half: np.ndarray
    side: np.ndarray
    width: np.ndarray
    widest: np.ndarray
    ridge: np.ndarray


@dataclass(frozen=True)
class Frames:
    """Where the parts of a posed horse are, in body space: metres, before the body is pitched, rolled and placed.

    Attributes:
        rings: Trunk and neck.
        joints: [4, 6, 3], from the girdle to the coronet, rows as in ``anatomy.LEGS``.
        leg_axes: [4, 3, 3], columns: forward, left and up in the plane of each leg.
        leg_angles: [4, 5], direction of each bone in its plane, radians from straight down, positive forward.
        hoof_angles: [4], pitch of each hoof from flat in its plane.
        head: [3, 3] and ``poll`` [3]: axes (muzzle, left, forehead) and origin of the head.
        poll: See ``head``.
        pelvis: [3, 3], rotation of the pelvis.
        body: [3, 3], pitch and roll of the whole horse.
        scale: Metres for one unit of the anatomy's tables.
    """

    rings: Rings
    joints: np.ndarray
    leg_axes: np.ndarray
    leg_angles: np.ndarray
    hoof_angles: np.ndarray
    head: np.ndarray
    poll: np.ndarray
    pelvis: np.ndarray
    body: np.ndarray
    scale: float


#: Rings along trunk and neck; the sections of the table are interpolated.
RING_COUNT = 72
_RING_PLACES = np.linspace(0, len(anatomy.TRUNK_SECTIONS) - 1, RING_COUNT)


def ring_at(section: float) -> int:
    """The ring nearest to a row of ``anatomy.TRUNK_SECTIONS``."""
    return int(np.argmin(np.abs(_RING_PLACES - section)))


def interpolate(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of a table between its rows: a Catmull-Rom spline, which passes through every row.

    Args:
        table: [N, C].
        places: [R], row numbers from 0 to N - 1, whole or not.

    Returns:
        float64 [R, C].
    """
    padded = np.concatenate([2 * table[:1] - table[1:2], table, 2 * table[-1:] - table[-2:-1]])
    row = np.clip(np.floor(places).astype(int), 0, len(table) - 2)
    t = (places - row)[:, None]
    p0, p1, p2, p3 = (padded[row + k] for k in range(4))
    return p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))


def forward(build: Build, pose: Pose) -> Frames:
    """Puts every bone where the pose wants it.

    Args:
        build: Proportions.
        pose: Angles; those outside their range are clamped.

    Returns:
        All frames. Hooves that stand are flat, and the body is pitched so that fore and hind hooves that stand are on
        the same ground, where the pose does not tell its height.
    """
    pose = clamp(pose)
    rings, rotations = _bend_spine(build, pose)
    pelvis = rotations[0]
    joints, axes, angles = _place_legs(build, pose, pelvis, rings.center[ring_at(anatomy.CROUP_SECTION)])
    body_pitch = np.radians(pose.body_pitch) + (_levelling(pose, joints) if pose.height is None else 0.0)
    body = rotation.pitch(body_pitch) @ rotation.roll(np.radians(pose.body_roll))
    cumulated = np.cumsum(np.radians(pose.legs), axis=1)[:, -1]
    hoof_angles = pose.grounded * -body_pitch + (1 - pose.grounded) * cumulated
    head = (
        rotations[-1]
        @ rotation.yaw(np.radians(pose.head_yaw))
        @ rotation.pitch(np.radians(pose.head_pitch + anatomy.HEAD_ANGLE_DEG))
        @ rotation.roll(np.radians(pose.head_roll))
    )
    poll_ring = ring_at(anatomy.POLL_SECTION)
    poll = rings.center[poll_ring] + 0.45 * rings.half[poll_ring]
    scale = scale_of(build)
    return Frames(
        rings=replace(rings, center=rings.center * scale, half=rings.half * scale, width=rings.width * scale),
        joints=joints * scale,
        leg_axes=axes,
        leg_angles=angles,
        hoof_angles=hoof_angles,
        head=head,
        poll=poll * scale,
        pelvis=pelvis,
        body=body,
        scale=scale,
    )


def scale_of(build: Build) -> float:
    """Metres for one unit of the anatomy's tables."""
    return float(build.height / _map_heights(build, np.array([1.0]))[0])


def _map_heights(build: Build, z: np.ndarray) -> np.ndarray:
    elbow = anatomy.ELBOW_HEIGHT
    return np.minimum(z, elbow) * build.leg + np.maximum(z - elbow, 0) * build.trunk_depth


def rest_rings(build: Build) -> Rings:
    """Trunk and neck of a build at rest."""
    table = interpolate(anatomy.TRUNK_SECTIONS, _RING_PLACES)
    top, bottom = table[:, 0:2].copy(), table[:, 2:4].copy()
    for edge in (top, bottom):
        edge[:, 0] *= build.trunk_length
        edge[:, 1] = _map_heights(build, edge[:, 1])
    # 0 for the trunk, 1 for the neck, a smooth step over the shoulder
    neck = np.clip(
        (_RING_PLACES - anatomy.WITHERS_SECTION) / (anatomy.NECK_BASE_SECTION - anatomy.WITHERS_SECTION), 0, 1
    )
    neck = neck * neck * (3 - 2 * neck)
    center, half = (top + bottom) / 2, (top - bottom) / 2
    # neck lengths do not depend on the trunk's
    steps = np.diff(center, axis=0)
    steps[:, 0] /= 1 + neck[1:] * (build.trunk_length - 1)
    steps *= (1 + neck[1:] * (build.neck_length - 1))[:, None]
    center = center[:1] + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    half *= (1 + neck * (build.neck_depth - 1))[:, None]
    width = table[:, 4] * (build.trunk_width + neck * (build.neck_depth - build.trunk_width))
    flat = np.zeros(RING_COUNT)
    return Rings(
        center=np.stack([center[:, 0], flat, center[:, 1]], axis=1),
        half=np.stack([half[:, 0], flat, half[:, 1]], axis=1),
        side=np.tile([0.0, 1.0, 0.0], (RING_COUNT, 1)),
        width=np.maximum(width, 0.004),
        widest=table[:, 5],
        ridge=table[:, 6],
    )


def _bend_spine(build: Build, pose: Pose) -> tuple[Rings, np.ndarray]:
    """Bends the rest rings; the withers stay where they are. Returns the rings and their rotations [R, 3, 3]."""
    rest = rest_rings(build)
    withers = ring_at(anatomy.WITHERS_SECTION)

    def share(start: float, end: float) -> np.ndarray:
        t = np.clip((_RING_PLACES - start) / (end - start), 0, 1)
        return t * t * (3 - 2 * t)

    # the neck bends most at its base, where it is lowered, and again behind the poll
    neck = 0.78 * share(12.0, 15.6) + 0.22 * share(15.4, 20.0)
    loin = 1 - share(3.5, 9.0)
    pitches = np.radians(neck * pose.neck_pitch + loin * pose.loin_pitch)
    yaws = np.radians(share(12.3, 20.0) * pose.neck_yaw + loin * pose.loin_yaw)
    rotations = rotation.yaw(yaws) @ rotation.pitch(pitches)
    center = rest.center.copy()
    steps = np.diff(rest.center, axis=0)
    middle = rotation.yaw((yaws[1:] + yaws[:-1]) / 2) @ rotation.pitch((pitches[1:] + pitches[:-1]) / 2)
    turned = np.einsum("rij,rj->ri", middle, steps)
    center[withers + 1 :] = center[withers] + np.cumsum(turned[withers:], axis=0)
    center[:withers] = center[withers] - np.cumsum(turned[:withers][::-1], axis=0)[::-1]
    return replace(
        rest,
        center=center,
        half=np.einsum("rij,rj->ri", rotations, rest.half),
        side=np.einsum("rij,rj->ri", rotations, rest.side),
    ), rotations


def rest_joints(build: Build) -> np.ndarray:
    """[4, 6, 3]: joints of the legs at rest, units of the anatomy's tables; see ``Frames.joints``."""
    rest = np.stack([anatomy.FORE_JOINTS, anatomy.FORE_JOINTS, anatomy.HIND_JOINTS, anatomy.HIND_JOINTS])
    rest[..., 0] *= build.trunk_length
    rest[..., 2] = _map_heights(build, rest[..., 2])
    rest[..., 1] *= build.trunk_width * anatomy.LEG_SIDES[:, None]
    return rest


def _place_legs(
    build: Build, pose: Pose, pelvis: np.ndarray, croup: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rest = rest_joints(build)
    bones = np.diff(rest, axis=1)
    cumulated = np.cumsum(np.radians(pose.legs), axis=1)
    bones = np.einsum("lbij,lbj->lbi", rotation.pitch(cumulated), bones)
    # a hind leg turns sideways below the fixed point of the hip, a fore leg with its shoulder blade
    axes = rotation.roll(np.radians(pose.abduction) * anatomy.LEG_SIDES)
    rest_croup = rest_rings(build).center[ring_at(anatomy.CROUP_SECTION)]
    axes = np.stack([axes[0], axes[1], pelvis @ axes[2], pelvis @ axes[3]])
    start = rest[:, 0].copy()
    start[2:] = croup + (start[2:] - rest_croup) @ pelvis.T
    joints = start[:, None] + np.concatenate(
        [np.zeros((4, 1, 3)), np.cumsum(np.einsum("lij,lbj->lbi", axes, bones), axis=1)], axis=1
    )
    angles = np.arctan2(bones[..., 0], -bones[..., 2])
    return joints, axes, angles


def _levelling(pose: Pose, joints: np.ndarray) -> float:
    """Pitch that brings the lowest standing fore hoof and the lowest standing hind hoof to one height."""
    coronets = joints[:, -1]
    standing = pose.grounded > 0.5
    if not (standing[:2].any() and standing[2:].any()):
        return 0.0
    height = np.where(standing, coronets[:, 2], np.inf)
    fore, hind = coronets[int(np.argmin(height[:2]))], coronets[2 + int(np.argmin(height[2:]))]
    return float(np.clip(-np.arctan2(fore[2] - hind[2], fore[0] - hind[0]), -0.3, 0.3))
