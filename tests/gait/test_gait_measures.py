"""Intervals, symmetry and what is said of it, on horses whose asymmetry is known."""

import json

import numpy as np
import pytest
from going import NAMES, WAY, going

from equistera.gait import measures
from equistera.gait.angles import joints
from equistera.gait.measures import Measure, measure, verdict
from equistera.gait.page import write
from equistera.tracks.smooth import smooth


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(measures, "DRAWS", 12)


@pytest.fixture(scope="module")
def uneven():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "DRAWS", 12)
        return measure(smooth(going(uneven=0.04, noise=0.01, seconds=8.0, fps=30)), "animal1")


def test_a_trot_is_measured_and_its_asymmetry_found_with_its_side(uneven):
    found = uneven.measures
    for name, true in {"stride": 0.71, "duty": 0.42, "stance": 0.2982, "length": WAY / 0.42}.items():
        assert found[name].low <= true <= found[name].high, name
    assert found["lf stance"].value + found["lf swing"].value == pytest.approx(0.71, abs=0.01)
    assert found["head MinDiff"].low <= 0.04 <= found["head MinDiff"].high
    assert uneven.gait.startswith("trot")
    assert uneven.verdicts["head MinDiff"].startswith("uneven: it sinks less on the right fore by 0.0")
    others = [said for name, said in uneven.verdicts.items() if name != "head MinDiff"]
    assert len(others) == 5
    assert all(said.startswith("no verdict") for said in others)


def test_the_other_side_is_the_other_sign():
    gait = measure(going(uneven=-0.04, heading=-1), "animal1")
    assert gait.measures["head MinDiff"].value == pytest.approx(-0.04, abs=0.004)
    assert gait.verdicts["head MinDiff"].startswith("uneven: it sinks less on the left fore")


@pytest.mark.parametrize("change", [{"noise": 0.005}, {"uneven": 0.03, "noise": 0.05, "lasts": 0.05}])
def test_an_even_horse_and_a_noisy_one_get_no_verdict(change):
    gait = measure(smooth(going(seconds=5.0, **change)), "animal1")
    assert len(gait.verdicts) == 6
    assert all(said.startswith("no verdict") for said in gait.verdicts.values())


@pytest.mark.parametrize("gait", ["walk", "canter"])
def test_only_a_trot_has_a_symmetry(gait):
    found = measure(going(gait, uneven=0.04, seconds=5.0), "animal1")
    assert not found.verdicts
    assert not [name for name in found.measures if name.endswith("Diff")]
    assert found.gait.startswith("no trot: diagonal pairs do not land together")


def test_noise_makes_intervals_wider():
    exact, noisy = (measure(smooth(going(noise=noise)), "animal1") for noise in (0.002, 0.02))
    for name in ("stride", "head MinDiff", "withers MaxDiff", "left carpus range"):
        assert noisy.measures[name].half > exact.measures[name].half, name


def test_noise_is_told_from_the_track_where_its_spread_says_too_little():
    tracks = smooth(going(noise=0.02, lasts=0.2, seconds=8.0, fps=30))
    told = np.nanmedian(tracks.spread) / 200
    gait = measure(tracks, "animal1")
    size = float(gait.notes[1].split(": ")[1].split("%")[0]) / 100
    assert told < 0.012
    assert 0.016 < size < 0.03
    wide = measure(tracks.with_(spread=np.full_like(tracks.spread, 20.0)), "animal1")
    known = int(tracks.known.any(axis=(0, 1)).sum())
    assert f"the track's own spread at {known} points" in wide.notes[1]
    assert wide.measures["head MinDiff"].half > gait.measures["head MinDiff"].half


def test_a_verdict_needs_more_than_the_noise_and_never_names_an_illness():
    cases = {
        (0.03, 0.01, 0.005): "uneven: it sinks less on the right fore",
        (-0.03, 0.01, 0.005): "uneven: it sinks less on the left fore",
        (0.03, 0.04, 0.005): "no verdict: it may as well be 0",
        (0.03, 0.01, 0.016): "no verdict: the noise of the point (±0.031)",
        (0.008, 0.001, 0.001): "no verdict: below 0.01",
    }
    for (value, joint, noise), said in cases.items():
        told = verdict(Measure("head MinDiff", value, joint / 2, joint, "body lengths"), noise)
        assert told.startswith(said)
        assert "lame" not in told
    hind = verdict(Measure("croup MaxDiff", 0.03, 0.005, 0.01, "body lengths"), 0.005)
    assert hind.startswith("uneven: it rises less after the right hind")


def test_croup_and_stifle_are_used_where_a_skeleton_has_them():
    names = [*NAMES, "croup", "l_stifle", "r_stifle"]
    gait = measure(going(names=names, seconds=5.0), "animal1")
    assert {"left stifle", "right stifle", "left hip"} <= set(gait.angles)
    assert joints({name: k for k, name in enumerate(names)})["left hock"][0] == "l_stifle"
    assert joints({name: k for k, name in enumerate(names)})["left hip"][0] == "croup"
    assert not any("proxy" in note for note in gait.notes)
    assert "croup MinDiff" in gait.verdicts


def test_what_is_not_known_is_not_measured():
    tracks = going(seconds=5.0)
    points = tracks.points.copy()
    points[:, :, [NAMES.index("nose"), NAMES.index("l_knee")]] = np.nan
    gait = measure(tracks.with_(points=points), "animal1")
    assert set(gait.verdicts) == {
        f"{part} {which}" for part in ("withers", "croup") for which in ("MinDiff", "MaxDiff")
    }
    assert "left carpus range" not in gait.measures
    assert "right carpus range" in gait.measures
    assert "head MinDiff, head MaxDiff, left elbow range, left carpus range" in gait.notes[-1]


def test_angles_do_not_depend_on_the_side_of_the_camera():
    one, other = (measure(going(heading=heading, seconds=5.0), "animal1").angles for heading in (1, -1))
    assert {"left elbow", "left carpus", "left fore fetlock", "left hip", "left hock"} <= set(one)
    for joint, values in one.items():
        assert np.allclose(values, other[joint], atol=1e-6), joint


def test_the_files_say_what_was_measured(tmp_path, uneven):
    page, figures, angles = write([uneven], ["animal2: 1.0 s of track, expected 2.5 s or more"], tmp_path, "trot")
    content = json.loads(figures.read_text())
    animal = content["animals"]["animal1"]
    assert animal["strides"] >= 9
    assert animal["measures"]["stride"]["low"] < 0.71 < animal["measures"]["stride"]["high"]
    assert len(animal["footfalls"]["lf"]) >= 9
    assert content["problems"] == ["animal2: 1.0 s of track, expected 2.5 s or more"]
    text = page.read_text()
    for said in ("sinks less on the right fore", "animal2: 1.0 s of track", "a proxy", "Nothing here is a diagnosis"):
        assert said in text
    assert "lame" not in text.lower()
    assert angles.read_text().splitlines()[0] == "time,individual,joint,degrees,spread"
