"""Scores of found boxes, as MMEngine evaluates them during training."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS

from equistera import skeleton as skeletons
from equistera.dataset.box_labels import load_boxes
from equistera.evaluation.boxes import SCORES, box_scores
from equistera.mm.config import resolve_path
from equistera.skeleton import Skeleton


@METRICS.register_module()
class BoxMetric(BaseMetric):
    """AP and AR of boxes, and 1 - IoU of an animal and its best box as ``normalised_error``.

    Args:
        skeleton: Name or path; its category is what is found.
        ann_file: Annotation file, relative to ``data_root``; None: that of the data set that is evaluated.
        data_root: Folder of the data set, relative to the project.
        prefix: What the names of the metrics start with.
    """

    SCORES: ClassVar = tuple(SCORES)

    def __init__(
        self,
        skeleton: str,
        ann_file: str | None = None,
        data_root: str = ".",
        prefix: str = "val",
    ):
        super().__init__(collect_device="cpu", prefix=prefix)
        self.skeleton = skeletons.load(skeleton)
        self.ann_file = resolve_path(data_root) / ann_file if ann_file else None

    @functools.cached_property
    def ground_truth(self) -> dict:
        return load_boxes(self.ann_file or self.dataset_meta["ann_file"], self.skeleton)

    @staticmethod
    def result_of(sample: Mapping) -> dict:
        """The boxes found on the picture of a data sample: x, y, width, height, score each."""
        found = sample["pred_instances"]
        rows = [
            [x1, y1, x2 - x1, y2 - y1, score]
            for (x1, y1, x2, y2), score in zip(found["bboxes"].tolist(), found["bbox_scores"].tolist(), strict=True)
        ]
        return {"image_id": sample["img_id"], "boxes": rows}

    @staticmethod
    def score(coco: Mapping, results: Sequence[Mapping], skeleton: Skeleton) -> dict[str, float]:
        """Scores of results on the pictures that they are of; a picture with two animals has two equal ones."""
        return box_scores(coco, {result["image_id"]: result["boxes"] for result in results})

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        self.results += map(self.result_of, data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return self.score(self.ground_truth, results, self.skeleton)
