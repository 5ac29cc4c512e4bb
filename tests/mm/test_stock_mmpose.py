"""MMPose's own tools with our configs and checkpoints: they see what ours see."""

import json
from pathlib import Path

import cv2
import mmengine
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.export.plain import plain_config
from equistera.mm.prediction import test as testing
from equistera.mm.run.train import TrainOptions, train

#: Networks small enough to train in seconds; what makes them so stands in the run's own copy of the config.
SMALL = {
    "lite0_imagenet": ("codec.input_size=(96,64)", "codec.heatmap_size=(24,16)"),
    "rtmpose_m_ap10k": (
        "codec.input_size=(96,64)",
        "model.backbone.widen_factor=0.125",
        "model.backbone.deepen_factor=0.167",
        "model.head.in_channels=128",
        "model.head.gau_cfg.hidden_dims=32",
    ),
    "hrnet_w32_ap10k": (
        "codec.input_size=(96,64)",
        "codec.heatmap_size=(24,16)",
        *(f"model.backbone.extra.stage{stage}.num_modules=1" for stage in (3, 4)),
    ),
    "vitpose_s_ap10k": (
        "codec.input_size=(96,64)",
        "codec.heatmap_size=(24,16)",
        "model.backbone.arch.embed_dims=48",
        "model.backbone.arch.num_layers=4",
        "model.backbone.arch.feedforward_channels=96",
        "model.head.in_channels=48",
    ),
}
SMALL["hrnet_w32_udp"] = SMALL["hrnet_w32_ap10k"]


@pytest.fixture(scope="module", params=["demo_rtmpose_t", *SMALL])
def run(request, horses, trained, tmp_path_factory) -> Path:
    """Work dir of a short run of each config."""
    if request.param == "demo_rtmpose_t":
        return trained
    # one picture at a time, as MMPose's tools predict: hardly trained, the last bits decide between two places
    options = ["train_dataloader.batch_size=4", "val_dataloader.batch_size=1", "train_cfg.max_epochs=1"]
    workers = [f"{name}_dataloader.num_workers=0" for name in ("train", "val")]
    return train(
        TrainOptions(
            f"configs/{request.param}.py",
            work_dir=str(tmp_path_factory.mktemp("stock") / request.param),
            data_root=str(horses),
            from_scratch=True,
            cfg_options=[*SMALL[request.param], *options, *workers, "train_cfg.val_interval=1"],
        )
    )


@pytest.fixture(scope="module")
def ours(run, tmp_path_factory):
    """Points and scores by annotation, as tools/test.py predicts them: [K, 3]."""
    out = tmp_path_factory.mktemp("ours")
    metrics = testing.test(testing.TestOptions([str(run)], out=str(out)))
    results = json.loads((out / "predictions.json").read_text())
    (figures,) = metrics.values()
    return {r["ann_id"]: np.reshape(r["keypoints"], (-1, 3)) for r in results}, figures


def config_of(run: Path) -> str:
    return str(next(run.glob("*.py")))


@pytest.fixture(scope="module")
def animals(horses):
    """Path, box x1 y1 x2 y2 and id of each test animal."""
    content = json.loads((horses / "annotations" / "test.json").read_text())
    names = {image["id"]: str(horses / "images" / "test" / image["file_name"]) for image in content["images"]}
    boxes = [(a["id"], names[a["image_id"]], np.array(a["bbox"], np.float32)) for a in content["annotations"]]
    return [(i, path, np.concatenate([box[:2], box[:2] + box[2:]])) for i, path, box in boxes]


def test_init_model_and_inference_topdown(run, ours, animals):
    model = init_model(config_of(run), str(run / "best.pth"), device="cpu")
    points, _ = ours
    for i, path, box in animals:
        (sample,) = inference_topdown(model, path, box[None])
        assert sample.pred_instances.keypoints[0] == pytest.approx(points[i][:, :2], abs=0.1)
        # no JPEG decoder averages the pixels of a picture that is decoded already: nearly the same
        (sample,) = inference_topdown(model, cv2.imread(path), box[None])
        assert sample.pred_instances.keypoint_scores[0] == pytest.approx(points[i][:, 2], abs=0.05)


