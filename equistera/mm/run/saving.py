"""Saves ``latest.pth``, ``best.pth`` and the last few epochs of a run, at the borders of epochs, and ``run.json``."""

from __future__ import annotations

import math
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

import equistera
from equistera.errors import UserError
from equistera.files import link_or_copy, replace, write_json
from equistera.mm.evaluation.evaluated_weights import swapped
from equistera.mm.network import checkpoint
from equistera.mm.run.fingerprint import VALIDATION, git_commit
from equistera.monitor.plan import RUN_FILE
from equistera.training.checkpoints import BEST, LATEST, due_after, outdated, ranked

#: Seconds of training after which the next complete epoch is saved, whatever the interval is.
AT_LEAST_EVERY = 60
#: ... and how many times as long as the save took: where that takes minutes, these saves cost 2 % of the time.
_TIMES_A_SAVE = 50


@HOOKS.register_module()
class SaveCheckpoints(Hook):
    """What is saved of a run; :mod:`equistera.mm.run.loop` says when.

    ``epoch_N.pth`` holds all that resuming needs. ``latest.pth`` is the newest of them, or a later one of its own, so
    that no more than about a minute of training and the epoch that is being trained can be lost. ``best.pth`` holds the
    weights with the best score: of equal ones those with the higher PCK, then the smaller error, then the latest.

    A checkpoint that cannot be written is a warning while the run will save again, and an error where it will not.

    Args:
        interval: Epochs between two ``epoch_N.pth``; the last epoch always has one.
        keep: How many of them are kept; 0 keeps all.
        best: Metric of the evaluation that decides what is best (higher is better).

    Attributes:
        epochs: Complete epochs that are saved.
    """

    def __init__(self, interval: int = 1, keep: int = 2, best: str = "val/AP"):
        self.interval = interval
        self.keep = keep
        self.best = best
        self._saved_at, self._took = time.monotonic(), 0.0
        self._saved: tuple[int, bool] | None = None
        self.epochs = 0

    def begin(self, epochs: int) -> None:
        """Time is counted from here on; so many complete ``epochs`` are saved already."""
        self._saved_at, self.epochs = time.monotonic(), epochs

    def choose_best(self, runner, metrics: dict) -> None:
        """Saves the evaluated weights as ``best.pth`` if none have scored higher."""
        score = metrics.get(self.best, math.nan)
        if not math.isfinite(score):
            runner.warn(
                f"the evaluation after epoch {runner.epoch} has no {self.best}, by which the best weights are chosen: "
                "it counts as no improvement"
            )
            return
        before, rank = (runner.best_score, runner.best_epoch, runner.best_rank), ranked(metrics, self.best)
        # of equals the later: its weights have settled longer
        if before[0] is None or rank >= tuple(before[2]):
            runner.best_score, runner.best_epoch, runner.best_rank = score, runner.epoch, rank
            if not self._save_best(runner):
                # the file still holds the earlier one, which a later epoch need only reach
                runner.best_score, runner.best_epoch, runner.best_rank = before

    def after_epoch(self, runner, last: bool) -> None:
        """Saves a complete epoch if it is one of the interval, the last of the run, or long after the one before.

        So is the first that has a ``best.pth``: without a checkpoint beside it a run that is killed could neither go on
        nor begin again.
        """
        waited = time.monotonic() - self._saved_at
        due = last or due_after(runner.epoch, self.interval, runner.max_epochs)
        alone = not self.epochs and runner.best_epoch is not None
        if runner.rank == 0 and (due or alone or waited >= max(AT_LEAST_EVERY, _TIMES_A_SAVE * self._took)):
            self._save(runner, named=due, last=last)

    def at_stop(self, runner) -> None:
        """Saves the run as it stands between two epochs, unless that has been done."""
        if runner.rank == 0 and self._saved != _state(runner):
            self._save(runner, named=False, last=True)

    def _save(self, runner, named: bool, last: bool) -> None:
        folder, name, began = Path(runner.work_dir), f"epoch_{runner.epoch}.pth", time.monotonic()
        if not self._written(runner, folder / (name if named else LATEST), True, last):
            return
        if named:
            _point_to(folder / LATEST, folder / name)
            for old in outdated([entry.name for entry in folder.iterdir()], self.keep):
                (folder / old).unlink(missing_ok=True)
        self._saved, self._saved_at, self.epochs = _state(runner), time.monotonic(), runner.epoch
        self._took = self._saved_at - began

    def _save_best(self, runner) -> bool:
        """Whether ``best.pth`` holds the weights now; every process gets the same answer."""
        done = runner.rank != 0 or self._written(runner, Path(runner.work_dir) / BEST, False, False)
        return runner.from_rank_0(done)

    @staticmethod
    def _written(runner, path: Path, with_optimizer: bool, last: bool) -> bool:
        try:
            checkpoint.save(path, snapshot(runner, with_optimizer))
        except UserError as error:
            if last:
                raise
            runner.warn(f"{error}\n  Training goes on and tries again at the next save.")
            return False
        return True


