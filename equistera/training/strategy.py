"""What a config may say in ``strategy``; ``configs/_base_/schedules/three_phase.py`` describes every field."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

# the presets that a phase names live there; it is as free of MM* as this package
from equistera.augmentation import augmentation, parts_of
from equistera.errors import UserError
from equistera.training.stages import TIERS, Stage
from equistera.training.values import count_problem, number_problem
from equistera.words import did_you_mean

_REQUIRED = ("reference_lr", "tier_lr", "opens_at", "ramp_share", "warmup", "final_ratio", "phases")
_OPTIONAL = ("reference_batch", "scale_lr_with_batch")
_WARMUP = ("share", "at_least", "at_most")
_PHASE = ("name", "start", "lr_factor", "augmentation")


def strategy_problems(strategy: Any, stages: Sequence[Stage], from_scratch: bool = False) -> list[str]:
    """Everything that is wrong with a strategy, whatever the length of the run.

    Args:
        strategy: As the config has it.
        stages: The network's stages.
        from_scratch: Nothing is frozen, so ``opens_at`` is not used and may name the stages of another network.

    Returns:
        Findings.
    """
    problems = _key_problems("strategy", strategy, _REQUIRED, _OPTIONAL)
    if problems:
        return problems
    problems += number_problem("strategy.reference_lr", strategy["reference_lr"], 0, above=True)
    problems += number_problem("strategy.ramp_share", strategy["ramp_share"], 0, 0.2)
    problems += number_problem("strategy.final_ratio", strategy["final_ratio"], 0, 1)
    if "reference_batch" in strategy:
        problems += count_problem("strategy.reference_batch", strategy["reference_batch"])
    if not isinstance(strategy.get("scale_lr_with_batch", True), bool):
        problems.append(
            f"strategy.scale_lr_with_batch: expected True or False, found {strategy['scale_lr_with_batch']!r}"
        )
    problems += _tier_problems(strategy["tier_lr"])
    problems += _warmup_problems(strategy["warmup"])
    problems += _opening_problems(strategy["opens_at"], strategy["tier_lr"], stages, from_scratch)
    problems += _phase_problems(strategy["phases"])
    return problems


def _key_problems(where: str, content: object, required: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
    if not isinstance(content, Mapping):
        return [f"{where}: expected dict({'=, '.join(required)}=), found {content!r}"]
    known = (*required, *optional)
    problems = [f"{where}: unknown field {key!r}{did_you_mean(key, known)}" for key in content if key not in known]
    return problems + [f"{where}: {key!r} is missing" for key in required if key not in content]


def _tier_problems(tier_lr: object) -> list[str]:
    if not isinstance(tier_lr, Mapping):
        return [f"strategy.tier_lr: expected dict(head=LR, middle=LR), found {tier_lr!r}"]
    problems = [f"strategy.tier_lr: no tier {t!r}{did_you_mean(t, TIERS)}" for t in tier_lr if t not in TIERS]
    if "head" not in tier_lr:
        problems.append("strategy.tier_lr: 'head' is missing")
    for tier, lr in tier_lr.items():
        problems += number_problem(f"strategy.tier_lr.{tier}", lr, 0, above=True)
    return problems


def _warmup_problems(warmup: Any) -> list[str]:
    problems = _key_problems("strategy.warmup", warmup, _WARMUP, ("epochs",))
    if problems:
        return problems
    if warmup.get("epochs") is not None:
        problems += number_problem("strategy.warmup.epochs", warmup["epochs"], 0)
    problems += number_problem("strategy.warmup.share", warmup["share"], 0, 1, below=True)
    bounds = count_problem("strategy.warmup.at_least", warmup["at_least"], 0)
    bounds += count_problem("strategy.warmup.at_most", warmup["at_most"], 0)
    if not bounds and warmup["at_least"] > warmup["at_most"]:
        bounds = [f"strategy.warmup: at_least={warmup['at_least']} is over at_most={warmup['at_most']}"]
    return problems + bounds


def _opening_problems(opens_at: object, tier_lr: object, stages: Sequence[Stage], from_scratch: bool) -> list[str]:
    if not isinstance(opens_at, Mapping):
        return [f"strategy.opens_at: expected dict(stage=share of the run), found {opens_at!r}"]
    problems = []
    for name, share in opens_at.items():
        problems += number_problem(f"strategy.opens_at.{name}", share, 0, 1, below=True)
    if from_scratch:
        return problems
    names = [stage.name for stage in stages]
    unknown = [name for name in opens_at if name not in names]
    problems += [f"strategy.opens_at: no stage {name!r}, the network has {', '.join(names)}" for name in unknown]
    if unknown:
        problems.append("strategy.opens_at: dict(_delete_=True, ...) in a config replaces the stages of its _base_")
    for stage in stages:
        if stage.name in opens_at and isinstance(tier_lr, Mapping) and stage.tier not in tier_lr:
            problems.append(f"stage {stage.name!r} opens, but strategy.tier_lr has no LR for its tier {stage.tier!r}")
    if not problems and 0 not in opens_at.values():
        problems.append("strategy.opens_at: no stage opens at 0, so nothing would train at first")
    return problems


def _phase_problems(phases: object) -> list[str]:
    if not isinstance(phases, (list, tuple)) or not phases:
        return [f"strategy.phases: expected a list of dict({'=, '.join(_PHASE)}=), found {phases!r}"]
    problems = []
    for i, phase in enumerate(phases):
        problems += _key_problems(f"strategy.phases.{i}", phase, _PHASE)
    if problems:
        return problems
    for i, phase in enumerate(phases):
        where = f"strategy.phases.{i}"
        if not isinstance(phase["name"], str) or not phase["name"]:
            problems.append(f"{where}.name: expected a name, found {phase['name']!r}")
        problems += number_problem(f"{where}.start", phase["start"], 0, 1, below=True)
        problems += number_problem(f"{where}.lr_factor", phase["lr_factor"], 0, above=True)
        problems += _augmentation_problems(f"{where}.augmentation", phase["augmentation"])
    if problems:
        return problems
    if phases[0]["start"] != 0:
        problems.append(f"the first phase must start at 0, not at {phases[0]['start']:g}")
    for earlier, later in itertools.pairwise(phases):
        if later["start"] <= earlier["start"]:
            problems.append(
                f"phase {later['name']!r} starts at {later['start']:g}, not after {earlier['name']!r} "
                f"at {earlier['start']:g}"
            )
        if later["lr_factor"] > earlier["lr_factor"]:
            problems.append(
                f"phase {later['name']!r} has lr_factor {later['lr_factor']:g} after {earlier['lr_factor']:g}: "
                "a learning rate must not rise after its ramp"
            )
    return problems


def _augmentation_problems(where: str, value: object) -> list[str]:
    if not isinstance(value, str) and not (isinstance(value, Mapping) and isinstance(value.get("preset"), str)):
        return [f"{where}: expected a preset's name or dict(preset=name, field=value, ...), found {value!r}"]
    name, changes = parts_of(value)
    try:
        augmentation(name, **changes)
    except UserError as error:
        return [f"{where}: {problem}" for problem in error.problems or [error.summary]]
    return []
