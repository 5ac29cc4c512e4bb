"""Whose keypoints a checkpoint has: ours says so, others are recognised."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equistera import skeleton as skeletons
from equistera.checkpoints import manifest
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
    weight = upgrade_keys(content["state_dict"]).get(OUTPUT_WEIGHT)
    if weight is None:
        return None, f"{Path(path).name} has no output layer for keypoints"
    channels = len(weight)
    for place, entry in _named_in(content.get("meta")):
        if len(entry.keypoints) == channels:
            skeleton = _skeleton_named(entry)
            return skeleton, f"{skeleton.name} ({channels} keypoints), as the checkpoint's {place} says"
    published = next((c for c in manifest().values() if c.file_name == Path(path).name), None)
    if published is not None:
        if published.skeleton not in skeletons.builtin_names():
            return None, f"keypoints of {published.skeleton!r} ({published.name}) have no counterparts here"
        skeleton = skeletons.load(published.skeleton)
        if len(skeleton) == channels:
            return skeleton, f"{skeleton.name} ({channels} keypoints), as the file name says ({published.name})"
    builtin = [skeletons.load(name) for name in skeletons.builtin_names()]
    matching = [skeleton for skeleton in builtin if len(skeleton) == channels]
    if len(matching) == 1:
        return matching[0], f"{matching[0].name}, a guess: the checkpoint names no keypoints, but has {channels}"
    return None, f"the checkpoint does not say what its {channels} keypoints are"


@dataclass(frozen=True)
class _Entry:
    """A skeleton as a checkpoint describes it."""

    name: str
    source: str
    keypoints: tuple[str, ...]


def _named_in(meta: object) -> list[tuple[str, _Entry]]:
    """The skeletons that a checkpoint's meta information names, and where; what is malformed there is no answer."""
    ours = _mapping(_mapping(meta).get("skeleton"))
    theirs = _mapping(_mapping(meta).get("dataset_meta"))
    by_channel = _mapping(theirs.get("keypoint_id2name"))
    candidates = [
        ("meta.skeleton", ours.get("name"), ours.get("source"), ours.get("keypoints")),
        # MMPose 1.x keeps its data set's meta information
        ("meta.dataset_meta", theirs.get("dataset_name"), "", [by_channel.get(i) for i in range(len(by_channel))]),
    ]
    return [
        (place, _Entry(_text(name) or "a skeleton without name", _text(source), tuple(names)))
        for place, name, source, names in candidates
        if isinstance(names, (list, tuple)) and names and all(map(_text, names)) and len(set(names)) == len(names)
    ]


def _mapping(value: object) -> Mapping:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _skeleton_named(entry: _Entry) -> Skeleton:
    """The built-in skeleton with these keypoints in this order, or the file they came from; else the names alone."""
    known = [skeletons.load(name) for name in skeletons.builtin_names()]
    if entry.source.endswith(".json") and Path(entry.source).is_file():
        # only a file may hold correspondences; one that has changed or broken since is no loss, the names stand here
        with contextlib.suppress(SkeletonError):
            known.append(skeletons.load(entry.source))
    for skeleton in known:
        if tuple(map(skeleton.find, entry.keypoints)) == skeleton.names:
            return skeleton
    points = tuple(Keypoint(k, "", "upper", "middle", math.nan, math.nan, (0, 0, 0)) for k in entry.keypoints)
    return Skeleton(entry.name, points, links=())
