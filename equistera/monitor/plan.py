"""What a run is meant to do: its length, phases and base learning rate.

Our own runs say so in ``run.json``. For the rest, and for MMPose runs that were not started by this toolkit, the
config that MMEngine dumps beside every log is parsed, never executed.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pydantic

from equistera.errors import UserError, shape_problems
from equistera.files import read_json
from equistera.literals import settings_in
from equistera.training.values import is_number

RUN_FILE = "run.json"

_Epochs = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Phase:
    """A part of the training; epochs count from 0, ``end`` is the first epoch after it."""

    name: str
    start: _Epochs
    end: _Epochs

    def __post_init__(self):
        if not self.start < self.end:
            raise ValueError(f"phase {self.name!r} must start before it ends")


@dataclass(frozen=True)
class Plan:
    """What is known about a run beforehand; None or empty where nothing says.

    Attributes:
        config: Path of the config as the run was started with it.
        max_epochs: Length of the whole run.
        steps_per_epoch: Optimiser steps (iterations) in an epoch.
        phases: In order of time.
        watched: Metric by which ``best.pth`` is chosen, as the config names it.
        base_lr: ``optim_wrapper.optimizer.lr`` of the config.
        validation: What tells its validation annotations from others, for people.
        started: When the last start was, ``YYYY-mm-dd HH:MM:SS``.
    """

    config: str | None = None
    max_epochs: pydantic.PositiveInt | None = None
    steps_per_epoch: pydantic.PositiveInt | None = None
    phases: tuple[Phase, ...] = ()
    base_lr: float | None = None
    watched: str | None = None
    validation: str | None = None
    started: str | None = None

    def __post_init__(self):
        for earlier, later in itertools.pairwise(self.phases):
            if later.start < earlier.end:
                raise ValueError(
                    f"phase {later.name!r} starts at {later.start:g} before {earlier.name!r} ends at {earlier.end:g}"
                )

    def phase_at(self, position: float) -> Phase | None:
        """The phase at a moment, in epochs since the start; the last one holds on after its end."""
        if self.phases and position >= self.phases[-1].end:
            return self.phases[-1]
        return next((phase for phase in self.phases if phase.start <= position < phase.end), None)


def read_plan(work_dir: Path, config_dump: Path) -> Plan:
    """The plan of a run; ``run.json``, if there is one, goes before the config that MMEngine dumped beside the log.

    Raises:
        UserError: ``run.json`` is there but broken; all its problems are listed.
    """
    dumped = _dumped_settings(config_dump)
    base_lr = _get(dumped, "optim_wrapper", "optimizer", "lr")
    base_lr = float(base_lr) if is_number(base_lr) and base_lr > 0 else None
    # of ours and of MMPose's own configs
    watched = [_get(dumped, "default_hooks", "checkpoint", key) for key in ("best", "save_best")]
    known = Plan(base_lr=base_lr, watched=next((name for name in watched if isinstance(name, str)), None))
    path = work_dir / RUN_FILE
    if path.is_file():
        return _from_run_file(path, known)
    max_epochs = _get(dumped, "train_cfg", "max_epochs")
    return replace(known, max_epochs=max_epochs if type(max_epochs) is int and max_epochs >= 1 else None)


def _from_run_file(path: Path, known: Plan) -> Plan:
    content = read_json(path)
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if value is not None}
    try:
        # from JSON text: there a list may be a tuple and an object a phase, and nothing else is taken for another kind
        plan = pydantic.TypeAdapter(Plan).validate_json(json.dumps(content), strict=True)
    except pydantic.ValidationError as error:
        raise UserError(
            f"{path} cannot be used:",
            shape_problems(error),
            "Remove it to look at the log alone (without phases and time left).",
        ) from error
    return replace(plan, base_lr=known.base_lr, watched=known.watched)


def _dumped_settings(path: Path) -> dict[str, object]:
    """Settings of a dumped MMEngine config; only a courtesy for foreign runs, whose table can do without."""
    try:
        return settings_in(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _get(settings: Any, *keys: str) -> Any:
    for key in keys:
        settings = settings.get(key) if isinstance(settings, dict) else None
    return settings
