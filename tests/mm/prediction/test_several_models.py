"""tools/test.py with several checkpoints, ensembles and calibrations, on tiny real runs."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration, calibration_path, stored_calibration
from equistera.mm import config as configs
from equistera.mm.prediction import split_predictions
from equistera.mm.prediction.split_predictions import fuse_points, fuse_results, mean_outputs
from equistera.mm.prediction.test import TestOptions as Options  # pytest would collect a class named Test...
from equistera.mm.prediction.test import test as run_test
from equistera.named_models import members, short_names

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture
def runs(trained, tmp_path):
    """Work dirs of two models: a tiny run, and the same with its weights disturbed."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        shutil.copy(trained / "best.pth", folder)
    content = torch.load(second / "best.pth", weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for name, value in content["state_dict"].items():
        if name.startswith("head.") and value.is_floating_point():
            value += 0.2 * value.std(correction=0) * torch.randn(value.shape, generator=generator)
    torch.save(content, second / "best.pth")
    return first, second


@pytest.fixture
def score(horses, tiny, tmp_path):
    def run(*models, **changes):
        given = {"data_root": str(horses), "cfg_options": tiny(), "out": str(tmp_path / "out"), "split": "val"}
        return run_test(Options(models=[str(model) for model in models], **{**given, **changes}))

    return run


def test_side_by_side_with_paired_tests_ensemble_and_report(runs, score, tmp_path, capsys):
    metrics = score(DEMO, *runs, compare=True, ensemble=True, report=True)
    assert list(metrics) == ["first", "second", "ensemble"]
    out = tmp_path / "out"
    for name, values in metrics.items():
        content = json.loads((out / name / "metrics.json").read_text())
        assert content["AP"] == values["AP"]
        rows = list(csv.DictReader((out / name / "per_picture.csv").open()))
        assert len(rows) == values["animals"]
        assert {"file_name", "OKS", "PCK@0.1", "swapped"} <= set(rows[0])
    assert [str(run / "best.pth") for run in runs] == content["ensemble_of"]
    pairs = json.loads((out / "comparison.json").read_text())["pairs"]
    assert {(pair["a"], pair["b"]) for pair in pairs} == {
        ("first", "second"),
        ("first", "ensemble"),
        ("second", "ensemble"),
    }
    assert "<h2>Side by side</h2>" in (out / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "Paired tests" in printed
    assert "first against second" in printed or "better than" in printed


def test_the_same_model_twice_over_is_its_own_ensemble_and_said_so(runs, score, tmp_path, capsys):
    shutil.copy(runs[0] / "best.pth", runs[1] / "best.pth")
    score(DEMO, *runs, ensemble=True, flip_test=True)
    assert "first, second: the same weights, byte for byte" in capsys.readouterr().out
    first, both = (json.loads((tmp_path / "out" / n / "predictions.json").read_text()) for n in ("first", "ensemble"))
    for a, b in zip(first, both, strict=True):
        np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=1e-4)


def test_models_of_other_inputs_meet_in_the_picture(runs, score, tiny, tmp_path):
    """The same weights with another sigma of the codec: no common bins, so keypoints are fused."""
    config = tmp_path / "other.py"
    config.write_text(f"_base_ = ['{Path(DEMO).resolve()}']\ncodec = dict(sigma=(5.0, 5.0))\n")
    content = torch.load(runs[1] / "best.pth", weights_only=True)
    content["meta"]["config"] = configs.load(config, tiny()).pretty_text
    torch.save(content, runs[1] / "best.pth")
    metrics = score(DEMO, runs[0], config, runs[1], ensemble=True)
    found = {
        name: json.loads((tmp_path / "out" / name / "predictions.json").read_text())
        for name in ("first", "second", "ensemble")
    }
    for first, second, both in zip(*found.values(), strict=True):
        a, b, c = (np.reshape(result["keypoints"], (-1, 3))[:, :2] for result in (first, second, both))
        assert ((c >= np.minimum(a, b) - 1e-6) & (c <= np.maximum(a, b) + 1e-6)).all()
    assert metrics["ensemble"]["missed_animals"] == 0


def test_a_calibration_is_fitted_on_val_stored_and_used(runs, score, capsys):
    weights = runs[0] / "best.pth"
    raw = score(DEMO, weights, split="test")["first"]
    about = json.loads(calibration_path(weights).read_text())["fits"]["plain"]
    settings = about["settings"]
    assert raw["calibration"]["temperature"] == stored_calibration(weights, settings=settings).temperature
    assert stored_calibration(weights, settings="of another codec") is None
    assert about["ann_file"].endswith("annotations/val.json")
    assert about["points"] > 50
    assert "predicting on val" in capsys.readouterr().err
    score(DEMO, weights, split="test")
    assert "predicting on val" not in capsys.readouterr().err, "the stored one is used"
    assert stored_calibration(weights, flip_test=True, settings=settings) is None
    on_val = score(DEMO, weights)["first"]
    assert "temperature" not in on_val["calibration"], "its own pictures would flatter it"


def test_how_sure_a_model_is_of_backgrounds_is_said_and_stored(runs, score, monkeypatch, capsys):
    monkeypatch.setattr(split_predictions, "FEWEST_BOXES", 2)
    monkeypatch.setattr(split_predictions, "boxes_beside", lambda coco: {coco["images"][0]["id"]: [[0, 0, 9, 9]] * 2})
    score(DEMO, runs[0])
    stored = json.loads(calibration_path(runs[0] / "best.pth").read_text())["fits"]["plain"]["background"]
    assert stored["boxes"] == 2
    assert 0 <= stored["AUC"] <= 1
    assert "of 2 boxes that show no animal, mean confidence" in capsys.readouterr().err


def test_body_length_and_groups(runs, score):
    values = score(DEMO, runs[0], body_length=["withers", "tail_base"], group_by=r"(\d)\.")["first"]
    assert values["size"] == "withers to tail_base"
    assert values["bootstrap"]["drawn"] == "groups"


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (["best.pth"], "no such work dir or checkpoint: best.pth"),
        (["test"], "no such work dir or checkpoint: test, did you mean 'tests'?"),
        (["tests"], "tests is no work dir: no best.pth is in it"),
        ([DEMO], f"no checkpoint after {DEMO}"),
        ([DEMO, "a.pth", "other.py"], "no checkpoint after other.py"),
        ([DEMO, "other.py", "a.pth"], f"no checkpoint after {DEMO}"),
        ([DEMO, "a.pth", "./a.pth"], "the same checkpoint is named twice"),
    ],
)
def test_what_is_no_list_of_models(words, finding):
    with pytest.raises(UserError, match=finding):
        members(words)


