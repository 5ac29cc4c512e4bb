"""How many processes load samples, and how: from the machine, unless the config says otherwise."""

from __future__ import annotations

import os

import torch
from mmengine.config import ConfigDict


def world_size() -> int:
    """Number of processes that a launcher started."""
    return int(os.environ.get("WORLD_SIZE", 1))


def cores_per_process() -> int:
    """CPU cores that each process of this machine may use."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", world_size())))


def default_workers() -> int:
    """Loader workers.

    A GPU takes thousands of samples a second, so all cores up to 12 load. On a CPU the model needs the cores itself:
    one worker keeps ahead of it, and where there is only one core the model's own process loads.
    """
    if torch.cuda.is_available():
        return min(12, cores_per_process())
    return min(1, cores_per_process() - 1)


def settle_loader(loader: ConfigDict, seed: int) -> None:
    """Fills in what a loader's config leaves as None.

    Args:
        loader: Config of a loader; changed.
        seed: Of the run.
    """
    if loader.get("num_workers") is None:
        loader.num_workers = default_workers()
    workers, gpu = loader.num_workers > 0, torch.cuda.is_available()
    # batches that wait for each worker: a GPU may take several at once, a CPU never waits for a second one
    chosen = {
        "persistent_workers": workers,
        "pin_memory": gpu,
        "prefetch_factor": (4 if gpu else 2) if workers else None,
    }
    for name, value in chosen.items():
        if loader.get(name) is None:
            loader[name] = value
    if workers:
        rank = int(os.environ.get("RANK", 0))
        loader.worker_init_fn = {
            "type": "start_worker",
            "num_workers": loader.num_workers,
            "rank": rank,
            "seed": seed,
        }
