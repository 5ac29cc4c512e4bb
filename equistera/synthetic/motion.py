"""A horse that moves: its pose and place at any time, with soles that stand still on the ground where they landed.

The body goes at an even speed; its withers, its tail base and its nose rise and sink once or twice a stride, and so
tell how the body is held. The legs are then worked out from where their soles have to be (``legs``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from equistera.errors import UserError
from equistera.synthetic import anatomy, body, kinematics
from equistera.synthetic.anatomy import Build
from equistera.synthetic.gaits import CANTER, TROT, WALK, Gait
from equistera.synthetic.horse import Horse, make_horse
from equistera.synthetic.legs import Legs, Step, make_legs
from equistera.synthetic.pose import Pose

#: The keypoint that tells each part of which an asymmetry can be set; the tail base is a proxy of the croup.
PARTS = {"head": "nose", "withers": "withers", "croup": "tail_base"}
#: The left and the right leg, rows of ``anatomy.LEGS``, on which each part sinks.
SIDES = {"head": (0, 1), "withers": (0, 1), "croup": (2, 3)}


@dataclass(frozen=True)
class Sway:
    """How a part rises and sinks.

    Attributes:
        times: In a stride.
        amplitude: Half of the way from lowest to highest, in heights at the withers.
        lowest: A moment of the stride at which it is lowest.
    """

    times: int
    amplitude: float
    lowest: float


@dataclass(frozen=True)
class Going:
    """A gait in motion.

    Attributes:
        gait: Footfalls, and how far the legs swing and fold.
        step: What the legs do besides.
        period: Time of a stride of a horse of 1.6 m at the withers, seconds.
        neck: How the neck is carried, degrees.
        sways: By name of ``PARTS``.
        even: Whether a horse that goes evenly sinks twice a stride, once on each fore leg, so that an asymmetry of
            these two can be told.
    """

    gait: Gait
    step: Step
    period: float
    neck: float
    sways: dict[str, Sway]
    even: bool = False


#: Gaits by name. Times are within the ranges of Hobbs et al., "Biomechanics", in The Athletic Horse, 2nd ed., 2014; how
#: far the body rises, the soles rise and the fetlocks give way was set by eye. At the walk a part is highest when a leg
#: below it stands upright, at the trot lowest (Buchner et al., Equine Vet J 28, 1996: two even waves a stride); at the
#: canter the horse rocks once a stride.
GAITS: dict[str, Going] = {
    "walk": Going(
        WALK,
        Step((0.055, 0.050), 8.0),
        1.12,
        -14.0,
        {"head": Sway(2, 0.015, 0.25), "withers": Sway(2, 0.010, 0.31), "croup": Sway(2, 0.012, 0.06)},
    ),
    "trot": Going(
        TROT,
        Step((0.120, 0.090), 22.0),
        0.72,
        0.0,
        {"head": Sway(2, 0.022, 0.21), "withers": Sway(2, 0.022, 0.21), "croup": Sway(2, 0.022, 0.21)},
        even=True,
    ),
    "canter": Going(
        CANTER,
        Step((0.150, 0.120), 26.0, 0.92),
        0.58,
        -10.0,
        {"head": Sway(1, 0.045, 0.60), "withers": Sway(1, 0.022, 0.60), "croup": Sway(1, 0.022, 0.39)},
    ),
}
#: The body is lowered by such steps, in heights at the withers, until every leg reaches the ground; so many of them are
#: taken at once at first, and at most.
_LOWER, _LONG, _LOWEST = 0.0025, 2, 60
#: A sole that is so near its place, metres, is in its place; a horse is tried at so many moments of the stride.
_THERE, _TRIED = 5e-4, 200
#: Steps of the secant towards the angle of the neck; the nose is then in its place to far below a millimetre.
_NECK_STEPS = 3
#: Moments of the stride at which heights are looked at to tell minima and maxima.
_FINE = 120


@dataclass(frozen=True)
class Motion:
    """One horse's way of going; make it with :func:`make_motion`.

    Attributes:
        build: The horse's proportions.
        going: Its gait.
        period: Seconds of a stride.
        legs: See there.
        neck: How the neck is carried, degrees.
        heights: Mean height over the ground of the keypoints of ``PARTS``, metres.
        asymmetry: MinDiff by name of ``PARTS`` as it is set, body lengths; see :meth:`differences`. Only for gaits
            that are ``even``.
        start: Moment of the stride at time 0.
        looks: Seed of its coat and hair.
    """

    build: Build
    going: Going
    period: float
    legs: Legs
    neck: float
    heights: dict[str, float]
    asymmetry: dict[str, float]
    start: float
    looks: int

    @property
    def speed(self) -> float:
        """Metres a second."""
        return self.legs.stride / self.period

    @property
    def body_length(self) -> float:
        """Metres from the withers to the tail base."""
        rest = _rest(self.build)
        return float(np.linalg.norm(rest["withers"] - rest["tail_base"]))

    def horse(self, time: float) -> Horse:
        """The horse at a time, looking along x, as far along x as it has come."""
        horse = make_horse(np.random.default_rng(self.looks), self.build, self.pose(self.moment(time)))
        return _hair_on_the_ground(horse).moved(0.0, np.array([self.speed * time, 0.0, 0.0]))

    def moment(self, time: float) -> float:
        """Of the stride, 0-1, at a time in seconds."""
        return (self.start + time / self.period) % 1.0

    def pose(self, moment: float) -> Pose:
        """Its pose at a moment of the stride, 0-1."""
        height, pitch = self.trunk(np.array([moment]))
        angles, grounded, _ = self.legs.angles(np.array([moment]), height, pitch)
        return replace(self.carriage(moment), legs=angles[0], grounded=grounded[0])

    def carriage(self, moment: float) -> Pose:
        """Its pose without what the legs do."""
        height, pitch = self.trunk(np.array([moment]))
        pose = Pose(
            height=float(height[0]),
            body_pitch=float(np.degrees(pitch[0])),
            tail_lift=15.0 + 3 * np.cos(2 * np.pi * moment),
            speed=self.going.gait.speed,
        )
        return _noses(self.build, pose, self.neck, float(self.wanted("head", np.array([moment]))[0]))

    def differences(self) -> dict[str, tuple[float, float]]:
        """MinDiff and MaxDiff by name of ``PARTS``, body lengths, as the keypoints of the surface show them.

        MinDiff is the height of the minimum while the right hoof stands less that while the left one does, MaxDiff the
        height of the maximum that follows the left stance less that which follows the right: fore hooves for head and
        withers, hind hooves for the croup (Pfau et al., Equine Vet J 48, 2016). Every stride is the same.
        """
        heights: dict[str, list[float]] = {part: [] for part in PARTS}
        for moment in np.arange(_FINE) / _FINE:
            pose = self.carriage(moment)
            frames = kinematics.forward(self.build, pose)
            points = body.build_body(self.build, pose, frames).keypoints
            for part, point in PARTS.items():
                heights[part].append(float(frames.body[2] @ points[point]) + float(pose.height or 0.0))
        result = {}
        for part, values in heights.items():
            # from the left hoof's touch-down: one half in which it stands, one in which the right one does
            down = round(self.going.gait.phases[SIDES[part][0]] * _FINE)
            height = np.roll(np.array(values) / self.body_length, -down)
            later, half = np.roll(height, -_FINE // 4), _FINE // 2
            low = height[half:].min() - height[:half].min()
            result[part] = float(low), float(later[:half].max() - later[half:].max())
        return result

    def wanted(self, part: str, moments: np.ndarray) -> np.ndarray:
        """[M]: height over the ground, metres, of a part's keypoint at moments of the stride."""
        sway = self.going.sways[part]
        height = self.heights[part] - sway.amplitude * self.build.height * np.cos(
            2 * np.pi * sway.times * (moments - sway.lowest)
        )
        if self.asymmetry.get(part):
            right = self.going.gait.phases[SIDES[part][1]] + self.going.gait.stance / 2
            height = height + self.asymmetry[part] / 2 * self.body_length * np.cos(2 * np.pi * (moments - right))
        return height

    def trunk(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[M] and [M]: height of the body's origin, metres, and its pitch, radians."""
        rest = _rest(self.build)
        withers, croup = self.wanted("withers", moments), self.wanted("croup", moments)
        back = rest["withers"] - rest["tail_base"]
        pitch = np.arcsin((withers - croup) / np.hypot(back[0], back[2])) - np.arctan2(back[2], back[0])
        x, _, z = rest["withers"]
        return withers - x * np.sin(pitch) - z * np.cos(pitch), pitch

    def footfalls(self, seconds: float) -> list[list[tuple[float, float]]]:
        """Touch-down and lift-off of each hoof (rows of ``anatomy.LEGS``) that begin within the time, in seconds."""
        result = []
        for phase in self.going.gait.phases:
            first = (phase - self.start) % 1.0 - 1.0
            moments = first + np.arange(int(seconds / self.period) + 3)
            downs = moments * self.period
            kept = downs[(downs >= 0) & (downs < seconds)]
            result.append([(float(down), float(down + self.going.gait.stance * self.period)) for down in kept])
        return result


def make_motion(
    rng: np.random.Generator,
    build: Build,
    gait: str,
    asymmetry: Mapping[str, float] | None = None,
) -> Motion:
    """Works out how a horse goes.

    Args:
        rng: Draws its looks, its tempo and where in the stride it begins.
        build: Proportions.
        gait: A name of :data:`GAITS`.
        asymmetry: See :class:`Motion`.

    Raises:
        UserError: There is no height of the body at which all its legs reach the ground.
    """
    going = GAITS[gait]
    # a pendulum's: longer legs swing slower
    period = going.period * float(np.sqrt(build.height / 1.6) * rng.uniform(0.94, 1.06))
    neck = going.neck + float(rng.uniform(-6, 6))
    start, looks = float(rng.random()), int(rng.integers(2**31))
    legs = make_legs(build, going.gait, going.step)
    motion = Motion(build, going, period, legs, neck, {}, dict(asymmetry or {}), start, looks)
    rest = _rest(build)
    moments = np.arange(_TRIED) / _TRIED

    def lowered(steps: int) -> Motion:
        lower = steps * _LOWER * build.height
        return replace(motion, heights={part: float(rest[point][2] - lower) for part, point in PARTS.items()})

    def reaches(steps: int) -> bool:
        return bool(legs.angles(moments, *lowered(steps).trunk(moments))[2].max() < _THERE)

    # in long steps first, then what is between the last that is too high and the first that is not
    first = next((steps for steps in range(0, _LOWEST, _LONG) if reaches(steps)), None)
    if first is None:
        raise UserError(
            f"a horse of {build.height:.2f} m, {build.name}, does not reach the ground with every leg at the {gait}",
            hint="Take another --seed, or a smaller --asymmetry" if asymmetry else "Take another --seed",
        )
    steps = next(steps for steps in range(max(0, first - _LONG + 1), first + 1) if steps == first or reaches(steps))
    motion = lowered(steps)
    # the head is carried where the neck has it on average
    pose = Pose(neck_pitch=neck, head_pitch=_head(neck), height=float(motion.trunk(moments)[0].mean()))
    return replace(motion, heights=motion.heights | {"head": _nose(build, pose)})


@functools.lru_cache(maxsize=64)
def _rest(build: Build) -> dict[str, np.ndarray]:
    """Keypoints at rest, body space."""
    pose = Pose()
    return body.build_body(build, pose, kinematics.forward(build, pose)).keypoints


def _head(neck: float) -> float:
    """Horses keep the angle of their face more than that of the neck."""
    return -0.5 * neck


def _nose(build: Build, pose: Pose) -> float:
    """Height of the nose, metres."""
    frames = kinematics.forward(build, pose)
    return float(frames.body[2] @ body.nose_place(build, frames)) + float(pose.height or 0.0)


def _noses(build: Build, pose: Pose, neck: float, height: float) -> Pose:
    """The pose with the neck at the angle that has the nose at a height, metres; near ``neck``, degrees."""
    last, neck = neck, neck + 0.5
    gap, last_gap = (_nose(build, replace(pose, neck_pitch=n, head_pitch=_head(n))) - height for n in (neck, last))
    for _ in range(_NECK_STEPS):
        if gap == last_gap:
            break
        last, neck, last_gap = neck, neck - gap * (neck - last) / (gap - last_gap), gap
        gap = _nose(build, replace(pose, neck_pitch=neck, head_pitch=_head(neck))) - height
    return replace(pose, neck_pitch=neck, head_pitch=_head(neck))


def _hair_on_the_ground(horse: Horse) -> Horse:
    """Tail and feathers that would hang through the ground lie on it."""
    vertices = horse.mesh.vertices.copy()
    hair = np.isnan(horse.rest[:, 0])
    vertices[hair, 2] = np.maximum(vertices[hair, 2], 0.0)
    end = horse.keypoints["tail_end"]
    points = horse.keypoints | {"tail_end": np.array([end[0], end[1], max(end[2], 0.0)])}
    return replace(horse, mesh=replace(horse.mesh, vertices=vertices), keypoints=points)


#: Names of the legs in the order of ``anatomy.LEGS``, as keypoints begin.
LEGS = tuple(anatomy.LEGS)
