"""A full disk costs a run its logs for a while, not its life."""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable

from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer

from equistera.errors import WriteError


@VISUALIZERS.register_module()
class PatientVisualizer(PoseLocalVisualizer):
    """MMPose's visualizer, to which a backend that cannot write is a warning, given once."""

    _told = False

    def __init__(self, name: str = "visualizer", **kwargs):
        super().__init__(name, **kwargs)
        # TensorBoard writes in a thread of its own, whose end the next call reports
        threading.excepthook = functools.partial(_end_of_thread, threading.excepthook)

    def _patiently(self, write: Callable, *args: object, **kwargs: object) -> None:
        try:
            write(*args, **kwargs)
        except (OSError, WriteError) as error:
            if not self._told:
                self._told = True
                print(f"warning: curves cannot be written: {error}\n  Training goes on.", file=sys.stderr, flush=True)

    def add_scalar(self, *args, **kwargs) -> None:
        self._patiently(super().add_scalar, *args, **kwargs)

    def add_scalars(self, *args, **kwargs) -> None:
        self._patiently(super().add_scalars, *args, **kwargs)

    def add_image(self, *args, **kwargs) -> None:
        self._patiently(super().add_image, *args, **kwargs)

    def close(self) -> None:
        self._patiently(super().close)


def never_mind(handler: logging.Handler) -> None:
    """Makes a log file's handler lose what it cannot write; ``logging`` would print a traceback for every line."""
    setattr(handler, "handleError", functools.partial(_report, handler, handler.handleError))  # noqa: B010


def _report(handler: logging.Handler, otherwise: Callable, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        otherwise(record)
    elif not getattr(handler, "told", False):
        setattr(handler, "told", True)  # noqa: B010
        print(f"warning: the log file cannot be written: {error}\n  Training goes on.", file=sys.stderr, flush=True)


def _end_of_thread(otherwise: Callable, ended: threading.ExceptHookArgs) -> None:
    if not issubclass(ended.exc_type, OSError):
        otherwise(ended)
