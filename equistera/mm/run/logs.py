"""The log of a run and the services that follow it: what MMEngine leaves out of them, gets wrong, or waits for.

A full disk costs a run its logs for a while, not its life. MMEngine takes loss and gradient norm to the host at every
step, and a GPU has nothing to do until the host, which waited for it, has put the next step together: here the host
asks the device for them when the log is written.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS, VISBACKENDS
from mmengine.visualization import LocalVisBackend, MLflowVisBackend, Visualizer
from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer

from equistera.errors import UserError, WriteError
from equistera.files import atomic_write

#: Values of each scalar that are kept in memory: MMEngine's million is copied whole at every step.
KEPT = 1000


@HOOKS.register_module()
class RuntimeInfo(RuntimeInfoHook):
    """MMEngine's hook without what it logs of a step, which :class:`StepLog` hands over."""

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Nothing: it would wait for the device."""


class StepLog:
    """Figures of steps that are not in the log yet, which is written as often as the config's logger says."""

    def __init__(self, config: Config):
        self._interval = (config.default_hooks.get("logger") or {}).get("interval", 10)
        self._pending: dict[str, list[float | torch.Tensor]] = {}

    def note(self, figures: Mapping[str, float | torch.Tensor]) -> None:
        """Adds a step's figures: numbers, or tensors of one number that nobody changes afterwards."""
        for name, value in figures.items():
            self._pending.setdefault(name, []).append(value)

    def is_due(self, number: int, last: bool) -> bool:
        """Whether the log is written after a step (from 0) of an epoch."""
        return last or (number + 1) % self._interval == 0

    def hand_over(self, hub: MessageHub) -> None:
        """Gives all figures to MMEngine, whose hook and processor write the log; waits for the device once."""
        pending, self._pending = self._pending, {}
        tensors = [value for values in pending.values() for value in values if isinstance(value, torch.Tensor)]
        # one copy to the host for all of them
        numbers = iter(torch.stack([value.double().reshape(()) for value in tensors]).tolist() if tensors else ())
        for name, values in pending.items():
            for value in values:
                hub.update_scalar(f"train/{name}", next(numbers) if isinstance(value, torch.Tensor) else value)
        for name, history in hub.log_scalars.items():
            if name.startswith("train/"):
                history.max_length = KEPT


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


def tolerate_write_errors(handler: logging.Handler) -> None:
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


#: What has to be installed for a backend, by its name in a config.
PACKAGES = {
    "WandbVisBackend": "wandb",
    "MLflowBackend": "mlflow",
    "MLflowVisBackend": "mlflow",
    "ClearMLVisBackend": "clearml",
    "NeptuneVisBackend": "neptune",
    "DVCLiveVisBackend": "dvclive",
    "AimVisBackend": "aim",
    "TensorboardVisBackend": "tensorboard",
}


def check_services(config: Config) -> None:
    """Refuses a config whose visualizer asks for a service of which the package is not installed.

    Raises:
        UserError: With what installs it.
    """
    asked = (backend.get("type") for backend in config.get("visualizer", {}).get("vis_backends") or ())
    for name in asked:
        package = PACKAGES.get(name)
        # of a module that is imported already nothing need be looked for
        if package and package not in sys.modules and importlib.util.find_spec(package) is None:
            raise UserError(
                f"the config's vis_backends name {name}, but the package {package} is not installed",
                hint=f"pip install {package}, or take the line out of vis_backends",
            )


def add_text(visualizer: Visualizer, config: Config, name: str, text: str) -> None:
    """Shows a text with fixed column widths wherever a backend takes texts: TensorBoard does.

    Weights & Biases and MLflow get the config by themselves; the text is in the log file as well.
    """
    for backend in config.visualizer.get("vis_backends") or ():
        writer = getattr(visualizer.get_backend(backend.get("name", backend["type"])).experiment, "add_text", None)
        if writer is not None:
            # four blanks make it preformatted in Markdown
            writer(name, "\n".join(f"    {line}" for line in text.splitlines()), 0)


@VISBACKENDS.register_module()
class WholePicturesBackend(LocalVisBackend):
    """MMEngine's backend of files, whose pictures get their names when they are whole."""

    def __init__(self, save_dir: str, img_save_dir: str = "vis_image", **kwargs):
        super().__init__(save_dir, img_save_dir, **kwargs)
        # MMPose's inferencers name no place, and MMEngine then leaves the backend out
        self.pictures = Path(save_dir or "") / img_save_dir

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        with atomic_write(self.pictures / f"{name}_{step}.png", "wb") as file:
            file.write(cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].data)


@VISBACKENDS.register_module()
class MLflowBackend(MLflowVisBackend):
    """MMEngine's MLflow backend with the names that MLflow takes.

    MLflow refuses ``@`` in the name of a metric and, with one refused name, all metrics of that moment; stored in
    files, a metric cannot be named like the folder of another; a picture's format must be in its name; and of
    parameters it takes only so many. So ``val/PCK@0.1/nose`` becomes ``val/PCK_at_0.1.nose``, the sheet of an
    evaluation ``val_predictions/epoch_5.png``, and the config is stored as the file that it is.

    Without a ``tracking_uri`` the run is stored beside its log, in ``mlflow.db`` and ``mlflow/``, as MLflow has given
    up the folders that MMEngine would ask it for: ``mlflow ui --backend-store-uri sqlite:///.../mlflow.db`` shows it.
    """

    def __init__(self, save_dir: str, tracking_uri: str | None = None, artifact_location: str | None = None, **kwargs):
        folder = Path(save_dir or "").resolve()
        if tracking_uri is None:
            tracking_uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
            artifact_location = artifact_location or (folder / "mlflow").as_uri()
        super().__init__(save_dir, tracking_uri=tracking_uri, artifact_location=artifact_location, **kwargs)

    def add_config(self, config, **kwargs) -> None:
        self.cfg = config
        self.experiment.log_text(config.pretty_text, "config.py")

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        super().add_image(f"{name}/epoch_{step}.png", image, step, **kwargs)

    def add_scalar(self, name: str, value: float, step: int = 0, **kwargs) -> None:
        super().add_scalar(_metric_name(name), value, step, **kwargs)

    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs) -> None:
        renamed = {_metric_name(name): value for name, value in scalar_dict.items()}
        super().add_scalars(renamed, step, file_path, **kwargs)


def _metric_name(name: str) -> str:
    for split in ("val/", "train_subset/"):
        if name.startswith(split):
            return split + _metric_name(name.removeprefix(split))
    # in MLflow's folders "lr" and "lr/head" would be a file and a folder of one name
    return name.replace("/", ".").replace("@", "_at_").replace("+", "_and_")
