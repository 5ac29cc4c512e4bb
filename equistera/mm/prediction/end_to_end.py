"""Scores where nobody says where the animals are: boxes are found, poses are predicted in them (``test.py --det``)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from equistera.dataset.box_labels import load_boxes
from equistera.errors import UserError
from equistera.evaluation.average_precision import coco_ap, instance_score
from equistera.evaluation.boxes import box_scores, matched
from equistera.evaluation.instances import PCK
from equistera.evaluation.metrics import evaluate
from equistera.frames import Frame, PictureFiles
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.mm.prediction.split_predictions import Split
from equistera.mm.prediction.stream import Box, BoxSource, predict_frames
from equistera.progress import track
from equistera.words import counted


def end_to_end(
    predictors: dict[str, Predictor], split: Split, where: BoxSource, given: Mapping[str, Sequence[dict]]
) -> dict[str, dict]:
    """Scores models on whole pictures, beside their results in the annotated boxes.

    An animal is found where a box overlaps its own by half (IoU); a box that is no animal's is invented.

    Args:
        predictors: Models by name.
        split: Annotated pictures.
        where: The detector.
        given: Of each model the results in annotated boxes.

    Returns:
        By name: ``animals``, ``found``, ``missed``, ``invented`` (counts), ``box_AP``, ``AP`` and ``AP_given_boxes``
        over all animals, ``PCK@0.1`` and ``PCK@0.1_given_boxes`` over those that were found (None if none was), and
        ``pictures``: of each in which something was missed or invented how many.

    Raises:
        UserError: A picture cannot be read.
    """
    known: dict[str, list[Box] | None] = {}

    def looked_once(frames: Sequence[Frame]) -> list[list[Box] | None]:
        """All models look into the same boxes."""
        new = [frame for frame in frames if frame.name not in known]
        known.update(zip((frame.name for frame in new), where(new), strict=True))
        return [known[frame.name] for frame in frames]

    return {name: _scores(name, predictor, split, looked_once, given[name]) for name, predictor in predictors.items()}


def _scores(name: str, predictor: Predictor, split: Split, where: BoxSource, given: Sequence[dict]) -> dict:
    skeleton, truth = predictor.skeleton, split.ground_truth
    ids = {file_name: image for image, file_name in split.file_names.items()}
    poses: dict[int, list[Pose]] = defaultdict(list)
    frames = PictureFiles(split.root / split.images, list(ids), None).frames()
    # a detector says of each picture where to look, if only nowhere, so nothing is left to be sure of
    looked = predict_frames(predictor, frames, where, lambda scores: scores > 0)
    for seen in track(looked, f"finding animals, {name}", len(ids), "pictures"):
        if seen.frame.error:
            raise UserError(f"{seen.frame.name}: {seen.frame.error}")
        poses[ids[seen.frame.name]] = seen.poses
    found = {image: [[*pose.bbox.tolist(), pose.bbox_score] for pose in each] for image, each in poses.items()}
    image_of = {annotation["id"]: annotation["image_id"] for annotation in truth["annotations"]}
    everybody = load_boxes(split.root / split.ann_file, skeleton)
    pairs, invented = matched(everybody, found)
    # whom nobody has labelled the keypoints of can be found, but not scored
    pairs = {animal: place for animal, place in pairs.items() if animal in image_of}
    missed = Counter(image for animal, image in image_of.items() if animal not in pairs)
    own = [_result(pose, image) for image, each in poses.items() for pose in each]
    of_found = [{**_result(poses[image_of[i]][place], image_of[i]), "ann_id": i} for i, place in pairs.items()]
    animals = {**truth, "annotations": [a for a in truth["annotations"] if a["id"] in pairs]}
    in_boxes = [result for result in given if result["ann_id"] in pairs]
    return {
        "animals": len(image_of),
        "found": len(pairs),
        "missed": len(image_of) - len(pairs),
        "invented": sum(map(len, invented.values())),
        "box_AP": box_scores(everybody, found)["AP"],
        "AP": coco_ap(truth, own, skeleton)["AP"] if own else 0.0,
        "AP_given_boxes": coco_ap(truth, list(given), skeleton)["AP"],
        PCK: evaluate(animals, of_found, skeleton)[PCK] if pairs else None,
        f"{PCK}_given_boxes": evaluate(animals, in_boxes, skeleton)[PCK] if pairs else None,
        "pictures": {
            split.file_names[image]: {"missed": missed[image], "invented": len(invented[image])}
            for image in found
            if missed[image] or invented[image]
        },
    }


def _result(pose: Pose, image: int) -> dict:
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": np.column_stack([pose.points, pose.scores]).ravel().tolist(),
        "score": instance_score(pose.scores, pose.bbox_score),
    }


def in_words(name: str, scores: dict) -> str:
    """What :func:`end_to_end` says of one model, in three lines."""

    def beside(metric: str) -> str:
        own, given = scores[metric], scores[f"{metric}_given_boxes"]
        return "-" if own is None else f"{own:.3f} ({given:.3f} in the annotated boxes)"

    return "\n".join(
        [
            f"{name} with found boxes: {scores['found']} of {counted(scores['animals'], 'animals')} found, "
            f"{scores['missed']} missed, {scores['invented']} invented; AP of the boxes {scores['box_AP']:.3f}",
            f"  AP of the poses {beside('AP')}",
            f"  {PCK} of the animals that were found {beside(PCK)}",
        ]
    )
