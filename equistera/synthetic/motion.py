"""A horse that moves: its pose and place at any time, with hooves that stand where they landed.

A gait's table of angles lets a hoof slide a little while it carries. Here the leg is turned at shoulder or hip until
the hoof keeps its place on the ground as the body passes over it at an even speed, and swings on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from equistera.synthetic import anatomy, body, kinematics
from equistera.synthetic.anatomy import Build
from equistera.synthetic.gaits import CANTER, TROT, WALK, Gait, stride
from equistera.synthetic.horse import Horse, make_horse
from equistera.synthetic.pose import Pose, clamp

#: Gaits by name, the time of a stride of a horse of 1.6 m at the withers in seconds (within the ranges of Hobbs et al.,
#: "Biomechanics", in The Athletic Horse, 2nd ed., 2014), and how the head is carried, degrees.
GAITS: dict[str, tuple[Gait, float, float]] = {
    "walk": (WALK, 1.12, -14.0),
    "trot": (TROT, 0.72, 0.0),
    "canter": (CANTER, 0.58, -10.0),
}
#: Moments of the stride for which legs are worked out; between them they are interpolated.
MOMENTS = 64
#: Multiples of the stride's frequency in which the body may rise, sink and rock.
HARMONICS = 4
#: Column of the angle that a leg is turned by: shoulder or hip.
_TURNED = 1
#: Rise of the body in the middle of a phase without a hoof on the ground, in heights at the withers.
_LIFT = 0.03


@dataclass(frozen=True)
class Asymmetry:
    """What an uneven horse does once a stride, on top of what it does twice.

    Attributes:
        head_deg: The neck nods by so much up and down.
        croup_deg: The loin bends by so much up and down.
    """

    head_deg: float = 0.0
    croup_deg: float = 0.0


@dataclass(frozen=True)
class Table:
    """What is added to a gait's angles at each moment of the stride, so that the ground is kept to.

    Attributes:
        turns: [MOMENTS, 4], degrees by which each leg is turned.
        pitch: [MOMENTS], degrees by which the body is pitched.
        lift: [MOMENTS], height of the lowest hoof, in heights at the withers.
    """

    turns: np.ndarray
    pitch: np.ndarray
    lift: np.ndarray

    def at(self, moment: float) -> tuple[np.ndarray, float, float]:
        """The row of a moment, 0-1, between those of the table."""
        place = (moment % 1.0) * MOMENTS
        low, part = int(place) % MOMENTS, place % 1.0
        high = (low + 1) % MOMENTS
        turns, pitch, lift = ((1 - part) * x[low] + part * x[high] for x in (self.turns, self.pitch, self.lift))
        return turns, float(pitch), float(lift)


@dataclass(frozen=True)
class Motion:
    """One horse's way of going; make it with :func:`make_motion`.

    Attributes:
        build: The horse's proportions.
        gait: Its gait.
        period: Seconds of a stride.
        speed: Metres a second.
        table: At each moment of the stride, see :class:`Table`.
        neck: Degrees.
        asymmetry: See there.
        start: Moment of the stride at time 0.
        looks: Seed of its coat and hair.
    """

    build: Build
    gait: Gait
    period: float
    speed: float
    table: Table
    neck: float
    asymmetry: Asymmetry
    start: float
    looks: int

    def horse(self, time: float) -> Horse:
        """The horse at a time, looking along x, as far along x as it has come."""
        moment = (self.start + time / self.period) % 1.0
        horse = make_horse(np.random.default_rng(self.looks), self.build, self.pose(moment))
        return horse.moved(0.0, np.array([self.speed * time, 0.0, 0.0]))

    def pose(self, moment: float) -> Pose:
        """Its pose at a moment of the stride, 0-1."""
        return _posed(self.gait, moment, self.table.at(moment), self.neck, self.asymmetry)

    def footfalls(self, seconds: float) -> list[list[tuple[float, float]]]:
        """Touch-down and lift-off of each hoof (rows of ``anatomy.LEGS``) that begin within the time, in seconds."""
        result = []
        for phase in self.gait.phases:
            first = (phase - self.start) % 1.0 - 1.0
            moments = first + np.arange(int(seconds / self.period) + 3)
            downs = moments * self.period
            kept = downs[(downs >= 0) & (downs < seconds)]
            result.append([(float(down), float(down + self.gait.stance * self.period)) for down in kept])
        return result


def make_motion(
    rng: np.random.Generator,
    build: Build,
    gait: str,
    asymmetry: Asymmetry = Asymmetry(),
) -> Motion:
    """Works out how a horse goes.

    Args:
        rng: Draws its looks, its tempo and where in the stride it begins.
        build: Proportions.
        gait: A name of :data:`GAITS`.
        asymmetry: What it does once a stride.
    """
    kind, period, neck = GAITS[gait]
    # a pendulum's: longer legs swing slower
    period *= float(np.sqrt(build.height / 1.6) * rng.uniform(0.94, 1.06))
    neck += float(rng.uniform(-6, 6))
    table, speed = _kept_to_the_ground(build, kind, period, neck)
    start, looks = float(rng.random()), int(rng.integers(2**31))
    return Motion(build, kind, period, speed, table, neck, asymmetry, start, looks)


def _kept_to_the_ground(build: Build, gait: Gait, period: float, neck: float) -> tuple[Table, float]:
    """The table of a gait, and the speed that fits it, metres a second."""
    moments = np.arange(MOMENTS) / MOMENTS
    phase = (moments[:, None] - np.array(gait.phases)) % 1.0
    standing = phase < gait.stance
    table = Table(np.zeros((MOMENTS, 4)), np.zeros(MOMENTS), np.zeros(MOMENTS))
    # what a stance covers at first says how fast the horse is; then every stance covers as much
    places = _hooves(build, gait, table, neck)
    sweep = np.mean([np.ptp(places[standing[:, leg], leg]) for leg in range(4)])
    speed = float(sweep) * MOMENTS / (MOMENTS * gait.stance - 1) / period
    middle = np.array([places[standing[:, leg], leg].mean() for leg in range(4)])
    wanted = middle - speed * period * (phase - gait.stance / 2)
    for _ in range(3):
        table = replace(table, pitch=table.pitch + _smooth(_pitches(build, gait, table, neck), HARMONICS))
        places = _hooves(build, gait, table, neck)
        slope = _hooves(build, gait, replace(table, turns=table.turns + 1), neck) - places
        turns = np.where(standing, table.turns + (wanted - places) / slope, table.turns)
        for leg in range(4):
            # in the air from what it had at lift-off to what it needs at touch-down
            known = np.flatnonzero(standing[:, leg])
            turns[:, leg] = np.interp(np.arange(MOMENTS), known, turns[known, leg], period=MOMENTS)
        table = replace(table, turns=turns)
    lowest = _lowest(build, gait, table, neck)
    leap = np.array([_leap(gait, moment) for moment in moments]) * build.height
    # the body rises and sinks evenly; a hoof may press into the ground a little instead
    height = leap - lowest
    return replace(table, lift=(height + _smooth(height, HARMONICS) + lowest) / build.height), speed


def _smooth(values: np.ndarray, harmonics: int) -> np.ndarray:
    """What has to be added to a stride's values so that only its lowest harmonics are left."""
    spectrum = np.fft.rfft(values)
    spectrum[: harmonics + 1] = 0
    return -np.fft.irfft(spectrum, len(values))


