"""By which metric the best weights are chosen, and what an evaluation without it counts."""

import math

import pytest

from equistera.mm.network import checkpoint
from equistera.mm.run.metric import KeypointMetric
from equistera.mm.run.train import TrainOptions, train


@pytest.mark.parametrize("missing", [None, math.nan])
def test_an_evaluation_without_the_metric_is_no_improvement(horses, tiny, tmp_path, monkeypatch, capsys, missing):
    """The first and the last of three evaluations have no AR; its absence neither stops the run nor is it the best."""
    computed, evaluations = KeypointMetric.compute_metrics, []

    def without(self, results):
        metrics = computed(self, results)
        evaluations.append(metrics)
        if len(evaluations) != 2:
            metrics.pop("AR")
            metrics |= {} if missing is None else {"AR": missing}
        return metrics

    monkeypatch.setattr(KeypointMetric, "compute_metrics", without)
    options = tiny(**{"default_hooks.checkpoint.best": "val/AR", "early_stopping.patience": 2})
    work = train(
        TrainOptions(
            "configs/demo_rtmpose_t.py", work_dir=str(tmp_path / "run"), data_root=str(horses), cfg_options=options
        )
    )
    assert checkpoint.load(work / "best.pth")["meta"]["best_epoch"] == 2
    shown_at_the_end, said = capsys.readouterr()
    assert "best val AR 0." in shown_at_the_end
    for epoch, shown in ((1, True), (2, False), (3, True)):
        assert (f"the evaluation after epoch {epoch} has no val/AR, by which the best weights are" in said) == shown
