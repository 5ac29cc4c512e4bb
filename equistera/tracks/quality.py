"""How good the tracks of a video are: numbers, the moments to look at first, and a page that shows both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from equistera import drawing, html
from equistera.drawing import PALETTE, plain
from equistera.skeleton import Skeleton
from equistera.tracks.smooth import THRESHOLD
from equistera.tracks.swaps import limbs_of, meetings, runs
from equistera.tracks.tracks import FILLED, SWAPPED, Tracks
from equistera.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of a video in which nothing was put right.
_NO_SWAPS = "No exchange of left and right shows. Legs that the model keeps exchanged look as if they were right."
#: Moments that are shown, and how far apart they are at least, seconds.
SHOWN, _APART = 6, 1.0
#: A point counts as moved far where the smoother put it farther from where the model saw it than this share of the
#: animal's size.
_FAR = 0.1
#: Share of meetings at which legs turn back above which they are hardly told apart, and how many say something: in 12
#: rendered films true legs are below it, those that two models had seen above (docs/tracks.md).
_TURN_BACK, _FEWEST = 0.45, 8
#: Pieces of time in the plots.
_PIECES = 200
#: Width and height of a thumbnail, pixels.
_PANEL = (440, 330)
#: Shares of confident points below which a keypoint is marked as bad, or as a warning.
_BAD, _POOR = 0.5, 0.8

MEANING = (
    "A point is confident when its confidence is at least the threshold. A gap is a stretch in which it is not, or "
    "does not fit the track: short ones are filled, long ones left open. Jitter is the root mean square of a track's "
    "second difference, from frame to frame: of a point that stands still it is all noise; of one that moves it holds "
    "its acceleration, too. Before: as the model said it; after: as written. Spread: the median of the standard "
    "deviation that the smoother gives its points."
)


_MEETINGS = (
    "Legs that swing pass each other; where they mostly turn back, the model exchanges left and right for long or lays "
    "both on one leg, and nothing here can put that right. In rendered films true legs turned back at 0 to 38 % of "
    "their meetings, those that two small models had seen at 47 to 90 %."
)


def in_words(met: int, turned: int) -> str:
    """What :func:`~.swaps.meetings` has found."""
    told = f"Legs met {counted(met, 'times')} and turned back {counted(turned, 'times')} ({turned / met:.0%})"
    return told + ": left and right are hardly told apart" * (met >= _FEWEST and turned / met > _TURN_BACK)


@dataclass(frozen=True)
class Moment:
    """A frame that should be looked at.

    Attributes:
        frame: Its number.
        individual: Position of the animal.
        why: In words.
        badness: For ordering.
    """

    frame: int
    individual: int
    why: str
    badness: float


def numbers(tracks: Tracks, skeleton: Skeleton, threshold: float = THRESHOLD) -> dict[str, Any]:
    """The numbers of the page, JSON-ready.

    Args:
        tracks: After repair and smoothing.
        skeleton: Their keypoints.
        threshold: Confidence from which a point is confident.

    Returns:
        ``frames``, ``seconds``, ``fps``, ``confident`` (share of all points of frames in which the animal was seen),
        ``seen`` (share of frames, by individual), ``swaps`` (each ``individual``, ``points``, ``from`` and ``to``
        seconds, ``frames``), ``meetings`` (of legs, and at how many of them they ``turned`` back, see
        :func:`~.swaps.meetings`), and ``keypoints`` by individual and name: ``confident`` and ``open`` (shares of the
        frames in which the animal was seen and of all frames), ``gaps`` filled, ``longest_gap`` (seconds),
        ``jitter_before`` and ``jitter_after`` (pixels), ``spread`` (pixels). What cannot be told is None.
    """
    sure = tracks.confidence >= threshold
    present = tracks.seen.any(axis=2)
    per_keypoint = {
        individual: {
            name: _keypoint(tracks, sure[:, a, k], present[:, a], a, k) for k, name in enumerate(tracks.keypoints)
        }
        for a, individual in enumerate(tracks.individuals)
    }
    steps = np.diff(tracks.times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    return {
        "frames": len(tracks),
        "seconds": float(tracks.times[-1] - tracks.times[0]) + usual if len(tracks) else 0.0,
        "fps": _known(tracks.fps),
        "threshold": threshold,
        "confident": _share(sure[present]),
        "seen": {name: _share(present[:, a]) for a, name in enumerate(tracks.individuals)},
        "swaps": list(_swaps(tracks, skeleton)),
        "meetings": dict(zip(("met", "turned"), meetings(tracks, skeleton), strict=True)),
        "keypoints": per_keypoint,
    }


def _keypoint(tracks: Tracks, sure: np.ndarray, present: np.ndarray, a: int, k: int) -> dict[str, Any]:
    filled = tracks.changed[:, a, k] & FILLED > 0
    spread = tracks.spread[:, a, k]
    return {
        "confident": _share(sure[present]),
        "gaps": sum(1 for _ in runs(filled)),
        "open": _share(~tracks.known[:, a, k]),
        "longest_gap": max((_lasts(tracks.times, *run) for run in runs(~sure | filled)), default=0.0),
        "jitter_before": _jitter(tracks.raw[:, a, k]),
        "jitter_after": _jitter(tracks.points[:, a, k]),
        "spread": float(np.nanmedian(spread)) if np.isfinite(spread).any() else None,
    }


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if flags.size else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _jitter(points: np.ndarray) -> float | None:
    """Root mean square of the second difference of [T, 2]."""
    square = np.square(np.diff(points, 2, axis=0)).sum(axis=1)
    square = square[np.isfinite(square)]
    return float(np.sqrt(square.mean())) if square.size else None


def _lasts(times: np.ndarray, first: int, end: int) -> float:
    """Seconds from a frame to that before ``end``, and the one that it is shown for."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return float(times[end - 1] - times[first]) + usual


