"""Stops a run whose loss is no number any more, before anything of it is saved."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import HOOKS

from equistera.errors import UserError
from equistera.mm.data.batches import pictures_of
from equistera.mm.run.deferred import newest

_NEVER = torch.iinfo(torch.int64).max

#: Pictures that the message names.
_SHOWN = 64


@HOOKS.register_module()
class StopOnNonFinite(Hook):
    """Stops at a loss, gradient or weight that is infinite or not a number, and says at which pictures.

    The loss is looked at on the device. The host asks for the outcome only every ``interval`` steps and at the end of
    every epoch, before anything is evaluated or saved, so ``latest.pth`` is always good.

    Args:
        interval: Steps between two looks.

    Raises:
        UserError: With epoch, step, pictures and what to do, on every process.
    """

    # at the end of an epoch before all that evaluates or saves
    priority = "HIGHEST"

    def __init__(self, interval: int = 10):
        self.interval = interval
        self._first: torch.Tensor | None = None
        self._value: torch.Tensor | None = None
        self._pictures: dict[int, list[str]] = {}

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        loss, step = outputs["loss"].detach(), runner.iter
        if self._first is None:
            self._first = torch.full((), _NEVER, dtype=torch.int64, device=loss.device)
            self._value = torch.zeros_like(loss)
        norm = _gradient_norm(runner)
        if norm is not None:
            loss = torch.where(torch.isfinite(norm.to(loss.device)), loss, math.nan)
        newly = ~torch.isfinite(loss) & (self._first == _NEVER)
        self._first = torch.where(newly, step, self._first)
        self._value = torch.where(newly, loss, self._value)
        self._pictures[step] = pictures_of(data_batch)
        if (step + 1) % self.interval == 0:
            self.look(runner)

    def after_train_epoch(self, runner) -> None:
        self.look(runner)
        weights = [parameter.detach() for parameter in runner.network.parameters()]
        if not bool(torch.stack([torch.isfinite(weight).all() for weight in weights]).all()):
            raise UserError(
                f"weights are infinite or not a number after epoch {runner.epoch + 1}, though the loss was finite",
                hint=_advice(runner),
            )

    def before_stop(self, runner, content: dict) -> None:
        self.look(runner)

    def look(self, runner) -> None:
        """Stops the run if any process met a loss that is not finite since the last look.

        Every process must call it at the same step.
        """
        pictures, self._pictures = self._pictures, {}
        if self._first is None:
            return
        first = self._first.clone()
        all_reduce(first, op="min")
        step = int(first)
        if step == _NEVER:
            return
        own = int(self._first) == step
        parts = all_gather_object((pictures.get(step, []), float(self._value)) if own else None)
        parts = [part for part in parts if part]
        in_batch = [path for paths, _ in parts for path in paths]
        per_epoch = len(runner.train_dataloader)
        raise UserError(
            f"the loss is {parts[0][1]} at epoch {step // per_epoch + 1}, step {step % per_epoch + 1} of {per_epoch}. "
            f"The batch{'es' if len(parts) > 1 else ''} had these pictures:",
            in_batch[:_SHOWN],
            _advice(runner),
        )


def _gradient_norm(runner) -> torch.Tensor | None:
    """As the optimiser's wrapper has logged it, None where it says nothing.

    Where the loss is scaled, infinite gradients are a matter of course: the scaler leaves such a step out.
    """
    if isinstance(runner.optim_wrapper, AmpOptimWrapper):
        return None
    norm = newest(runner.message_hub, "train/grad_norm")
    return None if norm is None else torch.as_tensor(norm)


def _advice(runner) -> str:
    lr = runner.cfg.optim_wrapper.optimizer.lr
    latest = Path(runner.work_dir) / "latest.pth"
    kept = f"{latest} is from before and is good." if latest.is_file() else "No checkpoint had been written yet."
    amp = ", without --amp" if runner.network.precision is not None else ""
    return (
        f"{kept} Check the labels of these pictures (tools/verify_dataset.py); if they are right, start again with a "
        f"tenth of the learning rate (--cfg-options optim_wrapper.optimizer.lr={lr / 10:g}){amp}"
    )
