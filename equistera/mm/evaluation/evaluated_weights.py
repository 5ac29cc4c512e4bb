"""Which weights are evaluated and saved as the best ones: training's own, or better ones made from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from equistera.mm.evaluation.training_subset import TrainingSubset
from equistera.mm.network.averaging import reestimate
from equistera.training.checkpoints import ERROR

#: Prefix of what is logged of the training subset.
SUBSET = "train_subset"

WEIGHTS, AVERAGE, NORMS = "weights", "average", "norms"


@dataclass(frozen=True)
class Candidate:
    """Weights that might be evaluated.

    Attributes:
        made_of: ``weights`` or ``average``, then ``norms`` where statistics were re-estimated.
        changes: Entries of the network's state that differ from training's own.
        scores: On the training subset.
    """

    made_of: tuple[str, ...]
    changes: Mapping[str, torch.Tensor]
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        return self.scores.get(ERROR, float("inf"))

    def describe(self) -> str:
        """In words, for the log."""
        source = "averaged weights" if AVERAGE in self.made_of else "the weights themselves"
        return source + (", norm statistics re-estimated" if NORMS in self.made_of else "")


def candidates(trainer, subset: TrainingSubset, average: Mapping[str, torch.Tensor] | None = None) -> list[Candidate]:
    """Weights that might be evaluated and saved as the best, the plainest first, with their scores.

    They are training's weights, the same with re-estimated normalisation statistics
    and their running average (:mod:`equistera.mm.network.averaging`), with re-estimated statistics where these are
    switched on. The one with the least error on the training subset,
    without augmentation, is to be evaluated; the validation set has no say in the choice.

    That costs, beside validation, forward passes over up to ``2 x norm_statistics.pictures`` and
    ``3 x training_subset.pictures`` crops. Training's own weights are in the network afterwards.

    Args:
        trainer: Of the run; ``norm_statistics`` of its config is read.
        subset: Training pictures.
        average: Of the weights, by the parameter's name; None for none.

    Raises:
        StopRequested: The run is to stop.
    """
    network, norms = trainer.network, bool(trainer.cfg.get("norm_statistics"))
    found = []
    for source, changes in ({WEIGHTS: {}} | ({} if average is None else {AVERAGE: average})).items():
        trainer.interruption.check()
        with swapped(network, changes):
            statistics = reestimate(network, subset.inputs(network)) if norms else {}
            # an average with the running statistics of other weights is only a second choice
            if source == WEIGHTS or not statistics:
                found.append(Candidate((source,), changes, subset.score(network)))
            if statistics:
                trainer.interruption.check()
                with swapped(network, statistics):
                    found.append(Candidate((source, NORMS), {**changes, **statistics}, subset.score(network)))
    return found


@contextlib.contextmanager
def swapped(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Entries of a network's state are others within the block, and the same to the bit after it, however it ends."""
    own = overwritten(network, tensors)
    try:
        yield
    finally:
        overwritten(network, own)


@torch.no_grad()
def overwritten(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Overwrites entries of a network's state; returns copies of what was there."""
    state = network.state_dict()
    before = {name: state[name].clone() for name in tensors}
    for name, value in tensors.items():
        state[name].copy_(value)
    return before
