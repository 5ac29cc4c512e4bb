"""Weights of stock MMPose and of DeepLabCut in our networks: the same outputs as in theirs.

Theirs are built by their own packages and saved as they save, with random weights. That of DeepLabCut takes its
package, which is not among what the tests need: ``pytest -m slow -k deeplabcut`` where it is installed.
"""

import sys
import types
from pathlib import Path

import mmpose
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equistera import skeleton as skeletons
from equistera.checkpoints import manifest
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.network import checkpoint
from equistera.mm.network.transfer import initialise

STOCK = Path(mmpose.__file__).parent / ".mim" / "configs"


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope("mmpose")


def moved(network, size=64, batch=2):
    """A network whose weights are all random, and whose norms have seen random pictures: its outputs are of size 1."""
    generator = torch.Generator().manual_seed(1)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
        network.eval()
        for norm in norms:
            norm.training, norm.momentum = True, None
        (network.extract_feat if hasattr(network, "extract_feat") else network)(pictures(size, batch))
    return network.eval()


def pictures(size, batch=2):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(2))


def stock(path, **changes):
    """MMPose's own network of one of its own configs."""
    config = Config.fromfile(STOCK / path)
    config.merge_from_dict({"model": changes})
    model = config.model
    model.backbone.init_cfg = None
    # several processes would share the statistics of their norms
    if "norm_cfg" in model.backbone:
        model.backbone.norm_cfg = {"type": "BN"}
    return moved(MODELS.build(model))


def ours(config, skeleton, *overrides):
    return MODELS.build(configs.load(f"configs/{config}.py", [f"skeleton={skeleton}", *overrides]).model).eval()


def save_as_mmpose_0(network, path):
    """Old names of the head, the optimiser and numbers of NumPy beside the weights."""
    state = {name.replace("head.", "keypoint_head.", 1): value for name, value in network.state_dict().items()}
    meta = {"epoch": 210, "best_score": np.float64(0.728), "mmpose_version": "0.18.0"}
    optimizer = torch.optim.Adam(network.parameters()).state_dict()
    torch.save({"meta": meta, "state_dict": state, "optimizer": optimizer}, path)


def start(network, path):
    return initialise(network, checkpoint.load(path), path)


def assert_same(network, other, source, report, size=64):
    """The same outputs, computed in float64 so that nothing but the weights decides."""
    order = [source.index[row.source] for row in report.table]
    given = pictures(size).double()
    with torch.inference_mode():
        mine = network.double().head_outputs(network.extract_feat(given))
        theirs = other(given)
    for one, two in zip(mine, theirs, strict=True):
        assert two.std() > 0.01
        torch.testing.assert_close(one, two[:, order], atol=1e-5, rtol=0)


def heads_of(network):
    """What a network of MMPose gives, as a function of pictures."""

    def outputs(given):
        found = network.double()(given, None)
        return found if isinstance(found, tuple) else (found,)

    return outputs


def test_hrnet_w48_from_a_file_of_mmpose_0_predicts_what_mmposes_own_does(tmp_path):
    theirs = stock("animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_hrnet-w48_8xb64-210e_ap10k-256x256.py")
    path = tmp_path / manifest()["hrnet_w48_ap10k"].file_name
    save_as_mmpose_0(theirs, path)
    network = ours("hrnet_w48_ap10k", "horse26")
    report = start(network, path)
    assert report.loaded == len(network.state_dict())
    assert report.left_out == []
    assert "as the file name says (hrnet_w48_ap10k)" in report.origin
    assert_same(network, heads_of(theirs), skeletons.load("ap10k"), report)


@pytest.mark.parametrize("size", ["l", "s"])
def test_rtmpose_starts_from_the_backbone_of_mmposes_cspnext(size, tmp_path):
    theirs = stock(f"body_2d_keypoint/topdown_heatmap/coco/cspnext-{size}_udp_8xb256-210e_aic-coco-256x192.py")
    name = f"cspnext_{size}_aic_coco"
    path = tmp_path / manifest()[name].file_name
    torch.save({"meta": {}, "state_dict": theirs.state_dict()}, path)
    network = ours(f"rtmpose_{size}_aic_coco", "horse26")
    report = start(network, path)
    backbone = [key for key in network.state_dict() if key.startswith("backbone.")]
    assert report.loaded == len(backbone)
    assert report.origin == f"keypoints of 'coco17' ({name}) have no counterparts here"
    assert {row.match for row in report.table} == {"random"}
    with torch.inference_mode():
        (mine,) = network.double().extract_feat(pictures(64).double())
        found = theirs.double().backbone(pictures(64).double())
    torch.testing.assert_close(mine, found[-1], atol=1e-5, rtol=0)


