"""The running average of the weights that ``equistera.training.ema`` describes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from equistera.training.ema import Ema


class AveragedWeights:
    """An exponential moving average of a network's parameters.

    Buffers are not averaged: the running statistics of normalisation layers are averages themselves, and belong to
    weights, so they are measured for the average (:mod:`equistera.mm.network.norm_statistics`).

    Args:
        network: Its parameters are where the average starts.

    Attributes:
        tensors: The average by the parameter's name, on the parameter's device.
    """

    def __init__(self, network: nn.Module):
        self._parameters = dict(network.named_parameters())
        self.tensors = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    def update(self, ema: Ema, step: int) -> None:
        """Takes the weights after an optimiser step (from 0) in; the host does not wait for the device.

        Frozen parameters are where the average has them already.
        """
        moving = [name for name, parameter in self._parameters.items() if parameter.requires_grad]
        if moving:
            take_in = get_ema_multi_avg_fn(ema.decay_at(step))
            take_in([self.tensors[n] for n in moving], [self._parameters[n].detach() for n in moving], None)

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Goes on from an average that was saved.

        Raises:
            KeyError: It lacks a parameter of this network.
        """
        for name, own in self.tensors.items():
            own.copy_(tensors[name])
