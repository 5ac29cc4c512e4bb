import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from speed.options import with_workers

from equistera.mm.data import loading
from equistera.mm.data.loading import cores_per_process, loader_settings

LAUNCHED = ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE", "WORLD_SIZE")


@pytest.mark.parametrize(
    ("cores", "environment", "expected"),
    [
        (8, {}, 8),
        (1, {}, 1),
        (8, {"OMP_NUM_THREADS": "3"}, 3),
        (2, {"OMP_NUM_THREADS": "16"}, 2),
        (8, {"OMP_NUM_THREADS": "4,2"}, 8),
        (8, {"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}, 4),
        (2, {"LOCAL_WORLD_SIZE": "4"}, 1),
        (8, {"WORLD_SIZE": "2"}, 4),
    ],
)
def test_cores_of_a_process(cores, environment, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cores_per_process() == expected


def test_another_number_of_workers_takes_along_what_goes_with_it():
    loader = ConfigDict(num_workers=2)
    loader.update(loader_settings(loader, seed=7))
    alone, three = with_workers(loader, 0), with_workers(loader, 3)
    for config, workers in ((alone, 0), (loader, 2), (three, 3), (with_workers(alone, 1), 1)):
        torch.utils.data.DataLoader(
            [0],
            num_workers=config.num_workers,
            persistent_workers=config.persistent_workers,
            prefetch_factor=config.prefetch_factor,
        )
        assert config.num_workers == workers
        assert config.worker_init_fn == {"type": "start_worker", "num_workers": workers, "rank": 0, "seed": 7}


@pytest.mark.parametrize(
    ("free_mb", "workers", "ahead"),
    [(8000, 12, 4), (640, 6, 2), (64, 0, None)],
)
def test_what_workers_hand_over_fits_the_shared_memory(free_mb, workers, ahead, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(loading, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(loading.shutil, "disk_usage", lambda path: SimpleNamespace(free=free_mb * 10**6))
    monkeypatch.setattr(loading, "default_workers", lambda: 12)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    codec = {"type": "SimCCLabel", "input_size": (256, 256), "simcc_split_ratio": 2.0}
    loader = ConfigDict(num_workers=None, batch_size=64, dataset={"skeleton": "horse26", "codec": codec})
    loader.update(loader_settings(loader, seed=7))
    # 64 x (196,608 bytes of picture + 26 points x 1,024 values of 4 bytes) = 19.4 MB, of 0.4 of the room
    assert (loader.num_workers, loader.prefetch_factor) == (workers, ahead)
    said = capsys.readouterr().err
    note = f"note: {tmp_path} has {free_mb} MB free: {workers} of 12 loader workers "
    assert said == ("" if free_mb == 8000 else f"{note}(docker run --shm-size=8g gives it room)\n")
    # what the user says is followed
    own = ConfigDict(loader, num_workers=3, prefetch_factor=None)
    own.update(loader_settings(own, seed=7))
    assert (own.num_workers, own.prefetch_factor) == (3, 4)
