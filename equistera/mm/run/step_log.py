"""What steps say of themselves on its way into the log: the host asks the device for it when it is written.

MMEngine takes loss and gradient norm to the host at every step, and a GPU has nothing to do until the host, which
waited for it, has put the next step together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.config import Config
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS

#: Values of each scalar that are kept in memory: MMEngine's million is copied whole at every step.
KEPT = 1000


@HOOKS.register_module()
class RuntimeInfo(RuntimeInfoHook):
    """MMEngine's hook without what it logs of a step, which :class:`StepLog` hands over."""

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Nothing: it would wait for the device."""


class StepLog:
    """Figures of steps that are not in the log yet.

    Args:
        config: Of the run; its ``default_hooks.logger`` says how often the log is written.
    """

    def __init__(self, config: Config):
        self._interval = (config.default_hooks.get("logger") or {}).get("interval", 10)
        self._pending: dict[str, list[float | torch.Tensor]] = {}

    def note(self, figures: Mapping[str, float | torch.Tensor]) -> None:
        """Adds a step's figures: numbers, or tensors of one number that nobody changes afterwards."""
        for name, value in figures.items():
            self._pending.setdefault(name, []).append(value)

    def is_due(self, number: int, last: bool) -> bool:
        """Whether the log is written after a step (from 0) of an epoch."""
        return last or (number + 1) % self._interval == 0

    def hand_over(self, hub: MessageHub) -> None:
        """Gives all figures to MMEngine, whose hook and processor write the log; waits for the device once."""
        pending, self._pending = self._pending, {}
        tensors = [value for values in pending.values() for value in values if isinstance(value, torch.Tensor)]
        # one copy to the host for all of them
        numbers = iter(torch.stack([value.double().reshape(()) for value in tensors]).tolist() if tensors else ())
        for name, values in pending.items():
            for value in values:
                hub.update_scalar(f"train/{name}", next(numbers) if isinstance(value, torch.Tensor) else value)
        for name, history in hub.log_scalars.items():
            if name.startswith("train/"):
                history.max_length = KEPT
