"""Predicts on pictures and writes what a labelling tool imports: the work behind ``tools/prelabel.py``."""

from __future__ import annotations

from equistera.dataset.animals import PictureAnimals, read_animals
from equistera.dataset.export import write_for_tool
from equistera.errors import UserError
from equistera.labelling.prelabelling import PrelabelJob
from equistera.labelling.prelabels import Prelabels
from equistera.mm.prediction.loaded import loaded
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import AnnotatedBoxes, BoxSource, predict_frames, refuse_other_pictures
from equistera.mm.prediction.visualize import UnreadableError
from equistera.progress import track
from equistera.words import counted


def prelabel(job: PrelabelJob) -> int:
    """Predicts and writes; returns exit code 0.

    Raises:
        UnreadableError: Some pictures could not be read; all others were written.
        UserError: Nothing can be written.
    """
    options, source = job.options, job.source
    predictor, confidence, detector = loaded(job, "left out")
    frames = source.frames()
    where: BoxSource | None = detector
    if options.ann_file:
        boxes = AnnotatedBoxes(_of_these(read_animals(options.ann_file, predictor.skeleton), job))
        frames, where = boxes.checked(frames), boxes
    elif where is None:
        print(WITHOUT_DETECTOR)
        where = SearchedBoxes(predictor, confidence.apply, options.batch_size)
    found = Prelabels(predictor.skeleton, confidence.threshold)
    failed = []
    # a search takes so long that each picture counts
    at_once = 1 if isinstance(where, SearchedBoxes) else options.batch_size
    seen = predict_frames(predictor, frames, where, confidence.is_sure, at_once)
    for one in track(seen, "predicting", len(source), source.unit):
        if one.frame.error:
            failed.append(f"{one.frame.name}: {one.frame.error}")
            continue
        said = [box.animal.category if box.animal else "" for box in one.boxes or ()]
        poses = [
            (pose.points, confidence.apply(pose.scores), pose.bbox, pose.bbox_score, job.word(word))
            for pose, word in zip(one.poses, said, strict=True)
        ]
        height, width = one.frame.image.shape[:2]
        found.add(one.frame.name, (width, height), poses)
    if not found.pictures:
        raise UnreadableError("none of the pictures could be used:", failed)
    written = write_for_tool(
        found.ordered(job.order), options.to, job.out, predictor.skeleton,
        url_prefix=job.url_prefix, model=job.model, categories=[job.word("")] * (not found.animals),
    )  # fmt: skip
    order = "the least sure first" if job.order is None else f"by {options.order}"
    print("\n".join([*(f"note       {note}" for note in job.notes), *found.said(), f"order      {order}", *written]))
    if failed:
        raise UnreadableError(f"{len(failed)} of {counted(len(source), source.unit)} could not be used:", failed)
    return 0


def _of_these(pictures: PictureAnimals, job: PrelabelJob) -> PictureAnimals:
    """The animals of --ann-file, once it is sure that it is of these pictures.

    Raises:
        UserError: It knows none of them, or others of the same names.
    """
    unknown = [name for name in job.source.names if pictures.find(name) is None]
    if len(unknown) == len(job.source):
        raise UserError(
            f"--ann-file knows none of {counted(len(job.source), 'pictures')}, such as {unknown[0]}",
            [f"it names {name}" for name in list(pictures.image_ids)[:3]],
        )
    if unknown:
        job.notes.append(f"--ann-file does not name {len(unknown)} of the pictures, such as {unknown[0]}")
    refuse_other_pictures(job.options.ann_file, pictures, job.source)
    return pictures
