"""Applies the schedule: which stages are open, at what learning rate, with which augmentation."""

from __future__ import annotations

import gc

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from equistera.mm.run.deferred import log_scalar
from equistera.training.schedule import Schedule


@HOOKS.register_module()
class ApplySchedule(Hook):
    """Sets, at every epoch and step, what :class:`equistera.training.schedule.Schedule` says holds there.

    Nothing is remembered between epochs, so a resumed run is where an unbroken one would be.
    """

    # before RuntimeInfoHook, which logs the learning rate
    priority = "HIGHEST"

    def before_train(self, runner) -> None:
        if runner.train_loop.evaluation_pending:
            # the evaluation of the epoch before, which looks at what is frozen
            self._open_stages(runner, runner.epoch - 1)

    def before_train_epoch(self, runner) -> None:
        runner.train_dataloader.dataset.set_epoch(runner.epoch)
        self._open_stages(runner, runner.epoch)

    @staticmethod
    def _open_stages(runner, epoch: int) -> None:
        schedule: Schedule = runner.schedule
        network = runner.network
        frozen = {stage.name for stage in network.stages if not schedule.is_open(stage.name, epoch)}
        if frozen == network.frozen_stages and runner.iter:
            return
        network.freeze(frozen)
        runner.logger.info(
            f"epoch {epoch + 1}: phase {schedule.phase_at(epoch).name!r}, "
            f"frozen: {', '.join(sorted(frozen)) or 'nothing'}"
        )
        if is_model_wrapper(runner.model):
            # DDP gathers the gradients of the parameters that were open when it was made, so make it anew. The old
            # one must be gone first: its hooks on the parameters would fire as well.
            runner.model = network
            gc.collect()
            runner.model = runner.wrap_model(runner.cfg.get("model_wrapper_cfg"), network)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        schedule: Schedule = runner.schedule
        for group in runner.optim_wrapper.optimizer.param_groups:
            group["lr"] = schedule.lr(group["stage"], runner.iter)
        for stage in runner.network.stages:
            log_scalar(runner.message_hub, f"train/lr/{stage.name}", schedule.lr(stage.name, runner.iter))
