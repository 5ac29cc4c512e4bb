"""Predictions of one or several models for the annotated animals of a split, their average, and their calibrations.

Models with the same codec, crop and normalisation speak about the same bins or cells: their raw outputs are averaged
and decoded once, as with the mirrored picture of a flip test. Others are averaged keypoint by keypoint in pixels of
the picture, see :func:`fuse_points`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from equistera.dataset.box_labels import load_boxes
from equistera.dataset.images import read_rgb
from equistera.dataset.paths import picture_path
from equistera.dataset.ready import check_split, missing_files
from equistera.errors import WriteError
from equistera.evaluation.average_precision import instance_score
from equistera.evaluation.background import FEWEST_BOXES, boxes_beside, in_words, told_apart
from equistera.evaluation.calibration import Calibration, fit_on_results, store_calibration, stored_calibration
from equistera.evaluation.instances import CORRECT
from equistera.mm.data.loading import loader_settings
from equistera.mm.evaluation.keypoint_metric import to_result
from equistera.mm.prediction.predict import Predictor
from equistera.progress import track
from equistera.skeleton import Skeleton

#: Name of the ensemble in tables and files.
ENSEMBLE = "ensemble"


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
    too, under :data:`ENSEMBLE`.
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
    dataset: dict[str, object] = {
        "data_root": str(split.root),
        "ann_file": split.ann_file,
        "data_prefix": {"img": split.images},
    }
    if predictor.views:
        dataset["views"] = predictor.views
    settings = {**own, **loader_settings(own, seed=0), "dataset": {**own.dataset, **dataset}}
    # workers are forked, and one forked from a process with a pool of OpenCV's threads waits for them for ever
    cv2.setNumThreads(1)
    return Runner.build_dataloader(settings)


def by_input(predictors: Mapping[str, Predictor]) -> list[dict[str, Predictor]]:
    """Groups models that take the same crops and give outputs of the same meaning, in order of appearance."""
    groups = defaultdict(dict)
    for name, predictor in predictors.items():
        groups[predictor.outputs][name] = predictor
    return list(groups.values())


def mean_outputs(outputs: Sequence[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    """Mean over models of their raw outputs (:meth:`~.predict.Predictor.raw_outputs`), part by part."""
    return tuple(torch.stack(parts).mean(dim=0) for parts in zip(*outputs, strict=True))


def fuse_points(points: np.ndarray, confidence: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Averages the predictions of M models for one animal, keypoint by keypoint.

    Models that see a keypoint in different places must not meet in the middle, where nobody sees it. So every
    prediction collects the confidence of those within ``near`` pixels of it; around the one that collects most, the
    mean weighted by confidence is taken.

    Args:
        points: float [M, K, 2], pixels.
        confidence: float [M, K] in [0, 1], comparable between models (calibrated).
        near: Pixels.

    Returns:
        float64 [K, 2] and the confidence float64 [K]: that of the models that agree, summed, over M.
    """
    agree = np.linalg.norm(points[:, None] - points[None], axis=-1) <= near
    weight = np.maximum(confidence, 1e-9)
    surest = (agree * weight[None]).sum(axis=1).argmax(axis=0)
    chosen = weight * agree[surest, :, np.arange(points.shape[1])].T
    total = chosen.sum(axis=0)
    return (chosen[..., None] * points).sum(axis=0) / total[:, None], total / len(points)


def fuse_results(
    members: Sequence[list[dict]], calibrations: Sequence[Calibration | None], ground_truth: dict
) -> list[dict]:
    """Fuses the COCO keypoint results (with ``ann_id``) of several models for the same annotated boxes into one a box.

    Two predictions are near when they are within what counts as correct: 0.1 of the box's longer side. A model
    without a calibration is weighted by its raw confidence.
    """
    side = {annotation["id"]: max(annotation["bbox"][2:]) for annotation in ground_truth["annotations"]}
    found = [{result["ann_id"]: result for result in results} for results in members]
    fused = []
    for ann_id, first in found[0].items():
        values = np.array([results[ann_id]["keypoints"] for results in found]).reshape(len(found), -1, 3)
        confidence = np.stack(
            [(own or Calibration()).apply(raw) for own, raw in zip(calibrations, values[..., 2], strict=True)]
        )
        points, scores = fuse_points(values[..., :2], confidence, CORRECT * side[ann_id])
        flat = np.column_stack([points, scores]).ravel().tolist()
        fused.append({**first, "keypoints": flat, "score": instance_score(scores)})
    return fused


