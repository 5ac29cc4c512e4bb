"""A detector is trained, stopped, gone on with and used as a pose model is."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from equistera.dataset.coco import load_annotations
from equistera.errors import UserError
from equistera.frames import Frame
from equistera.mm import config as configs
from equistera.mm.augmentation_sheet import SheetOptions, augmentation_sheet
from equistera.mm.data.boxes import BoxDataset, EncodeBoxes, view_of
from equistera.mm.network import checkpoint
from equistera.mm.network.detector import CLASSES
from equistera.mm.network.transfer import initialise
from equistera.mm.prediction import detect
from equistera.mm.prediction import test as testing
from equistera.mm.prediction.detect import TrainedBoxes
from equistera.mm.prediction.stream import Box
from equistera.mm.run.network_check import build_checked
from equistera.mm.run.train import TrainOptions, train

CONFIG = "configs/demo_rtmdet.py"
SMALL = (
    "codec.input_size=(64,64)",
    "train_cfg.max_epochs=2",
    "train_cfg.val_interval=1",
    "default_hooks.checkpoint.interval=1",
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
    "training_subset.pictures=2",
    "norm_statistics.pictures=2",
    "strategy.warmup.at_least=1",
    "ema=None",
)


def trained_detector(horses, work_dir, *options, **changes):
    given = {"config": CONFIG, "data_root": str(horses), "from_scratch": True, "device": "cpu"}
    return train(TrainOptions(**given | changes, work_dir=str(work_dir), cfg_options=[*SMALL, *options]))


@pytest.fixture(scope="session")
def detector(horses, tmp_path_factory):
    return trained_detector(horses, tmp_path_factory.mktemp("detector") / "run")


def test_the_demos_detector_is_known_by_its_record_alone(horses):
    """Its backbone is one of ours, whose name MMDetection's registry must have."""
    config = configs.load("configs/demo_rtmdet_lite0.py", SMALL, data_root=str(horses))
    recorded = configs.from_text(configs.as_text(config), "run")
    features = build_checked(recorded).backbone(torch.zeros(1, 3, 64, 64))
    assert [tuple(one.shape) for one in features] == [(1, 40, 8, 8), (1, 112, 4, 4)]


@pytest.fixture
def network(horses):
    return build_checked(configs.load(CONFIG, SMALL, data_root=str(horses)))


def dataset(horses, **changes):
    config = configs.load(CONFIG, [*SMALL], data_root=str(horses))
    settings = {**config.train_dataloader.dataset, "augmentation": "none", **changes}
    settings.pop("type")
    return BoxDataset(**settings)


def test_a_run_ends_with_its_best_weights_by_box_ap(detector):
    content = checkpoint.load(detector / "best.pth")
    assert content["meta"]["best_epoch"] in (1, 2)
    lines = next(detector.glob("*/vis_data/scalars.json")).read_text().splitlines()
    scores = [entry for entry in map(json.loads, lines) if "val/AP" in entry]
    assert len(scores) == 2
    assert {"val/AP50", "val/AR", "val/normalised_error", "train_subset/AP"} <= scores[0].keys()
    assert not (detector / "pictures").exists()


def test_shared_layers_have_the_best_weights_under_every_name(detector):
    state = checkpoint.load(detector / "best.pth")["state_dict"]
    first, second = ("bbox_head.cls_convs.0.0.conv.weight", "bbox_head.cls_convs.1.0.conv.weight")
    assert torch.equal(state[first], state[second])


def test_a_resumed_run_equals_one_that_never_stopped(horses, detector, tmp_path):
    trained_detector(horses, tmp_path / "run", "train_cfg.max_epochs=2", "early_stopping.patience=None")
    whole = checkpoint.load(detector / "latest.pth")["state_dict"]
    again = checkpoint.load(tmp_path / "run" / "latest.pth")["state_dict"]
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    for name in ("epoch_2.pth", "latest.pth", "best.pth"):
        (tmp_path / "run" / name).unlink()
    train(TrainOptions(config=None, work_dir=str(tmp_path / "run"), resume=True, device="cpu"))
    resumed = checkpoint.load(tmp_path / "run" / "latest.pth")["state_dict"]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_sample_is_the_whole_picture_with_the_boxes_of_its_animals(horses):
    samples = dataset(horses)
    coco = load_annotations(samples.ann_file, samples.skeleton)
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    for i in range(len(samples)):
        sample = samples[i]
        info = samples.get_data_info(i)
        width, height = sizes[info["img_id"]]
        zoom = 64 / max(width, height)
        offset = (64 - np.array([width, height]) * zoom) / 2
        own = [a["bbox"] for a in coco["annotations"] if a["image_id"] == info["img_id"]]
        expected = [[x * zoom, y * zoom, (x + w) * zoom, (y + h) * zoom] for x, y, w, h in own]
        boxes = sample["data_samples"]["boxes"]
        expected = np.clip(np.array(expected) + np.tile(offset, 2), 0, 64)
        # pixel centres stand for pixels: half a pixel of the photo
        assert np.allclose(boxes[: len(own)], expected, atol=0.6 * zoom + 0.01)
        assert not boxes[len(own) :].any()