def _swaps(tracks: Tracks, skeleton: Skeleton) -> Iterator[dict[str, Any]]:
    swapped = tracks.changed & SWAPPED > 0
    for a, individual in enumerate(tracks.individuals):
        for limb in limbs_of(skeleton):
            for first, end in runs(swapped[:, a, list(limb.left)].any(axis=1)):
                yield {
                    "individual": individual,
                    "points": limb.name,
                    "from": float(tracks.times[first]),
                    "to": float(tracks.times[end - 1]),
                    "frames": end - first,
                }


def worst_moments(tracks: Tracks, skeleton: Skeleton, count: int = SHOWN, threshold: float = THRESHOLD) -> list[Moment]:
    """The moments to look at first, the worst one first; at least a second apart.

    Args:
        tracks: After repair and smoothing.
        skeleton: Their keypoints.
        count: At most so many.
        threshold: Confidence from which a point is confident.
    """
    present = tracks.seen.any(axis=2)
    unsure = (tracks.confidence < threshold) & tracks.seen
    off = np.hypot(*np.moveaxis(tracks.points - tracks.raw, -1, 0))
    swapped = tracks.changed & SWAPPED > 0
    far = ~swapped & (off > _FAR * _sizes(tracks)[:, :, None])
    total = len(tracks.keypoints)
    badness = np.where(present, (unsure.sum(axis=2) + far.sum(axis=2) + 0.5 * swapped.sum(axis=2)) / total, 0.0)
    moments: list[Moment] = []
    for place in np.argsort(-badness, axis=None, kind="stable").tolist():
        t, a = divmod(place, badness.shape[1])
        if len(moments) == count or badness[t, a] == 0:
            break
        if any(abs(tracks.times[t] - tracks.times[moment.frame]) < _APART for moment in moments):
            continue
        reasons = []
        if n := int(unsure[t, a].sum()):
            reasons.append(f"{counted(n, 'points')} of {total} uncertain")
        if n := int(far[t, a].sum()):
            reasons.append(f"{counted(n, 'points')} moved far")
        limbs = [limb.name for limb in limbs_of(skeleton) if swapped[t, a, list(limb.left)].any()]
        if limbs:
            reasons.append(f"left and right exchanged: {'; '.join(limbs)}")
        moments.append(Moment(t, a, ", ".join(reasons), float(badness[t, a])))
    return moments


