"""The trainings of a learning curve: what they are, which are done, and how they are run side by side."""

from __future__ import annotations

import itertools
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from equistera.environment import usable_cores
from equistera.errors import UserError
from equistera.evaluation.files import METRICS
from equistera.files import read_json
from equistera.labelling.runs import Processes, Start, last_words, tool_command
from equistera.progress import duration
from equistera.words import counted

#: Entries of the config that the sizes of a curve decide, beside options of their own.
DECIDED = (
    "train_cfg.max_epochs",
    "train_cfg.val_interval",
    "default_hooks.checkpoint.interval",
    "train_dataloader.dataset.ann_file",
)


@dataclass(frozen=True)
class Run:
    """One training of a curve.

    Attributes:
        size: Pictures that were asked for.
        seed: Of the pictures that were drawn and of the training.
        pictures, groups, animals: What it trains on.
        steps_per_epoch: Optimiser steps that these give an epoch.
        epochs: Its length, and ``val_interval`` the epochs between two evaluations; None where a time decides.
        folder: Its work dir.
        ann_file: Its training set.
        names: File names of its pictures.
    """

    size: int
    seed: int
    pictures: int
    groups: int
    animals: int
    steps_per_epoch: int
    epochs: int | None
    val_interval: int | None
    folder: Path
    ann_file: Path
    names: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{counted(self.pictures, 'pictures')}, seed {self.seed}"

    def train_command(self, config: str, options: Sequence[str], overrides: Sequence[str]) -> list[str]:
        """``tools/train.py`` that begins, goes on with or finds finished this training.

        Args:
            config: The config.
            options: Options of all trainings, and ``overrides`` their entries of ``--cfg-options``.
        """
        own = [f"train_dataloader.dataset.ann_file={str(self.ann_file)!r}"]
        if self.epochs is not None:
            own += [
                f"train_cfg.max_epochs={self.epochs}",
                f"train_cfg.val_interval={self.val_interval}",
                f"default_hooks.checkpoint.interval={self.val_interval}",
            ]
        kept = [given for given in overrides if given.partition("=")[0] not in DECIDED]
        words = ["--work-dir", str(self.folder), "--resume", "--seed", str(self.seed), *options]
        return tool_command("train", config, *words, "--cfg-options", *kept, *own)

    def test_command(self, split: str) -> list[str]:
        """``tools/test.py`` of its best weights."""
        # the folder is the curve's own: what a killed call left there is nobody's
        return tool_command("test", str(self.folder), "--split", split, "--overwrite")

    def metrics(self, split: str) -> dict | None:
        """Its scores; None where there are none of its last weights."""
        path, best = self.folder / split / METRICS, self.folder / "best.pth"
        if not path.is_file() or not best.is_file() or path.stat().st_mtime < best.stat().st_mtime:
            return None
        return read_json(path)

    def state(self, split: str) -> str:
        """``scored``, ``begun`` or ``not begun``."""
        if self.metrics(split) is not None:
            return "scored"
        return "begun" if (self.folder / "run.json").is_file() else "not begun"


def run_all(
    runs: Sequence[Run],
    told: Callable[[Run], tuple[list[str], list[str]]],
    split: str,
    jobs: int = 1,
    gpus: Sequence[str] = (),
    start: Start | None = None,
) -> None:
    """Trains and scores what is not scored yet, some at a time; says on stderr how far it is.

    Args:
        runs: The trainings.
        told: Gives the commands that train and that test one.
        split: What they are scored on.
        jobs: Trainings at a time; they share the machine's cores.
        gpus: Names of GPUs, of which each job gets one; none: the jobs decide.
        start: What runs a command.

    Raises:
        UserError: Some failed; all others were run first.
        KeyboardInterrupt: The call was interrupted; what ran has saved itself.
    """
    left = [run for run in runs if run.state(split) != "scored"]
    if len(left) < len(runs):
        print(f"{len(runs) - len(left)} of {counted(len(runs), 'trainings')} are done already", file=sys.stderr)
    own = start is None
    processes = Processes()
    start = processes if start is None else start
    shared = {"OMP_NUM_THREADS": str(max(1, usable_cores() // jobs))} if jobs > 1 else {}
    places: queue.Queue[str] = queue.Queue()
    for _, gpu in zip(range(jobs), itertools.cycle(gpus or [""]), strict=False):
        places.put(gpu)
    began, done = time.monotonic(), itertools.count(1)

    def one(run: Run) -> str:
        gpu = places.get()
        try:
            return _train_and_score(
                run, told(run), split, {**shared, **({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})}, start
            )
        finally:
            places.put(gpu)
            elapsed, count = time.monotonic() - began, next(done)
            remaining = elapsed / count * (len(left) - count)
            more = f"; {len(left) - count} left, about {duration(remaining)}" if count < len(left) else ""
            print(f"{run.name}: {_in_short(run, split)} after {duration(elapsed)}{more}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = [pool.submit(one, run) for run in left]
        try:
            problems = [problem for problem in (future.result() for future in waiting) if problem]
        except BaseException:
            for future in waiting:
                future.cancel()
            if own:
                print("the trainings that run save themselves and end ...", file=sys.stderr, flush=True)
                processes.stop()
            raise
    if problems:
        raise UserError(
            f"{len(problems)} of {counted(len(left), 'trainings')} failed; the others are done:",
            problems,
            "The same command tries these again",
        )


def _in_short(run: Run, split: str) -> str:
    metrics = run.metrics(split)
    return "not scored" if metrics is None else f"AP {metrics['AP']:.3f}, PCK@0.1 {metrics['PCK@0.1']:.3f}"


def _train_and_score(
    run: Run, told: tuple[list[str], list[str]], split: str, changes: Mapping[str, str], start: Start
) -> str:
    """Runs both commands; returns what went wrong, or nothing."""
    log = run.folder.with_suffix(".log")
    for command in told:
        code = start(command, changes, log)
        if code:
            return f"{run.name}: {Path(command[1]).name} ended with {code}: {last_words(log)} ({log})"
    return "" if run.metrics(split) is not None else f"{run.name}: there are no scores in {run.folder / split}"
