"""``--max-time``: what a run costs on this machine is measured, and its config fitted to the time."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce
from mmengine.registry import LOOPS

from equistera.errors import UserError
from equistera.files import read_json
from equistera.literals import settings_in
from equistera.mm.network import checkpoint
from equistera.mm.run.loop import ResumableTrainLoop
from equistera.mm.run.network_check import NOT_TOGETHER, as_config_says
from equistera.mm.run.preflight import augmentation_by_epoch
from equistera.mm.run.run_file import RUN_FILE
from equistera.mm.run.trainer import Trainer
from equistera.outputs import check_folder
from equistera.processes import rank, world_size
from equistera.progress import duration
from equistera.training.fit import Costs, Fit, StepTime, fit_to_time, run_seconds
from equistera.training.plan import Plan
from equistera.training.schedule import Schedule
from equistera.training.work_dir import nearest_folder

#: Steps that are not timed, because they choose algorithms and fill caches, and steps that are; on a GPU and a CPU.
_STEPS = {"cuda": (3, 8), "cpu": (1, 2)}

#: An evaluation that is estimated to take no more of the time than this is carried out to measure it.
_TRIED = 0.03


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fit and the costs that it was made from, as ``run.json`` keeps them for ``--resume``."""

    fit: Fit
    costs: Costs

    def to_json(self) -> dict:
        return {"fit": dataclasses.asdict(self.fit), "costs": dataclasses.asdict(self.costs)}

    @classmethod
    def from_json(cls, content: dict) -> Fitted:
        costs = dict(content["costs"])
        steps = tuple(StepTime(**step) for step in costs.pop("steps"))
        return cls(Fit(**content["fit"]), Costs(steps=steps, **costs))


def fit(
    config: Config, budget: float, steps_per_epoch: int, least_epochs: int, started: float, work_dir: Path
) -> Fitted:
    """Measures the first steps of a run and an evaluation, and finds the run that takes ``budget`` seconds.

    Args:
        config: Of the run, complete but for its length.
        budget: Seconds from ``started`` to the end of the run.
        steps_per_epoch: Steps that the pictures give.
        least_epochs: See :func:`equistera.training.schedule.least_epochs`.
        started: ``time.monotonic()`` when the program began.
        work_dir: Of the run, which need not exist.

    Raises:
        UserError: The time is too short for any run.
    """
    costs = measure(config, budget, started, work_dir)
    return Fitted(fit_to_time(budget, costs, steps_per_epoch, least_epochs), costs)


def estimate(config: Config, plan: Plan, work_dir: Path, done: int) -> float:
    """About how many seconds a run takes on this machine, from its first step on, by a few measured ones.

    Args:
        config: Of the run, complete; the loaders read crops where the run's cache is there already.
        plan: Of the run.
        work_dir: Of the run, which need not exist.
        done: Complete epochs of a run that goes on.
    """
    if rank() == 0:
        print("measuring a few steps ...", file=sys.stderr, flush=True)
    # no time is left for an evaluation: it is estimated
    costs = measure(config, 0.0, time.monotonic(), work_dir)
    schedule = plan.schedule
    interval = plan.setup.val_interval
    return run_seconds(costs, schedule.max_epochs, schedule.steps_per_epoch, interval, done, elapsed=0.0)


def earlier_fit(work_dir: Path, meta: Mapping, budget: float | None) -> Fitted | None:
    """The fit that the run in ``work_dir`` was started with; None if it was not fitted.

    Args:
        work_dir: Of the run that is resumed.
        meta: Of its checkpoint, whose config says it where ``run.json`` is gone.
        budget: ``--max-time`` in seconds, which may be given again, or None.

    Raises:
        UserError: Another time was given.
    """
    path = work_dir / RUN_FILE
    content = read_json(path) if path.is_file() else settings_in(str(meta.get("config")))
    try:
        fitted = Fitted.from_json(content["fitted"]) if content.get("fitted") else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} says how the run was fitted to a time, but it was changed or damaged",
            hint="Start the run anew, without --resume; --init takes its latest.pth",
        ) from error
    if budget is not None and (fitted is None or fitted.fit.budget != budget):
        was = f"fitted to {duration(fitted.fit.budget)}" if fitted else "not fitted to a time"
        raise UserError(
            f"--max-time {duration(budget)}: the run that is resumed was {was}", hint="Leave --max-time out"
        )
    return fitted


def apply_fit(config: Config, fitted: Fitted, elapsed: float) -> None:
    """Gives a config the length that was fitted, and the hook that keeps to it.

    Args:
        config: Of the run; changed.
        fitted: What :func:`fit` found.
        elapsed: Seconds since the program began.
    """
    config.fitted = fitted.to_json()
    fit, dataset = fitted.fit, config.train_dataloader.dataset
    config.train_cfg.max_epochs, config.train_cfg.val_interval = fit.epochs, fit.val_interval
    # a save belongs to each evaluation and is part of its measured time
    config.default_hooks.checkpoint.interval = fit.val_interval
    config.train_dataloader.sampler.most = fit.steps_per_epoch * config.train_dataloader.batch_size
    dataset.augmentation = augmentation_by_epoch(config)
    config.custom_hooks = [{"type": "KeepToTime", "fitted": config.fitted, "elapsed": elapsed}, *config.custom_hooks]


