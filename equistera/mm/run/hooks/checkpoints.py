"""Saves ``latest.pth`` and ``best.pth`` (and the last few epochs) of a run."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from equistera.errors import UserError
from equistera.files import replace
from equistera.mm.network import checkpoint
from equistera.training.checkpoints import outdated, ranked, saves_after, superseded


@HOOKS.register_module()
class SaveCheckpoints(Hook):
    """Saves after an epoch is complete, its evaluation included, and when the run is asked to stop.

    ``epoch_N.pth`` holds all that resuming needs, as does ``step_N.pth``, which a run leaves that was stopped before
    an epoch and its evaluation were complete. ``latest.pth`` is the newest of them; ``best.pth`` holds the weights
    with the best score: of equal ones those with the higher PCK, then the smaller error, then the latest.

    A checkpoint that cannot be written is a warning while the run will save again, and an error where it will not.

    Args:
        interval: Epochs between two saves; the last epoch is always saved.
        keep: How many ``epoch_N.pth`` and ``step_N.pth`` are kept.
        best: Metric of the evaluation that decides what is best (higher is better).
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int = 1, keep: int = 2, best: str = "val/AP"):
        self.interval = interval
        self.keep = keep
        self.best = best
        self._saved_step: int | None = None

    def before_train(self, runner) -> None:
        # what the run goes on from need not be saved again
        self._saved_step = runner.iter

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
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

    def after_epoch_complete(self, runner) -> None:
        last = runner.epoch == runner.max_epochs or runner.train_loop.stop_training
        if last or saves_after(runner.epoch, self.interval, runner.max_epochs):
            self._save(runner, runner.snapshot(with_optimizer=True), last)

    def before_stop(self, runner, content: dict) -> None:
        self._save(runner, content, last=True)

    @master_only
    def _save(self, runner, content: dict, last: bool) -> None:
        meta = content["meta"]
        whole = meta["batch"] == 0 and not meta["evaluation_pending"]
        name = f"epoch_{meta['epoch']}.pth" if whole else f"step_{meta['iter']}.pth"
        folder = Path(runner.work_dir)
        if not self._written(runner, folder / name, content, last):
            return
        _point_to(folder / "latest.pth", folder / name)
        names, steps = [entry.name for entry in folder.iterdir()], len(runner.train_dataloader)
        for old in {*outdated(names, self.keep, steps), *superseded(names, name, steps)}:
            (folder / old).unlink(missing_ok=True)

    def _save_best(self, runner) -> bool:
        """Whether ``best.pth`` holds the weights now; every process gets the same answer."""
        content = runner.snapshot(with_optimizer=False)
        done = self._written(runner, Path(runner.work_dir) / "best.pth", content, False) if runner.rank == 0 else True
        return runner.from_rank_0(done)

    @staticmethod
    def _written(runner, path: Path, content: dict, last: bool) -> bool:
        try:
            checkpoint.save(path, content)
        except UserError as error:
            if last:
                raise
            runner.warn(f"{error}\n  Training goes on and tries again at the next save.")
            return False
        return True


def _point_to(name: Path, target: Path) -> None:
    """Makes ``name`` a second name of ``target``, or a copy where the file system has no links."""
    temporary = name.with_name(f".{name.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(target, temporary)
    except OSError:
        shutil.copyfile(target, temporary)
    replace(temporary, name)
