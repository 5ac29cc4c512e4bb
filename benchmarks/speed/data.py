"""What the training loader delivers with nobody to train, for several numbers of workers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mmengine.runner import Runner

from speed import stock
from speed.options import Options, load, with_workers
from speed.rounds import Case, in_turn, rate

#: Batches of an epoch: a loader's start is a small part of it.
_BATCHES = 16


def benchmark(options: Options) -> list[Case]:
    """Measures the first config's loader for each size of photo and number of workers; an epoch goes before."""
    numbers = options.workers if options.workers is not None else sorted({0, 1, os.cpu_count() or 1})
    cases = []
    for size in options.sizes:
        for workers in numbers:
            config = load(options, options.config[0], size, batches=_BATCHES)
            config.train_dataloader = with_workers(config.train_dataloader, workers)
            batch = config.train_dataloader.batch_size
            name = f"data, {Path(options.config[0]).stem}, {size[0]}x{size[1]}, batch {batch}, {workers} workers"
            contestants = {"ours": _epochs(config.train_dataloader)}
            if options.with_stock:
                contestants["stock"] = _epochs(stock.loader(config))
            for work in contestants.values():
                work()
            timed = {who: lambda work=work: rate(work, options.seconds) for who, work in contestants.items()}
            cases.append(in_turn(Case(name, "samples"), timed, options.rounds))
    return cases


def _epochs(config: dict) -> Callable[[], int]:
    """Goes once through the loader and returns the number of samples."""
    loader = Runner.build_dataloader(dict(config), seed=0)

    def work() -> int:
        return sum(len(batch["inputs"]) for batch in loader)

    return work
