"""A plan as a person reads it, on one screen, and as a program does."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from equistera.augmentation import parts_of
from equistera.progress import duration
from equistera.training.plan import PhasePlan, Plan
from equistera.training.plan_check import plan_warnings
from equistera.words import counted


def format_plan(plan: Plan) -> str:
    """The plan as text of about 30 lines, at most 120 characters wide."""
    rows = {
        "pictures": _pictures(plan),
        **_sources(plan),
        "steps": _steps(plan),
        "warm-up": _warmup(plan),
        "LR scale": plan.lr.explain(),
        **_layer_rates(plan),
        "average": _average(plan),
        "evaluate": f"{_interval(plan.val_interval)}, {_times(plan.evaluations)}; watching {plan.watched}",
        "save": _save(plan),
    }
    if plan.patience is not None:
        rows["stop"] = (
            f"after {counted(plan.patience, 'epochs')} without an improvement, "
            "counted anew when a phase begins or a stage opens"
        )
    if plan.fit is not None:
        rows["time"] = f"about {duration(plan.fit.seconds)}, fitted to {duration(plan.fit.budget)}"
    elif plan.seconds is not None:
        rows["time"] = f"about {duration(plan.seconds)} on this machine, by a few measured steps"
    lines = ["Plan", *(f"  {name:<10}{text}" for name, text in rows.items())]
    for phase in plan.phases:
        lines += ["", *_phase_lines(phase, plan.schedule.opens_at)]
    warnings = plan_warnings(plan)
    if warnings:
        lines += ["", *(f"  note: {warning}" for warning in warnings)]
    return "\n".join(lines)


def plan_json(plan: Plan) -> dict:
    """The plan in plain values that JSON takes. Epochs count from 1 and ranges include both ends."""
    schedule, data = plan.schedule, plan.data
    return {
        "train": {"pictures": data.train_pictures, "animals": data.train_animals},
        "val": {"pictures": data.val_pictures, "animals": data.val_animals},
        "sources": [dataclasses.asdict(source) for source in data.sources],
        "batch_size": plan.batch_size,
        "processes": plan.processes,
        "steps_per_update": plan.accumulated,
        "epochs": schedule.max_epochs,
        "steps_per_epoch": schedule.steps_per_epoch,
        "total_steps": schedule.total_steps,
        "warmup_steps": schedule.warmup_steps,
        "ramp_steps": schedule.ramp_steps,
        "from_scratch": schedule.from_scratch,
        "lr_scale": {
            "factor": plan.lr.factor,
            "optimizer_lr": plan.lr.lr,
            "reference_lr": plan.lr.reference_lr,
            "total_batch": plan.lr.total_batch,
            "reference_batch": plan.lr.reference_batch,
            "batch_rule": plan.lr.rule,
        },
        "layer_decay": schedule.layer_decay,
        "phases": [_phase_json(phase, schedule.opens_at) for phase in plan.phases],
        "ema": _ema_json(plan),
        "evaluation": {
            "interval_epochs": plan.val_interval,
            "evaluations": plan.evaluations,
            "watched": plan.watched,
            "produced": list(plan.produced),
        },
        "checkpoints": {
            "interval_epochs": plan.checkpoint_interval,
            "kept": plan.checkpoints_kept,
            "disk_bytes": plan.disk_bytes,
        },
        "early_stopping_patience_epochs": plan.patience,
        "time": _time_json(plan),
        "warnings": plan_warnings(plan),
    }


def _pictures(plan: Plan) -> str:
    data = plan.data
    return (
        f"{data.train_pictures} ({counted(data.train_animals, 'animals')}) to train, "
        f"{data.val_pictures} ({counted(data.val_animals, 'animals')}) to validate"
    )


def _sources(plan: Plan) -> dict[str, str]:
    """The row of the data sets beside a run's own, where there are some."""
    data = plan.data
    if not data.sources:
        return {}
    own = data.samples - sum(source.samples for source in data.sources)
    lines = [f"of an epoch's {counted(data.samples, 'samples')} {own} are yours"]
    for source in data.sources:
        lines += [
            f"{source.name}: {counted(source.samples, 'samples')} of {counted(source.animals, 'animals')} on "
            f"{counted(source.pictures, 'pictures')}",
            f"  labelled in {source.skeleton}",
            f"  {counted(len(source.mapped), 'points')} are ours"
            + (f", {len(source.unmapped)} not ({_few(source.unmapped)})" if source.unmapped else "")
            + (f"; of ours it lacks {len(source.without)} ({_few(source.without)})" if source.without else ""),
            *(f"  left out: {counted(count, 'pictures')} also in {where}" for where, count in source.left_out.items()),
            f"  scored by {counted(source.val_animals, 'animals')} of its validation set"
            if source.val_animals
            else "  not scored: no val.json",
        ]
    return {"sources": f"\n{'':<12}".join(lines)}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _steps(plan: Plan) -> str:
    schedule = plan.schedule
    batch = plan.batch + (f", an update every {counted(plan.accumulated, 'steps')}" if plan.accumulated > 1 else "")
    epoch = f"{schedule.steps_per_epoch} an epoch"
    if schedule.steps_per_epoch != plan.whole_epoch:
        epoch = f"{schedule.steps_per_epoch} of {counted(plan.whole_epoch, 'batches')} an epoch"
    return f"{epoch} (batch {batch}), {schedule.total_steps} in {counted(schedule.max_epochs, 'epochs')}"


