"""Legs of a horse that moves: angles that put every sole where its gait wants it, along the ground and in height.

A leg has more hinges than that needs. It begins with angles that a horse's leg about has at that moment, and is then
turned as a whole (``_TURN``) and folded (``_FOLD``) until its sole is in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.synthetic import body, kinematics
from equistera.synthetic.anatomy import Build
from equistera.synthetic.gaits import Gait
from equistera.synthetic.pose import leg_limits_deg

#: How much of a turn, of a fold under load and of a fold in the air each hinge takes; rows as ``anatomy.LEGS``, columns
#: as ``Pose.legs``. A fore leg that carries shortens at shoulder and elbow; stifle and hock bend together (the
#: reciprocal apparatus).
_TURN = np.array([[0.45, 0.30, 0.25, 0.0, 0.0]] * 2 + [[0.0, 0.95, 0.05, 0.0, 0.0]] * 2)
_FOLD = np.array([[0.3, -1.0, 0.7, 0.0, 0.0]] * 2 + [[0.0, 0.45, -0.95, 0.90, 0.0]] * 2)
_LIFT = np.array([[0.0, -0.10, 0.55, -1.0, -0.4]] * 2 + [[0.0, 0.45, -0.95, 0.90, -0.4]] * 2)
#: Share of the swing in which a hoof that has left begins to hang from its leg, and in which it flattens to land.
_TIPS, _FLATTENS = 0.25, 0.5
#: Share of the swing at its either end in which a leg goes from one way of folding to the other.
_FOLDS = 0.15
#: Share of the swing in which a hoof gathers its speed, and loses it again.
_RAMP = 0.12
#: A hoof rises and sinks as 1 - |1 - 2 s|^_STEEP over the swing: quick beside the ground, as hooves are.
_STEEP = 2.6
#: Steps towards a sole's place; of a draught horse's walk all were within 0.05 mm after 14.
_STEPS = 20
#: Longest step, degrees.
_LONGEST_DEG = 15.0


@dataclass(frozen=True)
class Step:
    """What the legs of a gait do beside standing and swinging.

    Attributes:
        clearance: Greatest height of the soles of fore and hind legs, in heights at the withers.
        load_deg: How far the fetlock gives way in the middle of the stance.
        reach: Share of the gait's swing that the legs reach.
    """

    clearance: tuple[float, float]
    load_deg: float
    reach: float = 1.0


@dataclass(frozen=True)
class Legs:
    """The legs of one horse in one gait; make it with :func:`make_legs`.

    Attributes:
        gait: Its gait.
        step: See there.
        rest: [4, 6, 2], joints at rest along x and z, metres.
        hooves: [4, V, 2], flat hooves, from the coronet, metres.
        middle: [4], where the coronet is in the middle of the stance, from the body's origin, metres.
        stride: Length of a stride, metres.
        height: At the withers, metres.
    """

    gait: Gait
    step: Step
    rest: np.ndarray
    hooves: np.ndarray
    middle: np.ndarray
    stride: float
    height: float

    def angles(
        self, moments: np.ndarray, height: np.ndarray, pitch: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Works out the legs.

        Args:
            moments: [M], of the stride, 0-1.
            height: [M], of the body's origin over the ground, metres.
            pitch: [M], of the body, radians.

        Returns:
            [M, 4, 5] degrees as ``Pose.legs``, [M, 4] as ``Pose.grounded``, and [M, 4], how far the sole stays away
            from where it has to be, metres: above 0 where a leg is too short.
        """
        phase = (np.asarray(moments)[:, None] - np.array(self.gait.phases)) % 1.0
        swing = _swing(self.gait, phase)
        angles, grounded = _begin(self.gait, self.step, phase)
        wanted = self._places(phase)
        limits = np.radians(leg_limits_deg())
        bones = np.diff(self.rest, axis=1)
        air = (1 - np.maximum(_fades(swing / _FOLDS), _fades((1 - swing) / _FOLDS)))[..., None]
        # [M, 4, 5, 2]: how a turn and a fold change each hinge, and the direction of each bone
        turned = np.stack([np.broadcast_to(_TURN, angles.shape), (1 - air) * _FOLD + air * _LIFT], axis=-1)
        change = np.cumsum(turned, axis=2)
        longest = np.radians(_LONGEST_DEG)
        angles = np.clip(np.radians(angles), limits[..., 0], limits[..., 1])
        for number in range(_STEPS):
            place, slope = self._soles(angles, bones, change, grounded, height, pitch)
            gap = wanted - place
            square = np.swapaxes(slope, -1, -2) @ slope + 1e-9 * np.eye(2)
            step = np.linalg.solve(square, np.swapaxes(slope, -1, -2) @ gap[..., None])[..., 0]
            # a hoof that rolls from heel to toe would go to and fro
            step *= 1.0 if number < _STEPS // 3 else 0.5
            step *= np.minimum(1, longest / np.maximum(np.abs(step).max(axis=-1, keepdims=True), 1e-12))
            angles = np.clip(angles + np.einsum("mlbu,mlu->mlb", turned, step), limits[..., 0], limits[..., 1])
        place, _ = self._soles(angles, bones, change, grounded, height, pitch)
        return np.degrees(angles), grounded, np.linalg.norm(wanted - place, axis=-1)

    def _places(self, phase: np.ndarray) -> np.ndarray:
        """[M, 4, 2]: where the coronet has to be along x from the body's origin, and the sole over the ground."""
        stance, swing = self.gait.stance, _swing(self.gait, phase)
        # the body passes over a hoof that stands; one that swings overtakes the body by a whole stride
        x = self.middle - self.stride * (phase - stance / 2) + self.stride * np.where(swing > 0, _ahead(swing), 0.0)
        top = np.repeat(self.step.clearance, 2) * self.height
        return np.stack([x, np.where(swing > 0, top * (1 - np.abs(1 - 2 * swing) ** _STEEP), 0.0)], axis=-1)

    def _soles(
        self,
        angles: np.ndarray,
        bones: np.ndarray,
        change: np.ndarray,
        grounded: np.ndarray,
        height: np.ndarray,
        pitch: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """[M, 4, 2]: x of the coronets and z of the soles; [M, 4, 2, 2]: their change with a turn and a fold."""
        directions = np.cumsum(angles, axis=2) + pitch[:, None, None]
        turned = _turned(bones, directions)
        start = _turned(self.rest[:, 0], pitch[:, None])
        coronet = start + turned.sum(axis=2)
        coronet[..., 1] += height[:, None]
        # a bone that turns by d moves what hangs from it across itself
        across = np.stack([-turned[..., 1], turned[..., 0]], axis=-1)
        slope = np.einsum("mlbc,mlbu->mlcu", across, change)
        tilt = (1 - grounded) * directions[..., -1]
        hoof = _turned(self.hooves, tilt[..., None])
        lowest = np.argmin(hoof[..., 1], axis=2)[..., None, None]
        low = np.take_along_axis(hoof, lowest, axis=2)[:, :, 0]
        slope[..., 1, :] += (low[..., 0] * (1 - grounded))[..., None] * change[:, :, -1]
        return np.stack([coronet[..., 0], coronet[..., 1] + low[..., 1]], axis=-1), slope


def make_legs(build: Build, gait: Gait, step: Step) -> Legs:
    """The legs of a horse, and the length of the stride that its gait's swing gives them."""
    rest = kinematics.rest_joints(build)[..., [0, 2]] * kinematics.scale_of(build)
    scale = kinematics.scale_of(build)
    hooves = np.stack([body.hoof_shape(build, leg, scale).reshape(-1, 3)[:, [0, 2]] for leg in range(4)])
    # how far a leg sweeps that turns from one end of the gait's swing to the other
    ends = np.radians(_TURN * gait.swing_deg * step.reach)
    reach = [
        rest[:, 0] + _turned(np.diff(rest, axis=1), np.cumsum(side * ends, axis=1)).sum(axis=1) for side in (1, 0, -1)
    ]
    sweep = float((reach[0] - reach[2])[:, 0].mean())
    return Legs(gait, step, rest, hooves, reach[1][:, 0], sweep / gait.stance, build.height)


def _turned(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """[..., 2] turned so that what points forward rises; angles in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, z = vectors[..., 0], vectors[..., 1]
    return np.stack([x * cos - z * sin, x * sin + z * cos], axis=-1)


def _swing(gait: Gait, phase: np.ndarray) -> np.ndarray:
    """How far through the swing, 0-1; 0 for a hoof that stands."""
    return np.clip((phase - gait.stance) / (1 - gait.stance), 0, 1)


def _ahead(swing: np.ndarray) -> np.ndarray:
    """Share of the way that a hoof has come in its swing: it starts and ends at rest on the ground."""
    top = 1 / (1 - _RAMP)
    return np.where(
        swing < _RAMP,
        top * swing**2 / (2 * _RAMP),
        np.where(swing > 1 - _RAMP, 1 - top * (1 - swing) ** 2 / (2 * _RAMP), top * (swing - _RAMP / 2)),
    )


def _begin(gait: Gait, step: Step, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[M, 4, 5], degrees, and [M, 4]: angles of legs to begin with, and how flat each hoof is held to the ground."""
    swing = _swing(gait, phase)
    stands = swing <= 0
    stance = np.clip(phase / gait.stance, 0, 1)
    reach = np.where(stands, 1 - 2 * stance, -np.cos(np.pi * swing)) * gait.swing_deg * step.reach
    # joints fold early in the swing and open before landing
    fold = np.sin(np.pi * swing**0.9) * np.repeat([gait.knee_deg, gait.hock_deg], 2)
    load = np.where(stands, np.sin(np.pi * stance), 0.0) * step.load_deg
    angles = reach[..., None] * _TURN + 0.9 * fold[..., None] * _LIFT
    angles[..., 4] += load
    grounded = np.where(stands, 1.0, np.maximum(_fades(swing / _TIPS), _fades((1 - swing) / _FLATTENS)))
    return angles, grounded


def _fades(part: np.ndarray) -> np.ndarray:
    """1 at 0 and 0 from 1 on, smoothly."""
    part = np.clip(part, 0, 1)
    return 1 - part * part * (3 - 2 * part)
