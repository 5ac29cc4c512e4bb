"""What tools/export.py writes needs nothing of this project."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmpose.apis import inference_topdown, init_model
from mmpose.registry import MODELS

from equistera import PROJECT
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.export.plain import export_plain
from equistera.mm.network import checkpoint, efficientnet_lite

#: Loads the export where this project cannot be imported, and what compiled packages MMPose asks for is empty.
ELSEWHERE = """
import json, sys, types
sys.modules["equistera"] = None
import numpy as np
import torch
import pycocotools.coco, pycocotools.cocoeval, pycocotools.mask
for name in ("", ".coco", ".cocoeval", ".mask"):
    sys.modules["xtcocotools" + name] = sys.modules["pycocotools" + name]
from importlib.machinery import ModuleSpec
class Empty(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None
for name in ("mmcv._ext", "imgaug", "imgaug.augmenters", "imgaug.augmentables", "imgaug.augmentables.lines",
             "imgaug.augmentables.segmaps"):
    sys.modules[name] = Empty(name)
    sys.modules[name].__spec__ = ModuleSpec(name, loader=None)
from mmpose.apis import inference_topdown, init_model
config, checkpoint, picture, box = sys.argv[1:]
model = init_model(config, checkpoint, device="cpu")
(sample,) = inference_topdown(model, picture, np.array([json.loads(box)], dtype=np.float32))
torch.manual_seed(0)
with torch.no_grad():
    outputs = [part.tolist() for part in model(torch.randn(1, 3, 64, 64), None, mode="tensor")]
try:
    import equistera
except ImportError:
    names = model.dataset_meta["keypoint_id2name"]
    points = sample.pred_instances.keypoints[0].tolist()
    print(json.dumps({"points": points, "names": names, "outputs": outputs}))
"""


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    config = str(trained / "demo_rtmpose_t.py")
    return export_plain(config, trained / "best.pth", out)


def animal_of(horses):
    content = json.loads((horses / "annotations" / "val.json").read_text())
    animal, names = content["annotations"][0], {image["id"]: image["file_name"] for image in content["images"]}
    x, y, width, height = animal["bbox"]
    return str(horses / "images" / "val" / names[animal["image_id"]]), [x, y, x + width, y + height]


def said_elsewhere(exported, picture, box, folder):
    words = [sys.executable, "-c", ELSEWHERE, *map(str, exported), picture, json.dumps(box)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_it_is_loaded_where_this_project_is_not(exported, horses, tmp_path):
    picture, box = animal_of(horses)
    there = said_elsewhere(exported, picture, box, tmp_path)
    (here,) = inference_topdown(init_model(*map(str, exported), device="cpu"), picture, np.array([box], np.float32))
    assert here.pred_instances.keypoints[0] == pytest.approx(np.array(there["points"]), abs=0.1)
    assert there["names"]["0"] == "nose"
    assert "equistera" not in exported[0].read_text()


def test_its_network_says_what_ours_says(exported, trained):
    """The same crop, the same outputs; crops themselves are made in MMPose's way there."""
    import torch

    ours = init_model(str(trained / "demo_rtmpose_t.py"), str(trained / "best.pth"), device="cpu")
    theirs = init_model(*map(str, exported), device="cpu")
    assert type(theirs).__name__ == "TopdownPoseEstimator"
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for own, other in zip(ours.raw_outputs(picture), theirs(picture, None, mode="tensor"), strict=True):
            assert torch.allclose(own, other, atol=1e-6)


def test_a_backbone_of_ours_goes_along(horses, tmp_path):
    """As a file beside the config that needs torch and MMPose alone; two exports in one folder share it."""
    import torch

    config = tmp_path / "lite0_imagenet.py"
    small = configs.load(
        PROJECT / "configs" / "lite0_imagenet.py", ["codec.input_size=(64,64)", "codec.heatmap_size=(16,16)"]
    )
    config.write_text(small.pretty_text)
    network = MODELS.build(small.model).eval()
    checkpoint.save(tmp_path / "random.pth", {"meta": {}, "state_dict": network.state_dict()})
    options = [str(config), tmp_path / "random.pth", tmp_path / "out"]
    exported = export_plain(*options)
    there = said_elsewhere(exported, *animal_of(horses), tmp_path)
    torch.manual_seed(0)
    with torch.no_grad():
        own = network.raw_outputs(torch.randn(1, 3, 64, 64))
    for ours, theirs in zip(own, there["outputs"], strict=True):
        # in another layout of memory; outputs of random weights are not around 1, as trained ones are
        assert (ours - torch.tensor(theirs)).abs().max() < 1e-5 * ours.abs().max()
    beside = tmp_path / "out" / "efficientnet_lite.py"
    assert beside.read_text() == Path(efficientnet_lite.__file__).read_text()
    imported = re.findall(r"^(?:from|import) ([a-z_]+)", beside.read_text(), re.MULTILINE)
    assert {*imported} - sys.stdlib_module_names == {"torch", "mmpose"}
    export_plain(str(config.rename(tmp_path / "other.py")), *options[1:])
    # and it is read where this project is, too
    assert type(init_model(*map(str, exported), device="cpu").backbone).__name__ == "EfficientNetLite"


def test_nothing_is_replaced_unasked(exported, trained):
    options = [str(trained / "demo_rtmpose_t.py"), trained / "best.pth"]
    with pytest.raises(UserError, match="there already") as caught:
        export_plain(*options, exported[0].parent)
    assert "--overwrite" in caught.value.hint
    export_plain(*options, exported[0].parent, overwrite=True)
    with pytest.raises(UserError, match="would take the place of what it is made of"):
        export_plain(*options, trained, overwrite=True)


def test_classes_of_others_are_refused(trained, tmp_path, monkeypatch):
    """A backbone that a user registered is in no other environment."""
    from mmdet.models import CSPNeXt
    from mmpose.registry import MODELS

    class Mine(CSPNeXt):
        pass

    Mine.__module__ = "my_project.backbones"
    MODELS.register_module(name="CSPNeXtOfMine", module=Mine, force=True)
    text = (
        (trained / "demo_rtmpose_t.py")
        .read_text()
        .replace("_scope_='mmdet',", "")
        .replace("'CSPNeXt'", "'CSPNeXtOfMine'")
    )
    config = tmp_path / "mine.py"
    config.write_text(text)
    with pytest.raises(UserError, match="CSPNeXtOfMine"):
        export_plain(str(config), trained / "best.pth", tmp_path / "out")


def test_configs_of_all_families_are_plain():
    from equistera import skeleton as skeletons
    from equistera.mm.export.plain import plain_config

    paths = [path for path in (PROJECT / "configs").glob("*.py") if "rtmdet" not in path.name]
    for path in paths:
        config = configs.load(path)
        plain = plain_config(config, skeletons.load(config.skeleton))
        # the folder of the project may be called so
        assert "equistera" not in str(plain.to_dict()).replace(str(PROJECT), "")
        assert plain.model.head.out_channels == 26
