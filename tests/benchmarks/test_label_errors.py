"""benchmarks/label_errors.py: what it plants, how it counts, and that it all runs."""

import json
import subprocess
import sys

import numpy as np
import pytest

from equistera import PROJECT, skeleton

SKELETON = skeleton.load("horse26")


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(PROJECT / "benchmarks"))
    import label_errors

    yield label_errors
    sys.path.remove(str(PROJECT / "benchmarks"))


@pytest.fixture(scope="module")
def coco():
    """200 horses, two to a picture, all points labelled."""
    rng = np.random.default_rng(0)
    annotations = [
        {
            "id": 7 * n,
            "image_id": n // 2,
            "category_id": 1,
            "bbox": [100.0, 100.0, 300.0, 200.0],
            "keypoints": np.column_stack([rng.uniform(100, 400, (26, 2)), np.full(26, 2)]).ravel().tolist(),
        }
        for n in range(200)
    ]
    images = [{"id": p, "file_name": f"{p}.jpg", "width": 640, "height": 480} for p in range(100)]
    return {"images": images, "annotations": annotations, "categories": []}


def points_of(coco):
    return {one["id"]: np.reshape(one["keypoints"], (26, 3)) for one in coco["annotations"]}


def test_what_is_planted_is_what_has_changed(bench, coco):
    wrong, planted = bench.plant(coco, SKELETON)
    before, after = points_of(coco), points_of(wrong)
    told = {(one.annotation, name) for one in planted for name in one.points}
    changed = {(n, SKELETON.names[k]) for n in before for k in np.flatnonzero((before[n] != after[n]).any(axis=1))}
    assert changed == told
    counts = {kind: sum(one.kind == kind for one in planted) for kind in bench.SHARES}
    assert counts == {"moved": 260, "exchanged": 12, "mirrored": 4, "elsewhere": 52}
    for one in planted:
        own = [SKELETON.index[name] for name in one.points]
        if one.kind in ("exchanged", "mirrored"):
            assert np.array_equal(after[one.annotation][own], before[one.annotation][SKELETON.flip_indices[own]])
        if one.kind == "moved":
            reach = np.linalg.norm(after[one.annotation][own, :2] - before[one.annotation][own, :2]) / 300
            assert 0.05 <= reach <= 0.2
    assert bench.plant(coco, SKELETON)[1] == planted
    assert bench.plant(coco, SKELETON, seed=1)[1] != planted


def test_suspects_are_counted_up_to_the_number_planted(bench):
    planted = [bench.Planted("moved", 1, ("nose",)), bench.Planted("moved", 2, ("back",))]
    planted.append(bench.Planted("mirrored", 3, ("l_eye", "r_eye")))
    suspects = [
        {"kind": "moved", "annotation": 1, "points": ["nose"]},
        {"kind": "moved", "annotation": 9, "points": ["nose"]},
        {"kind": "moved", "annotation": 2, "points": ["back"]},
        {"kind": "mirrored", "annotation": 3, "points": ["r_eye", "l_eye", "l_ear"]},
    ]
    checked = {"moved": [(2, ["back"])], "mirrored": [], "exchanged": [], "elsewhere": []}
    rows = bench.scores(planted, suspects, checked, dict.fromkeys(bench.SHARES, 100))
    by_kind = {row["kind"]: row for row in rows}
    assert by_kind["moved"]["precision"] == 0.5
    assert by_kind["moved"]["verify"] == 0.5
    assert by_kind["moved"]["random"] == 0.02
    assert by_kind["mirrored"]["precision"] == 1
    assert by_kind["all in one order"]["precision"] == pytest.approx(2 / 3)
    assert "| moved | 2 | 0.500 | 0.020 | 0.50 (1) |" in bench.table_of(rows)


@pytest.mark.slow
def test_a_short_one_runs_to_its_end(tmp_path):
    command = [sys.executable, str(PROJECT / "benchmarks" / "label_errors.py"), "--out", str(tmp_path), "--short"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert {row["kind"] for row in rows} == {"moved", "exchanged", "mirrored", "elsewhere", "all in one order"}
