"""What is logged of an evaluation during training, and the warning about a model that only knows the box."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import MMLogger

from equistera import skeleton
from equistera.dataset.coco import load_annotations
from equistera.evaluation.constant_guess import constant_results, mean_pose
from equistera.mm.evaluation.keypoint_metric import LOGGED, KeypointMetric
from equistera.mm.run.console import Console

HORSE = skeleton.load("horse26")


def sample(annotation, points):
    """What the model hands to the metric: a data sample as a dict."""
    predicted = {
        "keypoints": np.asarray(points, dtype=float).reshape(1, -1, 3)[..., :2],
        "keypoint_scores": np.full((1, 26), 0.8),
        "bbox_scores": np.ones(1),
    }
    return {"img_id": annotation["image_id"], "id": annotation["id"], "pred_instances": predicted}


@pytest.fixture
def evaluated(horses, caplog, capsys):
    """Evaluates predictions by annotation id; gives the metrics, the log and what the console shows."""
    logger = MMLogger.get_instance("metric_test")
    logger.addHandler(caplog.handler)

    def run(points_of):
        metric = KeypointMetric("horse26", "annotations/val.json", str(horses), "annotations/train.json")
        animals = load_annotations(horses / "annotations" / "val.json", HORSE)["annotations"]
        metric.process(None, [sample(animal, points_of(animal)) for animal in animals])
        metrics = metric.evaluate(len(animals))
        console = Console()
        console._bar = None
        console.evaluated(SimpleNamespace(epoch=1, max_epochs=3, best_epoch=1, best_score=0.5), metrics)
        return metrics, caplog.text, capsys.readouterr().out

    yield run
    logger.removeHandler(caplog.handler)


def test_a_perfect_model_has_no_warning(evaluated):
    metrics, log, shown = evaluated(lambda animal: animal["keypoints"])
    assert {f"val/{name}" for name in LOGGED} <= set(metrics)
    assert (metrics["val/AP"], metrics["val/median_px"], metrics["val/swap_rate"]) == (pytest.approx(1), 0, 0)
    assert metrics["val/constant_guess_PCK@0.1"] < 1
    assert "constant guess" not in log + shown


def test_the_mean_pose_is_not_better_than_itself(evaluated, horses):
    train, val = (load_annotations(horses / "annotations" / f"{name}.json", HORSE) for name in ("train", "val"))
    guess = {r["ann_id"]: r["keypoints"] for r in constant_results(val, mean_pose(train, HORSE), HORSE)}
    metrics, log, shown = evaluated(lambda animal: guess[animal["id"]])
    assert metrics["val/constant_guess_PCK@0.1"] == metrics["val/PCK@0.1"]
    assert "NOT better than a constant guess" in log
    assert "\n  not better than a constant guess, the mean pose in the box: PCK@0.1" in shown


def test_a_second_evaluation_has_the_same_guess(horses):
    metric = KeypointMetric("horse26", "annotations/val.json", str(horses), "annotations/train.json")
    animals = load_annotations(horses / "annotations" / "val.json", HORSE)["annotations"]
    seen = []
    for shift in (0, 30, 0):
        points = {animal["id"]: np.add(np.reshape(animal["keypoints"], (-1, 3)), [shift, 0, 0]) for animal in animals}
        metric.process(None, [sample(animal, points[animal["id"]]) for animal in animals])
        seen.append(metric.evaluate(len(animals)))
    guesses = [{name: value for name, value in metrics.items() if "constant_guess" in name} for metrics in seen]
    assert guesses[0] == guesses[1] != {}
    assert seen[0] == seen[2]
    assert seen[1]["val/median_px"] == pytest.approx(30)


def test_without_a_training_set_nothing_is_said_about_a_guess(horses, tmp_path):
    root = tmp_path / "annotations"
    root.mkdir()
    (root / "val.json").write_text((horses / "annotations" / "val.json").read_text())
    metric = KeypointMetric("horse26", "annotations/val.json", str(tmp_path), "annotations/train.json")
    animals = load_annotations(root / "val.json", HORSE)["annotations"]
    metric.process(None, [sample(animal, animal["keypoints"]) for animal in animals])
    assert not any("constant_guess" in name for name in metric.evaluate(len(animals)))


def test_a_run_logs_them(trained):
    lines = next(trained.glob("*/vis_data/scalars.json")).read_text().splitlines()
    evaluations = [entry for entry in map(json.loads, lines) if "val/AP" in entry]
    assert {"val/PCK@0.05", "val/PCK@0.1/nose", "val/constant_guess_AP"} <= set(evaluations[-1])