def measure(config: Config, budget: float, started: float, work_dir: Path) -> Costs:
    """Runs a few steps with every set of open stages, and an evaluation if there is time for it.

    Nothing of it is kept: logs and a checkpoint go into a temporary folder on the disk of the work dir, which is the
    one whose speed counts.

    Args:
        config: Of the run.
        budget: Seconds that the run may take.
        started: ``time.monotonic()`` when the program began.
        work_dir: Of the run, which need not exist.

    Raises:
        UserError: The disk cannot be written to.
    """
    began = time.monotonic()
    probe = Config(config._cfg_dict.to_dict(), filename=config.filename)
    probe.load_from, probe.resume = None, False
    probe.train_cfg = {"type": "MeasuringLoop", "budget": budget, "max_epochs": config.train_cfg.max_epochs}
    probe.default_hooks = {**config.default_hooks, "logger": None, "checkpoint": None}
    kept = ("ApplySchedule", "EvaluatedWeights", "SyncBuffersHook")
    probe.custom_hooks = [hook for hook in config.custom_hooks if hook["type"] in kept]
    probe.visualizer = {"type": "Visualizer", "vis_backends": None}
    disk = nearest_folder(work_dir)
    check_folder("--work-dir", disk)
    with tempfile.TemporaryDirectory(prefix=".measuring_", dir=disk) as folder:
        probe.work_dir = folder
        with as_config_says(NOT_TOGETHER):
            trainer = Trainer.from_cfg(probe)
            trainer.prepare()
        built = time.monotonic() - began
        trainer.train()
        for handler in list(trainer.logger.handlers):
            # what is logged later in this process must not meet a closed file
            trainer.logger.removeHandler(handler)
            handler.close()
    costs = trainer.train_loop.costs
    # the real trainer needs the memory and the workers' cores
    del trainer
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    # the run itself has to be built as well
    return dataclasses.replace(costs, start_up=_slowest(time.monotonic() - started + built))


@LOOPS.register_module()
class MeasuringLoop(ResumableTrainLoop):
    """In place of a training: times its parts.

    Args:
        budget: Seconds that the run may take.

    Attributes:
        costs: What was measured; of several processes the slowest.
    """

    costs: Costs

    def __init__(self, runner, dataloader, budget: float, **kwargs):
        super().__init__(runner, dataloader, **kwargs)
        self._budget = budget

    def run(self) -> torch.nn.Module:
        runner = self.runner
        runner.call_hook("before_train")
        warm, timed = _STEPS["cuda" if torch.cuda.is_available() else "cpu"]
        batches = itertools.chain.from_iterable(itertools.repeat(self.dataloader))
        steps = []
        for share, epoch in _openings(runner.schedule):
            self._epoch, self._iter = epoch, epoch * len(self.dataloader)
            runner.call_hook("before_train_epoch")
            runner.model.train()
            self.begin_groups(0, math.inf)
            seconds = [_timed(lambda: self.run_iter(0, next(batches))) for _ in range(warm + timed)]
            steps.append(StepTime(share, _slowest(statistics.median(seconds[warm:]))))
        between_epochs = _slowest(_timed(lambda: next(iter(self.dataloader))))
        self.costs = Costs(tuple(steps), self._evaluation(), between_epochs)
        return runner.model

    def _evaluation(self) -> float:
        """Seconds for an evaluation and the checkpoints that follow it."""
        runner, loader = self.runner, self.runner.val_dataloader
        network = runner.network.eval()
        batch = next(iter(loader))

        def forward() -> None:
            with torch.no_grad():
                network.val_step(batch)

        forward()
        a_picture = _timed(forward) / len(batch["inputs"])
        own = runner.cfg.get
        sources = 1 + (own("ema") is not None)
        measured = own("norm_statistics").pictures if own("norm_statistics") else 0
        pictures = (sources + bool(measured)) * runner.cfg.training_subset.pictures + sources * measured
        pictures += len(loader.dataset)
        saving = _timed(
            lambda: checkpoint.save(Path(runner.work_dir) / "probe.pth", runner.snapshot(with_optimizer=True))
        )
        estimate = _slowest(a_picture * pictures / world_size() + saving)
        if estimate > _TRIED * self._budget:
            return estimate
        return _slowest(_timed(runner.val_loop.run)) + _slowest(saving)


def _openings(schedule: Schedule) -> list[tuple[float, int]]:
    """``(share of the run, epoch)`` at which the set of open stages changes, the first at 0."""
    reached = {0, *(epoch for epoch in schedule.opens_at.values() if epoch < schedule.max_epochs)}
    return [(epoch / schedule.max_epochs, epoch) for epoch in sorted(reached)]


def _timed(action) -> float:
    start = time.monotonic()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - start


def _slowest(seconds: float) -> float:
    """The largest value of all processes."""
    value = torch.tensor(seconds, dtype=torch.float64)
    if torch.cuda.is_available():
        value = value.cuda()
    all_reduce(value, op="max")
    return float(value)
