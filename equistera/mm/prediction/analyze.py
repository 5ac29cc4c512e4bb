"""Videos to tables, one after the other: the work behind ``tools/analyze.py``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.analyzing import TOOL, AnalyzeJob, VideoTask
from equistera.drawing import draw_pose, viewing_scale
from equistera.errors import UserError
from equistera.files import write_text
from equistera.frames import Frame
from equistera.mm.prediction.follow import BEGIN, VideoPoses
from equistera.mm.prediction.loaded import loaded
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import FOUND_IN_VIDEO, WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import BoxSource
from equistera.outputs import record
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.tracks import files
from equistera.tracks.identity import collected
from equistera.tracks.quality import in_words, worst_moments
from equistera.tracks.quality import page as quality_page
from equistera.tracks.smooth import smooth
from equistera.tracks.swaps import meetings, repair_swaps
from equistera.tracks.tracks import FILLED, SWAPPED, Tracks
from equistera.video import VideoFrames
from equistera.words import counted


class UnfinishedError(UserError):
    """Videos that could not be analysed, or not to their end, every one of them named."""

    SHOWN = sys.maxsize


@dataclass(frozen=True)
class _Model:
    """What all videos of a call share; the search asks the predictor itself."""

    predictor: Predictor
    confidence: Confidence
    source: BoxSource
    glance: BoxSource | None
    begin: float


def analyze(job: AnalyzeJob) -> int:
    """Analyses the videos that are not finished.

    Args:
        job: What is to be done.

    Returns:
        Exit code 0.

    Raises:
        UnfinishedError: Some videos could not be read, or not to their end; all others are done.
        UserError: Nothing can be analysed.
    """
    if job.finished:
        print(f"{counted(len(job.finished), 'videos')} analysed before, with the same settings")
    for note in job.notes:
        print(note)
    problems = list(job.problems)
    model = _model(job) if job.tasks else None
    for number, task in enumerate(job.tasks, 1):
        where = f"[{number}/{len(job.tasks)}] " if len(job.tasks) > 1 else ""
        try:
            tracks, notes, broken = _tracks(job, model, task, where)
            problems += broken
            written = _write(job, model, task, tracks)
        except UserError as error:
            problems.append(_named(task.path, str(error).splitlines()[0]))
            continue
        summary = summary_of(tracks, model.predictor.skeleton)
        print(f"{where}{task.path.name}: {summary['text']}")
        for line in notes:
            print(f"  {line}")
        print(f"  {', '.join(str(path) for path in written)}")
        job.mark(task, {key: value for key, value in summary.items() if key != "text"} | {"problems": broken})
        record(TOOL, task.marker)
    if problems:
        raise UnfinishedError("not all of the videos could be analysed whole:", problems)
    return 0


def _model(job: AnalyzeJob) -> _Model:
    options = job.options
    predictor, confidence, detector = loaded(job)
    if detector is not None:
        begin = BEGIN if options.det_thr is None else options.det_thr
        return _Model(predictor, confidence, detector, detector.glance, begin)
    print(WITHOUT_DETECTOR)
    search = SearchedBoxes(predictor, confidence.apply, options.batch_size, FOUND_IN_VIDEO)
    return _Model(predictor, confidence, search, None, FOUND_IN_VIDEO)


def _tracks(job: AnalyzeJob, model: _Model, task: VideoTask, where: str) -> tuple[Tracks, list[str], list[str]]:
    """The cleaned tracks of a video, what is worth a line, and what is missing of it."""
    options, skeleton = job.options, model.predictor.skeleton
    video = VideoFrames(task.path, None)
    poses = VideoPoses(
        model.predictor, model.confidence, model.source, model.glance, options.animals, options.batch_size, model.begin
    )
    times: list[float] = []
    points: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    ids: list[list[int | None]] = []
    size: tuple[int, int] | None = None
    broken: list[str] = []
    frames = track(video.frames(), f"{where}{task.path.name}", len(video), "frames")
    for chunk in _chunks(frames, poses):
        here = (chunk[0].image.shape[1], chunk[0].image.shape[0])
        size = size or here
        if here != size:
            broken.append(
                f"{task.path}: from second {float(chunk[0].time):.1f} on its frames have {here[0]}x{here[1]} pixels "
                f"instead of {size[0]}x{size[1]}; what comes before is analysed"
            )
            break
        found, numbers = poses(chunk)
        times += [float(frame.time) for frame in chunk]
        shape = (-1, len(skeleton))
        points += [np.array([pose.points for pose in each]).reshape(*shape, 2) for each in found]
        scores += [np.array([pose.scores for pose in each]).reshape(shape) for each in found]
        ids += numbers
    broken += [_named(task.path, problem.removeprefix(f"{task.path.name}: ")) for problem in video.problems]
    doubtful = poses.doubtful
    ids = [
        [None if number in doubtful or poses.unseen(number, time) else number for number in numbers]
        for time, numbers in zip(times, ids, strict=True)
    ]
    raw, left_out = collected(skeleton, np.array(times), points, scores, ids, size=size, source=task.path.name)
    repaired = repair_swaps(raw, skeleton)
    cleaned = smooth(repaired, options.smooth, options.max_gap, model.confidence.threshold)
    notes = [f"left out: {counted(left_out, 'animals')} seen for a moment only"] if left_out else []
    if doubtful:
        notes.append(f"left out: {counted(len(doubtful), 'animals')} seen only once by the detector")
    return cleaned, notes, broken


def _named(path: Path, problem: str) -> str:
    """What is wrong with a video, with its name once."""
    return problem if str(path) in problem else f"{path}: {problem}"


def _chunks(frames: Iterator[Frame], poses: VideoPoses) -> Iterator[list[Frame]]:
    """Frames as many as are wanted next, all of one size."""
    chunk: list[Frame] = []
    for frame in frames:
        if chunk and frame.image.shape != chunk[0].image.shape:
            yield chunk
            chunk = []
        chunk.append(frame)
        if len(chunk) >= poses.wanted:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _write(job: AnalyzeJob, model: _Model, task: VideoTask, tracks: Tracks) -> list[str]:
    """Everything but the marker; returns what is worth telling of it."""
    skeleton, threshold = model.predictor.skeleton, model.confidence.threshold
    task.out.mkdir(parents=True, exist_ok=True)
    moments = {moment.frame for moment in worst_moments(tracks, skeleton, threshold=threshold)}
    pictures = _second_look(task, tracks, skeleton, threshold, moments, job.options.draw)
    about = {"model": str(job.checkpoint), "smoothing": job.options.smooth}
    page = quality_page(tracks, skeleton, f"Quality of {task.path.name}", pictures, about, threshold)
    write_text(task.page, page)
    record(TOOL, task.page)
    written = [task.page, *([task.drawing] if job.options.draw else [])]
    for name, paths in task.tables(job.options.format).items():
        files.write(tracks, paths[0], name)
        for path in paths:
            record(TOOL, path)
        written.append(paths[0])
    return [str(path) for path in written]


def _second_look(
    task: VideoTask, tracks: Tracks, skeleton: Skeleton, threshold: float, moments: set[int], draw: bool
) -> dict[int, np.ndarray]:
    """The frames of some moments; on the way the cleaned points are drawn, which are known only when all was seen."""
    if not draw:
        stills = VideoFrames(task.path, None).stills([float(tracks.times[moment]) for moment in moments])
        if all(still is not None for still in stills):
            return dict(zip(moments, stills, strict=True))
    else:
        task.drawing.unlink(missing_ok=True)
    pictures = {}
    video = VideoFrames(task.path, task.drawing if draw else None)
    last = len(tracks) - 1 if draw else max(moments)
    frames = itertools.takewhile(lambda frame: frame.number <= last, video.frames())
    try:
        for frame in track(frames, f"{'drawing' if draw else 'thumbnails of'} {task.path.name}", last + 1, "frames"):
            if frame.number in moments:
                pictures[frame.number] = frame.image.copy()
            if draw:
                for a in range(len(tracks.individuals)):
                    _draw_animal(frame.image, tracks, frame.number, a, skeleton, threshold)
                video.write(frame, frame.image)
        video.close()
    except BaseException:
        video.abandon()
        raise
    if draw:
        record(TOOL, task.drawing)
    return pictures


def _draw_animal(image: np.ndarray, tracks: Tracks, t: int, a: int, skeleton: Skeleton, threshold: float) -> None:
    points = tracks.points[t, a]
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return
    extent = float(np.ptp(points[known], axis=0).max()) if known.sum() > 1 else 1.0
    # what was filled or smoothed over is drawn like what was found: the point is where it is believed to be
    scores = np.where(known, np.maximum(np.nan_to_num(tracks.confidence[t, a]), threshold), 0.0)
    scale = viewing_scale(image, extent)
    shown = np.where(known[:, None], points, points[known].mean(axis=0))
    draw_pose(image, shown, skeleton, scores=scores, visible=np.where(known, 2, 0), threshold=threshold, scale=scale)


def summary_of(tracks: Tracks, skeleton: Skeleton) -> dict:
    """What is worth knowing of a video at once.

    Args:
        tracks: After repair and smoothing.
        skeleton: Their keypoints.

    Returns:
        ``frames``, ``seconds``, ``animals`` (share of frames in which each was seen, by name), ``points`` (share of the
        seen animals' points that are known in the end), ``swapped`` and ``filled`` (points), ``met`` and ``turned`` (of
        :func:`equistera.tracks.swaps.meetings`), and all of it as ``text``.
    """
    seen = np.isfinite(tracks.confidence).any(axis=2)
    shares = dict(zip(tracks.individuals, seen.mean(axis=0).round(4).tolist(), strict=True)) if seen.any() else {}
    known = np.isfinite(tracks.points).all(axis=-1)
    points = float(known[seen].mean()) if seen.any() else 0.0
    swapped, filled = (int(((tracks.changed & bit) > 0).sum()) for bit in (SWAPPED, FILLED))
    seconds = float(tracks.times[-1] - tracks.times[0]) if len(tracks) else 0.0
    text = f"{counted(len(tracks), 'frames')}, {seconds:.1f} s: "
    if not shares:
        text += "no animal was found (a lower --det-thr, or another --det, may find one)"
    else:
        each = ", ".join(f"{name} in {share:.0%}" for name, share in shares.items())
        text += f"{each} of the frames, {points:.0%} of their points known; {swapped} exchanged back, {filled} filled"
    met, turned = meetings(tracks, skeleton)
    if met:
        told = in_words(met, turned)
        text += f"; {told[0].lower()}{told[1:]}"
    return {
        "frames": len(tracks),
        "seconds": round(seconds, 3),
        "animals": shares,
        "points": round(points, 4),
        "swapped": swapped,
        "filled": filled,
        "met": met,
        "turned": turned,
        "text": text,
    }
