"""Predictions of one or several models for the annotated animals of a split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
from mmengine.config import Config
from mmengine.runner import Runner

from equistera.dataset.ready import check_split, missing_files
from equistera.mm.data.loading import loader_settings
from equistera.mm.prediction.ensemble import ENSEMBLE, by_input, mean_outputs
from equistera.mm.prediction.predict import Predictor
from equistera.mm.run.metric import to_result
from equistera.progress import track
from equistera.skeleton import Skeleton

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Annotated pictures to predict on; make it with :meth:`of`.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        root: Folder of the data set.
        ann_file: Annotation file, relative to ``root``.
        images: Folder of the pictures, relative to ``root``.
        ground_truth: Content of the annotation file.
    """

    name: str
    root: Path
    ann_file: str
    images: str
    ground_truth: dict

    @property
    def file_names(self) -> dict:
        """Of every picture, by its id."""
        return {image["id"]: image["file_name"] for image in self.ground_truth["images"]}

    @classmethod
    def of(cls, config: Config, name: str, skeleton: Skeleton) -> Split:
        """A split where a config expects it; ``test`` lies beside ``val``.

        Raises:
            UserError: Annotations or pictures are missing or broken.
        """
        ann_file, images = files_of(config, name)
        root = Path(config.data_root)
        missing_files(root, [ann_file])
        return cls(name, root, ann_file, images, check_split(root / ann_file, root / images, skeleton))


def files_of(config: Config, split: str) -> tuple[str, str]:
    """Annotation file and folder of pictures of a split, relative to the data root."""
    if split == "test" and "test_dataloader" not in config:
        # a run of an earlier version
        return "annotations/test.json", "images/test"
    dataset = config[f"{split}_dataloader"].dataset
    return dataset.ann_file, dataset.data_prefix.img


def predict_split(predictors: Mapping[str, Predictor], split: Split, ensemble: bool = False) -> dict[str, list[dict]]:
    """Predicts in every annotated box of a split: COCO keypoint results by the model's name.

    Models with the same input share the reading of the pictures. Where all have the same one, an ensemble is averaged
    too, under :data:`~.ensemble.ENSEMBLE`.
    """
    groups = by_input(predictors)
    averaged = ensemble and len(groups) == 1
    results = {name: [] for name in predictors} | ({ENSEMBLE: []} if averaged else {})
    for group in groups:
        lead = next(iter(group.values()))
        what = f"predicting on {split.name}" + (f", {', '.join(group)}" if len(predictors) > 1 else "")
        for batch in track(_loader(lead, split), what, unit="batches"):
            outputs = []
            for name, predictor in group.items():
                samples, raw = predictor.raw_outputs(batch)
                results[name] += map(to_result, predictor.decode(samples, raw))
                outputs.append(raw)
            if averaged:
                results[ENSEMBLE] += map(to_result, lead.decode(samples, mean_outputs(outputs)))
    return results


def _loader(predictor: Predictor, split: Split):
    own = predictor.config.val_dataloader
    dataset = {"data_root": str(split.root), "ann_file": split.ann_file, "data_prefix": {"img": split.images}}
    settings = {**own, **loader_settings(own, seed=0), "dataset": {**own.dataset, **dataset}}
    # workers are forked, and one forked from a process with a pool of OpenCV's threads waits for them for ever
    cv2.setNumThreads(1)
    return Runner.build_dataloader(settings)
