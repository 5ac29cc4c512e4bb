"""Hooks that apply the pure functions of ``equistera.training`` to a run."""

from equistera.mm.run.hooks.checkpoints import SaveCheckpoints
from equistera.mm.run.hooks.console import Console
from equistera.mm.run.hooks.evaluated_weights import EvaluatedWeights
from equistera.mm.run.hooks.keep_to_time import KeepToTime
from equistera.mm.run.hooks.prediction_pictures import PredictionPictures
from equistera.mm.run.hooks.schedule import ApplySchedule
from equistera.mm.run.hooks.stop_early import StopEarly
from equistera.mm.run.hooks.stop_on_nonfinite import StopOnNonFinite

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
