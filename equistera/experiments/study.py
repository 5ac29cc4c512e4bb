"""The study of a sweep: an Optuna journal in its folder, which any number of processes share without a server.

What Optuna has none of without a database, a sign of life of each worker, is a file that a worker holds locked while
its trial runs: the system lets go of it when the worker dies, on whichever machine. Such a trial is lost; its settings
are tried again, by a trial that goes on in the same work dir.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from equistera.errors import UserError, WriteError
from equistera.experiments.space import Knob
from equistera.files import exclusive, hold_shared, in_use
from equistera.training.work_dir import is_running

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

#: The journal, and the folder of the trials' work dirs.
JOURNAL, TRIALS = "study.journal", "trials"
#: What the study is of; of a trial that goes on with a lost one its work dir and number; why one failed.
OF, FOLDER, GOES_ON, WHY = "of", "work_dir", "goes on with", "why"
_NAME = "sweep"
#: Optuna's states of a trial, in words.
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}

#: Trials that are finished before any is pruned, and the share of a run that none is pruned in: its first phase.
#: Optuna's own default is five trials and no share.
STARTUP, GRACE = 5, 1 / 3
#: Val scores are compared at every tenth of a run, so that trials of other lengths can be.
PARTS = 10


def optuna() -> ModuleType:
    """The library, silent but for warnings.

    Raises:
        UserError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError("a sweep needs Optuna, which is not installed", hint="pip install -e .[sweep]") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@dataclass(frozen=True)
