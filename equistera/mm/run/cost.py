"""What trainings cost on this machine before any has begun: a few steps are trained for it and thrown away."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import cast

from equistera.mm.run.fit_to_time import measure
from equistera.mm.run.settle import RunSpec, settle
from equistera.training.fit import Costs, parse_duration, run_seconds
from equistera.training.options import TrainOptions


@dataclass(frozen=True)
class Cost:
    """What one training takes.

    Attributes:
        parts: In seconds, as measured; None where a time is given.
        seconds: All of it, with the config's own length.
        disk: Bytes of its checkpoints, at most.
    """

    parts: Costs | None
    seconds: float
    disk: int

    def of_length(self, epochs: int, steps_per_epoch: int, val_interval: int) -> float:
        """Seconds with another length; ``seconds`` where a time is given."""
        return run_seconds(self.parts, epochs, steps_per_epoch, val_interval) if self.parts else self.seconds

    @property
    def scoring(self) -> float:
        """Seconds in which ``tools/test.py`` scores it; 0 where a time is given, which is the larger part by far."""
        return self.parts.start_up + self.parts.evaluation if self.parts else 0.0


def cost_of(options: TrainOptions) -> Cost:
    """Measures what a training with these options costs, which neither resumes nor begins.

    Raises:
        UserError: It cannot be trained.
    """
    # nothing is resumed, so it is no finished run
    spec = cast(RunSpec, settle(options))
    if options.max_time:
        return Cost(None, parse_duration(options.max_time), spec.plan.disk_bytes)
    print("measuring a few steps ...", file=sys.stderr, flush=True)
    costs = measure(spec.config, spec.network, options.started, spec.work_dir)
    schedule = spec.plan.schedule
    lengths = schedule.max_epochs, schedule.steps_per_epoch, spec.plan.val_interval
    return Cost(costs, run_seconds(costs, *lengths), spec.plan.disk_bytes)
