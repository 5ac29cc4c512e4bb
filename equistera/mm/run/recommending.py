"""``--recommend``: the rules of :mod:`equistera.training.recommend`, asked about a config on this machine."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping

from equistera import commands
from equistera.errors import UserError
from equistera.mm.devices import compute_on
from equistera.mm.network.precision import mixed_precision_pays
from equistera.mm.run.fit_to_time import measure
from equistera.mm.run.settle import FinishedRun, settle
from equistera.training.fit import Costs, parse_duration
from equistera.training.options import TrainOptions
from equistera.training.recommend import SIZE, SMALLEST, Case, decided, recommend

#: The precision of a config, which ``--amp`` decides as well.
_PRECISION = "model.precision"


def recommended(options: TrainOptions) -> TrainOptions:
    """Options with what the rules recommend, each of which is printed; what ``cfg_options`` already say stays.

    Raises:
        UserError: The run is none from random weights in a given time, or it cannot be.
    """
    if options.resume or not options.max_time:
        raise UserError(
            "--recommend chooses how a run begins that has little time: it needs --max-time, and no --resume"
        )
    compute_on(options.device)
    given = {option.partition("=")[0] for option in options.cfg_options}
    lines = []
    if not options.amp and _PRECISION not in given and mixed_precision_pays():
        options = dataclasses.replace(options, amp=True)
        lines.append("precision: --amp (this machine has units for bfloat16)")
    settled = settle(dataclasses.replace(options, plan=True))
    assert not isinstance(settled, FinishedRun)
    config = settled.config
    if not config.from_scratch:
        raise UserError(
            "--recommend is for runs from random weights, and this one has weights to start from",
            hint="--from-scratch; or leave --recommend out: the config's own settings are for these weights",
        )
    codec, width = config.codec, config.codec.input_size[0]
    shrinks = (
        config.model.backbone.type == "HRNet"
        and codec.type in ("MSRAHeatmap", "UDPHeatmap")
        and codec.input_size == codec.input_size[::-1]
        and tuple(codec.heatmap_size) == (width // 4, width // 4)
    )
    # the smallest ones are measured: they cost the least of the run's time
    smaller = shrinks and width > 2 * SMALLEST and not decided(given, SIZE)
    print("measuring a few steps, for --recommend ...", file=sys.stderr, flush=True)
    costs = {side: _costs(options, side, codec) for side in ((SMALLEST, 2 * SMALLEST) if smaller else (width,))}
    advice = recommend(
        Case(
            budget=parse_duration(options.max_time),
            start_up=max(cost.start_up for cost in costs.values()),
            step={side: max(step.seconds for step in cost.steps) for side, cost in costs.items()},
            side=width,
            stride=config.model.stride,
            sigma=float(codec.sigma) if shrinks else 0.0,
            batch=config.train_dataloader.batch_size,
            animals=settled.plan.data.train_animals,
            augmentations=tuple(phase.augmentation for phase in config.strategy.phases),
            shrinks=shrinks,
            plain=codec.type == "MSRAHeatmap" and not codec.get("unbiased", False),
            given=given,
        )
    )
    print("Recommended (--cfg-options wins over each line):")
    print(*(f"  {line}" for line in lines + advice.lines), sep="\n", flush=True)
    own = [f"{key}={value}" for key, value in advice.entries.items()]
    if own:
        print("  as --cfg-options", commands.line(*own), flush=True)
    return dataclasses.replace(options, cfg_options=[*own, *options.cfg_options])


def _costs(options: TrainOptions, side: int, codec: Mapping) -> Costs:
    """What the run costs with an input of this side, the config's own or a smaller one."""
    own = list(options.cfg_options)
    if side != codec["input_size"][0]:
        sizes = f"({side},{side})", f"({side // 4},{side // 4})", codec["sigma"]
        own += [f"{key}={value}" for key, value in zip(SIZE, sizes, strict=True)]
    spec = settle(dataclasses.replace(options, plan=True, cfg_options=own))
    assert not isinstance(spec, FinishedRun)
    return measure(spec.config, spec.network, options.started, spec.work_dir)
