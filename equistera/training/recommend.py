"""What a run from random weights in little time is given, ``--recommend``: each rule with what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from equistera.augmentation import parts_of
from equistera.errors import UserError
from equistera.training.plan_check import STEPS_FOR_STRONG, STRONG

#: Side of the smallest input that was measured (HRNet-W32, docs/benchmarks.md, "Ten minutes from scratch"), pixels.
SMALLEST = 64
#: Steps in which HRNet-W32 left the mean pose behind (same place): where fewer are to be had, the batch is halved.
LEAST_STEPS = 200
#: Share of the time that is left for steps: a tenth is for evaluations, a little is kept in reserve.
FOR_STEPS = 0.88

#: Entries of a config that one rule decides together.
SIZE = ("codec.input_size", "codec.heatmap_size", "codec.sigma")
DECODING = "codec.type", "codec.unbiased"
BATCH = "train_dataloader.batch_size"
AUGMENTATION = "train_dataloader.dataset.augmentation"


@dataclass(frozen=True)
class Case:
    """What the rules look at.

    Attributes:
        budget: The run's time, seconds.
        start_up: What has gone by before its first step, seconds.
        step: Seconds of a step with the config's batch, by the side of the input, pixels: of one side, or of two.
        side: The side of the config's input, pixels.
        stride: Its input's sides are multiples of this, pixels.
        sigma: Of the config's heatmaps, cells.
        batch: Samples of a step.
        animals: Labelled animals to train on.
        augmentations: Of the phases.
        shrinks: Whether a smaller input was measured to help this kind of network.
        plain: Whether its points lie on the cells of heatmaps, or a quarter of a cell beside them.
        given: Keys of ``--cfg-options``: what they decide is left alone.
    """

    budget: float
    start_up: float
    step: Mapping[int, float]
    side: int
    stride: int
    sigma: float
    batch: int
    animals: int
    augmentations: tuple[str | Mapping, ...]
    shrinks: bool
    plain: bool
    given: Collection[str] = ()

    def seconds(self, side: int) -> float:
        """Of a step with such an input: on the line through two that were measured, a part of which is no pixel's."""
        (low, seconds), *more = sorted(self.step.items())
        if not more:
            return seconds * (side / low) ** 2
        ((high, longer),) = more
        return seconds + max(longer - seconds, 0.0) * (side**2 - low**2) / (high**2 - low**2)


@dataclass
class Advice:
    """Entries of the config by dotted key, and a line about each rule."""

    entries: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def decided(given: Collection[str], keys: Collection[str]) -> bool:
    """Whether ``--cfg-options`` of the keys ``given`` decide one of ``keys``: as they stand, as a whole or in part."""
    return any(f"{key}.".startswith(f"{own}.") or f"{own}.".startswith(f"{key}.") for own in given for key in keys)


def recommend(case: Case) -> Advice:
    """Input size, decoding, batch and augmentation of a run from scratch.

    Raises:
        UserError: There is no time for a single step.
    """
    advice, available = Advice(), FOR_STEPS * case.budget - case.start_up
    if available < (least := min(case.step.values())):
        raise UserError(
            f"--recommend: a step takes {least:.3g} s and {case.start_up:.0f} s have gone by before the first one: "
            "there is no time to learn",
            hint="Give a longer --max-time",
        )

    def steps(side: int, batch: int) -> int:
        return int(available / (case.seconds(side) * batch / case.batch))

    side, batch = _side(case, steps, advice), case.batch
    if case.plain and not decided(case.given, DECODING):
        advice.entries[DECODING[0]] = "UDPHeatmap"
        advice.lines.append(
            "heatmaps: UDP, whose points lie between the cells (plain ones are off by 1.6 px of the input before the "
            "network errs, docs/decoding.md; only weights that were trained on plain ones need them)"
        )
    if BATCH in case.given:
        advice.lines.append(f"batch: {batch}, as --cfg-options says")
    else:
        while batch > 8 and steps(side, batch) < LEAST_STEPS:
            batch //= 2
        batch = max(1, min(batch, case.animals))
        if batch != case.batch:
            advice.entries[BATCH] = str(batch)
        reason = f"about {steps(side, batch)} steps; HRNet-W32 needed {LEAST_STEPS} to predict more than the mean pose"
        advice.lines.append(f"batch: {batch}{_instead(batch, case.batch)} ({reason})")
    strong = [parts_of(each)[0] for each in case.augmentations if parts_of(each)[0] in STRONG]
    if any(key == AUGMENTATION or key.startswith("strategy.phases") for key in case.given):
        advice.lines.append("augmentation: as --cfg-options says")
    elif strong and steps(side, batch) < STEPS_FOR_STRONG:
        advice.entries[AUGMENTATION] = "light"
        advice.lines.append(
            f"augmentation: light instead of {', '.join(dict.fromkeys(strong))} (in under {STEPS_FOR_STRONG} steps "
            "random weights learn next to nothing under strong ones: HRNet-W32 had PCK@0.1 0.064 after 52 steps)"
        )
    else:
        advice.lines.append("augmentation: as in the config")
    advice.lines.append("learning rate: the config's, which follows the batch by itself (the plan's line 'LR scale')")
    return advice


def _side(case: Case, steps, advice: Advice) -> int:
    """The side of the input that the rule about its size chooses."""
    if decided(case.given, SIZE):
        advice.lines.append(f"input: {case.side} px, as --cfg-options says")
        return case.side
    if not case.shrinks or steps(case.side, case.batch) >= STEPS_FOR_STRONG or case.side <= SMALLEST:
        why = "" if case.shrinks else " (a smaller one was measured to help HRNet alone)"
        advice.lines.append(f"input: {case.side} px, as in the config{why}")
        return case.side
    sides = range(case.side - case.stride, SMALLEST - 1, -case.stride)
    side = next((side for side in sides if steps(side, case.batch) >= STEPS_FOR_STRONG), sides[-1])
    # measured: 1.5 at 128 px and 1 at 64, where the config has 2 at 256
    sigma = round(4 * case.sigma * math.sqrt(side / case.side)) / 4
    advice.entries |= dict(zip(SIZE, (f"({side},{side})", f"({side // 4},{side // 4})", f"{sigma:g}"), strict=True))
    advice.lines.append(
        f"input: {side} px instead of {case.side}, sigma {sigma:g} (about {steps(side, case.batch)} steps instead of "
        f"{steps(case.side, case.batch)}: after 10 minutes HRNet-W32 found small horses to 0.8 px at 64, to 1.1 at 128)"
    )
    return side


def _instead(now: int, before: int) -> str:
    return f" instead of {before}" if now != before else ", as in the config"
