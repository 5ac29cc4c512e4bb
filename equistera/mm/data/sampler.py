"""The order in which a training set is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


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
        rank: Of this process; None asks the process group.
        world_size: Number of processes; None asks the process group.
    """

    def __init__(
        self,
        dataset: Sized,
        seed: int,
        shuffle: bool = True,
        most: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        self.dataset = dataset
        self.seed = seed
        self.shuffle = shuffle
        found_rank, found_size = get_dist_info()
        self.rank = found_rank if rank is None else rank
        self.world_size = found_size if world_size is None else world_size
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
