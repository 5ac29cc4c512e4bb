"""The pose model: MMPose's top-down estimator that knows its skeleton and its stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from mmpose.models.heads import HeatmapHead, RTMCCHead, SimCCHead
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from mmpose.registry import MODELS
from torch import nn

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm.data.codecs import SHIFT, check_codec, completed_test_cfg, uses_udp
from equistera.mm.data.metainfo import dataset_meta_of, metainfo_of
from equistera.mm.network.compiling import CompiledBackbone
from equistera.mm.network.staged import StagedNetwork
from equistera.training.stages import TRANSFORMER


def complete_head(head: Mapping, codec: Mapping, keypoints: int, stride: int) -> dict:
    """A head's config with what follows from the codec, the number of keypoints and the stride of its features.

    Raises:
        UserError: There is no head for this codec.
    """
    check_codec(codec)
    head = {**head, "out_channels": keypoints, "decoder": codec}
    if codec["type"] == "SimCCLabel":
        head["input_size"] = codec["input_size"]
        head["in_featuremap_size"] = tuple(side // stride for side in codec["input_size"])
        head["simcc_split_ratio"] = codec["simcc_split_ratio"]
    return head


def complete_backbone(backbone: Mapping, codec: Mapping) -> dict:
    """A backbone's config with what follows from the codec: a transformer has a position for each cell of its input."""
    if backbone["type"].rsplit(".", 1)[-1] != TRANSFORMER:
        return dict(backbone)
    width, height = codec["input_size"]
    return {**backbone, "img_size": (height, width)}


