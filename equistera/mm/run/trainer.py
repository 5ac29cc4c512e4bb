"""MMEngine's Runner, made quiet, portable to CPUs and restartable."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import torch
from mmengine.config import Config
from mmengine.dist import broadcast, broadcast_object_list, init_dist
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import nn
from torch.utils.data import DataLoader

from equistera.checkpoints import manifest
from equistera.errors import Stopped, UserError, explained
from equistera.mm.data.loading import in_use
from equistera.mm.evaluation.evaluated_weights import Candidate
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.network.transfer import format_transfer_table, initialise
from equistera.mm.run.interruption import SIGNALS, Interruption, dismiss_workers, shield_workers
from equistera.mm.run.logs import tolerate_write_errors
from equistera.mm.run.planning import schedule_of
from equistera.mm.run.preflight import Weights, lengths_of
from equistera.mm.run.resume import FoundCheckpoint, resume
from equistera.mm.run.saving import SaveCheckpoints
from equistera.training.schedule import Schedule
from equistera.words import counted

#: Settings of MMEngine's Runner that have no effect on ours, and what has it instead.
INSTEAD = {
    "auto_scale_lr": "strategy.scale_lr_with_batch",
    "param_scheduler": "strategy",
    "compile": "--compile",
    "activation_checkpointing": "a smaller train_dataloader.batch_size with optim_wrapper.accumulative_counts",
    "efficient_conv_bn_eval": "--compile",
}


@RUNNERS.register_module()
class Trainer(Runner):
    """A run of one config.

    Differences from the Runner: the console shows what a person needs and the log file the rest; several processes
    work without a GPU; learning rates and frozen stages follow from a :class:`Schedule`; checkpoints hold plain
    values and are read without executing code. Training is what :class:`equistera.mm.run.loop.TrainLoop` does.

    Attributes:
        started: ``time.monotonic()`` when the program began.
        weights: What the run starts from, emptied once it has started; None for random weights.
        resume_point: Where the run goes on; emptied once it does, None for a run that begins.
        record: What the run was asked for, see :mod:`equistera.training.options`.
        trained_on: Marks of the training pictures, see :func:`equistera.mm.run.fingerprint.picture_marks`.
        animals: Names of the categories of the training annotations.
        starts: What its weights began with, the first first: names of published checkpoints, else of files.
        started_with: Fingerprint of data and settings, see :mod:`equistera.mm.run.fingerprint`.
        lengths: See :func:`equistera.mm.run.preflight.lengths_of`.
        best_score: Best score so far of the metric that is watched, or None.
        best_epoch: Epoch (from 1) of ``best_score``, or None.
        best_rank: ``best_score`` and the finer scores that decide between equals; empty before the first.
        evaluated: The weights that were evaluated last, or None before the first evaluation.
    """

    model: nn.Module
    optim_wrapper: OptimWrapper

    weights: Weights | None = None
    resume_point: FoundCheckpoint | None = None
    started_with: Mapping[str, str] = MappingProxyType({})
    record: Mapping | None = None
    trained_on: Sequence[str] = ()
    animals: Sequence[str] = ()
    starts: Sequence[str] = ()

    best_score: float | None = None
    best_epoch: int | None = None
    best_rank: Sequence[float] = ()
    evaluated: Candidate | None = None

    def __init__(self, *args, experiment_name: str | None = None, **kwargs):
        # MMEngine keeps a run's logs by this name to the process's end, and its own name has whole seconds: of two runs
        # that begin in the same one, the second would write into the folder of the first
        name = f"{experiment_name or 'run'}_{time.monotonic_ns()}"
        super().__init__(*args, experiment_name=name, **kwargs)
        self.started = time.monotonic()
        self.lengths = lengths_of(self.cfg) if self.cfg.get("train_cfg") else []

    @classmethod
    def of(cls, config: Config, network: nn.Module | None = None) -> Trainer:
        """The trainer of a complete config; without a ``network`` it builds the config's."""
        if network is None:
            return cls.from_cfg(config)
        own = copy.deepcopy(config)
        names = inspect.signature(Runner.__init__).parameters
        return cls(**{**{name: own[name] for name in names if name in own}, "model": network, "cfg": own})

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
        """Builds what :meth:`train` needs, so that whatever cannot be built is known before the work dir changes.

        Raises:
            UserError: The config asks for something of MMEngine's that has no effect here.
        """
        ignored = [
            f"{name}: has no effect here; {instead} has" for name, instead in INSTEAD.items() if self.cfg.get(name)
        ]
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        if type(self.optim_wrapper) not in (OptimWrapper, AmpOptimWrapper):
            kind = type(self.optim_wrapper).__name__
            ignored.append(f"optim_wrapper.type: expected OptimWrapper or AmpOptimWrapper, found {kind}")
        if not any(isinstance(hook, SaveCheckpoints) for hook in self.hooks):
            ignored.append("default_hooks.checkpoint.type: expected SaveCheckpoints, whose files a run goes on from")
        if ignored:
            raise UserError("the config cannot be trained:", ignored)
        _ = self.train_loop, self.val_loop

    def open_stages(self, epoch: int) -> None:
        """Opens and freezes what the schedule says of an epoch (from 0)."""
        network, schedule = self.network, self.schedule
        frozen = {stage.name for stage in network.stages if not schedule.is_open(stage.name, epoch)}
        if frozen == network.frozen_stages and self.iter:
            return
        network.freeze(frozen)
        phase, names = schedule.phase_at(epoch).name, ", ".join(sorted(frozen)) or "nothing"
        self.logger.info(f"epoch {epoch + 1}: phase {phase!r}, frozen: {names}")
        if is_model_wrapper(self.model):
            # DDP gathers the gradients of the parameters that were open when it was made, so make it anew. The old
            # one must be gone first: its hooks on the parameters would fire as well.
            self.model = network
            gc.collect()
            self.model = self.wrap_model(self.cfg.get("model_wrapper_cfg"), network)

    def set_rates(self, step: int) -> None:
        """Gives every layer its learning rate at a step (from 0)."""
        for group in self.optim_wrapper.optimizer.param_groups:
            group["lr"] = self.schedule.lr(group["stage"], step, group["layers_after"])

    def train(self) -> nn.Module:
        self.prepare()
        try:
            self.call_hook("before_run")
            self._begin()
            model = self.train_loop.run()
            self.call_hook("after_run")
            return model
        except (OSError, RuntimeError, MemoryError, EOFError) as error:
            told = explained(error, in_use(self.train_dataloader, error))
            if told is None:
                raise
            raise told from error
        finally:
            for loop in (self.train_loop, self.val_loop):
                if loop is not None:
                    dismiss_workers(loop.dataloader)

    def _begin(self) -> None:
        """Weights, optimiser and all else are where the run starts or goes on."""
        if not self.network.is_init:
            self.network.init_weights()
        for value in self.network.state_dict().values():
            broadcast(value)
        if self.resume_point is not None:
            resume(self, self.resume_point)
            # as large as the network and its optimiser, and nobody needs it any more
            self.resume_point.content.clear()
        elif self.weights is not None:
            self._start_from(self.weights.path, self.weights.content)
            self.weights.content.clear()
        elif not self.cfg.from_scratch:
            # built by another program than ours
            self.warn("this run starts from random weights: only tools/train.py loads the config's 'pretrained'")

    @staticmethod
    def build_dataloader(*args, **kwargs) -> DataLoader:
        loader = Runner.build_dataloader(*args, **kwargs)
        shield_workers(loader)
        return loader

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                tolerate_write_errors(handler)
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
        return in_processes(model)

    @property
    def network(self) -> SkeletonPoseEstimator:
        """The model without a wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @functools.cached_property
    def config_text(self) -> str:
        """The config, as a checkpoint keeps it."""
        # formatting it takes a third of a second
        return self.cfg.pretty_text

    @functools.cached_property
    def schedule(self) -> Schedule:
        """What holds at each step; needs the train loader's length, so it is worked out when first asked for."""
        return schedule_of(self.cfg, self.network, len(self.train_dataloader), self.lengths)

    def stop(self, number: int) -> NoReturn:
        """Ends the run, always by :class:`Stopped`, because a signal asked for it; what is to be saved is saved."""
        asked, saved = SIGNALS.get(number, number), self.train_loop.saver.epochs
        if self.iter == self.epoch * len(self.train_dataloader):
            raise Stopped(
                f"stopped by {asked} after {counted(self.epoch, 'epochs')} of {self.max_epochs}; saved", number
            )
        at = f"of which {counted(saved, 'epochs')} are saved" if saved else "of which nothing is saved yet"
        raise Stopped(f"stopped by {asked} within epoch {self.epoch + 1} of {self.max_epochs}, {at}", number)

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
        """Hooks of the config that remember something across epochs, by class name.

        Such a hook has ``state_dict()``, which returns plain values and tensors without talking to other processes,
        and ``load_state_dict(state)``, called on every rank before ``before_train`` of a resumed run.
        """
        return {type(hook).__name__: hook for hook in self.hooks if hasattr(hook, "state_dict")}

    def _start_from(self, path: Path, content: Mapping) -> None:
        report = initialise(self.network, content, path, self.cfg.head_init)
        table = format_transfer_table(report)
        lines = [f"{path}: {report.loaded} weights loaded", table, *report.changes, "left out:", *report.left_out]
        self.logger.info("\n".join(lines))
        if self.rank == 0:
            print(f"{report.counts} (the log lists them)")
            for line in (*report.changes, table.splitlines()[0]):
                print(f"  {line}", flush=True)
            for name, known in manifest().items():
                if name in self.starts and known.licence:
                    print(f"  under terms of their own ({known.licence.name}): {known.licence.says[-1]}", flush=True)


def join_group(launcher: str, env_cfg: Mapping) -> None:
    """Makes this process one of the group that the config's launcher, not ``none``, started, if it is not yet."""
    if torch.distributed.is_initialized():
        return
    if torch.cuda.is_available():
        # before it, as MMEngine itself does: otherwise workers would be spawned
        set_multi_processing(**env_cfg.get("mp_cfg", {}), distributed=True)
        init_dist(launcher, **env_cfg.get("dist_cfg", {}))
    else:
        # MMEngine's own start with gloo asks for a CUDA device; a group that is there already it leaves alone
        torch.distributed.init_process_group("gloo")


def in_processes(network: nn.Module) -> MMDistributedDataParallel:
    """The network as one of several processes has it, on its device."""
    device = next(network.parameters()).device
    return MMDistributedDataParallel(
        module=network, device_ids=[device.index] if device.type == "cuda" else None, broadcast_buffers=False
    )


def device_name() -> str:
    """What the run computes on, for people."""
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return torch.cuda.get_device_name(0) + (f" (one of {count})" if count > 1 else "")
    return f"CPU, {counted(torch.get_num_threads(), 'threads')}"
