"""All measures of one animal with 95 % intervals, and what may be said of its symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError
from equistera.gait.angles import angles_of
from equistera.gait.body import LEGS, Body, body_of
from equistera.gait.strides import Strides, strides_of
from equistera.gait.symmetry import differences
from equistera.tracks.tracks import Tracks

#: Times that points are drawn anew within their noise, and strides drawn anew from those seen.
DRAWS = 200
#: Asymmetries below this, body lengths, are what the view makes of an even horse (docs/benchmarks.md, "Gait").
LEAST = 0.01
#: Half of an interval by its value from which a measure is called too noisy.
WIDEST = 0.5
#: Duty factors that horses have, from a racing gallop to a slow walk (Hildebrand, Science 150, 1965, and later works).
DUTY = (0.15, 0.8)
#: Strides below which an interval from strides means little, which is said.
FEW = 5


@dataclass(frozen=True)
class Measure:
    """One number of an animal.

    Attributes:
        name: What it is.
        value: Mean over the strides.
        low, high: The 95 % interval; it holds the spread of the strides and the noise of the points.
        strides: How many it is from.
        unit: ``s``, ``deg``, ``body lengths``, ... or empty.
    """

    name: str
    value: float
    low: float
    high: float
    strides: int
    unit: str = ""

    @property
    def exact(self) -> bool:
        """Whether its interval is narrow enough to mean something; of a duty factor, whether a horse can have it.

        Differences between two sides may be as small as they like: :func:`verdict` tells of them.
        """
        if self.name.endswith("Diff"):
            return True
        narrow = (self.high - self.low) / 2 <= WIDEST * abs(self.value)
        least, most = DUTY
        return narrow and (not self.name.endswith("duty") or least <= self.value <= most)

    def text(self) -> str:
        """For people."""
        if not self.exact:
            return "too noisy"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g}){unit}"


@dataclass(frozen=True)
class Gait:
    """What was measured of one animal.

    Attributes:
        individual: Its name.
        body: Its points.
        strides: By leg.
        measures: By name.
        angles: [T] by joint, degrees.
        notes: What a reader should know.
    """

    individual: str
    body: Body
    strides: dict[str, Strides]
    measures: dict[str, Measure]
    angles: dict[str, np.ndarray]
    notes: list[str]


_UNITS = {
    "stride": "s", "stance": "s", "swing": "s", "duty": "", "speed": "body lengths/s", "length": "body lengths",
}  # fmt: skip


def measure(tracks: Tracks, individual: str, seed: int = 0) -> Gait:
    """Measures an animal.

    Args:
        tracks: Repaired and smoothed.
        individual: One of their names.
        seed: Of the draws that the intervals come from.

    Raises:
        UserError: There is nothing to measure, with the reason.
    """
    body = body_of(tracks, individual)
    strides = strides_of(body)
    values = _values(body, strides)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(DRAWS):
        for name, mean in _drawn(body.with_noise(rng), values, rng).items():
            drawn[name].append(mean)
    measures = {}
    for name, each in values.items():
        known = each[np.isfinite(each)]
        if len(known):
            low, high = np.nanpercentile(drawn[name], [2.5, 97.5]) if drawn[name] else (np.nan, np.nan)
            mean = float(known.mean())
            # noise makes extremes more extreme: the draws are centred on what was seen
            shift = mean - float(np.nanmean(drawn[name]))
            measures[name] = Measure(name, mean, float(low + shift), float(high + shift), len(known), _unit(name))
    count = max(len(each.down) for each in strides.values())
    notes = [f"{count} strides at most: intervals from fewer than {FEW} are rough"] if count < FEW else []
    noisy = sorted({name.split(" ")[-1] for name, each in measures.items() if not each.exact})
    if noisy:
        notes.append(f"too noisy to be given: {', '.join(noisy)} of some or all legs; the points are not exact enough")
    if "croup" not in body.index:
        notes.append("croup: told by the tail base, a proxy")
    return Gait(individual, body, strides, measures, angles_of(body), notes)


def _values(body: Body, strides: dict[str, Strides]) -> dict[str, np.ndarray]:
    """[N] by measure: of every stride."""
    result = {f"{leg} {name}": each for leg in LEGS for name, each in strides[leg].values.items()}
    for name in _UNITS:
        result[name] = np.concatenate([strides[leg].values[name] for leg in LEGS])
    reference = strides["lf"] if len(strides["lf"].down) else max(strides.values(), key=lambda each: len(each.down))
    result |= differences(body, reference)
    for joint, angle in angles_of(body).items():
        ranges = [
            np.ptp(angle[(body.times >= down) & (body.times < end)])
            for down, end in zip(reference.down, reference.next_down, strict=True)
        ]
        result[f"{joint} range"] = np.array(ranges, dtype=float)
    return result


def _drawn(noisy: Body, values: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, float]:
    """Means of a draw: points within their noise, strides drawn with replacement."""
    try:
        again = _values(noisy, strides_of(noisy))
    except UserError:
        return {}  # so much noise that no strides are left: the other draws tell
    result = {}
    for name in values:
        known = again[name][np.isfinite(again[name])]
        if len(known):
            result[name] = float(rng.choice(known, len(known)).mean())
    return result


def _unit(name: str) -> str:
    last = name.rsplit(" ", 1)[-1]
    return "deg" if last == "range" else "body lengths" if last.endswith("Diff") else _UNITS.get(last, "")


def verdict(measure: Measure) -> str:
    """What may be said of an asymmetry; never more than that it is there."""
    wide = (measure.high - measure.low) / 2
    if measure.low <= 0 <= measure.high:
        return f"no verdict: the noise (±{wide:.3g}) is larger than the asymmetry ({measure.value:.3g} body lengths)"
    if abs(measure.value) < LEAST:
        return f"no verdict: {measure.value:.3g} body lengths is less than what the view alone can make ({LEAST:g})"
    side = "left" if measure.value < 0 else "right"
    where = "sinks lower" if "Min" in measure.name else "rises less"
    return f"uneven: it {where} on the {side} fore by {abs(measure.value):.3g} (±{wide:.2g}) body lengths"
