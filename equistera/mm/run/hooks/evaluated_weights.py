"""Which weights are evaluated and saved as the best ones: training's own, or better ones made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import nn

from equistera.mm.network.averaging import AveragedWeights
from equistera.mm.network.norm_statistics import reestimate
from equistera.mm.run.training_subset import TrainingSubset
from equistera.training.checkpoints import ERROR
from equistera.training.ema import Ema, make_ema

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


@HOOKS.register_module()
class EvaluatedWeights(Hook):
    """Before an evaluation the best of a few candidates is put into the network, after it training's own weights.

    Candidates are training's weights, the same with re-estimated normalisation statistics
    (:mod:`equistera.mm.network.norm_statistics`) and their running average (:mod:`equistera.mm.network.averaging`),
    with re-estimated statistics where these are switched on. The one with the least error on the training subset,
    without augmentation, is evaluated, and it is what ``best.pth`` holds if its score is the best; the validation set
    has no say in the choice. All errors are logged, as ``train_subset/normalised_error/CANDIDATE``, and the scores of
    the chosen one as ``train_subset/AP`` and so on: beside ``val/AP`` they show overfitting.

    An evaluation costs, beside validation, forward passes over up to ``2 x norm_statistics.pictures`` and
    ``3 x training_subset.pictures`` crops. Training goes on as if it had not taken place.

    Reads ``training_subset``, ``norm_statistics`` and ``ema`` of the config.
    """

    # before RuntimeInfoHook, which puts the metrics into the log
    priority = "HIGHEST"

    def __init__(self) -> None:
        self._average: AveragedWeights | None = None
        self._ema: Ema | None = None
        self._resumed: Mapping[str, torch.Tensor] | None = None
        self._subset: TrainingSubset | None = None
        self._own: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict:
        return {"average": self._average.tensors if self._average else None}

    def load_state_dict(self, state: dict) -> None:
        self._resumed = state["average"]

    def before_train(self, runner) -> None:
        if runner.cfg.get("ema") is None:
            return
        self._average = AveragedWeights(runner.network)
        if self._resumed is not None:
            self._average.load(self._resumed)
            self._resumed = None

    def before_train_epoch(self, runner) -> None:
        self._ema = make_ema(runner.cfg.get("ema"), runner.schedule.total_steps)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        if self._average is not None:
            self._average.update(self._ema, runner.iter)

    def before_val_epoch(self, runner) -> None:
        network = runner.network
        if self._subset is None:
            self._subset = TrainingSubset.of(runner.cfg, runner.train_dataloader.dataset)
        network.eval()
        candidates = self._candidates(runner)
        # of equals the first, which is the plainest
        runner.evaluated = min(candidates, key=lambda candidate: candidate.error)
        self._own = put(network, runner.evaluated.changes)
        self._logged = {f"{SUBSET}/{name}": value for name, value in runner.evaluated.scores.items()} | {
            f"{SUBSET}/{ERROR}/{'+'.join(candidate.made_of)}": candidate.error for candidate in candidates
        }
        errors = ", ".join(f"{c.describe()}: {c.error:.4f}" for c in candidates)
        runner.logger.info(
            f"evaluated are {runner.evaluated.describe()}; mean error on training pictures, over size: {errors}"
        )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        put(runner.network, self._own)
        self._own = {}
        # the one dict that all hooks get
        metrics.update(self._logged)

    def _candidates(self, runner) -> list[Candidate]:
        network, norms = runner.network, bool(runner.cfg.get("norm_statistics"))
        sources = {WEIGHTS: {}} | ({AVERAGE: self._average.tensors} if self._average else {})
        candidates = []
        for source, changes in sources.items():
            # what is in the network then does not matter: a run that stops in an evaluation saves what was before it
            runner.interruption.check()
            own = put(network, changes)
            statistics = reestimate(network, self._subset.inputs(network)) if norms else {}
            # an average with the running statistics of other weights is only a second choice
            if source == WEIGHTS or not statistics:
                candidates.append(Candidate((source,), changes, self._subset.score(network)))
            if statistics:
                runner.interruption.check()
                own |= put(network, statistics)
                scores = self._subset.score(network)
                candidates.append(Candidate((source, NORMS), {**changes, **statistics}, scores))
            put(network, own)
        return candidates


@torch.no_grad()
def put(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Overwrites entries of a network's state; returns copies of what was there."""
    state = network.state_dict()
    before = {name: state[name].clone() for name in tensors}
    for name, value in tensors.items():
        state[name].copy_(value)
    return before
