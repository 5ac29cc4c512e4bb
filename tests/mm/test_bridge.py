import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

import equistera.mm  # noqa: F401
from equistera.mm import bridge

without_compiled = pytest.mark.skipif(bridge.has_compiled_mmcv(), reason="compiled mmcv is installed and wins")


@without_compiled
def test_nms_is_torchvisions():
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    kept, index = nms(boxes, torch.tensor([0.8, 0.9, 0.5]), iou_threshold=0.5)
    assert index.tolist() == [1, 2]
    assert kept[:, 4].tolist() == pytest.approx([0.9, 0.5])


def test_offset_counts_the_last_pixel_as_inside():
    boxes = torch.tensor([[0.0, 0, 1, 1], [1, 1, 2, 2]])
    scores = torch.tensor([0.9, 0.8])
    # without the offset the boxes only touch; with it they share one of seven pixels
    assert bridge._nms(boxes, scores, 0.1, offset=0).tolist() == [0, 1]
    assert bridge._nms(boxes, scores, 0.1, offset=1).tolist() == [0]
    assert boxes.tolist() == [[0, 0, 1, 1], [1, 1, 2, 2]]


@without_compiled
def test_other_operators_refuse_when_called():
    from mmcv.ops import roi_align

    with pytest.raises(RuntimeError, match=r"--compiled-mmcv"):
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), (1, 1))


def test_a_real_module_wins(tmp_path):
    package = tmp_path / "xtcocotools"
    package.mkdir()
    (package / "__init__.py").write_text("real = True\n")
    for name in ("coco", "cocoeval", "mask"):
        (package / f"{name}.py").write_text(f"from pycocotools.{name} import *\n")
    code = "import equistera.mm, xtcocotools; print(xtcocotools.real)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_config_is_laid_out_once_for_the_same_text_and_anew_for_another(monkeypatch):
    texts = []
    monkeypatch.setattr("yapf.yapflib.yapf_api.reformatter.Reformat", _counted(texts))
    one = Config({"a": dict(b=1)})
    assert one.pretty_text == one.pretty_text == Config({"a": dict(b=1)}).pretty_text
    assert len(texts) == 1
    one.a.b = 2
    assert "b=2" in one.pretty_text
    assert len(texts) == 2


def _counted(calls):
    from yapf.yapflib.reformatter import Reformat

    return lambda *args, **kwargs: calls.append(args) or Reformat(*args, **kwargs)


@without_compiled
def test_a_deformable_convolution_without_offsets_is_a_convolution():
    from mmcv.ops import deform_conv2d

    torch.manual_seed(0)
    picture, weight = torch.rand(2, 3, 6, 7), torch.rand(4, 3, 3, 3)
    offset = torch.zeros(2, 18, 6, 7)
    leaves = [value.clone().requires_grad_() for value in (picture, offset, weight)]
    straight = [value.clone().requires_grad_() for value in (picture, weight)]
    done = deform_conv2d(*leaves, 1, 1)
    expected = torch.nn.functional.conv2d(*straight, padding=1)
    assert torch.allclose(done, expected, atol=1e-5)
    done.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(leaves[0].grad, straight[0].grad, rtol=1e-4)
    assert torch.allclose(leaves[2].grad, straight[1].grad, rtol=1e-4)
    assert leaves[1].grad.abs().max() > 0