def calibrations_of(
    predictors: Mapping[str, Predictor],
    checkpoints: Mapping[str, Path],
    predicted: tuple[Split, Mapping[str, list[dict]]],
    flip_test: bool,
    ensemble: bool,
) -> dict[str, Calibration]:
    """Calibrations by the model's name; freshly fitted ones are stored beside their checkpoints.

    Where the split that was predicted on is val, every calibration is fitted anew on it. Else those stored for these
    very weights and settings are taken, and val is predicted on for the others (and for an ensemble, which has no
    file). A model without one (no validation set, or too few points in it) is absent.

    Args:
        predictors, checkpoints: Models and their weights' files by name.
        predicted: A split and the predictions on it, as :func:`predict_split` returned them.
        flip_test: Whether predictions are averaged with those on the mirrored picture.
        ensemble: Whether an ensemble's is wanted too.

    Raises:
        UserError: A stored calibration is broken, or the validation set is.
    """
    split, results = predicted
    found: dict[str, Calibration] = {}
    lead = next(iter(predictors.values()))
    if split.name != "val":
        for name, path in checkpoints.items():
            model = predictors[name]
            if calibration := stored_calibration(path, flip_test, model.settings, model.scales):
                found[name] = calibration
        missing = {name: model for name, model in predictors.items() if name not in found or ensemble}
        if not missing:
            return found
        ann_file, _ = files_of(lead.config, "val")
        if not (split.root / ann_file).is_file():
            print(f"confidences stay as they are: there is no {ann_file} to calibrate them on", file=sys.stderr)
            return found
        split = Split.of(lead.config, "val", lead.skeleton)
        results = predict_split(missing, split, ensemble)
    for name in [*checkpoints, *([ENSEMBLE] if ensemble else [])]:
        if name in found:
            continue
        own = results.get(name) or fuse_results(
            [results[name] for name in predictors], [found.get(name) for name in predictors], split.ground_truth
        )
        calibration, about = fit_on_results(split.ground_truth, own, lead.skeleton)
        if calibration is None:
            print(f"{name}: {split.ann_file} has too few labelled points to calibrate confidences on", file=sys.stderr)
            continue
        found[name] = calibration
        if name in checkpoints:
            about = {"ann_file": str(split.root / split.ann_file), **about}
            if background := _background(predictors[name], split, own, calibration):
                about["background"] = background
            _store(checkpoints[name], calibration, about, flip_test, predictors[name])
    return found


def _background(
    predictor: Predictor, split: Split, results: list[dict], calibration: Calibration
) -> dict[str, float] | None:
    """What :func:`told_apart` says of a model on a split; None where there is too little background."""
    where = boxes_beside(load_boxes(split.root / split.ann_file, predictor.skeleton))
    if sum(map(len, where.values())) < FEWEST_BOXES:
        return None
    folder, names = split.root / split.images, split.file_names
    crops = ((image, box) for i in where for image in [read_rgb(picture_path(folder, names[i]))] for box in where[i])
    sure = [calibration.apply(pose.scores).mean() for pose in predictor.poses(crops)]
    animals = [calibration.apply(np.array(result["keypoints"][2::3])).mean() for result in results]
    found = told_apart(np.array(animals), np.array(sure))
    print(in_words(found), file=sys.stderr)
    return found


def _store(checkpoint: Path, calibration: Calibration, about: dict, flip_test: bool, predictor: Predictor) -> None:
    try:
        path = store_calibration(checkpoint, calibration, flip_test, predictor.settings, predictor.scales, **about)
    except WriteError as error:
        # a checkpoint on a read-only disk can still be tested
        print(f"the calibration could not be stored beside {checkpoint.name}: {error.reason}", file=sys.stderr)
    else:
        print(f"calibration fitted on {Path(about['ann_file']).name}: {path}", file=sys.stderr)
