"""Batches for training beside MMPose's own packing, collating and preprocessing."""

import errno
import functools
import multiprocessing.queues
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmpose.registry import TRANSFORMS
from torch.utils.data import DataLoader

from equistera.errors import UserError, explained
from equistera.mm import config as configs
from equistera.mm.data.batches import BatchPreprocessor, PackTraining, pictures_of, stack_samples, start_worker
from equistera.mm.run import preflight

NORMALISE = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}


def samples(kind, count=3):
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        targets = (
            {f"keypoint_{axis}_labels": rng.random((1, 26, 128), np.float32) for axis in "xy"}
            if kind == "simcc"
            else {"heatmaps": rng.random((26, 16, 16), np.float32)}
        )
        tables = (
            {"label_mapping_table": {n: n for n in (*targets, "keypoint_weights")}}
            if kind == "simcc"
            else {"field_mapping_table": {"heatmaps": "heatmaps"}}
        )
        made.append({
            "img": rng.integers(0, 256, (64, 64, 3), dtype=np.uint8),
            "img_path": f"{i}.jpg",
            "keypoint_weights": rng.random((1, 26), np.float32),
            **targets,
            **tables,
        })  # fmt: skip
    return made


@pytest.mark.parametrize("kind", ["simcc", "heatmap"])
def test_a_batch_holds_what_mmposes_holds(kind):
    from mmpose.models.data_preprocessors import PoseDataPreprocessor

    made = samples(kind)
    ours = stack_samples([PackTraining().transform(dict(s)) for s in made])
    theirs = pseudo_collate([TRANSFORMS.build({"type": "PackPoseInputs"}).transform(dict(s)) for s in made])
    assert ours["inputs"].dtype == torch.uint8
    assert ours["inputs"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours["inputs"], torch.stack(theirs["inputs"]))
    labels = [s.gt_instance_labels for s in theirs["data_samples"]]
    assert torch.equal(ours["data_samples"]["keypoint_weights"], torch.cat([one.keypoint_weights for one in labels]))
    if kind == "simcc":
        for name in ("keypoint_x_labels", "keypoint_y_labels"):
            assert torch.equal(ours["data_samples"][name], torch.cat([getattr(one, name) for one in labels]))
    else:
        maps = torch.stack([s.gt_fields.heatmaps for s in theirs["data_samples"]])
        assert torch.equal(ours["data_samples"]["heatmaps"], maps)
    assert pictures_of(ours) == ["0.jpg", "1.jpg", "2.jpg"]

    mine, stock = BatchPreprocessor(**NORMALISE), PoseDataPreprocessor(**NORMALISE)
    normalised = mine(ours, training=True)
    assert torch.equal(normalised["inputs"], stock(theirs, training=True)["inputs"])
    assert normalised["inputs"].is_contiguous(memory_format=torch.channels_last)
    # a batch with data samples, as validation has them, goes MMPose's way
    again = mine(theirs, training=False)
    assert torch.equal(normalised["inputs"], again["inputs"])
    assert again["data_samples"][0].batch_input_shape == (64, 64)


def test_other_targets_are_refused():
    with pytest.raises(UserError, match="found neither"):
        PackTraining().transform({"img": np.zeros((4, 4, 3), np.uint8), "keypoint_labels": np.zeros((1, 26, 2))})


def test_a_worker_has_one_thread(monkeypatch):
    # what a worker changes is to stay in it
    monkeypatch.setattr(multiprocessing.queues.Queue, "_on_queue_feeder_error", None)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        start_worker(0, num_workers=1, rank=0, seed=3)
        first = torch.rand(1)
        assert cv2.getNumThreads() == 1
        start_worker(0, num_workers=1, rank=0, seed=3)
        assert torch.rand(1) == first
    finally:
        cv2.setNumThreads(before)


class NotHandedOver:
    def __reduce__(self):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_batch_that_cannot_be_handed_over_is_an_error_of_its_loader():
    """Not one that is waited for: a process with few open files met it."""
    start = functools.partial(start_worker, num_workers=1, rank=0, seed=3)
    loader = DataLoader(
        range(2), collate_fn=lambda _: NotHandedOver(), num_workers=1, worker_init_fn=start, timeout=120
    )
    with pytest.raises(OSError, match="Too many open files") as caught:
        list(loader)
    assert "Raise it: ulimit -n 65536" in explained(caught.value).hint


def batches(horses, tiny, workers, folder=None, epochs=2):
    config: Config = configs.load("configs/demo_rtmpose_t.py", tiny(), data_root=str(horses))
    config.train_dataloader.num_workers = workers
    config.train_dataloader.dataset.augmentation = "aggressive"
    preflight.finish(config, seed=5)
    loader = Runner.build_dataloader(config.train_dataloader, seed=5)
    found = []
    for epoch in range(epochs):
        loader.dataset.set_epoch(epoch)
        loader.sampler.set_epoch(epoch)
        found += list(loader)
    return found


def test_a_seed_gives_the_same_batches_whatever_the_workers(horses, tiny):
    """To the bit, over two epochs of persistent workers, which differ from each other."""
    alone = batches(horses, tiny, 0)
    assert not torch.equal(alone[0]["inputs"], alone[3]["inputs"])
    for workers in (1, 3):
        for one, other in zip(alone, batches(horses, tiny, workers), strict=True):
            assert one["pictures"] == other["pictures"]
            assert torch.equal(one["inputs"], other["inputs"])
            for name, value in one["data_samples"].items():
                assert torch.equal(value, other["data_samples"][name])


def test_what_the_user_says_of_the_loader_holds(horses, tiny):
    loader = {"num_workers": 2, "prefetch_factor": 5, "persistent_workers": False, "pin_memory": False}
    settings = tiny(**{f"train_dataloader.{key}": value for key, value in loader.items()})
    config = configs.load("configs/demo_rtmpose_t.py", settings, data_root=str(horses))
    preflight.finish(config, seed=0)
    loader = config.train_dataloader
    assert (loader.num_workers, loader.prefetch_factor) == (2, 5)
    assert (loader.persistent_workers, loader.pin_memory) == (False, False)
    alone = config.val_dataloader
    assert (alone.num_workers, alone.prefetch_factor, alone.persistent_workers) == (0, None, False)
