"""A strategy and a set-up for the tests of ``equistera.training``, small enough to change one thing at a time."""

import copy
import dataclasses

from equistera.training.ema import make_ema
from equistera.training.plan import DataSummary, Plan, steps_in_epoch
from equistera.training.scaling import scale_lr
from equistera.training.schedule import Schedule, make_schedule
from equistera.training.stages import LAYOUTS

CSPNEXT, HRNET = LAYOUTS["CSPNeXt"], LAYOUTS["HRNet"]

_STRATEGY = {
    "reference_lr": 0.004,
    "tier_lr": {"head": 1e-3, "middle": 1e-4},
    "opens_at": {"head": 0, "stage4": 0, "stage3": 0, "stage2": 1 / 3},
    "ramp_share": 1 / 6,
    "warmup": {"share": 0.03, "at_least": 10, "at_most": 1000, "epochs": None},
    "final_ratio": 0.05,
    "phases": [
        {"name": "head adaptation", "start": 0, "lr_factor": 1.0, "augmentation": "aggressive"},
        {"name": "fine-tuning", "start": 1 / 3, "lr_factor": 1.0, "augmentation": "balanced"},
        {"name": "full training", "start": 2 / 3, "lr_factor": 0.5, "augmentation": "light"},
    ],
}


def strategy(**changes) -> dict:
    """The strategy of the training guide, with top-level fields replaced."""
    return {**copy.deepcopy(_STRATEGY), **changes}


def schedule(epochs=300, steps=40, from_scratch=False, later=(), **changes) -> Schedule:
    return make_schedule(strategy(**changes), CSPNEXT, epochs, steps, from_scratch=from_scratch, later=later)


def plan(
    animals=640,
    batch_size=16,
    processes=1,
    epochs=300,
    steps=None,
    from_scratch=False,
    ema=None,
    strategy_changes=None,
    val_animals=120,
    notes=(),
    **changes,
) -> Plan:
    """A plan that can work, with one thing or another changed."""
    steps = steps or steps_in_epoch(animals, batch_size, processes)
    run = schedule(epochs, steps, from_scratch, **(strategy_changes or {}))
    made = Plan(
        run,
        DataSummary(animals, animals, min(val_animals, 100), val_animals, notes),
        batch_size=batch_size,
        processes=processes,
        drop_last=True,
        val_interval=5,
        checkpoint_interval=5,
        checkpoints_kept=2,
        checkpoint_bytes=200_000_000,
        best_bytes=50_000_000,
        watched="val/AP",
        produced=("val/AP", "val/AP50", "val/PCK@0.1", "val/PCK@0.1/nose"),
        lr=scale_lr("AdamW", 0.004, 0.004, batch_size * processes),
        ema=make_ema(ema, run.total_steps),
    )
    return dataclasses.replace(made, **changes)
