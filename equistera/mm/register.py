"""Importing this registers everything that the configs name; they do it by ``custom_imports``."""

from equistera.mm import (  # noqa: F401
    batches,
    dataset,
    deferred,
    from_albumentations,
    hooks,
    loop,
    metric,
    model,
    optim,
    patience,
    photometric,
    sampler,
    targets,
    tracking,
    transforms,
)
