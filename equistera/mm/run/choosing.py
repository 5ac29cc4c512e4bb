"""``tools/recommend.py``: the rules of :mod:`equistera.training.recommend_run`, asked about labels on this machine."""

from __future__ import annotations

import dataclasses
import statistics
import sys
from pathlib import Path

import equistera
from equistera import PROJECT, commands
from equistera import skeleton as skeletons
from equistera.checkpoints import command_for
from equistera.dataset.coco import load_annotations
from equistera.files import write_json
from equistera.mm.devices import compute_on
from equistera.mm.network.precision import mixed_precision_pays
from equistera.mm.run.fit_to_time import measure
from equistera.mm.run.preflight import label_files
from equistera.mm.run.settle import FinishedRun, RunSpec, settle
from equistera.mm.run.trainer import device_name
from equistera.outputs import check_targets, record
from equistera.progress import duration
from equistera.training.fit import parse_duration, run_seconds
from equistera.training.options import TrainOptions
from equistera.training.recommend_run import FULL, Advice, Candidate, Labels, candidates, recommend_run
from equistera.words import counted


def recommended_run(asked: TrainOptions) -> Advice:
    """Measures the configs in question on a data set; prints which one, how and why, and the commands.

    Args:
        asked: Data set, skeleton, ``max_time``, device and entries that hold for each config, and ``json``.

    Raises:
        UserError: The labels cannot be trained on, or there is no time to.
    """
    if asked.max_time:
        parse_duration(asked.max_time)
    compute_on(asked.device)
    asked = dataclasses.replace(asked, amp=mixed_precision_pays(), plan=True)
    first = _settled(asked, FULL)
    if asked.json:
        read = label_files(first.config)
        check_targets("--json", [asked.json], inputs=read, overwrite=asked.overwrite, tool="recommend")
    labels = _labels(first)
    specs = [first if path == FULL else _settled(asked, path) for path in candidates(labels.pictures)]
    advice = recommend_run(labels, [_measured(asked, spec) for spec in specs], asked.max_time)
    rows = [
        ("data", f"{counted(labels.animals, 'animals')} on {counted(labels.pictures, 'pictures')} to train"),
        ("machine", device_name() + (", which has units for bfloat16: --amp" if asked.amp else "")),
        ("time", asked.max_time or "as long as it needs"),
        *((name, f"{chosen} ({why})") for name, chosen, why in advice.lines),
    ]
    print(f"Equistera Trainer {equistera.__version__}", *(f"  {name:<13}{text}" for name, text in rows), sep="\n")
    own = ["--data-root", Path(first.config.data_root)] + (["--skeleton", asked.skeleton] if asked.skeleton else [])
    own += ["--device", asked.device] if asked.device else []
    entries = [*asked.cfg_options, *advice.entries]
    own += [*["--amp"] * asked.amp, *advice.options, *(["--cfg-options", *entries] if entries else [])]
    run = commands.tool("train", PROJECT / advice.config, *own)
    lines = [*([advice.fetch] if advice.fetch else []), run]
    print("Next:", *(f"  {line}" for line in lines), sep="\n")
    if asked.json:
        write_json(asked.json, {**dataclasses.asdict(advice), "commands": lines}, indent=1)
        record("recommend", asked.json)
        print(f"written: {asked.json}")
    return advice


def _settled(asked: TrainOptions, path: str) -> RunSpec:
    spec = settle(dataclasses.replace(asked, config=str(PROJECT / path), max_time=None, json=None))
    assert not isinstance(spec, FinishedRun)
    return spec


def _labels(spec: RunSpec) -> Labels:
    data, dataset = spec.plan.data, spec.config.train_dataloader.dataset
    coco = load_annotations(Path(spec.config.data_root) / dataset.ann_file, skeletons.load(spec.config.skeleton))
    sides = [max(annotation["bbox"][2:]) for annotation in coco["annotations"]]
    return Labels(data.train_pictures, data.train_animals, data.val_animals, statistics.median(sides))


def _measured(asked: TrainOptions, spec: RunSpec) -> Candidate:
    """A config with the seconds of its whole run, by a few steps."""
    config, schedule = spec.config, spec.plan.schedule
    path = Path(config.filename).relative_to(PROJECT).as_posix()
    print(f"measuring a few steps of {path} ...", file=sys.stderr, flush=True)
    costs = measure(config, spec.network, asked.started, spec.work_dir)
    seconds = run_seconds(costs, schedule.max_epochs, schedule.steps_per_epoch, spec.plan.val_interval)
    print(f"{path}: all {schedule.max_epochs} epochs take {duration(seconds)}", file=sys.stderr)
    return Candidate(
        config=path,
        epochs=schedule.max_epochs,
        steps=schedule.steps_per_epoch,
        batch=config.train_dataloader.batch_size,
        seconds=seconds,
        input_side=max(config.codec.input_size),
        augmentations=tuple(phase.augmentation for phase in config.strategy.phases),
        fetch=command_for(str(config.pretrained)) if spec.missing else None,
    )
