"""Starting a network from a checkpoint of another skeleton: the head's channels find their anatomical counterparts.

RTMCC, SimCC and heatmap heads of MMPose have one layer with an output channel for each keypoint,
``head.final_layer``. Its channels are carried over by the correspondence of the two skeletons; every other weight of
the head knows nothing of keypoints and is kept where its shape fits.

A channel without a counterpart keeps its random start. MMPose draws it tiny (normal, std 0.001), so that a heatmap
starts flat, which is what its target nearly is; the mean of the other channels would start with a blob on every known
keypoint, to be unlearnt. A SimCC head rescales each channel to the same norm, so there its size does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm.network import vitpose
from equistera.mm.network.checkpoint import load_fitting, upgrade_keys
from equistera.mm.network.checkpoint_skeleton import OUTPUT_LAYER, OUTPUT_WEIGHT, skeleton_of_checkpoint
from equistera.mm.network.detector import AnimalDetector
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.skeleton import Skeleton
from equistera.words import did_you_mean

HEAD = "head."

HEAD_INITS = ("transfer", "random")


@dataclass(frozen=True)
class ChannelSource:
    """Where one output channel starts from.

    Attributes:
        target: Keypoint of the network.
        source: Keypoint of the checkpoint; empty for a random start.
        match: ``exact`` (the same anatomical point), ``near``, or ``random``.
    """

    target: str
    source: str
    match: str


@dataclass(frozen=True)
class Report:
    """What a network was started from.

    Attributes:
        file: Name of the checkpoint.
        loaded: Number of weights (tensors) taken from the checkpoint.
        left_out: A line for each weight that one side has and the other could not use.
        changes: What was done to weights so that they could be used, a line each.
        origin: Whose keypoints the checkpoint has, and how that is known; or why the head starts at random.
        table: A row for each output channel, in the network's order.
    """

    file: str
    loaded: int
    left_out: list[str]
    origin: str
    table: tuple[ChannelSource, ...]
    changes: tuple[str, ...] = ()

    @property
    def counts(self) -> str:
        """How much was taken, as a line for people."""
        return f"{self.file}: {self.loaded} weights loaded, {len(self.left_out)} left out"


def initialise(
    network: SkeletonPoseEstimator | AnimalDetector, content: Mapping, path: str | Path, head_init: str = "transfer"
) -> Report:
    """Starts a network from a checkpoint.

    Args:
        network: The model; changed.
        content: The checkpoint, as :func:`equistera.mm.network.checkpoint.load` returns it.
        path: Its file, whose name may tell the skeleton.
        head_init: ``transfer`` carries the head over by keypoint; ``random`` leaves the whole head as it is.

    Raises:
        UserError: The checkpoint is of another network, or ``head_init`` is unknown.
    """
    if head_init not in HEAD_INITS:
        raise UserError(
            f"head_init={head_init!r}{did_you_mean(str(head_init), HEAD_INITS)}",
            hint=f"It is one of {', '.join(HEAD_INITS)}",
        )
    given: Mapping[str, Any] = upgrade_keys(content["state_dict"])
    changes = content["conversion"].changes if "conversion" in content else ()
    if hasattr(network.backbone, "patch_resolution"):
        given, resized = vitpose.with_own_positions(given, network.state_dict(), network.backbone.patch_resolution)
        changes = (*changes, *resized)
    table: tuple[ChannelSource, ...] = ()
    if isinstance(network, AnimalDetector):
        kept, origin = network.carried(given, head_init)
        reason = origin
    elif head_init == "random":
        origin = reason = "head_init is 'random'"
        kept = {name: value for name, value in given.items() if not name.startswith(HEAD)}
        table = channel_sources(None, network.skeleton)
    else:
        reason = "its output channels cannot be carried over"
        source, origin = skeleton_of_checkpoint(content, path)
        kept, table = transfer_head(given, source, network.skeleton, network.state_dict())
        if source is not None and OUTPUT_WEIGHT not in kept:
            origin += ", but its output layer is of another kind or size"
    if misfit := _other_sizes(kept, network.state_dict()):
        origin += f", but {', '.join(misfit)} of its head are for another input size and begin at random"
    skipped = {name: f"{tuple(value.shape)} in the file, {reason}" for name, value in given.items() if name not in kept}
    loaded, left_out = load_fitting(network, kept, skipped)
    return Report(Path(path).name, loaded, left_out, origin, table, changes)


def _other_sizes(given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[str]:
    """Layers of a head, but the one with a channel for each keypoint, whose weights in a file have another shape."""
    names = (name for name in given if name.startswith(HEAD) and not name.startswith(OUTPUT_LAYER))
    layers = (name.rsplit(".", 1)[0] for name in names if name in own and own[name].shape != given[name].shape)
    return list(dict.fromkeys(layers))


def transfer_head(
    state_dict: Mapping[str, torch.Tensor],
    source_skeleton: Skeleton | None,
    target_skeleton: Skeleton,
    model_state: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], tuple[ChannelSource, ...]]:
    """Carries a head's output channels into those of another skeleton.

    Args:
        state_dict: Weights of the checkpoint, in the names of MMPose 1.x.
        source_skeleton: Its keypoints, in the order of its channels; None where they are not known.
        target_skeleton: Keypoints of the network, in the order of its channels.
        model_state: The network's own weights; channels without a counterpart start from them.

    Returns:
        The weights to load, and where each channel starts from. Where the output layers differ in more than their
        number of channels (another kernel, other features, no such layer), none can be carried: the weights are
        returned without the output layer, and every channel is ``random``.
    """
    names = [name for name in model_state if name.startswith(OUTPUT_LAYER)]
    channels = 0 if source_skeleton is None else len(source_skeleton)
    if OUTPUT_WEIGHT not in names or not all(
        name in state_dict and state_dict[name].shape == (channels, *model_state[name].shape[1:]) for name in names
    ):
        kept = {name: value for name, value in state_dict.items() if not name.startswith(OUTPUT_LAYER)}
        return kept, channel_sources(None, target_skeleton)
    table = channel_sources(source_skeleton, target_skeleton)
    pairs = [(i, source_skeleton.index[row.source]) for i, row in enumerate(table) if row.source]
    targets, sources = [i for i, _ in pairs], [j for _, j in pairs]
    carried = dict(state_dict)
    for name in names:
        start = model_state[name].clone()
        start[targets] = state_dict[name][sources].to(start)
        carried[name] = start
    return carried, table


def channel_sources(source: Skeleton | None, target: Skeleton) -> tuple[ChannelSource, ...]:
    """Finds the counterpart of every keypoint of ``target`` in ``source``.

    The table of the two skeletons counts first. For a skeleton of the user's own that has none, the points that it
    shares by name with the project's skeleton have the counterparts which that one has.

    Args:
        source: Skeleton of the checkpoint; None where nothing is taken from it.
        target: Skeleton of the network.

    Returns:
        A row for each keypoint of ``target``, in its order; an exact match goes before a near one.
    """
    found: dict[str, ChannelSource] = {}
    for skeleton in (target, skeletons.load(skeletons.DEFAULT)) if source is not None else ():
        for match in skeleton.correspondence_from(source):
            better = match.target not in found or (match.exact and found[match.target].match == "near")
            if match.source in source.index and match.target in target.index and better:
                kind = "exact" if match.exact else "near"
                found[match.target] = ChannelSource(match.target, match.source, kind)
    return tuple(found.get(name, ChannelSource(name, "", "random")) for name in target.names)


def format_transfer_table(report: Report) -> str:
    """What the head was started from: a summary line and, unless all is random, a line for each keypoint."""
    count = Counter(row.match for row in report.table)
    kinds = ", ".join(f"{count[kind]} {kind}" for kind in ("exact", "near", "random") if count[kind])
    if not report.table:
        return report.origin
    lines = [f"head: {len(report.table)} keypoints: {kinds} ({report.origin})"]
    if count["random"] < len(report.table):
        width = max(len(row.target) for row in report.table)
        source_width = max(len(row.source) for row in report.table)
        lines += [f"  {row.target:<{width}}  {row.source or '-':<{source_width}}  {row.match}" for row in report.table]
    return "\n".join(lines)
