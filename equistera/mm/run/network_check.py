"""A config's network, tried before anything is trained."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from equistera.errors import UserError
from equistera.mm.network.model import SkeletonPoseEstimator


def build_checked(config: Config) -> SkeletonPoseEstimator:
    """The network of a config, after it was tried on one black picture.

    Args:
        config: A resolved config, whose ``codec.input_size`` is one.

    Raises:
        UserError: The network cannot be built or computed, or its output has not the size of the codec's targets.
    """
    width, height = config.codec.input_size
    try:
        # in float32: what runs on the device in half precision need not run here
        network = MODELS.build({**config.model, "precision": None}).eval()
        with torch.no_grad():
            outputs = network.raw_outputs(torch.zeros(1, 3, height, width))
    except UserError:
        raise
    except Exception as error:
        # the values of a config go to classes of MMPose and torch, which say in their own ways what they cannot take
        raise UserError(
            "the network cannot be built as 'model' and 'codec' of the config say:",
            [f"{type(error).__name__}: {' '.join(str(error).split())}"],
            "The config as it came with the project works; undo the last change to it",
        ) from error
    wanted = config.codec.get("heatmap_size")
    wanted = tuple(wanted) if isinstance(wanted, list) else wanted
    given = tuple(outputs[0].shape[:1:-1])
    if wanted is not None and given != wanted:
        raise UserError(
            f"the network's heatmaps have {given[0]}x{given[1]} cells for an input of {width}x{height}, but "
            f"codec.heatmap_size is {wanted!r}",
            hint=f'--cfg-options "codec.heatmap_size=({given[0]},{given[1]})"',
        )
    return network
