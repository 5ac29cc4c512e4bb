"""Mean and spread over folds and seeds."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from equistera.experiments.folds import FoldRun, Spread, as_json, spreads, table, words_of


def test_folds_and_seeds_spread_apart():
    values = np.array([[0.5, 0.6], [0.7, 0.8], [0.3, 0.4]])
    spread = Spread("AP", values, share=0.0)
    assert spread.mean == pytest.approx(0.55)
    assert spread.over_folds == pytest.approx(0.2)
    assert spread.over_seeds == pytest.approx(np.std([0.5, 0.6], ddof=1))
    # without shared pictures it is Student's interval
    assert spread.interval == pytest.approx(stats.t.interval(0.95, 2, 0.55, 0.2 / math.sqrt(3)))
    wider = Spread("AP", values, share=1 / 3)
    half = np.diff(wider.interval) / np.diff(spread.interval)
    assert half == pytest.approx(math.sqrt((1 / 3 + 1 / 3) / (1 / 3)))


def run(fold, seed):
    return FoldRun(fold, seed, 60, 20, 20, Path(f"fold{fold}-seed{seed}"), ())


def metrics(ap, **points):
    row = {name: {"PCK@0.1": value, "points": 0 if value is None else 9} for name, value in points.items()}
    scores = {"AP": ap, "AP75": ap, "PCK@0.1": ap, "normalised_error": 1 - ap}
    return {**scores, "per_keypoint": row}


def test_keypoints_come_lowest_first_and_those_of_no_fold_not_at_all():
    runs = [run(fold, 0) for fold in (1, 2, 3)]
    came = [metrics(0.5, nose=0.9, hock=0.4, poll=None), metrics(0.6, nose=0.8, hock=0.6), metrics(0.7, nose=0.7)]
    overall, points = spreads(runs, came, ["nose", "hock", "poll"])
    assert [one.name for one in points] == ["hock", "nose"]
    # a fold that does not show it says nothing
    assert points[0].folds.tolist() == [0.4, 0.6]
    words = "\n".join(words_of(overall, points, 3, 1))
    assert "AP 0.600, 95 % interval" in words
    assert "hock 0.50 (0.400 to 0.600)" in words
    told = as_json(overall, points)
    assert told["keypoints"]["hock"]["values"] == [[0.4], [0.6], [None]]
    assert told["scores"]["AP"]["sd_of_seeds"] is None
    assert table(runs, came).splitlines()[1] == "1,0,60,20,0.5,0.5,0.5,0.5,fold1-seed0"
