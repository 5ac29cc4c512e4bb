"""A cross-validation from options to page: the work behind ``tools/cross_validate.py``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.experiments import folds
from equistera.experiments.folds import FoldRun
from equistera.experiments.folds_page import page
from equistera.experiments.options import ExperimentOptions, set_entries, set_keys
from equistera.experiments.runs import Start, array_lines, chosen, one_done, run_all
from equistera.files import read_json, write_json, write_text
from equistera.labelling.pool import Pool, Source, draw_folds, groups_of
from equistera.mm.devices import visible_gpus
from equistera.mm.labelling.out_of_fold import labels_digest
from equistera.mm.prediction.split_predictions import files_of
from equistera.mm.run.cost import cost_of
from equistera.mm.run.settle import configured
from equistera.outputs import check_targets, record
from equistera.progress import duration
from equistera.training.plan_text import gigabytes
from equistera.words import aligned, counted

TOOL = "cross_validate"
#: What is scored, as a run calls it: the fold.
SPLIT = "test"
#: What the folds are of, in ``--out``, and what they came to.
RECORD, PAGE, JSON, CSV = "folds.json", "cross_validation.html", "cross_validation.json", "folds.csv"
#: Entries of a config that folds and options decide.
_DECIDED = dict.fromkeys(set_keys("train", "val", SPLIT), "a fold")
_DECIDED |= {"randomness.seed": "--seeds", "data_root": "--data-root", "skeleton": "--skeleton"}


@dataclass(frozen=True)
class CrossOptions(ExperimentOptions):
    """What the user asked for; see ``tools/cross_validate.py --help``."""

    out: str
    folds: int = 5
    seeds: int = 1
    group_by: str | None = None
    jobs: int = 1
    only: int | None = None

    @property
    def folder(self) -> Path:
        return Path(self.out).resolve()

    @property
    def targets(self) -> list[Path]:
        return [self.folder / name for name in (JSON, CSV, PAGE)]


def cross_validate(options: CrossOptions, start: Start | None = None) -> Path | None:
    """Trains and scores what is missing and puts it together; or says what that would be.

    Args:
        options: What was asked for.
        start: What runs the commands; processes by default.

    Returns:
        The page; None where it only planned, or ran one training of several.

    Raises:
        UserError: Data, options or earlier folds do not allow it, or trainings failed.
    """
    options.refuse_decided(_DECIDED)
    if options.folds < 3:
        raise UserError(
            "--folds 2: a fold is scored, another chooses the weights, and the rest is trained on", hint="3"
        )
    config, told = configured(options.training(options.folder / "runs"))
    if config.model.type == "AnimalDetector":
        raise UserError(f"{options.config} is a detector's config: a cross-validation is of poses")
    pool = Pool.read(_sources(config), skeletons.load(config.skeleton))
    groups = groups_of(pool, options.group_by)
    fold_of = draw_folds(groups, options.folds)
    where = np.array([fold_of[picture.name] for picture in pool.pictures])
    runs = _runs(options, pool, where)
    asked = chosen(runs, options.only)
    if options.plan:
        print("\n".join(_plan(options, pool, groups, runs)))
        return None
    if options.only is None:
        check_targets("--out", options.targets, overwrite=options.overwrite, tool=TOOL)
    known = {**options.known(config.filename, told["content"]), "labels": labels_digest(pool), "folds": fold_of}
    _keep(options, known)
    for name, content in _sets(pool, where, options.folds).items():
        if not (path := options.folder / "sets" / name).is_file():
            write_json(path, content)
    run_all(
        asked,
        lambda run: (run.train_command(config.filename, options.words(), options.cfg_options), run.test_command(SPLIT)),
        SPLIT,
        jobs=options.jobs,
        gpus=visible_gpus() if options.jobs > 1 else (),
        start=start,
    )
    if options.only is not None:
        print(f"{one_done(runs, options.only, SPLIT)}; without --only they are put together")
        return None
    return _report(options, config, pool, runs)


def _sources(config: Config) -> list[Source]:
    """The training and validation sets; a test set stays aside, for the model that is chosen in the end."""
    root = Path(config.data_root)
    named = {split: files_of(config, split) for split in ("train", "val")}
    found = [Source(split, root / file, root / images) for split, (file, images) in named.items()]
    if not (there := [source for source in found if source.ann_file.is_file()]):
        raise UserError(
            f"no annotations: none of {', '.join(file for file, _ in named.values())} is below {root}",
            hint="--data-root names the folder; tools/convert_dataset.py makes the files",
        )
    return there


def _runs(options: CrossOptions, pool: Pool, where: np.ndarray) -> list[FoldRun]:
    """All trainings: each seed of the first fold, then of the next."""
    sizes, runs = np.bincount(where, minlength=options.folds), []
    for fold in range(options.folds):
        chooses = (fold + 1) % options.folds
        files = {"train": f"train{fold + 1}.json", "val": f"fold{chooses + 1}.json", SPLIT: f"fold{fold + 1}.json"}
        entries = set_entries({split: options.folder / "sets" / name for split, name in files.items()}, pool.folder)
        for seed in range(options.seeds):
            folder = options.folder / "runs" / f"fold{fold + 1}-seed{seed}"
            left, chosen_on, scored_on = int(sizes.sum() - sizes[[fold, chooses]].sum()), sizes[chooses], sizes[fold]
            runs.append(FoldRun(fold + 1, seed, left, int(chosen_on), int(scored_on), folder, tuple(entries)))
    return runs


def _sets(pool: Pool, where: np.ndarray, count: int) -> dict[str, dict]:
    """The annotation files: each fold, and what is trained on when it is scored."""
    files = {f"fold{fold + 1}.json": pool.coco(np.flatnonzero(where == fold)) for fold in range(count)}
    for fold in range(count):
        left = np.flatnonzero((where != fold) & (where != (fold + 1) % count))
        files[f"train{fold + 1}.json"] = pool.coco(left)
    return files


def _keep(options: CrossOptions, known: dict) -> None:
    """Remembers what the folds are of; each job of an array writes the same."""
    path = options.folder / RECORD
    if path.is_file():
        earlier = read_json(path)
        earlier = earlier if isinstance(earlier, dict) else {}
        if other := [key for key in known if earlier.get(key) != known[key]]:
            raise UserError(
                f"{options.folder} holds folds of something else, which differ in: {', '.join(other)}",
                hint="The same labels and options go on there; --out names a folder for others",
            )
        return
    write_json(path, known, indent=1)


def _plan(options: CrossOptions, pool: Pool, groups: dict[str, str], runs: Sequence[FoldRun]) -> list[str]:
    """What a call would do, with the time that it takes here."""
    rows = [["", "trained on", "chosen on", "scored on", ""]]
    rows += [[run.name, *map(str, (run.pictures, run.chosen_on, run.scored_on)), run.state(SPLIT)] for run in runs]
    left = sum(run.metrics(SPLIT) is None for run in runs)
    # all pictures of the training set stand for those of a fold
    cost = cost_of(options.training(options.folder / "runs", plan=True))
    seconds = left * (cost.seconds + cost.scoring)
    how = "as the time given" if options.max_time else "by a few measured steps on the training set as it is"
    lines = [
        f"{counted(len(pool.pictures), 'pictures')} in {counted(len({*groups.values()}), 'groups')}, none of them torn "
        "apart; a test set stays aside",
        *(f"  {line}" for line in aligned(rows)),
        "",
        f"  time    about {duration(seconds)} one after the other, on this machine, {how}",
        f"  disk    up to {gigabytes(left * cost.disk)} of checkpoints",
        "",
        "On a cluster each training is a job, and the same command puts them together afterwards:",
    ]
    return [*lines, *array_lines(TOOL, options.argv, len(runs))]


def _report(options: CrossOptions, config: Config, pool: Pool, runs: Sequence[FoldRun]) -> Path:
    metrics = [run.metrics(SPLIT) for run in runs]
    overall, points = folds.spreads(runs, metrics, pool.skeleton.names)
    words = folds.words_of(overall, points, options.folds, options.seeds)
    about = {
        "config": str(options.config),
        "data": f"{config.data_root} ({counted(len(pool.pictures), 'labelled pictures')}, without a test set)",
        "trainings": f"{counted(options.folds, 'folds')}, {counted(options.seeds, 'seeds')} of each",
        "drawn": time.strftime("%Y-%m-%d %H:%M"),
    }
    print("\n".join(words))
    json_file, csv_file, html_file = options.targets
    write_json(json_file, {"about": about, **folds.as_json(overall, points)}, indent=1)
    sentences = words[words.index("") + 1 :]
    for path, text in ((csv_file, folds.table(runs, metrics)), (html_file, page(overall, points, sentences, about))):
        write_text(path, text)
    for path in options.targets:
        record(TOOL, path)
    print(f"written: {', '.join(map(str, options.targets))}")
    return html_file
