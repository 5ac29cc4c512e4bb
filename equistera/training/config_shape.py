"""What a run's config may say, entry by entry; the plan judges what entries mean together (``plan_check``)."""

from __future__ import annotations

from typing import Annotated

import pydantic

from equistera.training.strategy import Strategy
from equistera.training.values import Flag, Part, Section, count, number

#: Seeds that every generator takes (NumPy's legacy one has 32 bits).
MOST_SEED = 2**32 - 1


class TrainCfg(Part):
    """The length of a run."""

    max_epochs: Annotated[int, count()]
    val_interval: Annotated[int, count()] = 1


class Loader(Part):
    """How samples are loaded; what is left out follows from the machine."""

    batch_size: Annotated[int, count()]
    num_workers: Annotated[int, count(0)] | None = None
    prefetch_factor: Annotated[int, count()] | None = None
    persistent_workers: Flag | None = None
    pin_memory: Flag | None = None
    drop_last: Flag = False


class Optimizer(Part):
    """Of torch."""

    lr: Annotated[float, number(0, above=True)]


class OptimWrapper(Part):
    """How gradients become steps."""

    optimizer: Optimizer
    accumulative_counts: Annotated[int, count()] = 1


class Saving(Part):
    """Checkpoints."""

    interval: Annotated[int, count()]
    keep: Annotated[int, count(0)]


class DefaultHooks(Part):
    """Only what is of this toolkit."""

    checkpoint: Saving


class Randomness(Part):
    """Seeds."""

    seed: Annotated[int, count(0, MOST_SEED)]


class Pictures(Section):
    """So many training pictures."""

    pictures: Annotated[int, count()]


class StatisticsPictures(Section):
    """So many training pictures, or none."""

    pictures: Annotated[int, count(0)]


class Ema(Section):
    """The average of the weights."""

    share: Annotated[float, number(0, 1, above=True)] | None = None
    at_most: Annotated[float, number(1)] | None = None


class EarlyStopping(Section):
    """When to give up."""

    patience: Annotated[int, count()] | None = None
    min_delta: Annotated[float, number(0)] = 0.0


class Model(Part):
    """Beside what the network's own classes check."""

    dropout: Annotated[float, number(0, 1, below=True)] = 0.0


class RunConfig(Part):
    """A whole config."""

    train_cfg: TrainCfg
    train_dataloader: Loader
    val_dataloader: Loader
    optim_wrapper: OptimWrapper
    default_hooks: DefaultHooks
    randomness: Randomness
    model: Model
    strategy: Strategy
    training_subset: Pictures = pydantic.Field(description="dict(pictures=N), for the choice of weights needs it")
    norm_statistics: StatisticsPictures | None = pydantic.Field(None, description="None or dict(pictures=N)")
    ema: Ema | None = pydantic.Field(None, description="None or dict(share=, at_most=)")
    early_stopping: EarlyStopping = pydantic.Field(description="dict(patience=None) for never, or epochs")
