"""What services that follow a run get: pictures, figures, the plan; TensorBoard's files are read back."""

import dataclasses
import json
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from equistera import files
from equistera.errors import UserError
from equistera.mm.run.logs import WholePicturesBackend
from equistera.mm.run.train import TrainOptions, train

PROJECT = Path(__file__).resolve().parents[3]
DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture(scope="module")
def events(trained):
    (file,) = trained.glob("*/vis_data/events.out.tfevents.*")
    accumulator = EventAccumulator(str(file), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def test_tensorboard_has_a_sheet_of_the_same_pictures_at_each_evaluation(trained, events):
    sheets = events.Images("val_predictions")
    assert [sheet.step for sheet in sheets] == [1, 2, 3]
    assert [sheet.step for sheet in events.Images("train_batch")] == [1]
    pictures = [cv2.imdecode(np.frombuffer(sheet.encoded_image_string, np.uint8), 1).astype(int) for sheet in sheets]
    assert pictures[0].shape == (2 * 360 + 4, 4 * 240 + 3 * 4, 3)  # the validation set has five animals
    labels, predictions = ([picture[rows] for picture in pictures] for rows in (slice(0, 180), slice(180, 360)))
    assert (labels[0] == labels[1]).all()
    assert (labels[0] == labels[2]).all()
    # the network has learned something meanwhile
    assert (predictions[0] != predictions[2]).any()
    assert (labels[0] != predictions[0]).any()


def test_tensorboard_has_the_plan_and_figures_of_stages_and_keypoints(events):
    plan = events.Tensors("plan/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "demo" in plan
    assert "head" in plan
    tags = set(events.Tags()["scalars"])
    assert {"loss", "lr/head", "lr/stem", "val/AP", "val/PCK@0.1/l_knee", "train_subset/AP"} <= tags


def test_pictures_show_what_was_predicted_where_it_was(horses):
    from equistera import skeleton
    from equistera.mm.data.dataset import KeypointDataset
    from equistera.mm.evaluation import prediction_pictures

    dataset = KeypointDataset(
        skeleton="horse26", ann_file="annotations/val.json", data_root=str(horses), data_prefix={"img": "images/val"},
        pipeline=[], test_mode=True,
    )  # fmt: skip
    samples = prediction_pictures.chosen(dataset, 3, seed=1)
    assert len(samples) == 3
    assert list(samples) == list(prediction_pictures.chosen(dataset, 3, seed=1))
    pairs = []
    for sample in samples.values():
        truth = np.column_stack([sample["keypoints"][0], np.ones(26)])
        pairs.append((prediction_pictures.Shown.of(sample), truth))
    drawn = prediction_pictures.sheet(pairs, skeleton.load("horse26"))
    # what is labelled is predicted exactly: but for points without a label and the captions, both rows are the same
    same = (drawn[:180] == drawn[180:]).all(axis=-1)
    assert same.mean() > 0.9


@pytest.mark.parametrize("kind", ["simcc", "heatmaps"])
def test_the_first_batch_is_drawn_with_the_points_that_the_targets_have(kind):
    from equistera.mm.evaluation.prediction_pictures import peaks

    weights = torch.ones(1, 26)
    weights[0, 3] = 0
    if kind == "simcc":
        taught = {"keypoint_x_labels": torch.zeros(1, 26, 128), "keypoint_y_labels": torch.zeros(1, 26, 192)}
        taught["keypoint_x_labels"][..., 20] = taught["keypoint_y_labels"][..., 60] = 1
    else:
        taught = {"heatmaps": torch.zeros(1, 26, 24, 16)}
        taught["heatmaps"][..., 7, 2] = 1
    points = peaks({**taught, "keypoint_weights": weights}, 0, (96, 64, 3))
    expected = (10, 30) if kind == "simcc" else (8, 28)
    assert (points[[0, 25]] == expected).all()
    assert np.isnan(points[3]).all()


def fake_wandb(logged):
    module = types.ModuleType("wandb")
    module.init = lambda **kwargs: logged.append(("init", kwargs))
    module.Image = lambda image: ("picture", image.shape)
    module.log = lambda content, commit=True: logged.append(("log", content))
    module.join = lambda: None
    module.config = types.SimpleNamespace(update=lambda content, **_: logged.append(("config", content)))
    module.run = types.SimpleNamespace(log_code=lambda name: None)
    return module


def fake_mlflow(logged):
    """Refuses what MLflow refuses: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html"""
    module = types.ModuleType("mlflow")

    class MlflowException(Exception):
        pass

    def log_metrics(metrics, step):
        for name in metrics:
            if not all(c.isalnum() or c in "_-. :/" for c in name):
                raise MlflowException(name)
        logged.append(("metrics", metrics, step))

    def log_image(image, name):
        assert name.endswith(".png")
        logged.append(("image", name, image.shape))

    module.MlflowException = MlflowException
    module.log_metrics, module.log_image = log_metrics, log_image
    module.log_text = lambda text, name: logged.append(("text", name))
    module.log_artifact = lambda path, folder=None: logged.append(("artifact", path))
    module.set_tracking_uri = module.create_experiment = module.set_experiment = lambda *_, **__: None
    module.end_run = lambda: logged.append(("end",))
    module.get_experiment_by_name = lambda name: name
    return module


@pytest.mark.parametrize(("name", "package"), [("WandbVisBackend", "wandb"), ("MLflowBackend", "mlflow")])
def test_a_service_without_its_package_is_said_before_anything_is_made(horses, tiny, tmp_path, name, package):
    config = tmp_path / "tracked.py"
    config.write_text(
        f'_base_ = "{PROJECT / DEMO}"\nvis_backends = [dict(type="{name}")]\n'
        "visualizer = dict(vis_backends=vis_backends)\n"
    )
    given = TrainOptions(str(config), work_dir=str(tmp_path / "run"), data_root=str(horses), cfg_options=tiny())
    for plan in (True, False):
        with pytest.raises(UserError, match=f"name {name}, but the package {package} is not installed") as error:
            train(dataclasses.replace(given, plan=plan))
        assert f"pip install {package}" in error.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["tracked.py"]


def test_weights_and_biases_and_mlflow_get_figures_and_pictures(horses, tiny, tmp_path, monkeypatch):
    wandb, mlflow = [], []
    monkeypatch.setitem(sys.modules, "wandb", fake_wandb(wandb))
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow(mlflow))
    config = tmp_path / "tracked.py"
    config.write_text(
        f'_base_ = "{PROJECT / DEMO}"\n'
        'vis_backends = [dict(type="LocalVisBackend"), dict(type="WandbVisBackend", init_kwargs=dict(project="p")),'
        ' dict(type="MLflowBackend", exp_name="p")]\n'
        "visualizer = dict(vis_backends=vis_backends)\n"
    )
    options = tiny(**{"train_cfg.max_epochs": 1})
    train(TrainOptions(str(config), work_dir=str(tmp_path / "run"), data_root=str(horses), cfg_options=options))
    kinds = [kind for kind, *_ in wandb]
    assert kinds[:1] == ["init"]
    assert "config" in kinds
    figures = {name for kind, content in wandb if kind == "log" for name in content}
    assert {"loss", "lr/head", "val/AP", "val/PCK@0.1/l_knee", "val_predictions"} <= figures
    names = {name for kind, *content in mlflow if kind == "metrics" for name in content[0]}
    assert {"loss", "lr.head", "val/AP", "val/PCK_at_0.1.l_knee", "train_subset/AP"} <= names
    assert ("image", "val_predictions/epoch_1.png", (724, 972, 3)) in mlflow
    assert ("text", "config.py") in mlflow
    assert json.loads((tmp_path / "run" / "run.json").read_text())["max_epochs"] == 1


def test_a_picture_has_its_name_when_it_is_whole(tmp_path, monkeypatch):
    backend = WholePicturesBackend(str(tmp_path / "start" / "vis_data"), "../../pictures")
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    backend.add_image("train_batch", picture, 1)
    assert np.array_equal(cv2.imread(str(tmp_path / "pictures/train_batch_1.png"))[..., ::-1], picture)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        backend.add_image("train_batch", picture, 2)
    assert [path.name for path in (tmp_path / "pictures").glob("*.png")] == ["train_batch_1.png"]
