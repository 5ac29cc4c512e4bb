"""The whole training loop beside the bare step of the same network, and beside stock's loop.

Ours is the Trainer with all hooks of the config, put at the beginning of a phase. Between its epochs the same network
does bare steps on a fixed batch, while the loader rests: what the loop is slower by is what data, hooks and logging
cost. An epoch's rate includes the start of the loader.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.runner import Runner

from equistera.mm import config as configs
from equistera.mm.augmentation_sheet import epochs_of_phase
from equistera.mm.network.precision import mixed_precision
from equistera.mm.run.loop import TrainLoop
from equistera.mm.run.trainer import Trainer
from speed import stock
from speed.networks import first_batch, stepper
from speed.options import Options, load, with_workers
from speed.rounds import Case, in_turn, rate

#: Share of the bare step's rate that training should reach: on a CPU, and on a GPU, whose step is short.
_CPU_AIM, _GPU_AIM = 0.95, 0.9


def benchmark(options: Options) -> list[Case]:
    """Measures every config in each phase."""
    cases = []
    for path in options.config:
        for phase in options.phases:
            with tempfile.TemporaryDirectory() as folder:
                cases.append(_measure(options, path, phase, Path(folder)))
    return cases


def _measure(options: Options, path: str, phase: int, folder: Path) -> Case:
    config = load(options, path, options.sizes[0], batches=options.steps)
    if options.workers:
        for name in ("train_dataloader", "val_dataloader"):
            config[name] = with_workers(config[name], options.workers[0])
    batch, workers = config.train_dataloader.batch_size, config.train_dataloader.num_workers
    case = Case(f"train, {Path(path).stem}, phase {phase}, batch {batch}, {workers} workers", "samples")
    amp = options.amp and torch.cuda.is_available()
    stock_config = stock.runner(config, str(folder / "stock"), amp)
    config.work_dir, config.experiment_name = str(folder / "ours"), f"ours_{folder.name}"
    if options.amp:
        configs.write(config, mixed_precision())
    trainer = Trainer.from_cfg(config)
    if options.compile:
        trainer.network.compile_backbone()
    first, _ = epochs_of_phase(config, phase)
    samples = options.steps * batch
    case.aims = {"training/bare step": _GPU_AIM if torch.cuda.is_available() else _CPU_AIM}

    def measure(contestants: dict[str, Callable[[], int]]) -> None:
        for work in contestants.values():
            work()
        in_turn(case, {who: lambda work=work: rate(work, 0) for who, work in contestants.items()}, options.rounds)

    def with_ours() -> None:
        bare = stepper(trainer.network, trainer.optim_wrapper, first_batch(config.train_dataloader), options.steps)
        # an epoch goes first: it puts the network into the phase
        contestants = {"training": _epoch(trainer, samples), "bare step": bare}
        if not options.with_stock:
            measure(contestants)
            return
        runner = Runner.from_cfg(stock_config)
        case.aims["training/stock training"] = None
        _inside(runner, 0, lambda: measure({**contestants, "stock training": _epoch(runner, samples)}))

    _inside(trainer, first, with_ours)
    return case


def _inside(runner: Runner, epoch: int, body: Callable[[], None]) -> None:
    """Does all that comes before the first step of a run at ``epoch``, then ``body`` in place of the epochs."""
    loop = runner.train_loop
    if isinstance(loop, TrainLoop):
        loop.epoch, loop.iter = epoch, epoch * len(loop.dataloader)

    def run() -> torch.nn.Module:
        loop.begin() if isinstance(loop, TrainLoop) else runner.call_hook("before_train")
        body()
        runner.call_hook("after_train")
        return runner.model

    loop.run = run
    runner.train()


def _epoch(runner: Runner, samples: int) -> Callable[[], int]:
    """An epoch of the loop each time, without evaluation."""

    def work() -> int:
        runner.train_loop.run_epoch()
        return samples

    return work
