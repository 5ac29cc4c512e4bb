"""All measures of one animal with 95 % intervals, and what may be said of its symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from equistera.gait.angles import angles_of, spreads_of
from equistera.gait.body import LEGS, Body, body_of
from equistera.gait.cycle import curve, cycle_of
from equistera.gait.noise import noise_of
from equistera.gait.strides import Leg, again, legs_of
from equistera.gait.symmetry import curves_of, differences, parts_of
from equistera.tracks.tracks import Tracks
from equistera.words import counted

#: Times that noise is drawn.
DRAWS = 60
#: Strides are left out one by one, or in so many groups.
GROUPS = 20
#: Probability that an interval holds what is true. A verdict asks for as much of all six differences together.
SURE = 0.95
#: Differences that one horse is asked for: of three parts.
ASKED = 6
#: Asymmetries below this, body lengths, are not spoken of.
LEAST = 0.01
#: Diagonal pairs land together where they do so within this part of a stride, and both half a stride apart. Hobbs,
#: Bertram and Clayton (PeerJ 4:e2190, 2016) tell of trots whose pairs land not quite together.
TOGETHER = 0.1
#: What the way of measuring adds to an interval: seconds by which a rendered hoof's stance and a stride are told
#: wrongly, shares by which one view tells lengths, and heights and angles wrongly, and body lengths by which a view
#: that turns makes an even horse uneven (docs/benchmarks.md, "Gait").
STANCE, STRIDE, LENGTH, HEIGHT, LEVEL = 0.02, 0.003, 0.06, 0.15, 0.003
#: Harmonics of the stride that a joint's angle is made of.
_ANGLE = 8
#: Half of an interval by its value from which a measure is called too noisy.
_WIDEST = 0.5
#: Seconds within which a horse's stride lies, from the gallop to a slow walk, with room on both sides.
USUAL_STRIDE = (0.4, 2.0)
#: Share of the draws in which a measure has to be found.
_FOUND = 0.9


@dataclass(frozen=True)
class Measure:
    """One number of an animal.

    Attributes:
        name: What it is.
        value: From all strides.
        half: Half of its 95 % interval.
        joint: Half of an interval that is wide enough for all six differences together; NaN for other measures.
        unit: ``s``, ``deg``, ``body lengths``, ``body lengths/s`` or empty.
    """

    name: str
    value: float
    half: float
    joint: float
    unit: str

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half

    @property
    def exact(self) -> bool:
        """Whether the interval is narrow enough to mean something; differences may be as small as they like."""
        return self.name.endswith("Diff") or self.half <= _WIDEST * abs(self.value)

    def text(self) -> str:
        """For people."""
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})" if self.exact else "too noisy"


@dataclass(frozen=True)
class Gait:
    """What was measured of one animal.

    Attributes:
        individual: Its name.
        body: Its points, over the frames that were measured.
        legs: By leg.
        strides: How many of each leg, at least.
        measures: By name.
        curves: [FINE] by part, heights in a stride, body lengths; empty where the gait is no trot.
        angles: [T] by joint, degrees.
        spreads: [T] by joint, standard deviations of the angles.
        verdicts: By name of a difference.
        gait: In words, what the footfalls show.
        notes: What a reader should know.
    """

    individual: str
    body: Body
    legs: dict[str, Leg]
    strides: int
    measures: dict[str, Measure]
    curves: dict[str, np.ndarray]
    angles: dict[str, np.ndarray]
    spreads: dict[str, np.ndarray]
    verdicts: dict[str, str]
    gait: str
    notes: list[str]


def measure(tracks: Tracks, individual: str, seed: int = 0) -> Gait:
    """Measures an animal.

    Args:
        tracks: Repaired and smoothed.
        individual: One of their names.
        seed: Of the noise that is drawn.

    Raises:
        UserError: There is nothing to measure, with the reason.
    """
    body = body_of(tracks, individual)
    legs = legs_of(body)
    trot, gait = _gait(legs)
    values = _values(body, legs, trot)
    strides = min(int(leg.whole.sum()) for leg in legs.values())
    groups = min(strides, GROUPS)
    left_out = [_values(body, again(body, legs, slice(n, None, groups)), trot) for n in range(groups)]
    inside = (tracks.times >= body.times[0]) & (tracks.times <= body.times[-1])
    spread = np.array([_median(each) for each in tracks.spread[inside, tracks.individuals.index(individual)].T])
    cycle = cycle_of(body.times, legs["lf"])
    noise = noise_of(body, cycle, spread)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        other = body.with_points(body.points + noise.drawn(rng, len(body.times)))
        drawn.append(_values(other, again(other, legs), trot))
    measures = {}
    for name, value in values.items():
        found = _measure(name, value, [x[name] for x in left_out], [x[name] for x in drawn], legs["lf"].usual)
        if found is not None:
            measures[name] = found
    size = noise.size / np.median(body.upright)
    notes = [f"measured from {body.times[0]:.2f} to {body.times[-1]:.2f} s: {counted(strides, 'strides')} of each leg"]
    by = "what differs between strides, more than the track's own spread"
    if noise.spreads:
        by = f"the track's own spread at {counted(noise.spreads, 'points')}, at others by what differs between strides"
    notes.append(f"noise of the points: {np.median(size[size > 0]):.2%} of a body length (median), told by {by}")
    stride = values["stride"]
    if not USUAL_STRIDE[0] <= stride <= USUAL_STRIDE[1]:
        notes.append(f"a stride of {stride:.2f} s is unusual for a horse: are the times, or --fps, right?")
    if "croup" not in body.index:
        notes.append("croup: told by the tail base, a proxy")
    untold = [name for name in values if name not in measures]
    if untold:
        notes.append(
            "not told, for points that are not known or halves of a stride without a lowest or highest moment: "
            f"{', '.join(untold)}"
        )
    verdicts = {name: verdict(m, _size(name, body, size)) for name, m in measures.items() if name.endswith("Diff")}
    curves = curves_of(body, cycle) if trot else {}
    return Gait(
        individual, body, legs, strides, measures, curves, angles_of(body), spreads_of(body, noise.size), verdicts,
        gait, notes,
    )  # fmt: skip


def _values(body: Body, legs: dict[str, Leg], trot: bool) -> dict[str, float]:
    """Every measure's value, by name."""
    result: dict[str, float] = {}
    for name, leg in legs.items():
        stance = leg.duty * leg.usual
        result |= {f"{name} duty": leg.duty, f"{name} stance": stance, f"{name} swing": leg.usual - stance}
    for name in ("duty", "stance", "swing"):
        result[name] = float(np.mean([result[f"{leg} {name}"] for leg in LEGS]))
    result["stride"] = float(np.mean([leg.usual for leg in legs.values()]))
    # hooves of the two ends are nearer to the camera or farther from it than the trunk; on average they are not
    result["length"] = float(np.mean([leg.length for leg in legs.values()]))
    result["speed"] = result["length"] / result["stride"]
    cycle = cycle_of(body.times, legs["lf"])
    if trot:
        for part, height in curves_of(body, cycle).items():
            result[f"{part} MinDiff"], result[f"{part} MaxDiff"] = differences(height, part == "croup")
    for joint, angle in angles_of(body).items():
        known = np.isfinite(angle)
        angle[known] = np.degrees(np.unwrap(np.radians(angle[known])))
        result[f"{joint} range"] = float(np.ptp(curve(cycle, angle, _ANGLE)))
    return result


