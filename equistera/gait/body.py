"""One animal's points in its own measure: along its body and above the ground, in lengths of its body.

A video shows a horse in pixels, from a camera that may turn after it and come nearer. Everything here is measured from
the trunk (the middle between withers and tail base), in body lengths (withers to tail base, the median over the video):
neither a panning camera nor the distance changes that, as long as the horse is seen from its side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError
from equistera.tracks.tracks import Tracks

LEGS = ("lf", "rf", "lh", "rh")
#: Points without which nothing can be measured.
NEEDED = ("withers", "tail_base", *(f"{leg}_hoof" for leg in LEGS))
#: Seconds of track that are needed at least: two strides of a walk.
SHORTEST = 2.0
#: Length of the trunk on the picture by three quarters of the height of the withers, from which the horse is seen from
#: its side: there they are about equal, and from 60 degrees off the trunk is half as long.
FROM_THE_SIDE = 0.6
#: Share of frames in which the needed points have to be known.
KNOWN = 0.7


@dataclass(frozen=True)
class Body:
    """An animal of T frames.

    Attributes:
        times: [T], seconds.
        points: float64 [T, K, 2], pixels of the frame; NaN where nothing is known.
        index: Position of each keypoint by name.
        length: Body length in pixels.
        heading: +1 where the horse looks to the right of the picture, -1 to the left.
        spread: [T, K], standard deviation of the points along one axis, pixels.
    """

    times: np.ndarray
    points: np.ndarray
    index: dict[str, int]
    length: float
    heading: int
    spread: np.ndarray

    def with_noise(self, rng: np.random.Generator) -> Body:
        """The same with each point where it might as well have been."""
        noise = rng.standard_normal(self.points.shape) * self.spread[..., None]
        return Body(self.times, self.points + noise, self.index, self.length, self.heading, self.spread)

    def point(self, name: str) -> np.ndarray:
        """[T, 2], pixels."""
        return self.points[:, self.index[name]]

    def forward(self, name: str) -> np.ndarray:
        """[T]: how far a point is in front of the trunk's middle, body lengths."""
        middle = (self.point("withers")[:, 0] + self.point("tail_base")[:, 0]) / 2
        return self.heading * (self.point(name)[:, 0] - middle) / self.length

    def height(self, *names: str) -> np.ndarray:
        """[T]: height of the mean of some points on the picture, upwards, body lengths; from no certain ground."""
        return -np.mean([self.point(name)[:, 1] for name in names], axis=0) / self.length


def body_of(tracks: Tracks, individual: str) -> Body:
    """An animal of tracks.

    Args:
        tracks: After :func:`equistera.tracks.smooth.smooth`.
        individual: One of their names.

    Raises:
        UserError: Points are missing, the track is too short, or the horse is not seen from its side.
    """
    if individual not in tracks.individuals:
        raise UserError(f"no animal {individual!r}", hint=f"There are: {', '.join(tracks.individuals)}")
    lacking = [name for name in NEEDED if name not in tracks.index]
    if lacking:
        raise UserError("the tracks lack points that strides are measured from:", lacking)
    a = tracks.individuals.index(individual)
    points = tracks.points[:, a]
    needed = [tracks.index[name] for name in NEEDED]
    known = np.isfinite(points[:, needed]).all(axis=(1, 2))
    if len(tracks) < 2 or known.mean() < KNOWN:
        raise UserError(
            f"{individual}: withers, tail base and hooves are known in {known.mean():.0%} of the frames together",
            hint=f"Expected {KNOWN:.0%}: fewer gaps, or a longer --max-gap of tools/analyze.py",
        )
    seconds = float(tracks.times[-1] - tracks.times[0])
    if seconds < SHORTEST:
        raise UserError(f"{individual}: {seconds:.1f} s of track, expected {SHORTEST:g} s or more")
    withers, tail = points[:, tracks.index["withers"]], points[:, tracks.index["tail_base"]]
    length = float(np.nanmedian(np.linalg.norm(withers - tail, axis=1)))
    high = float(np.nanmedian(np.nanmax(points[:, needed[2:], 1], axis=1) - withers[:, 1]))
    if length < FROM_THE_SIDE * 0.75 * high:
        raise UserError(
            f"{individual} is not seen from its side: from withers to tail base it is {length:.0f} pixels long and its "
            f"withers are {high:.0f} pixels above its hooves",
            hint="Strides and symmetry are measured on side views",
        )
    heading = 1 if np.nanmedian(withers[:, 0] - tail[:, 0]) > 0 else -1
    spread = np.array(tracks.spread[:, a], dtype=float)
    # what the smoother does not know: by how much it moved the points
    moved = np.abs(points - tracks.raw[:, a]).mean(axis=-1)
    spread = np.where(np.isfinite(spread), spread, np.nanmedian(moved) if np.isfinite(moved).any() else 0.0)
    return Body(tracks.times, _filled(points), tracks.index, length, heading, spread)


def _filled(points: np.ndarray) -> np.ndarray:
    """Gaps bridged by straight lines, so that every frame has a value; what is measured there is interpolated."""
    result = points.copy()
    steps = np.arange(len(points))
    for k in range(points.shape[1]):
        for axis in (0, 1):
            known = np.isfinite(points[:, k, axis])
            if known.any():
                result[:, k, axis] = np.interp(steps, steps[known], points[known, k, axis])
    return result
