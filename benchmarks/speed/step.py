"""The bare training step on a fixed batch: no data, no loop, no hooks."""

from __future__ import annotations

from pathlib import Path

import torch

from equistera.mm import config as configs
from equistera.mm.network.precision import mixed_precision
from speed import stock
from speed.networks import first_batch, ours, stepper
from speed.options import Options, load
from speed.rounds import Case, in_turn, rate

#: How many times as fast as stock a step of each phase should be.
_AIMS = {"SimCCLabel": {1: 2.0, 3: 1.3}, "MSRAHeatmap": {1: 1.5, 3: 1.0}}


def benchmark(options: Options) -> list[Case]:
    """Measures every config: our step in each phase, and stock's, in which everything is trained."""
    cases = []
    for path in options.config:
        config = load(options, path, options.sizes[0])
        case = Case(f"step, {Path(path).stem}, batch {config.train_dataloader.batch_size}", "samples")
        contestants = {}
        if options.with_stock:
            amp = options.amp and torch.cuda.is_available()
            contestants["stock"] = stepper(*stock.build(config, amp), first_batch(stock.loader(config)))
            if options.amp and not amp:
                case.note = "stock in float32: its loss fails in bfloat16, and a CPU has no other"
        if options.amp:
            configs.write(config, mixed_precision())
        for phase in options.phases:
            network, wrapper = ours(config, phase)
            if options.compile:
                network.compile_backbone()
            contestants[f"phase {phase}"] = stepper(network, wrapper, first_batch(config.train_dataloader))
        if options.with_stock:
            aims = _AIMS.get(config.codec.type, {})
            case.aims = {f"phase {phase}/stock": aims[phase] for phase in options.phases if phase in aims}
        for work in contestants.values():
            # the first step allocates and, on a GPU, tries algorithms
            work()
        timed = {who: lambda work=work: rate(work, options.seconds) for who, work in contestants.items()}
        cases.append(in_turn(case, timed, options.rounds))
    return cases
