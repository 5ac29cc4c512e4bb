"""What a job that looks at pictures needs: its pose model, what its confidences mean, its detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from equistera.analyzing import AnalyzeJob
from equistera.labelling.picking import PickJob
from equistera.labelling.prelabelling import PrelabelJob
from equistera.looking import Detector, scales_of
from equistera.mm import config as configs
from equistera.mm.network import checkpoint
from equistera.mm.network.checkpoint_record import other_animals
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Predictor
from equistera.visualizing import Job

if TYPE_CHECKING:
    from equistera.mm.prediction.detect import DetectorBoxes


def loaded(
    job: Job | AnalyzeJob | PickJob | PrelabelJob, unsure: str = "dimmed"
) -> tuple[Predictor, Confidence, DetectorBoxes | None]:
    """The model, its confidences (described on stdout) and the detector, if one was asked for.

    Args:
        job: What is to be done.
        unsure: What becomes of points that the model is unsure of, a word for people.

    Raises:
        UserError: One cannot be used.
    """
    options, detector = job.options, None
    if job.detector is not None:
        # mmdet's part of the import takes a while that others need not wait for
        from equistera.mm.prediction.detect import boxes_of

        detector = boxes_of(job.detector, options.det_class, options.det_thr, options.amp)
    predictor = Predictor(
        job.config,
        job.checkpoint,
        device=options.device,
        flip_test=options.flip_test,
        cfg_options=options.cfg_options,
        amp=options.amp,
        scales=scales_of(options.scales),
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    how = predictor.settings, unsure, predictor.scales
    in_graph = predictor.exported is not None and predictor.exported.calibrated
    confidence = Confidence.of(job.checkpoint, options.flip_test, options.conf, *how, in_graph=in_graph)
    print(confidence.description)
    if job.detector is not None:
        say_other_animals(job.detector, options.det_class, predictor)
    return predictor, confidence, detector


def say_other_animals(detector: Detector, classes: Sequence[str] | None, predictor: Predictor) -> None:
    """Says where a detector has learned to find other animals than those that the model has seen."""
    if detector.kind is None:
        said = checkpoint.load(detector.weights)["meta"]
    else:
        # those that somebody has asked for are meant
        said = {} if classes else {"animals": ["horse"]}
    if other := other_animals(said, predictor.animals, predictor.skeleton):
        print(f"note: the detector {detector.kind or detector.weights} may not fit this model: {other}")
