"""What is evaluated in place of training's own weights: their running average, and BatchNorm statistics for them.

The running statistics of training are an average over the last tens of steps, of weights that have moved on since. In
a run of few steps, or with small batches, they lag so far behind that a network which has learned its pictures
predicts nonsense on them (shared knowledge of short runs: a median error of 107 px became 11 px by re-estimating them
over the training pictures, without any training).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from mmengine.dist import all_reduce
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from equistera.mm.network.staged import StagedNetwork
from equistera.training.ema import Ema


class AveragedWeights:
    """An exponential moving average of a network's parameters.

    Buffers are not averaged: the running statistics of normalisation layers are averages themselves, and belong to
    weights, so they are measured for the average (:func:`reestimate`).

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


def open_norms(network: StagedNetwork) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """The normalisation layers with running statistics that are not frozen, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
        and not network.is_frozen(name)
    }


def reestimate(network: StagedNetwork, inputs: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Statistics of the open normalisation layers for the network's present weights.

    The network sees every batch once, forwards only, in evaluation mode but for these layers, which normalise by the
    batch; their statistics are the mean over all batches, those of other processes included. That costs about a third
    of as many training steps, whatever the size of the data set.

    Args:
        network: In evaluation mode; unchanged in the end, its running statistics included.
        inputs: This process' batches, float [B, 3, H, W].

    Returns:
        ``NAME.running_mean`` and ``NAME.running_var`` of every open layer; empty where there is none, or no batch.
    """
    layers = open_norms(network)
    kept = {name: [buffer.clone() for buffer in layer.buffers()] for name, layer in layers.items()}
    momenta = {name: layer.momentum for name, layer in layers.items()}
    count = 0
    try:
        for layer in layers.values():
            layer.reset_running_stats()
            # None: PyTorch's cumulative mean over the batches
            layer.momentum, layer.training = None, True
        with torch.no_grad():
            for batch in inputs:
                network(batch, None, mode="tensor")
                count += 1
        return _over_processes(layers, count)
    finally:
        for name, layer in layers.items():
            layer.momentum, layer.training = momenta[name], False
            for buffer, value in zip(layer.buffers(), kept[name], strict=True):
                buffer.copy_(value)


def _over_processes(layers: dict[str, nn.Module], count: int) -> dict[str, torch.Tensor]:
    if not layers:
        return {}
    device = next(iter(layers.values())).running_mean.device
    total = torch.tensor(float(count), device=device)
    all_reduce(total)
    if not total:
        return {}
    # one message for all layers
    own = torch.cat([buffer for layer in layers.values() for buffer in (layer.running_mean, layer.running_var)])
    # with a single process the statistics stay as they are to the bit
    mean = own * (count / total)
    all_reduce(mean)
    sizes = [layer.num_features for layer in layers.values() for _ in range(2)]
    names = [f"{name}.{part}" for name in layers for part in ("running_mean", "running_var")]
    return {name: part.clone() for name, part in zip(names, mean.split(sizes), strict=True)}
