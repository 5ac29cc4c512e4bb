"""What a run is going to do, worked out before its first step. ``plan_check`` judges it, ``plan_text`` shows it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from equistera.training.checkpoints import disk_use, times_in_run
from equistera.training.ema import Ema
from equistera.training.fit import Fit
from equistera.training.scaling import LrScaling
from equistera.training.schedule import Phase, Schedule


@dataclass(frozen=True)
class SourceSummary:
    """A data set beside a run's own.

    Attributes:
        name: Of the set.
        pictures, animals: That teach a point of ours.
        samples: Of them in an epoch.
        skeleton: What it is labelled in, in words.
        mapped, unmapped: Its points that are ours, and those that are not.
        without: Our points that it does not teach.
        left_out: Pictures that are elsewhere in the run, by where.
        val_animals: That it is scored by in each evaluation.
    """

    name: str
    pictures: int
    animals: int
    samples: int
    skeleton: str
    mapped: tuple[str, ...]
    unmapped: tuple[str, ...]
    without: tuple[str, ...]
    left_out: Mapping[str, int]
    val_animals: int = 0


@dataclass(frozen=True)
class DataSummary:
    """What a run trains and evaluates on: pictures with a labelled animal, and animals, which are the samples.

    ``notes`` say what of it is not learned from; ``sources`` are the data sets beside its own, and ``epoch_samples``
    what an epoch has with them, if it is not as many as there are animals.
    """

    train_pictures: int
    train_animals: int
    val_pictures: int
    val_animals: int
    notes: tuple[str, ...] = ()
    sources: tuple[SourceSummary, ...] = ()
    epoch_samples: int | None = None

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return self.epoch_samples or self.train_animals


@dataclass(frozen=True)
class PhasePlan:
    """A phase of the run.

    Attributes:
        phase: Its epochs and augmentation.
        frozen: Stages that stay frozen until its end.
        rates: Learning rates of the stages that train in it, from the output to the input: at the phase's first step,
            at the step in the middle and at the last; 0 while the stage is frozen.
    """

    phase: Phase
    frozen: tuple[str, ...]
    rates: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Plan:
    """A whole run; :func:`equistera.training.plan_check.check_plan` judges it.

    Attributes:
        schedule: Epochs, phases, learning rates.
        data: What it trains and evaluates on.
        batch_size: Samples in a batch of one process.
        processes: Processes that train together.
        drop_last: Whether the samples that do not fill a last batch are left out.
        val_interval: Epochs between two evaluations; the last epoch is evaluated as well.
        checkpoint_interval: Epochs between two checkpoints; the last epoch is saved as well.
        checkpoints_kept: How many are kept beside ``best.pth``; 0 keeps all.
        checkpoint_bytes: Size of one, see :func:`equistera.training.checkpoints.checkpoint_bytes`.
        best_bytes: Size of ``best.pth``.
        watched: Metric that decides what is best.
        produced: Metrics that an evaluation gives and of which higher is better.
        lr: The factor on the learning rates.
        accumulated: Steps whose gradients make one update; an epoch's last update takes those that are left.
        ema: Averaged weights, or None.
        patience: Epochs without an improvement after which the run stops, or None.
        fit: The time that the run was fitted to, or None.
        norm_eval: Whether the backbone's normalisation layers train by the statistics that they start with.
        disk_free: Free bytes where the checkpoints go, or None if unknown.
        seconds: About how long the run takes, by a few measured steps; None if none were.
    """

    schedule: Schedule
    data: DataSummary
    batch_size: int
    processes: int
    drop_last: bool
    val_interval: int
    checkpoint_interval: int
    checkpoints_kept: int
    checkpoint_bytes: int
    best_bytes: int
    watched: str
    produced: tuple[str, ...]
    lr: LrScaling
    accumulated: int = 1
    ema: Ema | None = None
    patience: int | None = None
    fit: Fit | None = None
    norm_eval: bool = False
    disk_free: int | None = None
    seconds: float | None = None

    @functools.cached_property
    def phases(self) -> tuple[PhasePlan, ...]:
        """Those that have a step, in order."""
        lasting = [phase for phase in self.schedule.phases if phase.end > phase.start]
        return tuple(_phase_plan(self.schedule, phase) for phase in lasting if self.schedule.steps_per_epoch)

    @property
    def batch(self) -> str:
        """The batch in words."""
        return f"{self.batch_size}" + (f" on each of {self.processes} processes" if self.processes > 1 else "")

    @property
    def evaluations(self) -> int:
        return times_in_run(self.val_interval, self.schedule.max_epochs)

    @property
    def whole_epoch(self) -> int:
        """Steps that the pictures give an epoch; ``--max-time`` may leave fewer."""
        return steps_in_epoch(self.data.samples, self.batch_size, self.processes, self.drop_last)

    @property
    def disk_bytes(self) -> int:
        """The most that the checkpoints take at a time."""
        saves = times_in_run(self.checkpoint_interval, self.schedule.max_epochs)
        return disk_use(self.checkpoint_bytes, self.best_bytes, self.checkpoints_kept, saves)


def steps_in_epoch(samples: int, batch_size: int, processes: int = 1, drop_last: bool = True) -> int:
    """Optimiser steps in an epoch.

    Args:
        samples: Samples of the data set; processes share them, the last ones doubled to make the shares equal.
        batch_size: Samples in a batch of one process.
        processes: Processes that train together.
        drop_last: Whether the samples that do not fill a last batch are left out.

    Returns:
        Steps; 0 where the samples do not fill one batch and ``drop_last`` holds.
    """
    share = -(-samples // processes)
    return share // batch_size if drop_last else -(-share // batch_size)


def _phase_plan(schedule: Schedule, phase: Phase) -> PhasePlan:
    first, last = phase.start * schedule.steps_per_epoch, phase.end * schedule.steps_per_epoch - 1
    middle = (first + last + 1) // 2
    opened = [name for name in reversed(schedule.stages) if schedule.is_open(name, phase.end - 1)]
    return PhasePlan(
        phase,
        frozen=tuple(name for name in schedule.stages if name not in opened),
        rates={name: (schedule.lr(name, first), schedule.lr(name, middle), schedule.lr(name, last)) for name in opened},
    )