def _posed(gait: Gait, moment: float, row: tuple[np.ndarray, float, float], neck: float, asymmetry: Asymmetry) -> Pose:
    turns, body_pitch, lift = row
    pose = stride(gait, moment)
    legs = pose.legs.copy()
    legs[:, _TURNED] += turns
    once = np.cos(2 * np.pi * moment)
    twice = np.cos(4 * np.pi * moment)
    pitch = neck + 1.5 * twice + asymmetry.head_deg * once
    return clamp(
        replace(
            pose,
            legs=legs,
            neck_pitch=pitch,
            # horses keep the angle of their face more than that of the neck
            head_pitch=-0.5 * pitch,
            loin_pitch=asymmetry.croup_deg * once,
            body_pitch=body_pitch + (4 * np.cos(2 * np.pi * (moment - 0.15)) if gait is CANTER else 0.0),
            tail_lift=15.0 + 3 * once,
            lift=lift,
        )
    )


def _leap(gait: Gait, moment: float) -> float:
    """Height of a leap, as a parabola over each part of the stride in which no hoof stands."""
    phases = np.array(gait.phases)
    since_off = ((moment - phases) % 1.0 - gait.stance).min()
    until_down = ((phases - moment) % 1.0).min()
    if since_off <= 0:
        return 0.0
    part = since_off / (since_off + until_down)
    return _LIFT * 4 * part * (1 - part)


def _frames(build: Build, gait: Gait, table: Table, neck: float) -> list[kinematics.Frames]:
    moments = np.arange(MOMENTS) / MOMENTS
    return [kinematics.forward(build, _posed(gait, m, table.at(m), neck, Asymmetry())) for m in moments]


def _hooves(build: Build, gait: Gait, table: Table, neck: float) -> np.ndarray:
    """[MOMENTS, 4]: each coronet's place along the body, from its origin, metres."""
    return np.stack([(f.joints[:, -1] @ f.body.T)[:, 0] for f in _frames(build, gait, table, neck)])


def _lowest(build: Build, gait: Gait, table: Table, neck: float) -> np.ndarray:
    """[MOMENTS]: height of the lowest point of the horse, from the body's origin, metres."""
    result = np.empty(MOMENTS)
    for m, frames in enumerate(_frames(build, gait, table, neck)):
        pose = _posed(gait, m / MOMENTS, table.at(m / MOMENTS), neck, Asymmetry())
        result[m] = (body.build_body(build, pose, frames).mesh.vertices @ frames.body.T)[:, 2].min()
    return result


def _pitches(build: Build, gait: Gait, table: Table, neck: float) -> np.ndarray:
    """[MOMENTS]: how far the body is pitched up, degrees."""
    return np.degrees([np.arcsin(f.body[2, 0]) for f in _frames(build, gait, table, neck)])


#: Names of the legs in the order of ``anatomy.LEGS``, as keypoints begin.
LEGS = tuple(anatomy.LEGS)
