"""Every labelled picture is shown to a model that was not trained on it: folds that are trained, or given models."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equistera import commands
from equistera.checkpoints import file_hash
from equistera.dataset.images import read_rgb
from equistera.errors import UserError
from equistera.experiments.options import set_entries, set_keys
from equistera.experiments.runs import Processes, Start, last_words, tool_command
from equistera.files import read_json, write_json
from equistera.labelling.answers import VIEWS, Answers
from equistera.labelling.pool import Pool
from equistera.mm.labelling.asking import ask
from equistera.mm.prediction.predict import Predictor
from equistera.mm.run.cost import cost_of
from equistera.mm.run.fingerprint import picture_marks
from equistera.progress import duration, track
from equistera.training.options import TrainOptions
from equistera.words import counted

#: Entries of a config that folds decide.
DECIDED = set_keys("train", "val")


@dataclass(frozen=True)
class Fold:
    """One training of several: all pictures but its own.

    Attributes:
        number: From 1.
        folder: Holds what it is trained and asked on, its run and log.
        pictures: int64, positions in the pool: those that it is asked about, and is not trained on.
        others: Those that it is trained on.
    """

    number: int
    folder: Path
    pictures: np.ndarray
    others: np.ndarray

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def checkpoint(self) -> Path:
        return self.run / "best.pth"

    @property
    def log(self) -> Path:
        return self.folder / "train.log"

    @property
    def done(self) -> Path:
        """Written when its training has ended."""
        return self.folder / "trained.json"


@dataclass(frozen=True)
class Training:
    """How folds are trained: options of ``tools/train.py``."""

    config: Path
    data_root: Path
    skeleton: str | None = None
    max_time: str | None = None
    init: str | None = None
    amp: bool = False
    device: str | None = None
    cfg_options: Sequence[str] = field(default_factory=list)

    def overrides(self, fold: Fold, images: Path) -> list[str]:
        """``--cfg-options`` of a fold, whose pictures are named relative to a folder."""
        files = {split: (fold.folder / f"{split}.json").resolve() for split in ("train", "val")}
        return [*self.cfg_options, *set_entries(files, images)]

    def options(self, fold: Fold, images: Path) -> TrainOptions:
        """The same for this process."""
        return TrainOptions(
            str(self.config),
            work_dir=str(fold.run),
            data_root=str(self.data_root),
            skeleton=self.skeleton,
            max_time=self.max_time,
            init=self.init,
            amp=self.amp,
            device=self.device,
            plan=True,
            cfg_options=self.overrides(fold, images),
            started=time.monotonic(),
        )

    def command(self, fold: Fold, images: Path) -> list[str]:
        """``tools/train.py`` that begins a fold or goes on with it."""
        words = [str(self.config), "--work-dir", str(fold.run), "--resume", "--data-root", str(self.data_root)]
        words += commands.option_words(
            {name: getattr(self, name) for name in ("skeleton", "max_time", "init", "device", "amp")}
        )
        return tool_command("train", *words, "--cfg-options", *self.overrides(fold, images))


def folds_of(pool: Pool, fold_of: dict[str, int], out: Path) -> list[Fold]:
    """The folds of a pool's pictures, whose fold is given by their names."""
    where = np.array([fold_of[picture.name] for picture in pool.pictures])
    return [
        Fold(i + 1, out / f"fold{i + 1}", np.flatnonzero(where == i), np.flatnonzero(where != i))
        for i in range(where.max() + 1)
    ]


def write_folds(pool: Pool, folds: Sequence[Fold]) -> None:
    """Writes what each fold is trained on, and what it is asked about as its validation set."""
    for fold in folds:
        write_json(fold.folder / "train.json", pool.coco(fold.others))
        write_json(fold.folder / "val.json", pool.coco(fold.pictures))


def keep(pool: Pool, folds: Sequence[Fold], training: Training, out: Path) -> None:
    """Remembers what the folds are of; labels that have changed since are refused.

    Raises:
        UserError: The folder holds folds of something else.
    """
    record = {
        "labels": labels_digest(pool),
        "config": str(training.config),
        "skeleton": pool.skeleton.name,
        "init": training.init and file_hash(Path(training.init)),
        "cfg_options": list(training.cfg_options),
        "amp": training.amp,
        "max_time": training.max_time,
        "folds": {pool.pictures[p].name: fold.number for fold in folds for p in fold.pictures.tolist()},
    }
    path = out / "folds.json"
    if path.is_file():
        earlier = read_json(path)
        earlier = earlier if isinstance(earlier, dict) else {}
        if other := [key for key, value in record.items() if earlier.get(key) != value]:
            raise UserError(
                f"{out} holds folds of something else, which differ in: {', '.join(other)}",
                hint="The same labels and options go on there; --out names a folder for others",
            )
        return
    write_json(path, record, indent=1)


def labels_digest(pool: Pool) -> str:
    """Of all that is labelled and where: it changes with every correction."""
    digest = hashlib.sha256()
    for values in (pool.labels, pool.boxes, pool.owner):
        digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(json.dumps([picture.name for picture in pool.pictures]).encode())
    return digest.hexdigest()


