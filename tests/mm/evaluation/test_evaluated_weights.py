"""What is evaluated and saved as best: training's weights, their average, statistics of normalisation layers."""

import json
import signal

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from equistera.errors import Stopped, UserError
from equistera.mm import config as configs
from equistera.mm.evaluation.evaluated_weights import overwritten
from equistera.mm.evaluation.training_subset import TrainingSubset
from equistera.mm.network import checkpoint
from equistera.mm.network.averaging import AveragedWeights, open_norms, reestimate
from equistera.mm.prediction.predict import Predictor
from equistera.mm.run.train import TrainOptions, train
from equistera.training.ema import Ema

DEMO = "configs/demo_rtmpose_t.py"


def run(horses, work_dir, options, **changes):
    given = {"config": DEMO, "work_dir": str(work_dir), "data_root": str(horses), "cfg_options": options, **changes}
    return train(TrainOptions(**given))


def evaluations(work_dir):
    lines = next(work_dir.glob("*/vis_data/scalars.json")).read_text().splitlines()
    return [record for record in map(json.loads, lines) if "val/AP" in record]


@pytest.fixture(scope="module")
def network(tiny):
    torch.manual_seed(0)
    return MODELS.build(configs.load(DEMO, tiny()).model).eval()


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 3, 64, 64, generator=generator) + shift for shift in (0.0, 2.0)]


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def differing(a, b):
    return [name for name in a if not torch.equal(a[name], b[name])]


def test_statistics_are_the_mean_over_the_batches_and_the_network_stays_as_it_was(network, pictures):
    before = state_of(network)
    statistics = reestimate(network, pictures)
    assert differing(before, state_of(network)) == []
    assert not any(module.training for module in network.modules())
    first = network.backbone.stem[0].conv
    seen = [first(batch) for batch in pictures]
    means = torch.stack([out.mean((0, 2, 3)) for out in seen]).mean(0)
    variances = torch.stack([out.var((0, 2, 3)) for out in seen]).mean(0)
    torch.testing.assert_close(statistics["backbone.stem.0.bn.running_mean"], means)
    torch.testing.assert_close(statistics["backbone.stem.0.bn.running_var"], variances)
    assert len(statistics) == 2 * len(open_norms(network))


def test_frozen_norms_are_left_alone_and_no_batch_changes_nothing(network, pictures):
    network.freeze(["stem", "stage1"])
    network.eval()
    try:
        names = set(reestimate(network, pictures))
    finally:
        network.freeze([])
        network.eval()
    assert names
    assert not [name for name in names if name.startswith(("backbone.stem", "backbone.stage1"))]
    assert reestimate(network, []) == {}


