"""tools/visualize.py as a user runs it, on a folder of mixed pictures with five broken ones and on a video."""

import json
import runpy
from pathlib import Path

import cv2
import pytest
from mixed_pictures import BROKEN, write_mixed, write_video
from mmpose.registry import MODELS
from PIL import Image

from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.network import checkpoint

PROJECT = Path(__file__).resolve().parents[2]
OPTIONS = [
    "codec.input_size=(64,64)", "model.backbone.widen_factor=0.125", "model.head.in_channels=64",
    "model.head.gau_cfg.hidden_dims=32", "model.head.gau_cfg.s=16",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Arguments that name a small model with random weights."""
    config = PROJECT / "configs" / "demo_rtmpose_t.py"
    network = MODELS.build(configs.load(config, OPTIONS).model)
    network.init_weights()
    weights = tmp_path_factory.mktemp("model") / "best.pth"
    checkpoint.save(weights, {"state_dict": network.state_dict(), "meta": {}})
    return ["--config", config, "--checkpoint", weights, "--cfg-options", *OPTIONS]


def check_folder(run_tool, horses, model, tmp_path, count, large):
    clean = sorted((horses / "images" / "train").iterdir())
    (tmp_path / "mixed").mkdir()
    sizes = write_mixed(clean, tmp_path / "mixed", count, large)
    before = {path: path.read_bytes() for path in (tmp_path / "mixed").rglob("[!.]*.*")}
    done = run_tool(
        "visualize.py", *model, "--img-dir", tmp_path / "mixed", "--out-dir", tmp_path / "out",
        "--json", tmp_path / "poses.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"error: 5 of {count} pictures could not be used:" in done.stderr
    listed = {line.split(": ")[0].strip(" -") for line in done.stderr.splitlines() if line.startswith("  - ")}
    assert listed == set(BROKEN)
    assert "Traceback" not in done.stderr
    assert f"{count - 5} pictures drawn: {tmp_path / 'out'}" in done.stdout
    assert sizes.keys() == {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("[!.]*.*")
    }
    for name, size in sizes.items():
        with Image.open(tmp_path / "out" / name) as drawn:
            assert drawn.size == size, name
            drawn.load()
    poses = json.loads((tmp_path / "poses.json").read_text())
    assert [pose["file_name"] for pose in poses] == sorted(sizes)
    assert {path: path.read_bytes() for path in (tmp_path / "mixed").rglob("[!.]*.*")} == before


def check_video(run_tool, horses, model, tmp_path, frames):
    write_video(sorted((horses / "images" / "train").iterdir()), tmp_path / "in.mp4", frames)
    done = run_tool(
        "visualize.py", *model, "--video", tmp_path / "in.mp4", "--out-file", tmp_path / "out.mp4", "--conf", "0",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{frames} frames drawn" in done.stdout
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == frames
    assert capture.get(cv2.CAP_PROP_FPS) == 25


def test_a_folder_of_mixed_pictures(run_tool, horses, model, tmp_path):
    check_folder(run_tool, horses, model, tmp_path, count=20, large=1)


@pytest.mark.slow
def test_200_mixed_pictures_and_a_longer_video(run_tool, horses, model, tmp_path):
    check_folder(run_tool, horses, model, tmp_path, count=200, large=12)
    check_video(run_tool, horses, model, tmp_path, frames=300)


@pytest.mark.parametrize(
    ("given", "model"),
    [
        (["--config", "c.py", "--checkpoint", "b.pth"], ["c.py", "b.pth"]),
        (["--checkpoint", "work_dirs/a"], ["work_dirs/a"]),
        (["work_dirs/a"], ["work_dirs/a"]),
        (["c.py", "work_dirs/a"], ["c.py", "work_dirs/a"]),
        ([], None),
        (["work_dirs/a", "--config", "c.py"], None),
        (["work_dirs/a", "--out", "other.jpg"], None),
    ],
)
def test_a_model_is_named_by_its_work_dir_or_as_the_guide_does(given, model, capsys):
    parse_args = runpy.run_path(str(PROJECT / "tools" / "visualize.py"))["parse_args"]
    words = ["--img", "a.jpg", "--out-file", "out.jpg", *given]
    if model is None:
        with pytest.raises(SystemExit):
            parse_args(words)
        assert capsys.readouterr().err
    else:
        options = parse_args(words)
        assert (options["model"], options["out"]) == (model, "out.jpg")


def test_a_missing_place_is_said_at_once(capsys):
    # before anything large is imported
    parse = runpy.run_path(str(PROJECT / "tools" / "visualize.py"))["parse_args"]
    with pytest.raises(SystemExit):
        parse(["work_dirs/a", "--img", "a.jpg"])
    assert "where to? --out draws" in capsys.readouterr().err
    assert parse(["work_dirs/a", "--img", "a.jpg", "--json", "a.json"])["json"] == "a.json"
