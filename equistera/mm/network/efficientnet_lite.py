"""EfficientNet-Lite (Google 2020; Tan & Le 2019 without squeeze-and-excitation, with ReLU6): for CPUs and phones.

Modules have the names that timm gives them in its ``tf_efficientnet_lite*``, whose weights load as they are. Those of
the package ``efficientnet-lite-pytorch``, which has its ImageNet weights from the package index, are renamed by
:meth:`EfficientNetLite.with_own_names`.

An export for MMPose takes this file along as it is, so it imports nothing that MMPose's environment lacks.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import nn

#: Width and depth of each size, as factors of lite0's (efficientnet_lite_builder.py of tensorflow/tpu).
SIZES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}

#: Blocks, kernel, stride, expansion and output channels of lite0's seven stages (Tan & Le 2019, table 1).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS, TOP_CHANNELS = 32, 1280

#: How many of the seven stages lie below each output: after the stem, at strides 4, 8, 16 and 32, below the top.
BELOW = (0, 2, 3, 5, 7, 7)
TOP = 5


# force: an export's copy of this file may be read in the same process, and is the same class
@MODELS.register_module(force=True)
class EfficientNetLite(nn.Module):
    """The network without its classifier.

    Args:
        arch: ``lite0``, ``lite1`` or ``lite2``.
        out_indices: Which feature maps to return, in this order: 0 the stem's at stride 2, 1 to 4 at strides 4, 8, 16
            and 32, 5 what the last convolution makes of 4 (1280 channels), each at most once. What lies above the
            highest is not built.
    """

    def __init__(self, arch: str = "lite0", out_indices: Sequence[int] = (4,)):
        super().__init__()
        if arch not in SIZES or not out_indices or not set(out_indices) <= set(range(len(BELOW))):
            raise ValueError(f"expected one of {', '.join(SIZES)} and indices from 0 to 5: {arch!r}, {out_indices}")
        self.out_indices = tuple(out_indices)
        width, depth = SIZES[arch]
        self.conv_stem, self.bn1 = _SameConv2d(3, STEM_CHANNELS, 3, 2), _norm(STEM_CHANNELS)
        self.blocks = nn.ModuleList()
        channels = STEM_CHANNELS
        for number, (count, kernel, stride, expansion, out) in enumerate(STAGES[: BELOW[max(out_indices)]]):
            # the first stage and the last one are as deep in all sizes
            repeats = count if number in (0, len(STAGES) - 1) else math.ceil(depth * count)
            widened = _rounded(width * out)
            strides = itertools.chain([stride], itertools.repeat(1, repeats - 1))
            widths = itertools.chain([channels], itertools.repeat(widened, repeats - 1))
            stage = [_Block(own, widened, kernel, s, expansion) for own, s in zip(widths, strides, strict=True)]
            self.blocks.append(nn.Sequential(*stage))
            channels = widened
        if TOP in self.out_indices:
            self.conv_head, self.bn2 = _SameConv2d(channels, TOP_CHANNELS, 1), _norm(TOP_CHANNELS)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Feature maps of pictures [B, 3, H, W]."""
        found = {0: F.relu6(self.bn1(self.conv_stem(inputs)))}
        features = found[0]
        for number, stage in enumerate(self.blocks, start=1):
            features = stage(features)
            if number in BELOW:
                found[BELOW.index(number)] = features
        if TOP in self.out_indices:
            found[TOP] = F.relu6(self.bn2(self.conv_head(features)))
        return tuple(found[index] for index in self.out_indices)

    def with_own_names(self, state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of the package ``efficientnet-lite-pytorch`` by the names that they have here; others as they are."""
        names = {"_conv_stem.": "conv_stem.", "_bn0.": "bn1.", "_conv_head.": "conv_head.", "_bn1.": "bn2."}
        parts = {
            "_expand_conv.": "conv_pw.",
            "_bn0.": "bn1.",
            "_depthwise_conv.": "conv_dw.",
            "_bn1.": "bn2.",
            "_project_conv.": "conv_pwl.",
            "_bn2.": "bn3.",
        }
        plain = {"_depthwise_conv.": "conv_dw.", "_bn1.": "bn1.", "_project_conv.": "conv_pw.", "_bn2.": "bn2."}
        flat = 0
        for number, stage in enumerate(self.blocks):
            for block in range(len(stage)):
                own = plain if number == 0 else parts
                names |= {f"_blocks.{flat}.{old}": f"blocks.{number}.{block}.{new}" for old, new in own.items()}
                flat += 1
        renamed = {}
        for name, value in state_dict.items():
            match = re.match(r"(_blocks\.\d+\.)?_\w+\.", name)
            renamed[names.get(match[0], match[0]) + name[match.end() :] if match else name] = value
        return renamed


class _Block(nn.Module):
    """Expansion, depthwise convolution, projection; what comes in is added where it has the same size.

    Without expansion the projection has the name ``conv_pw``, as timm's has.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = channels * expansion
        self.expands, self.adds = expansion != 1, stride == 1 and channels == out
        depthwise = _SameConv2d(inner, inner, kernel, stride, groups=inner)
        if self.expands:
            self.conv_pw, self.bn1 = _SameConv2d(channels, inner, 1), _norm(inner)
            self.conv_dw, self.bn2 = depthwise, _norm(inner)
            self.conv_pwl, self.bn3 = _SameConv2d(inner, out, 1), _norm(out)
        else:
            self.conv_dw, self.bn1 = depthwise, _norm(inner)
            self.conv_pw, self.bn2 = _SameConv2d(inner, out, 1), _norm(out)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.expands:
            inner = F.relu6(self.bn1(self.conv_pw(inputs)))
            outputs = self.bn3(self.conv_pwl(F.relu6(self.bn2(self.conv_dw(inner)))))
        else:
            outputs = self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(inputs)))))
        return outputs + inputs if self.adds else outputs


class _SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: of an odd number of cells the last side has one more.

    Without bias, unless mmcv's ``fuse_conv_bn`` gives it that of the normalisation behind it.
    It starts as Tan & Le's do: normal, variance 2 / (kernel area x output channels in a group).
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels, out, kernel, stride, groups=groups, bias=False)
        nn.init.normal_(self.weight, std=math.sqrt(2 * groups / (kernel * kernel * out)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.groups > 1 and inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # oneDNN's depthwise gradients in bfloat16 take several times as long as in float32
            with torch.autocast("cpu", enabled=False):
                return self._convolved(inputs.float())
        return self._convolved(inputs)

    def _convolved(self, inputs: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return F.conv2d(inputs, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        missing = (max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in inputs.shape[:1:-1])
        padding = [part for total in missing for part in (total // 2, total - total // 2)]
        return F.conv2d(F.pad(inputs, padding), self.weight, self.bias, stride=stride, groups=self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    # epsilon and momentum as in the published network
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _rounded(channels: float) -> int:
    """The nearest multiple of 8 that is not below nine tenths of it."""
    multiple = max(8, int(channels + 4) // 8 * 8)
    return multiple if multiple >= 0.9 * channels else multiple + 8