def train_folds(pool: Pool, folds: Sequence[Fold], training: Training, start: Start | None = None) -> None:
    """Trains the folds that are not trained yet, one after the other.

    Raises:
        UserError: One failed; the same command goes on.
    """
    processes = Processes()
    begin, began = start or processes, time.monotonic()
    left = [fold for fold in folds if not (fold.done.is_file() and fold.checkpoint.is_file())]
    if len(left) < len(folds):
        print(f"{len(folds) - len(left)} of {counted(len(folds), 'folds')} are trained already", file=sys.stderr)
    for trained, fold in enumerate(left):
        elapsed = time.monotonic() - began
        more = f", about {duration(elapsed / trained * (len(left) - trained))} left" if trained else ""
        print(f"fold {fold.number} of {len(folds)}: training{more} ({fold.log})", file=sys.stderr, flush=True)
        try:
            code = begin(training.command(fold, pool.folder), {}, fold.log)
        except BaseException:
            processes.stop()
            raise
        if code or not fold.checkpoint.is_file():
            raise UserError(
                f"fold {fold.number}: tools/train.py ended with {code}: {last_words(fold.log)}",
                hint=f"The same command goes on with it; its log is {fold.log}",
            )
        write_json(fold.done, {"sha256": file_hash(fold.checkpoint)})
        # as large as all pictures together, for each fold
        shutil.rmtree(fold.folder / "crop_cache", ignore_errors=True)


def seconds_of(pool: Pool, folds: Sequence[Fold], training: Training) -> float:
    """Seconds that the trainings which are left take on this machine, by a few steps of the first one."""
    left = [fold for fold in folds if not fold.done.is_file()]
    return len(left) * cost_of(training.options(left[0], pool.folder)).seconds if left else 0.0


@dataclass(frozen=True)
class Witness:
    """A trained model and the pictures that it is asked about.

    Attributes:
        name: For people.
        config: Its config.
        checkpoint: Its weights.
        pictures: int64, positions in the pool; None for all that it was not trained on.
        cfg_options: ``key=value`` overrides.
    """

    name: str
    config: str | Path
    checkpoint: Path
    pictures: np.ndarray | None = None
    cfg_options: Sequence[str] = ()


def answers_of(
    pool: Pool, witnesses: Sequence[Witness], device: str | None, skeleton: str | None, cache: Path
) -> Answers:
    """Asks all models about the pictures that they do not know; answers of an earlier call are taken from a file.

    Pictures that every model was trained on stay without an answer, which is said.

    Raises:
        UserError: A model cannot be used, or all were trained on all pictures.
    """
    key = _key(pool, witnesses)
    if (stored := Answers.stored(cache, key)) is not None:
        return stored
    asked: dict[int, list] = {n: [] for n in range(len(pool))}
    for witness in witnesses:
        predictor = Predictor(
            witness.config, witness.checkpoint, device=device, skeleton=skeleton, cfg_options=witness.cfg_options
        )
        if predictor.skeleton.names != pool.skeleton.names:
            raise UserError(
                f"{witness.checkpoint} predicts the points of {predictor.skeleton.name!r}, the labels are of "
                f"{pool.skeleton.name!r}"
            )
        chosen = _unseen(pool, witness, predictor) if witness.pictures is None else witness.pictures
        for p in track(chosen.tolist(), f"asking {witness.name}"):
            own = pool.animals_of[p]
            told = ask(predictor, read_rgb(pool.pictures[p].path), pool.boxes[own], pool.points[own])
            for i, n in enumerate(own.tolist()):
                asked[n].append([part[i] for part in told])
    answers = Answers.none(len(pool), len(pool.skeleton))
    for n, views in asked.items():
        if views:
            answers.take(n, *(np.concatenate(parts) for parts in zip(*views, strict=True)))
    answers.write(cache, key)
    return answers


def _unseen(pool: Pool, witness: Witness, predictor: Predictor) -> np.ndarray:
    """The pictures that a model was not trained on, as far as its checkpoint says; what it says is said."""
    if not predictor.trained_on:
        print(
            f"note: {witness.checkpoint} does not say what it was trained on: where these pictures were among it, "
            "mistakes in their labels were learnt and are not found"
        )
        return np.arange(len(pool.pictures))
    seen = np.array([bool(picture_marks([picture.path]) & predictor.trained_on) for picture in pool.pictures])
    if seen.any():
        print(f"{witness.name} was trained on {seen.sum()} of {counted(len(seen), 'pictures')}: not asked about them")
    return np.flatnonzero(~seen)


def _key(pool: Pool, witnesses: Sequence[Witness]) -> str:
    models = [
        [file_hash(one.checkpoint), [] if one.pictures is None else one.pictures.tolist(), list(one.cfg_options)]
        for one in witnesses
    ]
    return hashlib.sha256(json.dumps([labels_digest(pool), models, repr(VIEWS)]).encode()).hexdigest()
