"""A detector's graph says what the detector says."""

import re

import numpy as np
import onnxruntime
import pytest
import torch
from mmpose.registry import MODELS

from equistera.errors import UserError
from equistera.exported import Exported
from equistera.exporting import ExportOptions, settled
from equistera.looking import DetectorOptions
from equistera.mm import config as configs
from equistera.mm.export.export import export
from equistera.mm.network import checkpoint

CONFIG = "configs/demo_rtmdet.py"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A detector that sees animals in noise: random weights that are sure of many places."""
    torch.manual_seed(0)
    config = configs.load(CONFIG, ["codec.input_size=(96,64)"])
    network = MODELS.build(config.model).eval()
    network.init_weights()
    # MMDetection's own let nothing through that tells one place from another
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    for found, sides in zip(network.bbox_head.rtm_cls, network.bbox_head.rtm_reg, strict=True):
        torch.nn.init.normal_(found.weight, std=30.0)
        torch.nn.init.constant_(found.bias, -1.0)
        torch.nn.init.constant_(sides.bias, 1.5)
    path = tmp_path_factory.mktemp("detector") / "best.pth"
    checkpoint.save(path, {"meta": {"config": config.pretty_text}, "state_dict": network.state_dict()})
    return path


def test_boxes_and_scores(weights, horses, tmp_path, capsys):
    out = tmp_path / "detector.onnx"
    options = {"check": str(horses / "images" / "val"), "data_root": str(horses)}
    export(settled(ExportOptions([CONFIG, str(weights)], "onnx", str(out), **options)))
    # the file beside MMDetection's own way from outputs to boxes
    said = re.search(
        r"(\d+) boxes surer than 0.3 on 4 pictures: 0 missing, mean .*, worst (\S+) px", capsys.readouterr().out
    )
    assert int(said[1]) > 20
    assert float(said[2]) < 0.01
    session = onnxruntime.InferenceSession(str(out))
    about = Exported.of(session.get_modelmeta().custom_metadata_map, out, "detector")
    assert about.input_size == (96, 64)
    boxes, scores = session.run(None, {"picture": np.zeros((1, 64, 96, 3), np.uint8)})
    assert boxes.shape == (len(scores), 4)
    assert (np.diff(scores) <= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert "Finds animals in a picture" in (tmp_path / "detector.model_card.md").read_text()
    with pytest.raises(UserError, match="cannot look a second time"):
        DetectorOptions(det=str(out)).detector()


def unsure(weights, folder, horses, bias):
    """The job of a detector all of whose scores are near the sigmoid of ``bias``."""
    content = checkpoint.load(weights)
    for name, value in content["state_dict"].items():
        if "rtm_cls" in name:
            value.mul_(0.02) if name.endswith("weight") else value.fill_(bias)
    checkpoint.save(folder / "unsure.pth", content)
    options = {"check": str(horses / "images" / "val"), "data_root": str(horses)}
    return settled(ExportOptions([CONFIG, str(folder / "unsure.pth")], "onnx", str(folder / "unsure.onnx"), **options))


def test_a_detector_that_is_sure_of_nothing_is_compared_where_it_is_surest(weights, horses, tmp_path, capsys):
    export(unsure(weights, tmp_path, horses, -4.0))
    said = re.search(r"(\d+) boxes surer than (\S+) on 4 pictures: 0 missing", capsys.readouterr().out)
    assert int(said[1]) > 0
    assert 0 < float(said[2]) < 0.3


def test_a_detector_that_finds_nothing_proves_nothing(weights, horses, tmp_path):
    with pytest.raises(UserError, match="finds nothing on 4 pictures"):
        export(unsure(weights, tmp_path, horses, -1000.0))
    assert not (tmp_path / "unsure.onnx").exists()


def test_what_a_detector_does_not_have_is_refused(weights, tmp_path):
    job = settled(ExportOptions([CONFIG, str(weights)], "onnx", str(tmp_path / "d.onnx"), flip=True, int8=True))
    with pytest.raises(UserError, match="--flip, --int8: not for a detector"):
        export(job)
