"""Whose keypoints a checkpoint has: ours says so, others are recognised."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equistera import skeleton as skeletons
from equistera.checkpoints import published_as
from equistera.mm.network.checkpoint import upgrade_keys
from equistera.skeleton import Keypoint, Skeleton, SkeletonError

#: The layer of MMPose's heads that has one output channel for each keypoint.
OUTPUT_LAYER = "head.final_layer."
OUTPUT_WEIGHT = OUTPUT_LAYER + "weight"


def skeleton_of_checkpoint(content: Mapping, path: str | Path) -> tuple[Skeleton | None, str]:
    """Whose keypoints a checkpoint has: by what it says of itself, by its file name, by its number of channels.

    Args:
        content: The checkpoint, as :func:`equistera.mm.network.checkpoint.load` returns it.
        path: Its file.

    Returns:
        The skeleton, or None, and a sentence that says how it is known or why it is not. The number of channels is
        only a guess, and the sentence says so. A skeleton that is read from a list of names knows nothing but them:
        its sigmas are NaN.
    """
    channels = output_channels(content["state_dict"])
    if channels is None:
        return None, f"{Path(path).name} has no output layer for keypoints"
    if content.get("conversion") and content["conversion"].head_of:
        return None, f"its {channels} keypoints are {content['conversion'].head_of}"
    for place, entry in named_in(content.get("meta")):
        if len(entry.keypoints) == channels:
            skeleton = _skeleton_named(entry)
            return skeleton, f"{skeleton.name} ({channels} keypoints), as the checkpoint's {place} says"
    published = published_as(path)
    if published is not None:
        if published.skeleton not in skeletons.builtin_names():
            return None, f"keypoints of {published.skeleton!r} ({published.name}) have no counterparts here"
        skeleton = skeletons.load(published.skeleton)
        if len(skeleton) == channels:
            return skeleton, f"{skeleton.name} ({channels} keypoints), as the file name says ({published.name})"
    matching = [skeleton for skeleton in skeletons.builtin() if len(skeleton) == channels]
    if len(matching) == 1:
        return matching[0], f"{matching[0].name}, a guess: the checkpoint names no keypoints, but has {channels}"
    return None, f"the checkpoint does not say what its {channels} keypoints are"


def output_channels(state_dict: Mapping) -> int | None:
    """How many keypoints a network's last layer has channels for; None where there is no such layer."""
    weight = upgrade_keys(state_dict).get(OUTPUT_WEIGHT)
    return len(weight) if weight is not None and weight.ndim else None


@dataclass(frozen=True)
class Entry:
    """A skeleton as a checkpoint describes it; ``flip_indices`` is None where it does not say."""

    name: str
    source: str
    keypoints: tuple[str, ...]
    flip_indices: list[int] | None = None


def named_in(meta: object) -> list[tuple[str, Entry]]:
    """The skeletons that a checkpoint's meta information names, and where; what is malformed there is no answer."""
    ours, theirs = (_mapping(_mapping(meta).get(key)) for key in ("skeleton", "dataset_meta"))
    # MMPose 1.x keeps its data set's meta information
    by_channel = _mapping(theirs.get("keypoint_id2name"))
    channels = [by_channel.get(i) for i in range(len(by_channel))]
    candidates = [
        ("meta.skeleton", ours, ours.get("name"), ours.get("source"), ours.get("keypoints")),
        ("meta.dataset_meta", theirs, theirs.get("dataset_name"), "", channels),
    ]
    return [
        (place, Entry(_text(name) or "a skeleton without name", _text(source), tuple(names), _flips(said, len(names))))
        for place, said, name, source, names in candidates
        if isinstance(names, (list, tuple)) and names and all(map(_text, names)) and len(set(names)) == len(names)
    ]


def _flips(said: Mapping, count: int) -> list[int] | None:
    flips = said.get("flip_indices")
    good = isinstance(flips, (list, tuple)) and all(type(i) is int for i in flips) and sorted(flips) == [*range(count)]
    return list(flips) if good else None


def _mapping(value: object) -> Mapping:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _skeleton_named(entry: Entry) -> Skeleton:
    """The built-in skeleton with these keypoints in this order, or the file they came from; else the names alone."""
    known = skeletons.builtin()
    if entry.source.endswith(".json") and Path(entry.source).is_file():
        # only a file may hold correspondences; one that has changed or broken since is no loss, the names stand here
        with contextlib.suppress(SkeletonError):
            known.append(skeletons.load(entry.source))
    for skeleton in known:
        if tuple(map(skeleton.find, entry.keypoints)) == skeleton.names:
            return skeleton
    points = tuple(Keypoint(k, "", "upper", "middle", math.nan, math.nan, (0, 0, 0)) for k in entry.keypoints)
    return Skeleton(entry.name, points, links=())
