"""What benchmarks/analysis_truth.py counts, on points of which the answer is known."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from equistera import skeleton
from equistera.synthetic import anatomy
from equistera.synthetic.motion import LEGS, make_motion
from equistera.tracks.tracks import Tracks

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FPS = 25


@pytest.fixture(scope="module")
def benchmark():
    """The script, in this process."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("analysis_truth")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def truth():
    """A trotting horse seen from its side and a little from above, 100 pixels a metre, and its footfalls."""
    rng = np.random.default_rng(0)
    going = make_motion(rng, anatomy.sample_build(rng, "warmblood"), "trot")
    names = skeleton.load("horse26").names
    times = np.arange(5 * FPS) / FPS
    horses = [going.horse(time).keypoints for time in times]
    points = [[horse[name] * 100 for name in names] for horse in horses]
    x, y, z = np.moveaxis(np.array(points)[:, None], -1, 0)
    pixels = np.stack([x, 300 - z + 0.3 * y], axis=-1)
    falls = {f"{leg}_hoof": fall for leg, fall in zip(LEGS, going.footfalls(times[-1]), strict=True)}
    return Tracks.of(names, times, pixels, np.ones(pixels.shape[:3])), [falls]


def scores(benchmark, found, truth):
    told, falls = truth
    places = np.argwhere(np.isfinite(told.points).any(axis=(2, 3)))
    given = {(int(t), int(a)): benchmark.close_points(told.points[t, a], told, t, a) for t, a in places}
    return benchmark.scores(found, told, falls, given, skeleton.load("horse26"), np.random.default_rng(0))


def test_the_truth_as_the_answer_is_without_error(benchmark, truth):
    told = scores(benchmark, truth[0], truth)
    assert {"found", "IDF1", "animals", "PCK@0.1", "PCK@0.1 where found with true boxes"} < set(told["animals"])
    assert set(told["animals"].values()) == {1}
    for part in ("smoothing", "smoothing where the model is right"):
        smoothing = told[part]
        assert smoothing["RMSE raw, px"] == smoothing["RMSE smoothed, px"] == smoothing["jitter raw, px/frame2"] == 0
        assert smoothing["range of motion smoothed / true"] == smoothing["peaks smoothed - true under a frame"] == 1
        assert min(smoothing["standing frames"], smoothing["swings"], smoothing["strides of joints"]) > 10
    assert told["exchanges"]["planted"] > 10
    # how good the repair is, tests/tracks say; here, that it is counted
    assert told["exchanges"]["repaired"] > 0.75
    assert told["exchanges"]["changed wrongly"] == 0


def test_what_smoothing_changes_is_told(benchmark, truth):
    noise = 3.0 * (-1) ** np.arange(len(truth[0]))[:, None, None, None]
    late = np.roll(truth[0].points, 2, axis=0)
    told = scores(benchmark, truth[0].with_(raw=truth[0].points + noise, points=late), truth)["smoothing"]
    # to and fro by 6 px, along both axes
    assert told["jitter raw, px/frame2"] == pytest.approx(12)
    assert told["RMSE raw, px"] == pytest.approx(3 * 2**0.5)
    assert told["peak smoothed - true, frames"] == pytest.approx(2, abs=0.3)
    assert told["range of motion smoothed / raw"] == pytest.approx(1, abs=0.1)


def test_points_that_the_model_put_elsewhere_count_apart(benchmark, truth):
    names = truth[0].index
    wrong = truth[0].points.copy()
    wrong[::2, :, names["lf_hoof"]] += 80
    told = scores(benchmark, truth[0].with_(raw=wrong, points=wrong), truth)
    assert told["smoothing"]["RMSE raw, px"] > 5
    assert told["smoothing where the model is right"]["RMSE raw, px"] == 0


def test_legs_that_lie_in_one_place_are_counted_apart(benchmark, truth):
    one, names = truth[0].points.copy(), truth[0].index
    for left in ("l_elbow", "l_knee", "lf_fetlock", "lf_hoof", "l_hip", "l_hock", "lh_fetlock", "lh_hoof"):
        one[:, :, names["r" + left[1:]]] = one[:, :, names[left]]
    told = scores(benchmark, truth[0].with_(raw=one, points=one), truth)["exchanges"]
    assert told["merged"] > 0
    # eyes and ears are a limb of two pairs, nearer to each other than a tenth of the animal
    assert told["planted"] == 0


def test_what_was_analysed_before_is_not_scored_again(benchmark, tmp_path, capsys):
    (tmp_path / "analysed").mkdir()
    with pytest.raises(SystemExit) as stop:
        benchmark.parse_args(["--model", "x", "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "name a new folder" in capsys.readouterr().err


def test_a_call_of_analyze_that_fails_scores_nothing(benchmark, tmp_path):
    args = benchmark.parse_args(["--model", "x", "--out", str(tmp_path)])
    args.model = [str(tmp_path / "no.pth")]
    with pytest.raises(benchmark.UserError, match="nothing is scored"):
        benchmark.analysed([tmp_path / "no.mp4"], args)
