"""The loss of a head, without the accuracy that MMPose's heads work out beside it in NumPy at every step."""

from __future__ import annotations

import torch
from mmpose.models.heads import HeatmapHead, RTMCCHead, SimCCHead
from torch import nn


def head_loss(head: nn.Module, features: tuple[torch.Tensor, ...], data_samples: list) -> dict[str, torch.Tensor]:
    """What the head's own ``loss`` gives for the loss.

    The accuracy that is left out takes the outputs to the host, which makes a GPU wait at every step; ``val/PCK`` says
    the same at each evaluation.

    Args:
        head: A pose head; one of a kind that is not known here computes its loss itself.
        features: The backbone's, float32.
        data_samples: With the targets that the head's codec encoded.

    Returns:
        Losses by name.
    """
    if isinstance(head, (RTMCCHead, SimCCHead)):
        labels = [sample.gt_instance_labels for sample in data_samples]
        targets = tuple(torch.cat([getattr(one, f"keypoint_{axis}_labels") for one in labels]) for axis in "xy")
    elif isinstance(head, HeatmapHead):
        targets = torch.stack([sample.gt_fields.heatmaps for sample in data_samples])
    else:
        return head.loss(features, data_samples)
    weights = torch.cat([sample.gt_instance_labels.keypoint_weights for sample in data_samples])
    return {"loss_kpt": head.loss_module(head(features), targets, weights)}
