"""Training and validation that can stop at any step and go on from there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, ValLoop

from equistera.errors import UserError
from equistera.failures import explained
from equistera.mm.data.loading import in_use
from equistera.mm.run.interruption import StopRequested


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """Epochs that may begin in their midst.

    All randomness of a step follows from (seed, process, step), so a step that is computed after a resume equals the
    one of a run that never stopped: dropout and drop path included, without any generator's state in a checkpoint.

    Beside MMEngine's, hooks have these places, both with ``runner.epoch`` complete epochs and ``runner.iter`` steps:

    - ``after_epoch_complete(runner)``: after an epoch and, where it is due, its evaluation; hooks of the evaluation
      have run, training's own weights are in the network.
    - ``before_stop(runner, content)``: the run was asked to stop; ``content`` is what a checkpoint is to hold.

    ``before_train_epoch`` is called again when a run goes on within an epoch.

    Args:
        runner: A :class:`equistera.mm.run.trainer.Trainer`.
        dataloader: With a sampler that has ``skip``, see :class:`equistera.mm.data.sampler.ResumableSampler`.
        max_epochs: Epochs of the run.
        val_interval: Epochs between two evaluations.

    Attributes:
        batch: Steps of the present epoch that are done.
        evaluation_pending: Whether the last complete epoch is still to be evaluated.
    """

    def __init__(self, runner, dataloader, max_epochs: int, val_interval: int = 1):
        super().__init__(runner, dataloader, max_epochs=max_epochs, val_interval=val_interval)
        if not hasattr(self.dataloader.sampler, "skip"):
            raise UserError(
                f"train_dataloader.sampler: {type(self.dataloader.sampler).__name__} cannot skip samples",
                hint="A run that is resumed within an epoch needs ResumableSampler",
            )
        self.batch = 0
        self.evaluation_pending = False

    def go_to(self, epoch: int, batch: int, step: int, evaluation_pending: bool) -> None:
        """Makes :meth:`run` begin after ``step`` steps: ``epoch`` complete epochs and ``batch`` steps of the next."""
        self._epoch, self.batch, self._iter = epoch, batch, step
        self.evaluation_pending = evaluation_pending

    def run(self) -> torch.nn.Module:
        self.runner.call_hook("before_train")
        if self.evaluation_pending:
            self._complete_epoch()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._complete_epoch()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self.dataloader.sampler.skip(self.batch * self.dataloader.batch_size)
        steps = len(self.dataloader)
        self.begin_groups(self.batch, steps)
        for data_batch in self._batches():
            self.run_iter(self.batch, data_batch)
            self.batch += 1
            # after the last step there is more to finish, and gradients that are being accumulated are not saved
            if self.batch < steps and self.runner.optim_wrapper.should_update():
                self._stop_if_asked()
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1
        self.batch = 0
        self.evaluation_pending = self.runner.evaluates_after(self._epoch)

    def _batches(self) -> Iterator[dict]:
        """The loader's batches; where the machine fails it, the run is saved as it stands between two steps."""
        try:
            yield from self.dataloader
        except (OSError, RuntimeError, EOFError) as error:
            told = explained(error, in_use(self.dataloader, error))
            if told is None:
                raise
            if get_world_size() == 1 and self.runner.optim_wrapper.should_update():
                self.runner.call_hook("before_stop", content=self.runner.snapshot(with_optimizer=True))
            raise told from error

    def begin_groups(self, batch: int, steps: float) -> None:
        """Makes an update of every ``accumulative_counts`` steps of an epoch, and one of those that are left.

        MMEngine groups the steps of the whole run, whose length may change and which need not be whole groups. An
        epoch's last step, known as such, shares its gradients with the other processes as every update's does. The
        loss of a short group is divided as that of a full one: every step counts the same.

        Args:
            batch: Steps of the epoch that are done.
            steps: Steps of the whole epoch; infinite if it has no end.
        """
        wrapper = self.runner.optim_wrapper
        wrapper._inner_count, wrapper._max_counts, wrapper._remainder_counts = batch, steps, 0

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        seed_step(self.runner.seed, get_rank(), self._iter)
        super().run_iter(idx, data_batch)

    def _complete_epoch(self) -> None:
        self._stop_if_asked()
        if self.evaluation_pending:
            # hooks may put other weights into the network while it is evaluated
            before = self.runner.snapshot_copy()
            try:
                self.runner.val_loop.run()
            except StopRequested as request:
                self.runner.stop(request.number, before)
            self.evaluation_pending = False
        self.runner.call_hook("after_epoch_complete")
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        number = self.runner.interruption.agreed()
        if number and not self._finished:
            self.runner.stop(number)

    @property
    def _finished(self) -> bool:
        return self._epoch >= self._max_epochs and not self.evaluation_pending


@LOOPS.register_module()
class InterruptibleValLoop(ValLoop):
    """Validation that a stopping run does not wait for."""

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        super().run_iter(idx, data_batch)
        if len(self.dataloader.dataset) < get_world_size():
            # a process without a picture could not answer
            return
        self.runner.interruption.check()
        if idx == len(self.dataloader) - 1:
            # another process may have a batch more, and waits for as many answers
            for _ in range(self._longest - len(self.dataloader)):
                self.runner.interruption.check()

    @property
    def _longest(self) -> int:
        """Batches of the process that has the most."""
        share = -(-len(self.dataloader.dataset) // get_world_size())
        return -(-share // self.dataloader.batch_size)


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
