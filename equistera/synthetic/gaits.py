"""Poses that horses take: standing, the gaits at any moment of the stride, grazing, rearing, jumping.

Stride fractions and footfall sequences are the textbook ones (walk: four beats, hind before fore of the same side;
trot: diagonal pairs; canter: hind, diagonal pair, leading fore). Joint amplitudes follow published gait kinematics
roughly and were adjusted by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from equistera.synthetic import anatomy
from equistera.synthetic.anatomy import Build
from equistera.synthetic.kinematics import forward
from equistera.synthetic.pose import LIMITS_DEG, Pose, clamp


@dataclass(frozen=True)
class Gait:
    """A symmetrical or asymmetrical gait.

    Attributes:
        phases: Moment in the stride at which each hoof lands (LF, RF, LH, RH), 0-1.
        stance: Share of the stride a hoof is on the ground.
        swing_deg: How far a leg reaches forward and back.
        knee_deg: Greatest bend of the knee.
        hock_deg: Greatest bend of the hock.
        speed: See ``Pose.speed``.
    """

    phases: tuple[float, float, float, float]
    stance: float
    swing_deg: float
    knee_deg: float
    hock_deg: float
    speed: float


WALK = Gait((0.25, 0.75, 0.0, 0.5), 0.62, 20, 55, 38, 0.1)
TROT = Gait((0.5, 0.0, 0.0, 0.5), 0.42, 24, 78, 55, 0.4)
#: Left lead: right hind, then left hind with right fore, then left fore.
CANTER = Gait((0.62, 0.34, 0.32, 0.0), 0.36, 29, 92, 62, 0.7)


def stride(gait: Gait, moment: float, vigour: float = 1.0) -> Pose:
    """One moment of a gait.

    Args:
        gait: The gait.
        moment: 0-1 through the stride.
        vigour: Scales the movement.
    """
    phase = (moment - np.array(gait.phases)) % 1.0
    stance = np.clip(phase / gait.stance, 0, 1)
    swing = np.clip((phase - gait.stance) / (1 - gait.stance), 0, 1)
    in_stance = phase < gait.stance
    reach = np.where(in_stance, 1 - 2 * stance, -np.cos(np.pi * swing)) * gait.swing_deg * vigour
    # joints fold early in the swing and open before landing
    fold = np.where(in_stance, 0.0, np.sin(np.pi * swing) ** 1.2) * vigour
    load = np.where(in_stance, np.sin(np.pi * stance), 0.0)
    push = np.where(in_stance, np.clip(stance - 0.75, 0, 1) * 4, 0.0)
    early = np.where(in_stance, 0.0, np.sin(np.pi * swing**0.6) ** 1.5) * vigour
    fore = np.stack(
        [
            0.45 * reach,
            0.30 * reach - 0.10 * gait.knee_deg * fold,
            0.25 * reach + 0.55 * gait.knee_deg * fold,
            -gait.knee_deg * early,
            12 * load - 15 * push - 45 * early,
        ],
        axis=-1,
    )
    hind = np.stack(
        [
            0 * reach,
            0.95 * reach + 0.45 * gait.hock_deg * fold,
            0.05 * reach - 0.95 * gait.hock_deg * fold + 6 * load - 4 * push,
            -4 * load + 0.90 * gait.hock_deg * fold + 4 * push,
            12 * load - 15 * push - 45 * early,
        ],
        axis=-1,
    )
    return Pose(legs=np.concatenate([fore[:2], hind[2:]]), grounded=in_stance.astype(float), speed=gait.speed)


def mirrored(pose: Pose) -> Pose:
    """The pose with left and right exchanged."""
    other = [1, 0, 3, 2]
    return replace(
        pose,
        legs=pose.legs[other],
        abduction=pose.abduction[other],
        grounded=pose.grounded[other],
        ears=pose.ears[::-1],
        neck_yaw=-pose.neck_yaw,
        head_yaw=-pose.head_yaw,
        head_roll=-pose.head_roll,
        loin_yaw=-pose.loin_yaw,
        body_roll=-pose.body_roll,
        tail_yaw=-pose.tail_yaw,
    )


def _stand(rng: np.random.Generator, build: Build) -> Pose:
    legs = np.zeros((4, 5))
    step = rng.normal(0, 5, 4)
    legs[:2, 0] = step[:2]
    legs[2:, 1] = step[2:]
    grounded = np.ones(4)
    if rng.random() < 0.3:
        # a resting hind leg stands on the tip of its hoof
        resting = int(rng.integers(2, 4))
        legs[resting] = [0, 14, -26, 22, -14]
        grounded[resting] = 0.35
    return Pose(legs=legs, grounded=grounded, neck_pitch=rng.uniform(-40, 18))


def _walk(rng: np.random.Generator, build: Build) -> Pose:
    pose = stride(WALK, rng.random(), rng.uniform(0.8, 1.15))
    return replace(pose, neck_pitch=rng.uniform(-48, 5))


def _trot(rng: np.random.Generator, build: Build) -> Pose:
    moment = rng.random()
    pose = stride(TROT, moment, rng.uniform(0.75, 1.2))
    lift = 0.0 if pose.grounded.any() else rng.uniform(0.02, 0.06)
    return replace(pose, lift=lift, neck_pitch=rng.uniform(-28, 12))


def _canter(rng: np.random.Generator, build: Build) -> Pose:
    moment = rng.random()
    pose = stride(CANTER, moment, rng.uniform(0.8, 1.15))
    # the forehand rises while the hind legs carry, and sinks on the leading fore leg
    rocking = 6 * np.cos(2 * np.pi * (moment - 0.15))
    lift = 0.0 if pose.grounded.any() else rng.uniform(0.03, 0.09)
    if rng.random() < 0.5:
        pose = mirrored(pose)
    return replace(
        pose,
        body_pitch=rocking,
        lift=lift,
        loin_pitch=rng.uniform(-4, 10),
        neck_pitch=rng.uniform(-38, 4),
        tail_lift=rng.uniform(20, 60),
    )


def _graze(rng: np.random.Generator, build: Build) -> Pose:
    pose = _stand(rng, build) if rng.random() < 0.6 else stride(WALK, rng.random(), 0.6)
    legs = pose.legs.copy()
    # one fore leg in front of the other lets the head reach the ground
    forward = int(rng.integers(2))
    legs[forward, 0] += rng.uniform(6, 16)
    legs[1 - forward, 0] -= rng.uniform(2, 12)
    pose = replace(pose, legs=legs, neck_yaw=rng.uniform(-25, 25), head_pitch=rng.uniform(0, 12))
    return _lower_head(build, pose, rng.uniform(0.01, 0.12))


def _lower_head(build: Build, pose: Pose, height: float) -> Pose:
    """Lowers the neck until the muzzle is so high above ground (in heights at the withers) or cannot go lower."""
    lowest, highest = float(LIMITS_DEG["neck_pitch"][0]), -40.0
    for _ in range(7):
        pose = replace(pose, neck_pitch=(lowest + highest) / 2)
        frames = forward(build, _poised(pose))
        muzzle = frames.poll + frames.head[:, 0] * anatomy.HEAD_LENGTH * build.head * frames.scale
        soles = (frames.joints[:, -1] @ frames.body.T)[:, 2].min() - anatomy.FORE_JOINTS[
            -1, 2
        ] * build.leg * frames.scale
        if (frames.body @ muzzle)[2] - soles > height * build.height:
            highest = pose.neck_pitch
        else:
            lowest = pose.neck_pitch
    return pose


def _poised(pose: Pose) -> Pose:
    """Tips the head against the neck, as horses do: they keep the angle of their face more than that of the neck."""
    return replace(pose, head_pitch=pose.head_pitch - 0.5 * pose.neck_pitch)


def _rear(rng: np.random.Generator, build: Build) -> Pose:
    angle = rng.uniform(28, 62)
    legs = np.zeros((4, 5))
    for fore in range(2):
        bend = rng.uniform(0.3, 1.0)
        legs[fore] = [rng.uniform(0, 20), rng.uniform(0, 15), 60 * bend, -100 * bend, -50 * bend]
    spread = rng.normal(0, 4, 2)
    for hind in (2, 3):
        legs[hind] = [0, -0.42 * angle + spread[hind - 2], -0.30 * angle, 0.10 * angle, 6]
    return Pose(
        legs=legs,
        grounded=np.array([0.0, 0.0, 1.0, 1.0]),
        body_pitch=angle,
        neck_pitch=rng.uniform(-30, 10),
        head_pitch=rng.uniform(-30, 0),
        tail_lift=rng.uniform(0, 30),
        speed=0.2,
    )


def _jump(rng: np.random.Generator, build: Build) -> Pose:
    progress = rng.random()
    fold = float(np.clip(1.25 - progress, 0, 1)) * rng.uniform(0.7, 1.0)
    legs = np.zeros((4, 5))
    for fore in range(2):
        own = fold * rng.uniform(0.85, 1.0)
        legs[fore] = [18 * own + 12 * (1 - own), 20, 75 * own - 5 * (1 - own), -108 * own, -60 * own]
    tuck = float(np.clip((progress - 0.25) / 0.5, 0, 1)) * rng.uniform(0.8, 1.0)
    for hind in (2, 3):
        legs[hind] = [0, -32 * (1 - tuck) + 22 * tuck, 12 * (1 - tuck) - 70 * tuck, -8 * (1 - tuck) + 75 * tuck, -35]
    return Pose(
        legs=legs,
        grounded=np.zeros(4),
        body_pitch=28 - 46 * progress,
        lift=rng.uniform(0.15, 0.55),
        neck_pitch=rng.uniform(-48, -15),
        loin_pitch=rng.uniform(-4, 12),
        tail_lift=rng.uniform(15, 60),
        speed=0.6,
    )


GAITS: dict[str, Callable[[np.random.Generator, Build], Pose]] = {
    "stand": _stand,
    "walk": _walk,
    "trot": _trot,
    "canter": _canter,
    "graze": _graze,
    "rear": _rear,
    "jump": _jump,
}
#: How often each is drawn.
GAIT_WEIGHTS = {"stand": 0.24, "walk": 0.22, "trot": 0.17, "canter": 0.14, "graze": 0.13, "rear": 0.04, "jump": 0.06}


def sample_pose(rng: np.random.Generator, build: Build, gait: str | None = None) -> Pose:
    """Draws a pose inside the joint limits.

    Args:
        rng: Random numbers.
        build: The horse that takes the pose.
        gait: A name of ``GAITS``; drawn by ``GAIT_WEIGHTS`` where none is given.
    """
    gait = gait or str(rng.choice(list(GAIT_WEIGHTS), p=list(GAIT_WEIGHTS.values())))
    pose = _poised(GAITS[gait](rng, build))
    jitter = rng.normal(0, 1.5, (4, 5))
    jitter[:, 3] *= pose.legs[:, 3] != 0
    jitter[2:, 0] = 0
    return clamp(
        replace(
            pose,
            legs=pose.legs + jitter,
            abduction=pose.abduction + rng.normal(0, 2.0, 4),
            ears=rng.normal(-5, 22, 2) if rng.random() < 0.4 else np.repeat(rng.normal(0, 18), 2),
            head_pitch=pose.head_pitch + rng.normal(0, 8),
            neck_yaw=pose.neck_yaw + rng.normal(0, 14),
            head_yaw=pose.head_yaw + rng.normal(0, 7),
            head_roll=pose.head_roll + rng.normal(0, 5),
            loin_yaw=pose.loin_yaw + rng.normal(0, 3),
            body_roll=pose.body_roll + rng.normal(0, 1.5),
            tail_lift=pose.tail_lift + rng.uniform(-10, 15),
            tail_yaw=pose.tail_yaw + rng.normal(0, 14),
        )
    )