def _sizes(tracks: Tracks) -> np.ndarray:
    """Root of the area of the box around each animal's points, [T, A]; NaN where there are none."""
    known = tracks.known[..., None]
    low = np.where(known, tracks.points, np.inf).min(axis=2)
    high = np.where(known, tracks.points, -np.inf).max(axis=2)
    return np.sqrt(np.where(np.isfinite(high - low).all(axis=-1), (high - low).prod(axis=-1), np.nan))


def thumbnail(
    picture: np.ndarray, tracks: Tracks, moment: Moment, skeleton: Skeleton, threshold: float = THRESHOLD
) -> np.ndarray:
    """The part of a frame around its animal: as the model said it, and beside it as written.

    Args:
        picture: RGB uint8 [H, W, 3], the moment's frame.
        tracks: After repair and smoothing.
        moment: Which.
        skeleton: Their keypoints.
        threshold: Points with less confidence are dimmed.

    Returns:
        RGB uint8.
    """
    t, a = moment.frame, moment.individual
    both = np.concatenate([tracks.raw[t, a], tracks.points[t, a]])
    both = both[np.isfinite(both).all(axis=1)]
    corner, extent = both.min(axis=0), np.ptp(both, axis=0)
    origin, factor = drawing.view(picture.shape, np.concatenate([corner, extent]), both, _PANEL)
    panels = []
    for points in (tracks.raw, tracks.points):
        panel = drawing.cut(picture, origin, factor, _PANEL)
        scores = np.nan_to_num(tracks.confidence[t, a])
        scale = 1.3 * drawing.stroke_scale(max(_PANEL))
        drawing.draw_pose(
            panel, (points[t, a] - origin) * factor, skeleton, scores=scores, threshold=threshold, scale=scale
        )
        panels.append(panel)
    return drawing.side_by_side(*panels)


def page(
    tracks: Tracks,
    skeleton: Skeleton,
    title: str,
    pictures: Mapping[int, np.ndarray] | None = None,
    about: Mapping[str, object] | None = None,
    threshold: float = THRESHOLD,
) -> str:
    """The quality page of one video: an HTML file that opens without a network.

    Args:
        tracks: After repair and smoothing.
        skeleton: Their keypoints.
        title: Its heading.
        pictures: Frames by number, RGB uint8 [H, W, 3], for the thumbnails of :func:`worst_moments`; a moment whose
            frame is not among them is told in words.
        about: Lines below the heading: what was done with what.
        threshold: Confidence from which a point is confident.

    Returns:
        The file's content.
    """
    found, pictures = numbers(tracks, skeleton, threshold), pictures or {}
    moments = []
    for moment in worst_moments(tracks, skeleton, threshold=threshold):
        caption = f"{tracks.times[moment.frame]:.2f} s (frame {moment.frame})"
        caption += f", {tracks.individuals[moment.individual]}" * (len(tracks.individuals) > 1) + f": {moment.why}"
        shown = ""
        if moment.frame in pictures:
            image = thumbnail(pictures[moment.frame], tracks, moment, skeleton, threshold)
            shown = html.photo(image, caption, max_side=max(image.shape))
        moments.append((shown, caption))
    return html.render(
        "quality.html",
        title=title,
        about=about or {},
        summary=_summary(tracks, found),
        swaps=[_swap_cells(swap) for swap in found["swaps"]],
        moments=moments,
        figures=[(name, html.plot(_confidence_figure(tracks, a))) for a, name in enumerate(tracks.individuals)],
        columns=_COLUMNS,
        keypoints=[
            (individual, [_cells(name, row) for name, row in rows.items()])
            for individual, rows in found["keypoints"].items()
        ],
        threshold=threshold,
        meaning=MEANING,
    )


