"""The model's part of picking pictures: where the animals are, and what is doubtful about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equistera.dataset.animals import read_animals
from equistera.dataset.images import read_rgb
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.labelling.doubt import Seen
from equistera.labelling.pick import Model
from equistera.labelling.picking import PickJob
from equistera.labelling.sources import Sampled
from equistera.mm import config as configs
from equistera.mm.labelling.views import Place, see
from equistera.mm.prediction.loaded import loaded
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.search import WITHOUT_DETECTOR, SearchedBoxes
from equistera.mm.prediction.stream import AnnotatedBoxes, BoxSource
from equistera.progress import track
from equistera.words import counted


def model_of(job: PickJob) -> Model:
    """Loads what picking asks of a model.

    Raises:
        UserError: A checkpoint or the detector cannot be used, or checkpoints have different keypoints.
    """
    predictor, confidence, detector = loaded(job)
    models = [(predictor, confidence), *(_further(job, predictor, *pair) for pair in job.models[1:])]
    where: BoxSource
    if job.options.boxes is not None:
        where = AnnotatedBoxes(read_animals(job.options.boxes, predictor.skeleton))
    elif detector is not None:
        where = detector
    else:
        print(WITHOUT_DETECTOR)
        where = SearchedBoxes(predictor, confidence.apply, job.options.batch_size)
    animals = _Animals(models, where, job.options.batch_size)
    about = ", ".join(str(path) for _, path in job.models)
    return Model(animals.see, animals.know, predictor.skeleton, confidence.threshold, about)


def _further(job: PickJob, first: Predictor, config: str, path: Path) -> tuple[Predictor, Confidence]:
    options = job.options
    skeleton = configs.skeleton_argument(options.skeleton)
    own = Predictor(config, path, options.device, cfg_options=options.cfg_options, amp=options.amp, skeleton=skeleton)
    if own.skeleton.names != first.skeleton.names:
        raise UserError(
            f"{path} predicts the {len(own.skeleton)} keypoints of {own.skeleton.name!r}, the first checkpoint the "
            f"{len(first.skeleton)} of {first.skeleton.name!r}",
            hint="Only checkpoints with the same keypoints in the same order can disagree.",
        )
    return own, Confidence.of(path, False, options.conf, own.settings)


class _Animals:
    """Finds animals and looks at each several times."""

    def __init__(self, models: Sequence[tuple[Predictor, Confidence]], where: BoxSource, batch_size: int):
        self.models, self.where, self.batch_size = models, where, batch_size

    def see(self, frames: Sequence[Sampled]) -> list[list[Seen]]:
        """The animals of each frame."""
        boxes = [found or [] for found in self.where([one.frame for one in frames])]
        places = [
            Place(one.frame.image, box.xywh, one.before and one.before.image, one.after and one.after.image)
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
