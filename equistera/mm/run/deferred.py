"""Scalars that are logged at every step and read now and then: the host asks the device for them when they are read.

MMEngine takes loss and gradient norm to the host at every step, and a GPU has nothing to do until the host, which
waited for it, has put the next step together.
"""

from __future__ import annotations

import numpy as np
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS

#: Values that are kept of each scalar: MMEngine's million is copied whole at every step.
_KEPT = 1000


class DeferredHistory(HistoryBuffer):
    """A history whose newest values may still be on the device; whoever reads it gets numbers.

    Attributes:
        newest: The value that came last, as it came, or None.
    """

    def __init__(self, values: list[float] | np.ndarray = (), counts: list[int] | np.ndarray = ()):
        self._pending: list[float | torch.Tensor] = []
        self.newest: float | torch.Tensor | None = None
        super().__init__(list(values)[-_KEPT:], list(counts)[-_KEPT:], max_length=_KEPT)

    def defer(self, value: float | torch.Tensor) -> None:
        """Adds a value: a number, or a tensor of one number, which must not be changed afterwards."""
        self.newest = value
        self._pending.append(value)
        if len(self._pending) >= _KEPT:
            self._settle()

    def update(self, log_val: float, count: int = 1) -> None:
        self._settle()
        self.newest = log_val
        super().update(log_val, count)

    def _settle(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        if any(isinstance(value, torch.Tensor) for value in pending):
            device = next(value.device for value in pending if isinstance(value, torch.Tensor))
            # one copy to the host for all of them
            pending = torch.stack(
                [torch.as_tensor(value, dtype=torch.float64, device=device).reshape(()) for value in pending]
            ).tolist()
        self._values = np.append(self._values, pending)[-_KEPT:]
        self._counts = np.append(self._counts, np.ones(len(pending)))[-_KEPT:]

    # the parent computes on these
    @property
    def _log_history(self) -> np.ndarray:
        self._settle()
        return self._values

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def _count_history(self) -> np.ndarray:
        self._settle()
        return self._counts

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts


def log_scalar(hub: MessageHub, name: str, value: float | torch.Tensor) -> None:
    """Logs a scalar without waiting for it.

    Args:
        hub: Of the run.
        name: With ``train/`` in front.
        value: A number, or a tensor of one number that nobody changes afterwards.
    """
    history = hub.log_scalars.get(name)
    if not isinstance(history, DeferredHistory):
        history = DeferredHistory(*(history.data if history is not None else ()))
        hub.log_scalars[name] = history
    history.defer(value)


def newest(hub: MessageHub, name: str) -> float | torch.Tensor | None:
    """The value that was logged last, without waiting for it; None if there is none."""
    history = hub.log_scalars.get(name)
    if history is None:
        return None
    return history.newest if isinstance(history, DeferredHistory) else float(history.current())


def shorten(hub: MessageHub, mode: str, least: int = 0) -> None:
    """Makes the histories that MMEngine's own hooks log keep no more than :data:`_KEPT` values from now on.

    Args:
        hub: Of the run.
        mode: ``train`` or ``val``, whose scalars are meant.
        least: Values that are kept at any rate, as an average over all of them is asked for.
    """
    for name, history in hub.log_scalars.items():
        if name.startswith(f"{mode}/"):
            history.max_length = max(_KEPT, least)


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's hook, which logs what the model says of a step without waiting for it, and keeps histories short."""

    def before_val_epoch(self, runner) -> None:
        # the log has the mean time of an evaluation's batches
        shorten(runner.message_hub, "val", len(runner.val_dataloader))

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        for name, value in (outputs or {}).items():
            log_scalar(
                runner.message_hub, f"train/{name}", value.detach() if isinstance(value, torch.Tensor) else value
            )
        shorten(runner.message_hub, "train")


class _DeferredNorm:
    """Clips gradients and logs their norm without waiting for it."""

    def _clip_grad(self) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        norm = self.clip_func(parameters, **self.clip_grad_kwargs)
        # clipping by value has no norm
        if norm is not None:
            log_scalar(self.message_hub, f"train/{self.grad_name}", norm.detach())


@OPTIM_WRAPPERS.register_module()
class DeferredOptimWrapper(_DeferredNorm, OptimWrapper):
    """MMEngine's wrapper that does not wait for the gradient's norm."""


@OPTIM_WRAPPERS.register_module()
class DeferredAmpOptimWrapper(_DeferredNorm, AmpOptimWrapper):
    """The same for scaled losses."""
