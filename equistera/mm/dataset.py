"""COCO keypoint files as an MMPose data set, for any skeleton."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from equistera import skeleton as skeletons
from equistera.augmentation import Augmentation
from equistera.augmentation import augmentation as augment
from equistera.dataset.coco import load_annotations
from equistera.errors import UserError
from equistera.mm.metainfo import metainfo_of
from equistera.mm.textures import Textures


@DATASETS.register_module()
class KeypointDataset(BaseCocoStyleDataset):
    """One sample for each labelled animal of a COCO keypoint file.

    A training sample carries the ``augmentation`` of its epoch and ``rng``, a generator that follows from (seed,
    epoch, sample) alone, so that what is drawn does not depend on how many workers load it.

    Args:
        skeleton: Name or path, see :func:`equistera.skeleton.load`. Keypoints are matched by name.
        ann_file: Annotation file, relative to ``data_root``.
        data_root: Folder of the data set.
        data_prefix: ``dict(img=...)``, folder of the pictures, relative to ``data_root``.
        pipeline: MMPose transforms.
        augmentation: A preset for the whole run, or ``[(first epoch, preset), ...]`` with ascending epochs, the first
            0; a preset is a name or ``dict(preset=name, field=value, ...)``, see
            :func:`equistera.augmentation.augmentation`. None for evaluation.
        seed: Seed of the augmentation.
        test_mode: Whether this is an evaluation data set.
        kwargs: As ``mmengine.dataset.BaseDataset`` takes them.

    Raises:
        UserError: The file is missing, broken, or has no labelled animal.
    """

    def __init__(
        self,
        skeleton: str,
        ann_file: str,
        augmentation: str | dict | Sequence[tuple[int, str | dict]] | None = None,
        seed: int = 0,
        **kwargs,
    ):
        self.skeleton = skeletons.load(skeleton)
        self.seed = seed
        if isinstance(augmentation, (str, dict)):
            augmentation = [(0, augmentation)]
        self.augmentation = [
            (start, augment(**preset) if isinstance(preset, dict) else augment(preset))
            for start, preset in augmentation or ()
        ]
        # shared memory: workers that live through many epochs see what the main process changes
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._starts = torch.tensor([start for start, _ in self.augmentation], dtype=torch.int64).share_memory_()
        super().__init__(ann_file=ann_file, metainfo=metainfo_of(self.skeleton), **kwargs)

    def set_epoch(self, epoch: int) -> None:
        """Makes later samples draw their augmentation for ``epoch`` (counted from 0)."""
        self._epoch.fill_(epoch)

    def move_starts(self, moved: Callable[[int], int]) -> None:
        """Makes every preset begin at another epoch: ``moved`` of the one at which it would have begun."""
        self._starts.copy_(torch.tensor([moved(start) for start in self._starts.tolist()], dtype=torch.int64))

    def augmentation_at(self, epoch: int) -> Augmentation:
        """What samples of ``epoch`` (counted from 0) draw from."""
        begun = int((self._starts <= epoch).sum())
        return self.augmentation[begun - 1][1]

    def load_data_list(self) -> list[dict]:
        coco = load_annotations(self.ann_file, self.skeleton)
        images = {image["id"]: image for image in coco["images"]}
        if not coco["annotations"]:
            raise UserError(f"{self.ann_file} has no labelled animal ({len(images)} pictures)")
        samples = [self._sample(annotation, images[annotation["image_id"]]) for annotation in coco["annotations"]]
        self.textures = Textures([(sample["img_path"], sample["bbox"][0]) for sample in samples], self.seed)
        return samples

    def _sample(self, annotation: dict, image: dict) -> dict:
        points = np.array(annotation["keypoints"], dtype=np.float32).reshape(1, -1, 3)
        x, y, width, height = annotation["bbox"]
        return {
            "img_id": image["id"],
            "img_path": str(Path(self.data_prefix["img"]) / image["file_name"]),
            "id": annotation["id"],
            "category_id": np.array(annotation["category_id"]),
            "bbox": np.array([[x, y, x + width, y + height]], dtype=np.float32),
            "bbox_score": np.ones(1, dtype=np.float32),
            "keypoints": points[..., :2].copy(),
            "keypoints_visible": np.minimum(1, points[..., 2]),
            "area": np.array(annotation["area"], dtype=np.float32),
        }

    def prepare_data(self, idx: int):
        info = self.get_data_info(idx)
        if self.augmentation:
            epoch = int(self._epoch)
            info["augmentation"] = self.augmentation_at(epoch)
            info["rng"] = np.random.default_rng((self.seed, epoch, idx))
            info["texture"] = functools.partial(self.textures.draw, avoid=info["img_path"])
        return self.pipeline(info)
