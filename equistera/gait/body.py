"""One animal's points in its own measure: along its body and upwards, in lengths of its body.

A video shows a horse in pixels, from a camera that may turn after it. Along the body everything is measured from the
trunk (the middle between withers and tail base) by the trunk's length on the picture at that moment, which neither a
camera that pans nor the distance nor a view that is a little oblique changes. Upwards the measure is the length that
the trunk would have if it was seen straight from the side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from equistera.errors import UserError
from equistera.tracks.tracks import Tracks

LEGS = {"lf": "left fore", "rf": "right fore", "lh": "left hind", "rh": "right hind"}
#: Seconds between two frames over which no stride can be seen: it takes half a second to a second.
FARTHEST = 0.1
#: Points without which nothing can be measured.
NEEDED = ("withers", "tail_base", *(f"{leg}_hoof" for leg in LEGS))
#: Seconds of track that are needed at least: two strides of a walk.
SHORTEST = 2.5
#: Of a longer view the middle is measured, seconds: more would take long and tell little more.
LONGEST = 30.0
#: A view counts as from the side while the trunk, by the height of the withers, is so long beside its longest in the
#: video; that is about 50 degrees.
SIDE = 0.64
#: Length of the trunk by the height of the withers below which a horse is nowhere seen from its side. From the side
#: both are about as 3 to 4; from 60 degrees off the trunk is half as long.
FROM_THE_SIDE = 0.45
#: Share of the frames of the side view in which each of the needed points has to be known.
KNOWN = 0.7
#: Seconds over which the size on the picture is averaged; a stride of a walk.
_AROUND = 1.0
#: Seconds without a trunk after which a view begins anew.
_BREAK = 0.5


@dataclass(frozen=True)
class Body:
    """An animal over the T frames in which it is seen from its side.

    Attributes:
        times: [T], seconds.
        points: float64 [T, K, 2], pixels of the frame; NaN where nothing is known.
        index: Position of each keypoint by name.
        heading: +1 where the horse looks to the right of the picture, -1 to the left.
        trunk: [T], length of the trunk on the picture, averaged over about a stride, pixels.
        upright: [T], that length if it was seen straight from the side, pixels.
    """

    times: np.ndarray
    points: np.ndarray
    index: dict[str, int]
    heading: int
    trunk: np.ndarray
    upright: np.ndarray

    def point(self, name: str) -> np.ndarray:
        """[T, 2], pixels."""
        return self.points[:, self.index[name]]

    def forward(self, name: str) -> np.ndarray:
        """[T]: how far a point is in front of the trunk's middle, body lengths."""
        middle = (self.point("withers")[:, 0] + self.point("tail_base")[:, 0]) / 2
        return self.heading * (self.point(name)[:, 0] - middle) / self.trunk

    def height(self, name: str) -> np.ndarray:
        """[T]: height of a point on the picture, body lengths, upwards from the picture's top edge."""
        return -self.point(name)[:, 1] / self.upright

    def with_points(self, points: np.ndarray) -> Body:
        """The same view with other points [T, K, 2]."""
        return replace(self, points=points)


