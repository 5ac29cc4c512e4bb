"""The angles of a horse's joints, and how far each can go.

Every leg has five hinge angles from the girdle down, each measured from the rest stance and positive where the part
below swings forward, plus one angle sideways for the whole leg.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

#: Hinges of the legs from the girdle down, and their range in degrees from the rest stance. The ranges are those of
#: passive movement in the veterinary literature, rounded; the carpus and the stifle practically bend one way only.
FORE_LIMITS_DEG = {
    "scapula": (-20, 30),
    "shoulder": (-30, 35),
    "elbow": (-15, 95),
    "knee": (-120, 2),
    "fetlock": (-90, 45),
}
HIND_LIMITS_DEG = {"pelvis": (0, 0), "hip": (-45, 65), "stifle": (-95, 25), "hock": (-25, 100), "fetlock": (-90, 45)}
#: Range of the other angles in degrees.
LIMITS_DEG = {
    "abduction": (-12, 18),
    "neck_pitch": (-125, 35),
    "neck_yaw": (-70, 70),
    "head_pitch": (-45, 60),
    "head_yaw": (-35, 35),
    "head_roll": (-25, 25),
    "loin_pitch": (-15, 20),
    "loin_yaw": (-14, 14),
    "body_pitch": (-45, 65),
    "body_roll": (-12, 12),
    "tail_lift": (-5, 100),
    "tail_yaw": (-50, 50),
    "ears": (-70, 40),
}


@dataclass(frozen=True)
class Pose:
    """Angles in degrees; zero is the rest stance.

    Attributes:
        legs: [4, 5], rows as in ``anatomy.LEGS``, columns as in the tables of limits.
        abduction: [4], the leg sideways, positive outwards.
        grounded: [4], 1 for a hoof that stands flat, 0 for one that follows its leg.
        ears: [2], left and right, positive forward.
        lift: Height of the lowest hoof above the ground, in heights at the withers.
        height: Metres from the ground to the origin of body space. By default ``lift`` decides it, and hooves that
            stand level the body; where it is given, the body is pitched by ``body_pitch`` alone.
        speed: 0 hair hangs, 1 hair streams.
    """

    legs: np.ndarray = field(default_factory=lambda: np.zeros((4, 5)))
    abduction: np.ndarray = field(default_factory=lambda: np.zeros(4))
    grounded: np.ndarray = field(default_factory=lambda: np.ones(4))
    ears: np.ndarray = field(default_factory=lambda: np.zeros(2))
    neck_pitch: float = 0.0
    neck_yaw: float = 0.0
    head_pitch: float = 0.0
    head_yaw: float = 0.0
    head_roll: float = 0.0
    loin_pitch: float = 0.0
    loin_yaw: float = 0.0
    body_pitch: float = 0.0
    body_roll: float = 0.0
    tail_lift: float = 10.0
    tail_yaw: float = 0.0
    lift: float = 0.0
    height: float | None = None
    speed: float = 0.0


def leg_limits_deg() -> np.ndarray:
    """float64 [4, 5, 2]: lowest and highest angle of every hinge of every leg."""
    fore, hind = np.array(list(FORE_LIMITS_DEG.values())), np.array(list(HIND_LIMITS_DEG.values()))
    return np.stack([fore, fore, hind, hind]).astype(float)


def clamp(pose: Pose) -> Pose:
    """The same pose with every angle inside its range."""
    limits = leg_limits_deg()
    changed = {name: np.clip(getattr(pose, name), *limit) for name, limit in LIMITS_DEG.items()}
    return replace(pose, legs=np.clip(pose.legs, limits[..., 0], limits[..., 1]), **changed)
