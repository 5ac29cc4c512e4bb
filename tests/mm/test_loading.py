import os

import pytest

from equistera.mm.loading import cores_per_process

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
