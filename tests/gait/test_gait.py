"""Measures of horses made of moving points, whose strides are known."""

import json

import numpy as np
import pytest

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.gait.measures import Measure, measure, verdict
from equistera.gait.page import write
from equistera.tracks.tracks import Tracks

NAMES = skeletons.load("horse26").names
LEGS = {"lf": (0.35, 0.0), "rf": (0.35, 0.5), "lh": (-0.45, 0.5), "rh": (-0.45, 0.0)}
PERIOD, DUTY, LENGTH = 0.7, 0.45, 200.0


def horse(seconds=5.0, fps=50, heading=1, pan=60.0, sink=0.0, noise=0.0, move=True, foreshortened=1.0):
    """A trotting horse; ``sink``: the head is so much lower, body lengths, while the left fore hoof stands."""
    rng = np.random.default_rng(0)
    times = np.arange(0, seconds, 1 / fps)
    phase = times / PERIOD
    points = np.full((len(times), 1, len(NAMES), 2), np.nan)
    x0 = 400 + pan * times
    # twice a stride the body sinks in the middle of a stance
    bounce = 0.03 * LENGTH * np.cos(4 * np.pi * (phase - DUTY / 2))
    # down is more on a picture
    once = sink / 2 * LENGTH * np.cos(2 * np.pi * (phase - DUTY / 2))
    places = {"withers": (0.5, -1.1), "tail_base": (-0.5, -1.05), "nose": (1.2, -1.3), "back": (0, -1.1)}
    places |= {f"{s}_elbow": (0.4, -0.7) for s in "lr"} | {f"{s}_hip": (-0.4, -0.8) for s in "lr"}
    places |= {f"{s}_knee": (0.37, -0.4) for s in "lr"} | {f"{s}_hock": (-0.5, -0.45) for s in "lr"}
    for name, (x, y) in places.items():
        points[:, 0, NAMES.index(name), 0] = x0 + heading * x * LENGTH * foreshortened
        points[:, 0, NAMES.index(name), 1] = 400 + y * LENGTH + bounce + (once if name == "nose" else 0)
    for leg, (x, start) in LEGS.items():
        part = (phase - start) % 1
        air = np.clip((part - DUTY) / (1 - DUTY), 0, 1)
        way = np.where(part < DUTY, 0.3 - 0.6 * part / DUTY, -0.3 * np.cos(np.pi * air)) * move
        lift = np.where(part < DUTY, 0, 0.15 * np.sin(np.pi * air)) * move
        for joint, up in (("hoof", 0.0), ("fetlock", 0.12)):
            k = NAMES.index(f"{leg}_{joint}")
            points[:, 0, k, 0] = x0 + heading * (x + way) * LENGTH * foreshortened
            points[:, 0, k, 1] = 400 - (lift + up) * LENGTH
    raw = points + noise * rng.standard_normal(points.shape)
    confidence = np.where(np.isfinite(points).all(axis=-1), 0.9, np.nan)
    tracks = Tracks.of(NAMES, times, raw, confidence, size=(1280, 720), source="trot.mp4")
    return tracks.with_(spread=np.full(confidence.shape, noise, np.float32))


@pytest.mark.parametrize("heading", [1, -1])
def test_strides_are_measured_from_a_panning_camera(heading):
    found = measure(horse(heading=heading), "animal1").measures
    assert found["stride"].value == pytest.approx(PERIOD, abs=0.01)
    assert found["duty"].value == pytest.approx(DUTY, abs=0.03)
    # a stance covers 0.6 body lengths in 0.45 of the stride
    assert found["length"].value == pytest.approx(0.6 / DUTY, rel=0.05)
    assert found["stance"].value + found["swing"].value == pytest.approx(found["stride"].value, abs=1e-6)
    assert found["stride"].low <= found["stride"].value <= found["stride"].high


def test_the_camera_and_the_rate_do_not_matter():
    still, fast = (measure(horse(pan=pan), "animal1").measures["length"].value for pan in (0.0, 300.0))
    assert still == pytest.approx(fast, rel=0.01)
    slow = measure(horse(fps=25), "animal1").measures
    assert slow["stride"].value == pytest.approx(PERIOD, abs=0.02)


def test_an_asymmetry_that_was_set_is_found_with_its_side():
    found = measure(horse(sink=0.05, noise=0.3), "animal1").measures["head MinDiff"]
    # the head sinks by so much more on the left
    assert found.value == pytest.approx(-0.05, abs=0.01)
    assert found.low <= -0.05 <= found.high or found.value == pytest.approx(-0.05, abs=0.004)
    assert "uneven: it sinks lower on the left fore" in verdict(found)


def test_an_even_horse_and_a_noisy_one_get_no_verdict():
    even = measure(horse(noise=0.5), "animal1").measures["head MinDiff"]
    assert verdict(even).startswith("no verdict")
    noisy = measure(horse(sink=0.03, noise=12.0, seconds=3), "animal1").measures["head MinDiff"]
    assert verdict(noisy).startswith("no verdict: the noise")
    assert noisy.high - noisy.low > even.high - even.low


def test_what_is_too_noisy_is_said_and_not_given():
    noisy = measure(horse(noise=30.0), "animal1")
    wrong = [name for name, each in noisy.measures.items() if not each.exact]
    assert any(name.endswith("length") for name in wrong)
    assert any("too noisy" in note for note in noisy.notes)
    assert noisy.measures[wrong[0]].text() == "too noisy"
    exact = measure(horse(noise=0.5), "animal1")
    assert all(exact.measures[name].exact for name in ("stride", "duty", "length", "speed"))


def test_nothing_is_ever_called_by_its_illness():
    for low, high in ((-0.1, -0.05), (0.05, 0.1), (-0.1, 0.1), (0.001, 0.002)):
        assert "lame" not in verdict(Measure("head MinDiff", (low + high) / 2, low, high, 8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"move": False}, "stands"),
        ({"seconds": 1.0}, "expected 2 s"),
        ({"foreshortened": 0.3}, "not seen from its side"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(change, said):
    with pytest.raises(UserError, match=said):
        measure(horse(**change), "animal1")


def test_missing_points_and_animals_are_named():
    tracks = horse()
    with pytest.raises(UserError, match="no animal 'x'"):
        measure(tracks, "x")
    points = tracks.points.copy()
    points[: len(tracks) // 2, :, NAMES.index("lf_hoof")] = np.nan
    with pytest.raises(UserError, match="50% of the frames"):
        measure(tracks.with_(points=points), "animal1")


def test_angles_are_those_of_the_points():
    straight = measure(horse(), "animal1")
    assert {"left carpus", "right hock", "left fore fetlock"} <= set(straight.angles)
    mirrored = measure(horse(heading=-1), "animal1")
    for joint, values in straight.angles.items():
        assert np.allclose(values, mirrored.angles[joint], atol=1e-6), joint


def test_the_files_say_what_was_measured(tmp_path):
    gait = measure(horse(sink=0.05, noise=0.3), "animal1")
    page, figures, angles = write([gait], ["animal2 stands"], tmp_path, "trot")
    content = json.loads(figures.read_text())
    assert content["animals"]["animal1"]["measures"]["stride"]["strides"] > 10
    assert content["problems"] == ["animal2 stands"]
    text = page.read_text()
    assert "uneven: it sinks lower on the left fore" in text
    assert "animal2 stands" in text
    assert angles.read_text().splitlines()[0] == "time,individual,joint,degrees"
