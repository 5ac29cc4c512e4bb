"""``run.json``: what is known of a run beside its scalars."""

from __future__ import annotations

import time
from pathlib import Path

from equistera.files import write_json
from equistera.mm.run.fingerprint import VALIDATION
from equistera.monitor.plan import RUN_FILE

__all__ = ["RUN_FILE", "write_run_file"]


def write_run_file(trainer) -> None:
    """Writes what ``tools/monitor_training.py`` and ``--resume`` need; again when the length of the run changes.

    Args:
        trainer: The :class:`equistera.mm.run.trainer.Trainer`.
    """
    schedule, config = trainer.schedule, trainer.cfg
    write_json(
        Path(trainer.work_dir) / RUN_FILE,
        {
            "config": Path(config.filename).stem,
            "max_epochs": schedule.max_epochs,
            "steps_per_epoch": schedule.steps_per_epoch,
            # a phase that a shortened run no longer reaches is none of it
            "phases": [{"name": p.name, "start": p.start, "end": p.end} for p in schedule.phases if p.end > p.start],
            "skeleton": trainer.network.skeleton.name,
            # what the scores depend on: runs over other validation sets cannot be compared by them
            "validation": trainer.started_with[VALIDATION],
            "started": time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(trainer.timestamp, "%Y%m%d_%H%M%S")),
            "fitted": config.get("fitted"),
            "record": trainer.record,
        },
        indent=1,
    )
