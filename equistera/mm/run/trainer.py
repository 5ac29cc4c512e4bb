"""MMEngine's Runner, made quiet, portable to CPUs and restartable."""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, init_dist
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import nn
from torch.utils.data import DataLoader

import equistera
from equistera.errors import Stopped
from equistera.failures import explained
from equistera.mm.data.loading import in_use
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.network.transfer import format_transfer_table, initialise
from equistera.mm.run.fingerprint import git_commit
from equistera.mm.run.hooks.evaluated_weights import Candidate
from equistera.mm.run.interruption import SIGNALS, Interruption, dismiss_workers, shield_workers
from equistera.mm.run.patience import never_mind
from equistera.mm.run.planning import schedule_of
from equistera.mm.run.preflight import Weights, lengths_of
from equistera.mm.run.resume import FoundCheckpoint, copied, log_history, resume
from equistera.training.schedule import Schedule, moved_epoch, refitted
from equistera.words import counted


class Trainer(Runner):
    """A run of one config.

    Differences from the Runner: the console shows what a person needs and the log file the rest; several processes
    work without a GPU; learning rates and frozen stages follow from a :class:`Schedule`; checkpoints hold plain
    values and are read without executing code.

    Attributes:
        best_score: Best score so far of the metric that is watched, or None.
        best_epoch: Epoch (from 1) of ``best_score``, or None.
        best_rank: ``best_score`` and the finer scores that decide between equals; empty before the first.
        evaluated: The weights that were evaluated last, or None before the first evaluation.
        weights: What the run starts from, emptied once it has started; None for random weights.
        resume_point: Where the run goes on if its config says ``resume``; emptied once it does.
        record: What the run was asked for, see :mod:`equistera.training.options`.
        trained_on: Marks of the training pictures, see :func:`equistera.mm.run.fingerprint.picture_marks`.
        started_with: Fingerprint of data and settings, see :mod:`equistera.mm.run.fingerprint`.
    """

    weights: Weights | None = None
    resume_point: FoundCheckpoint | None = None
    started_with: Mapping[str, str] = MappingProxyType({})
    record: Mapping | None = None
    trained_on: Sequence[str] = ()

    best_score: float | None = None
    best_epoch: int | None = None
    best_rank: Sequence[float] = ()
    evaluated: Candidate | None = None

    def __init__(self, *args, experiment_name: str | None = None, **kwargs):
        # MMEngine keeps a run's logs by this name to the process's end, and its own name has whole seconds: of two runs
        # that begin in the same one, the second would write into the folder of the first
        name = f"{experiment_name or 'run'}_{time.monotonic_ns()}"
        super().__init__(*args, experiment_name=name, **kwargs)

    @functools.cached_property
    def interruption(self) -> Interruption:
        """What asks the run to stop; a context manager around :meth:`train`."""
        return Interruption()

    def dump_config(self) -> None:
        """Nothing yet: an earlier run's is there until this one is known to begin; see :meth:`write_config`."""

    def write_config(self) -> None:
        """Writes the config into the work dir."""
        super().dump_config()

    def prepare(self) -> None:
        """Builds what :meth:`train` needs, so that whatever cannot be built is known before the work dir changes."""
        self._train_loop = self.build_train_loop(self._train_loop)
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        self._val_loop = self.build_val_loop(self._val_loop)

    def change_length(self, done: int, epochs: int) -> None:
        """Stretches or shortens what remains of the run after ``done`` complete epochs."""
        before, loop = self.schedule.max_epochs, self.train_loop
        self.train_dataloader.dataset.move_starts(lambda epoch: moved_epoch(epoch, done, before, epochs))
        self.schedule = refitted(self.schedule, done, epochs)
        loop._max_epochs, loop._max_iters = epochs, epochs * len(self.train_dataloader)
        self.cfg.lengths = [*lengths_of(self.cfg), (done, epochs)]

    def train(self) -> nn.Module:
        try:
            return super().train()
        except (OSError, RuntimeError, MemoryError) as error:
            told = explained(error, in_use(self.train_dataloader, error))
            if told is None:
                raise
            raise told from error
        finally:
            for loop in (self._train_loop, self._val_loop):
                if isinstance(loop, BaseLoop):
                    dismiss_workers(loop.dataloader)

    @staticmethod
    def build_dataloader(*args, **kwargs) -> DataLoader:
        loader = Runner.build_dataloader(*args, **kwargs)
        shield_workers(loader)
        return loader

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                never_mind(handler)
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        if self.distributed:
            join_group(self.launcher, env_cfg)
        super().setup_env(env_cfg)

    def set_randomness(self, seed: int, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        if deterministic:
            # cuBLAS adds in the same order each time only with a workspace of fixed size, and torch insists on it
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        if not self.distributed or is_model_wrapper(model) or torch.cuda.is_available():
            return super().wrap_model(model_wrapper_cfg, model)
        return MMDistributedDataParallel(module=model, device_ids=None, broadcast_buffers=False)

    @property
    def network(self) -> SkeletonPoseEstimator:
        """The model without a wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @functools.cached_property
    def _config_text(self) -> str:
        # formatting it takes a third of a second
        return self.cfg.pretty_text

    @functools.cached_property
    def _git_commit(self) -> str | None:
        return git_commit()

    @functools.cached_property
    def schedule(self) -> Schedule:
        """What holds at each step; needs the train loader's length, so it is worked out when first asked for."""
        return schedule_of(self.cfg, self.network, len(self.train_dataloader))

    def evaluates_after(self, epoch: int) -> bool:
        """Whether the train loop evaluates when ``epoch`` (from 1) is complete."""
        loop = self.train_loop
        return self._val_loop is not None and (epoch % loop.val_interval == 0 or epoch == self.max_epochs)

    def snapshot(self, with_optimizer: bool) -> dict:
        """All that a checkpoint holds of the run as it stands between two steps.

        Without the optimiser it holds the weights that were evaluated last, otherwise training's own. With several
        processes every one must call it where the run is within an epoch.
        """
        loop = self.train_loop
        meta = {
            "epoch": loop.epoch,
            "batch": loop.batch,
            "iter": loop.iter,
            "evaluation_pending": loop.evaluation_pending,
            "lengths": [list(length) for length in lengths_of(self.cfg)],
            "seed": self.seed,
            "from_scratch": self.cfg.from_scratch,
            "config": self._config_text,
            "git_commit": self._git_commit,
            "fingerprint": dict(self.started_with),
            "trained_on": list(self.trained_on),
            "config_name": Path(self.cfg.filename or "config.py").stem,
            "skeleton": {
                "name": self.network.skeleton.name,
                "source": self.cfg.skeleton,
                "keypoints": list(self.network.skeleton.names),
                "flip_indices": self.network.skeleton.flip_indices.tolist(),
            },
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "best_rank": list(self.best_rank),
            "saved": time.strftime("%Y-%m-%d %H:%M:%S"),
            "equistera_version": equistera.__version__,
        }
        content = {"meta": meta, "state_dict": self.network.state_dict()}
        if not with_optimizer and self.evaluated is not None:
            content["state_dict"].update(self.evaluated.changes)
            meta["weights"] = self.evaluated.describe()
        if with_optimizer:
            content["optimizer"] = self.optim_wrapper.state_dict()
            content["hooks"] = {name: hook.state_dict() for name, hook in self.stateful_hooks().items()}
            content["log"] = log_history(self.message_hub)
            if loop.batch and self.world_size > 1:
                # processes share their normalisation statistics only at the end of an epoch
                own = {name: buffer.cpu() for name, buffer in self.network.named_buffers()}
                content["buffers_of_ranks"] = all_gather_object(own)
        return content

    def snapshot_copy(self) -> dict:
        """A :meth:`snapshot` of its own memory, on the CPU, which stays as it is when the run goes on."""
        return copied(self.snapshot(with_optimizer=True)) if self.rank == 0 else {}

    def stop(self, number: int, content: dict | None = None) -> NoReturn:
        """Saves and ends the run, because a signal asked for it.

        Args:
            number: The signal.
            content: What to save; the run as it stands if None.

        Raises:
            Stopped: Always.
            UserError: The checkpoint cannot be written.
        """
        content = self.snapshot(with_optimizer=True) if content is None else content
        self.call_hook("before_stop", content=content)
        loop = self.train_loop
        raise Stopped(
            f"stopped by {SIGNALS.get(number, number)} after step {loop.iter} of {loop.max_iters}, "
            f"epoch {min(loop.epoch + 1, loop.max_epochs)} of {loop.max_epochs}; saved",
            number,
        )

    def from_rank_0(self, value: object) -> object:
        """What process 0 has as ``value``, in every process."""
        values = [value]
        broadcast_object_list(values)
        return values[0]

    def warn(self, message: str) -> None:
        """Tells the person at the terminal and the log of something that does not stop the run."""
        self.logger.warning(message)
        if self.rank == 0:
            print(f"warning: {message}", file=sys.stderr, flush=True)

    def stateful_hooks(self) -> dict[str, Hook]:
        """Hooks that remember something across steps, by class name.

        Such a hook has ``state_dict()``, which returns plain values and tensors without talking to other processes,
        and ``load_state_dict(state)``, called on every rank before ``before_train`` of a resumed run.
        """
        return {type(hook).__name__: hook for hook in self.hooks if hasattr(hook, "state_dict")}

    def load_or_resume(self) -> None:
        if self._has_loaded:
            return
        self._has_loaded = True
        if self._resume:
            resume(self, self.resume_point)
            # as large as the network and its optimiser, and nobody needs it any more
            self.resume_point.content.clear()
        elif self.weights is not None:
            self._start_from(self.weights.path, self.weights.content)
            self.weights.content.clear()

    def _start_from(self, path: Path, content: Mapping) -> None:
        report = initialise(self.network, content, path, self.cfg.head_init)
        table = format_transfer_table(report)
        self.logger.info(f"{path}: {report.loaded} weights loaded\n{table}\nleft out:\n" + "\n".join(report.left_out))
        if self.rank == 0:
            print(f"{path.name}: {report.loaded} weights loaded, {len(report.left_out)} left out (the log lists them)")
            print(f"  {table.splitlines()[0]}", flush=True)


def join_group(launcher: str, env_cfg: Mapping) -> None:
    """Makes this process one of the group that a launcher started, if it is not yet.

    Args:
        launcher: Of the config, not ``none``.
        env_cfg: Of the config.
    """
    if torch.distributed.is_initialized():
        return
    if torch.cuda.is_available():
        # before it, as MMEngine itself does: otherwise workers would be spawned
        set_multi_processing(**env_cfg.get("mp_cfg", {}), distributed=True)
        init_dist(launcher, **env_cfg.get("dist_cfg", {}))
    else:
        # MMEngine's own start with gloo asks for a CUDA device; a group that is there already it leaves alone
        torch.distributed.init_process_group("gloo")


def device_name() -> str:
    """What the run computes on, for people."""
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return torch.cuda.get_device_name(0) + (f" (one of {count})" if count > 1 else "")
    return f"CPU, {counted(torch.get_num_threads(), 'threads')}"
