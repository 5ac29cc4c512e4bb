"""How long a run of a given time is, ``--max-time 2h`` in epochs, steps and evaluations, and how it keeps to it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pydantic

from equistera.errors import UserError
from equistera.progress import duration
from equistera.training.schedule import HANDFUL, first_epoch
from equistera.words import counted

#: Most of the time that evaluations may take.
EVALUATION_SHARE = 0.1

#: More evaluations than these show nothing new: a curve of 60 points, as in 300 epochs evaluated every 5.
MOST_EVALUATIONS = 60

#: Share of the time that is planned with. A run may end 5 % early or late; machines slow down more often than they
#: speed up.
PLANNED_SHARE = 0.98

#: A run that holds fewer whole epochs than these may have shorter ones instead: whole ones are then so long that they
#: would leave more than a fortieth of the time unused, and give :func:`replanned` little to correct.
FINE_EPOCHS = 40

#: Share of the planned time that shorter epochs may leave unused.
_UNUSED = 0.025

#: The length changes when the run would end outside of these shares of its time; within them the clock is only noise.
EARLIEST, LATEST = 0.96, 0.995

#: Epochs that tell how fast the machine is where fewer are left: in a busy minute near the end of five, fewer know
#: nothing else (of 1,500 such runs 47 ended more than 5 % early with 5, none with 16).
_LEAST_EPOCHS = 16

#: The most by which a length moves from one that was told to the next: a third up, a third down.
MOST_MOVED = 1 / 3

#: Share of the possible steps that may be lost to have more epochs.
_LOST_STEPS = 0.01

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)

#: Longest time that is no slip of the finger.
_MOST_DAYS = 365


def parse_duration(text: str) -> float:
    """Reads a time such as ``2h``, ``90m``, ``1h30m``, ``10m30s``, ``1.5h`` or ``2d``.

    Args:
        text: Numbers with units d, h, m and s, each at most once, in this order; spaces do not matter.

    Returns:
        Seconds, above 0.

    Raises:
        UserError: The text is no such time.
    """
    compact = "".join(text.split()).lower()
    match = _DURATION.fullmatch(compact)
    if not compact or match is None:
        unit = " (a unit is missing)" if compact.replace(".", "", 1).isdigit() else ""
        raise UserError(f"{text!r} is no time{unit}: expected for example 2h, 90m, 1h30m or 10m30s")
    parts = zip(match.groups(), _SECONDS.values(), strict=True)
    seconds = sum(float(number) * unit for number, unit in parts if number is not None)
    if not 0 < seconds <= _MOST_DAYS * _SECONDS["d"]:
        raise UserError(f"{text!r} is out of range: expected a time above 0 and up to {_MOST_DAYS} days")
    return seconds


@dataclass(frozen=True)
class StepTime:
    """How long a step takes from some moment of the run on; open stages cost time, frozen ones save it.

    Attributes:
        start: Share of the run at which it begins to hold.
        seconds: Seconds for an optimiser step.
    """

    start: float
    seconds: float


@dataclass(frozen=True)
class Costs:
    """What a run's parts take, in seconds, as measured on the machine.

    Attributes:
        steps: Step times, the first from 0 on, starts ascending.
        evaluation: One evaluation, with all that belongs to it (training subset, batch-norm statistics, best.pth).
        epoch: What every epoch costs beside its steps and evaluations: workers that start, checkpoints.
        start_up: What has gone by before the first step, the measuring included.
    """

    steps: tuple[StepTime, ...]
    evaluation: float
    epoch: float = 0.0
    start_up: float = 0.0


@dataclass(frozen=True)
class Fit:
    """The run that fits a time.

    Attributes:
        budget: The time asked for, seconds.
        costs: What it was fitted by.
        epochs: ``max_epochs``.
        steps_per_epoch: Steps in an epoch. Fewer than the pictures would give where whole epochs are too coarse for
            the time; an epoch then sees that many random batches.
        val_interval: Epochs between two evaluations; the last epoch is evaluated as well.
    """

    budget: float
    costs: Costs
    epochs: int
    steps_per_epoch: int
    val_interval: int

    @property
    def seconds(self) -> float:
        """The time it should take, start-up included."""
        return run_seconds(self.costs, self.epochs, self.steps_per_epoch, self.val_interval)

    @classmethod
    def from_json(cls, content: Mapping) -> Fit:
        """What ``dataclasses.asdict`` and a file have made of one.

        Raises:
            ValueError: It is none.
        """
        # from JSON text: there a list may be a tuple, and nothing else is taken for another kind
        return pydantic.TypeAdapter(cls).validate_json(json.dumps(content), strict=True)


def run_seconds(
    costs: Costs, epochs: int, steps_per_epoch: int, val_interval: int, done: int = 0, elapsed: float | None = None
) -> float:
    """How long a run takes from its start to its end.

    Args:
        costs: What its parts take.
        epochs: Epochs of the run.
        steps_per_epoch: Optimiser steps in an epoch.
        val_interval: Epochs between two evaluations.
        done: Complete epochs, whose time is known.
        elapsed: Seconds since the start of the run after ``done`` epochs; the start-up by default.
    """
    starts = [max(done, first_epoch(step.start, epochs)) for step in costs.steps]
    spans = zip(costs.steps, starts, [*starts[1:], epochs], strict=True)
    steps = sum(step.seconds * max(0, end - start) * steps_per_epoch for step, start, end in spans)
    evaluations = -(-epochs // val_interval) - done // val_interval
    elapsed = costs.start_up if elapsed is None else elapsed
    return elapsed + steps + (epochs - done) * costs.epoch + evaluations * costs.evaluation


def fit_to_time(budget: float, costs: Costs, steps_per_epoch: int, least_epochs: int = 1) -> Fit:
    """Finds the run that takes a given time.

    Evaluations get at most a tenth of it, but at least one of them takes place.

    Args:
        budget: Seconds from the start of the program to its end.
        costs: What the parts of the run take.
        steps_per_epoch: Steps that the pictures give.
        least_epochs: See :func:`equistera.training.schedule.least_epochs`.

    Returns:
        The longest run of at most :data:`PLANNED_SHARE` of the time.

    Raises:
        UserError: Not even the shortest run fits; the message says how long that takes.
    """
    planned = PLANNED_SHARE * budget
    shortest = run_seconds(costs, least_epochs, 1, least_epochs)
    if shortest > planned:
        raise UserError(
            f"{duration(budget)} are too short: {duration(math.ceil(costs.start_up))} have gone by before the first "
            f"step, an evaluation takes {duration(math.ceil(costs.evaluation))}, and the strategy needs "
            f"{counted(least_epochs, 'epochs')}",
            hint=f"--max-time must be at least {math.ceil(shortest / PLANNED_SHARE)}s, and several times that to learn",
        )
    evaluations = _affordable_evaluations(costs, planned)
    epochs = _most_epochs(lambda n: run_seconds(costs, n, steps_per_epoch, -(-n // evaluations)) <= planned)
    # an interval is a whole number, so there may be fewer evaluations than affordable, which leaves time for epochs
    val_interval = -(-max(1, epochs) // evaluations)
    epochs = _most_epochs(lambda n: run_seconds(costs, n, steps_per_epoch, val_interval) <= planned)
    if epochs >= max(FINE_EPOCHS, least_epochs):
        chosen = epochs, steps_per_epoch, val_interval
    else:
        chosen = _shorter_epochs(costs, planned, steps_per_epoch, least_epochs)
    return Fit(budget, costs, *chosen)


def _affordable_evaluations(costs: Costs, planned: float) -> int:
    if costs.evaluation * MOST_EVALUATIONS <= EVALUATION_SHARE * planned:
        return MOST_EVALUATIONS
    return max(1, int(EVALUATION_SHARE * planned / costs.evaluation))


def _most_epochs(fits: Callable[[int], bool], least: int = 0) -> int:
    """The largest number of epochs that fits, or ``least`` if none above it does."""
    low, high = least, least + 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shorter_epochs(costs: Costs, planned: float, steps_per_epoch: int, least_epochs: int) -> tuple[int, int, int]:
    """Epochs, steps in each and evaluation interval of the run with nearly the most steps and with many epochs."""
    evaluations = _affordable_evaluations(costs, planned)
    candidates: list[tuple[int, int, int]] = []
    # with few steps in an epoch one more may be too long and one less too short: then there are more epochs
    enough = max(FINE_EPOCHS, least_epochs) + 1
    for begin, end in ((least_epochs, enough), (enough, 2 * enough)):
        for epochs in range(begin, end):
            val_interval = -(-epochs // evaluations)
            fixed = run_seconds(costs, epochs, 0, val_interval)
            per_step = run_seconds(costs, epochs, 1, val_interval) - fixed
            steps = min(steps_per_epoch, int((planned - fixed) / per_step))
            if steps >= 1:
                candidates.append((epochs, steps, val_interval))
        # whole epochs of a cheap phase can be the most steps and yet leave time to those of a dear one
        filling = [c for c in candidates if run_seconds(costs, *c) >= (1 - _UNUSED) * planned]
        if filling:
            break
    filling = filling or candidates
    most = max(epochs * steps for epochs, steps, _ in filling)
    good = [c for c in filling if c[0] * c[1] >= (1 - _LOST_STEPS) * most]
    return max(good, key=lambda c: (min(c[1], HANDFUL), c[0]))


def replanned(
    fit: Fit, paces: Sequence[float], evaluations: Sequence[float], done: int, elapsed: float, told: int
) -> int:
    """The epochs that still fit the time, after some of them: ``fit.epochs`` if the run ends in time.

    How fast the machine is follows from as many of the last epochs as are left: a busy minute changes little while most
    of the run is still to come, and a machine that has slowed for good is followed where it matters, at the end.
    Steps of an epoch and the evaluation interval stay, so that the past of the run stays what it was.

    Args:
        fit: The run as it was planned last, with the costs that were measured before it.
        paces: Time of each epoch so far over what the costs say of it.
        evaluations: Seconds that each evaluation so far has taken.
        done: Complete epochs.
        elapsed: Seconds since the start of the program.
        told: The number of epochs that a person was told last; see :data:`MOST_MOVED`.

    Returns:
        The most epochs that end within the planned time, at least one more than ``done``.
    """
    pace = statistics.median(paces[-max(_LEAST_EPOCHS, fit.epochs - done) :]) if paces else 1.0
    costs = dataclasses.replace(
        fit.costs,
        steps=tuple(StepTime(step.start, step.seconds * pace) for step in fit.costs.steps),
        epoch=fit.costs.epoch * pace,
        evaluation=statistics.median(evaluations) if evaluations else fit.costs.evaluation * pace,
    )

    def seconds(epochs: int) -> float:
        return run_seconds(costs, epochs, fit.steps_per_epoch, fit.val_interval, done, elapsed)

    if EARLIEST * fit.budget <= seconds(fit.epochs) <= LATEST * fit.budget:
        return fit.epochs
    least, most = math.ceil((1 - MOST_MOVED) * told), math.floor((1 + MOST_MOVED) * told)
    epochs = _most_epochs(lambda n: seconds(n) <= PLANNED_SHARE * fit.budget, least=done + 1)
    return max(done + 1, min(most, max(least, epochs)))


class Clock:
    """Keeps a run to the time that it was fitted to: it gets shorter when the machine slows, longer when it speeds up.

    The learning rates go on from where they are, see :func:`equistera.training.schedule.make_schedule`. The time of a
    run that was interrupted counts up to the checkpoint that it is resumed from.
    """

    def __init__(self, fit: Fit):
        self.fit = fit
        self._before = 0.0
        self._paces: list[float] = []
        self._evaluations: list[float] = []

    def begin(self, started: float, epochs: int) -> None:
        """Goes on with a run of so many epochs, in a program that began when ``time.monotonic()`` was ``started``."""
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
        """The epochs that the run is to have after ``done``; ``told``: a person has just heard how many there are."""
        self._told = self.fit.epochs if told else self._told
        return replanned(self.fit, self._paces, self._evaluations, done, self.elapsed, self._told)

    def follow(self, epochs: int) -> None:
        """Goes on with a run of another length."""
        self.fit = dataclasses.replace(self.fit, epochs=epochs)
