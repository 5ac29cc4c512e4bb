"""The factor on every learning rate: what the user asked for, and what the size of the batch asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from equistera.errors import UserError

#: The batch that the learning rates of the configs are written for.
REFERENCE_BATCH = 16

#: Optimisers that divide by a running size of the gradient. With k times the batch the gradient's noise falls by
#: sqrt(k), and so the rate rises by sqrt(k): Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient
#: Algorithms" (arXiv 2205.10287), of which only the rule for the learning rate is used here, not that for the betas.
ADAPTIVE = frozenset({"Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "RMSprop"})

#: Plain gradient steps: k times the rate for k times the batch, Goyal et al. 2017, "Accurate, Large Minibatch SGD"
#: (arXiv 1706.02677).
PLAIN = frozenset({"SGD"})


@dataclass(frozen=True)
class LrScaling:
    """What every learning rate of the strategy is multiplied by, and why.

    Attributes:
        lr: ``optim_wrapper.optimizer.lr``.
        reference_lr: ``strategy.reference_lr``, the LR that stands for the strategy's own rates.
        total_batch: Samples in an optimiser step, over all processes.
        reference_batch: Samples that the strategy's rates are written for.
        rule: ``square root``, ``linear`` or ``off``: how the rates follow the batch.
    """

    lr: float
    reference_lr: float
    total_batch: int
    reference_batch: int
    rule: str

    @property
    def batch_factor(self) -> float:
        """The part that comes from the size of the batch."""
        ratio = self.total_batch / self.reference_batch
        return {"square root": math.sqrt(ratio), "linear": ratio, "off": 1.0}[self.rule]

    @property
    def factor(self) -> float:
        """The whole."""
        return self.lr / self.reference_lr * self.batch_factor

    def explain(self) -> str:
        """One line for the plan."""
        if self.lr == self.reference_lr and self.total_batch == self.reference_batch:
            return f"x 1: batch {self.total_batch} and optimizer.lr {self.lr:g}, which the strategy is written for"
        reasons = []
        if self.lr != self.reference_lr:
            reasons.append(
                f"{self.lr / self.reference_lr:.3g} for optimizer.lr {self.lr:g} instead of {self.reference_lr:g}"
            )
        if self.total_batch != self.reference_batch:
            rule = "not scaled" if self.rule == "off" else f"{self.rule} rule"
            reasons.append(
                f"{self.batch_factor:.3g} for batch {self.total_batch} instead of {self.reference_batch} ({rule})"
            )
        return f"x {self.factor:.3g}: " + ", ".join(reasons)


def scale_lr(
    optimizer: str,
    lr: float,
    reference_lr: float,
    total_batch: int,
    reference_batch: int = REFERENCE_BATCH,
    enabled: bool = True,
) -> LrScaling:
    """Finds the factor on every learning rate of the strategy, and its reasons.

    Args:
        optimizer: Class name, ``optim_wrapper.optimizer.type``.
        lr: See :class:`LrScaling`, as for the next two.
        reference_lr: Of the strategy.
        total_batch: Batch size x processes (x steps over which gradients are accumulated).
        reference_batch: Of the strategy.
        enabled: ``strategy.scale_lr_with_batch``.

    Raises:
        UserError: No rule is known for the optimiser.
    """
    rule = "square root" if optimizer in ADAPTIVE else "linear" if optimizer in PLAIN else "off"
    if enabled and rule == "off" and total_batch != reference_batch:
        raise UserError(
            f"no rule is known how the learning rate of {optimizer} follows the batch ({total_batch} samples a step, "
            f"the rates are for {reference_batch})",
            hint="Turn it off and choose the rate yourself: --cfg-options strategy.scale_lr_with_batch=False "
            f"optim_wrapper.optimizer.lr={lr:g}",
        )
    return LrScaling(lr, reference_lr, total_batch, reference_batch, rule if enabled else "off")


def share_update(samples: int, batch: int, processes: int) -> tuple[int, int] | None:
    """How processes make an update of so many samples: the batch of each, and the steps that they accumulate.

    Args:
        samples: Of an update, over all processes and steps.
        batch: The most that one of them takes at a time, which is known to fit its memory.
        processes: How many there are.

    Returns:
        None where they cannot, or only by batches of less than half of what each could take.
    """
    own, left = divmod(samples, processes)
    if left or not own:
        return None
    most = min(batch, own)
    size = next(size for size in range(most, 0, -1) if own % size == 0)
    return (size, own // size) if 2 * size >= most else None
