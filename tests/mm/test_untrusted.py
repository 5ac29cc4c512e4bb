"""Checkpoints that are hostile, broken or of something else: one clear message each, from every tool."""

import os
import pickle
import runpy
import shutil
from pathlib import Path

import pytest
import torch
from mmpose.registry import MODELS

from equistera import cli
from equistera import skeleton as skeletons
from equistera.mm import config as configs
from equistera.mm.network import checkpoint

PROJECT = Path(__file__).resolve().parents[2]
DEMO = "configs/demo_rtmpose_t.py"


class Hostile:
    """Makes a file when it is unpickled the ordinary way."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


@pytest.fixture
def mark(tmp_path):
    """Path of what hostile files would make."""
    return tmp_path / "ran"


@pytest.fixture
def make(trained, tiny, mark):
    """Writes a checkpoint of some kind to a path."""
    good = checkpoint.load(trained / "epoch_3.pth")

    def hostile_zip(path):
        torch.save({**good, "extra": Hostile(mark)}, path)

    def hostile_legacy(path):
        torch.save({**good, "extra": Hostile(mark)}, path, _use_new_zipfile_serialization=False)

    def hostile_pickle(path):
        path.write_bytes(pickle.dumps({"state_dict": Hostile(mark)}))

    def truncated(path):
        path.write_bytes((trained / "epoch_3.pth").read_bytes()[:-5000])

    def empty(path):
        path.write_bytes(b"")

    def text(path):
        path.write_text("<html>404 Not Found</html>")

    def tensors_only(path):
        torch.save([torch.zeros(3)], path)

    def another_model(path):
        options = tiny(**{"model.backbone.widen_factor": 0.25, "model.head.in_channels": 128})
        wider = MODELS.build(configs.load(DEMO, options).model)
        torch.save({**good, "state_dict": wider.state_dict()}, path)

    def another_skeleton(path):
        names = list(skeletons.load("ap10k").names)
        state = {
            name: value[: len(names)] if name.startswith("head.final_layer") else value
            for name, value in good["state_dict"].items()
        }
        meta = {**good["meta"], "skeleton": {"name": "ap10k", "source": "ap10k", "keypoints": names}}
        torch.save({**good, "state_dict": state, "meta": meta}, path)

    kinds = (hostile_zip, hostile_legacy, hostile_pickle, truncated, empty, text, tensors_only, another_model)
    by_name = {kind.__name__: kind for kind in (*kinds, another_skeleton)}
    return lambda kind, path: by_name[kind](path)


@pytest.fixture
def tool(capfd):
    """Runs a tool with arguments; returns its exit code and the lines of its message."""

    def run(name, *arguments):
        capfd.readouterr()
        code = cli.run(runpy.run_path(str(PROJECT / "tools" / name))["main"], [str(word) for word in arguments])
        return code, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        ("hostile_zip", "loading it could run code, so it is refused"),
        ("hostile_legacy", "loading it could run code, so it is refused"),
        ("hostile_pickle", "loading it could run code, so it is refused"),
        ("truncated", "is broken or no checkpoint"),
        ("empty", "is broken or no checkpoint"),
        ("text", "is broken or no checkpoint"),
        ("tensors_only", "it has no 'state_dict'"),
        ("another_model", "of another network|does not belong to this config"),
    ],
)
def test_every_tool_refuses_it_with_one_message(make, tool, horses, tiny, trained, tmp_path, mark, kind, finding):
    bad = tmp_path / "bad.pth"
    make(kind, bad)
    work = tmp_path / "run"
    shutil.copytree(trained, work, ignore=shutil.ignore_patterns("epoch_*", "latest.pth"))
    shutil.copyfile(bad, work / "epoch_3.pth")
    settings = ["--data-root", horses, "--cfg-options", *tiny()]
    for arguments in (
        ("train.py", DEMO, "--work-dir", tmp_path / "new", "--init", bad, *settings),
        ("train.py", DEMO, "--work-dir", work, "--resume", *settings),
        ("test.py", DEMO, bad, "--out", tmp_path / "out", *settings),
    ):
        code, message = tool(*arguments)
        assert code == 1, message
        assert message.count("error: ") == 1
        assert any(words in message for words in finding.split("|")), message
        assert "Traceback" not in message
    assert not mark.exists()
    assert not (tmp_path / "new" / "best.pth").exists()


def test_of_another_skeleton(make, tool, horses, tiny, trained, tmp_path):
    bad = tmp_path / "bad.pth"
    make("another_skeleton", bad)
    settings = ["--data-root", horses, "--cfg-options", *tiny()]
    work = tmp_path / "run"
    work.mkdir()
    shutil.copyfile(bad, work / "epoch_3.pth")
    code, message = tool("train.py", DEMO, "--work-dir", work, "--resume", *settings)
    assert code == 1
    assert "it was trained for skeleton 'ap10k' (17 keypoints), this run is for 'horse26' (26)" in message
    code, message = tool("test.py", DEMO, bad, "--out", tmp_path / "out", "--skeleton", "horse26", *settings)
    assert code == 1
    assert message.count("error: ") == 1
    assert "17 keypoints of 'ap10k' in the checkpoint, 26 in the skeleton" in message
    code, message = tool("test.py", DEMO, bad, "--out", tmp_path / "out", *settings)
    assert code == 1
    assert message.count("error: ") == 1
    assert "keypoint" in message


def test_the_hostile_file_is_hostile(make, tmp_path, mark):
    make("hostile_pickle", tmp_path / "bad.pth")
    with open(tmp_path / "bad.pth", "rb") as file:
        pickle.load(file)
    assert mark.exists()