def test_one_model_is_not_compared(runs, score):
    for wanted in ({"compare": True}, {"ensemble": True}):
        with pytest.raises(UserError, match="needs at least two checkpoints"):
            score(DEMO, runs[0], **wanted)


def test_a_work_dir_stands_for_its_best_weights_and_its_own_config(trained, tmp_path):
    own = trained / "demo_rtmpose_t.py"
    assert own.is_file()
    for words in ([str(trained)], [DEMO, str(trained)], [str(trained / "best.pth")], [str(own), str(trained)]):
        assert members(words) == [(str(own), trained / "best.pth")]
    # weights that are named are used with the config that is named
    assert members([DEMO, str(trained / "best.pth")]) == [(DEMO, trained / "best.pth")]
    with pytest.raises(UserError, match=r"was trained with demo_rtmpose_t.py, not with rtmpose_m_ap10k.py") as error:
        members(["configs/rtmpose_m_ap10k.py", str(trained)])
    assert str(trained / "best.pth") in error.value.hint
    # a run of somebody else's: the one config that lies there, and no guess between two
    for name in ("best.pth", "mine.py"):
        (tmp_path / name).touch()
    assert members([str(tmp_path)]) == [(str(tmp_path / "mine.py"), tmp_path / "best.pth")]
    (tmp_path / "other.py").touch()
    with pytest.raises(UserError, match=r"which config was it trained with\? .* holds several: mine.py, other.py"):
        members([str(tmp_path)])
    for name in ("mine.py", "other.py"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="no copy of it is in") as error:
        members([str(tmp_path)], "--config CONFIG --checkpoint {path}")
    assert error.value.hint == f"Name it: --config CONFIG --checkpoint {tmp_path}"


