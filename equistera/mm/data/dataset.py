"""COCO keypoint files as an MMPose data set, for any skeleton."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from equistera import skeleton as skeletons
from equistera.augmentation import Augmentation, parts_of
from equistera.augmentation import augmentation as augment
from equistera.crops.build import find
from equistera.crops.geometry import presets_of
from equistera.crops.request import Animal, Request
from equistera.crops.store import DecodedCrops
from equistera.dataset.coco import category_of, load_annotations
from equistera.dataset.mixed import Draw, Source, mapped_annotations, shares
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.mm.config import resolve_path
from equistera.mm.data.codecs import uses_udp
from equistera.mm.data.metainfo import metainfo_of
from equistera.mm.data.occlusion import Textures
from equistera.words import counted


@DATASETS.register_module()
class KeypointDataset(BaseCocoStyleDataset):
    """One sample for each labelled animal of a COCO keypoint file.

    A training sample carries the ``augmentation`` of its epoch and ``rng``, a generator that follows from (seed,
    epoch, sample) alone, so that what is drawn does not depend on how many workers load it.

    Args:
        skeleton: Name or path, see :func:`equistera.skeleton.load`. Keypoints are matched by name.
        ann_file: Annotation file, relative to ``data_root``.
        data_root: Folder of the data set, relative to the project.
        data_prefix: ``dict(img=...)``, folder of the pictures, relative to ``data_root``.
        pipeline: MMPose transforms.
        augmentation: A preset for the whole run, or ``[(first epoch, preset), ...]`` with ascending epochs, the first
            0; a preset is a name or ``dict(preset=name, field=value, ...)``, see
            :func:`equistera.augmentation.augmentation`. None for evaluation.
        seed: Seed of the augmentation.
        codec: The codec's config; samples carry the codec, its ``input_size`` and ``use_udp``; crops are made for
            that.
        cache: Folder of crop caches. If it has one for just these samples, pictures come from there; otherwise the
            same pixels are made from the photos each time.
        sources: Data sets whose animals stand among its own in an epoch, see :class:`equistera.dataset.mixed.Source`.
        epoch_samples: Samples in an epoch with sources; None: as many as it has animals itself.
        labelled_in: Name or path of the skeleton that the file is labelled in, where that is another: points that are
            not exactly the same are not labelled then.
        leave_out: File names of pictures that are not used.
        point_weight: Factor on the weights of its points in the loss.
        views: Without augmentation: each sample is a list of samples, with so many times the box's sides; empty: one.
        test_mode: Whether this is an evaluation data set.
        kwargs: As ``mmengine.dataset.BaseDataset`` takes them.

    Raises:
        UserError: The file is missing, broken, or has no labelled animal.
    """

    #: MMPose's tools read it where a checkpoint names no keypoints; the network knows its own.
    METAINFO: ClassVar[dict] = {
        "dataset_name": "",
        "keypoint_info": {},
        "skeleton_info": {},
        "joint_weights": [],
        "sigmas": [],
    }

    #: What its samples are scored by while they are trained on.
    metric = "KeypointMetric"

    def __init__(
        self,
        skeleton: str,
        ann_file: str,
        data_root: str = ".",
        augmentation: str | dict | Sequence[tuple[int, str | dict]] | None = None,
        seed: int = 0,
        codec: dict | None = None,
        cache: str | None = None,
        sources: Sequence[Mapping] | None = None,
        epoch_samples: int | None = None,
        labelled_in: str | None = None,
        leave_out: Sequence[str] = (),
        point_weight: float = 1.0,
        views: Sequence[float] = (),
        **kwargs,
    ):
        self.codec = KEYPOINT_CODECS.build(codec) if codec else None
        self.input_size = tuple(codec["input_size"]) if codec else None
        self.use_udp = bool(codec) and uses_udp(codec)
        self.cache, self.views = cache, tuple(views)
        self.crops: DecodedCrops | None = None
        self.ready = False
        self.skeleton = skeletons.load(skeleton)
        self.labelled_in = skeletons.load(labelled_in) if labelled_in else None
        self.leave_out, self.point_weight = leave_out, point_weight
        self.seed = seed
        common = {**kwargs, "augmentation": augmentation, "seed": seed, "codec": codec, "cache": cache}
        if isinstance(augmentation, (str, dict)):
            augmentation = [(0, augmentation)]
        written = [(start, *parts_of(preset)) for start, preset in augmentation or ()]
        self.augmentation = [(start, augment(name, **changes)) for start, name, changes in written]
        # shared memory: workers that live through many epochs see what the main process changes
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._starts = torch.tensor([start for start, _ in self.augmentation], dtype=torch.int64).share_memory_()
        root = str(resolve_path(data_root))
        super().__init__(ann_file=ann_file, data_root=root, metainfo=metainfo_of(self.skeleton), **kwargs)
        others = [Source.of(entry, "sources") for entry in sources or ()]
        self.sources = [_dataset_of(source, skeleton, common) for source in others]
        self.counts = shares(epoch_samples or self.animals, [source.weight for source in others])
        self.draw = Draw(seed, [self.animals, *(source.animals for source in self.sources)], self.counts)
        # MMPose's metrics would read the file, whose keypoints may stand in another order; samples carry them
        MessageHub.get_current_instance().pop_info(f"{self.skeleton.name}_ann_file", None)

    @property
    def metainfo(self) -> dict:
        """As MMPose has it, with ``ann_file`` and its categories: evaluators compare with what is predicted on."""
        return {**super().metainfo, "ann_file": self.ann_file, "CLASSES": [category_of(self.skeleton)]}

    def set_epoch(self, epoch: int) -> None:
        """Makes later samples draw their augmentation for ``epoch`` (counted from 0)."""
        self._epoch.fill_(epoch)
        for source in self.sources:
            source.set_epoch(epoch)

    def set_starts(self, epochs: Sequence[int]) -> None:
        """Makes the presets begin at other epochs (counted from 0)."""
        self._starts.copy_(torch.tensor(epochs, dtype=torch.int64))
        for source in self.sources:
            source.set_starts(epochs)

    def augmentation_at(self, epoch: int) -> Augmentation:
        """What samples of ``epoch`` (counted from 0) draw from."""
        # a list, because this runs for every sample and tensors are slow for a few numbers
        begun = sum(start <= epoch for start in self._starts.tolist())
        return self.augmentation[begun - 1][1]

    @property
    def ground_truth(self) -> dict:
        """The annotations that its samples are scored against."""
        return self._labels

    @functools.cached_property
    def _labels(self) -> dict:
        if self.labelled_in or self.leave_out:
            return mapped_annotations(self.ann_file, self.skeleton, self.labelled_in or self.skeleton, self.leave_out)
        return load_annotations(self.ann_file, self.skeleton)

    @property
    def animals(self) -> int:
        """How many animals it has itself; its length is that of an epoch, those of its sources among them."""
        return super().__len__()

    def __len__(self) -> int:
        return sum(self.counts) if getattr(self, "sources", None) else self.animals

    def load_data_list(self) -> list[dict]:
        coco = self._labels
        images = {image["id"]: image for image in coco["images"]}
        if not coco["annotations"]:
            raise UserError(f"{self.ann_file} has no labelled animal ({counted(len(images), 'pictures')})")
        labelled = {annotation["image_id"] for annotation in coco["annotations"]}
        paths = {i: str(picture_path(self.data_prefix["img"], images[i]["file_name"])) for i in labelled}
        return [self._sample(annotation, paths[annotation["image_id"]]) for annotation in coco["annotations"]]

    def full_init(self) -> None:
        if self.ready:
            return
        super().full_init()
        self.ready = True
        if self.input_size:
            wanted = self.crop_request
            stored = find(Path(self.cache), wanted) if self.cache else None
            self.crops = DecodedCrops(wanted) if stored is None else stored
            self.textures = Textures(self.crops, self.seed)

    @property
    def halves(self) -> tuple[Sequence[int], Sequence[int]]:
        """Keypoints of the upper and of the lower body."""
        return self.metainfo["upper_body_ids"], self.metainfo["lower_body_ids"]

    @functools.cached_property
    def crop_request(self) -> Request:
        """The crops that these samples and their augmentation need."""
        return Request(
            label=f"{Path(self.data_root).name}-{Path(self.ann_file).stem}",
            animals=[
                Animal(s["img_path"], s["bbox"][0], s["keypoints"][0], s["keypoints_visible"][0])
                for s in (BaseDataset.get_data_info(self, i) for i in range(self.animals))
            ],
            halves=self.halves,
            presets=[preset for _, preset in self.augmentation] or presets_of(self.views),
            input_size=self.input_size,
        )

    def _sample(self, annotation: dict, path: str) -> dict:
        points = np.array(annotation["keypoints"], dtype=np.float32).reshape(1, -1, 3)
        x, y, width, height = annotation["bbox"]
        return {
            "img_id": annotation["image_id"],
            "img_path": path,
            "id": annotation["id"],
            "category_id": np.array(annotation["category_id"]),
            "bbox": np.array([[x, y, x + width, y + height]], dtype=np.float32),
            "bbox_score": np.ones(1, dtype=np.float32),
            "keypoints": points[..., :2].copy(),
            "keypoints_visible": np.minimum(1, points[..., 2]),
            "area": np.array(annotation["area"], dtype=np.float32),
            **({"raw_ann_info": {"iscrowd": 0, **annotation}} if self.test_mode else {}),
        }

    @functools.cached_property
    def _about_all(self) -> dict:
        """What every sample carries of the skeleton."""
        names = ("dataset_name", "flip_pairs", "dataset_keypoint_weights", "flip_indices", "skeleton_links")
        about = {name: self.metainfo[name] for name in names}
        about["upper_body_ids"], about["lower_body_ids"] = self.halves
        about["dataset_keypoint_weights"] = about["dataset_keypoint_weights"] * np.float32(self.point_weight)
        if not self.codec:
            return about
        return about | {"codec": self.codec, "input_size": self.input_size, "use_udp": self.use_udp}

    def get_data_info(self, idx: int) -> dict:
        # MMPose's own copies all of it deeply for every sample
        info = {**BaseDataset.get_data_info(self, idx), **self._about_all}
        if self.crops is not None:
            info["crop"] = functools.partial(self.crops.__getitem__, idx)
        return info

    def prepare_data(self, idx: int):
        epoch, which = int(self._epoch), 0
        place = idx
        if self.sources:
            which, idx = self.draw.at(epoch, place)
        info = (self.sources[which - 1] if which else self).get_data_info(idx)
        if self.augmentation:
            info["augmentation"] = self.augmentation_at(epoch)
            info["rng"] = np.random.default_rng((self.seed, epoch, place))
            info["texture"] = functools.partial(self.textures.draw, avoid=info["img_path"])
        elif self.views:
            if "crop" in info:
                info["crop"] = functools.cache(info["crop"])
            return [self.pipeline({**info, "view": view}) for view in self.views]
        return self.pipeline(info)


def _dataset_of(source: Source, skeleton: str, common: Mapping) -> KeypointDataset:
    """The data set of a source, its training animals."""
    return KeypointDataset(
        skeleton=skeleton,
        labelled_in=source.skeleton,
        data_root=source.data_root,
        leave_out=source.leave_out,
        point_weight=source.point_weight,
        **{**common, "ann_file": source.ann_file, "data_prefix": source.data_prefix},
    )
