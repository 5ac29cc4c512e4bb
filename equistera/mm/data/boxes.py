"""What a detector learns from: views of whole pictures with the boxes of all animals in them.

There is a sample for each labelled animal, as for a pose model, so that a run counts, shuffles, caches and augments
both alike; its view is the whole picture, from which augmentation zooms in and out. The corners of the boxes stand in
the place of the keypoints: what a picture goes through, they go through.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import DATASETS, KEYPOINT_CODECS, TRANSFORMS

from equistera.crops.geometry import BOX_PADDING
from equistera.dataset.box_labels import load_boxes
from equistera.dataset.images import read_header
from equistera.mm.data.dataset import KeypointDataset
from equistera.words import counted

#: A box that a view cuts is still an animal to find where so much of it is seen ...
_LEAST_SEEN = 0.3
#: ... and where its shorter side has so many pixels of the input: half a cell of the finest level (stride 8).
_LEAST_SIDE = 4.0


@KEYPOINT_CODECS.register_module()
class PictureView:
    """Stands where a pose model's config has its codec: a detector's input size.

    Args:
        input_size: Width and height of the input, pixels.
    """

    def __init__(self, input_size: tuple[int, int]):
        self.input_size = tuple(input_size)


@DATASETS.register_module()
class BoxDataset(KeypointDataset):
    """As :class:`KeypointDataset`, each sample with the whole picture and the boxes of all animals in it.

    An animal without a labelled keypoint has no sample of its own, but its box is learned from; a crowd's is not.
    ``keypoints`` [1, 4N, 2] are the corners of the N boxes of the picture, ``most_boxes`` is the largest N of the set.
    """

    metric = "BoxMetric"

    @functools.cached_property
    def ground_truth(self) -> dict:
        return load_boxes(self.ann_file, self.skeleton)

    @property
    def halves(self) -> tuple[Sequence[int], Sequence[int]]:
        """Corners belong to no half of a body."""
        return (), ()

    def load_data_list(self) -> list[dict]:
        samples = super().load_data_list()
        boxes = defaultdict(list)
        for annotation in self.ground_truth["annotations"]:
            x, y, width, height = annotation["bbox"]
            if not annotation["iscrowd"]:
                boxes[annotation["image_id"]].append([x, y, x + width, y + height])
        most = max(map(len, boxes.values()))
        return [self._view(sample, np.array(boxes[sample["img_id"]], np.float32), most) for sample in samples]

    @staticmethod
    def _view(sample: dict, boxes: np.ndarray, most: int) -> dict:
        header = read_header(sample["img_path"])
        x1, y1, x2, y2 = boxes.T
        corners = np.stack([np.stack([x, y], -1) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))], axis=1)
        return {
            **sample,
            "bbox": view_of((header.width, header.height))[None],
            "keypoints": corners.reshape(1, -1, 2).astype(np.float32),
            "keypoints_visible": np.ones((1, 4 * len(boxes)), np.float32),
            "most_boxes": most,
        }

    def get_data_info(self, idx: int) -> dict:
        info = super().get_data_info(idx)
        # a mirrored corner is a corner of the same box
        return {**info, "flip_indices": np.arange(info["keypoints"].shape[1])}


def view_of(size: tuple[int, int]) -> np.ndarray:
    """The box, float32 [4], x1, y1, x2, y2, whose padded view is a whole picture of a width and height."""
    center = (np.array(size, np.float32) - 1) / 2
    half = np.array(size, np.float32) / BOX_PADDING / 2
    return np.concatenate([center - half, center + half]).astype(np.float32)


def not_learned(coco: Mapping, input_size: Sequence[int]) -> list[str]:
    """What a detector does not learn from, in words.

    Args:
        coco: Annotations of :func:`load_boxes`.
        input_size: Width and height of the input.
    """
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    animals = [a for a in coco["annotations"] if not a["iscrowd"]]
    zooms = {image: min(i / s for i, s in zip(input_size, size, strict=True)) for image, size in sizes.items()}
    small = sum(min(a["bbox"][2:]) * zooms[a["image_id"]] < _LEAST_SIDE for a in animals)
    empty = len(sizes) - len({a["image_id"] for a in coco["annotations"]})
    notes = []
    if small:
        notes.append(
            f"{small} of {counted(len(animals), 'animals')} are less than {_LEAST_SIDE:g} pixels wide or high in the "
            "input and are not learned, but where the augmentation shows them larger: a larger codec.input_size does"
        )
    if empty:
        notes.append(f"nothing is learned from {counted(empty, 'pictures')} without an animal")
    return notes


@TRANSFORMS.register_module()
class EncodeBoxes(BaseTransform):
    """``boxes`` float32 [most, 4]: x1, y1, x2, y2 in input pixels of the animals that a view shows, then zeros."""

    def transform(self, results: dict) -> dict:
        width, height = results["input_size"]
        corners = results["transformed_keypoints"].reshape(-1, 4, 2)
        low, high = corners.min(axis=1), corners.max(axis=1)
        seen_low, seen_high = np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
        sides = seen_high - seen_low
        whole = (high - low).prod(axis=1)
        kept = (sides.min(axis=1) >= _LEAST_SIDE) & (sides.prod(axis=1) >= _LEAST_SEEN * whole)
        boxes = np.zeros((results["most_boxes"], 4), np.float32)
        boxes[: kept.sum()] = np.concatenate([seen_low, seen_high], axis=1)[kept]
        results["boxes"] = boxes
        return results
