"""``--max-time``: what a run costs on this machine is measured, and its config fitted to the time."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch.utils.data import DataLoader

from equistera.errors import UserError
from equistera.literals import settings_in
from equistera.mm.evaluation.source_scores import SourceScores
from equistera.mm.network import checkpoint
from equistera.mm.network.averaging import AveragedWeights
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.run.interruption import dismiss_workers
from equistera.mm.run.loop import train_step
from equistera.mm.run.network_check import NOT_TOGETHER, as_config_says
from equistera.mm.run.planning import schedule_of
from equistera.mm.run.preflight import augmentation_by_epoch
from equistera.mm.run.resume import FoundCheckpoint
from equistera.mm.run.trainer import Trainer, in_processes, join_group
from equistera.outputs import check_folder
from equistera.processes import world_size
from equistera.progress import duration
from equistera.training.ema import make_ema
from equistera.training.fit import Costs, Fit, StepTime
from equistera.training.schedule import Schedule
from equistera.training.work_dir import nearest_folder

#: Steps that are not timed, because they choose algorithms and fill caches, and steps that are; on a GPU and a CPU.
_STEPS = {"cuda": (3, 8), "cpu": (1, 2)}


def earlier_fit(found: FoundCheckpoint, budget: float | None) -> Fit | None:
    """The fit that a run which goes on was started with, by its checkpoint's config; None if it was not fitted.

    Args:
        found: The checkpoint.
        budget: ``--max-time`` in seconds, which may be given again, or None.

    Raises:
        UserError: Another time was given.
    """
    told: Any = settings_in(found.meta["config"]).get("fitted")
    try:
        fit = Fit.from_json(told) if told else None
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{found.path} says how the run was fitted to a time, but it was changed or damaged",
            hint="Start the run anew, without --resume; --init takes its weights",
        ) from error
    if budget is not None and (fit is None or fit.budget != budget):
        was = f"fitted to {duration(fit.budget)}" if fit else "not fitted to a time"
        raise UserError(
            f"--max-time {duration(budget)}: the run that is resumed was {was}", hint="Leave --max-time out"
        )
    return fit


def fit_entries(config: Config, fit: Fit) -> dict[str, object]:
    """The entries of a config that give a run the length that was fitted."""
    return {
        "fitted": dataclasses.asdict(fit),
        "train_cfg.max_epochs": fit.epochs,
        "train_cfg.val_interval": fit.val_interval,
        # a save belongs to each evaluation and is part of its measured time
        "default_hooks.checkpoint.interval": fit.val_interval,
        "train_dataloader.sampler.most": fit.steps_per_epoch * config.train_dataloader.batch_size,
        "train_dataloader.dataset.augmentation": augmentation_by_epoch(config, [(0, fit.epochs)]),
    }


def measure(config: Config, network: SkeletonPoseEstimator, started: float, work_dir: Path) -> Costs:
    """Times a few steps with every set of open stages, what an evaluation computes, and a save.

    What is written is gone afterwards. It is on the disk of the work dir, which is the one whose speed counts.

    Args:
        config: Of the run.
        network: The config's, which is of no use afterwards: its weights have moved.
        started: ``time.monotonic()`` when the program began.
        work_dir: Of the run, which need not exist.

    Returns:
        What was measured; of several processes the slowest.

    Raises:
        UserError: The disk cannot be written to.
    """
    disk = nearest_folder(work_dir)
    check_folder("--work-dir", disk)
    began = time.monotonic()
    if world_size() > 1:
        join_group(config.launcher, config.env_cfg)
    torch.backends.cudnn.benchmark = bool(config.env_cfg.get("cudnn_benchmark"))
    with as_config_says(NOT_TOGETHER):
        network.to(get_device())
        wrapper = build_optim_wrapper(network, config.optim_wrapper)
        training, validation = (
            Trainer.build_dataloader(config[name], seed=config.randomness.seed)
            for name in ("train_dataloader", "val_dataloader")
        )
    built = time.monotonic() - began
    try:
        steps = _step_times(config, network, wrapper, training)
        between_epochs = _slowest(_timed(lambda: next(iter(training))))
        evaluation = _evaluation(config, network, validation, wrapper, disk)
    finally:
        for loader in (training, validation):
            dismiss_workers(loader)
    # the run itself has to be built as well
    costs = Costs(steps, evaluation, between_epochs, _slowest(time.monotonic() - started + built))
    # ... and needs the memory
    del wrapper
    network.to("cpu")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return costs


def _step_times(
    config: Config, network: SkeletonPoseEstimator, wrapper: OptimWrapper, loader: DataLoader
) -> tuple[StepTime, ...]:
    warm, timed = _STEPS["cuda" if torch.cuda.is_available() else "cpu"]
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    schedule, accumulated = schedule_of(config, network, len(loader)), config.optim_wrapper.accumulative_counts
    average = AveragedWeights(network) if config.get("ema") else None
    ema = make_ema(config.get("ema"), schedule.total_steps)
    steps = []
    for share, epoch in _openings(schedule):
        network.freeze({stage.name for stage in network.stages if not schedule.is_open(stage.name, epoch)})
        # gathers the gradients of the parameters that are open when it is made
        model = in_processes(network) if world_size() > 1 else network
        model.train()
        loader.dataset.set_epoch(epoch)

        def step(number: int, model=model) -> None:
            train_step(model, wrapper, next(batches), accumulated, (number + 1) % accumulated == 0)
            if average:
                average.update(ema, number)

        seconds = [_timed(lambda number=number: step(number)) for number in range(warm + timed)]
        steps.append(StepTime(share, _slowest(statistics.median(seconds[warm:]))))
        del model
        gc.collect()
    return tuple(steps)


def _evaluation(
    config: Config, network: SkeletonPoseEstimator, loader: DataLoader, wrapper: OptimWrapper, disk: Path
) -> float:
    """About the seconds that an evaluation and the checkpoints that follow it take."""
    network.eval()
    batch = next(iter(loader))

    def forward() -> None:
        with torch.no_grad():
            network.val_step(batch)

    forward()
    a_picture = _timed(forward) / len(batch["inputs"])
    sources = 1 + (config.get("ema") is not None)
    measured = config.norm_statistics.pictures if config.get("norm_statistics") else 0
    pictures = (sources + bool(measured)) * config.training_subset.pictures + sources * measured
    pictures += len(loader.dataset) + SourceScores(config).animals
    content = {"state_dict": network.state_dict(), "optimizer": wrapper.state_dict()}
    with tempfile.TemporaryDirectory(prefix=".measuring_", dir=disk) as folder:
        saving = _timed(lambda: checkpoint.save(Path(folder) / "probe.pth", content))
    return _slowest(a_picture * pictures / world_size() + saving)


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