class Sweep:
    """A study in its folder; make it with :meth:`open`."""

    folder: Path
    study: Study
    knobs: Sequence[Knob]

    @classmethod
    def open(
        cls, folder: Path, knobs: Sequence[Knob], of: Mapping, first: Mapping[str, Any], prune: bool = True
    ) -> Sweep:
        """Makes the study of a folder, or joins in.

        Args:
            folder: Of the sweep.
            knobs: What is varied.
            of: What must be the same for all trials, as plain values.
            first: The values that the first trial has; empty where the sampler chooses.
            prune: Whether trials that promise little end early.

        Raises:
            UserError: It is of something else or damaged, or files there cannot be written or locked.
        """
        library = optuna()
        path = folder / JOURNAL
        try:
            (folder / TRIALS).mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                journal = library.storages.journal
                study = library.create_study(
                    storage=library.storages.JournalStorage(
                        journal.JournalFileBackend(str(path), journal.JournalFileOpenLock(str(path)))
                    ),
                    study_name=_NAME,
                    direction="maximize",
                    load_if_exists=True,
                    pruner=_pruner(library, prune),
                )
                earlier = study.user_attrs.get(OF)
                if earlier is None:
                    study.set_user_attr(OF, dict(of))
                    if first:
                        study.enqueue_trial(dict(first))
        except OSError as error:
            raise WriteError(f"--out {folder}", error) from error
        except (ValueError, LookupError, AssertionError) as error:
            raise UserError(
                f"{path} is damaged: {error}",
                hint="Take out its last line, if it is half-written; or --out names another folder for a new sweep",
            ) from error
        if earlier is not None and (other := {key for key in {**of, **earlier} if earlier.get(key) != of.get(key)}):
            raise UserError(
                f"{folder} holds a sweep of something else:",
                [f"{key}: {earlier.get(key)}, now {of.get(key)}" for key in sorted(other)],
                "--out names another folder",
            )
        return cls(folder, study, knobs)

    def trials(self, *states: str) -> list[FrozenTrial]:
        """Trials in these states, such as ``COMPLETE``; all of them without any."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if not states or trial.state.name in states]

    @property
    def lost(self) -> set[int]:
        """Numbers of the trials that others go on with."""
        return {trial.user_attrs[GOES_ON] for trial in self.trials() if GOES_ON in trial.user_attrs}

    @property
    def finished(self) -> list[FrozenTrial]:
        """What counts towards ``--trials``: all that came to an end of its own, failures of the training included."""
        lost = self.lost
        return [trial for trial in self.trials("COMPLETE", "PRUNED", "FAIL") if trial.number not in lost]

    def work_dir(self, trial: FrozenTrial | Trial) -> Path:
        """Where a trial trains: in a folder of its own, or in that of the lost one that it goes on with."""
        return self.folder / TRIALS / trial.user_attrs.get(FOLDER, f"trial{trial.number:04d}")

    @contextlib.contextmanager
    def taken(self, count: int) -> Iterator[Trial | None]:
        """The next trial of ``count``, which is this process's while the block runs; None where there is none to take.

        Trials whose worker has gone are found first, and said. If the block is left by an error, this one is lost too.
        """
        with contextlib.ExitStack() as held:
            with _alone(self.folder):
                for line in self._find_lost():
                    print(line, file=sys.stderr, flush=True)
                trial, waiting = None, self.trials("WAITING")
                if waiting or len(self.finished) + len(self.trials("RUNNING")) < count:
                    trial = self.study.ask({knob.key: knob.distribution for knob in self.knobs})
                    hold_shared(held.enter_context(self._sign(trial.number).open("w+")))
            try:
                yield trial
            except BaseException:
                if trial is not None:
                    with _alone(self.folder):
                        self._lose(self.study.get_trials(deepcopy=False)[trial.number])
                raise
            finally:
                if trial is not None:
                    self._sign(trial.number).unlink(missing_ok=True)

    def _sign(self, number: int) -> Path:
        return self.folder / TRIALS / f".trial{number:04d}.worker"

    def _find_lost(self) -> Iterator[str]:
        for trial in self.trials("RUNNING"):
            sign = self._sign(trial.number)
            if sign.is_file() and in_use(sign):
                continue
            if is_running(self.work_dir(trial)):
                yield f"trial {trial.number}: its worker has gone, its training still runs and is left alone"
                continue
            sign.unlink(missing_ok=True)
            self._lose(trial)
            yield f"trial {trial.number} is lost, its worker has gone: another goes on in {self.work_dir(trial)}"

    def _lose(self, trial: FrozenTrial) -> None:
        """Gives a trial up, and its settings and work dir to another."""
        if trial.state.is_finished():
            return
        # first: of a process that dies in between, the next one finds both
        if trial.number not in self.lost:
            self.study.enqueue_trial(
                trial.params, user_attrs={GOES_ON: trial.number, FOLDER: self.work_dir(trial).name}
            )
        self.study.tell(trial.number, state=optuna().trial.TrialState.FAIL)


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Of all workers one at a time; Optuna's own lock is held for single lines of its journal."""
    return exclusive(folder / ".lock", waiting=lambda: None)


def _pruner(library: ModuleType, prune: bool) -> Any:
    if not prune:
        return library.pruners.NopPruner()
    return library.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=round(GRACE * PARTS))


def report(trial: Trial, epochs: Sequence[float], values: Sequence[float], length: int) -> bool:
    """Hands a trial's scores so far to the study; whether it says that this is enough.

    Args:
        trial: Running.
        epochs, values: Of each evaluation.
        length: Epochs of the whole run.
    """
    told = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for i, epoch in enumerate(epochs):
        part = min(PARTS, int(PARTS * epoch / length + 1e-9))
        if part not in told:
            trial.report(max(values[: i + 1]), part)
            told = {**told, part: 0.0}
    return bool(told) and trial.should_prune()


def importances(sweep: Sweep) -> dict[str, float]:
    """Each knob's share of what makes a trial one of the best, by Optuna (PED-ANOVA); empty of too few trials."""
    if len({trial.value for trial in sweep.trials("COMPLETE")}) < 2:
        return {}
    return optuna().importance.get_param_importances(sweep.study)


def best(sweep: Sweep) -> FrozenTrial | None:
    """The trial with the best score."""
    return max(sweep.trials("COMPLETE"), key=lambda trial: trial.value, default=None)
