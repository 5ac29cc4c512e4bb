"""Mistakes in labels from options to page: the work behind ``tools/find_label_errors.py``."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config

from equistera import commands, inputs
from equistera import skeleton as skeletons
from equistera.dataset.images import read_rgb
from equistera.dataset.split import UNSPLIT
from equistera.errors import UserError
from equistera.experiments.runs import Start
from equistera.files import write_text
from equistera.frames import Frame
from equistera.labelling.answers import Answers
from equistera.labelling.pool import Pool, Source, draw_folds, groups_of
from equistera.labelling.suspect_files import CSV, JSON, PAGE, export, export_targets, in_words, write_tables
from equistera.labelling.suspects import Judged, judge
from equistera.labelling.suspects_page import page
from equistera.looking import DetectorOptions
from equistera.mm import config as configs
from equistera.mm.devices import choose_device
from equistera.mm.labelling.out_of_fold import (
    DECIDED,
    Training,
    Witness,
    answers_of,
    folds_of,
    keep,
    seconds_of,
    train_folds,
    write_folds,
)
from equistera.mm.prediction.detect import boxes_of
from equistera.mm.prediction.split_predictions import files_of
from equistera.mm.prediction.stream import BoxSource
from equistera.named_models import members, short_names
from equistera.outputs import check_targets, record
from equistera.progress import duration, track
from equistera.training.fit import parse_duration
from equistera.words import counted

TOOL = "find_label_errors"
#: Trainings, and the probability from which suspects go to the labelling tool, where nobody says so.
FOLDS, AT_LEAST = 5, 0.2


@dataclass(frozen=True, kw_only=True)
class ErrorOptions(DetectorOptions):
    """What the user asked for; see ``tools/find_label_errors.py --help``."""

    out: str
    config: str | None = None
    checkpoints: Sequence[str] = ()
    folds: int | None = None
    seed: int | None = None
    group_by: str | None = None
    data_root: str | None = None
    skeleton: str | None = None
    max_time: str | None = None
    init: str | None = None
    amp: bool = False
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)
    to: str | None = None
    at_least: float | None = None
    url_prefix: str | None = None
    plan: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Refuses options that have no meaning together.

        Raises:
            UserError: There are some.
        """
        if not self.config and not self.checkpoints:
            raise UserError("CONFIG is missing; only --checkpoints does without", hint="See --help")
        if self.at_least is not None and not self.to:
            raise UserError("--at-least is for --to: the page and the tables hold all suspects")
        if self.at_least is not None and not 0 <= self.at_least <= 1:
            raise UserError(f"--at-least must be from 0 to 1, found {self.at_least:g}")
        if self.url_prefix is not None and self.to != "labelstudio":
            raise UserError("--url-prefix is for --to labelstudio")
        training = ("max_time", "init", "amp", "plan", "folds", "seed", "group_by")
        # 0 is a seed
        given = [name for name in training if getattr(self, name) is not None and getattr(self, name) is not False]
        if self.checkpoints and given:
            named = ", ".join(map(commands.option, given))
            raise UserError(f"{named} with --checkpoints, which trains nothing", hint="Leave one of them out")
        if self.max_time:
            parse_duration(self.max_time)
        if self.init:
            inputs.checkpoint(self.init)


def find_label_errors(options: ErrorOptions, start: Start | None = None) -> Judged | None:
    """Finds labels that are probably wrong and writes them; None where it is only planned.

    Args:
        options: What was asked for.
        start: What runs trainings; processes by default.

    Raises:
        UserError: Data, models or an earlier call's files do not allow it, or a training failed.
    """
    options.check()
    detector, out = options.detector(), Path(options.out)
    targets = [out / name for name in (CSV, JSON, PAGE)]
    if not options.plan:
        check_targets("--out", targets, overwrite=options.overwrite, tool=TOOL)
    asked = out_of_fold(options, start)
    if asked is None:
        return None
    pool, answers = asked
    sources = list(dict.fromkeys(picture.source for picture in pool.pictures))
    if options.to:
        check_targets("--out", export_targets(out, options.to, sources), overwrite=options.overwrite, tool=TOOL)
    found: dict[int, np.ndarray] = {}
    if detector is not None:
        found = _found(pool, boxes_of(detector, options.det_class, options.det_thr))
    judged = judge(pool, answers, found)
    about = {
        "labels": ", ".join(str(source.ann_file) for source in sources),
        "asked": ", ".join(options.checkpoints)
        or f"{options.folds or FOLDS} folds of {options.config}, each about the pictures that it was not trained on",
        "animals without labels": "looked for by " + str(detector.weights) if detector else "not looked for: no --det",
    }
    write_tables(judged, out, about)
    step = "Look through them and correct what is wrong in your labelling tool; --to labelstudio, cvat or coco writes "
    lines = [step + "just these pictures for it."]
    if options.to:
        how = {"url_prefix": options.url_prefix} if options.url_prefix is not None else {}
        lines = export(judged, out, options.to, AT_LEAST if options.at_least is None else options.at_least, **how)
        targets += [path for path in export_targets(out, options.to, sources) if path.is_file()]
    write_text(out / PAGE, page(judged, about, lines))
    for path in targets:
        record(TOOL, path)
    print(*in_words(judged.suspects), *[f"{key}: {value}" for key, value in about.items()], *lines, sep="\n")
    print("written:", *targets, sep="\n  ")
    return judged


