"""How samples are loaded: in which order, and by how many processes, from the machine unless the config says so."""

from __future__ import annotations

import math
import multiprocessing.connection
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import DataLoader, Sampler

from equistera import skeleton as skeletons
from equistera.environment import usable_cores
from equistera.processes import processes_here, rank
from equistera.words import counted

#: Where workers leave their batches for the main process: memory that containers give little of (Docker's 64 MB).
SHARED_MEMORY = Path("/dev/shm")

#: Share of what is free there that one loader may take: training's workers stay while validation's are at work.
_SHARE = 0.4


def cores_per_process() -> int:
    """CPU cores that each process of this machine may use.

    Fewer than the machine has where it was started on some of them (``taskset``, Slurm, a container's CPU set), and no
    more than the user allows with ``OMP_NUM_THREADS``. A launcher of several processes sets that to 1 unasked: it does
    not count.
    """
    processes = processes_here()
    cores = usable_cores()
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


def loader_settings(loader: Mapping, seed: int) -> dict[str, object]:
    """What a loader is to have beside what its config says: entries for workers and what goes with them."""
    gpu = torch.cuda.is_available()
    workers = loader.get("num_workers")
    # batches that wait for each worker: a GPU may take several at once, a CPU never waits for a second one
    ahead = loader.get("prefetch_factor") or (4 if gpu else 2)
    if workers is None:
        workers, ahead = _that_fit(loader, default_workers(), ahead)
    chosen = {"persistent_workers": workers > 0, "pin_memory": gpu, "prefetch_factor": ahead if workers else None}
    return {
        "num_workers": workers,
        **{name: value if loader.get(name) is None else loader[name] for name, value in chosen.items()},
        "worker_init_fn": {"type": "start_worker", "num_workers": workers, "rank": rank(), "seed": seed},
    }


def _that_fit(loader: ConfigDict, workers: int, ahead: int) -> tuple[int, int]:
    """Workers, and batches that wait for each, for which the shared memory has room; says so where these are fewer."""
    batch = loader.get("batch_size", 1) * _sample_bytes(loader.get("dataset") or {})
    if not workers or not batch or not SHARED_MEMORY.is_dir():
        return workers, ahead
    free = shutil.disk_usage(SHARED_MEMORY).free
    # one more is being read
    room = int(free * _SHARE / processes_here() / batch) - 1
    if room >= workers * ahead:
        return workers, ahead
    fewer = next(((n, room // n) for n in (min(workers, room // 2), min(workers, room)) if n > 0), (0, ahead))
    if rank() == 0:
        print(
            f"note: {SHARED_MEMORY} has {free / 1e6:.0f} MB free: {fewer[0]} of {workers} loader workers "
            f"(docker run --shm-size=8g gives it room)",
            file=sys.stderr,
        )
    return fewer


def _sample_bytes(dataset: Mapping) -> int:
    """Bytes of a picture and its targets, as workers hand them over; 0 if they cannot be told."""
    codec = dataset.get("codec")
    if not codec or not dataset.get("skeleton"):
        return 0
    width, height = codec["input_size"]
    # the larger of the codecs' targets: a heatmap, or a vector for each axis, float32
    target = math.prod(codec.get("heatmap_size") or [(width + height) * codec.get("simcc_split_ratio", 2)])
    return int(3 * width * height + 4 * target * len(skeletons.load(dataset["skeleton"])))


def in_use(loader: DataLoader, error: BaseException) -> str:
    """What a loader takes of the machine and how its workers ended, for the message of a failure."""
    workers = getattr(getattr(loader, "_iterator", None), "_workers", ())
    # one that is being ended cuts its connection first, and a busy machine takes its time to end it
    cut = isinstance(error, (ConnectionError, EOFError))
    going = multiprocessing.connection.wait([w.sentinel for w in workers], timeout=30 if cut else 0.5)
    for worker in workers:
        if worker.sentinel in going:
            # its files are closed, and it may not be gone yet
            worker.join(30)
    ended = sorted({signal.Signals(-w.exitcode).name for w in workers if w.exitcode is not None and w.exitcode < 0})
    now = f"{counted(loader.num_workers, 'workers')}, batch {loader.batch_size}"
    return f"{now}, ended by {', '.join(ended)}" if ended else now


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler):
    """Shuffles by (seed, epoch) alone and shares out among processes.

    Process ``r`` of ``n`` gets the samples ``r, r + n, r + 2n ...`` of the epoch's order, so a step of all processes
    sees the same samples whatever ``n`` is, if their batches make up the same whole.

    Args:
        dataset: Samples are its indices.
        seed: Equal in all processes.
        shuffle: False keeps the order of the data set.
        most: Samples of this process in an epoch, where that is to be shorter than the data set; None for all.
    """

    def __init__(self, dataset: Sized, seed: int, shuffle: bool = True, most: int | None = None):
        self.dataset = dataset
        self.seed = seed
        self.shuffle = shuffle
        self.rank, self.world_size = get_dist_info()
        self._share = -(-len(dataset) // self.world_size)
        self._length = self._share if most is None else min(self._share, most)
        self.epoch = 0

    def __len__(self) -> int:
        """Samples of this process in an epoch; the first ones fill up to equal shares."""
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of ``epoch`` (from 0)."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = np.random.default_rng((self.seed, self.epoch)).permutation(size) if self.shuffle else np.arange(size)
        shares = np.resize(order, self._share * self.world_size)
        yield from shares[self.rank :: self.world_size][: self._length].tolist()
