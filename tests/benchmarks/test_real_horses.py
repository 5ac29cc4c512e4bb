"""benchmarks/real_horses.py: its split, its table, and, slowly, all of it on tiny runs."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "real_horses.py"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return runpy.run_path(str(SCRIPT))


def test_a_third_of_the_pictures_scores_only(bench):
    names = [f"2008_{n:06d}.jpg" for n in range(3000)]
    share = sum(map(bench["scores_only"], names)) / len(names)
    assert 0.30 < share < 0.37
    assert [name for name in names[:9] if bench["scores_only"](name)] == ["2008_000003.jpg", "2008_000008.jpg"]


def test_the_table_pairs_arms_by_seed_and_size(bench):
    def run(arm, pictures, seed, score):
        rest = {"PCK@0.1": 0, "swap_rate": 0, "median_px": 0}
        about = {"arm": arm, "pictures": pictures, "seed": seed}
        return {**about, "AP": score - 0.1, **rest, "flip": {"AP": score, **rest}}

    results = []
    for seed in range(3):
        results += [run("a", 50, seed, 0.3 + 0.1 * seed), run("b", 50, seed, 0.4 + 0.1 * seed)]
    results += [run("a", 100, 0, 0.5), run("b", 100, 0, 0.7)]
    table = bench["table_of"](results, "a")
    assert "| a | 50 | 0.300 | 0.400 | 0.300, 0.400, 0.500 |" in table
    # over all: 0.1, 0.1, 0.1, 0.2; t for three degrees of freedom is 3.182, the standard error 0.025
    assert "| b | +0.100 (+0.100 to +0.100) | +0.200 | +0.125 (+0.045 to +0.205) |" in table
    # with 50 pictures beside the 100 of "a": 0.3 - 0.5 and 0.4 - 0.5 of seed 0, the only one that has both
    halves = table.split("with half the pictures")[1]
    assert "| a |  | -0.200 | -0.200 |" in halves
    assert "| b |  | -0.100 | -0.100 |" in halves


@pytest.fixture
def horses(tmp_path):
    """A folder like AnimalPose's horses, with noise for pictures."""
    rng, points = np.random.default_rng(0), runpy.run_path(str(SCRIPT))["NAMES"]
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for n in range(110):
        name = f"horse{n}.jpg"
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(folder / "images" / name)
        images.append({"id": n, "file_name": name, "width": 80, "height": 60})
        places = rng.uniform(10, 50, (len(points), 2)).round(1)
        keypoints = [value for x, y in places.tolist() for value in (x, y, 2)]
        own = {"id": n, "image_id": n, "category_id": 1, "bbox": [8, 8, 44, 44], "area": 1936, "iscrowd": 0}
        annotations.append({**own, "keypoints": keypoints, "num_keypoints": len(points)})
    category = {"id": 1, "name": "horse", "keypoints": list(points)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "horses.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_all_of_it_runs_and_goes_on(tmp_path, horses, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    for _ in range(2):
        arms = ["--arms", "stock", "rendered"]
        command = [sys.executable, str(SCRIPT), "--data", str(horses), "--out", str(tmp_path / "out"), "--short", *arms]
        done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "| rendered |" in done.stdout
    assert len(list((tmp_path / "out" / "runs").glob("*/result.json"))) == 2
