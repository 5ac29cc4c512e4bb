"""Predicts on pictures, a folder or a video, and draws: the work behind ``tools/visualize.py``."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from equistera.dataset.animals import PictureAnimals, read_animals
from equistera.dataset.coco import write_json
from equistera.dataset.images import SUFFIXES
from equistera.errors import UserError
from equistera.frames import PictureFiles, one_picture, picture_folder
from equistera.in_order import in_order
from equistera.mm import config as configs
from equistera.mm.prediction.confidence import Confidence
from equistera.mm.prediction.members import members
from equistera.mm.prediction.pose_drawing import are_results, draw_seen, results_of
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.stream import Seen, predict_frames
from equistera.mm.prediction.where import Annotated, Everywhere, Where, refuse_other_pictures
from equistera.outputs import check_json
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.video import VideoFrames
from equistera.video_writer import ENDINGS
from equistera.words import counted


@dataclass(frozen=True)
class VisualizeOptions:
    """What the user asked for; see ``tools/visualize.py --help``. ``model`` is as for :func:`~.members.members`."""

    model: list[str]
    img: str | None = None
    video: str | None = None
    img_dir: str | None = None
    out: str | None = None
    json: str | None = None
    ann_file: str | None = None
    det: str | None = None
    det_weights: str | None = None
    det_class: tuple[str, ...] | None = None
    det_thr: float | None = None
    skeleton: str | None = None
    conf: float | None = None
    overwrite: bool = False
    batch_size: int = 16
    flip_test: bool = False
    amp: bool | None = None
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)


class UnreadableError(UserError):
    """Pictures that could not be used, every one of them named."""

    SHOWN = sys.maxsize


def visualize(options: VisualizeOptions) -> int:
    """Predicts and draws.

    Args:
        options: What the user asked for.

    Returns:
        Exit code 0.

    Raises:
        UnreadableError: Some pictures could not be read or written; all others were.
        UserError: Nothing can be drawn.
    """
    _refuse_what_would_be_ignored(options)
    if options.batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, found {options.batch_size}")
    (config, checkpoint), *others = members(options.model)
    if others:
        raise UserError(f"one model draws, found {len(others) + 1}: {', '.join(options.model)}")
    source = _source(options)
    if options.json:
        read = [config, checkpoint, options.ann_file, options.det_weights, options.skeleton, *_files_of(source)]
        check_json("--json", options.json, "predictions of this tool", are_results, read, options.overwrite)
    predictor = Predictor(
        config,
        checkpoint,
        device=options.device,
        flip_test=options.flip_test,
        cfg_options=options.cfg_options,
        amp=options.amp,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    confidence = Confidence.of(checkpoint, options.flip_test, options.conf, predictor.settings)
    print(confidence.description)
    pictures = read_animals(options.ann_file, predictor.skeleton) if options.ann_file else None
    image_ids = _image_ids(pictures, source) if pictures else None
    if pictures:
        refuse_other_pictures(options.ann_file, pictures, source)
    where = _where(options, pictures)
    frames = where.checked(source.frames()) if isinstance(where, Annotated) else source.frames()
    stream = predict_frames(predictor, frames, where, confidence.is_sure, options.batch_size)
    work = _Finish(source, predictor.skeleton, confidence)
    results, failed, empty = [], [], 0
    finished = in_order(work, stream, source.writers, ahead=2 * source.writers)
    done = 0
    try:
        for seen, problem in track(finished, "drawing" if work.draws else "predicting", len(source), source.unit):
            done += not problem
            if problem:
                failed.append(f"{seen.frame.name}: {problem}")
            empty += not problem and not seen.poses
            if options.json:
                results += results_of(seen, confidence, image_ids)
        source.close()
    except BaseException:
        source.abandon()
        raise
    if options.json:
        write_json(options.json, results)
    _say(options, source, done, empty, len(results))
    if source.problems:
        raise UnreadableError("not all of the video could be read:", source.problems)
    if failed:
        raise UnreadableError(f"{len(failed)} of {len(source)} {source.unit} could not be used:", failed)
    return 0


def _refuse_what_would_be_ignored(options: VisualizeOptions) -> None:
    if options.det is None:
        given = {"--det-weights": options.det_weights, "--det-class": options.det_class, "--det-thr": options.det_thr}
        ignored = [name for name, value in given.items() if value is not None]
        if ignored:
            raise UserError(f"{' and '.join(ignored)} without --det: which detector is meant?")
    elif options.ann_file:
        raise UserError("--ann-file and --det both say where to look; give one of them")
    out = Path(options.out or "")
    if options.img_dir and out.suffix.lower() in (*SUFFIXES, *ENDINGS) and not out.is_dir():
        raise UserError(f"--out {out} names a file; the pictures of --img-dir are drawn into a folder")


def _files_of(source: PictureFiles | VideoFrames) -> list[Path | None]:
    """The pictures or the video, and what they are drawn into."""
    if isinstance(source, VideoFrames):
        return [source.path, source.out]
    return [*(source.folder / name for name in source.names), *(source.targets or {}).values()]


def _source(options: VisualizeOptions) -> PictureFiles | VideoFrames:
    if options.video:
        if options.ann_file:
            raise UserError("--ann-file names pictures; it says nothing of the frames of a --video")
        if not options.out and not options.json:
            raise UserError("--video needs --out, where to write the drawn video, or --json")
        return VideoFrames(options.video, options.out, options.overwrite)
    if options.img:
        if not options.out and not options.json:
            raise UserError("--img needs --out, where to write the drawing, or --json")
        return one_picture(options.img, options.out, options.overwrite)
    if not options.out and not options.json:
        raise UserError("--img-dir needs --out, where to write the drawings, or --json")
    return picture_folder(options.img_dir, options.out, options.overwrite)


def _where(options: VisualizeOptions, pictures: PictureAnimals | None) -> Where:
    if options.det is None:
        return Everywhere() if pictures is None else Annotated(pictures)
    # mmdet's part of the import takes a while that others need not wait for
    from equistera.mm.prediction.detect import Detected

    chosen = {"classes": options.det_class, "threshold": options.det_thr}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return Detected(options.det, options.det_weights, **chosen)


def _image_ids(pictures: PictureAnimals, source: PictureFiles) -> dict[str, object]:
    """The file's ids of the pictures that it knows; the others have no animals and so no results."""
    known = {name: pictures.find(name) for name in source.names}
    if not any(known.values()):
        raise UserError(
            f"--ann-file knows none of the {len(source)} pictures, such as {source.names[0]}",
            [f"it names {name}" for name in list(pictures.image_ids)[:3]],
        )
    claims = defaultdict(list)
    for name, found in known.items():
        claims[found].append(name)
    if shared := {found: names for found, names in claims.items() if found is not None and len(names) > 1}:
        raise UserError(
            "several pictures could be the same one of --ann-file, and only one of them can:",
            [f"{found}: {', '.join(names)}" for found, names in shared.items()],
            "Give their common folder as it was when the file was made, or one folder at a time.",
        )
    return {name: pictures.image_ids[found] for name, found in known.items() if found is not None}


