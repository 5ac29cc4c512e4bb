"""By which metrics the best weights are chosen, and what an evaluation without it counts."""

import math
import types

import pytest

from equistera.mm.evaluation.keypoint_metric import KeypointMetric
from equistera.mm.network import checkpoint
from equistera.mm.run.console import _standing
from equistera.mm.run.saving import SaveCheckpoints
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


@pytest.mark.parametrize(
    ("scores", "best", "shown"),
    [
        # AP, PCK@0.1, error of three evaluations
        ([(0.0, 0.2, 0.3), (0.0, 0.1, 0.2), (0.0, 0.1, 0.1)], 1, ["  (best so far by PCK@0.1)", "", ""]),
        ([(0.0, 0.2, 0.3), (0.0, 0.2, 0.2), (0.0, 0.2, 0.25)], 2, ["  (best so far by PCK@0.1)"] * 2 + [""]),
        ([(0.0, 0.0, 0.3), (0.0, 0.0, 0.4), (0.0, 0.0, 0.3)], 3, ["  (nothing learnt yet)"] * 3),
        ([(0.1, 0.1, 0.3), (0.0, 0.9, 0.1), (0.1, 0.1, 0.3)], 3, ["  (best so far)", "", "  (best so far)"]),
    ],
)
def test_of_equal_scores_a_finer_one_decides_and_nothing_learnt_is_said(scores, best, shown):
    runner = types.SimpleNamespace(best_score=None, best_epoch=None, best_rank=(), rank=0)
    saving, standing = SaveCheckpoints(), []
    saving._save_best = lambda _: True
    for runner.epoch, values in enumerate(scores, 1):
        metrics = dict(zip(("val/AP", "val/PCK@0.1", "val/normalised_error"), values, strict=True))
        saving.choose_best(runner, metrics)
        standing.append(_standing(runner, metrics))
        # as a checkpoint keeps it
        runner.best_rank = list(runner.best_rank)
    assert runner.best_epoch == best
    assert standing == shown
