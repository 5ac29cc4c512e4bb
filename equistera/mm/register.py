"""Importing this registers everything that the configs name; they do it by ``custom_imports``."""

from equistera.mm.data import (  # noqa: F401
    batches,
    dataset,
    from_albumentations,
    loading,
    photometric,
    targets,
    transforms,
)
from equistera.mm.detection import metric as box_metric  # noqa: F401
from equistera.mm.detection import network, samples  # noqa: F401
from equistera.mm.network import model, staged  # noqa: F401
from equistera.mm.run import logs, loop, metric, prediction_pictures, saving, trainer  # noqa: F401
