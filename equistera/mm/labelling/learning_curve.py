"""A learning curve from options to page: the work behind ``tools/learning_curve.py``.

Each size gets the same number of optimiser steps, the config's epochs at the largest size. With the same epochs
instead, a hundred pictures get a quarter of the steps of four hundred, and the curve would call a want of training a
want of pictures. What it says of 1,600 pictures therefore holds for as many steps; a longer training may give more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config

from equistera import commands
from equistera import skeleton as skeletons
from equistera.dataset.coco import load_annotations, read_coco
from equistera.dataset.ready import missing_files
from equistera.dataset.split import picture_groups
from equistera.dataset.split_dataset import content_hash, recorded_rule
from equistera.errors import UserError
from equistera.files import atomic_write, read_json, write_json
from equistera.labelling.curve_page import page
from equistera.labelling.curve_results import (
    as_json,
    check_lines,
    points_csv,
    results_of,
    targets_of,
    words_of,
)
from equistera.labelling.curve_runs import DECIDED, Run, run_all
from equistera.labelling.runs import Start
from equistera.labelling.subsets import labelled_pictures, nested_subsets, part_of
from equistera.mm.prediction.split_predictions import files_of
from equistera.mm.run.fit_to_time import measure
from equistera.mm.run.planning import steps_of
from equistera.mm.run.settle import RunSpec, configured, settle
from equistera.outputs import check_targets, record
from equistera.progress import duration
from equistera.training.fit import parse_duration, run_seconds
from equistera.training.options import TrainOptions
from equistera.training.plan import DataSummary
from equistera.training.plan_text import gigabytes
from equistera.training.work_dir import holds_run
from equistera.words import aligned, counted

#: What a curve is of, in its work dir: what more sizes and a resumed call go by.
RECORD = "learning_curve.json"
TOOL = "learning_curve"
ALL = "all"
#: Entries of a config that have an option of their own here.
_OPTIONS = {"randomness.seed": "--seeds", "data_root": "--data-root", "skeleton": "--skeleton"}
_OPTIONS |= {"train_dataloader.dataset.ann_file": "--sizes"}
#: Options that are those of ``tools/train.py``.
_TRAINING = ("config", "data_root", "skeleton", "device", "cfg_options", "amp", "init", "from_scratch", "max_time")


@dataclass(frozen=True)
class CurveOptions:
    """What the user asked for; see ``tools/learning_curve.py --help``."""

    config: str
    work_dir: str
    data_root: str | None = None
    skeleton: str | None = None
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)
    amp: bool = False
    init: str | None = None
    from_scratch: bool = False
    sizes: Sequence[int | str] = (100, 200, 400)
    seeds: int = 3
    predict: Sequence[int] = (1600, 5000)
    split: str | None = None
    group_by: str | None = None
    steps: int | None = None
    same_epochs: bool = False
    max_time: str | None = None
    minutes_per_picture: float = 4.0
    flat_gain: float = 0.005
    fit_up_to: int | None = None
    jobs: int = 1
    only: int | None = None
    plan: bool = False
    overwrite: bool = False
    argv: Sequence[str] = ()
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return Path(self.work_dir).resolve()

    def training(self, **changes: object) -> TrainOptions:
        """Options of ``tools/train.py`` that all trainings have in common."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _TRAINING} | changes
        return TrainOptions(**{"work_dir": str(self.folder / "runs"), "started": self.started, **values})

    def words(self) -> list[str]:
        """The same as words of its command line, without the config, the device and ``--cfg-options``."""
        words = [_option(name) for name in ("amp", "from_scratch") if getattr(self, name)]
        for name in ("data_root", "skeleton", "init", "max_time"):
            value = getattr(self, name)
            if value is not None:
                is_path = name in ("data_root", "init") or value.endswith(".json")
                words += [_option(name), str(Path(value).resolve()) if is_path else value]
        return words


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class _Setting:
    """What a curve is drawn from.

    Attributes:
        config: Resolved.
        content: The annotation file of the training set as it is, and ``coco`` as it is learned from.
        groups: The group of each picture with an animal to learn from.
        split: What is scored.
        known: What must be the same for all sizes, for the record.
        sizes, seeds: Those of an earlier call included.
        steps: Optimiser steps of each training; None where a time or the config's epochs decide.
    """

    config: Config
    content: dict
    coco: dict
    groups: Mapping[str, str]
    split: str
    known: dict
    sizes: list[int]
    seeds: int
    steps: int | None


