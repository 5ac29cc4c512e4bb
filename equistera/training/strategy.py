"""What a config may say in ``strategy``; ``configs/_base_/schedules/three_phase.py`` describes every field."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic

# the presets that a phase names live there; it is as free of MM* as this package
from equistera.augmentation import augmentation, parts_of
from equistera.errors import UserError
from equistera.training.stages import Stage
from equistera.training.values import Flag, Section, count, number, problems_of


class TierLr(Section):
    """Learning rates by tier."""

    head: Annotated[float, number(0, above=True)]
    middle: Annotated[float, number(0, above=True)] = 1.0
    early: Annotated[float, number(0, above=True)] = 1.0


class Warmup(Section):
    """Steps in which the rates come up."""

    share: Annotated[float, number(0, 1, below=True)]
    at_least: Annotated[int, count(0)]
    at_most: Annotated[int, count(0)]
    epochs: Annotated[float, number(0)] | None = None

    @pydantic.model_validator(mode="after")
    def _in_order(self):
        if self.at_least > self.at_most:
            raise ValueError(f"at_least={self.at_least} is over at_most={self.at_most}")
        return self


def _preset(value: object) -> object:
    if not isinstance(value, str) and not (isinstance(value, Mapping) and isinstance(value.get("preset"), str)):
        raise ValueError(f"expected a preset's name or dict(preset=name, field=value, ...), found {value!r}")
    name, changes = parts_of(value)
    try:
        augmentation(name, **changes)
    except UserError as error:
        raise ValueError("; ".join(error.problems or [error.summary])) from error
    return value


def _name(value: object) -> object:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a name, found {value!r}")
    return value


class PhaseShape(Section):
    """A part of the run."""

    name: Annotated[str, pydantic.PlainValidator(_name)]
    start: Annotated[float, number(0, 1, below=True)]
    lr_factor: Annotated[float, number(0, above=True)]
    augmentation: Annotated[Any, pydantic.PlainValidator(_preset)]


class Strategy(Section):
    """The whole."""

    reference_lr: Annotated[float, number(0, above=True)]
    tier_lr: TierLr = pydantic.Field(description="dict(head=LR, middle=LR)")
    opens_at: dict[str, Annotated[float, number(0, 1, below=True)]] = pydantic.Field(
        description="dict(stage=share of the run)"
    )
    ramp_share: Annotated[float, number(0, 0.2)]
    warmup: Warmup
    final_ratio: Annotated[float, number(0, 1)]
    phases: list[PhaseShape] = pydantic.Field(
        min_length=1, description="a list of dict(name=, start=, lr_factor=, augmentation=)"
    )
    reference_batch: Annotated[int, count()] = 1
    scale_lr_with_batch: Flag = True


def strategy_problems(strategy: Any, stages: Sequence[Stage], from_scratch: bool = False) -> list[str]:
    """Everything that is wrong with a strategy, whatever the length of the run.

    Args:
        strategy: As the config has it.
        stages: The network's stages.
        from_scratch: Nothing is frozen, so ``opens_at`` is not used and may name the stages of another network.

    Returns:
        Findings.
    """
    problems = problems_of(Strategy, strategy, "strategy")
    if problems:
        return problems
    problems = [] if from_scratch else _opening_problems(strategy["opens_at"], strategy["tier_lr"], stages)
    return problems + _order_problems(strategy["phases"])


def _opening_problems(opens_at: Mapping, tier_lr: Mapping, stages: Sequence[Stage]) -> list[str]:
    names = [stage.name for stage in stages]
    unknown = [name for name in opens_at if name not in names]
    problems = [f"strategy.opens_at: no stage {name!r}, the network has {', '.join(names)}" for name in unknown]
    if unknown:
        problems.append("strategy.opens_at: dict(_delete_=True, ...) in a config replaces the stages of its _base_")
    for stage in stages:
        if stage.name in opens_at and stage.tier not in tier_lr:
            problems.append(f"stage {stage.name!r} opens, but strategy.tier_lr has no LR for its tier {stage.tier!r}")
    if not problems and 0 not in opens_at.values():
        problems.append("strategy.opens_at: no stage opens at 0, so nothing would train at first")
    return problems


def _order_problems(phases: Sequence[Mapping]) -> list[str]:
    problems = []
    if phases[0]["start"] != 0:
        problems.append(f"the first phase must start at 0, not at {phases[0]['start']:g}")
    for earlier, later in itertools.pairwise(phases):
        if later["start"] <= earlier["start"]:
            problems.append(
                f"phase {later['name']!r} starts at {later['start']:g}, not after {earlier['name']!r} "
                f"at {earlier['start']:g}"
            )
        if later["lr_factor"] > earlier["lr_factor"]:
            problems.append(
                f"phase {later['name']!r} has lr_factor {later['lr_factor']:g} after {earlier['lr_factor']:g}: "
                "a learning rate must not rise after its ramp"
            )
    return problems
