"""Stops a run whose loss is no number any more, before anything of it is saved."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.optim import AmpOptimWrapper

from equistera.errors import UserError
from equistera.mm.data.batches import pictures_of

_NEVER = torch.iinfo(torch.int64).max

#: Steps between two looks.
_INTERVAL = 10

#: Pictures that the message names.
_SHOWN = 64


class NonFinite:
    """Stops at a loss, gradient or weight that is infinite or not a number, and says at which pictures.

    The loss is looked at on the device. The host asks for the outcome only every :data:`_INTERVAL` steps and at the end
    of every epoch, before anything is evaluated or saved, so ``latest.pth`` is always good.
    """

    def __init__(self) -> None:
        self._first: torch.Tensor | None = None
        self._value: torch.Tensor | None = None
        self._pictures: dict[int, list[str]] = {}

    def note(self, runner, step: int, loss: torch.Tensor, norm: torch.Tensor | None, batch: dict) -> None:
        """Takes in a step (from 0), its loss, its gradient's norm and its batch, and looks where it is time to.

        Where the loss is scaled, infinite gradients are a matter of course: the scaler leaves such a step out.

        Raises:
            UserError: See :meth:`look`.
        """
        if self._first is None:
            self._first = torch.full((), _NEVER, dtype=torch.int64, device=loss.device)
            self._value = torch.zeros_like(loss)
        if norm is not None and not isinstance(runner.optim_wrapper, AmpOptimWrapper):
            loss = torch.where(torch.isfinite(norm.to(loss.device)), loss, math.nan)
        newly = ~torch.isfinite(loss) & (self._first == _NEVER)
        self._first = torch.where(newly, step, self._first)
        self._value = torch.where(newly, loss, self._value)
        self._pictures[step] = pictures_of(batch)
        if (step + 1) % _INTERVAL == 0:
            self.look(runner)

    @staticmethod
    def look_at_weights(runner) -> None:
        """Stops the run if a weight is not finite at the end of an epoch.

        Raises:
            UserError: With what to do, on every process.
        """
        weights = [parameter.detach() for parameter in runner.network.parameters()]
        if not bool(torch.stack([torch.isfinite(weight).all() for weight in weights]).all()):
            raise UserError(
                f"weights are infinite or not a number after epoch {runner.epoch + 1}, though the loss was finite",
                hint=_advice(runner),
            )

    def look(self, runner) -> None:
        """Stops the run if any process met a loss that is not finite since the last look.

        Every process must call it at the same step.

        Raises:
            UserError: With epoch, step, pictures and what to do, on every process.
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


def _advice(runner) -> str:
    lr = runner.cfg.optim_wrapper.optimizer.lr
    latest = Path(runner.work_dir) / "latest.pth"
    kept = f"{latest} is from before and is good." if latest.is_file() else "No checkpoint had been written yet."
    amp = ", without --amp" if runner.network.precision is not None else ""
    return (
        f"{kept} Check the labels of these pictures (tools/verify_dataset.py); if they are right, start again with a "
        f"tenth of the learning rate (--cfg-options optim_wrapper.optimizer.lr={lr / 10:g}){amp}"
    )
