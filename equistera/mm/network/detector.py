"""An RTMDet (Lyu et al. 2022) of one class that is trained as a pose model is: by stages, in mixed precision."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from mmdet.models.detectors import RTMDet
from mmdet.registry import MODELS as DETECTION_MODELS
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import nn

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm.data.metainfo import dataset_meta_of
from equistera.mm.network.efficientnet_lite import EfficientNetLite
from equistera.mm.network.staged import StagedNetwork

#: COCO's animals by their place among its 80 classes (https://cocodataset.org, "thing" classes in order of their ids).
CLASSES = {
    name: 14 + i
    for i, name in enumerate(("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"))
}
#: The layers with an output for each class, at each level.
_CLASS_LAYERS = "bbox_head.rtm_cls."

# a backbone of ours is a name like MMDetection's own
DETECTION_MODELS.register_module(module=EfficientNetLite, force=True)


@MODELS.register_module()
class AnimalDetector(StagedNetwork, RTMDet):
    """Finds the animals of one category; its boxes are in pixels of the picture.

    Args:
        skeleton: Name or path; its category is what is found.
        codec: ``dict(type="PictureView", input_size=...)``.
        backbone: As :class:`RTMDet` takes it.
        bbox_head: Likewise, of one class.
        data_preprocessor: A ``BatchPreprocessor``.
        coco_classes: Classes of COCO that weights of its 80 are taken from: the animal's own, or those like it.
        stride: The input's sides are multiples of it.
        stages: Stages of all parameters.
        precision: ``bfloat16`` or ``float16`` computes backbone and neck in mixed precision.
        kwargs: As :class:`RTMDet` takes them.

    Raises:
        UserError: The skeleton is not valid, or a parameter belongs to no stage or to several.
    """

    def __init__(
        self,
        skeleton: str,
        codec: dict,
        backbone: dict,
        bbox_head: dict,
        data_preprocessor: dict,
        stride: int,
        coco_classes: Sequence[str] = ("horse",),
        stages: Iterable[dict] | None = None,
        precision: str | None = None,
        **kwargs,
    ):
        preprocessor = MODELS.build(data_preprocessor)
        # MMDetection calls it as torch will no longer let it some day
        warnings.filterwarnings("ignore", message="torch.meshgrid")
        # names of the parts are looked up in MMDetection's registries while they are built
        with DefaultScope.overwrite_default_scope("mmdet"):
            # it writes into the head's config, which is the run's own
            super().__init__(backbone=backbone, bbox_head={**bbox_head}, data_preprocessor=preprocessor, **kwargs)
        self.skeleton = skeletons.load(skeleton)
        self.coco_classes = tuple(coco_classes)
        if unknown := [name for name in coco_classes if name not in CLASSES] or not coco_classes:
            raise UserError(f"model.coco_classes: expected some of {', '.join(CLASSES)}, found {unknown or 'none'}")
        self.input_size = tuple(codec["input_size"])
        if len(self.input_size) != 2 or not all(type(s) is int and s > 0 and s % stride == 0 for s in self.input_size):
            raise UserError(
                f"codec.input_size: expected (width,height) in multiples of {stride}, found {self.input_size}"
            )
        self.dataset_meta = {**dataset_meta_of(self.skeleton), "input_size": self.input_size}
        self.set_stages(backbone["type"], stages)
        self.precision = None if precision is None else getattr(torch, precision)
        self.to(memory_format=torch.channels_last)

    @property
    def head(self) -> nn.Module:
        """By the name that a pose model has it by."""
        return self.bbox_head

    def refuse_compiling(self) -> None:
        """Refuses ``--compile``.

        Raises:
            UserError: Always.
        """
        raise UserError("--compile is for pose models: a detector's inputs have several sizes", hint="Leave it out")

    def carried(self, given: Mapping[str, torch.Tensor], head_init: str) -> tuple[dict[str, torch.Tensor], str]:
        """The weights of a checkpoint that this network starts from, and what becomes of the output layer.

        Of a detector of COCO's classes the mean of ``coco_classes`` is taken.

        Args:
            given: Weights by name.
            head_init: ``random`` leaves the head as it is.
        """
        if head_init == "random":
            return {
                name: value for name, value in given.items() if name.startswith("backbone.")
            }, "head_init is 'random'"
        rows = [CLASSES[name] for name in self.coco_classes]
        kept = {
            name: value[rows].mean(0, keepdim=True)
            if name.startswith(_CLASS_LAYERS) and len(value) > max(CLASSES.values())
            else value
            for name, value in given.items()
        }
        if not any(name.startswith(_CLASS_LAYERS) for name in given):
            return kept, "head: random, the weights are of no detector"
        return kept, f"head: of the detector's, of COCO's classes {', '.join(self.coco_classes)}"

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(inputs.device.type, dtype=self.precision, enabled=self.precision is not None):
            features = super().extract_feat(inputs)
        return tuple(feature.float() for feature in features)

    def loss(self, inputs: torch.Tensor, data_samples: Mapping) -> dict:
        """Losses of a batch of :func:`equistera.mm.data.batches.stack_samples`, with its ``boxes`` [B, N, 4]."""
        features = self.extract_feat(inputs)
        meta = _shape_of(inputs)
        truths = [_instances(boxes) for boxes in data_samples["boxes"]]
        # the optimiser's wrapper may have switched autocast on around the whole step
        with torch.autocast(inputs.device.type, enabled=False):
            return self.bbox_head.loss_by_feat(*self.bbox_head(features), truths, [meta] * len(inputs))

    def raw_outputs(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores [B, 1, h, w] and then distances [B, 4, h, w] of all levels, from fine to coarse."""
        scores, distances = self.bbox_head(self.extract_feat(inputs))
        return *scores, *distances

    def boxes(self, inputs: torch.Tensor) -> list[InstanceData]:
        """``bboxes`` float [N, 4], x1, y1, x2, y2 in input pixels, and ``scores`` [N], the surest first."""
        outputs = self.bbox_head(self.extract_feat(inputs))
        metas = [_shape_of(inputs)] * len(inputs)
        return self.bbox_head.predict_by_feat(*outputs, batch_img_metas=metas, rescale=False)

    def predict(self, inputs: torch.Tensor, data_samples: list) -> list:
        """Data samples with ``pred_instances``: boxes in pixels of the picture and their scores."""
        for found, sample in zip(self.boxes(inputs), data_samples, strict=True):
            about = sample.metainfo
            sides = zip(about["input_scale"], about["input_size"], strict=True)
            scale = torch.tensor([side / own for side, own in sides])
            corner = torch.tensor([c - s / 2 for c, s in zip(about["input_center"], about["input_scale"], strict=True)])
            boxes = found.bboxes.cpu().double() * scale.repeat(2) + corner.repeat(2)
            sample.pred_instances = InstanceData(bboxes=boxes.numpy(), bbox_scores=found.scores.cpu().numpy())
        return data_samples


def _shape_of(inputs: torch.Tensor) -> dict:
    """What MMDetection's heads ask of each picture of a batch [B, 3, H, W]."""
    shape = tuple(inputs.shape[2:])
    return {"img_shape": shape, "pad_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)}


def _instances(boxes: torch.Tensor) -> InstanceData:
    """The boxes of a view, without the zeros that fill it up."""
    boxes = boxes[boxes[:, 2] > boxes[:, 0]]
    return InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long, device=boxes.device))
