"""The subcommands run for real, on tiny networks and photos; what they measure here means nothing."""

import cv2
import pytest
import torch
from speed.command import benchmark

from equistera.errors import UserError
from equistera.files import read_json


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.fixture
def given(tiny, tmp_path):
    return {
        "config": ["configs/demo_rtmpose_t.py"],
        "cfg_options": tiny(),
        "folder": str(tmp_path),
        "sizes": ((160, 120),),
        "pictures": 4,
        "rounds": 2,
        "seconds": 0.01,
        "device": "cpu",
    }


@pytest.fixture
def given_to_step(given):
    return {**given, "phases": (1,)}


@pytest.fixture
def given_to_train(given_to_step):
    del given_to_step["seconds"]
    return {**given_to_step, "steps": 2}


def test_pipeline_measures_samples_and_targets_beside_stock(given, tmp_path):
    benchmark("pipeline", str(tmp_path / "figures.json"), given)
    content = read_json(tmp_path / "figures.json")
    assert [case["case"] for case in content["cases"]] == ["pipeline, 160x120 photos", "targets, SimCCLabel"]
    for case in content["cases"]:
        assert {who: len(figures["rounds"]) for who, figures in case["rates"].items()} == {"ours": 2, "stock": 2}
        assert case["ratios"]["ours/stock"]["median"] > 0
    assert content["machine"]["torch"] == torch.__version__


def test_step_measures_phases_beside_stock(given_to_step):
    (case,) = benchmark("step", None, given_to_step)
    assert case.name == "step, demo_rtmpose_t, batch 4"
    assert set(case.rates) == {"stock", "phase 1"}
    assert case.pairs() == [("phase 1", "stock")]


def test_step_without_stock_in_mixed_precision(given_to_step):
    (case,) = benchmark("step", None, {**given_to_step, "against": "nothing", "amp": True, "batch_size": 2})
    assert (case.name, set(case.rates)) == ("step, demo_rtmpose_t, batch 2", {"phase 1"})


def test_a_phase_that_the_config_has_not_is_refused(given):
    with pytest.raises(UserError, match="--phase 3"):
        benchmark("step", None, {**given, "phases": (3,)})


def test_rounds_must_be(given):
    with pytest.raises(UserError, match="--rounds 0: expected 1 or more"):
        benchmark("step", None, {**given, "rounds": 0})


@pytest.mark.parametrize(
    ("what", "changes", "finding"),
    [
        ("pipeline", {"steps": 3}, "--steps means nothing"),
        ("pipeline", {"batch_size": 3}, "--batch-size means nothing"),
        ("data", {"phases": (1,)}, "--phases means nothing"),
        ("data", {"config": ["a.py", "b.py"]}, "--config: it takes one, found 2"),
        ("train", {"seconds": 3.0}, "--seconds means nothing"),
    ],
)
def test_options_that_would_be_ignored_are_refused(given, what, changes, finding):
    with pytest.raises(UserError, match=finding):
        benchmark(what, None, {**given, **changes})


def test_a_file_that_holds_no_figures_is_kept(given, tmp_path):
    (tmp_path / "train.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="files exist already"):
        benchmark("step", str(tmp_path / "train.json"), given)


def test_train_measures_the_loop_beside_the_bare_step_and_stocks_loop(given_to_train):
    (case,) = benchmark("train", None, given_to_train)
    assert case.name == "train, demo_rtmpose_t, phase 1, batch 4, 0 workers"
    assert {who: len(rates) for who, rates in case.rates.items()} == {
        "training": 2, "bare step": 2, "stock training": 2,
    }  # fmt: skip
    assert case.pairs() == [("training", "bare step"), ("training", "stock training")]


def test_data_measures_loaders_by_workers(given):
    cases = benchmark("data", None, {**given, "workers": [0, 1], "rounds": 1})
    assert [case.name.split(", ")[-1] for case in cases] == ["0 workers", "1 workers"]
    assert all(set(case.rates) == {"ours", "stock"} for case in cases)


def test_infer_measures_prediction_and_evaluation(given):
    # more than the benchmark asks for where nobody says otherwise
    given["cfg_options"] = [option.replace("num_workers=0", "num_workers=1") for option in given["cfg_options"]]
    prediction, evaluation = benchmark("infer", None, {**given, "rounds": 1})
    assert (prediction.unit, set(prediction.rates)) == ("pictures", {"ours", "ours, float32", "stock"})
    assert set(evaluation.rates) == {"evaluation", "bare forward"}


def test_a_batch_larger_than_the_number_of_photos_is_a_batch(given_to_step):
    cases = benchmark("step", None, {**given_to_step, "batch_size": 6, "against": "nothing"})
    assert cases[0].rates["phase 1"]
    assert "batch 6" in cases[0].name