def _state(runner) -> tuple[int, bool]:
    return runner.iter, runner.train_loop.evaluation_pending


def snapshot(trainer, with_optimizer: bool) -> dict:
    """All that a checkpoint holds of the run as it stands between two epochs.

    Without the optimiser it holds the weights that were evaluated last, otherwise training's own.
    """
    loop, skeleton = trainer.train_loop, trainer.network.skeleton
    meta = {
        "epoch": loop.epoch,
        "iter": loop.iter,
        "evaluation_pending": loop.evaluation_pending,
        "lengths": [list(length) for length in trainer.lengths],
        "seed": trainer.seed,
        "from_scratch": trainer.cfg.from_scratch,
        "config": trainer.config_text,
        "git_commit": git_commit(),
        "fingerprint": dict(trainer.started_with),
        "trained_on": list(trainer.trained_on),
        "animals": list(trainer.animals),
        "starts": list(trainer.starts),
        "config_name": Path(trainer.cfg.filename or "config.py").stem,
        "skeleton": {
            "name": skeleton.name,
            "source": trainer.cfg.skeleton,
            "keypoints": list(skeleton.names),
            "flip_indices": skeleton.flip_indices.tolist(),
        },
        # MMPose reads it where it is given the file
        "dataset_meta": trainer.network.dataset_meta,
        "best_score": trainer.best_score,
        "best_epoch": trainer.best_epoch,
        "best_rank": list(trainer.best_rank),
        "saved": time.strftime("%Y-%m-%d %H:%M:%S"),
        "equistera_version": equistera.__version__,
    }
    network, evaluated = trainer.network, trainer.evaluated
    content = {"meta": meta, "state_dict": network.state_dict()}
    if with_optimizer:
        hooks = {name: hook.state_dict() for name, hook in trainer.stateful_hooks().items()}
        return {**content, "optimizer": trainer.optim_wrapper.state_dict(), "loop": loop.state_dict(), "hooks": hooks}
    if evaluated is not None:
        # parameters that several parts of a network share have a name in each
        with swapped(network, evaluated.changes):
            content["state_dict"] = {name: value.clone() for name, value in network.state_dict().items()}
        meta["weights"] = evaluated.describe()
    return content


def write_run_file(trainer) -> None:
    """Writes ``run.json``: what ``tools/monitor_training.py`` and ``--resume`` need beside scalars and checkpoints.

    Written again when the length of the trainer's run changes.
    """
    schedule = trainer.schedule
    content = {
        "config": Path(trainer.cfg.filename).stem,
        "max_epochs": schedule.max_epochs,
        "steps_per_epoch": schedule.steps_per_epoch,
        # a phase that a shortened run no longer reaches is none of it
        "phases": [{"name": p.name, "start": p.start, "end": p.end} for p in schedule.phases if p.end > p.start],
        "skeleton": trainer.network.skeleton.name,
        # what the scores depend on: runs over other validation sets cannot be compared by them
        "validation": trainer.started_with[VALIDATION],
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(trainer.timestamp, "%Y%m%d_%H%M%S")),
        "record": trainer.record,
    }
    write_json(Path(trainer.work_dir) / RUN_FILE, content, indent=1)


def _point_to(name: Path, target: Path) -> None:
    """Makes ``name`` a second name of ``target``, or a copy where the file system has no links."""
    temporary = name.with_name(f".{name.name}.part")
    temporary.unlink(missing_ok=True)
    link_or_copy(target, temporary)
    replace(temporary, name)
