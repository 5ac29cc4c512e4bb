"""Hooks that apply the pure functions of ``equistera.training`` to a run."""

from equistera.mm.hooks.checkpoints import SaveCheckpoints
from equistera.mm.hooks.console import Console
from equistera.mm.hooks.evaluated_weights import EvaluatedWeights
from equistera.mm.hooks.keep_to_time import KeepToTime
from equistera.mm.hooks.prediction_pictures import PredictionPictures
from equistera.mm.hooks.schedule import ApplySchedule
from equistera.mm.hooks.stop_early import StopEarly
from equistera.mm.hooks.stop_on_nonfinite import StopOnNonFinite

__all__ = [
    "ApplySchedule",
    "Console",
    "EvaluatedWeights",
    "KeepToTime",
    "PredictionPictures",
    "SaveCheckpoints",
    "StopEarly",
    "StopOnNonFinite",
]
