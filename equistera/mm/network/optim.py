"""One parameter group for each stage and kind of parameter."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from equistera.errors import UserError
from equistera.mm.network.staged import StagedNetwork


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StagedOptimWrapperConstructor:
    """Builds the optimiser over stages: a group for the weights of each and one for its biases and norms.

    The latter have no weight decay. A handful of groups lets the fused and multi-tensor kernels work; MMEngine's
    default makes one group for every parameter. The head's groups come first, so that the LR which MMEngine logs
    is the head's. Each group names its ``stage``, by which the schedule finds it.

    Args:
        optim_wrapper_cfg: ``optim_wrapper`` of the config.
        paramwise_cfg: Must be None: learning rates follow from ``strategy``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        if paramwise_cfg is not None:
            raise UserError(
                "optim_wrapper.paramwise_cfg has no effect here",
                hint="Learning rates follow from 'strategy' in the config, see configs/_base_/schedules/three_phase.py",
            )
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = self.wrapper_cfg.pop("optimizer")

    def __call__(self, model: nn.Module) -> OptimWrapper:
        network: StagedNetwork = getattr(model, "module", model)
        groups: list[dict[str, Any]] = []
        for stage in reversed(network.stages):
            parameters = [parameter for _, parameter in network.stage_parameters(stage.name)]
            decayed = [parameter for parameter in parameters if parameter.ndim > 1]
            plain = [parameter for parameter in parameters if parameter.ndim <= 1]
            groups += [{"params": decayed, "stage": stage.name}] if decayed else []
            groups += [{"params": plain, "stage": stage.name, "weight_decay": 0.0}] if plain else []
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, "params": groups})
        return OPTIM_WRAPPERS.build({**self.wrapper_cfg, "optimizer": optimizer})
