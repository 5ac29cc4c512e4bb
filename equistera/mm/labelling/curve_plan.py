"""What a learning curve costs: its trainings in a table, measured time, disk, and how a cluster runs them."""

from __future__ import annotations

from collections.abc import Sequence

from equistera.experiments.runs import array_lines
from equistera.labelling.curve_runs import Run
from equistera.mm.labelling.curve_setting import CurveOptions, Setting, budget
from equistera.mm.run.cost import cost_of
from equistera.progress import duration
from equistera.training.plan_text import gigabytes
from equistera.words import aligned


def plan_lines(options: CurveOptions, setting: Setting, runs: Sequence[Run]) -> list[str]:
    """What a call would do, with the time that it takes here: a few steps are trained for it and thrown away."""
    rows = [["", "pictures", "groups", "animals", "seed", "time" if options.max_time else "epochs x steps", ""]]
    for i, run in enumerate(runs, start=1):
        epochs = run.epochs or setting.config.train_cfg.max_epochs
        state = run.state(setting.split)
        length = options.max_time or f"{epochs} x {run.steps_per_epoch}"
        row = [i, run.pictures, run.groups, run.animals, run.seed, length, state]
        rows.append([str(cell) for cell in row])
    left = [run for run in runs if run.metrics(setting.split) is None]
    lines = ["Trainings", *(f"  {line}" for line in aligned(rows)), "", f"  budget  {budget(options, setting)}"]
    lines.append(f"  scored  on {setting.split}, by the best weights of each")
    seconds, disk = _cost(options, setting, left)
    at_best = f", with --jobs {options.jobs} at best {duration(seconds / options.jobs)}" if options.jobs > 1 else ""
    how = "as the time given" if options.max_time else "by a few measured steps"
    lines.append(f"  time    about {duration(seconds)} one after the other{at_best}, on this machine, {how}")
    lines.append(f"  disk    up to {gigabytes(disk)} of checkpoints")
    lines += ["", "On a cluster each training is a job, and the same command draws the curve afterwards:"]
    return [*lines, *array_lines("learning_curve", options.argv, len(runs))]


def _cost(options: CurveOptions, setting: Setting, runs: Sequence[Run]) -> tuple[float, int]:
    """Seconds and bytes that trainings take, their scoring included."""
    cost, train_cfg = cost_of(options.training(options.runs, plan=True)), setting.config.train_cfg
    seconds = sum(
        cost.of_length(
            run.epochs or train_cfg.max_epochs, run.steps_per_epoch, run.val_interval or train_cfg.val_interval
        )
        for run in runs
    )
    return seconds + len(runs) * cost.scoring, len(runs) * cost.disk