def test_the_inferencer(run, animals):
    inferencer = MMPoseInferencer(pose2d=config_of(run), pose2d_weights=str(run / "best.pth"), device="cpu")
    _, path, _ = animals[0]
    (found,) = inferencer(path, return_vis=True)
    (animal,) = found["predictions"][0]
    model = init_model(config_of(run), str(run / "best.pth"), device="cpu")
    (sample,) = inference_topdown(model, path)
    assert np.array(animal["keypoints"]) == pytest.approx(sample.pred_instances.keypoints[0], abs=0.1)
    assert found["visualization"][0].shape == cv2.imread(path).shape


def test_the_runner_tests(run, ours, tmp_path):
    config = Config.fromfile(config_of(run))
    config.work_dir, config.load_from = str(tmp_path), str(run / "best.pth")
    dumped = tmp_path / "predicted.pkl"
    others = [{"type": "CocoMetric"}, {"type": "DumpResults", "out_file_path": str(dumped)}]
    config.test_evaluator = [config.test_evaluator, *others]
    metrics = Runner.from_cfg(config).test()
    points, figures = ours
    assert metrics["test/AP"] == pytest.approx(figures["AP"], abs=1e-6)
    assert metrics["coco/AP"] == pytest.approx(figures["AP"], abs=1e-6)
    samples = mmengine.load(dumped)
    found = np.array([sample["pred_instances"]["keypoints"][0] for sample in samples])
    scores = np.array([sample["pred_instances"]["keypoint_scores"][0] for sample in samples])
    expected = np.array([points[sample["id"]] for sample in samples])
    assert scores == pytest.approx(expected[..., 2], abs=0.02)
    # hardly trained, a map has peaks of one height: which of them is taken is a matter of the last bits
    assert (np.abs(found - expected[..., :2]) < 0.1).all(axis=2).mean() > 0.95


def test_training_is_not_for_another_runner(trained, tmp_path):
    config = Config.fromfile(config_of(trained))
    config.work_dir = str(tmp_path)
    with pytest.raises(UserError, match="Runner cannot train what this config says"):
        Runner.from_cfg(config).train()


def test_a_checkpoint_of_another_network_is_refused_by_their_tools_too(trained, tmp_path):
    """MMEngine would only log what does not fit, and predict with random weights."""
    text = (trained / "demo_rtmpose_t.py").read_text()
    (tmp_path / "other.py").write_text(text.replace("'horse26'", "'ap10k'"))
    with pytest.raises(UserError, match="does not belong to this config") as caught:
        init_model(str(tmp_path / "other.py"), str(trained / "best.pth"), device="cpu")
    assert caught.value.problems[0].startswith("keypoints: ")


@pytest.fixture(scope="module")
def stock_checkpoint(trained, horses, tmp_path_factory):
    """Of MMPose's own network, written by MMEngine's own Runner with an average of the weights beside them."""
    ours = configs.load(str(trained / "demo_rtmpose_t.py"))
    plain = plain_config(ours, skeletons.load("horse26")).to_dict()
    encode = {"type": "GenerateTarget", "encoder": plain["codec"]}
    steps = plain["val_dataloader"]["dataset"]["pipeline"]
    dataset = {**plain["val_dataloader"]["dataset"], "pipeline": [*steps[:-1], encode, steps[-1]], "test_mode": False}
    loader = {"batch_size": 2, "sampler": {"type": "DefaultSampler", "shuffle": True}, "dataset": dataset}
    work_dir = tmp_path_factory.mktemp("stock_runner")
    runner = Runner(
        model=plain["model"],
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 1e-3}},
        param_scheduler={"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 2},
        custom_hooks=[{"type": "EMAHook", "ema_type": "ExpMomentumEMA"}],
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        default_scope="mmpose",
        experiment_name="stock_runner",
    )
    runner.train()
    return work_dir / "epoch_1.pth"


def test_a_checkpoint_of_mmengines_runner_is_tested_and_begins_a_run(trained, stock_checkpoint, horses, tiny, tmp_path):
    config = str(trained / "demo_rtmpose_t.py")
    metrics = testing.test(testing.TestOptions([config, str(stock_checkpoint)], out=str(tmp_path / "test")))
    assert len(metrics) == 1
    work_dir = train(
        TrainOptions(
            "configs/demo_rtmpose_t.py",
            work_dir=str(tmp_path / "run"),
            data_root=str(horses),
            init=str(stock_checkpoint),
            cfg_options=tiny(**{"train_cfg.max_epochs": 1, "from_scratch": False}),
        )
    )
    log = next(work_dir.glob("*/*.log")).read_text()
    assert "head: 26 keypoints: 26 exact (horse26 (26 keypoints), as the checkpoint's meta.dataset_meta says)" in log
