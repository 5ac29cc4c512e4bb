"""A network whose stages can be frozen and have learning rates of their own, and its optimiser."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from equistera.errors import UserError
from equistera.training.stages import Stage, assign, layout_for


class StagedNetwork(nn.Module):
    """A model with a ``backbone`` whose parameters belong to stages; for MMEngine models to inherit before their own.

    Call :meth:`set_stages` once all parameters exist.

    Attributes:
        stages: From input to output.
        frozen_stages: Names of those that :meth:`freeze` has frozen.
    """

    stages: tuple[Stage, ...] = ()
    frozen_stages: frozenset[str] = frozenset()

    def set_stages(self, backbone: str, custom: Iterable[dict] | None = None) -> None:
        """Divides the network into stages.

        Args:
            backbone: Its type in the config, with or without a scope.
            custom: Stages of a backbone that :mod:`equistera.training.stages` does not know.

        Raises:
            UserError: A parameter belongs to no stage or to several, or the stages are malformed.
        """
        blocks = getattr(self.backbone, "layers", ())
        self.stages = layout_for(backbone.rsplit(".", 1)[-1], custom, blocks=len(blocks))
        assign((name for name, _ in self.named_parameters()), self.stages)

    def stage_parameters(self, stage: str) -> list[tuple[str, nn.Parameter]]:
        """``(name, parameter)`` of every parameter of a stage."""
        (found,) = (one for one in self.stages if one.name == stage)
        return [(name, parameter) for name, parameter in self.named_parameters() if found.owns(name)]

    def is_frozen(self, name: str) -> bool:
        """Whether a parameter or module, by its name in the network, belongs to a stage that is frozen."""
        return any(stage.owns(name) for stage in self.stages if stage.name in self.frozen_stages)

    def freeze(self, stages: Collection[str]) -> None:
        """Freezes exactly these stages and opens all others.

        Frozen parameters have no gradient, so that no graph is built below the first open stage, and frozen
        normalisation layers use and keep their statistics.
        """
        self.frozen_stages = frozenset(stages)
        for name, parameter in self.named_parameters():
            frozen = self.is_frozen(name)
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None
        self.train(self.training)

    def train(self, mode: bool = True):
        super().train(mode)
        for name, module in self.named_modules():
            if mode and self.is_frozen(name):
                module.training = False
        return self


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StagedOptimWrapperConstructor:
    """Builds the optimiser over stages: a group for the weights of each and one for its biases and norms.

    The latter have no weight decay, nor have the embeddings of a transformer's positions. A handful of groups lets the
    fused and multi-tensor kernels work; MMEngine's default makes one group for every parameter. The head's groups come
    first, so that the LR which MMEngine logs is the head's. Each group names its ``stage``, by which the schedule finds
    it; of a layered stage each layer has groups of its own, which say how many follow in the stage (``layers_after``).

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
            for after in range(stage.layers):
                named = [pair for pair in network.stage_parameters(stage.name) if stage.layers_after(pair[0]) == after]
                place = {"stage": stage.name, "layers_after": after}
                plain = [parameter for name, parameter in named if _is_plain(name, parameter)]
                decayed = [parameter for name, parameter in named if not _is_plain(name, parameter)]
                groups += [{"params": decayed, **place}] if decayed else []
                groups += [{"params": plain, **place, "weight_decay": 0.0}] if plain else []
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, "params": groups})
        return OPTIM_WRAPPERS.build({**self.wrapper_cfg, "optimizer": optimizer})


def _is_plain(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim <= 1 or name.endswith((".pos_embed", ".cls_token"))