def body_of(tracks: Tracks, individual: str) -> Body:
    """The longest view of an animal from its side, at most :data:`LONGEST`.

    Args:
        tracks: After :func:`equistera.tracks.smooth.smooth`.
        individual: One of their names.

    Raises:
        UserError: Points are missing, the horse is nowhere seen from its side, or for too short a time.
    """
    if individual not in tracks.individuals:
        raise UserError(f"no animal {individual!r}", hint=f"There are: {', '.join(tracks.individuals)}")
    lacking = [name for name in NEEDED if name not in tracks.index]
    if lacking:
        raise UserError(
            "the tracks lack points that strides are measured from:",
            lacking,
            hint=f"Theirs are {', '.join(tracks.index)}. --keypoint-map gives them the names that are expected",
        )
    apart = float(np.median(np.diff(tracks.times))) if len(tracks) > 1 else 0.0
    if apart > FARTHEST:
        raise UserError(
            f"the frames are {apart:g} s apart, expected {FARTHEST:g} s or less",
            hint="Times are in seconds: are these milliseconds, or numbers of frames?",
        )
    points = tracks.points[:, tracks.individuals.index(individual)]
    withers, tail = (points[:, tracks.index[name]] for name in ("withers", "tail_base"))
    hooves = points[:, [tracks.index[f"{leg}_hoof"] for leg in LEGS], 1]
    lowest = np.where(np.isfinite(hooves), hooves, -np.inf).max(axis=1)
    there = np.isfinite(withers - tail).all(axis=1) & np.isfinite(lowest)
    if there.sum() < 2 or np.ptp(tracks.times[there]) < SHORTEST:
        seconds = float(np.ptp(tracks.times[there])) if there.any() else 0.0
        raise UserError(f"{individual}: {seconds:.1f} s of track, expected {SHORTEST:g} s or more")
    times, points = tracks.times[there], points[there]
    along, high = (withers - tail)[there], lowest[there] - withers[there][:, 1]
    length, size = _averaged(times, along[:, 0]), _averaged(times, high)
    if (size <= 0).any():
        raise UserError(
            f"{individual}: its withers are below its hooves", hint="A camera that is held level is expected"
        )
    ratio = length / size
    best = float(np.percentile(np.abs(ratio), 95))
    if best < FROM_THE_SIDE:
        raise UserError(
            f"{individual} is not seen from its side: from withers to tail base it is at most {best:.2f} times as long "
            "as its withers are high",
            hint=f"Expected {FROM_THE_SIDE:g} or more: strides and symmetry are measured on side views",
        )
    kept = _longest(times, np.where(np.abs(ratio) >= SIDE * best, np.sign(ratio), 0))
    if np.ptp(times[kept]) < SHORTEST:
        raise UserError(
            f"{individual} is seen from its side for {np.ptp(times[kept]):.1f} s at a time",
            hint=f"Expected {SHORTEST:g} s or more: the camera at right angles to its way, and farther off",
        )
    middle = (times[kept][0] + times[kept][-1]) / 2
    first, end = np.searchsorted(times, [middle - LONGEST / 2, middle + LONGEST / 2])
    kept = slice(max(kept.start, first), min(kept.stop, end))
    heading = int(np.sign(ratio[kept][0]))
    trunk = _averaged(times, np.linalg.norm(along, axis=1))[kept]
    body = Body(times[kept], points[kept], tracks.index, heading, trunk, trunk * best / np.abs(ratio[kept]))
    known = {name: float(np.isfinite(body.point(name)).all(axis=1).mean()) for name in NEEDED}
    seldom = [f"{name}: in {share:.0%} of the frames" for name, share in known.items() if share < KNOWN]
    if seldom:
        raise UserError(
            f"{individual}: points that strides are measured from are known too seldom:",
            seldom,
            hint=f"Expected {KNOWN:.0%}: fewer gaps, or a longer --max-gap of tools/analyze.py",
        )
    return body


def _averaged(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of the lines through the frames around each, [T]: means that keep their place at the ends, too."""
    half = _AROUND / 2 + 1e-9
    first, end = np.searchsorted(times, times - half), np.searchsorted(times, times + half, side="right")
    centred = times - times.mean()
    columns = np.stack([np.ones_like(times), centred, centred**2, values, centred * values])
    sums = np.concatenate([np.zeros((5, 1)), np.cumsum(columns, axis=1)], axis=1)
    count, t, tt, v, tv = sums[:, end] - sums[:, first]
    spread = np.maximum(tt / count - (t / count) ** 2, 1e-12)
    slope = (tv / count - t * v / count**2) / spread
    return v / count + slope * (centred - t / count)


def _longest(times: np.ndarray, kind: np.ndarray) -> slice:
    """The longest run of frames of one kind that is not 0, without a break."""
    new = np.flatnonzero((np.diff(kind) != 0) | (np.diff(times) > _BREAK)) + 1
    runs = [slice(first, end) for first, end in zip([0, *new], [*new, len(times)], strict=True) if kind[first]]
    return max(runs, key=lambda run: times[run.stop - 1] - times[run.start])
