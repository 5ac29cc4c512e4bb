"""Saves ``latest.pth`` and ``best.pth`` (and the last few epochs) of a run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from equistera.mm import checkpoint


@HOOKS.register_module()
class SaveCheckpoints(Hook):
    """Saves after an epoch is complete, its evaluation included.

    ``epoch_N.pth`` holds all that resuming needs and ``latest.pth`` is the newest of them; ``best.pth`` holds the
    weights with the best score.

    Args:
        interval: Epochs between two saves; the last epoch is always saved.
        keep: How many ``epoch_N.pth`` are kept.
        best: Metric of the evaluation that decides what is best (higher is better).
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int = 1, keep: int = 2, best: str = "val/AP"):
        self.interval = interval
        self.keep = keep
        self.best = best

    def after_train_epoch(self, runner) -> None:
        # the loop counts the epoch only after this call
        epoch = runner.epoch + 1
        if not runner.evaluates_after(epoch):
            self._save(runner, epoch)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        score = metrics[self.best]
        if runner.best_score is None or score > runner.best_score:
            runner.best_score, runner.best_epoch = score, runner.epoch
            self._save_best(runner)
        self._save(runner, runner.epoch)

    @master_only
    def _save_best(self, runner) -> None:
        checkpoint.save(Path(runner.work_dir) / "best.pth", runner.snapshot(runner.epoch, with_optimizer=False))

    @master_only
    def _save(self, runner, epoch: int) -> None:
        last = epoch == runner.max_epochs or runner.train_loop.stop_training
        if epoch % self.interval and not last:
            return
        folder = Path(runner.work_dir)
        newest = folder / f"epoch_{epoch}.pth"
        checkpoint.save(newest, runner.snapshot(epoch, with_optimizer=True))
        _point_to(folder / "latest.pth", newest)
        saved = sorted(folder.glob("epoch_*.pth"), key=_epoch_of)
        for old in saved[: -self.keep] if self.keep > 0 else []:
            old.unlink()


def _epoch_of(path: Path) -> int:
    number = path.stem.removeprefix("epoch_")
    return int(number) if number.isdigit() else -1


def _point_to(name: Path, target: Path) -> None:
    """Makes ``name`` a second name of ``target``, or a copy where the file system has no links."""
    temporary = name.with_name(f".{name.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(target, temporary)
    except OSError:
        shutil.copyfile(target, temporary)
    os.replace(temporary, name)
