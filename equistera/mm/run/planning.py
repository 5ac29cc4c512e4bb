"""The schedule and the plan of a config: where ``equistera.training`` meets the network and the data."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmpose.registry import METRICS

from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.run.preflight import lengths_of, metrics_of
from equistera.processes import world_size
from equistera.training.checkpoints import checkpoint_bytes
from equistera.training.ema import make_ema
from equistera.training.fit import Fit
from equistera.training.plan import DataSummary, Plan, steps_in_epoch
from equistera.training.scaling import LrScaling, scale_lr
from equistera.training.schedule import Schedule, make_schedule
from equistera.training.work_dir import nearest_folder


def scaling_of(config: Config) -> LrScaling:
    """The factor on every learning rate: the optimiser's LR and the size of the batch against the strategy's."""
    strategy, optimizer = config.strategy, config.optim_wrapper.optimizer
    return scale_lr(
        optimizer.type,
        optimizer.lr,
        strategy.reference_lr,
        total_batch=config.train_dataloader.batch_size * world_size() * steps_per_update(config),
        reference_batch=strategy.reference_batch,
        enabled=strategy.scale_lr_with_batch,
    )


def steps_per_update(config: Config) -> int:
    """Steps whose gradients make one update."""
    return config.optim_wrapper.get("accumulative_counts", 1)


def steps_of(config: Config, data: DataSummary) -> int:
    """Steps that the pictures give an epoch."""
    batch = config.train_dataloader.batch_size
    return steps_in_epoch(data.samples, batch, world_size(), _drops_last(config))


def _drops_last(config: Config) -> bool:
    return bool(config.train_dataloader.get("drop_last", False))


def schedule_of(
    config: Config,
    network: SkeletonPoseEstimator,
    steps_per_epoch: int,
    lengths: Sequence[tuple[int, int]] | None = None,
) -> Schedule:
    """What holds at each step of a run, whose lengths are the config's if they are not given."""
    (_, first), *later = lengths or lengths_of(config)
    return make_schedule(
        config.strategy,
        network.stages,
        max_epochs=first,
        steps_per_epoch=steps_per_epoch,
        lr_scale=scaling_of(config).factor,
        from_scratch=config.from_scratch,
        later=later,
    )


def plan_of(
    config: Config, network: SkeletonPoseEstimator, data: DataSummary, work_dir: Path, fit: Fit | None = None
) -> Plan:
    """What a run is going to do, from its resolved config, the time that this was ``fit`` to included.

    ``work_dir``, where checkpoints go, need not exist.
    """
    saving = config.default_hooks.checkpoint
    schedule = schedule_of(config, network, fit.steps_per_epoch if fit else steps_of(config, data))
    elements = sum(value.numel() for value in network.state_dict().values())
    opened = [stage.name for stage in network.stages if stage.name in schedule.opens_at]
    trained = sum(p.numel() for stage in opened for _, p in network.stage_parameters(stage))
    ema = make_ema(config.get("ema"), schedule.total_steps)
    produced = tuple(
        f"{metric.get('prefix', 'val')}/{name}"
        for metric in metrics_of(config).values()
        for name in METRICS.get(metric.type).SCORES
    )
    return Plan(
        schedule,
        data,
        batch_size=config.train_dataloader.batch_size,
        processes=world_size(),
        drop_last=_drops_last(config),
        accumulated=steps_per_update(config),
        val_interval=config.train_cfg.val_interval,
        checkpoint_interval=saving.interval,
        checkpoints_kept=saving.keep,
        checkpoint_bytes=checkpoint_bytes(elements, trained, averaged=ema is not None),
        best_bytes=checkpoint_bytes(elements, 0),
        watched=saving.best,
        produced=produced,
        lr=scaling_of(config),
        ema=ema,
        patience=config.early_stopping.patience,
        fit=fit,
        norm_eval=bool(config.model.backbone.get("norm_eval")),
        disk_free=shutil.disk_usage(nearest_folder(work_dir)).free,
    )