def _measure(name: str, value: float, left_out: list[float], drawn: list[float], stride: float) -> Measure | None:
    """A measure with its interval; None where it cannot be told.

    The interval holds the larger of what strides (Student's t over values from which one stride is left out: the
    jackknife, Efron and Stein, Ann Stat 9, 1981) and what noise makes of it, and what the way of measuring adds.
    """
    known = np.array(drawn)[np.isfinite(drawn)]
    if not np.isfinite([value, *left_out]).all() or len(known) < _FOUND * len(drawn):
        return None
    count = len(left_out)
    strides = float(np.sqrt((count - 1) / count * np.square(left_out - np.mean(left_out)).sum()))
    noise = float(known.std(ddof=1))
    if name.endswith(" range"):
        # noise makes extremes more extreme: what more of it adds is about what it has added already
        value = max(2 * value - float(known.mean()), 0.0)
    unit, own = _own(name, value, stride)
    halves = [
        float(
            np.hypot(
                max(
                    special.stdtrit(count - 1, (1 + p) / 2) * strides,
                    special.stdtrit(len(known) - 1, (1 + p) / 2) * noise,
                ),
                own,
            )
        )
        for p in (SURE, 1 - (1 - SURE) / ASKED)
    ]
    return Measure(name, value, halves[0], halves[1], unit)


