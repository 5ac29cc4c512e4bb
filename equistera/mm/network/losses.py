"""The loss of a head, without the accuracy that MMPose's heads work out beside it in NumPy at every step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmpose.models.heads import HeatmapHead, RTMCCHead, SimCCHead
from torch import nn


def head_loss(
    head: nn.Module, features: tuple[torch.Tensor, ...], data_samples: list | Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What the head's own ``loss`` gives for the loss.

    The accuracy that is left out takes the outputs to the host, which makes a GPU wait at every step; ``val/PCK`` says
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
