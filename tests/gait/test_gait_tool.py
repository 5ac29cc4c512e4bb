"""tools/gait.py from tracks on the disk to its files, and what it refuses."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from going import going

from equistera import cli
from equistera.gait import measures
from equistera.tracks import files
from equistera.tracks.tracks import Tracks

TOOL = Path(__file__).parents[2] / "tools" / "gait.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("gait_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: cli.run(module.main, [str(word) for word in words])


def test_tracks_become_a_page_and_tables(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measures, "DRAWS", 8)
    (table, *_) = files.write(going(), tmp_path / "trot.csv", "csv") or [tmp_path / "trot.csv"]
    assert tool(table, "--out", tmp_path / "gait") == 0
    said = capsys.readouterr().out
    assert "animal1: stride 0.71" in said
    assert "head MinDiff: no verdict" in said
    names = {"trot.gait.html", "trot.gait.json", "trot.angles.csv"}
    assert names <= {path.name for path in (tmp_path / "gait").iterdir()}
    # the same again replaces what it wrote itself
    first = (tmp_path / "gait" / "trot.gait.json").read_bytes()
    assert tool(table, "--out", tmp_path / "gait") == 0
    assert (tmp_path / "gait" / "trot.gait.json").read_bytes() == first


def test_times_that_are_none_of_a_horse_are_told(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measures, "DRAWS", 8)
    tracks = going()
    files.write(tracks.with_(times=1000 * tracks.times), tmp_path / "milliseconds.csv", "csv")
    assert tool(tmp_path / "milliseconds.csv") == 1
    said = capsys.readouterr().err
    assert "animal1: the frames are 20 s apart" in said
    assert "milliseconds" in said
    files.write(tracks.with_(times=tracks.times / 2), tmp_path / "fast.csv", "csv")
    assert tool(tmp_path / "fast.csv") == 0
    assert "unusual for a horse: are the times, or --fps, right?" in capsys.readouterr().out


def test_deeplabcuts_points_of_other_names_are_measured_with_a_map(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measures, "DRAWS", 8)
    tracks = going()
    own = {name: f"{name} of mine" for name in tracks.keypoints}
    files.write(files.renamed(tracks, own), tmp_path / "theirs.h5", "dlc-h5")
    assert tool(tmp_path / "theirs.h5", "--fps", 50) == 1
    said = capsys.readouterr().err
    assert "lack points that strides are measured from" in said
    assert "withers" in said
    assert "Theirs are nose of mine" in said
    assert "--keypoint-map" in said
    given = {theirs: name for name, theirs in own.items()} | {"back of mine": None}
    (tmp_path / "names.json").write_text(json.dumps(given))
    assert tool(tmp_path / "theirs.h5", "--fps", 50, "--keypoint-map", tmp_path / "names.json") == 0
    assert "animal1: stride 0.71" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Widerrist": "withers"}, "'Widerrist': no such point"),
        ({"nose": "withers"}, "'withers': another one is 'withers', too"),
        ({"nose": "wither"}, "unknown keypoint 'wither'"),
        (["nose"], "is not a keypoint map"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tool, tmp_path, capsys, given, said):
    files.write(going(), tmp_path / "trot.csv", "csv")
    (tmp_path / "names.json").write_text(json.dumps(given))
    assert tool(tmp_path / "trot.csv", "--keypoint-map", tmp_path / "names.json") == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.gait.*"))


def test_what_cannot_be_measured_ends_in_one_line(tool, tmp_path, capsys):
    files.write(going("walk", move=False), tmp_path / "still.csv", "csv")
    assert tool(tmp_path / "still.csv") == 1
    assert "the horse stands" in capsys.readouterr().err
    assert tool(tmp_path / "still.csv", "--individual", "animal7") == 1
    assert "There are: animal1" in capsys.readouterr().err
    none = np.zeros((9, 0, 2, 2))
    files.write(Tracks.of(("nose", "withers"), np.arange(9.0), none, none[..., 0]), tmp_path / "empty.csv", "csv")
    assert tool(tmp_path / "empty.csv") == 1
    assert "holds no animal" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.gait.*"))