def head_loss(
    head: nn.Module, features: tuple[torch.Tensor, ...], data_samples: list | Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What the head's own ``loss`` gives for the loss, without the accuracy that it works out beside it in NumPy.

    The accuracy takes the outputs to the host, which makes a GPU wait at every step; ``val/PCK`` says
    the same at each evaluation.

    Args:
        head: A pose head; one of a kind that is not known here computes its loss itself.
        features: The backbone's, float32.
        data_samples: With the targets that the head's codec encoded; or these targets stacked, by name.

    Returns:
        Losses by name.
    """
    if isinstance(head, (RTMCCHead, SimCCHead)):
        x, y, weights = (_stacked(data_samples, f"keypoint_{name}") for name in ("x_labels", "y_labels", "weights"))
        targets = (x, y)
    elif isinstance(head, HeatmapHead):
        targets, weights = (_stacked(data_samples, name) for name in ("heatmaps", "keypoint_weights"))
    else:
        return head.loss(features, data_samples)
    return {"loss_kpt": head.loss_module(head(features), targets, weights)}


def _stacked(data_samples: list | Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    if isinstance(data_samples, Mapping):
        return data_samples[name]
    if name == "heatmaps":
        return torch.stack([sample.gt_fields.heatmaps for sample in data_samples])
    return torch.cat([getattr(sample.gt_instance_labels, name) for sample in data_samples])


class _MixedPrecision(nn.Sequential):
    """Layers that compute in a precision of their own and give float32."""

    precision: torch.dtype | None = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.precision is None:
            return super().forward(inputs)
        with torch.autocast(inputs.device.type, dtype=self.precision):
            return super().forward(inputs).float()


@MODELS.register_module()
class SkeletonPoseEstimator(StagedNetwork, TopdownPoseEstimator):
    """A top-down model whose head follows from a skeleton and a codec, and whose stages can be frozen.

    Args:
        skeleton: Name or path; gives the head's number of outputs.
        codec: The codec's config; gives the head's decoder and, for SimCC heads, its sizes.
        backbone: MMPose or MMDetection backbone.
        head: Head without what follows from skeleton and codec.
        stride: The input's sides are multiples of it; a SimCC head gets a feature map of one cell for so many pixels.
        dropout: Share of the feature maps that the head does without at each training step, from 0 to below 1.
        stages: Stages of a backbone that ``equistera.training.stages`` does not know.
        precision: ``bfloat16`` or ``float16`` computes the backbone and a heatmap head's deconvolutions in mixed
            precision, in training and in evaluation. The rest of a head stays in float32: it is a small part of the
            work, a softmax needs the range, and decoding the place between two cells the digits.
        kwargs: As :class:`TopdownPoseEstimator` takes them.

    Raises:
        UserError: The skeleton is not valid, or a parameter belongs to no stage or to several.
    """

    def __init__(
        self,
        skeleton: str,
        codec: dict,
        backbone: dict,
        head: dict,
        stride: int,
        dropout: float = 0.0,
        stages: Iterable[dict] | None = None,
        precision: str | None = None,
        **kwargs,
    ):
        self_skeleton = skeletons.load(skeleton)
        head, backbone = complete_head(head, codec, len(self_skeleton), stride), complete_backbone(backbone, codec)
        kwargs["test_cfg"] = completed_test_cfg(kwargs.get("test_cfg"), codec)
        super().__init__(backbone=backbone, head=head, metainfo=metainfo_of(self_skeleton), **kwargs)
        self.skeleton = self_skeleton
        self.input_size, self.use_udp = tuple(codec["input_size"]), uses_udp(codec)
        self._dataset_meta = dataset_meta_of(self_skeleton)
        self.dropout = dropout
        self.set_stages(backbone["type"], stages)
        if isinstance(self.head, HeatmapHead) and isinstance(self.head.deconv_layers, nn.Sequential):
            # by the same names in a checkpoint
            self.head.deconv_layers = _MixedPrecision(*self.head.deconv_layers)
        self.precision = None if precision is None else getattr(torch, precision)
        self._compiled: CompiledBackbone | None = None
        # convolutions are faster in this layout, on CPUs and on GPUs with tensor cores
        self.to(memory_format=torch.channels_last)

    @property
    def precision(self) -> torch.dtype | None:
        """What mixed precision computes in; None: all in float32."""
        return self._precision

    @precision.setter
    def precision(self, precision: torch.dtype | None) -> None:
        self._precision = precision
        for module in self.head.modules():
            if isinstance(module, _MixedPrecision):
                module.precision = precision

    @property
    def dataset_meta(self) -> dict:
        """What MMPose's tools put into every sample that they make for this network: its keypoints, its input size and
        how that is cut."""
        return {**self._dataset_meta, "input_size": self.input_size, "use_udp": self.use_udp}

    @dataset_meta.setter
    def dataset_meta(self, meta: Mapping) -> None:
        """Takes what MMPose's tools found in a checkpoint, if it is what this network has.

        Raises:
            UserError: Other keypoints, or an input of another size or cut.
        """
        names = [self.skeleton.find(name) or name for name in meta.get("keypoint_id2name", {}).values()]
        size = tuple(meta.get("input_size", self.input_size))
        # what has a size of input and says no more is of a version that knew no UDP
        udp = meta.get("use_udp", "input_size" not in meta and self.use_udp)
        problems = [
            f"{what}: {theirs} in the checkpoint, {own} in the config"
            for what, theirs, own in (
                ("keypoints", names or list(self.skeleton.names), list(self.skeleton.names)),
                ("input size", size, self.input_size),
                ("input cut as UDP says", udp, self.use_udp),
            )
            if theirs != own
        ]
        if problems:
            raise UserError(
                "the checkpoint does not belong to this config:",
                problems,
                "Give the run's own copy of its config, which lies beside the checkpoint",
            )

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.precision is None:
            return self._features(inputs)
        with torch.autocast(inputs.device.type, dtype=self.precision):
            features = self._features(inputs)
        return tuple(feature.float() for feature in features)

    def _features(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # evaluation is what tools/test.py computes, whose batches have other sizes
        if self._compiled is None or not self.training or self.with_neck:
            return super().extract_feat(inputs)
        return self._compiled(inputs)

    def refuse_compiling(self) -> None:
        """Nothing is refused: the backbone can be compiled."""

    def compile_backbone(self, cuda_graphs: bool = True, **options: object) -> CompiledBackbone:
        """Makes training steps use a compiled backbone from now on, see :class:`CompiledBackbone`."""
        self._compiled = CompiledBackbone(self.backbone, cuda_graphs, **options)
        return self._compiled

    def loss(self, inputs: torch.Tensor, data_samples: list) -> dict:
        features = self.extract_feat(inputs)
        if self.dropout:
            features = tuple(F.dropout2d(feature, self.dropout, self.training) for feature in features)
        # the optimiser's wrapper may have switched autocast on around the whole step
        with torch.autocast(inputs.device.type, enabled=False):
            return head_loss(self.head, features, data_samples)

    def predict(self, inputs: torch.Tensor, data_samples: list) -> list:
        """Keypoints in pixels of the picture, see :meth:`decode`.

        Raises:
            UserError: The crops were made for another input size.
        """
        made = {tuple(sample.metainfo.get("input_size", self.input_size)) for sample in data_samples}
        if made != {self.input_size}:
            raise UserError(
                f"the crops have {sorted(made)} pixels, the network takes {self.input_size}",
                hint="A codec that is changed in a config is changed for the model and for every dataset",
            )
        return self.decode(self.raw_outputs(inputs), data_samples)

    def raw_outputs(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the head says before anything is decoded; averaged with the mirrored picture's under ``flip_test``.

        Args:
            inputs: float [B, 3, H, W], preprocessed.

        Returns:
            Of a SimCC head the vectors [B, K, W'] and [B, K, H'], of a heatmap head one tensor [B, K, h, w].
        """
        outputs = self.head_outputs(self.extract_feat(inputs))
        if not self.test_cfg.get("flip_test", False):
            return outputs
        back = self.unmirrored(self.head_outputs(self.extract_feat(inputs.flip(-1))))
        return tuple((straight + turned) / 2 for straight, turned in zip(outputs, back, strict=True))

    def decode(self, outputs: tuple[torch.Tensor, ...], data_samples: list) -> list:
        """What :meth:`raw_outputs` (or a mean of several models') stands for.

        Returns:
            The data samples, changed: with ``pred_instances`` in pixels of the picture.
        """
        decoded = self.head.decode(outputs if len(outputs) > 1 else outputs[0])
        return self.add_pred_to_datasample(decoded, None, data_samples)

    def unmirrored(self, outputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Raw outputs on a mirrored picture, as they would be on the picture itself: left and right exchanged."""
        flip_indices = self.skeleton.flip_indices.tolist()
        if len(outputs) == 1:
            shift = self.test_cfg.get(SHIFT, False)
            return (flip_heatmaps(outputs[0], flip_indices=flip_indices, shift_heatmap=shift),)
        x, y = flip_vectors(*outputs, flip_indices=flip_indices)
        # likewise: pixel p stands in bin p * ratio, so turning the bins leaves ratio - 1 too many (MMPose keeps them)
        return torch.roll(x, 1 - round(self.head.simcc_split_ratio), dims=-1), y

    def head_outputs(self, features: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """What the head makes of :meth:`extract_feat`'s features, as :meth:`raw_outputs` says it."""
        outputs = self.head.forward(features)
        return outputs if isinstance(outputs, tuple) else (outputs,)
