"""Services that follow a run: what MMEngine's visualizer backends leave out or get wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization import LocalVisBackend, MLflowVisBackend, Visualizer

from equistera.errors import UserError
from equistera.files import atomic_write

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

    Args:
        visualizer: Of the run.
        config: That it was built from.
        name: What it is called.
        text: Lines.
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
        self.pictures = Path(save_dir) / img_save_dir

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
        folder = Path(save_dir).resolve()
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
