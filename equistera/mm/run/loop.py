"""The training of a run, from its first epoch to its last: everything that happens, in the order in which it does.

We own this loop, where MMEngine's would be bent by hooks with priorities: an epoch with its stages and rates, its
steps, the evaluation, the choice of the best, the save, the look at the clock, are calls of one another here. Hooks of
MMEngine's kind, a user's in ``custom_hooks`` and its own for logs, are called at the places that MMEngine names.

A run stops and goes on between epochs. All randomness of a step follows from (seed, process, step) and that of a
sample from (seed, epoch, sample), so a run that was resumed equals one that never stopped, to the bit.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.dist import all_reduce_params, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop, ValLoop
from torch import nn

from equistera.errors import UserError
from equistera.mm.evaluation.evaluated_weights import SUBSET, candidates, swapped
from equistera.mm.evaluation.source_scores import SourceScores
from equistera.mm.evaluation.training_subset import TrainingSubset
from equistera.mm.network.averaging import AveragedWeights
from equistera.mm.run.console import Console
from equistera.mm.run.interruption import StopRequested
from equistera.mm.run.logs import StepLog
from equistera.mm.run.nonfinite import NonFinite
from equistera.mm.run.saving import SaveCheckpoints, write_run_file
from equistera.training.checkpoints import ERROR, due_after
from equistera.training.ema import make_ema
from equistera.training.fit import Clock, Fit
from equistera.words import counted

#: Seconds within which a run that is asked to stop brings its epoch to an end instead of leaving it.
FINISHED_WITHIN = 60


@LOOPS.register_module()
class TrainLoop(BaseLoop):
    """All epochs of a run.

    Args:
        runner: A :class:`equistera.mm.run.trainer.Trainer`.
        dataloader: Of the training set.
        max_epochs: Epochs of the run.
        val_interval: Epochs between two evaluations; the last epoch is evaluated as well.

    Attributes:
        epoch: Complete epochs.
        iter: Steps that are done.
        evaluation_pending: Whether the last complete epoch is still to be evaluated.
        stop_training: Ends the run after the present epoch; any hook may set it.
        average: The running average of the weights, or None.
        scores: ``(epoch, score)`` of every evaluation, of the metric that is watched.
        clock: Keeps the run to ``--max-time``; None without.
    """

    #: Where MMEngine's hooks look for the first epoch that is evaluated.
    val_begin = 1

    def __init__(self, runner, dataloader, max_epochs: int, val_interval: int = 1):
        if not hasattr(runner, "network"):
            raise UserError(
                f"{type(runner).__name__} cannot train what this config says",
                hint="python tools/train.py CONFIG trains; MMEngine's own Runner can only test it",
            )
        super().__init__(runner, dataloader)
        self.max_epochs, self.val_interval = max_epochs, val_interval
        self.epoch = self.iter = 0
        self.evaluation_pending = self.stop_training = False
        config = runner.cfg
        self.accumulated = config.optim_wrapper.get("accumulative_counts", 1)
        self.average = AveragedWeights(runner.network) if config.get("ema") is not None else None
        self.scores: list[tuple[int, float]] = []
        self.clock = Clock(Fit.from_json(config.fitted)) if config.get("fitted") else None
        (self.saver,) = (hook for hook in runner.hooks if isinstance(hook, SaveCheckpoints))
        self.subset: TrainingSubset | None = None
        self.sources: SourceScores | None = None
        self.non_finite, self.log, self.console = NonFinite(), StepLog(config), Console()
        self.finishing = False

    @property
    def max_iters(self) -> int:
        return self.max_epochs * len(self.dataloader)

    def state_dict(self) -> dict:
        """What the run remembers beside weights and optimiser: plain values and tensors."""
        return {
            "average": self.average.tensors if self.average else None,
            "scores": [list(entry) for entry in self.scores],
            "clock": self.clock.state_dict() if self.clock else None,
        }

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what :meth:`state_dict` gave, which :mod:`equistera.mm.run.intact` has found to be whole."""
        if self.average and state.get("average") is not None:
            self.average.load(state["average"])
        self.scores = [(epoch, score) for epoch, score in state["scores"]]
        if self.clock and state.get("clock") is not None:
            self.clock.load_state_dict(state["clock"])

    def begin(self) -> None:
        """What comes before the first epoch."""
        self.saver.begin(self.epoch)
        if self.clock:
            self.clock.begin(self.runner.started, self.max_epochs)
        self.runner.call_hook("before_train")
        self.console.begin(self.runner)

    def run(self) -> nn.Module:
        runner, first = self.runner, self.iter
        self.begin()
        if self.evaluation_pending:
            # the evaluation of the epoch before, which looks at what is frozen
            runner.open_stages(self.epoch - 1)
            self._complete_epoch()
        else:
            # a run that had given up does so again, unless it is given more patience
            self._give_up_without_improvement()
        while self.epoch < self.max_epochs and not self.stop_training:
            self.run_epoch()
            self._complete_epoch()
        self.console.end()
        runner.call_hook("after_train")
        if self.epoch < self.max_epochs and self._give_up_without_improvement():
            self.console.given_up(runner, did_nothing=self.iter == first)
        return runner.model

    def run_epoch(self) -> None:
        """An epoch without what follows it."""
        runner, steps = self.runner, len(self.dataloader)
        began = time.monotonic()
        self.dataloader.dataset.set_epoch(self.epoch)
        self.dataloader.sampler.set_epoch(self.epoch)
        runner.open_stages(self.epoch)
        ema = make_ema(runner.cfg.get("ema"), runner.schedule.total_steps)
        runner.call_hook("before_train_epoch")
        runner.model.train()
        for number, batch in enumerate(self.dataloader):
            self._step(number, batch, number + 1 == steps, ema)
            # after the last step there is more to finish
            if number + 1 < steps:
                self._leave_epoch_if_asked((time.monotonic() - began) / (number + 1) * (steps - number - 1))
        self.non_finite.look(runner)
        self.non_finite.look_at_weights(runner)
        if get_world_size() > 1:
            # each process has normalised by its own batches
            all_reduce_params(runner.network.buffers(), op="mean")
        runner.call_hook("after_train_epoch")
        self.epoch += 1
        due = due_after(self.epoch, self.val_interval, self.max_epochs)
        self.evaluation_pending = due and runner.val_loop is not None
        if self.clock:
            self.clock.note_epoch(self.epoch - 1, time.monotonic() - began)

    def _step(self, number: int, batch: dict, last: bool, ema) -> None:
        """A step of an epoch; of every ``accumulative_counts`` steps, and of those left at its end, one updates.

        The loss of a short group is divided as that of a full one: every step counts the same.
        """
        runner, step = self.runner, self.iter
        seed_step(runner.seed, get_rank(), step)
        runner.set_rates(step)
        runner.call_hook("before_train_iter", batch_idx=number, data_batch=batch)
        updates = last or (number + 1) % self.accumulated == 0
        outputs, norm = train_step(runner.model, runner.optim_wrapper, batch, self.accumulated, updates)
        if self.average:
            self.average.update(ema, step)
        self.non_finite.note(runner, step, outputs["loss"], norm, batch)
        rates = {f"lr/{stage.name}": runner.schedule.lr(stage.name, step) for stage in runner.network.stages}
        self.log.note({**outputs, **rates, **({} if norm is None else {"grad_norm": norm})})
        if self.log.is_due(number, last):
            self.log.hand_over(runner.message_hub)
        runner.call_hook("after_train_iter", batch_idx=number, data_batch=batch, outputs=outputs)
        self.console.step(runner, outputs["loss"])
        self.iter += 1

    def _complete_epoch(self) -> None:
        """What follows an epoch: evaluation, save, the length that still fits the time."""
        runner, began = self.runner, time.monotonic()
        self._stop_between_epochs_if_asked()
        evaluated = self.evaluation_pending
        if evaluated:
            try:
                metrics = self._evaluate()
            except StopRequested as request:
                self._stop(request.number)
            self.evaluation_pending = False
            self.saver.choose_best(runner, metrics)
            self.scores.append((self.epoch, metrics.get(self.saver.best, math.nan)))
            self._give_up_without_improvement()
            self.console.evaluated(runner, metrics)
        self.saver.after_epoch(runner, last=self.epoch >= self.max_epochs or self.stop_training)
        if self.clock:
            if evaluated:
                self.clock.note_evaluation(time.monotonic() - began)
            if self.epoch < self.max_epochs and not self.stop_training:
                # every process must take the same turn, so one clock decides
                self._change_length(runner.from_rank_0(self.clock.length(self.epoch, told=evaluated)))
        self._stop_between_epochs_if_asked()

    def _change_length(self, epochs: int) -> None:
        """Stretches or shortens what remains of the run."""
        if epochs == self.max_epochs:
            return
        runner = self.runner
        runner.logger.info(f"after epoch {self.epoch}: {counted(epochs, 'epochs')} instead of {self.max_epochs}")
        self.clock.follow(epochs)
        self.max_epochs = epochs
        runner.lengths = [*runner.lengths, (self.epoch, epochs)]
        # made anew
        del runner.schedule
        self.dataloader.dataset.set_starts([phase.start for phase in runner.schedule.phases])
        if runner.rank == 0:
            write_run_file(runner)

    def _evaluate(self) -> dict[str, float]:
        """Evaluates the best of a few weights made from training's own, which are there again afterwards."""
        runner, network = self.runner, self.runner.network.eval()
        if self.subset is None:
            self.subset = TrainingSubset.of(runner.cfg, self.dataloader.dataset)
            self.sources = SourceScores(runner.cfg)
        found = candidates(runner, self.subset, self.average.tensors if self.average else None)
        # of equals the first, which is the plainest
        chosen = runner.evaluated = min(found, key=lambda candidate: candidate.error)
        errors = ", ".join(f"{c.describe()}: {c.error:.4f}" for c in found)
        runner.logger.info(f"evaluated are {chosen.describe()}; mean error on training pictures, over size: {errors}")
        runner.val_loop.beside = {f"{SUBSET}/{name}": value for name, value in chosen.scores.items()} | {
            f"{SUBSET}/{ERROR}/{'+'.join(candidate.made_of)}": candidate.error for candidate in found
        }
        with swapped(network, chosen.changes):
            runner.val_loop.beside |= self.sources.score(network)
            return runner.val_loop.run()

    def _give_up_without_improvement(self) -> bool:
        settings = self.runner.cfg.early_stopping
        stale = self.runner.schedule.stale_epochs(self.scores, settings.min_delta)
        stop = settings.patience is not None and stale >= settings.patience
        self.stop_training |= stop
        return stop

    def _leave_epoch_if_asked(self, seconds_left: float) -> None:
        """Within an epoch: it is finished where that takes no longer than :data:`FINISHED_WITHIN`, or else left."""
        runner, number = self.runner, self.runner.interruption.agreed()
        if not number or self.finishing:
            return
        self.finishing = runner.from_rank_0(seconds_left <= FINISHED_WITHIN)
        if not self.finishing:
            self.console.end()
            runner.stop(number)

    def _stop_between_epochs_if_asked(self) -> None:
        number = self.runner.interruption.agreed()
        finished = self.epoch >= self.max_epochs and not self.evaluation_pending
        if number and not finished:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self.saver.at_stop(self.runner)
        self.console.end()
        self.runner.stop(number)


