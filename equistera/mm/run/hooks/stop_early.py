"""Gives a run up that no longer improves, as ``equistera.training.early_stopping`` decides."""

from __future__ import annotations

import math

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from equistera.training.early_stopping import should_stop
from equistera.words import counted


@HOOKS.register_module()
class StopEarly(Hook):
    """Stops after ``early_stopping.patience`` epochs without an improvement of the metric that is watched.

    The last epoch is saved as that of any run. A resumed run that had stopped stops again at once, unless it is given
    more patience. Does nothing without a patience.
    """

    # before SaveCheckpoints, which saves the last epoch
    priority = "LOW"

    def __init__(self) -> None:
        self._scores: list[tuple[int, float]] = []

    def state_dict(self) -> dict:
        return {"scores": [list(entry) for entry in self._scores]}

    def load_state_dict(self, state: dict) -> None:
        self._scores = [(int(epoch), float(score)) for epoch, score in state["scores"]]

    def before_train(self, runner) -> None:
        self._first_step = runner.iter
        if not runner.train_loop.evaluation_pending:
            self._decide(runner)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        self._scores.append((runner.epoch, metrics.get(runner.cfg.default_hooks.checkpoint.best, math.nan)))
        self._decide(runner)

    def after_train(self, runner) -> None:
        if runner.train_loop.stop_training and runner.epoch < runner.max_epochs and self._decide(runner):
            text = f"stopped after epoch {runner.epoch} of {runner.max_epochs}: {self._reason(runner)}"
            if runner.iter == self._first_step:
                text += "; --resume goes on if that is larger, or None"
            runner.logger.info(text)
            if is_main_process():
                print(text, flush=True)

    def _decide(self, runner) -> bool:
        settings = runner.cfg.early_stopping
        stop = should_stop(self._scores, runner.schedule, settings.patience, settings.min_delta)
        runner.train_loop.stop_training |= stop
        return stop

    @staticmethod
    def _reason(runner) -> str:
        watched, patience = runner.cfg.default_hooks.checkpoint.best, runner.cfg.early_stopping.patience
        return f"{watched} has not improved for {counted(patience, 'epochs')} or more (early_stopping.patience)"
