"""What a training sample costs on one core, and its targets alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from mmpose.registry import DATASETS

from equistera import skeleton as skeletons
from equistera.augmentation import PRESETS
from equistera.mm.data.metainfo import metainfo_of
from equistera.mm.data.targets import EncodeTargets
from speed import stock
from speed.options import SMALL, Options, load
from speed.photos import bytes_of
from speed.rounds import Case, in_turn, rate

#: The guide's augmentation.
PRESET = "aggressive"
#: How many times as fast as stock a sample and its targets should be.
_AIMS, _TARGETS_AIM = {"4000x3000": 40.0, "1280x960": 6.0}, 5.0


def benchmark(options: Options) -> list[Case]:
    """Measures the first config's pipeline for each size of photo, then targets of every codec.

    The process computes on one core. Photos, and our cache, are warm: a first epoch goes before.
    """
    torch.set_num_threads(1)
    cases = []
    for size in options.sizes:
        config = load(options, options.config[0], size, preset=PRESET)
        ours = DATASETS.build(config.train_dataloader.dataset)
        contestants = {"ours": _epochs(ours)}
        name = f"{size[0]}x{size[1]}"
        if options.with_stock:
            contestants["stock"] = _samples(DATASETS.build(stock.dataset(config, PRESETS[PRESET])))
        kilobytes = bytes_of(Path(config.data_root)) / 1000
        note = f"JPEG files of {kilobytes:.0f} kB on average, crop cache {options.cache}"
        case = Case(f"pipeline, {name} photos", "samples", note=note)
        if name in _AIMS and options.with_stock:
            case.aims = {"ours/stock": _AIMS[name]}
        timed = {who: _timed(work, options.seconds) for who, work in contestants.items()}
        cases.append(in_turn(case, timed, options.rounds))
    return cases + [_targets(options, path) for path in options.config]


def _timed(work: Callable[[], int], seconds: float) -> Callable[[], float]:
    work()
    return lambda: rate(work, seconds)


def _epochs(dataset) -> Callable[[], int]:
    """An epoch of ours each time, with an augmentation of its own."""
    epoch = 0

    def work() -> int:
        nonlocal epoch
        dataset.set_epoch(epoch)
        epoch += 1
        for i in range(len(dataset)):
            dataset.prepare_data(i)
        return len(dataset)

    return work


def _samples(dataset) -> Callable[[], int]:
    def work() -> int:
        for i in range(len(dataset)):
            dataset.prepare_data(i)
        return len(dataset)

    return work


def _targets(options: Options, path: str) -> Case:
    """Our targets beside those of MMPose's transform, for the same keypoints."""
    config = load(options, path, SMALL)
    skeleton = skeletons.load(config.skeleton)
    rng, count = np.random.default_rng(0), 256
    width, height = config.codec.input_size
    points = rng.uniform(-0.1, 1.1, (count, 1, len(skeleton), 2)) * (width, height)
    visible = (rng.random((count, 1, len(skeleton))) < 0.9).astype(np.float32)
    meta = metainfo_of(skeleton)
    weights = np.array(meta["joint_weights"], dtype=np.float32)

    def work_of(transform) -> Callable[[], int]:
        def work() -> int:
            for i in range(count):
                transform(
                    {
                        "transformed_keypoints": points[i].astype(np.float32),
                        "keypoints_visible": visible[i],
                        "dataset_keypoint_weights": weights,
                    }
                )
            return count

        return work

    contestants = {"ours": EncodeTargets(config.codec).transform}
    if options.with_stock:
        contestants["stock"] = Compose([{"type": "GenerateTarget", "encoder": dict(config.codec)}])
    case = Case(f"targets, {config.codec.type}", "samples")
    if options.with_stock:
        case.aims = {"ours/stock": _TARGETS_AIM}
    seconds = min(options.seconds, 1.0)
    return in_turn(case, {n: _timed(work_of(t), seconds) for n, t in contestants.items()}, options.rounds)
