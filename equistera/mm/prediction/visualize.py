"""Predicts on pictures, a folder or a video, and draws: the work behind ``tools/visualize.py``."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

from equistera.dataset.animals import PictureAnimals, read_animals
from equistera.errors import UserError
from equistera.files import write_json
from equistera.frames import TOOL, Frame, PictureFiles
from equistera.in_order import in_order
from equistera.mm.prediction.loaded import loaded
from equistera.mm.prediction.pose_drawing import Confidence, draw_poses, results_of
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import (
    AnnotatedBoxes,
    Box,
    PosedFrame,
    predict_frames,
    refuse_other_pictures,
)
from equistera.outputs import record
from equistera.progress import track
from equistera.video import VideoFrames
from equistera.visualizing import Job, VisualizeOptions
from equistera.words import counted


class UnreadableError(UserError):
    """Pictures that could not be used, every one of them named."""

    SHOWN = sys.maxsize


def visualize(job: Job) -> int:
    """Predicts and draws; returns exit code 0.

    Raises:
        UnreadableError: Some pictures could not be read or written; all others were.
        UserError: Nothing can be drawn.
    """
    options, source = job.options, job.source
    predictor, confidence, detector = loaded(job)
    pictures = read_animals(options.ann_file, predictor.skeleton) if options.ann_file else None
    image_ids = None
    if pictures and isinstance(source, PictureFiles):
        image_ids = _image_ids(pictures, source)
        refuse_other_pictures(options.ann_file, pictures, source)
    where = detector or (AnnotatedBoxes(pictures) if pictures else _nobody_says(job, predictor, confidence))
    frames = where.checked(source.frames()) if isinstance(where, AnnotatedBoxes) else source.frames()
    # a search takes so long that each picture counts
    at_once = 1 if isinstance(where, _Searched) else options.batch_size
    stream = predict_frames(predictor, frames, where, confidence.is_sure, at_once)
    draws = source.targets is not None

    def draw(seen: PosedFrame) -> tuple[PosedFrame, str]:
        """In another thread than the model's; the picture without its pixels, and what went wrong, if anything."""
        problem = seen.frame.error
        if draws and not problem:
            problem = source.write(seen.frame, draw_poses(seen, predictor.skeleton, confidence))
        return seen.without_pixels(), problem

    results, failed, done, empty, whole = [], [], 0, 0, 0
    finished = in_order(draw, stream, source.writers, ahead=2 * source.writers)
    try:
        for seen, problem in track(finished, "drawing" if draws else "predicting", len(source), source.unit):
            done += not problem
            if problem:
                failed.append(f"{seen.frame.name}: {problem}")
            empty += not problem and not seen.poses
            whole += not problem and seen.boxes is None
            if options.json:
                results += results_of(seen, confidence, image_ids)
        source.close()
    except BaseException:
        source.abandon()
        raise
    if options.json:
        write_json(options.json, results)
        record(TOOL, options.json)
    _say(options, source, done, empty, whole, len(results))
    if source.problems:
        raise UnreadableError("not all of the video could be read:", source.problems)
    if failed:
        raise UnreadableError(f"{len(failed)} of {counted(len(source), source.unit)} could not be used:", failed)
    return 0


class _Searched(SearchedBoxes):
    """What the model finds by itself; where it finds nothing, nothing is known but the picture."""

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        return [boxes or None for boxes in super().__call__(frames)]


def _nobody_says(job: Job, predictor: Predictor, confidence: Confidence) -> _Searched | None:
    """Where to look without boxes."""
    if isinstance(job.source, VideoFrames):
        print("no --det: one animal is looked for in the whole of each frame; tools/analyze.py --draw follows animals")
        return None
    print(WITHOUT_DETECTOR)
    return _Searched(predictor, confidence.apply, job.options.batch_size)


def _image_ids(pictures: PictureAnimals, source: PictureFiles) -> dict[str, object]:
    """The file's ids of the pictures that it knows; the others have no animals and so no results."""
    known = {name: pictures.find(name) for name in source.names}
    if not any(known.values()):
        raise UserError(
            f"--ann-file knows none of {counted(len(source), 'pictures')}, such as {source.names[0]}",
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


def _say(
    options: VisualizeOptions, source: PictureFiles | VideoFrames, done: int, empty: int, whole: int, results: int
) -> None:
    if options.out and done:
        print(f"{counted(done, source.unit)} drawn: {options.out}")
        print("  orange: the animal's left, blue: its right, yellow: the middle")
    for note in source.notes:
        print(f"  {note}")
    if empty:
        what = " or ".join(options.det_class or ("horse",)) + " was found" if options.det else "box to look into"
        print(f"  no {what} on {empty} of them")
    if whole and isinstance(source, PictureFiles):
        print(f"  {counted(whole, 'pictures')} without an animal that the model is sure of: its best guess is shown")
    if options.json:
        print(f"{counted(results, 'poses')} as COCO keypoint results: {options.json}")