def _warmup(plan: Plan) -> str:
    schedule = plan.schedule
    if not schedule.warmup_steps:
        return "none"
    epochs = schedule.warmup_steps / max(1, schedule.steps_per_epoch)
    share = schedule.warmup_steps / max(1, schedule.total_steps)
    return f"{counted(schedule.warmup_steps, 'steps')} ({epochs:.1f} epochs, {share:.1%} of the run)"


def _layer_rates(plan: Plan) -> dict[str, str]:
    decay = plan.schedule.layer_decay
    said = f"LR x {decay:g} from each layer to the one before it; a stage's below is that of its last layer"
    return {} if decay == 1 else {"layers": said}


def _average(plan: Plan) -> str:
    ema, steps = plan.ema, plan.schedule.steps_per_epoch
    if ema is None:
        return "none (no EMA of the weights)"
    if not steps:
        return f"EMA of the weights, half-life {ema.half_life:.0f} steps"
    return (
        f"EMA of the weights, half-life {ema.half_life / steps:.1f} epochs ({ema.half_life:.0f} steps, "
        f"decay {ema.decay:.5f})"
    )


def _save(plan: Plan) -> str:
    kept = f"the last {plan.checkpoints_kept} kept" if plan.checkpoints_kept else "all kept"
    free = "" if plan.disk_free is None else f" of {gigabytes(plan.disk_free)} free"
    return (
        f"{_interval(plan.checkpoint_interval)}, {kept}, and best.pth: up to {gigabytes(plan.disk_bytes)}{free} on disk"
    )


def _phase_lines(plan: PhasePlan, opens_at: Mapping[str, int]) -> list[str]:
    phase = plan.phase

    def behaviour(name: str) -> tuple:
        """What stages on one line have in common: when they opened, if not before the phase, and their rates."""
        return (opens_at[name] if opens_at[name] >= phase.start else 0, *plan.rates[name])

    epochs = f"epochs {phase.start + 1}-{phase.end}" if phase.end > phase.start + 1 else f"epoch {phase.end}"
    title = f"  {epochs}: {phase.name}, {_augmentation(phase.augmentation)} augmentation"
    lines = [f"{title:<68}{'LR at start':>13}{'middle':>10}{'end':>10}"]
    for (opens, *lrs), stages in itertools.groupby(plan.rates, key=behaviour):
        names = ", ".join(stages) + (f" (from epoch {opens + 1})" if opens else "")
        texts = [f"{lr:.1e}" if lr else "frozen" for lr in lrs]
        lines.append(f"    {names:<64}{texts[0]:>13}{texts[1]:>10}{texts[2]:>10}")
    if plan.frozen:
        lines.append(f"    frozen: {', '.join(plan.frozen)}")
    return lines


def _augmentation(value: str | Mapping) -> str:
    name, changes = parts_of(value)
    return f"{name} ({', '.join(f'{key}={setting}' for key, setting in changes.items())})" if changes else name


def _phase_json(plan: PhasePlan, opens_at: Mapping[str, int]) -> dict:
    phase, augmentation = plan.phase, plan.phase.augmentation
    return {
        "name": phase.name,
        "first_epoch": phase.start + 1,
        "last_epoch": phase.end,
        "augmentation": augmentation if isinstance(augmentation, str) else dict(augmentation),
        "frozen": list(plan.frozen),
        "open": [
            {"stage": name, "opens_at_epoch": opens_at[name] + 1, "lr_start": start, "lr_middle": middle, "lr_end": end}
            for name, (start, middle, end) in plan.rates.items()
        ],
    }


def _ema_json(plan: Plan) -> dict | None:
    ema, steps = plan.ema, plan.schedule.steps_per_epoch
    if ema is None:
        return None
    epochs = ema.half_life / steps if steps else None
    return {"half_life_steps": ema.half_life, "half_life_epochs": epochs, "decay": ema.decay}


def _time_json(plan: Plan) -> dict | None:
    if plan.fit is not None:
        return {"budget_seconds": plan.fit.budget, "expected_seconds": plan.fit.seconds}
    return None if plan.seconds is None else {"budget_seconds": None, "expected_seconds": plan.seconds}


def gigabytes(count: int) -> str:
    """``"1.2 GB"``, ``"340 MB"``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def _interval(count: int) -> str:
    return "every epoch" if count == 1 else f"every {count} epochs"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
