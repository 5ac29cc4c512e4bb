"""Our metrics as MMEngine evaluates them during training."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from equistera import skeleton as skeletons
from equistera.dataset.coco import load_annotations
from equistera.evaluation.average_precision import instance_score
from equistera.evaluation.constant_guess import mean_pose
from equistera.evaluation.instances import PCK
from equistera.evaluation.keypoint_metrics import PCK_THRESHOLDS, pck_name
from equistera.evaluation.metrics import Options, Scored, evaluate
from equistera.mm.config import resolve_path
from equistera.skeleton import Skeleton


def to_result(data_sample: dict) -> dict:
    """One COCO keypoint result from a data sample that the model has predicted on."""
    predicted = data_sample["pred_instances"]
    points = np.asarray(predicted["keypoints"], dtype=np.float64)[0, :, :2]
    scores = np.asarray(predicted["keypoint_scores"], dtype=np.float64)[0]
    box_score = float(np.asarray(predicted["bbox_scores"]).reshape(-1)[0])
    return {
        "image_id": data_sample["img_id"],
        "ann_id": data_sample["id"],
        "category_id": 1,
        "keypoints": np.column_stack([points, scores]).ravel().tolist(),
        "score": instance_score(scores, box_score),
    }


#: Of these higher is better, so a run can be watched and its best weights chosen by them; of errors lower is.
SCORES = ("AP", "AP50", "AP75", "AR", *map(pck_name, PCK_THRESHOLDS))
ERRORS = ("median_px", "p90_px", "normalised_error", "swap_rate")
#: What is logged of :class:`equistera.evaluation.metrics.Scored`, beside PCK@0.1 of every keypoint.
LOGGED = (*SCORES, *ERRORS)
#: Prefix of the constant guess's figures, and what they are.
GUESS, GUESSED = "constant_guess_", ("AP", PCK, "median_px")


@METRICS.register_module()
class KeypointMetric(BaseMetric):
    """OKS AP with the skeleton's sigmas, PCK, errors and swaps; see ``equistera.evaluation``.

    The figures of a constant guess, the training set's mean pose in the box, are logged beside the model's; a model
    that is not better gets a warning in the log.

    Args:
        skeleton: Name or path.
        ann_file: Annotation file, relative to ``data_root``; None: that of the data set that is evaluated.
        data_root: Folder of the data set, relative to the project.
        train_ann_file: Annotations of the training set, relative to ``data_root``, for the constant guess; None, or a
            file that is not there, leaves it out. A run takes its own training set's.
        per_keypoint: Whether PCK@0.1 of every keypoint is logged as well.
        prefix: What the names of the metrics start with.
    """

    SCORES: ClassVar = SCORES
    result_of = staticmethod(to_result)

    def __init__(
        self,
        skeleton: str,
        ann_file: str | None = None,
        data_root: str = ".",
        train_ann_file: str | None = None,
        per_keypoint: bool = True,
        prefix: str = "val",
    ):
        super().__init__(collect_device="cpu", prefix=prefix)
        self.skeleton = skeletons.load(skeleton)
        root = resolve_path(data_root)
        self.ann_file = root / ann_file if ann_file else None
        self.per_keypoint = per_keypoint
        train_file = root / train_ann_file if train_ann_file else None
        self.mean_pose = (
            mean_pose(load_annotations(train_file, self.skeleton), self.skeleton)
            if train_file is not None and train_file.is_file()
            else None
        )
        self._guess: Scored | None = None

    @functools.cached_property
    def ground_truth(self) -> dict:
        """The annotations that predictions are compared with, for an evaluation after the first as well."""
        return load_annotations(self.ann_file or self.dataset_meta["ann_file"], self.skeleton)

    @staticmethod
    def score(coco: Mapping, results: Sequence[dict], skeleton: Skeleton) -> dict[str, float]:
        """What :data:`LOGGED` names of the animals that there are results of, as far as it has a value."""
        ids = {result["ann_id"] for result in results}
        annotations = [annotation for annotation in coco["annotations"] if annotation["id"] in ids]
        pictures = {annotation["image_id"] for annotation in annotations}
        images = [image for image in coco["images"] if image["id"] in pictures]
        metrics = evaluate({**coco, "images": images, "annotations": annotations}, list(results), skeleton)
        return {name: float(metrics[name]) for name in LOGGED if metrics[name] is not None}

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        self.results += [to_result(sample) for sample in data_samples]

    def compute_metrics(self, results: list) -> dict[str, float]:
        # with several processes the loader may hand out a sample twice to make their shares equal
        unique = list({result["ann_id"]: result for result in results}.values())
        options = Options(mean_pose=self.mean_pose, guess=self._guess)
        scored = Scored.of(self.ground_truth, unique, self.skeleton, options)
        # the guess is the same at every evaluation
        self._guess, metrics = scored.guess, scored.metrics
        logged = {name: metrics[name] for name in LOGGED}
        if self.per_keypoint:
            logged |= {f"{PCK}/{name}": row[PCK] for name, row in metrics["per_keypoint"].items()}
        guess = metrics.get("constant_guess")
        if guess:
            logged |= {f"{GUESS}{name}": guess[name] for name in GUESSED}
            if guess["outcome"] != "better":
                MMLogger.get_current_instance().warning(guess["verdict"])
        # a keypoint that is not labelled in these pictures has no score
        return {name: float(value) for name, value in logged.items() if value is not None}
