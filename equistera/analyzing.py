"""What ``tools/analyze.py`` is asked to do: which videos, with which model, into which files."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equistera.checkpoints import file_hash
from equistera.errors import UserError
from equistera.files import read_json, write_json
from equistera.looking import Detector, LookOptions
from equistera.named_models import members_there
from equistera.outputs import check_targets
from equistera.tracks import files
from equistera.tracks.smooth import METHODS
from equistera.video_writer import ENDINGS
from equistera.words import counted, near

TOOL = "analyze"
#: Endings of files in a folder that are taken for videos; a file that is named is tried whatever its ending.
VIDEOS = (*ENDINGS, ".mkv", ".m4v", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp")
DEFAULT_FORMATS = ("csv",)


@dataclass(frozen=True)
class AnalyzeOptions(LookOptions):
    """What the user asked for; see ``tools/analyze.py --help``. ``words`` are the model and the videos."""

    words: Sequence[str]
    out: str
    animals: int | None = None
    smooth: str = "kalman"
    max_gap: float = 0.25
    format: Sequence[str] = DEFAULT_FORMATS
    draw: bool = False


@dataclass(frozen=True)
class VideoTask:
    """One video and what becomes of it.

    Attributes:
        path: The video.
        name: Of its outputs: the file's without its ending.
        out: Folder of the outputs.
    """

    path: Path
    name: str
    out: Path

    @property
    def marker(self) -> Path:
        """Written last: its being there says that the video is finished, and with which settings."""
        return self.out / f"{self.name}.analysis.json"

    def tables(self, formats: Sequence[str]) -> dict[str, list[Path]]:
        """The files of each format; the first is the one to write."""
        return {name: files.files_of(self.out, self.name, name) for name in formats}

    @property
    def page(self) -> Path:
        """Of the quality page."""
        return self.out / f"{self.name}.quality.html"

    @property
    def drawing(self) -> Path:
        """Of the drawn video."""
        return self.out / f"{self.name}.drawn.mp4"

    def outputs(self, options: AnalyzeOptions) -> list[Path]:
        """All of them, the marker last."""
        tables = [path for paths in self.tables(options.format).values() for path in paths]
        return [*tables, self.page, *([self.drawing] if options.draw else []), self.marker]


@dataclass(frozen=True)
class AnalyzeJob:
    """What is to be done; make it with :func:`settled`.

    Attributes:
        options: What the user asked for.
        config: The model's.
        checkpoint: Its weights.
        detector: None without one.
        tasks: The videos that are not finished yet.
        finished: Those that an earlier call has finished with the same settings.
        settings: What the outputs follow from besides the video, for the markers.
        problems: Videos that cannot be done, or of which an earlier call has missed something; a line each.
        notes: What else is worth a line.
    """

    options: AnalyzeOptions
    config: str
    checkpoint: Path
    detector: Detector | None
    tasks: list[VideoTask]
    finished: list[VideoTask]
    settings: dict[str, Any]
    problems: list[str]
    notes: list[str]

    def mark(self, task: VideoTask, summary: dict[str, Any]) -> None:
        """Says that a video is finished; ``summary`` is kept for people."""
        content = {"video": _stamp(task.path), "settings": self.settings, "summary": summary}
        write_json(task.marker, content, indent=1)


def settled(options: AnalyzeOptions) -> AnalyzeJob:
    """What the options come to; nothing is written.

    Raises:
        UserError: Something that is read is missing, something else is where it would be written, or the options
            contradict each other.
    """
    options.refuse_impossible()
    if options.animals is not None and options.animals < 1:
        raise UserError(f"--animals must be at least 1, found {options.animals}")
    if options.smooth not in METHODS:
        raise UserError(f"--smooth {options.smooth}: expected one of {', '.join(METHODS)}")
    if not 0 <= options.max_gap < math.inf:
        raise UserError(f"--max-gap must be 0 s or more, and a number, found {options.max_gap:g}")
    model, videos = _model_and_videos(options.words)
    ((config, checkpoint),) = members_there(model, "CONFIG {path} VIDEO-OR-FOLDER ...", exported=True)
    detector = options.detector()
    out = Path(options.out)
    found, others = _videos(videos, out)
    tasks, problems = _with_own_names([VideoTask(path, path.stem, out / below) for path, below in found.items()])
    settings = _settings(options, config, checkpoint, detector)
    missed = {} if options.overwrite else {task: _missed_before(task, settings, options) for task in tasks}
    finished = {task: lines for task, lines in missed.items() if lines is not None}
    left = [task for task in tasks if task not in finished]
    problems += itertools.chain.from_iterable(finished.values())
    notes = [f"{counted(sum(others.values()), 'files')} of other kinds left out: {', '.join(others)}"] if others else []
    targets = [path for task in left for path in task.outputs(options)]
    read: list[str | Path | None] = [
        config,
        checkpoint,
        detector.weights if detector else None,
        *(task.path for task in tasks),
    ]
    check_targets("--out", targets, inputs=read, overwrite=options.overwrite, tool=TOOL)
    return AnalyzeJob(options, config, checkpoint, detector, left, [*finished], settings, problems, notes)


def _model_and_videos(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A config is followed by its weights; else the first word is a work dir or weights."""
    count = 2 if words and words[0].endswith(".py") else 1
    if len(words) <= count:
        missing = "which model?" if Path(words[0]).suffix.lower() in VIDEOS else "which video?"
        raise UserError(
            missing if len(words) == count else "which model, and which video?",
            hint="Expected: [CONFIG] WORK_DIR|CHECKPOINT VIDEO-OR-FOLDER ...",
        )
    return list(words[:count]), list(words[count:])


