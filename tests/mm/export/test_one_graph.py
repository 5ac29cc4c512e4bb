"""What tools/export.py --to onnx writes says what the checkpoint says, without its config."""

import json
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from equistera import PROJECT
from equistera.analyzing import AnalyzeOptions
from equistera.analyzing import settled as to_analyze
from equistera.dataset.images import read_rgb
from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration, stored_calibration
from equistera.exporting import ExportOptions, settled
from equistera.mm.export import formats
from equistera.mm.export.export import export
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.test import TestOptions as Options
from equistera.mm.prediction.test import test as run_test
from equistera.mm.prediction.visualize import visualize
from equistera.skeleton import load
from equistera.visualizing import VisualizeOptions
from equistera.visualizing import settled as to_draw


@pytest.fixture
def picture(horses):
    """Path of a picture of the test set and the box in it."""
    content = json.loads((horses / "annotations" / "test.json").read_text())
    animal, names = content["annotations"][0], {image["id"]: image["file_name"] for image in content["images"]}
    return horses / "images" / "test" / names[animal["image_id"]], animal["bbox"]


def metrics_of(model, horses, out):
    (metrics,) = run_test(Options([str(model)], data_root=str(horses), out=str(out), device="cpu")).values()
    return metrics


def test_it_scores_as_the_checkpoint_does(exported, work_dir, horses, tmp_path):
    theirs, ours = (metrics_of(model, horses, tmp_path / model.name) for model in (work_dir, exported))
    # not AP: it ranks animals by their confidences, which are probabilities in one of them
    assert theirs["PCK@0.1"] == pytest.approx(ours["PCK@0.1"])
    assert theirs["median_px"] == pytest.approx(ours["median_px"], abs=0.01)
    predicted = [json.loads((tmp_path / model.name / "predictions.json").read_text()) for model in (work_dir, exported)]
    points = [np.array([result["keypoints"] for result in results]).reshape(-1, 26, 3) for results in predicted]
    assert points[1][..., :2] == pytest.approx(points[0][..., :2], abs=0.01)
    # what comes out of the file is a probability already
    own = Predictor(work_dir / "demo_rtmpose_t.py", work_dir / "best.pth", data_root=str(horses))
    calibration = stored_calibration(work_dir / "best.pth", settings=own.settings)
    assert points[1][..., 2] == pytest.approx(calibration.apply(points[0][..., 2]), abs=1e-4)


def test_it_is_drawn_with_like_a_checkpoint(exported, picture, tmp_path, capsys):
    out = tmp_path / "drawn.jpg"
    visualize(to_draw(VisualizeOptions([str(exported)], img=str(picture[0]), out=str(out))))
    assert cv2.imread(str(out)) is not None
    assert "confidences are calibrated (horse.calibration.json)" in capsys.readouterr().out
    # alone in another folder it still is what it is
    moved = shutil.copy(exported, tmp_path / "moved.onnx")
    visualize(to_draw(VisualizeOptions([str(moved)], img=str(picture[0]), out=str(out), overwrite=True)))
    assert "confidences are calibrated (in moved.onnx itself)" in capsys.readouterr().out
    with pytest.raises(UserError, match="no such video"):
        to_analyze(AnalyzeOptions([str(exported), str(tmp_path / "none.mp4")], out=str(tmp_path)))


def test_nothing_that_was_settled_is_asked_again(exported, horses):
    for options in ({"flip_test": True}, {"scales": (0.9, 1.0)}, {"cfg_options": ["a=1"]}, {"amp": True}):
        with pytest.raises(UserError, match="is an exported network, which is as it was exported"):
            Predictor("", exported, **options)
    with pytest.raises(UserError, match="of exported networks the tools take"):
        to_draw(VisualizeOptions([str(exported.with_suffix(".xml"))], img=str(exported)))
    with pytest.raises(UserError, match="has other keypoints"):
        Predictor("", exported, skeleton="ap10k")
    assert Predictor("", exported, skeleton="horse26").skeleton.names == load("horse26").names


