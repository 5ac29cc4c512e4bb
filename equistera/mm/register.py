"""Importing this registers everything that the configs name; they do it by ``custom_imports``."""

from equistera.mm.data import (  # noqa: F401
    batches,
    boxes,
    dataset,
    from_albumentations,
    loading,
    photometric,
    targets,
    transforms,
)
from equistera.mm.evaluation import box_metric, keypoint_metric, prediction_pictures  # noqa: F401
from equistera.mm.network import detector, efficientnet_lite, model, staged  # noqa: F401
from equistera.mm.run import logs, loop, saving, trainer  # noqa: F401
