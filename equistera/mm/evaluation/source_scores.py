"""How a run does on the validation sets of the data sets beside its own, in the points that these have."""

from __future__ import annotations

from mmengine.config import Config

from equistera.dataset.mixed import Source
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.evaluation.training_subset import TrainingSubset
from equistera.mm.network.model import SkeletonPoseEstimator

#: Prefix of what is logged of them.
SOURCE = "source"
#: Animals of each set that are scored, drawn by seed and kept in memory as crops: 40 MB of 256x256.
MOST = 200
#: Figures that are logged of each set.
LOGGED = ("AP", "PCK@0.1", "normalised_error", "swap_rate")


class SourceScores:
    """Scores of the sources of a settled config that have a validation set."""

    def __init__(self, config: Config):
        dataset, evaluated = config.train_dataloader.dataset, config.val_dataloader
        sources = [Source.of(entry, "sources") for entry in dataset.get("sources") or ()]
        self._sets = {
            source.name: TrainingSubset(
                KeypointDataset(
                    skeleton=dataset.skeleton,
                    labelled_in=source.skeleton,
                    data_root=source.data_root,
                    ann_file=source.val_ann_file,
                    data_prefix=source.val_data_prefix,
                    leave_out=source.val_leave_out,
                    codec=dataset.codec,
                    pipeline=[],
                ),
                evaluated.dataset.pipeline,
                scored=MOST,
                measured=0,
                batch_size=evaluated.batch_size,
                seed=config.randomness.seed,
            )
            for source in sources
            if source.val_ann_file
        }

    @property
    def animals(self) -> int:
        """How many are scored in all."""
        return sum(scored.animals for scored in self._sets.values())

    def score(self, network: SkeletonPoseEstimator) -> dict[str, float]:
        """``source/NAME/SCORE`` of each set; every process gets the same figures."""
        found = {name: scored.score(network) for name, scored in self._sets.items()}
        return {
            f"{SOURCE}/{name}/{key}": scores[key] for name, scores in found.items() for key in LOGGED if key in scores
        }
