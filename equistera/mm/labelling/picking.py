"""The model's part of picking pictures: where the animals are, and what is doubtful about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equistera.dataset.animals import read_animals
from equistera.dataset.images import read_rgb
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.frames import Frame
from equistera.labelling.doubt import Seen
from equistera.labelling.pick import Model
from equistera.labelling.picking import PickJob
from equistera.labelling.sources import Sampled
from equistera.looking import LookOptions
from equistera.mm import config as configs
from equistera.mm.labelling.views import Place, see
from equistera.mm.prediction.follow import BEGIN, NEW, SEARCH_EVERY
from equistera.mm.prediction.loaded import loaded
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import AnnotatedBoxes, Box, BoxSource, box_of
from equistera.progress import track
from equistera.words import counted


def model_of(job: PickJob) -> Model:
    """Loads what picking asks of a model.

    Raises:
        UserError: A checkpoint or the detector cannot be used, or checkpoints have different keypoints.
    """
    predictor, confidence, detector = loaded(job)
    models = [(predictor, confidence), *(further(job.options, predictor, *pair) for pair in job.models[1:])]
    where: BoxSource
    if job.options.boxes is not None:
        where = AnnotatedBoxes(read_animals(job.options.boxes, predictor.skeleton))
    elif detector is not None:
        where = detector
    else:
        print(WITHOUT_DETECTOR)
        where = KeptBoxes(predictor, confidence, SearchedBoxes(predictor, confidence.apply, job.options.batch_size))
    begin = 0.0 if detector is None else BEGIN if job.options.det_thr is None else job.options.det_thr
    animals = Animals(models, where, job.options.batch_size, begin)
    about = ", ".join(str(path) for _, path in job.models)
    return Model(animals.see, animals.know, predictor.skeleton, confidence.threshold, about)


def further(options: LookOptions, first: Predictor, config: str, path: Path) -> tuple[Predictor, Confidence]:
    """Another checkpoint beside the first one.

    Raises:
        UserError: It cannot be used, or has other keypoints.
    """
    skeleton = configs.skeleton_argument(options.skeleton)
    own = Predictor(config, path, options.device, cfg_options=options.cfg_options, amp=options.amp, skeleton=skeleton)
    if own.skeleton.names != first.skeleton.names:
        raise UserError(
            f"{path} predicts the {len(own.skeleton)} keypoints of {own.skeleton.name!r}, the first checkpoint the "
            f"{len(first.skeleton)} of {first.skeleton.name!r}",
            hint="Only checkpoints with the same keypoints in the same order can disagree.",
        )
    return own, Confidence.of(path, False, options.conf, own.settings)


class KeptBoxes:
    """Looks for animals in a frame of a video where they were in the one before; only if they are gone, or from time to
    time, everywhere; a :data:`equistera.mm.prediction.stream.BoxSource`.

    Args:
        predictor: The model.
        confidence: What its confidences mean.
        everywhere: Finds animals on single frames, slowly.
    """

    def __init__(self, predictor: Predictor, confidence: Confidence, everywhere: BoxSource):
        self.predictor, self.confidence, self.everywhere = predictor, confidence, everywhere
        self._last: list[Box] = []
        self._frame: Frame | None = None
        self._searched = 0.0

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> list[Box]:
        boxes = self._kept(frame) if self._goes_on(frame) else []
        if not boxes or len(boxes) < len(self._last):
            boxes = self.everywhere([frame])[0] or []
            self._searched = float(frame.time or 0)
        self._last, self._frame = boxes, frame
        return boxes

    def _goes_on(self, frame: Frame) -> bool:
        """Whether a frame is a later one of the video that the last one was of, and it need not be searched again."""
        last = self._frame
        if last is None or last.time is None or frame.time is None or frame.time <= last.time:
            return False
        alike = last.image is not None and frame.image is not None and last.image.shape == frame.image.shape
        return alike and float(frame.time) - self._searched < SEARCH_EVERY

    def _kept(self, frame: Frame) -> list[Box]:
        crops = [(frame.image, box.xywh) for box in self._last if frame.image is not None]
        boxes = []
        for pose in self.predictor.poses(crops):
            scores = self.confidence.apply(pose.scores)
            around = box_of(pose.points[scores >= self.confidence.threshold], frame.image.shape[1::-1])
            if around is not None and scores.mean() >= NEW:
                boxes.append(Box(around, float(scores.mean())))
        return boxes


class Animals:
    """Finds animals and looks at each several times; in videos such as are at least as sure as ``begin``."""

    def __init__(self, models: Sequence[tuple[Predictor, Confidence]], where: BoxSource, batch_size: int, begin: float):
        self.models, self.where, self.batch_size, self.begin = models, where, batch_size, begin

    def see(self, frames: Sequence[Sampled]) -> list[list[Seen]]:
        """The animals of each frame."""
        found = zip(frames, self.where([one.frame for one in frames]), strict=True)
        boxes = [[b for b in own or () if one.frame.time is None or b.score >= self.begin] for one, own in found]
        places = [
            Place(one.frame.image, box.xywh, one.before and one.before.image, one.after and one.after.image, box.score)
            for one, own in zip(frames, boxes, strict=True)
            for box in own
        ]
        seen = iter(see(self.models, places, self.batch_size))
        return [[next(seen) for _ in own] for own in boxes]

    def know(self, file: Path, folder: Path) -> list[Seen]:
        """The animals of labelled pictures."""
        pictures = read_animals(str(file), self.models[0][0].skeleton)
        found: list[Seen] = []
        for name, animals in track(pictures.animals.items(), f"known from {file.name}"):
            image = read_rgb(picture_path(folder, name))
            found += see(self.models, [Place(image, animal.bbox) for animal in animals], self.batch_size)
        if not found:
            raise UserError(f"{file} has no animal: {counted(len(pictures.image_ids), 'pictures')} without a box")
        return found
