"""What holds at a step of a run: the phase, the open stages, their learning rates. Pure functions of the step.

A stage's learning rate is ::

    tier's LR x scale x warm-up(step) x cosine(step) x ramp(step since the stage opened) x factor of the phase

Warm-up and ramps only rise, everything else only falls, so a rate never rises outside of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equistera.errors import UserError
from equistera.training.stages import Stage


@dataclass(frozen=True)
class Phase:
    """A part of the run.

    Attributes:
        name: For people.
        start: First epoch, from 0.
        end: Epoch after the last.
        lr_factor: On top of every learning rate.
        augmentation: Preset name, or ``dict(preset=name, field=value, ...)``.
    """

    name: str
    start: int
    end: int
    lr_factor: float
    augmentation: str | dict


@dataclass(frozen=True)
class Schedule:
    """A whole run. Make one with :func:`make_schedule`.

    Attributes:
        max_epochs: Epochs of the run.
        steps_per_epoch: Optimiser steps in an epoch.
        phases: In order, without gaps.
        stage_lrs: Peak learning rate by stage name.
        opens_at: Epoch at which a stage opens, by name; a stage that is frozen for good is not in it.
        warmup_steps: Steps of the linear warm-up.
        ramp_steps: Steps in which a stage that opens later comes up to its learning rate.
        final_ratio: Share of the peak that the cosine ends at.
    """

    max_epochs: int
    steps_per_epoch: int
    phases: tuple[Phase, ...]
    stage_lrs: Mapping[str, float]
    opens_at: Mapping[str, int]
    warmup_steps: int
    ramp_steps: int
    final_ratio: float

    @property
    def total_steps(self) -> int:
        return self.max_epochs * self.steps_per_epoch

    def phase_at(self, epoch: int) -> Phase:
        """The phase that an epoch (from 0) lies in; the last one holds on."""
        return next(phase for phase in reversed(self.phases) if phase.start <= max(0, epoch))

    def is_open(self, stage: str, epoch: int) -> bool:
        """Whether a stage trains in an epoch (from 0)."""
        return stage in self.opens_at and epoch >= self.opens_at[stage]

    def lr(self, stage: str, step: int) -> float:
        """Learning rate of a stage at an optimiser step (from 0); 0 while it is frozen."""
        epoch = step // self.steps_per_epoch
        if not self.is_open(stage, epoch):
            return 0.0
        warmup = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        progress = max(0, step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        cosine = self.final_ratio + (1 - self.final_ratio) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        opened = self.opens_at[stage] * self.steps_per_epoch
        ramp = min(1.0, (step - opened + 1) / self.ramp_steps) if opened and self.ramp_steps else 1.0
        return self.stage_lrs[stage] * warmup * cosine * ramp * self.phase_at(epoch).lr_factor


def make_schedule(
    strategy: Mapping,
    stages: Sequence[Stage],
    max_epochs: int,
    steps_per_epoch: int,
    lr_scale: float = 1.0,
    from_scratch: bool = False,
) -> Schedule:
    """Works the config's strategy out for a run of a given length.

    Args:
        strategy: ``strategy`` of ``configs/_base_/schedules/three_phase.py``, which describes its fields.
        stages: The network's stages.
        max_epochs: Epochs of the run.
        steps_per_epoch: Optimiser steps in an epoch.
        lr_scale: Factor on every learning rate (the optimiser's LR over the one that the tiers were written for).
        from_scratch: There are no weights worth freezing: every stage is open from the start at the head's LR.

    Returns:
        The schedule.

    Raises:
        UserError: The strategy cannot work for this network and length; all findings are listed.
    """
    tiers, opens = strategy["tier_lr"], strategy["opens_at"]
    starts = [round(phase["start"] * max_epochs) for phase in strategy["phases"]]
    names = [stage.name for stage in stages]
    problems = [f"strategy.opens_at names {name!r}, the network has {names}" for name in opens if name not in names]
    if starts[0] != 0:
        problems.append(f"the first phase must start at 0, not at {strategy['phases'][0]['start']}")
    for i, (start, end) in enumerate(zip(starts, [*starts[1:], max_epochs], strict=True)):
        if end <= start:
            problems.append(f"phase {strategy['phases'][i]['name']!r} has no epoch (of {max_epochs})")
    for stage in stages:
        if not from_scratch and stage.name in opens and stage.tier not in tiers:
            problems.append(f"stage {stage.name!r} opens, but tier {stage.tier!r} has no learning rate")
    if problems:
        raise UserError(
            f"the training strategy cannot work in {max_epochs} epochs:",
            problems,
            "Change train_cfg.max_epochs or the strategy in the config",
        )
    phases = tuple(
        Phase(phase["name"], start, end, phase["lr_factor"], phase["augmentation"])
        for phase, start, end in zip(strategy["phases"], starts, [*starts[1:], max_epochs], strict=True)
    )
    if from_scratch:
        stage_lrs = dict.fromkeys(names, tiers["head"] * lr_scale)
        opens_at = dict.fromkeys(names, 0)
    else:
        opens_at = {name: round(share * max_epochs) for name, share in opens.items()}
        stage_lrs = {stage.name: tiers[stage.tier] * lr_scale for stage in stages if stage.name in opens}
    total = max_epochs * steps_per_epoch
    warmup = strategy["warmup"]
    return Schedule(
        max_epochs=max_epochs,
        steps_per_epoch=steps_per_epoch,
        phases=phases,
        stage_lrs=stage_lrs,
        opens_at=opens_at,
        warmup_steps=int(min(max(warmup["share"] * total, warmup["at_least"]), warmup["at_most"], 0.2 * total)),
        ramp_steps=round(strategy["ramp_share"] * total),
        final_ratio=strategy["final_ratio"],
    )
