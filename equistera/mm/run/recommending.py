"""``--recommend``: the rules of :mod:`equistera.training.recommend`, asked about a config on this machine."""

from __future__ import annotations

import dataclasses
import sys

from equistera import commands
from equistera.errors import UserError
from equistera.mm.devices import compute_on
from equistera.mm.network.precision import mixed_precision_pays
from equistera.mm.run.fit_to_time import measure
from equistera.mm.run.settle import FinishedRun, settle
from equistera.training.fit import parse_duration
from equistera.training.options import TrainOptions
from equistera.training.recommend import SIZE, SMALLEST, Case, recommend

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
    config = settle(dataclasses.replace(options, plan=True)).config
    if not config.from_scratch:
        raise UserError(
            "--recommend is for runs from random weights, and this one has weights to start from",
            hint="--from-scratch; or leave --recommend out: the config's own settings are for these weights",
        )
    codec, width = config.codec, config.codec.input_size[0]
    shrinks = (
        config.model.backbone.type == "HRNet"
        and codec.type == "MSRAHeatmap"
        and codec.input_size == codec.input_size[::-1]
        and tuple(codec.heatmap_size) == (width // 4, width // 4)
    )
    measured, trial = width, list(options.cfg_options)
    if shrinks and width > SMALLEST and not any(key.partition(".")[0] == "codec" for key in given):
        # the smallest is measured: it costs the least of the run's time
        measured = SMALLEST
        small = (f"({SMALLEST},{SMALLEST})", f"({SMALLEST // 4},{SMALLEST // 4})", codec.sigma)
        trial += [f"{key}={value}" for key, value in zip(SIZE, small, strict=True)]
    spec = settle(dataclasses.replace(options, plan=True, cfg_options=trial))
    assert not isinstance(spec, FinishedRun)
    print("measuring a few steps, for --recommend ...", file=sys.stderr, flush=True)
    costs = measure(spec.config, spec.network, options.started, spec.work_dir)
    advice = recommend(
        Case(
            budget=parse_duration(options.max_time),
            start_up=costs.start_up,
            step=max(step.seconds for step in costs.steps),
            measured=measured,
            side=width,
            stride=config.model.stride,
            sigma=float(codec.sigma) if shrinks else 0.0,
            batch=config.train_dataloader.batch_size,
            animals=spec.plan.data.train_animals,
            augmentations=tuple(phase.augmentation for phase in config.strategy.phases),
            shrinks=shrinks,
            given=given,
        )
    )
    print("Recommended (--cfg-options wins over each line):")
    print(*(f"  {line}" for line in lines + advice.lines), sep="\n", flush=True)
    own = [f"{key}={value}" for key, value in advice.entries.items()]
    if own:
        print("  as --cfg-options", commands.line(*own), flush=True)
    return dataclasses.replace(options, cfg_options=[*own, *options.cfg_options])
