"""Networks of a config as they stand in a phase of the strategy, with their optimiser, and a batch to train on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import nn

from equistera.mm.augmentation_sheet import epochs_of_phase
from equistera.mm.network import checkpoint
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.run.loop import train_step
from equistera.mm.run.planning import schedule_of
from speed.rounds import synchronize

#: Steps of an epoch for which the schedule is worked out: 800 pictures at batch 16.
STEPS_PER_EPOCH = 50


def untrained(config: Config) -> Any:
    """A config's network with random weights."""
    network = MODELS.build(config.model)
    network.init_weights()
    return network


def save_untrained(config: Config, file: Path, **meta: object) -> Path:
    """Writes a checkpoint of random weights; returns the file."""
    checkpoint.save(file, {"state_dict": untrained(config).state_dict(), "meta": meta})
    return file


def ours(config: Config, phase: int) -> tuple[SkeletonPoseEstimator, OptimWrapper]:
    """Our network in training mode, frozen as the phase's first epoch freezes it, with the phase's learning rates."""
    network: SkeletonPoseEstimator = untrained(config)
    network.to("cuda" if torch.cuda.is_available() else "cpu").train()
    wrapper = build_optim_wrapper(network, config.optim_wrapper)
    epoch, _ = epochs_of_phase(config, phase)
    schedule = schedule_of(config, network, STEPS_PER_EPOCH)
    network.freeze({stage.name for stage in network.stages if not schedule.is_open(stage.name, epoch)})
    for group in wrapper.optimizer.param_groups:
        group["lr"] = schedule.lr(group["stage"], (epoch + 1) * STEPS_PER_EPOCH)
    return network, wrapper


def first_batch(loader: dict) -> dict:
    """The first batch of a data loader's config, computed in this process."""
    alone = {"num_workers": 0, "persistent_workers": False, "prefetch_factor": None, "pin_memory": False}
    return next(iter(Runner.build_dataloader({**loader, **alone}, seed=0)))


def stepper(network: nn.Module, wrapper: OptimWrapper, batch: dict, steps: int = 1) -> Callable[[], int]:
    """Does some training steps on the same batch: preprocessing, forward, loss, backward, optimiser.

    Args:
        network: What is trained.
        wrapper: Its optimiser.
        batch: As the network's own loader makes it.
        steps: How many.

    Returns:
        A function that returns the number of samples it trained on.
    """

    own = isinstance(network, SkeletonPoseEstimator)

    def work() -> int:
        network.train()
        for _ in range(steps):
            # a preprocessor may work in place
            train_step(network, wrapper, copy.copy(batch)) if own else network.train_step(copy.copy(batch), wrapper)
        synchronize()
        return steps * len(batch["inputs"])

    return work