def _videos(words: Sequence[str], out: Path) -> tuple[dict[Path, Path], Counter[str]]:
    """Videos that are named, and those in folders that are named and below, each once.

    Returns:
        Of each its folder below the one that was named; how many files of which endings are no videos.
    """
    found: dict[Path, Path] = {}
    others: Counter[str] = Counter()
    for word in words:
        path = Path(word)
        if path.is_dir():
            files = [p for p in _below(path) if out.resolve() not in p.resolve().parents]
            videos = {p: p.parent.relative_to(path) for p in files if p.suffix.lower() in VIDEOS}
            if not videos:
                raise UserError(f"no video in {path}", hint=f"Looked for: {', '.join(VIDEOS)}")
            others.update(p.suffix.lower() or p.name for p in files if p not in videos)
            found = videos | found
        elif path.is_file():
            found[path] = Path()
        else:
            raise UserError(f"no such video or folder: {path}{near(path)}")
    return found, others


def _below(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _with_own_names(tasks: Sequence[VideoTask]) -> tuple[list[VideoTask], list[str]]:
    """The tasks whose outputs have names of their own, and what is said of the others."""
    first: dict[Path, VideoTask] = {}
    for task in tasks:
        first.setdefault(task.marker, task)
    return list(first.values()), [
        f"{task.path}: not analysed, its outputs would have the names of those of {first[task.marker].path}; "
        "give it another --out"
        for task in tasks
        if first[task.marker] is not task
    ]


def _settings(options: AnalyzeOptions, config: str, checkpoint: Path, detector: Detector | None) -> dict[str, Any]:
    said = {key: value for key, value in vars(options).items() if key not in ("words", "out", "overwrite", "device")}
    if options.scales is None:
        # as earlier versions said it, which had no such option
        said.pop("scales")
    return json.loads(
        json.dumps(
            {
                **said,
                "config": file_hash(Path(config)),
                "checkpoint": file_hash(checkpoint),
                "det_weights": detector and file_hash(detector.weights),
            }
        )
    )


def _stamp(path: Path) -> dict[str, Any]:
    """What shows that a video is the one that was analysed."""
    with path.open("rb") as file:
        start = hashlib.sha256(file.read(1 << 20)).hexdigest()[:16]
    return {"name": path.name, "bytes": path.stat().st_size, "start": start}


def _missed_before(task: VideoTask, settings: dict[str, Any], options: AnalyzeOptions) -> list[str] | None:
    """What an earlier call could not read of a video that it finished; None of one that is not finished."""
    if not task.marker.is_file():
        return None
    content = read_json(task.marker)
    if not isinstance(content, dict) or content.get("video") != _stamp(task.path):
        raise UserError(
            f"{task.marker} is of another video than {task.path}",
            hint="Choose another --out, or --overwrite to analyse this one in its place",
        )
    before = content.get("settings")
    if before != settings:
        keys = {*settings, *before} if isinstance(before, dict) else {*settings}
        other = sorted(key for key in keys if not isinstance(before, dict) or before.get(key) != settings.get(key))
        raise UserError(
            f"{task.marker} was written with other settings: {', '.join(other)}",
            hint="Choose another --out, or --overwrite to analyse all anew",
        )
    if not all(path.exists() for path in task.outputs(options)):
        return None
    summary = content.get("summary")
    missed = summary.get("problems") if isinstance(summary, dict) else None
    return [str(line) for line in missed] if isinstance(missed, list) else []
