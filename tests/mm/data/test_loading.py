import os

import pytest
import torch
from mmengine.config import ConfigDict

from equistera.mm.data.loading import cores_per_process, settle_loader, with_workers

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
    settle_loader(loader, seed=7)
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