def _found(pool: Pool, boxes: BoxSource) -> dict[int, np.ndarray]:
    """By picture the boxes that a detector finds, float64 [M, 5], x, y, width, height, confidence."""
    found = {}
    for p, picture in enumerate(track(pool.pictures, "looking for animals")):
        (told,) = boxes([Frame(picture.name, p, read_rgb(picture.path))])
        found[p] = np.array([[*box.xywh, box.score] for box in told or ()], dtype=float).reshape(-1, 5)
    return found


def out_of_fold(options: ErrorOptions, start: Start | None = None) -> tuple[Pool, Answers] | None:
    """What models say of all labelled animals that they were not trained on; None where it is only planned."""
    choose_device(options.device)
    if options.checkpoints:
        return _of_checkpoints(options)
    config = _config(options, options.config)
    pool = Pool.read(sources_of(config), skeletons.load(config.skeleton))
    groups = groups_of(pool, options.group_by)
    fold_of = draw_folds(groups, options.folds or FOLDS, options.seed or 0)
    training = Training(
        Path(config.filename),
        Path(config.data_root),
        **{name: getattr(options, name) for name in ("skeleton", "max_time", "init", "amp", "device", "cfg_options")},
    )
    if options.plan:
        print(_plan(pool, groups, fold_of, training, Path(options.out)))
        return None
    out = Path(options.out).resolve()
    folds = folds_of(pool, fold_of, out)
    keep(pool, folds, training, out)
    write_folds(pool, folds)
    train_folds(pool, folds, training, start)
    witnesses = [
        Witness(f"fold {fold.number}", training.config, fold.checkpoint, fold.pictures, options.cfg_options)
        for fold in folds
    ]
    return pool, answers_of(pool, witnesses, options.device, config.skeleton, out / "answers.npz")


def _config(options: ErrorOptions, path: str | Path) -> Config:
    for given in options.cfg_options:
        if given.partition("=")[0] in DECIDED:
            raise UserError(f"--cfg-options {given}: folds decide that")
    config = configs.load(
        path,
        options.cfg_options,
        data_root=str(Path(options.data_root).resolve()) if options.data_root else None,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    if config.model.type == "AnimalDetector":
        raise UserError(f"{path} is a detector's config: labels of points are compared with a pose model's")
    return config


def sources_of(config: Config) -> list[Source]:
    """The annotation files of a config's data root that are there: of its splits, else of all pictures together.

    Raises:
        UserError: There are none.
    """
    root = Path(config.data_root)
    named = {split: files_of(config, split) for split in ("train", "val", "test")}
    named[UNSPLIT] = (f"annotations/{UNSPLIT}.json", f"images/{UNSPLIT}")
    there = {split: Source(split, root / file, root / images) for split, (file, images) in named.items()}
    there = {split: source for split, source in there.items() if source.ann_file.is_file()}
    if len(there) > 1:
        # what was split stands in the splits
        there.pop(UNSPLIT, None)
    if not there:
        raise UserError(
            f"no annotations: none of {', '.join(file for file, _ in named.values())} is below {root}",
            hint="--data-root names the folder; tools/convert_dataset.py makes the files",
        )
    return list(there.values())


def _of_checkpoints(options: ErrorOptions) -> tuple[Pool, Answers]:
    words = [*([options.config] if options.config else []), *options.checkpoints]
    pairs = members(words)
    config = _config(options, pairs[0][0])
    pool = Pool.read(sources_of(config), skeletons.load(config.skeleton))
    names = short_names([path for _, path in pairs], taken="")
    witnesses = [
        Witness(name, own, path, cfg_options=options.cfg_options)
        for name, (own, path) in zip(names, pairs, strict=True)
    ]
    answers = answers_of(pool, witnesses, options.device, options.skeleton, Path(options.out) / "answers.npz")
    asked = np.isfinite(answers.scores[:, 0])
    if not asked.any():
        raise UserError(
            f"every model was trained on all {counted(len(pool.pictures), 'pictures')}: it learnt their mistakes, too",
            hint="Without --checkpoints folds are trained, each without the pictures that it is asked about",
        )
    if not asked.all():
        left = len(set(pool.owner[~asked].tolist()))
        print(f"left out: {counted(left, 'pictures')} that every model was trained on")
    return pool, answers


def _plan(pool: Pool, groups: dict[str, str], fold_of: dict[str, int], training: Training, out: Path) -> str:
    with tempfile.TemporaryDirectory() as place:
        folds = folds_of(pool, fold_of, out.resolve())
        written = [dataclasses.replace(fold, folder=Path(place) / fold.folder.name) for fold in folds]
        write_folds(pool, written)
        left = [one for one, fold in zip(written, folds, strict=True) if not fold.done.is_file()]
        seconds = seconds_of(pool, left, training)
    sizes = [len(fold.pictures) for fold in folds]
    lines = [
        f"{counted(len(pool.pictures), 'pictures')} ({counted(len(pool), 'labelled animals')}) in "
        f"{counted(len(set(groups.values())), 'groups')}, none of them torn apart",
        f"{counted(len(folds), 'folds')} of {min(sizes)} to {max(sizes)} pictures, {len(left)} still to be trained",
        f"time: about {duration(seconds)} for the trainings"
        + (", as --max-time says" if training.max_time else ", by a few measured steps on this machine"),
    ]
    return "\n".join(lines)
