"""What ``tools/visualize.py`` is asked for, and whether that can be done: refused before a network is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from equistera import inputs
from equistera.dataset.images import SUFFIXES
from equistera.errors import UserError
from equistera.frames import TOOL, PictureFiles, one_picture, picture_folder
from equistera.looking import Detector, LookOptions
from equistera.named_models import members
from equistera.outputs import check_targets
from equistera.video import VideoFrames
from equistera.video_writer import ENDINGS


@dataclass(frozen=True)
class VisualizeOptions(LookOptions):
    """What the user asked for; see ``tools/visualize.py --help``. ``model`` is what :func:`members` takes."""

    model: list[str]
    img: str | None = None
    video: str | None = None
    img_dir: str | None = None
    out: str | None = None
    json: str | None = None
    ann_file: str | None = None


@dataclass(frozen=True)
class Job:
    """What is to be done: with which model and detector, what is read and drawn into; see :func:`settled`."""

    options: VisualizeOptions
    config: str
    checkpoint: Path
    detector: Detector | None
    source: PictureFiles | VideoFrames


def settled(options: VisualizeOptions) -> Job:
    """What the options come to; nothing is written.

    Raises:
        UserError: Something that is read is missing, something else is where it would be written, or the options
            contradict each other.
    """
    _refuse_what_would_be_ignored(options)
    options.refuse_impossible()
    (config, checkpoint), *others = members(options.model, exported=True)
    if others:
        raise UserError(f"one model draws, found {len(others) + 1}: {', '.join(options.model)}")
    inputs.find_config(config)
    inputs.checkpoint(checkpoint)
    if options.ann_file is not None:
        inputs.file(options.ann_file)
    detector = options.detector()
    source = _source(options)
    if options.json:
        # the pictures or the video, and what they are drawn into
        if isinstance(source, VideoFrames):
            drawn = [source.path, source.out]
        else:
            drawn = [*(source.folder / name for name in source.names), *(source.targets or {}).values()]
        read: list[str | Path | None] = [
            config,
            checkpoint,
            options.ann_file,
            detector.weights if detector else None,
            options.skeleton,
            *drawn,
        ]
        check_targets("--json", [options.json], inputs=read, overwrite=options.overwrite, tool=TOOL)
    return Job(options, config, checkpoint, detector, source)


def _refuse_what_would_be_ignored(options: VisualizeOptions) -> None:
    if options.det is not None and options.ann_file:
        raise UserError("--ann-file and --det both say where to look; give one of them")
    out = Path(options.out or "")
    if options.img_dir and out.suffix.lower() in (*SUFFIXES, *ENDINGS) and not out.is_dir():
        raise UserError(f"--out {out} names a file; the pictures of --img-dir are drawn into a folder")


def _source(options: VisualizeOptions) -> PictureFiles | VideoFrames:
    if options.video and options.ann_file:
        raise UserError("--ann-file names pictures; it says nothing of the frames of a --video")
    name, what = ("--video", "the drawn video") if options.video else ("--img", "the drawing")
    name, what = (name, what) if options.video or options.img else ("--img-dir", "the drawings")
    if not options.out and not options.json:
        raise UserError(f"{name} needs --out, where to write {what}, or --json")
    if options.video:
        return VideoFrames(options.video, options.out, options.overwrite)
    if options.img:
        return one_picture(options.img, options.out, options.overwrite)
    return picture_folder(options.img_dir, options.out, options.overwrite)
