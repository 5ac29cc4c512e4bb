"""What a learning curve is drawn from: the options, the data, what an earlier call did, and the trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.dataset.coco import load_annotations, read_coco
from equistera.dataset.ready import missing_files
from equistera.dataset.split import picture_groups
from equistera.dataset.split_dataset import content_hash, recorded_rule
from equistera.errors import UserError
from equistera.experiments.options import ExperimentOptions
from equistera.files import read_json
from equistera.labelling.curve_runs import DECIDED, Run
from equistera.labelling.subsets import labelled_pictures, nested_subsets, part_of
from equistera.mm.prediction.split_predictions import files_of
from equistera.mm.run.planning import steps_of
from equistera.mm.run.settle import configured
from equistera.training.fit import parse_duration
from equistera.training.plan import DataSummary
from equistera.training.work_dir import holds_run
from equistera.words import counted

#: What a curve is of, in its work dir: what more sizes and a resumed call go by.
RECORD = "learning_curve.json"
ALL = "all"
#: Entries of a config that have an option of their own here.
_OPTIONS = {"randomness.seed": "--seeds", "data_root": "--data-root", "skeleton": "--skeleton"}
_OPTIONS |= {"train_dataloader.dataset.ann_file": "--sizes"}


@dataclass(frozen=True)
class CurveOptions(ExperimentOptions):
    """What the user asked for; see ``tools/learning_curve.py --help``."""

    work_dir: str
    sizes: Sequence[int | str] = (100, 200, 400)
    seeds: int = 3
    predict: Sequence[int] = (1600, 5000)
    split: str | None = None
    group_by: str | None = None
    steps: int | None = None
    same_epochs: bool = False
    minutes_per_picture: float = 4.0
    flat_gain: float = 0.005
    fit_up_to: int | None = None
    jobs: int = 1
    only: int | None = None

    @property
    def folder(self) -> Path:
        return Path(self.work_dir).resolve()

    @property
    def runs(self) -> Path:
        """The folder of the trainings' work dirs."""
        return self.folder / "runs"


@dataclass(frozen=True)
class Setting:
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


def refuse_impossible(options: CurveOptions) -> None:
    """Refuses options that decide the same.

    Raises:
        UserError: There are some.
    """
    options.refuse_decided(_OPTIONS, length=DECIDED)
    if options.max_time:
        parse_duration(options.max_time)


def setting_of(options: CurveOptions) -> Setting:
    """What the options come to, with what an earlier call in the work dir did.

    Raises:
        UserError: The config, the data or that earlier call do not allow it.
    """
    config, told = configured(options.training(options.runs))
    if config.model.type == "AnimalDetector":
        raise UserError(f"{options.config} is a detector's config: a learning curve is of poses")
    root, skeleton = Path(config.data_root), skeletons.load(config.skeleton)
    ann_file, scored = files_of(config, "train")[0], files_of(config, "test")[0]
    split = options.split or ("test" if (root / scored).is_file() else "val")
    missing_files(root, [ann_file, files_of(config, "val")[0], files_of(config, split)[0]])
    content, coco = read_coco(root / ann_file), load_annotations(root / ann_file, skeleton)
    names = labelled_pictures(coco)
    rule = options.group_by or recorded_rule((root / ann_file).parent) or "none"
    known = {
        **options.known(config.filename, told["content"]),
        "same_epochs": options.same_epochs,
        "split": split,
        "group_by": rule,
        "training_set_sha256": content_hash(content),
        "scored_on_sha256": content_hash(read_coco(root / files_of(config, split)[0])),
    }
    earlier = _earlier(options, known)
    sizes = {len(names) if size == ALL else int(size) for size in options.sizes} | {*earlier.get("sizes", ())}
    setting = Setting(
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


def _animals(setting: Setting, names: frozenset[str]) -> int:
    return len(part_of(setting.coco, names)["annotations"])


def _steps_per_epoch(setting: Setting, animals: int) -> int:
    return steps_of(setting.config, DataSummary(0, animals, 0, 0))


def runs_of(folder: Path, setting: Setting) -> list[Run]:
    """All trainings in a folder, the small ones first: those that fail fail early."""
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
                    folder=folder / name,
                    ann_file=folder.parent / "subsets" / f"{name}.json",
                    names=names,
                )
            )
    return sorted(runs, key=lambda run: (run.size, run.seed))


def budget(options: CurveOptions, setting: Setting) -> str:
    """How long each training is, for people."""
    if options.max_time:
        return f"{options.max_time} for each training"
    if options.same_epochs:
        epochs = counted(setting.config.train_cfg.max_epochs, "epochs")
        return f"{epochs} for each size (--same-epochs: small sizes get fewer steps, and the curve looks steeper)"
    return f"about {setting.steps:,} optimiser steps for each size, so that only the pictures differ"
