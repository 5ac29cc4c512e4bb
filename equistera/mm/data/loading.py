"""How many processes load samples, and how: from the machine, unless the config says otherwise."""

from __future__ import annotations

import os

import torch
from mmengine.config import ConfigDict

from equistera.processes import processes_here, rank


def cores_per_process() -> int:
    """CPU cores that each process of this machine may use.

    Fewer than the machine has where it was started on some of them (``taskset``, Slurm, a container's CPU set), and no
    more than the user allows with ``OMP_NUM_THREADS``. A launcher of several processes sets that to 1 unasked: it does
    not count.
    """
    processes = processes_here()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if processes == 1 and allowed.isdigit() and int(allowed):
        cores = min(cores, int(allowed))
    return max(1, cores // processes)


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
    loader.worker_init_fn = {"type": "start_worker", "num_workers": loader.num_workers, "rank": rank(), "seed": seed}


def with_workers(loader: ConfigDict, workers: int) -> ConfigDict:
    """A settled loader's config with another number of workers, and what goes with it.

    Args:
        loader: Config of a loader that :func:`settle_loader` filled in; unchanged.
        workers: Processes that load; 0 loads in the process itself.
    """
    changed = ConfigDict(loader)
    changed.num_workers, changed.persistent_workers = workers, workers > 0
    changed.worker_init_fn = {**changed.worker_init_fn, "num_workers": workers}
    if not workers:
        changed.prefetch_factor = None
    return changed
