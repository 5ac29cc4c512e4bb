"""Keeps a run to the time it was fitted to: it gets shorter when the machine slows, longer when it speeds up."""

from __future__ import annotations

import dataclasses
import statistics
import time

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from equistera.mm.run.run_file import write_run_file
from equistera.progress import duration
from equistera.training.fit import Costs, Fit, StepTime, refit, run_seconds
from equistera.training.schedule import first_epoch
from equistera.words import counted

#: The length changes when the run would end outside of these shares of its time; within them the clock is only noise.
EARLIEST, LATEST = 0.96, 0.995

#: Epochs whose time tells how fast the machine is now, and evaluations.
_RECENT_EPOCHS, _RECENT_EVALUATIONS = 5, 3


@HOOKS.register_module()
class KeepToTime(Hook):
    """Looks at the clock before every epoch, and stretches or shortens what remains of the run.

    The learning rates go on from where they are, see :func:`equistera.training.schedule.refitted`. The time of a run
    that was interrupted counts up to the checkpoint that it is resumed from.

    Args:
        fitted: ``Fitted.to_json()`` of :mod:`equistera.mm.run.fit_to_time`.
        elapsed: Seconds since the program began.
    """

    # before ApplySchedule, which stands behind it in the config
    priority = "HIGHEST"

    def __init__(self, fitted: dict, elapsed: float):
        self._fit = Fit(**fitted["fit"])
        costs = dict(fitted["costs"])
        steps = tuple(StepTime(**step) for step in costs.pop("steps"))
        self._costs = Costs(steps=steps, **costs)
        self._zero = time.monotonic() - elapsed
        self._paces: list[float] = []
        self._evaluations: list[float] = []
        self._epoch_began: float | None = None
        self._epoch_ended: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken."""
        return time.monotonic() - self._zero

    def state_dict(self) -> dict:
        return {
            "elapsed": self.elapsed,
            "paces": list(self._paces),
            "evaluations": list(self._evaluations),
        }

    def load_state_dict(self, state: dict) -> None:
        self._zero -= state["elapsed"]
        self._paces, self._evaluations = list(state["paces"]), list(state["evaluations"])

    def before_train(self, runner) -> None:
        # a run that goes on has the length that was decided last
        self._fit = dataclasses.replace(self._fit, epochs=runner.max_epochs)

    def before_train_epoch(self, runner) -> None:
        done = runner.epoch
        if runner.train_loop.batch:
            # goes on within an epoch, whose time says nothing
            self._epoch_began = None
            return
        if self._epoch_ended is not None and runner.evaluates_after(done):
            self._evaluations.append(time.monotonic() - self._epoch_ended)
        if self._paces:
            self._keep(runner, done)
        self._epoch_began = time.monotonic()

    def after_train_epoch(self, runner) -> None:
        self._epoch_ended = time.monotonic()
        if self._epoch_began is None:
            return
        expected = self._step_seconds(runner.epoch) * self._fit.steps_per_epoch + self._costs.epoch
        self._paces.append((self._epoch_ended - self._epoch_began) / expected)

    def _step_seconds(self, epoch: int) -> float:
        """As measured before the run, for the stages that are open in an epoch."""
        begun = [step for step in self._costs.steps if first_epoch(step.start, self._fit.epochs) <= epoch]
        return begun[-1].seconds

    def _keep(self, runner, done: int) -> None:
        pace = statistics.fmean(self._paces[-_RECENT_EPOCHS:])
        evaluations = self._evaluations[-_RECENT_EVALUATIONS:]
        costs = dataclasses.replace(
            self._costs,
            steps=tuple(StepTime(step.start, step.seconds * pace) for step in self._costs.steps),
            epoch=self._costs.epoch * pace,
            evaluation=statistics.fmean(evaluations) if evaluations else self._costs.evaluation * pace,
        )
        fit, elapsed = self._fit, self.elapsed
        seconds = run_seconds(costs, fit.epochs, fit.steps_per_epoch, fit.val_interval, done, elapsed)
        if not EARLIEST * fit.budget <= seconds <= LATEST * fit.budget:
            fit = refit(fit, costs, done, elapsed)
        # every process must take the same turn, so one clock decides
        decided = [fit]
        broadcast_object_list(decided)
        (fit,) = decided
        if fit.epochs == self._fit.epochs:
            return
        runner.logger.info(
            f"after {duration(elapsed)} and {counted(done, 'epochs')} the run would take {duration(seconds)}: "
            f"{counted(fit.epochs, 'epochs')} instead of {self._fit.epochs}"
        )
        self._fit = fit
        runner.change_length(done, fit.epochs)
        if is_main_process():
            write_run_file(runner)
