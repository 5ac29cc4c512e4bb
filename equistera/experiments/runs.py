"""Plain runs of the project's tools that other tools start: their commands, several at a time, and how they end."""

from __future__ import annotations

import abc
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from equistera import PROJECT, commands
from equistera.environment import usable_cores
from equistera.errors import UserError
from equistera.evaluation.files import METRICS
from equistera.files import read_json
from equistera.monitor.plan import RUN_FILE
from equistera.progress import duration
from equistera.training.checkpoints import BEST
from equistera.words import counted

#: Runs a command with changes of the environment, writes what it says to the end of a file, returns its exit code; a
#: fourth argument is asked now and then whether the command is to be ended early.
Start = Callable[..., int]
#: Seconds between two such questions.
POLL = 2.0


def tool_command(name: str, *words: str) -> list[str]:
    """The words that run ``tools/NAME.py`` with this interpreter."""
    return [sys.executable, str(PROJECT / "tools" / f"{name}.py"), *words]


class ScoredRun(abc.ABC):
    """A training in a work dir of its own whose best weights ``tools/test.py`` scores.

    Attributes:
        folder: Its work dir.
    """

    folder: Path

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What it trains on, for people."""

    def test_command(self, split: str) -> list[str]:
        """``tools/test.py`` of its best weights."""
        # the folder is the experiment's own: what a killed call left there is nobody's
        return tool_command("test", str(self.folder), "--split", split, "--overwrite")

    def metrics(self, split: str) -> dict | None:
        """Its scores; None where there are none of its last weights."""
        path, best = self.folder / split / METRICS, self.folder / BEST
        if not path.is_file() or not best.is_file() or path.stat().st_mtime < best.stat().st_mtime:
            return None
        return read_json(path)

    def state(self, split: str) -> str:
        """``scored``, ``begun`` or ``not begun``."""
        if self.metrics(split) is not None:
            return "scored"
        return "begun" if (self.folder / RUN_FILE).is_file() else "not begun"

    def in_short(self, split: str) -> str:
        """Its scores in a few words."""
        metrics = self.metrics(split)
        return "not scored" if metrics is None else f"AP {metrics['AP']:.3f}, PCK@0.1 {metrics['PCK@0.1']:.3f}"


R = TypeVar("R", bound=ScoredRun)


class Processes:
    """Starts commands as processes of their own and ends them when this one is to end."""

    def __init__(self) -> None:
        self._lock, self._running, self._stopped = threading.Lock(), set(), False

    def __call__(
        self, command: Sequence[str], changes: Mapping[str, str], log: Path, enough: Callable[[], bool] | None = None
    ) -> int:
        """See :data:`Start`; a command that was ended by a signal has 128 and that more."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            out.write(f"\n$ {commands.line(*command)}\n".encode())
            out.flush()
            with self._lock:
                if self._stopped:
                    return 130
                # not of this process group: Ctrl-C would reach it twice, and the second one is for the impatient
                child = subprocess.Popen(
                    command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **changes}, start_new_session=True
                )
                self._running.add(child)
            code = child.wait() if enough is None else _watched(child, enough)
        with self._lock:
            self._running.discard(child)
        return 128 - code if code < 0 else code

    def stop(self) -> None:
        """Asks all that run to save what they have and end; nothing new is started."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                child.terminate()


def _watched(child: subprocess.Popen, enough: Callable[[], bool]) -> int:
    """Waits for a process, which is asked to end when ``enough`` says so, or when this one is interrupted."""
    asked = False
    try:
        while True:
            try:
                return child.wait(timeout=POLL)
            except subprocess.TimeoutExpired:
                if not asked and enough():
                    asked = True
                    child.terminate()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def run_all(
    runs: Sequence[R],
    told: Callable[[R], tuple[list[str], ...]],
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

    def one(run: R) -> str:
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
            print(f"{run.name}: {run.in_short(split)} after {duration(elapsed)}{more}", file=sys.stderr, flush=True)

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


def chosen(runs: Sequence[R], only: int | None) -> Sequence[R]:
    """The run that ``--only`` names, from 1; all of them without it.

    Raises:
        UserError: There are fewer.
    """
    if only is None:
        return runs
    if only > len(runs):
        raise UserError(f"--only {only}: there are {counted(len(runs), 'trainings')}")
    return [runs[only - 1]]


def one_done(runs: Sequence[ScoredRun], only: int, split: str) -> str:
    """That the run which ``--only`` names is done, and how many are not."""
    left = sum(run.metrics(split) is None for run in runs)
    return f"training {only} of {len(runs)} is done, {left} are not"


def _train_and_score(
    run: ScoredRun, told: Sequence[list[str]], split: str, changes: Mapping[str, str], start: Start
) -> str:
    """Runs both commands; returns what went wrong, or nothing."""
    log = run.folder.with_suffix(".log")
    for command in told:
        code = start(command, changes, log)
        if code:
            return f"{run.name}: {Path(command[1]).name} ended with {code}: {last_words(log)} ({log})"
    return "" if run.metrics(split) is not None else f"{run.name}: there are no scores in {run.folder / split}"


def array_lines(name: str, argv: Sequence[str], count: int) -> list[str]:
    """How a cluster runs trainings that ``--only`` tells apart, and what puts their results together.

    Args:
        name: Of the tool.
        argv: What it was called with; ``--plan`` is left out.
        count: Trainings.
    """
    words = [word for word in argv if not word.startswith("--pl")]
    tools = PROJECT / "tools"
    array = commands.line("sbatch", f"--array=1-{count}", tools / "slurm" / "array.sh", tools / f"{name}.py", *words)
    return [f"  {array} --only TASK", f"  {commands.tool(name, *words)}"]


def last_words(log: Path) -> str:
    """What a log says last: its error, if it has one."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["nothing"])[-1][:200]
