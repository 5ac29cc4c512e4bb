"""RTMDet with random weights: the real network, file, preprocessing and NMS, without a download."""

import json

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope

from equistera.errors import UserError
from equistera.frames import Frame
from equistera.mm.prediction.detect import CLASSES, DetectedBoxes, _fit, network
from equistera.mm.prediction.visualize import visualize
from equistera.visualizing import VisualizeOptions, settled


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file as MMDetection writes it, in which one cell of the coarsest level cries "horse"."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(network("rtmdet_tiny"))
    model.init_weights()
    path = tmp_path_factory.mktemp("weights") / "rtmdet_tiny.pth"
    with torch.no_grad():
        for level in range(3):
            # no class anywhere but horse, about 0.5 everywhere on the coarsest level
            model.bbox_head.rtm_cls[level].bias.fill_(-9)
            model.bbox_head.rtm_reg[level].bias.fill_(8.0)
        model.bbox_head.rtm_cls[2].bias[CLASSES["horse"]] = 0.0
        model.bbox_head.rtm_cls[2].bias[CLASSES["cow"]] = -0.5
    torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 1}}, path)
    return path


def frames(*shapes):
    rng = np.random.default_rng(0)
    return [Frame(f"{i}.jpg", i, rng.integers(0, 255, (*shape, 3), dtype=np.uint8)) for i, shape in enumerate(shapes)]


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(np.add(a[:2], a[2:]), np.add(b[:2], b[2:]))
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def test_boxes_lie_in_pictures_of_any_size_and_do_not_repeat(weights):
    detect = DetectedBoxes("rtmdet_tiny", weights, threshold=0.2)
    pictures = frames((200, 300), (1300, 700), (40, 900), (64, 64), (500, 500))
    found = detect(pictures)
    assert len(found) == len(pictures)
    for frame, boxes in zip(pictures, found, strict=True):
        height, width = frame.image.shape[:2]
        assert boxes
        for i, box in enumerate(boxes):
            x, y, w, h = box.xywh
            assert -0.01 <= x < x + w <= width + 0.01
            assert -0.01 <= y < y + h <= height + 0.01
            assert all(overlap(np.array(box.xywh), np.array(other.xywh)) <= 0.501 for other in boxes[:i])
        assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)


def test_class_and_threshold_filter(weights):
    picture = frames((300, 400))
    horses, cows, sheep = (
        DetectedBoxes("rtmdet_tiny", weights, classes=[name], threshold=0.2)(picture)[0]
        for name in ("horse", "cow", "sheep")
    )
    assert max(box.score for box in horses) > max(box.score for box in cows) > 0.2
    assert sheep == []
    both = DetectedBoxes("rtmdet_tiny", weights, classes=["horse", "cow"], threshold=0.2)(picture)[0]
    # the same places again as cows are not other animals
    assert len(both) <= len(horses) + 1
    assert DetectedBoxes("rtmdet_tiny", weights, threshold=0.99)(picture) == [[]]


def test_a_batch_gives_what_single_pictures_give(weights):
    detect = DetectedBoxes("rtmdet_tiny", weights, threshold=0.3)
    pictures = frames((200, 300), (300, 200), (240, 320))
    together, alone = detect(pictures), [detect([frame])[0] for frame in pictures]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose([box.xywh for box in a], [box.xywh for box in b], atol=0.05)


def test_fitting_keeps_proportions():
    square, shape, factor = _fit(np.full((100, 200, 3), 255, np.uint8))
    assert square.shape == (640, 640, 3)
    assert shape == (320, 640)
    assert factor == (3.2, 3.2)
    assert (square[:320] == 255).all()
    assert (square[320:] == 114).all()


def test_missing_weights_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("equistera.checkpoints.path_of", lambda name: tmp_path / f"{name}.pth")
    with pytest.raises(UserError, match=r"download_checkpoints\.py rtmdet_m_coco"):
        DetectedBoxes("rtmdet")
    with pytest.raises(UserError, match=r"gone\.pth does not exist"):
        DetectedBoxes("rtmdet_tiny", tmp_path / "gone.pth")


def test_weights_of_another_network_are_refused(weights, trained):
    with pytest.raises(UserError, match="weights differ"):
        DetectedBoxes("rtmdet", weights)
    with pytest.raises(UserError, match="weights differ"):
        DetectedBoxes("rtmdet_tiny", trained / "best.pth")


def test_an_unknown_class_is_refused(weights):
    with pytest.raises(UserError, match="no such class: unicorn"):
        DetectedBoxes("rtmdet_tiny", weights, classes=["unicorn"])


def test_visualize_looks_where_horses_were_found(horses, trained, tiny, tmp_path, weights, capsys):
    given = {
        "model": ["configs/demo_rtmpose_t.py", str(trained / "best.pth")], "cfg_options": tiny(),
        "img_dir": str(horses / "images" / "test"), "out": str(tmp_path / "out"), "json": str(tmp_path / "p.json"),
        "det": "rtmdet_tiny", "det_weights": str(weights),
    }  # fmt: skip
    assert visualize(settled(VisualizeOptions(**given, det_thr=0.4))) == 0
    poses = json.loads((tmp_path / "p.json").read_text())
    assert len(poses) > 4  # several animals a picture
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 4
    assert visualize(settled(VisualizeOptions(**given, det_thr=0.99))) == 0
    assert json.loads((tmp_path / "p.json").read_text()) == []
    assert "no horse was found on 4 of them" in capsys.readouterr().out


def test_classes_are_mmdetections():
    from mmdet.datasets import CocoDataset

    assert all(CocoDataset.METAINFO["classes"][index] == name for name, index in CLASSES.items())


def test_weights_that_name_other_classes_are_refused(weights, tmp_path):
    content = torch.load(weights, weights_only=True)
    names = [f"c{i}" for i in range(80)]
    for name, i in CLASSES.items():
        names[i] = name
    for said, fits in ((names, True), (["horse", *names[:79]], False), (["horse"], False)):
        content["meta"] = {"dataset_meta": {"CLASSES": tuple(said)}}
        torch.save(content, tmp_path / "x.pth")
        if fits:
            DetectedBoxes("rtmdet_tiny", tmp_path / "x.pth")
            continue
        with pytest.raises(UserError, match="other classes than COCO's: horse") as caught:
            DetectedBoxes("rtmdet_tiny", tmp_path / "x.pth")
        assert any(problem.startswith("horse is not class 17") for problem in caught.value.problems)