def test_rtmpose_l_predicts_what_mmposes_own_does(tmp_path):
    """With as many points: its head weighs them against each other, so others give other outputs."""
    theirs = stock("body_2d_keypoint/rtmpose/coco/rtmpose-l_8xb256-420e_aic-coco-256x192.py")
    path = tmp_path / "rtmpose-l.pth"
    torch.save({"meta": {}, "state_dict": theirs.state_dict()}, path)
    network = ours("rtmpose_l_aic_coco", "ap10k", "codec.input_size=(192,256)")
    report = start(network, path)
    assert report.loaded == len(network.state_dict())
    assert report.left_out == []
    given = torch.randn(1, 3, 256, 192, generator=torch.Generator().manual_seed(3)).double()
    with torch.inference_mode():
        mine = network.double().head_outputs(network.extract_feat(given))
        for one, two in zip(mine, heads_of(theirs)(given), strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


# --- SuperAnimal-Quadruped: trained with MMPose, and as a snapshot of DeepLabCut 3 ------------------------------------

QUADRUPED = "superanimal_quadruped"


def quadruped():
    """MMPose's network with 39 points."""
    path = "animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_hrnet-w32_8xb64-210e_ap10k-256x256.py"
    return stock(path, head={"out_channels": 39})


def as_deeplabcut(state):
    """The names that DeepLabCut 3 gives HRNet (of timm) and its head, which is a deconvolution over single cells."""
    renamed = {
        f"backbone.model.{k.removeprefix('backbone.')}": v for k, v in state.items() if k.startswith("backbone.")
    }
    head = "heads.bodypart.heatmap_head.deconv_layers.0."
    renamed[head + "weight"] = state["head.final_layer.weight"].transpose(0, 1).contiguous()
    renamed[head + "bias"] = state["head.final_layer.bias"]
    return renamed


@pytest.fixture
def scalar_float(monkeypatch):
    """What DeepLabCut has for numbers: they come from YAML files, and say how they were written there."""
    kind = type("ScalarFloat", (float,), {"__module__": "ruamel.yaml.scalarfloat"})
    for name in ("ruamel", "ruamel.yaml", "ruamel.yaml.scalarfloat"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(ScalarFloat=kind))
    return kind


@pytest.mark.parametrize("form", ["mmpose", "dlc"])
def test_superanimal_in_either_form(form, tmp_path, scalar_float):
    theirs, source = quadruped(), skeletons.load(QUADRUPED)
    path = tmp_path / manifest()[f"{QUADRUPED}_{form}"].file_name
    if form == "mmpose":
        save_as_mmpose_0(theirs, path)
    else:
        state = {"metadata": {"epoch": 200}, "optimizer": {"lr": scalar_float(1e-5)}}
        torch.save({**state, "model": as_deeplabcut(theirs.state_dict())}, path)
    network = ours("hrnet_w32_superanimal", "horse26")
    report = start(network, path)
    assert report.loaded == len(network.state_dict())
    assert report.left_out == []
    assert f"as the file name says ({QUADRUPED}_{form})" in report.origin
    assert sum(row.match == "exact" for row in report.table) == 18
    assert_same(network, heads_of(theirs), source, report)


@pytest.mark.slow
def test_deeplabcuts_own_model(tmp_path):
    pytest.importorskip("deeplabcut")
    from deeplabcut.pose_estimation_pytorch.models import PoseModel
    from deeplabcut.pose_estimation_pytorch.modelzoo.utils import load_super_animal_config
    from ruamel.yaml.scalarfloat import ScalarFloat

    said = load_super_animal_config(QUADRUPED, "hrnet_w32", detector_name="fasterrcnn_resnet50_fpn_v2")
    source = skeletons.load(QUADRUPED)
    assert said["metadata"]["bodyparts"] == list(source.names)
    theirs = moved(PoseModel.build(said["model"]))
    # as its runner saves: rates come from a YAML file
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-5)
    optimizer.param_groups[0]["lr"] = ScalarFloat(1e-5, width=5, prec=1, m_sign=False, m_lead0=0, exp="e")
    path = tmp_path / "snapshot-200.pt"
    content = {"metadata": {"epoch": 200}, "model": theirs.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(content, path)

    network = ours("hrnet_w32_superanimal", "horse26")
    report = start(network, path)
    assert report.loaded == len(network.state_dict())
    # what timm computes for the other resolutions, which DeepLabCut does not use either
    assert all(line.startswith("backbone.stage4.2.fuse_layers.") for line in report.left_out)
    assert report.origin.startswith("superanimal_quadruped, a guess")
    assert_same(network, lambda given: (theirs.double()(given)["bodypart"]["heatmap"],), source, report)


def test_a_deconvolution_of_several_cells_has_no_counterpart():
    """As of DeepLabCut's ResNets: it is not taken for a convolution."""
    given = {
        "backbone.model.conv1.weight": torch.zeros(64, 3, 3, 3),
        "heads.bodypart.heatmap_head.deconv_layers.0.weight": torch.zeros(32, 39, 3, 3),
        "heads.bodypart.heatmap_head.deconv_layers.0.bias": torch.zeros(39),
    }
    assert "backbone.conv1.weight" in checkpoint.upgrade_keys(given)
    assert "head.final_layer.weight" not in checkpoint.upgrade_keys(given)
    two = {**given, "heads.bodypart.heatmap_head.deconv_layers.2.weight": torch.zeros(39, 39, 1, 1)}
    assert "head.final_layer.weight" not in checkpoint.upgrade_keys(two)
