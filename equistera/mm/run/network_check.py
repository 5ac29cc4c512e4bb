"""A config's parts, tried before anything is trained."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed
from mmpose.registry import MODELS

from equistera.errors import UserError, explained
from equistera.mm.config import mappings_in
from equistera.mm.network.model import SkeletonPoseEstimator

#: What is said where the parts of a run do not fit together.
NOT_TOGETHER = "the run cannot be put together as its config says:"

#: Entries by which networks of MMPose and MMDetection freeze themselves.
_OWN_FREEZING = ("frozen_stages", "requires_grad")


@contextlib.contextmanager
def as_config_says(summary: str) -> Iterator[None]:
    """Names the config where something cannot be built from it.

    The values of a config go to classes of MMEngine, MMPose and torch, which say in their own ways what they cannot
    take.

    Raises:
        UserError: In place of any exception within the block; of the machine where that failed.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise explained(error) or UserError(
            summary,
            [f"{type(error).__name__}: {' '.join(str(error).split())}"],
            "The config as it came with the project works; undo the last change to it",
        ) from error


def check_hooks(config: Config) -> None:
    """Makes sure that the hooks of a config can be built; raises UserError."""
    with as_config_says(NOT_TOGETHER):
        for hook in config.custom_hooks:
            HOOKS.build({name: value for name, value in hook.items() if name != "priority"})


def build_checked(config: Config) -> SkeletonPoseEstimator:
    """The network of a resolved config, after it was tried on one black picture.

    Raises:
        UserError: The network cannot be built or computed, or its output has not the size of the codec's targets.
    """
    width, height = config.codec.input_size
    with as_config_says("the network cannot be built as 'model' and 'codec' of the config say:"):
        # what no weights are loaded into keeps what is drawn now
        set_random_seed(config.randomness.seed)
        network = MODELS.build(config.model).eval()
        with _without_log():
            network.init_weights()
        # in float32: what runs on the device in half precision need not run here
        precision, network.precision = network.precision, None
        with torch.no_grad():
            outputs = network.raw_outputs(torch.zeros(1, 3, height, width))
        network.precision = precision
    wanted = config.codec.get("heatmap_size")
    wanted = tuple(wanted) if isinstance(wanted, list) else wanted
    given = tuple(outputs[0].shape[:1:-1])
    if wanted is not None and given != wanted:
        raise UserError(
            f"the network's heatmaps have {given[0]}x{given[1]} cells for an input of {width}x{height}, but "
            f"codec.heatmap_size is {wanted!r}",
            hint=f'--cfg-options "codec.heatmap_size=({given[0]},{given[1]})"',
        )
    _refuse_own_freezing(network, config)
    return network


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """MMEngine logs how each weight begins; as the run has no log file yet, that would fill the terminal."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _refuse_own_freezing(network: SkeletonPoseEstimator, config: Config) -> None:
    """Refuses a network that keeps parts of itself frozen whatever is opened: the plan would say what does not hold."""
    kept = _shut(network)
    network.freeze(())
    network.train()
    kept |= _shut(network)
    network.eval()
    if kept:
        stages = ", ".join(stage.name for stage in network.stages if stage.name in kept)
        parts = mappings_in(config.model, "model")
        said = [f"{key}.{name}={part[name]!r}" for key, part in parts for name in _OWN_FREEZING if name in part]
        raise UserError(
            f"the network freezes parts of its own accord, whatever 'strategy' opens: {stages}",
            said,
            "What is frozen, and until when, is said by strategy.opens_at alone: leave a stage out of it (in a config "
            "dict(_delete_=True, ...)), and frozen_stages=-1, requires_grad=True",
        )


def _shut(network: SkeletonPoseEstimator) -> set[str]:
    """Stages with a parameter that does not learn."""
    return {
        stage.name
        for stage in network.stages
        if not all(parameter.requires_grad for _, parameter in network.stage_parameters(stage.name))
    }
