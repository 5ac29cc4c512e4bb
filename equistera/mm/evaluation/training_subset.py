"""A fixed few of the training pictures, as an evaluation sees them: what a run is watched and its weights chosen by."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.dist import all_gather_object, get_dist_info
from mmpose.registry import METRICS

from equistera.crops.store import DecodedCrops
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.network.model import SkeletonPoseEstimator

#: Keeps the draw of the pictures apart from all else that the seed decides.
_STREAM = 4_826


class TrainingSubset:
    """Samples of the training set without augmentation, drawn by seed and kept in memory as crops.

    Several processes share the work batch by batch. 48 + 64 crops of 256x256 take 22 MB.

    Args:
        dataset: The training set.
        pipeline: Transforms of an evaluation.
        scored: Samples that :meth:`score` looks at; all if there are fewer.
        measured: Samples that :meth:`inputs` gives, the scored ones among them.
        batch_size: The most samples that go through the network together.
        seed: Of the run.

    Raises:
        UserError: A picture cannot be decoded.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        pipeline: Sequence[dict],
        scored: int,
        measured: int,
        batch_size: int,
        seed: int,
    ):
        self._dataset, self._pipeline = dataset, Compose(pipeline)
        order = np.random.default_rng((seed, _STREAM)).permutation(dataset.animals).tolist()
        #: How many are scored.
        self.animals = len(order[:scored])
        self._scored = _split(order[:scored], batch_size)
        self._measured = _split(order[:measured], batch_size)
        self._metric = METRICS.get(dataset.metric)
        # as an evaluation has them: those of training are larger and would be made smaller in another way
        self._pictures = DecodedCrops(dataclasses.replace(dataset.crop_request, presets=()))
        self._samples: dict[int, dict] = {}

    @classmethod
    def of(cls, config: Config, dataset: KeypointDataset) -> TrainingSubset:
        """The subset that a config asks for: ``training_subset`` and ``norm_statistics``."""
        norms = config.get("norm_statistics")
        return cls(
            dataset,
            config.val_dataloader.dataset.pipeline,
            scored=config.training_subset.pictures,
            measured=norms.pictures if norms else 0,
            batch_size=config.train_dataloader.batch_size,
            seed=config.randomness.seed,
        )

    def score(self, network: SkeletonPoseEstimator) -> dict[str, float]:
        """Scores a network in evaluation mode; every process gets the same figures.

        Returns:
            Those of the data set's metric.
        """
        results: list[dict] = []
        for batch in self._batches(network, self._scored):
            samples = network.predict(batch["inputs"], batch["data_samples"])
            results += [self._metric.result_of(sample.to_dict()) for sample in samples]
        gathered = [result for part in all_gather_object(results) for result in part]
        return self._metric.score(self._dataset.ground_truth, gathered, network.skeleton)

    def inputs(self, network: SkeletonPoseEstimator) -> Iterator[torch.Tensor]:
        """This process' batches of preprocessed pictures, float [B, 3, H, W], for normalisation statistics."""
        for batch in self._batches(network, self._measured):
            yield batch["inputs"]

    def _batches(self, network: SkeletonPoseEstimator, batches: list[list[int]]) -> Iterator[dict]:
        rank, processes = get_dist_info()
        for indices in batches[rank::processes]:
            for index in indices:
                if index not in self._samples:
                    crop = functools.partial(self._pictures.__getitem__, index)
                    self._samples[index] = self._pipeline({**self._dataset.get_data_info(index), "crop": crop})
            samples = pseudo_collate([self._samples[index] for index in indices])
            with torch.no_grad():
                batch = network.data_preprocessor(samples, training=False)
                yield batch


def _split(indices: list[int], batch_size: int) -> list[list[int]]:
    """Batches of nearly equal size, so that each counts alike in a mean over batches."""
    count = -(-len(indices) // batch_size)
    return [part.tolist() for part in np.array_split(indices, count)] if count else []