def test_a_mirrored_picture_has_mirrored_boxes(horses):
    straight = dataset(horses)[0]
    turned = dataset(horses, augmentation={"preset": "none", "flip": 1.0})[0]
    assert np.array_equal(straight["inputs"][:, ::-1], turned["inputs"])
    x1, y1, x2, y2 = straight["data_samples"]["boxes"][0]
    assert np.allclose(turned["data_samples"]["boxes"][0], [63 - x2, y1, 63 - x1, y2], atol=1e-3)


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((10, 10, 30, 30), (10, 10, 30, 30)),
        # two thirds are seen
        ((-10, 0, 20, 30), (0, 0, 20, 30)),
        # a tenth is seen
        ((-90, 0, 10, 30), None),
        ((70, 0, 90, 30), None),
        # too small to find
        ((10, 10, 12, 40), None),
    ],
)
def test_what_a_view_shows_of_an_animal_is_what_is_found(box, kept):
    x1, y1, x2, y2 = box
    corners = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]], np.float32)
    done = EncodeBoxes().transform({"input_size": (64, 64), "transformed_keypoints": corners, "most_boxes": 2})
    expected = np.zeros((2, 4)) if kept is None else np.array([kept, [0, 0, 0, 0]])
    assert np.array_equal(done["boxes"], expected)


def test_the_view_of_a_picture_is_the_whole_of_it():
    x1, y1, x2, y2 = view_of((640, 480))
    assert (x1 + x2, y1 + y2) == (639, 479)
    assert np.allclose([1.25 * (x2 - x1), 1.25 * (y2 - y1)], [640, 480])


def test_boxes_are_told_in_pixels_of_the_picture(network):
    """Of a picture twice as large the same boxes twice as large."""
    where = torch.tensor([[8.0, 16.0, 40.0, 48.0]])
    network.boxes = lambda inputs: [type("Found", (), {"bboxes": where, "scores": torch.ones(1)})()]
    about = {"input_size": (64, 64), "input_scale": (128.0, 128.0), "input_center": (99.5, 63.5)}
    sample = type("Sample", (), {"metainfo": about})()
    (told,) = network.predict(torch.zeros(1, 3, 64, 64), [sample])
    assert told.pred_instances.bboxes.tolist() == [[51.5, 31.5, 115.5, 95.5]]


def test_coco_weights_start_the_one_class_from_their_own(network):
    state = network.state_dict()
    state["bbox_head.rtm_cls.0.weight"] = torch.arange(80.0).reshape(80, 1, 1, 1).expand(80, 64, 1, 1).clone()
    state["bbox_head.rtm_cls.0.bias"] = torch.arange(80.0)
    report = initialise(network, {"state_dict": state, "meta": {}}, "coco.pth")
    assert network.bbox_head.rtm_cls[0].bias.tolist() == [CLASSES["horse"]]
    assert "COCO's classes horse" in report.origin


def test_a_pose_models_backbone_starts_a_detector(network):
    given = {name: value + 1 for name, value in network.state_dict().items() if name.startswith("backbone.")}
    report = initialise(network, {"state_dict": given, "meta": {}}, "pose.pth")
    assert report.origin == "head: random, the weights are of no detector"
    own = network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in given.items())


def test_a_trained_detector_finds_boxes_in_pictures_of_any_size(detector):
    found = TrainedBoxes(detector / "best.pth", threshold=0.001)
    pictures = [np.full((height, width, 3), 90, np.uint8) for height, width in ((40, 60), (300, 200))]
    boxes = found([Frame(str(i), i, picture) for i, picture in enumerate(pictures)])
    assert len(boxes) == 2
    for each, picture in zip(boxes, pictures, strict=True):
        assert all(0 < box.score <= 1 and box.xywh[2] <= 2 * max(picture.shape) for box in each)


def test_a_detector_computes_as_it_is_asked_to_whatever_it_was_trained_in(detector, tmp_path):
    content = checkpoint.load(detector / "best.pth")
    content["meta"]["config"] = content["meta"]["config"].replace(
        "model = dict(", "model = dict(\n    precision='float16',"
    )
    checkpoint.save(tmp_path / "half.pth", content)
    assert TrainedBoxes(tmp_path / "half.pth").model.precision is None


def test_a_detector_is_loaded_whatever_was_loaded_before(detector):
    with DefaultScope.overwrite_default_scope("mmengine"):
        assert TrainedBoxes(detector / "best.pth").threshold == 0.3


