"""What holds at a step of a run: the phase, the open stages, their learning rates. Pure functions of the step.

A stage's learning rate is ::

    tier's LR x scale x warm-up(step) x cosine(step) x ramp(step since the stage opened) x factor of the phase
              x layer_decay ^ layers between it and the head

Warm-up and ramps only rise, everything else only falls, so a rate never rises outside of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from equistera.errors import UserError
from equistera.training.config_shape import strategy_problems
from equistera.training.stages import Stage
from equistera.words import counted

#: A warm-up's ``at_least`` of up to so many steps gives way in a run that is too short for it (a smoke test of a few
#: steps must run with the default strategy). A longer one was asked for, and a plan is refused rather than bent.
BENDING_FLOOR = 10

#: Share of a run that warm-up may take; ``check_plan`` refuses more.
MOST_WARMUP = 0.2

#: Steps that an epoch should have at least: with fewer, a batch is too large a part of the data set.
HANDFUL = 4


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
        stages: Names of all stages, from input to output.
        stage_lrs: Peak learning rate by stage name.
        opens_at: Epoch at which a stage opens, by name; a stage that is frozen for good is not in it.
        warmup_steps: Steps of the linear warm-up.
        ramp_steps: Steps in which a stage that opens later comes up to its learning rate.
        final_ratio: Share of the peak that the cosine ends at.
        from_scratch: Every stage is open from the start because there are no weights worth freezing.
        least_epochs: The fewest epochs in which every phase has one and every stage opens.
        knots: ``(epoch, share of the run)`` where the length of the run was changed on the way, in order.
        layer_decay: Factor on the rate from each layer of a stage to the one before it; a stage's rate is that of its
            last layer.
    """

    max_epochs: int
    steps_per_epoch: int
    phases: tuple[Phase, ...]
    stages: tuple[str, ...]
    stage_lrs: Mapping[str, float]
    opens_at: Mapping[str, int]
    warmup_steps: int
    ramp_steps: int
    final_ratio: float
    from_scratch: bool
    least_epochs: int
    knots: tuple[tuple[int, float], ...] = ()
    layer_decay: float = 1.0

    @property
    def total_steps(self) -> int:
        return self.max_epochs * self.steps_per_epoch

    def share_at(self, epoch: float) -> float:
        """The share of the run that is over after ``epoch`` complete epochs, in [0, 1]."""
        return _share_at(epoch, self.knots, self.max_epochs)

    def phase_at(self, epoch: int) -> Phase:
        """The phase that an epoch (from 0) lies in; the last one holds on."""
        return next(phase for phase in reversed(self.phases) if phase.start <= max(0, epoch))

    def is_open(self, stage: str, epoch: int) -> bool:
        """Whether a stage trains in an epoch (from 0)."""
        return stage in self.opens_at and epoch >= self.opens_at[stage]

    def last_change(self, epoch: int) -> int:
        """The latest epoch, up to ``epoch`` (both from 0), at which a phase began or a stage opened."""
        changes = (*self.opens_at.values(), *(phase.start for phase in self.phases))
        return max((change for change in changes if change <= epoch), default=0)

    def stale_epochs(self, scores: Iterable[tuple[int, float]], min_delta: float = 0.0) -> int:
        """Epochs up to the last evaluation since a score improved, or since the run last changed what it trains.

        A phase that begins or a stage that opens may lift a score that stood still, so patience counts anew from there.

        Args:
            scores: ``(epoch, score)`` of every evaluation so far; ``epoch`` counts complete epochs, higher is better.
            min_delta: What a score must gain to count as an improvement; one that is not a number is none.
        """
        best, improved, last = float("-inf"), 0, 0
        for epoch, score in scores:
            last = epoch
            # with NaN the comparison is false
            if score > best + min_delta:
                best, improved = score, epoch
        # the evaluation after epoch N (from 1) scores what epoch index N - 1 trained
        return last - max(improved, self.last_change(max(0, last - 1)))

    def lr(self, stage: str, step: int, layers_after: int = 0) -> float:
        """Learning rate of a stage at an optimiser step (from 0); 0 while it is frozen.

        Args:
            stage: Its name.
            step: Counted from 0.
            layers_after: For a layer of the stage: how many layers of the stage follow it.
        """
        epoch = step // self.steps_per_epoch
        if not self.is_open(stage, epoch):
            return 0.0
        warmup = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        progress = self._annealed(step)
        cosine = self.final_ratio + (1 - self.final_ratio) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        opened = self.opens_at[stage] * self.steps_per_epoch
        ramp = min(1.0, (step - opened + 1) / self.ramp_steps) if opened and self.ramp_steps else 1.0
        peak = self.stage_lrs[stage] * self.layer_decay**layers_after
        return peak * warmup * cosine * ramp * self.phase_at(epoch).lr_factor

    def _annealed(self, step: int) -> float:
        """How far the cosine is at a step: 0 until the warm-up ends, 1 at the end of the run."""
        if not self.knots:
            return max(0, step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        warm = self.share_at(self.warmup_steps / self.steps_per_epoch)
        return max(0.0, self.share_at(step / self.steps_per_epoch) - warm) / (1 - warm) if warm < 1 else 1.0


def opening(share: float, lengths: Sequence[Sequence[int]]) -> int:
    """The epoch (from 0) at which something begins that begins after a share of the run.

    Args:
        share: Of the run as it was planned first.
        lengths: ``(complete epochs when it was decided, epochs of the run)``, the first after 0.
    """
    epoch = first_epoch(share, lengths[0][1])
    for (_, before), (done, now) in itertools.pairwise(lengths):
        if epoch > done:
            epoch = done + round((epoch - done) * (now - done) / (before - done))
    return epoch


def _knots(lengths: Sequence[tuple[int, int]]) -> tuple[tuple[int, float], ...]:
    knots: list[tuple[int, float]] = []
    for (_, before), (done, _) in itertools.pairwise(lengths):
        knots.append((done, _share_at(done, knots, before)))
    return tuple(knots)


def _share_at(epoch: float, knots: Sequence[tuple[int, float]], max_epochs: int) -> float:
    for (start, before), (end, after) in itertools.pairwise([(0, 0.0), *knots, (max_epochs, 1.0)]):
        if epoch < end:
            return before + (after - before) * (epoch - start) / (end - start)
    return 1.0


def make_schedule(
    strategy: Mapping,
    stages: Sequence[Stage],
    max_epochs: int,
    steps_per_epoch: int,
    lr_scale: float = 1.0,
    from_scratch: bool = False,
    later: Sequence[tuple[int, int]] = (),
) -> Schedule:
    """Works the config's strategy out for a run of a given length, which may have changed on the way.

    Whether the run is long enough for it is a matter of the plan: see :func:`length_problems`.

    Where the length changes, what is over stays as it was; what remains is stretched or shortened evenly, so that the
    cosine goes on from where it is and no learning rate jumps. Phases that have begun and stages that are open remain
    so; a phase or a stage may get no epoch of a remainder that is too short for it.

    Args:
        strategy: ``strategy`` of ``configs/_base_/schedules/three_phase.py``, which describes its fields.
        stages: The network's stages.
        max_epochs: Epochs of the run as it was planned first.
        steps_per_epoch: Optimiser steps in an epoch; 0 where the pictures do not fill one batch.
        lr_scale: Factor on every learning rate, see :func:`equistera.training.scaling.scale_lr`.
        from_scratch: There are no weights worth freezing: every stage is open from the start at the head's LR.
        later: ``(complete epochs when it was decided, epochs of the run)`` of every other length.

    Raises:
        UserError: The strategy is malformed or does not fit the network; all findings are listed.
    """
    problems = strategy_problems(strategy, stages, from_scratch)
    if problems:
        raise UserError(
            "the training strategy cannot work:",
            problems,
            "configs/_base_/schedules/three_phase.py describes every field of 'strategy'",
        )
    tiers, opens, names = strategy["tier_lr"], strategy["opens_at"], tuple(stage.name for stage in stages)
    lengths, total = [(0, max_epochs), *later], max_epochs * steps_per_epoch
    decay = 1.0 if from_scratch else strategy.get("layer_decay", 1.0)
    if from_scratch:
        stage_lrs = dict.fromkeys(names, tiers["head"] * lr_scale)
        opens_at = dict.fromkeys(names, 0)
    else:
        layers = _layers_to_head(stages)
        stage_lrs = {
            stage.name: tiers[stage.tier] * lr_scale * decay ** layers[stage.name]
            for stage in stages
            if stage.name in opens
        }
        opens_at = {name: opening(opens[name], lengths) for name in names if name in opens}
    starts = [opening(phase["start"], lengths) for phase in strategy["phases"]]
    return Schedule(
        max_epochs=lengths[-1][1],
        steps_per_epoch=steps_per_epoch,
        phases=tuple(
            Phase(phase["name"], start, end, phase["lr_factor"], phase["augmentation"])
            for phase, start, end in zip(strategy["phases"], starts, [*starts[1:], lengths[-1][1]], strict=True)
        ),
        stages=names,
        stage_lrs=stage_lrs,
        opens_at=opens_at,
        warmup_steps=_warmup_steps(strategy["warmup"], total, steps_per_epoch),
        ramp_steps=round(strategy["ramp_share"] * total),
        final_ratio=strategy["final_ratio"],
        from_scratch=from_scratch,
        least_epochs=least_epochs(strategy, from_scratch),
        knots=_knots(lengths),
        layer_decay=decay,
    )


def _layers_to_head(stages: Sequence[Stage]) -> dict[str, int]:
    """Layers between each stage's last one and the head, by name; the head's stages count none."""
    counts, after = {}, 0
    for stage in reversed(stages):
        counts[stage.name] = after
        after += 0 if stage.tier == "head" else stage.layers
    return counts


def first_epoch(share: float, max_epochs: int) -> int:
    """The epoch (from 0) at which something begins that begins after a share of the run."""
    return round(share * max_epochs)


def _warmup_steps(warmup: Mapping, total_steps: int, steps_per_epoch: int) -> int:
    if warmup.get("epochs") is not None:
        return round(warmup["epochs"] * steps_per_epoch)
    floor = warmup["at_least"]
    if floor <= BENDING_FLOOR:
        floor = min(floor, MOST_WARMUP * total_steps)
    return int(min(max(warmup["share"] * total_steps, floor), warmup["at_most"]))


def length_problems(schedule: Schedule) -> list[str]:
    """What a run is too short for: phases without an epoch, stages that would never open."""
    epochs = f"of {counted(schedule.max_epochs, 'epochs')}"
    problems = [f"phase {phase.name!r} gets none {epochs}" for phase in schedule.phases if phase.end <= phase.start]
    return problems + [
        f"stage {name!r} opens after the last {epochs}"
        for name, epoch in schedule.opens_at.items()
        if epoch >= schedule.max_epochs
    ]


#: No strategy that a person writes needs more epochs than this to have one in each phase.
_MOST_EPOCHS = 1000


def least_epochs(strategy: Mapping, from_scratch: bool = False) -> int:
    """The fewest epochs in which every phase of a valid strategy has one and every stage opens.

    Raises:
        UserError: Two phases are so close, or one is so late, that there is no such number worth training.
    """
    shares = [phase["start"] for phase in strategy["phases"]]
    latest = max([*shares, *(() if from_scratch else strategy["opens_at"].values())])
    for epochs in range(1, _MOST_EPOCHS + 1):
        starts = [first_epoch(share, epochs) for share in shares]
        if len({*starts}) == len(starts) and first_epoch(latest, epochs) < epochs:
            return epochs
    raise UserError(
        f"the training strategy has a phase too short for {_MOST_EPOCHS} epochs, or a stage that opens too late",
        hint=f"strategy.phases start at {', '.join(f'{s:g}' for s in shares)}; the latest opening is at {latest:g}",
    )