def test_the_average_follows_the_rule_and_leaves_frozen_weights(network):
    average = AveragedWeights(network)
    before, ema = state_of(network), Ema(half_life=2.0)
    network.freeze(["stem"])
    expected = before["head.cls_x.weight"].double()
    for step in range(6):
        overwritten(network, {"head.cls_x.weight": torch.full_like(before["head.cls_x.weight"], step)})
        average.update(ema, step)
        expected = ema.decay_at(step) * expected + (1 - ema.decay_at(step)) * step
    overwritten(network, before)
    network.freeze([])
    network.eval()
    torch.testing.assert_close(average.tensors["head.cls_x.weight"].double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(average.tensors["backbone.stem.0.conv.weight"], before["backbone.stem.0.conv.weight"])
    again = AveragedWeights(network)
    again.load(average.tensors)
    assert differing(again.tensors, average.tensors) == []


def test_training_pictures_are_scored_beside_validation(trained):
    records = evaluations(trained)
    for record in records:
        assert {"train_subset/AP", "train_subset/PCK@0.1", "train_subset/median_px", "val/PCK@0.1"} <= set(record)
        errors = {name: record[f"train_subset/normalised_error/{name}"] for name in ("weights", "weights+norms")}
        errors["average+norms"] = record["train_subset/normalised_error/average+norms"]
        assert record["train_subset/normalised_error"] == min(errors.values())
    from equistera.monitor.log import read_run
    from equistera.monitor.run import gap_curve

    epochs, gaps = gap_curve(read_run(trained), "PCK@0.1")
    assert epochs.tolist() == [1, 2, 3]
    wanted = [record["train_subset/PCK@0.1"] - record["val/PCK@0.1"] for record in records]
    assert np.allclose(gaps, wanted)


def test_best_holds_what_was_evaluated(horses, trained):
    """Predictions of best.pth on the training pictures have the error that was logged for the chosen weights."""
    from mmengine.dataset import pseudo_collate

    from equistera.dataset.coco import load_annotations
    from equistera.evaluation.metrics import evaluate
    from equistera.mm.data.dataset import KeypointDataset
    from equistera.mm.evaluation.keypoint_metric import to_result

    content = checkpoint.load(trained / "best.pth")
    record = evaluations(trained)[content["meta"]["best_epoch"] - 1]
    config = next(trained.glob("demo_rtmpose_t.py"))
    predictor = Predictor(config, trained / "best.pth", device="cpu")
    other = {"ann_file": "annotations/train.json", "data_prefix": {"img": "images/train"}}
    settings = {key: value for key, value in predictor.config.val_dataloader.dataset.items() if key != "type"}
    dataset = KeypointDataset(**{**settings, **other})
    predicted = predictor.predict_samples(pseudo_collate([dataset[i] for i in range(len(dataset))]))
    results = [to_result(sample) for sample in predicted]
    truth = load_annotations(horses / "annotations" / "train.json", predictor.skeleton)
    error = evaluate(truth, results, predictor.skeleton)["normalised_error"]
    assert error == pytest.approx(record["train_subset/normalised_error"], rel=1e-4)
    assert content["meta"]["weights"].startswith(("averaged weights", "the weights themselves"))


def test_neither_evaluation_nor_averaging_touches_training(horses, tiny, trained, tmp_path):
    plain = run(horses, tmp_path / "plain", tiny(norm_statistics=None, ema=None))
    assert "train_subset/normalised_error/average+norms" not in evaluations(plain)[0]
    assert "train_subset/normalised_error/weights" in evaluations(plain)[0]
    first, second = (checkpoint.load(work / "latest.pth") for work in (trained, plain))
    assert differing(first["state_dict"], second["state_dict"]) == []
    assert second["loop"]["average"] is None
    average = first["loop"]["average"]
    assert average.keys() < first["state_dict"].keys()
    assert differing(average, first["state_dict"])


def test_a_resumed_run_has_the_same_average(horses, tiny, trained, tmp_path, monkeypatch):
    from equistera.mm.run.saving import SaveCheckpoints

    saved = SaveCheckpoints._save

    def save_then_stop(self, runner, *args, **kwargs):
        saved(self, runner, *args, **kwargs)
        if runner.epoch == 2:
            raise KeyboardInterrupt

    options = tiny(**{"default_hooks.checkpoint.interval": 1})
    with monkeypatch.context() as patched:
        patched.setattr(SaveCheckpoints, "_save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            run(horses, tmp_path / "run", options)
    run(horses, tmp_path / "run", options, resume=True)
    for name in ("latest.pth", "best.pth"):
        straight, resumed = checkpoint.load(trained / name), checkpoint.load(tmp_path / "run" / name)
        assert differing(straight["state_dict"], resumed["state_dict"]) == []
    wanted, found = (checkpoint.load(w / "latest.pth")["loop"]["average"] for w in (trained, tmp_path / "run"))
    assert differing(wanted, found) == []


def test_a_stop_does_not_wait_for_the_choice_of_weights(horses, tiny, trained, tmp_path, monkeypatch):
    scored = []

    def stop_then_score(self, network, score=TrainingSubset.score):
        signal.raise_signal(signal.SIGTERM)
        scored.append(network)
        return score(self, network)

    options = tiny(**{"default_hooks.checkpoint.interval": 1})
    with monkeypatch.context() as patched:
        patched.setattr(TrainingSubset, "score", stop_then_score)
        with pytest.raises(Stopped):
            run(horses, tmp_path / "run", options)
    assert len(scored) == 1
    run(horses, tmp_path / "run", options, resume=True)
    for name in ("latest.pth", "best.pth"):
        straight, resumed = checkpoint.load(trained / name), checkpoint.load(tmp_path / "run" / name)
        assert differing(straight["state_dict"], resumed["state_dict"]) == []


def test_settings_that_are_none(horses, tiny, tmp_path):
    with pytest.raises(UserError, match=r"training_subset.pictures: expected a whole number of at least 1, found 0"):
        run(horses, tmp_path / "run", tiny(**{"training_subset.pictures": 0}))