def learning_curve(options: CurveOptions, start: Start | None = None) -> Path | None:
    """Trains what is missing, lays the curve and writes it; or says what that would be.

    Args:
        options: What was asked for.
        start: What runs the commands; processes by default.

    Returns:
        The page; None where it only planned, or ran one training of several.

    Raises:
        UserError: Data, options or an earlier curve in the work dir do not allow it, or trainings failed.
    """
    _check(options)
    setting = _setting(options)
    if len(fitted := [n for n in setting.sizes if n <= (options.fit_up_to or n)]) < 2:
        raise UserError(
            f"a learning curve needs two sizes at least, found {' '.join(map(str, fitted)) or 'none'}"
            + (f" up to --fit-up-to {options.fit_up_to}" if options.fit_up_to else ""),
            hint="--sizes 100 200 400",
        )
    runs = _runs(options.folder, setting)
    if options.only is not None and options.only > len(runs):
        raise UserError(f"--only {options.only}: there are {counted(len(runs), 'trainings')}")
    if options.plan:
        print("\n".join(_plan(options, setting, runs)))
        return None
    if options.only is None:
        check_targets("--work-dir", targets_of(options.folder), overwrite=options.overwrite, tool=TOOL)
    _write(options.folder, setting, runs)
    run_all(
        runs if options.only is None else [runs[options.only - 1]],
        # the device is the environment's by now
        lambda run: (
            run.train_command(setting.config.filename, options.words(), options.cfg_options),
            run.test_command(setting.split),
        ),
        setting.split,
        jobs=options.jobs,
        gpus=_gpus() if options.jobs > 1 else (),
        start=start,
    )
    if options.only is not None:
        left = sum(run.metrics(setting.split) is None for run in runs)
        print(f"training {options.only} of {len(runs)} is done, {left} are not; without --only the curve is drawn")
        return None
    return _report(options, setting, runs)


def _check(options: CurveOptions) -> None:
    for given in options.cfg_options:
        key = given.partition("=")[0]
        if key in _OPTIONS:
            raise UserError(f"--cfg-options {given}: {_OPTIONS[key]} decides that")
        if options.max_time and key in DECIDED:
            raise UserError(f"--max-time and --cfg-options {given} decide the same", hint="Leave one of them out")
    if options.max_time:
        parse_duration(options.max_time)


def _setting(options: CurveOptions) -> _Setting:
    config, told = configured(options.training())
    if config.model.type == "AnimalDetector":
        raise UserError(f"{options.config} is a detector's config: a learning curve is of poses")
    root, skeleton = Path(config.data_root), skeletons.load(config.skeleton)
    ann_file, scored = files_of(config, "train")[0], files_of(config, "test")[0]
    split = options.split or ("test" if (root / scored).is_file() else "val")
    missing_files(root, [ann_file, files_of(config, "val")[0], files_of(config, split)[0]])
    content, coco = read_coco(root / ann_file), load_annotations(root / ann_file, skeleton)
    names = labelled_pictures(coco)
    rule = options.group_by or recorded_rule((root / ann_file).parent) or "none"
    settings = told["content"] or Path(config.filename).read_text(encoding="utf-8")
    known = {
        "config": str(config.filename),
        "config_sha256": hashlib.sha256(settings.encode()).hexdigest(),
        "options": options.words(),
        "cfg_options": sorted(options.cfg_options),
        "same_epochs": options.same_epochs,
        "split": split,
        "group_by": rule,
        "training_set_sha256": content_hash(content),
        "scored_on_sha256": content_hash(read_coco(root / files_of(config, split)[0])),
    }
    earlier = _earlier(options, known)
    sizes = {len(names) if size == ALL else int(size) for size in options.sizes} | {*earlier.get("sizes", ())}
    setting = _Setting(
        config,
        content,
        coco,
        picture_groups(names, rule),
        split,
        known,
        sizes=sorted(sizes),
        seeds=max(options.seeds, earlier.get("seeds", 0)),
        steps=None if options.max_time or options.same_epochs else earlier.get("steps", options.steps),
    )
    if setting.steps is None and not (options.max_time or options.same_epochs):
        largest = nested_subsets(setting.groups, setting.sizes, seed=0)[setting.sizes[-1]]
        steps = config.train_cfg.max_epochs * _steps_per_epoch(setting, _animals(setting, largest))
        setting = dataclasses.replace(setting, steps=steps)
    return setting