def _own(name: str, value: float, stride: float) -> tuple[str, float]:
    """Unit of a measure, and what the way of measuring adds to half of its interval."""
    last = name.rsplit(" ", 1)[-1]
    if last in ("stance", "swing"):
        return "s", STANCE
    if last == "duty":
        return "", STANCE / stride
    if last == "stride":
        return "s", STRIDE
    if last in ("length", "speed"):
        return "body lengths" if last == "length" else "body lengths/s", LENGTH * abs(value)
    if last == "range":
        return "deg", HEIGHT * abs(value)
    return "body lengths", float(np.hypot(HEIGHT * value, LEVEL))


def _gait(legs: dict[str, Leg]) -> tuple[bool, str]:
    """Whether diagonal pairs of legs land together, half a stride apart, and that in words."""
    usual = float(np.mean([leg.usual for leg in legs.values()]))
    first = legs["lf"].passing
    behind = {}
    for name, leg in legs.items():
        after = (leg.passing[:, None] - first) / usual + leg.down - legs["lf"].down
        turn = np.exp(2j * np.pi * after).mean()
        behind[name] = float(np.angle(turn) / (2 * np.pi)) % 1.0
    pairs = {"left fore and right hind": ("lf", "rh"), "right fore and left hind": ("rf", "lh")}
    off = {pair: (behind[b] - behind[a] + 0.5) % 1.0 - 0.5 for pair, (a, b) in pairs.items()}
    trot = all(abs(each) <= TOGETHER for each in off.values()) and abs(behind["rf"] - 0.5) <= TOGETHER
    said = ", ".join(f"{pair} {abs(each):.0%} of a stride apart" for pair, each in off.items())
    said += f", the fore legs {behind['rf']:.0%}"
    if trot:
        return True, f"trot: diagonal pairs land together ({said})"
    return False, f"no trot: diagonal pairs do not land together, half a stride apart ({said})"


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def _size(name: str, body: Body, size: np.ndarray) -> float:
    """Noise of the point that tells a difference, body lengths."""
    return float(size[body.index[parts_of(body.index)[name.split(" ")[0]]]])


def verdict(measure: Measure, noise: float) -> str:
    """What may be said of a difference; never more than that it is there.

    Args:
        measure: Of it.
        noise: Standard deviation of the point that tells it, body lengths.
    """
    size = abs(measure.value)
    if measure.joint >= size:
        return f"no verdict: it may as well be 0 (±{measure.joint:.2g}, all {ASKED} asked at once)"
    wide = float(special.ndtri((1 + SURE) / 2)) * noise
    if wide >= size:
        return f"no verdict: the noise of the point (±{wide:.2g}) is larger"
    if size < LEAST:
        return f"no verdict: below {LEAST:g} body lengths nothing is said"
    side = "right" if measure.value > 0 else "left"
    legs = "hind" if measure.name.startswith("croup") else "fore"
    what = f"sinks less on the {side} {legs}" if "Min" in measure.name else f"rises less after the {side} {legs}"
    return f"uneven: it {what} by {size:.2g} (±{measure.joint:.2g}) body lengths"