def test_a_dot_in_a_configs_name_is_no_ending(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "demo_rtmpose_t.py").rename(run / "my demo-v1.2.py")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "config": "my demo-v1.2"}))
    assert members([str(run)]) == [(str(run / "my demo-v1.2.py"), run / "best.pth")]


def test_a_config_holds_for_the_checkpoints_after_it(tmp_path):
    pairs = members(["a.py", str(tmp_path), "x.pth", "b.py", "y.pth"])
    assert [config for config, _ in pairs] == ["a.py", "a.py", "b.py"]
    assert pairs[0][1] == tmp_path / "best.pth"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["r/a.pth", "r/b.pth"], ["a", "b"]),
        (["r/best.pth", "s/best.pth"], ["r", "s"]),
        (["r/a.pth", "r/b.pth", "s/a.pth"], ["r-a", "r-b", "s-a"]),
        (["x/r/a.pth", "y/r/a.pth"], ["1-r-a", "2-r-a"]),
        (["r/ensemble.pth"], ["r"]),
        (["r/best.pth"], ["r"]),
        (["r/best.pth", "r/latest.pth"], ["best", "latest"]),
        (["r/best.pth", "s/epoch_3.pth", "t.pth"], ["r", "s", "t"]),
    ],
)
def test_names_tell_models_apart(tmp_path, paths, names):
    assert short_names([tmp_path / path for path in paths], taken="ensemble") == names


def test_models_that_disagree_do_not_meet_in_the_middle():
    """Two near each other outweigh a surer third; alone, the surest wins."""
    points = np.array([[[0.0, 0.0], [0.0, 0.0]], [[4.0, 0.0], [100.0, 0.0]], [[100.0, 0.0], [200.0, 0.0]]])
    confidence = np.array([[0.5, 0.2], [0.5, 0.9], [0.9, 0.4]])
    fused, scores = fuse_points(points, confidence, near=10)
    np.testing.assert_allclose(fused, [[2, 0], [100, 0]])
    np.testing.assert_allclose(scores, [1.0 / 3, 0.9 / 3])


def test_fused_by_confidence():
    fused, scores = fuse_points(np.array([[[0.0, 0.0]], [[8.0, 4.0]]]), np.array([[0.75], [0.25]]), near=10)
    np.testing.assert_allclose(fused, [[2, 1]])
    assert scores == pytest.approx([0.5])


def test_calibration_decides_the_weights():
    truth = {"annotations": [{"id": 1, "bbox": [0, 0, 100, 50]}]}
    members = [[{"ann_id": 1, "keypoints": [x, 0.0, 0.5], "score": 1.0}] for x in (0.0, 9.0)]
    (plain,) = fuse_results(members, [None, None], truth)
    assert plain["keypoints"][0] == pytest.approx(4.5)
    (weighted,) = fuse_results(members, [Calibration(bias=3.0), Calibration(bias=-3.0)], truth)
    assert weighted["keypoints"][0] == pytest.approx(9 * 0.0474 / (0.0474 + 0.9526), abs=1e-3)


def test_mean_of_raw_outputs():
    first, second = (torch.zeros(1, 2, 3), torch.ones(1, 2, 4)), (torch.ones(1, 2, 3), torch.ones(1, 2, 4))
    x, y = mean_outputs([first, second])
    assert torch.equal(x, torch.full((1, 2, 3), 0.5))
    assert torch.equal(y, torch.ones(1, 2, 4))
