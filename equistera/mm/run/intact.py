"""Whether what a checkpoint holds can be of this run: compared by names, shapes and kinds before it is put back.

A weight, an average or a moment of the optimiser that is missing would otherwise be met steps or epochs later.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from equistera.training.values import is_number

#: Parts of an optimiser's state that are no settings.
REMEMBERED = {"state", "loss_scaler"}


def mismatches(name: str, found: object, wanted: object) -> list[str]:
    """Where two contents differ in what they are made of: the keys of dictionaries, shapes and kinds of tensors.

    Args:
        name: Of the content, for the lines.
        found: Of a checkpoint.
        wanted: As it would be if this run had written it; its numbers do not matter.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return [f"{name}: {_kind(found)}, not entries by name"]
        lines = [f"{name}.{key}: missing" for key in wanted if key not in found]
        lines += [f"{name}.{key}: unknown" for key in found if key not in wanted]
        both = [key for key in wanted if key in found]
        return lines + [line for key in both for line in mismatches(f"{name}.{key}", found[key], wanted[key])]
    return [] if _kind(found) == _kind(wanted) else [f"{name}: {_kind(found)} in the file, {_kind(wanted)} in this run"]


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return "a number" if is_number(value) else type(value).__name__


def optimizer_problems(found: Mapping, wrapper: OptimWrapper) -> list[str]:
    """What keeps an optimiser from going on from a state.

    Args:
        found: What its wrapper's ``state_dict`` was.
        wrapper: As this run has built it; unchanged. What it remembers of a parameter is seen in a copy that steps.
    """
    own, groups = wrapper.state_dict(), found.get("param_groups")
    if not isinstance(groups, list) or [*map(_members, groups)] != [*map(_members, own["param_groups"])]:
        return ["optimizer.param_groups: of other parameters than this run's"]
    if not all(is_number(group.get("lr")) for group in groups):
        return ["optimizer.param_groups: a learning rate is no number"]
    state = found.get("state")
    if not isinstance(state, Mapping):
        return ["optimizer.state: missing"]
    twin = copy.deepcopy(wrapper.optimizer)
    for group in twin.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    twin.step()
    # what was never open has no entry
    wanted = {key: value for key, value in twin.state_dict()["state"].items() if key in state}
    scaler = mismatches("optimizer.loss_scaler", found.get("loss_scaler"), own.get("loss_scaler", {}))
    return mismatches("optimizer.state", state, wanted) + (scaler if "loss_scaler" in own else [])


def _members(group: object) -> tuple[object, object]:
    return (group.get("params"), group.get("stage")) if isinstance(group, Mapping) else (None, None)


def loop_problems(found: Mapping, network: nn.Module) -> list[str]:
    """What the loop cannot go on from, if its ``state_dict`` was what is found."""
    average, scores, clock = (found.get(name) for name in ("average", "scores", "clock"))
    problems = mismatches("loop.average", average, dict(network.named_parameters())) if average is not None else []
    if not (isinstance(scores, list) and all(map(_is_score, scores))):
        problems.append("loop.scores: no list of epochs and scores")
    if clock is not None:
        times = [clock.get(name) for name in ("paces", "evaluations")] if isinstance(clock, Mapping) else [None]
        lists = all(isinstance(values, list) for values in times)
        if not lists or not all(is_number(n) and n >= 0 for n in (clock.get("elapsed"), *times[0], *times[1])):
            problems.append("loop.clock: no seconds")
    return problems


def _is_score(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and isinstance(entry[1], float)