def test_several_are_named_like_checkpoints(exported, work_dir, horses, tmp_path):
    """Points of exported networks are averaged in the picture, as those of networks with other crops are."""
    options = Options([str(exported), str(work_dir)], data_root=str(horses), out=str(tmp_path), ensemble=True)
    assert {*run_test(options)} == {"horse", "run", "ensemble"}
    with pytest.raises(UserError, match=r"needs no config: what is configs/demo_rtmpose_t\.py for"):
        run_test(Options(["configs/demo_rtmpose_t.py", str(exported)]))


def test_the_example_says_the_same_where_only_it_is_installed(exported, picture, tmp_path):
    """To half a pixel of the crop, with the packages that its docstring names."""
    path, box = picture
    words = [sys.executable, "-c", _ALONE, PROJECT / "examples" / "predict_onnx.py", exported, path, *box]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    said = np.array([line.split()[1:] for line in done.stdout.splitlines()], dtype=float)
    (pose,) = Predictor("", exported).poses([(read_rgb(path), box)])
    pixel = 1.25 * max(box[2:]) / 64
    off = np.linalg.norm(said[:, :2] - pose.points, axis=1) / pixel
    assert off.max() < 0.5
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*load("horse26").names]
    done = subprocess.run([*map(str, words[:-4]), "5000", "0", "9", "9"], capture_output=True, text=True)
    assert "nothing of it lies in the box [5000.0" in done.stderr


