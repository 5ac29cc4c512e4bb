"""Importing this registers everything that the configs name; they do it by ``custom_imports``."""

from equistera.mm import dataset, hooks, metric, model, optim, transforms  # noqa: F401
