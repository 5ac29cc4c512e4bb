"""A network of which parts can be frozen and have learning rates of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import nn

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
        self.stages = layout_for(backbone.rsplit(".", 1)[-1], custom)
        owners = assign((name for name, _ in self.named_parameters()), self.stages)
        self._stage_parameters = {stage.name: [] for stage in self.stages}
        for name, parameter in self.named_parameters():
            self._stage_parameters[owners[name].name].append((name, parameter))
        self._stage_modules = {
            stage.name: [module for name, module in self.named_modules() if stage.owns(name)] for stage in self.stages
        }

    def stage_parameters(self, stage: str) -> list[tuple[str, nn.Parameter]]:
        """``(name, parameter)`` of every parameter of a stage."""
        return self._stage_parameters[stage]

    def freeze(self, stages: Collection[str]) -> None:
        """Freezes exactly these stages and opens all others.

        Frozen parameters have no gradient, so that no graph is built below the first open stage, and frozen
        normalisation layers use and keep their statistics.

        Args:
            stages: Names of stages.
        """
        self.frozen_stages = frozenset(stages)
        for stage, parameters in self._stage_parameters.items():
            for _, parameter in parameters:
                parameter.requires_grad_(stage not in self.frozen_stages)
                if stage in self.frozen_stages:
                    parameter.grad = None
        self.train(self.training)

    def train(self, mode: bool = True):
        super().train(mode)
        # a parent may call train() before the stages are known: nothing is frozen then
        for stage in self.frozen_stages:
            for module in self._stage_modules[stage]:
                module.training = False
        return self