def test_the_augmentation_of_a_detector_is_drawn(horses, tmp_path, capsys):
    options = SheetOptions(CONFIG, data_root=str(horses), out_dir=str(tmp_path), samples=2, draws=8)
    assert augmentation_sheet(options).stat().st_size > 10_000
    assert "phase 1, 'whole pictures'" in capsys.readouterr().out


def test_other_weights_are_no_detector(trained):
    with pytest.raises(UserError, match="expected weights of a detector that was trained here, found another"):
        TrainedBoxes(trained / "best.pth")


def test_mmdetections_own_weights_are_told_where_they_go(detector, tmp_path):
    content = checkpoint.load(detector / "best.pth")
    content["meta"] = {}
    checkpoint.save(tmp_path / "coco.pth", content)
    with pytest.raises(UserError, match="found MMDetection's own") as caught:
        TrainedBoxes(tmp_path / "coco.pth")
    assert "--det-weights" in caught.value.hint


@pytest.mark.parametrize("size", ["(64,)", "(0, 0)", "(50, 50)"])
def test_an_input_size_that_cannot_be_is_refused(detector, tmp_path, size):
    content = checkpoint.load(detector / "best.pth")
    given = re.compile(r"input_size=\(\s*64,\s*64,?\s*\)")
    content["meta"]["config"] = given.sub(f"input_size={size}", content["meta"]["config"])
    checkpoint.save(tmp_path / "changed.pth", content)
    with pytest.raises(UserError, match=r"codec\.input_size: expected"):
        TrainedBoxes(tmp_path / "changed.pth")


def test_a_closer_look_adds_small_animals_and_no_parts():
    whole = [Box((100.0, 100.0, 200.0, 200.0), 0.9)]
    places = ((120.0, 150, 40, 40), (400.0, 100, 40, 40), (280.0, 100, 41, 40))
    part, small, half_out = (Box(xywh, 0.5) for xywh in places)
    assert detect._beside([part, small, half_out], whole) == [small, half_out]
    # of a large box that is less sure it is no part: that one may be wrong
    surer = Box(part.xywh, 0.95)
    assert detect._beside([surer], whole) == [surer]
    assert detect._beside([part], []) == [part]
    assert detect._beside([], whole) == []


def test_the_least_sure_boxes_are_told_if_they_are_asked_for(detector):
    assert TrainedBoxes(detector / "best.pth", 0.001).model.bbox_head.test_cfg.score_thr == 0.001


def test_a_detector_has_no_keypoints_to_score(detector):
    with pytest.raises(UserError, match="it finds animals, it has no keypoints"):
        testing.test(testing.TestOptions([str(detector)]))


def test_scores_with_found_boxes_stand_beside_those_with_given_ones(horses, trained, detector, tmp_path, capsys):
    options = testing.TestOptions([str(trained)], data_root=str(horses), out=str(tmp_path / "out"), det=str(detector))
    testing.test(options)
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["found_boxes"]
    assert found["threshold"] == 0.3
    assert found["found"] + found["missed"] == found["animals"] > 0
    told = capsys.readouterr().out
    assert f"{found['found']} of {found['animals']} animals found" in told
    assert "may not fit" not in told


def test_a_detector_of_another_animal_is_named(horses, trained, detector, tmp_path, capsys):
    content = checkpoint.load(detector / "best.pth")
    assert content["meta"]["animals"] == ["horse"]
    content["meta"]["animals"] = ["dog"]
    checkpoint.save(tmp_path / "dogs.pth", content)
    dogs = str(tmp_path / "dogs.pth")
    testing.test(testing.TestOptions([str(trained)], data_root=str(horses), out=str(tmp_path / "out"), det=dogs))
    told = capsys.readouterr().out
    assert "dogs.pth may not fit this model: it has learned to find dog, the pose model knows horse" in told


def test_a_compiled_detector_is_refused(network):
    with pytest.raises(UserError, match="--compile is for pose models"):
        network.refuse_compiling()


def test_what_is_not_learned_from_is_in_the_plan(horses, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    path = root / "annotations" / "train.json"
    content = json.loads(path.read_text())
    tiny, gone = content["annotations"][0], content["annotations"][-1]["image_id"]
    tiny["bbox"] = [*tiny["bbox"][:2], 2, 2]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != gone]
    path.write_text(json.dumps(content))
    trained_detector(root, tmp_path / "run", plan=True)
    told = capsys.readouterr().out
    assert f"note: 1 of {len(content['annotations'])} animals are less than 4 pixels" in told
    assert "note: nothing is learned from 1 picture without an animal" in told
    assert not (tmp_path / "run").exists()


def test_a_hook_that_draws_poses_is_refused(horses, tmp_path):
    with pytest.raises(UserError, match="PredictionPictures, which draws poses"):
        trained_detector(horses, tmp_path / "run", "custom_hooks=[dict(type='PredictionPictures')]")