#: Runs a file as a program where nothing but what it needs can be imported.
_ALONE = """
import runpy, sys
for name in ("torch", "mmpose", "mmcv", "mmengine", "equistera", "scipy", "PIL", "pandas"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_examples_crop_lies_where_the_tools_does(exported, horses):
    import runpy

    example = runpy.run_path(str(PROJECT / "examples" / "predict_onnx.py"))
    rng, predictor = np.random.default_rng(0), Predictor("", exported)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (600, 800, 3), dtype=np.uint8), (0, 0), 9)
    photo = cv2.normalize(photo, None, 0, 255, cv2.NORM_MINMAX)
    for udp in (False, True):
        for box in ((100, 50, 500, 400), (-40, 300, 300, 310), (333, 222, 31, 47), (500, 300, 299, 299)):
            predictor.model.dataset_meta["use_udp"] = udp
            (ours,) = [predictor.sample(photo, box)["inputs"].numpy()[::-1].transpose(1, 2, 0)]
            about = {"codec": {"input_size": [64, 64], "type": "UDPHeatmap" if udp else ""}, "padding": 1.25}
            theirs, to_picture = example["crop"](photo, box, about)
            assert np.abs(ours.astype(float) - theirs).max() <= 1
            centre = np.array([31.5, 31.5]) + (0.5 if not udp else 0.0)
            middle = to_picture[:, :2] @ centre + to_picture[:, 2]
            assert middle == pytest.approx([box[0] + box[2] / 2, box[1] + box[3] / 2])


def test_a_worse_file_is_not_written(work_dir, horses, tmp_path, monkeypatch):
    run = formats.run_torchscript
    off = lambda path: lambda crops: [part + 1 for part in run(path)(crops)]  # noqa: E731
    monkeypatch.setitem(export.__globals__["_RUN"], "torchscript", off)
    options = ExportOptions([str(work_dir)], "torchscript", str(tmp_path / "m.pt"), data_root=str(horses))
    with pytest.raises(UserError, match=r"(\d+) points of \1 differ by more than 0\.5 px"):
        export(settled(options))
    assert not os.listdir(tmp_path)


#: After twelve steps some points have two places that are equally likely: what is typical is compared instead.
ANY = 200.0


def typical(said):
    """Pixels within which, says an export, its points lie on average."""
    return float(re.search(r"own predictions: .* mean (\S+) px", said)[1])


def test_int8_with_the_mirrored_crop(work_dir, horses, tmp_path, capsys):
    """One crop at a time, and compared on pictures without labels."""
    folder, out = horses / "images" / "val", tmp_path / "int8.onnx"
    options = {"flip": True, "int8": True, "check": str(folder), "data_root": str(horses), "tolerance": ANY}
    export(settled(ExportOptions([str(work_dir)], "onnx", str(out), **options)))
    said = capsys.readouterr().out
    assert "104 points on 4 crops" in said
    assert typical(said) < 2
    assert "int8 beside full precision" in said
    predictor = Predictor("", out)
    about = predictor.model.about
    assert (about.flip, about.precision, about.batch, len(about.members)) == (True, "int8", 1, 1)
    image = read_rgb(next(folder.iterdir()))
    poses = [*predictor.poses([(image, (0, 0, 320, 240))] * 3)]
    assert [pose.points.shape for pose in poses] == [(26, 2)] * 3
    assert stored_calibration(out, settings=predictor.settings) == Calibration()
    import onnx

    nodes = onnx.load(out).graph.node
    assert any(node.op_type == "QuantizeLinear" for node in nodes)
    # where a file of this machine lies is nobody's business
    assert str(PROJECT) not in str(nodes)


def test_refusals(work_dir, exported, tmp_path, monkeypatch):
    def refused(match, to="onnx", out="m.onnx", **options):
        with pytest.raises(UserError, match=match):
            settled(ExportOptions([str(work_dir)], to, str(tmp_path / out), **options))

    refused("ends in .xml", to="openvino")
    refused("has full precision", to="torchscript", out="m.pt", int8=True)
    refused("--int8, --flip: not for --to mmpose", to="mmpose", int8=True, flip=True)
    with pytest.raises(UserError, match="says nothing but points"):
        settled(ExportOptions([str(exported)], "onnx", str(tmp_path / "m.onnx")))
    # what it wrote itself may be replaced, what is somebody's own may not
    settled(ExportOptions([str(work_dir)], "onnx", str(exported)))
    (tmp_path / "own.onnx").write_bytes(b"mine")
    refused("not overwritten", out="own.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed: onnx, onnxscript") as caught:
        settled(ExportOptions([str(work_dir)], "onnx", str(tmp_path / "m.onnx")))
    assert "pip install -e '.[export]'" in caught.value.hint


def test_files_of_others_are_refused(exported, tmp_path):
    import onnx

    model = onnx.load(exported)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for name, change in (
        ("foreign", lambda props: props.clear()),
        ("detector", lambda props: setattr(props["kind"], "value", '"detector"')),
        ("sizes", lambda props: setattr(props["codec"], "value", '{"input_size": ["a", 2]}')),
        ("batch", lambda props: setattr(props["batch"], "value", "-1")),
        ("padding", lambda props: setattr(props["padding"], "value", "NaN")),
    ):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        if name == "foreign":
            del other.metadata_props[:]
        else:
            change({prop.key: prop for prop in other.metadata_props})
        onnx.save(other, tmp_path / f"{name}.onnx")
    for name, said in (
        ("broken", "cannot be read as ONNX"),
        ("foreign", "does not say that tools/export.py has written it"),
        ("detector", "is a detector model: it finds animals"),
        ("sizes", "no skeleton or no input size"),
        ("batch", "batch: Input should be greater than or equal to 0"),
        ("padding", "padding: Input should be"),
    ):
        with pytest.raises(UserError, match=said):
            Predictor("", tmp_path / f"{name}.onnx")


def test_two_in_one_as_torchscript(work_dir, horses, tmp_path, capsys):
    """Averaged as tools/test.py --ensemble does, which is what the file is compared with."""
    models = [str(work_dir / "demo_rtmpose_t.py"), str(work_dir / "best.pth"), str(work_dir / "latest.pth")]
    options = {"data_root": str(horses), "tolerance": ANY}
    export(settled(ExportOptions(models, "torchscript", str(tmp_path / "m.pt"), **options)))
    said = capsys.readouterr().out
    assert "writing 2 networks as torchscript" in said
    assert typical(said) < 2
    import torch

    held = {"metadata.json": ""}
    torch.jit.load(str(tmp_path / "m.pt"), _extra_files=held)
    about = {name: json.loads(value) for name, value in json.loads(held["metadata.json"]).items()}
    assert about["codec"]["input_size"] == [64, 64]
    assert len(about["members"]) == 2


@pytest.mark.slow
def test_openvino(work_dir, horses, tmp_path, capsys):
    pytest.importorskip("openvino")
    options = {"dynamic_batch": True, "data_root": str(horses)}
    export(settled(ExportOptions([str(work_dir)], "openvino", str(tmp_path / "m.xml"), **options)))
    assert (tmp_path / "m.bin").is_file()
    assert "px" in capsys.readouterr().out
