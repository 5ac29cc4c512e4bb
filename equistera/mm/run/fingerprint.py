"""What a run was started with, short enough for a checkpoint: a resumed run must have the same."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from equistera import PROJECT
from equistera import skeleton as skeletons
from equistera.dataset.coco import load_annotations
from equistera.dataset.paths import picture_path
from equistera.mm.config import entry_at
from equistera.processes import world_size
from equistera.training.options import SAME

#: Parts of a config that decide what the weights become. What is logged, saved or kept, where the data lie and how many
#: workers load them may change.
DECISIVE = (
    "model",
    "codec",
    "strategy",
    "optim_wrapper",
    "ema",
    "from_scratch",
    "randomness.seed",
    "train_dataloader.drop_last",
    "train_dataloader.sampler",
    "train_dataloader.dataset",
)

#: Entries below them that decide nothing: the contents of the files count, not their place, and a crop cache holds
#: the very pixels that are cut from the photos without one (docs/crop_cache.md). A codec counts once, where it stands.
PLACES = ("data_root", "skeleton", "cache", "codec")

#: Entries that follow from others: the phases, the seed, the size of a step, the codec.
DERIVED = (
    "train_dataloader.dataset.augmentation",
    "train_dataloader.dataset.seed",
    "train_dataloader.sampler.most",
    "optim_wrapper.accumulative_counts",
    "model.test_cfg.shift_heatmap",
)

#: Entries that a resumed run may change: the rates and the length of an epoch follow from them.
STEP, EPOCH = "samples in an update", "steps in an epoch"

#: What names an entry on the command line, where that is no ``--cfg-options``.
_OPTIONS = {key: f"--{name.replace('_', '-')}" for name, key in SAME.items()} | {"optim_wrapper.type": "--amp"}

#: Key of what validation scores depend on.
VALIDATION = "validation annotations"

#: Bytes at the start and at the end of a picture by which it is known.
_END = 4096

#: Longest value that is shown.
SHOWN = 80


def fingerprint(config: Config, steps_per_epoch: int) -> dict[str, str]:
    """What decides the course of a run, by name, from its config with all options applied.

    Returns:
        Plain text values: contents of the annotation files by their hash, names and sizes of the pictures, the
        skeleton, the size of a step, and every decisive entry of the config.
    """
    found, root = {}, Path(config.data_root)
    skeleton, batch = skeletons.load(config.skeleton), config.train_dataloader.batch_size
    sets = [
        (name, root / loader.dataset.ann_file, root / loader.dataset.data_prefix.img, skeleton)
        for name, loader in (("training", config.train_dataloader), ("validation", config.val_dataloader))
    ]
    for source in config.train_dataloader.dataset.get("sources") or ():
        labelled_in = skeletons.load(source["skeleton"]) if source["skeleton"] else skeleton
        place, name = Path(source["data_root"]), source["name"]
        sets.append((name, place / source["ann_file"], place / source["data_prefix"]["img"], labelled_in))
        found[f"{name} skeleton"] = f"{labelled_in.name}, {_digest(','.join(labelled_in.names).encode())}"
    for name, file, folder, labelled_in in sets:
        coco = load_annotations(file, labelled_in)
        pictures = sorted((image["file_name"], image["id"]) for image in coco["images"])
        paths = {name: picture_path(folder, name) for name, _ in pictures}
        sizes = "\n".join(f"{name} {paths[name].stat().st_size}" for name, _ in pictures if paths[name].exists())
        found[f"{name} annotations"] = f"{len(coco['annotations'])} animals, hash {_digest(file.read_bytes())}"
        found[f"{name} pictures"] = f"{len(pictures)} files, hash of names and sizes {_digest(sizes.encode())}"
    order = ",".join([*skeleton.names, *map(str, skeleton.flip_indices)])
    found["skeleton"] = f"{skeleton.name}, {len(skeleton)} keypoints, hash {_digest(order.encode())}"
    parts = {"processes": world_size(), "steps": config.optim_wrapper.get("accumulative_counts", 1)}
    size = "".join(f" x {count} {name}" for name, count in parts.items() if count > 1)
    found[STEP] = f"{batch * math.prod(parts.values())} (batch {batch}{size})"
    found[EPOCH] = str(steps_per_epoch)
    for key in DECISIVE:
        found |= {name: _short(value) for name, value in _entries(key, entry_at(config, key))}
    return found


def update_of(found: Mapping[str, str]) -> int:
    """Samples in an update, as :func:`fingerprint` tells them; 0 where it does not."""
    match = re.match(r"(\d+) \(batch ", str(found.get(STEP)))
    return int(match[1]) if match else 0


def picture_marks(paths: Iterable[Path]) -> set[str]:
    """What pictures are known again by wherever they lie: 12 characters for each, of its size and its two ends.

    Whole files would take minutes: 5,000 photos of 12 MP are 25 GB. A picture that cannot be read has no mark.
    """
    return {mark for mark in map(mark_of, paths) if mark}


def mark_of(path: Path) -> str:
    """What a picture is known again by; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(_END)
            file.seek(max(0, size - _END))
            return hashlib.sha256(b"%d %b %b" % (size, head, file.read(_END))).hexdigest()[:12]
    except OSError:
        return ""


def differences(before: Mapping[str, str], now: Mapping[str, str], given: Sequence[str] = ()) -> dict[str, str]:
    """A line for each entry in which two fingerprints differ, which names the option that it came by.

    ``given`` are the ``KEY=VALUE`` of ``--cfg-options``.
    """
    return {
        key: f"{_named(key, given)}: {before.get(key, 'not set')} then, {now.get(key, 'not set')} now"
        for key in {**before, **now}
        # runs of earlier versions counted the codec wherever it was referred to, and more of what follows from others
        if before.get(key) != now.get(key) and ".codec." not in key and key not in DERIVED
    }


def _named(key: str, given: Sequence[str]) -> str:
    if any(f"{key}.".startswith(f"{option.partition('=')[0]}.") for option in given):
        return f"--cfg-options {key}"
    if key in _OPTIONS:
        return _OPTIONS[key]
    return f"the config's {key}" if key.split(".")[0] in {entry.split(".")[0] for entry in DECISIVE} else key


@functools.cache
def git_commit() -> str | None:
    """The commit of this project's working copy, or None outside of one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        # no git here
        return None
    return done.stdout.strip() or None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _entries(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Every leaf below an entry of a config, with its dotted name."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name not in PLACES and f"{key}.{name}" not in DERIVED:
                yield from _entries(f"{key}.{name}", item)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for index, item in enumerate(value):
            yield from _entries(f"{key}.{index}", item)
    else:
        # a list from the command line equals the tuple of a file
        yield key, list(value) if isinstance(value, tuple) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... (hash {_digest(text.encode())})"
