"""Videos and pictures that frames are picked from, and the frames of each that are looked at."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera.analyzing import VIDEOS
from equistera.dataset.images import LISTED
from equistera.dataset.paths import is_hidden
from equistera.dataset.split import picture_groups
from equistera.errors import UserError
from equistera.frames import Frame, PictureFiles
from equistera.video import VideoFrames
from equistera.words import counted, near

#: Share of the time between two frames by which one may come before its turn: times are rounded.
_EARLY = 0.01


@dataclass(frozen=True)
class Source:
    """A video, or one picture.

    Attributes:
        path: The file.
        name: Its path below the folder that was named, with ``/``.
        group: Which others it shares its limit with.
        video: Whether it is one.
    """

    path: Path
    name: str
    group: str
    video: bool


@dataclass(frozen=True)
class Sampled:
    """A frame that is looked at, and the frames of the video right before and behind it, where there are any."""

    frame: Frame
    before: Frame | None = None
    after: Frame | None = None


def find_sources(
    words: Sequence[str],
    out: Path,
    group_by: str | None = None,
    without: Path | None = None,
    ignored: Path | None = None,
) -> tuple[list[Source], list[str]]:
    """The videos and pictures that are named or lie in a folder that is named, or below it, each once.

    Args:
        words: Files and folders.
        out: A folder in which is not looked.
        group_by: As :func:`equistera.dataset.split.picture_groups`, but ``none`` makes one group of all; by default
            each video is a group, and the pictures of each folder.
        without: Another folder in which is not looked.
        ignored: A file in a folder that is no source, and not worth a line.

    Returns:
        The sources, and what is worth a line.

    Raises:
        UserError: A word names nothing, a folder has neither videos nor pictures, or ``group_by`` finds no group.
    """
    found: dict[Path, tuple[str, bool]] = {}
    others: Counter[str] = Counter()
    away = {out.resolve(), *([] if without is None else [without.resolve()])}
    for word in words:
        path = Path(word)
        if path.is_dir():
            files = [p for p in _below(path) if p != ignored and not away.intersection(p.resolve().parents)]
            known = {p: p.suffix.lower() in VIDEOS for p in files if p.suffix.lower() in (*VIDEOS, *LISTED)}
            if not known:
                raise UserError(
                    f"neither videos nor pictures in {path}", hint=f"It holds {counted(len(files), 'files')}"
                )
            others.update(p.suffix.lower() or p.name for p in files if p not in known)
            found |= {p: (p.relative_to(path).as_posix(), video) for p, video in known.items() if p not in found}
        elif path.is_file():
            found.setdefault(path, (path.name, path.suffix.lower() not in LISTED))
        else:
            raise UserError(f"no such video, picture or folder: {path}{near(path)}")
    groups = _groups(found, group_by)
    sources = [Source(path, name, groups[path], video) for path, (name, video) in found.items()]
    notes = [f"{counted(sum(others.values()), 'files')} of other kinds left out: {', '.join(others)}"] if others else []
    return sources, notes


def _below(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not is_hidden(path.relative_to(folder)))


def _groups(found: dict[Path, tuple[str, bool]], group_by: str | None) -> dict[Path, str]:
    if group_by is None:
        return {path: path.as_posix() if video else path.parent.as_posix() for path, (_, video) in found.items()}
    if group_by == "none":
        return dict.fromkeys(found, "")
    named = picture_groups(
        [path.as_posix() if group_by == "folder" else name for path, (name, _) in found.items()], group_by
    )
    return {path: named[path.as_posix() if group_by == "folder" else name] for path, (name, _) in found.items()}


def sampled(frames: Iterable[Frame], every: float) -> Iterator[Sampled]:
    """Frames of a video that are at least so many seconds apart, each with those right before and behind it."""
    before: Frame | None = None
    waiting: Sampled | None = None
    last = -float("inf")
    step = 0.0
    for frame in frames:
        time = float(frame.time or 0)
        if before is not None:
            step = time - float(before.time or 0)
        if waiting is not None:
            yield Sampled(waiting.frame, waiting.before, _alike(frame, waiting.frame))
            waiting = None
        if time - last >= every - _EARLY * step:
            waiting = Sampled(frame, _alike(before, frame))
            last = time
        before = frame
    if waiting is not None:
        yield waiting


def _alike(beside: Frame | None, frame: Frame) -> Frame | None:
    """A neighbour, if it has the same size."""
    if beside is None or beside.image is None or frame.image is None:
        return None
    return beside if beside.image.shape == frame.image.shape else None


@dataclass
class Reading:
    """All frames of a video, or all pictures, that are looked at, and what went wrong with them.

    Attributes:
        title: For progress.
        total: About how many.
        problems: A line each; complete at the end.
    """

    title: str
    total: int
    problems: list[str]
    items: Iterator[tuple[Source, Sampled]]


def readings(sources: Sequence[Source], every: float) -> Iterator[Reading]:
    """The videos one after the other, then all pictures; one that cannot be read is told in ``problems``.

    Args:
        sources: From :func:`find_sources`.
        every: Seconds between two frames of a video.
    """
    videos = [source for source in sources if source.video]
    for number, source in enumerate(videos, 1):
        where = f"[{number}/{len(videos)}] " if len(videos) > 1 else ""
        problems: list[str] = []
        try:
            video = VideoFrames(source.path, None)
        except UserError as error:
            yield Reading(source.name, 0, [_named(source.path, error.summary)], iter(()))
            continue
        step = max(every, 1 / float(video.rate))
        total = min(len(video), int(len(video) / float(video.rate) / step) + 1)
        yield Reading(f"{where}{source.name}", total, problems, _of_video(source, video, every, problems))
    pictures = [source for source in sources if not source.video]
    if pictures:
        lines: list[str] = []
        yield Reading("pictures", len(pictures), lines, _of_pictures(pictures, lines))


def _of_video(
    source: Source, video: VideoFrames, every: float, problems: list[str]
) -> Iterator[tuple[Source, Sampled]]:
    try:
        for one in sampled(video.frames(), every):
            yield source, one
    except UserError as error:
        problems.append(_named(source.path, error.summary))
    problems += [_named(source.path, problem.removeprefix(f"{source.path.name}: ")) for problem in video.problems]


def _of_pictures(sources: Sequence[Source], problems: list[str]) -> Iterator[tuple[Source, Sampled]]:
    # folder by folder, as they lie: names are relative to it
    for folder, own in itertools.groupby(sources, key=lambda source: source.path.parent):
        here = list(own)
        files = PictureFiles(folder, [source.path.name for source in here], None)
        for source, frame in zip(here, files.frames(), strict=True):
            if frame.image is None:
                problems.append(f"{source.path}: {frame.error}")
            else:
                yield source, Sampled(frame)


def _named(path: Path, problem: str) -> str:
    """What is wrong with a file, with its name once."""
    return problem if str(path) in problem else f"{path}: {problem}"