_COLUMNS = (
    "keypoint", "confident", "gaps filled", "left open", "longest gap", "jitter before", "after", "spread",
)  # fmt: skip


def _summary(tracks: Tracks, found: dict[str, Any]) -> list[str]:
    rate = "" if found["fps"] is None else f", {found['fps']:.4g} frames a second"
    lines = [f"{counted(found['frames'], 'frames')}, {found['seconds']:.1f} s{rate}"]
    share = found["confident"]
    lines.append("No animal was seen." if share is None else f"Confident points: {share:.1%}")
    if share is not None:
        seen = [f"{name} in {value:.1%} of the frames" for name, value in found["seen"].items()]
        lines.append(f"Seen: {', '.join(seen)}")
    frames = sum(swap["frames"] for swap in found["swaps"])
    many = counted(len(found["swaps"]), "times")
    lines.append(f"Left and right put right: {many}, in {counted(frames, 'frames')}" if frames else _NO_SWAPS)
    if found["meetings"]["met"]:
        lines.append(f"{in_words(**found['meetings'])}. {_MEETINGS}")
    return lines


def _swap_cells(swap: dict[str, Any]) -> list[object]:
    return [swap["individual"], swap["points"], f"{swap['from']:.2f} to {swap['to']:.2f} s", swap["frames"]]


def _cells(name: str, row: dict[str, Any]) -> list[object]:
    share = row["confident"]
    confident: object = _percent(share)
    if share is not None and share < _POOR:
        confident = html.badge(confident, "error" if share < _BAD else "warning")
    pixels = ["-" if row[key] is None else f"{row[key]:.1f} px" for key in ("jitter_before", "jitter_after", "spread")]
    return [name, confident, row["gaps"], _percent(row["open"]), f"{row['longest_gap']:.2f} s", *pixels]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _confidence_figure(tracks: Tracks, a: int) -> Figure:
    """Confidence by keypoint and time; grey where the animal was not seen."""
    from matplotlib.figure import Figure

    count = min(_PIECES, len(tracks))
    pieces = np.minimum(np.arange(len(tracks)) * count // len(tracks), count - 1) if len(tracks) else np.zeros(0, int)
    confidence = tracks.confidence[:, a].astype(float)
    known = np.isfinite(confidence)
    sums = np.zeros((count, len(tracks.keypoints)))
    seen = np.zeros_like(sums)
    np.add.at(sums, pieces, np.where(known, confidence, 0))
    np.add.at(seen, pieces, known)
    means = np.where(seen > 0, sums / np.maximum(seen, 1), np.nan)
    figure = Figure(figsize=(10, 1.6 + 0.2 * len(tracks.keypoints)), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#dddddd")
    if count:
        edges = np.append(tracks.times[np.searchsorted(pieces, np.arange(count))], tracks.times[-1])
        if count == 1 or edges[-1] <= edges[-2]:
            edges[-1] = edges[-2] + (edges[-2] - edges[0]) / max(count - 1, 1) + (count == 1)
        rows = np.arange(len(tracks.keypoints) + 1) - 0.5
        drawn = axes.pcolormesh(edges, rows, means.T, vmin=0, vmax=1, cmap="viridis", rasterized=True)
        figure.colorbar(drawn, ax=axes, label="confidence", pad=0.01)
    axes.set_yticks(np.arange(len(tracks.keypoints)), [plain(name) for name in tracks.keypoints], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    for first, end in runs((tracks.changed[:, a] & SWAPPED > 0).any(axis=1)):
        axes.axvspan(tracks.times[first], tracks.times[end - 1], ymax=0.02, color=PALETTE[1], linewidth=2)
    return figure