def _earlier(options: CurveOptions, known: Mapping) -> dict:
    """The record of a curve that is in the work dir already; empty where there is none.

    Raises:
        UserError: It is of something else.
    """
    path = options.folder / RECORD
    if not path.is_file():
        if holds_run(options.folder):
            raise UserError(f"{options.folder} is the work dir of a training", hint="--work-dir names another folder")
        return {}
    record = read_json(path)
    if not isinstance(record, dict) or not {*known, "sizes", "seeds", "steps"} <= {*record}:
        raise UserError(f"{path} is no record of a learning curve", hint="--work-dir names another folder")
    other = {key: value for key, value in known.items() if record[key] != value}
    if options.steps is not None and options.steps != record["steps"]:
        other["steps"] = options.steps
    if other:
        raise UserError(
            f"{options.folder} holds a learning curve of something else; its sizes may differ in nothing but pictures:",
            [f"{key}: {record[key]}, now {value}" for key, value in other.items()],
            "--work-dir names another folder",
        )
    return record


def _animals(setting: _Setting, names: frozenset[str]) -> int:
    return len(part_of(setting.coco, names)["annotations"])


def _steps_per_epoch(setting: _Setting, animals: int) -> int:
    return steps_of(setting.config, DataSummary(0, animals, 0, 0))


def _runs(folder: Path, setting: _Setting) -> list[Run]:
    """All trainings, the small ones first: those that fail fail early."""
    config, runs = setting.config, []
    for seed in range(setting.seeds):
        for size, names in nested_subsets(setting.groups, setting.sizes, seed).items():
            animals = _animals(setting, names)
            steps_per_epoch = _steps_per_epoch(setting, animals)
            if not steps_per_epoch:
                raise UserError(
                    f"--sizes {size}: {counted(animals, 'animals')} do not fill a batch of "
                    f"{config.train_dataloader.batch_size}",
                    hint="Choose larger sizes, or --cfg-options train_dataloader.batch_size=8",
                )
            epochs = None if setting.steps is None else max(1, round(setting.steps / steps_per_epoch))
            share = config.train_cfg.val_interval / config.train_cfg.max_epochs
            name = f"n{size:05d}-seed{seed}"
            runs.append(
                Run(
                    size,
                    seed,
                    pictures=len(names),
                    groups=len({setting.groups[name] for name in names}),
                    animals=animals,
                    steps_per_epoch=steps_per_epoch,
                    epochs=epochs,
                    val_interval=None if epochs is None else max(1, round(epochs * share)),
                    folder=folder / "runs" / name,
                    ann_file=folder / "subsets" / f"{name}.json",
                    names=names,
                )
            )
    return sorted(runs, key=lambda run: (run.size, run.seed))


def _budget(options: CurveOptions, setting: _Setting) -> str:
    if options.max_time:
        return f"{options.max_time} for each training"
    if options.same_epochs:
        epochs = counted(setting.config.train_cfg.max_epochs, "epochs")
        return f"{epochs} for each size (--same-epochs: small sizes get fewer steps, and the curve looks steeper)"
    return f"about {setting.steps:,} optimiser steps for each size, so that only the pictures differ"