class _Finish:
    """What is done with a picture after the prediction, in another thread than the model's.

    Args:
        source: Where drawings are written.
        skeleton: The keypoints.
        confidence: As for :func:`~.pose_drawing.draw_seen`.
    """

    def __init__(self, source: PictureFiles | VideoFrames, skeleton: Skeleton, confidence: Confidence):
        self.source, self.skeleton, self.confidence = source, skeleton, confidence
        self.draws = source.targets is not None

    def __call__(self, seen: Seen) -> tuple[Seen, str]:
        """The picture without its pixels, which are no longer needed, and what went wrong, if anything."""
        problem = seen.frame.error
        if self.draws and not problem:
            problem = self.source.write(seen.frame, draw_seen(seen, self.skeleton, self.confidence))
        return seen.without_pixels(), problem


def _say(options: VisualizeOptions, source: PictureFiles | VideoFrames, done: int, empty: int, results: int) -> None:
    if options.out and done:
        print(f"{counted(done, source.unit)} drawn: {options.out}")
        print("  orange: the animal's left, blue: its right, yellow: the middle")
    for note in source.notes:
        print(f"  {note}")
    if empty:
        what = " or ".join(options.det_class or ("horse",)) + " was found" if options.det else "box to look into"
        print(f"  no {what} on {empty} of them")
    if options.json:
        print(f"{results} poses as COCO keypoint results: {options.json}")
