"""What smoothing makes of tracks, beside what is true: jitter, when hooves are highest, how far joints move.

Everything is told of the points as the model said them (raw) and as written (smoothed), found points put in the place
of the true animals by frame; see ``analysis_truth.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

LEGS = ("lf", "rf", "lh", "rh")
#: Joints that bend in a stride: the point, and those above and below it.
JOINTS = {
    f"{leg} {joint}": points
    for leg in LEGS
    for joint, points in {
        "knee" if leg[1] == "f" else "hock": (
            (f"{leg[0]}_elbow", f"{leg[0]}_knee", f"{leg}_fetlock")
            if leg[1] == "f"
            else (f"{leg[0]}_hip", f"{leg[0]}_hock", f"{leg}_fetlock")
        ),
        "fetlock": (f"{leg[0]}_{'knee' if leg[1] == 'f' else 'hock'}", f"{leg}_fetlock", f"{leg}_hoof"),
    }.items()
}
#: A stride or a swing counts where so much of its frames is known.
_KNOWN = 0.9


@dataclass(frozen=True)
class Compared:
    """Found points of the true animals of one video.

    Attributes:
        index: Number of each keypoint by name.
        times: [T], seconds.
        truth: [T, A, K, 2], pixels.
        raw: The same as the model said it; NaN where the animal was not found.
        smoothed: The same as written.
        falls: For each animal, touch-downs and lift-offs by hoof, seconds: ``footfalls`` of ``truth.json``.
    """

    index: dict[str, int]
    times: np.ndarray
    truth: np.ndarray
    raw: np.ndarray
    smoothed: np.ndarray
    falls: list[dict[str, list[tuple[float, float]]]]


def smoothing(video: Compared) -> dict[str, float]:
    """All figures of one video.

    Returns:
        Root mean square error where both are known. RMS acceleration of the error of hooves that stand, in pixels a
        frame a frame: the truth of such a point stands still or, before a camera that pans, goes evenly. How far the
        moment at which a hoof is highest in its swing lies from the true one, frames. Range of each joint's angle in a
        stride, as a share of the true one. Medians over strides; numbers of what was counted.
    """
    result: dict[str, float] = {}
    kinds = {"raw": video.raw, "smoothed": video.smoothed}
    both = np.isfinite(video.raw).all(axis=-1) & np.isfinite(video.smoothed).all(axis=-1)
    still = 0
    for kind, points in kinds.items():
        error = np.linalg.norm(points - video.truth, axis=-1)[both]
        result[f"RMSE {kind}, px"] = float(np.sqrt(np.mean(error**2))) if len(error) else np.nan
    for kind, points in kinds.items():
        jumps = [error for a, hoof, part in _stances(video) for error in _accelerations(video, points, a, hoof, part)]
        result[f"jitter {kind}, px/frame2"] = float(np.sqrt(np.mean(np.square(jumps)))) if jumps else np.nan
        still = len(jumps)
    result["points"], result["standing frames"] = int(both.sum()), still
    tops = [[_highest(points, a, hoof, part) for points in (video.truth, *kinds.values())]
            for a, hoof, part in _swings(video)]  # fmt: skip
    shifts = np.array([top for top in tops if np.isfinite(top).all()]).reshape(-1, 3)
    result["swings"] = len(shifts)
    pairs = (("raw - true", 1, 0), ("smoothed - true", 2, 0), ("smoothed - raw", 2, 1))
    for name, one, other in pairs:
        apart = np.abs(shifts[:, one] - shifts[:, other])
        result[f"peak {name}, frames"] = float(np.median(apart)) if len(apart) else np.nan
        result[f"peaks {name} under a frame"] = float((apart < 1).mean()) if len(apart) else np.nan
    ranges = [[_range(points, a, joint, part) for points in (video.truth, *kinds.values())]
              for a, joint, part in _strides(video)]  # fmt: skip
    known = np.array([row for row in ranges if np.isfinite(row).all() and row[0] > 0]).reshape(-1, 3)
    result["strides of joints"] = len(known)
    for number, kind in enumerate(kinds, start=1):
        result[f"range of motion {kind} / true"] = (
            float(np.median(known[:, number] / known[:, 0])) if len(known) else np.nan
        )
    result["range of motion smoothed / raw"] = float(np.median(known[:, 2] / known[:, 1])) if len(known) else np.nan
    return result


def where_right(video: Compared, limit: np.ndarray) -> Compared:
    """The video without the points that lie elsewhere, raw or smoothed: either alone would favour the other.

    Args:
        video: All of it.
        limit: [T, A], greatest distance from the truth, pixels.
    """
    far = [np.linalg.norm(points - video.truth, axis=-1) for points in (video.raw, video.smoothed)]
    wrong = ~(np.maximum(*far) <= np.asarray(limit)[..., None])
    raw, smoothed = video.raw.copy(), video.smoothed.copy()
    raw[wrong] = smoothed[wrong] = np.nan
    return replace(video, raw=raw, smoothed=smoothed)


def _stances(video: Compared) -> Iterator[tuple[int, int, np.ndarray]]:
    for a, falls in enumerate(video.falls):
        for hoof, times in falls.items():
            for down, off in times:
                yield a, video.index[hoof], np.flatnonzero((video.times >= down) & (video.times <= off))


def _swings(video: Compared) -> Iterator[tuple[int, int, np.ndarray]]:
    for a, falls in enumerate(video.falls):
        for hoof, times in falls.items():
            for (_, off), (down, _) in itertools.pairwise(times):
                yield a, video.index[hoof], np.flatnonzero((video.times > off) & (video.times < down))


def _strides(video: Compared) -> Iterator[tuple[int, list[int], np.ndarray]]:
    for a, falls in enumerate(video.falls):
        for name, joint in JOINTS.items():
            times = falls[f"{name[:2]}_hoof"]
            for (down, _), (after, _) in itertools.pairwise(times):
                inside = np.flatnonzero((video.times >= down) & (video.times < after))
                yield a, [video.index[point] for point in joint], inside


def _accelerations(video: Compared, points: np.ndarray, a: int, hoof: int, part: np.ndarray) -> list[float]:
    """Along both axes, of frames whose neighbours are of the same stance."""
    error = (points - video.truth)[part, a, hoof]
    second = error[2:] - 2 * error[1:-1] + error[:-2]
    return second[np.isfinite(second).all(axis=1)].ravel().tolist()


def _highest(points: np.ndarray, a: int, hoof: int, part: np.ndarray) -> float:
    """Frame, between frames by a parabola, at which a point is highest; NaN where it is not within the part."""
    heights = -points[part, a, hoof, 1]
    known = np.isfinite(heights)
    if len(part) < 3 or known.mean() < _KNOWN:
        return np.nan
    top = int(np.nanargmax(heights))
    if not 0 < top < len(part) - 1 or not known[top - 1 : top + 2].all():
        return np.nan
    before, at, after = heights[top - 1 : top + 2]
    bend = before - 2 * at + after
    return float(part[top] + (0.5 * (before - after) / bend if bend else 0.0))


def _range(points: np.ndarray, a: int, joint: list[int], part: np.ndarray) -> float:
    """Degrees between the least and the greatest angle of a joint."""
    above, at, below = (points[part, a, k] for k in joint)
    one, other = above - at, below - at
    angle = np.degrees(np.arctan2(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0], (one * other).sum(axis=1)))
    angle = angle[np.isfinite(angle)]
    if len(part) < 5 or len(angle) < _KNOWN * len(part):
        return np.nan
    # a joint that is bent through is no jump by a turn
    return float(np.ptp(np.unwrap(angle, period=360)))
