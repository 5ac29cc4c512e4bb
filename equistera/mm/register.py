"""Importing this registers everything that the configs name; they do it by ``custom_imports``."""

from equistera.mm import dataset, from_albumentations, hooks, metric, model, optim, photometric, transforms  # noqa: F401
