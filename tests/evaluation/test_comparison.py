"""Models side by side, and the text of the tables."""

import json

import pytest

from equistera.errors import UserError
from equistera.evaluation import compare, evaluate, format_comparison, format_table, score_models


def test_a_better_model_is_called_better(make, animal):
    truth = make.truth(40)
    models = {"sharp": make.noisy(truth, 4, seed=1), "blurred": make.noisy(truth, 15, seed=2)}
    comparison = compare(score_models(truth, models, animal, draws=300))
    assert [pair["metric"] for pair in comparison["pairs"]] == ["AP", "PCK@0.1", "median_px"]
    for pair in comparison["pairs"]:
        low, high = pair["interval"]
        assert low <= pair["difference"] <= high
        assert pair["clear"]
        assert pair["p"] < 0.05
    text = format_comparison(comparison["models"], comparison["pairs"])
    assert text.count("sharp is better than blurred") == 3


def test_the_order_of_the_models_only_turns_the_sign(make, animal):
    truth = make.truth(15)
    a, b = make.noisy(truth, 8, seed=1), make.noisy(truth, 9, seed=2)
    forth = compare(score_models(truth, {"a": a, "b": b}, animal, draws=100))["pairs"][0]
    back = compare(score_models(truth, {"b": b, "a": a}, animal, draws=100))["pairs"][0]
    assert forth["difference"] == pytest.approx(-back["difference"])
    assert forth["p"] == back["p"]


def test_a_model_does_not_differ_from_itself(make, animal):
    truth = make.truth(15)
    same = make.noisy(truth, 8)
    for pair in compare(score_models(truth, {"a": same, "b": same}, animal, draws=100))["pairs"]:
        assert (pair["difference"], pair["p"], pair["clear"]) == (0, 1, False)


def test_pairing_sees_what_separate_intervals_do_not(make, animal):
    """The same errors but for a few pixels more: intervals overlap widely, yet every picture is worse."""
    truth = make.truth(25)
    better = make.noisy(truth, 8, seed=3)
    worse = make.noisy(truth, 8.8, seed=3)
    comparison = compare(score_models(truth, {"better": better, "worse": worse}, animal, draws=400))
    first, second = (comparison["models"][name]["intervals"]["median_px"] for name in ("better", "worse"))
    assert first[1] > second[0]
    assert next(pair for pair in comparison["pairs"] if pair["metric"] == "median_px")["clear"]


def test_one_model_is_no_comparison(make, animal):
    with pytest.raises(UserError, match="at least two models, found 1"):
        compare(score_models(make.truth(2), {"a": [make.result(1)]}, animal))


def test_comparing_needs_draws(make, animal):
    models = {"a": [make.result(1)], "b": [make.result(2)]}
    with pytest.raises(UserError, match="needs bootstrap draws"):
        compare(score_models(make.truth(2), models, animal, draws=0))


def test_the_model_that_cannot_be_scored_is_named(make, animal):
    with pytest.raises(UserError, match="model b: there are no predictions"):
        compare(score_models(make.truth(2), {"a": [make.result(1)], "b": []}, animal))


def test_metrics_are_json_and_complete(make, animal):
    truth = make.truth(6, visibility=(2, 1, 0, 2, 2))
    metrics = evaluate(truth, make.noisy(truth, 5), animal, draws=50)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert {"AP", "AP50", "AP75", "AR", "PCK@0.1", "median_px", "per_keypoint"} <= metrics.keys()
    low, high = metrics["intervals"]["AP"]
    assert low <= metrics["AP"] <= high
    assert metrics["intervals"]["per_keypoint"]["r_knee"]["PCK@0.1"] is None
    assert metrics["bootstrap"]["note"].startswith("only 6 pictures")


def test_the_same_seed_gives_the_same_metrics(make, animal):
    truth = make.truth(6)
    first, again, other = (evaluate(truth, make.noisy(truth, 9), animal, draws=50, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first["intervals"] != other["intervals"]


def test_groups_widen_the_intervals(make, animal):
    """Pictures of one horse that fail together count as one piece of evidence, not ten."""
    truth = make.truth(40)
    noise = {ann["image_id"]: 3 if ann["image_id"] % 4 else 25 for ann in truth["annotations"]}
    results = [
        result
        for level in (3, 25)
        for result in make.noisy(truth, level, seed=level)
        if noise[result["image_id"]] == level
    ]
    alone = evaluate(truth, results, animal, draws=300)
    grouped = evaluate(truth, results, animal, draws=300, groups={i: i % 4 for i in range(1, 41)})
    width = [metrics["intervals"]["PCK@0.1"][1] - metrics["intervals"]["PCK@0.1"][0] for metrics in (alone, grouped)]
    assert width[1] > 1.5 * width[0]
    assert grouped["bootstrap"]["drawn"] == "groups"


def test_table_shows_every_keypoint_and_no_figure_where_there_is_none(make, animal):
    truth = make.truth(3, visibility=(2, 2, 0, 2, 2))
    text = format_table(evaluate(truth, make.noisy(truth, 5), animal, draws=20))
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert set(animal.names) <= lines.keys()
    assert lines["r_knee"][1:3] == ["0", "-"]
    assert lines["AP"][2].startswith("(")
    assert "95% intervals by 20 bootstrap draws of 3 pictures; only 3 pictures" in text
    assert "None" not in text
    assert "nan" not in text