@LOOPS.register_module()
class EvaluationLoop(ValLoop):
    """MMEngine's validation, which a run that is stopping does not wait for.

    Attributes:
        beside: Figures that are logged beside those of the evaluator.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.beside: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        runner = self.runner
        runner.call_hook("before_val")
        runner.call_hook("before_val_epoch")
        runner.model.eval()
        for number, batch in enumerate(self.dataloader):
            self.run_iter(number, batch)
            self._leave_if_asked(number)
        metrics = {**self.evaluator.evaluate(len(self.dataloader.dataset)), **self.beside}
        runner.call_hook("after_val_epoch", metrics=metrics)
        runner.call_hook("after_val")
        return metrics

    def _leave_if_asked(self, number: int) -> None:
        processes, animals = get_world_size(), len(self.dataloader.dataset)
        if animals < processes:
            # a process without a picture could not answer
            return
        self.runner.interruption.check()
        if number == len(self.dataloader) - 1:
            # another process may have a batch more, and waits for as many answers
            share = -(-animals // processes)
            for _ in range(-(-share // self.dataloader.batch_size) - len(self.dataloader)):
                self.runner.interruption.check()


def train_step(
    model: nn.Module, wrapper: OptimWrapper, batch: Mapping | Sequence, accumulated: int = 1, updates: bool = True
) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """Forward, backward and, where it is due, the update; the host does not wait for the device.

    Args:
        model: The network, or its wrapper for several processes.
        wrapper: MMEngine's, whose optimiser, clipping and scaling of losses are used.
        batch: Of the loader.
        accumulated: Steps whose gradients make one update.
        updates: Whether this step makes it.

    Returns:
        Loss and what else the network says of the step, each one number on the device, and the gradient's norm, which
        is None where there is none.
    """
    network = model.module if is_model_wrapper(model) else model
    # processes share their gradients only where they are used
    with contextlib.nullcontext() if updates or model is network else model.no_sync():
        losses = model(**network.data_preprocessor(batch, True), mode="loss")
        loss, outputs = network.parse_losses(losses)
        wrapper.backward(loss / accumulated)
    outputs = {name: value.detach() if isinstance(value, torch.Tensor) else value for name, value in outputs.items()}
    return outputs, _update(wrapper) if updates else None


def _update(wrapper: OptimWrapper) -> torch.Tensor | None:
    """As ``wrapper.step`` does, which takes the norm to the host: a GPU would have nothing to do meanwhile."""
    optimizer, scaler = wrapper.optimizer, wrapper.loss_scaler if isinstance(wrapper, AmpOptimWrapper) else None
    norm = None
    if wrapper.clip_grad_kwargs:
        if scaler:
            scaler.unscale_(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = wrapper.clip_func(parameters, **wrapper.clip_grad_kwargs)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    optimizer.zero_grad()
    return None if norm is None else norm.detach()


def seed_step(seed: int, rank: int, step: int) -> None:
    """Seeds every generator that a step may draw from."""
    state = np.random.SeedSequence((seed, rank, step)).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 - libraries draw from the old global generator
    _seed_torch(int(state[2]))


def _seed_torch(seed: int) -> None:
    """As ``torch.manual_seed`` does, which takes half a millisecond: it notes the stack for each kind of device that
    is not in use."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