def _plan(options: CurveOptions, setting: _Setting, runs: Sequence[Run]) -> list[str]:
    """What a call would do, with the time that it takes here: a few steps are trained for it and thrown away."""
    rows = [["", "pictures", "groups", "animals", "seed", "time" if options.max_time else "epochs x steps", ""]]
    for i, run in enumerate(runs, start=1):
        epochs = run.epochs or setting.config.train_cfg.max_epochs
        state = run.state(setting.split)
        length = options.max_time or f"{epochs} x {run.steps_per_epoch}"
        row = [i, run.pictures, run.groups, run.animals, run.seed, length, state]
        rows.append([str(cell) for cell in row])
    left = [run for run in runs if run.metrics(setting.split) is None]
    lines = ["Trainings", *(f"  {line}" for line in aligned(rows)), "", f"  budget  {_budget(options, setting)}"]
    lines.append(f"  scored  on {setting.split}, by the best weights of each")
    seconds, disk = _cost(options, setting, left)
    at_best = f", with --jobs {options.jobs} at best {duration(seconds / options.jobs)}" if options.jobs > 1 else ""
    how = "as the time given" if options.max_time else "by a few measured steps"
    lines.append(f"  time    about {duration(seconds)} one after the other{at_best}, on this machine, {how}")
    lines.append(f"  disk    up to {gigabytes(disk)} of checkpoints")
    words = [word for word in options.argv if not word.startswith("--pl")]
    command = commands.tool("learning_curve", *words)
    array = commands.line("sbatch", f"--array=1-{len(runs)}", "--wrap")
    lines += ["", "On a cluster each training is a job, and the same command draws the curve afterwards:"]
    return [*lines, f'  {array} "{command} --only \\$SLURM_ARRAY_TASK_ID"', f"  {command}"]


def _cost(options: CurveOptions, setting: _Setting, runs: Sequence[Run]) -> tuple[float, int]:
    """Seconds and bytes that trainings take, their scoring included."""
    # nothing is resumed
    spec = cast(RunSpec, settle(options.training(plan=True, max_time=None)))
    if options.max_time:
        return len(runs) * parse_duration(options.max_time), len(runs) * spec.plan.disk_bytes
    print("measuring a few steps ...", file=sys.stderr, flush=True)
    costs = measure(spec.config, spec.network, options.started, spec.work_dir)
    train_cfg = setting.config.train_cfg
    seconds = sum(
        run_seconds(
            costs, run.epochs or train_cfg.max_epochs, run.steps_per_epoch, run.val_interval or train_cfg.val_interval
        )
        for run in runs
    )
    return seconds + len(runs) * (costs.start_up + costs.evaluation), len(runs) * spec.plan.disk_bytes


def _write(folder: Path, setting: _Setting, runs: Sequence[Run]) -> None:
    """Writes the record and the training sets; each job of an array writes the same."""
    write_json(
        folder / RECORD,
        {**setting.known, "sizes": setting.sizes, "seeds": setting.seeds, "steps": setting.steps},
        indent=1,
    )
    for run in runs:
        if not run.ann_file.is_file():
            write_json(run.ann_file, part_of(setting.content, run.names))


def _gpus() -> list[str]:
    """Names of the GPUs that this process may use; none where one is all there is."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    return visible if count > 1 else []


def _report(options: CurveOptions, setting: _Setting, runs: Sequence[Run]) -> Path:
    skeleton, labelled = skeletons.load(setting.config.skeleton), len(setting.groups)
    results = results_of(runs, setting.split, skeleton, options.fit_up_to)
    asked = [*options.predict], labelled, options.minutes_per_picture, options.flat_gain
    words = words_of(results, *asked)
    about = {
        "config": str(setting.config.filename),
        "data": f"{setting.config.data_root} ({counted(labelled, 'labelled pictures')} to train on)",
        "trainings": f"{counted(setting.seeds, 'seeds')} of {', '.join(map(str, setting.sizes))} pictures; "
        + _budget(options, setting),
        "drawn": time.strftime("%Y-%m-%d %H:%M"),
    }
    checks = check_lines(results.checks)
    print("\n".join([*words, *(["", *checks] if checks else []), "", *(f"note: {note}" for note in results.notes)]))
    json_file, csv_file, html_file = targets_of(options.folder)
    write_json(json_file, {"about": about, **as_json(results, *asked)}, indent=1)
    for path, text in ((csv_file, points_csv(results)), (html_file, page(results, options.predict, words, about))):
        with atomic_write(path) as file:
            file.write(text)
    for path in (json_file, csv_file, html_file):
        record(TOOL, path)
    print(f"written: {json_file}, {csv_file}, {html_file}")
    return html_file
