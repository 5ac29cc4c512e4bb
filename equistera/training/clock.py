"""How a run that was fitted to a time keeps to it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from equistera.training.fit import Fit, replanned
from equistera.training.schedule import first_epoch


class Clock:
    """Keeps a run to the time that it was fitted to: it gets shorter when the machine slows, longer when it speeds up.

    The learning rates go on from where they are, see :func:`equistera.training.schedule.make_schedule`. The time of a
    run
    that was interrupted counts up to the checkpoint that it is resumed from.

    Args:
        fit: The run as it was fitted.
    """

    def __init__(self, fit: Fit):
        self.fit = fit
        self._before = 0.0
        self._paces: list[float] = []
        self._evaluations: list[float] = []

    def begin(self, started: float, epochs: int) -> None:
        """Goes on with the run as it is.

        Args:
            started: ``time.monotonic()`` when the program began.
            epochs: Of the run: it has the length that was decided last.
        """
        self._zero = started - self._before
        self.follow(epochs)
        self._told = epochs

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken."""
        return time.monotonic() - self._zero

    def state_dict(self) -> dict:
        return {"elapsed": self.elapsed, "paces": [*self._paces], "evaluations": [*self._evaluations]}

    def load_state_dict(self, state: Mapping) -> None:
        self._before = state["elapsed"]
        self._paces, self._evaluations = [*state["paces"]], [*state["evaluations"]]

    def note_epoch(self, epoch: int, seconds: float) -> None:
        """Takes in how long an epoch (from 0) took, its evaluation not included."""
        costs = self.fit.costs
        begun = [step for step in costs.steps if first_epoch(step.start, self.fit.epochs) <= epoch]
        self._paces.append(seconds / (begun[-1].seconds * self.fit.steps_per_epoch + costs.epoch))

    def note_evaluation(self, seconds: float) -> None:
        """Takes in how long an evaluation took, the saves after it included."""
        self._evaluations.append(seconds)

    def length(self, done: int, told: bool) -> int:
        """The epochs that the run is to have.

        Args:
            done: Complete epochs.
            told: Whether a person has just been told how many there are.
        """
        self._told = self.fit.epochs if told else self._told
        return replanned(self.fit, self._paces, self._evaluations, done, self.elapsed, self._told)

    def follow(self, epochs: int) -> None:
        """Goes on with a run of another length."""
        self.fit = dataclasses.replace(self.fit, epochs=epochs)
