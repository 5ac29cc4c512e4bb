"""What a run's config may say, entry by entry; the plan judges what entries mean together (``plan_check``).

``configs/_base_/schedules/three_phase.py`` describes every field of ``strategy``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic

# the presets that a phase names live there; it is as free of MM* as this package
from equistera.augmentation import augmentation, parts_of
from equistera.errors import UserError
from equistera.training.stages import Stage
from equistera.training.values import Flag, Part, Section, count, number, problems_of

#: Seeds that every generator takes (NumPy's legacy one has 32 bits).
MOST_SEED = 2**32 - 1


def _at(key: str, default: Any = ...) -> Any:
    """A field that stands at a dotted key within the parts of a config of which nothing else is checked here."""
    return pydantic.Field(default, validation_alias=pydantic.AliasPath(*key.split(".")))


class Loader(Part):
    """How samples are loaded; what is left out follows from the machine."""

    batch_size: Annotated[int, count()]
    num_workers: Annotated[int, count(0)] | None = None
    prefetch_factor: Annotated[int, count()] | None = None
    persistent_workers: Flag | None = None
    pin_memory: Flag | None = None
    drop_last: Flag = False


class Pictures(Section):
    """So many training pictures."""

    pictures: Annotated[int, count()]


class StatisticsPictures(Section):
    """So many training pictures, or none."""

    pictures: Annotated[int, count(0)]


class Ema(Section):
    """The average of the weights."""

    share: Annotated[float, number(0, 1, above=True)] | None = None
    at_most: Annotated[float, number(1)] | None = None


class EarlyStopping(Section):
    """When to give up."""

    patience: Annotated[int, count()] | None = None
    min_delta: Annotated[float, number(0)] = 0.0


class Model(Part):
    """Beside what the network's own classes check."""

    dropout: Annotated[float, number(0, 1, below=True)] = 0.0


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


class PhaseShape(Section):
    """A part of the run."""

    name: str = pydantic.Field(min_length=1, description="a name")
    start: Annotated[float, number(0, 1, below=True)]
    lr_factor: Annotated[float, number(0, above=True)]
    augmentation: Annotated[Any, pydantic.PlainValidator(_preset)]


class Strategy(Section):
    """What trains when, and at what rate."""

    reference_lr: Annotated[float, number(0, above=True)]
    tier_lr: TierLr = pydantic.Field(description="dict(head=LR, middle=LR)")
    opens_at: dict[str, Annotated[float, number(0, 1, below=True)]] = pydantic.Field(
        description="dict(stage=share of the run)"
    )
    ramp_share: Annotated[float, number(0, 0.2)]
    warmup: Warmup
    final_ratio: Annotated[float, number(0, 1)]
    layer_decay: Annotated[float, number(0, 1, above=True)] = 1.0
    phases: list[PhaseShape] = pydantic.Field(
        min_length=1, description="a list of dict(name=, start=, lr_factor=, augmentation=)"
    )
    reference_batch: Annotated[int, count()] = 1
    scale_lr_with_batch: Flag = True


class RunConfig(Part):
    """A whole config."""

    max_epochs: Annotated[int, count()] = _at("train_cfg.max_epochs")
    val_interval: Annotated[int, count()] = _at("train_cfg.val_interval", 1)
    train_dataloader: Loader
    val_dataloader: Loader
    lr: Annotated[float, number(0, above=True)] = _at("optim_wrapper.optimizer.lr")
    accumulated: Annotated[int, count()] = _at("optim_wrapper.accumulative_counts", 1)
    save_interval: Annotated[int, count()] = _at("default_hooks.checkpoint.interval")
    keep: Annotated[int, count(0)] = _at("default_hooks.checkpoint.keep")
    seed: Annotated[int, count(0, MOST_SEED)] = _at("randomness.seed")
    model: Model
    strategy: Strategy
    training_subset: Pictures = pydantic.Field(description="dict(pictures=N), for the choice of weights needs it")
    norm_statistics: StatisticsPictures | None = pydantic.Field(None, description="None or dict(pictures=N)")
    ema: Ema | None = pydantic.Field(None, description="None or dict(share=, at_most=)")
    early_stopping: EarlyStopping = pydantic.Field(description="dict(patience=None) for never, or epochs")


def strategy_problems(strategy: Any, stages: Sequence[Stage], from_scratch: bool = False) -> list[str]:
    """Everything that is wrong with a config's strategy for a network of these stages, whatever the run's length.

    From scratch nothing is frozen, so ``opens_at`` is not used and may name the stages of another network.
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
