import json

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import nn

from equistera.mm.network import checkpoint
from equistera.mm.run import deferred
from equistera.mm.run.deferred import DeferredHistory, DeferredOptimWrapper, log_scalar, newest
from equistera.mm.run.hooks import Console
from equistera.mm.run.train import TrainOptions, train


class Watched(torch.Tensor):
    """A tensor that counts how often the host asks for its value."""

    asked = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__float__):
            cls.asked += 1
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.fixture
def hub(request):
    return MessageHub.get_instance(request.node.name)


def watched(value):
    Watched.asked = 0
    return torch.tensor(value).as_subclass(Watched)


def test_the_host_asks_for_nothing_until_somebody_reads(hub):
    float(watched(1.0))
    assert Watched.asked == 1
    for value in (1.5, 2.5, 3.5):
        log_scalar(hub, "train/loss", watched(value))
    assert Watched.asked == 0
    history = hub.get_scalar("train/loss")
    assert (history.mean(2), history.current(), history.max()) == (3.0, 3.5, 3.5)


def test_numbers_are_those_that_mmengine_would_have_logged(hub):
    values = np.random.default_rng(0).normal(size=30).astype(np.float32)
    theirs = HistoryBuffer()
    for i, value in enumerate(values):
        log_scalar(hub, "train/loss", torch.tensor(value) if i % 3 else float(value))
        theirs.update(torch.tensor(value).item())
    ours = hub.get_scalar("train/loss")
    for a, b in zip(ours.data, theirs.data, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, window in (("mean", 20), ("min", 5), ("current", None)):
        arguments = () if window is None else (window,)
        assert ours.statistics(name, *arguments) == theirs.statistics(name, *arguments)


def test_a_history_of_before_goes_on_and_stays_short(hub):
    hub.log_scalars["train/loss"] = HistoryBuffer([1.0, 2.0], [1, 1])
    log_scalar(hub, "train/loss", torch.tensor(3.0))
    hub.update_scalar("train/loss", 4.0)
    assert hub.get_scalar("train/loss").data[0].tolist() == [1, 2, 3, 4]
    for i in range(2500):
        log_scalar(hub, "train/loss", float(i))
    assert len(hub.get_scalar("train/loss").data[0]) == len(hub.get_scalar("train/loss").data[1]) == 1000
    assert hub.get_scalar("train/loss").current() == 2499


def test_no_history_of_a_run_grows_for_ever_and_all_that_is_shown_stays(horses, tiny, tmp_path, monkeypatch):
    """Rates and times, which MMEngine's hooks log, and the times of an evaluation's batches."""

    def kept_of_a_run(kept):
        lengths = {}

        def look(hook, runner):
            for name, history in runner.message_hub.log_scalars.items():
                lengths[name] = len(history.data[0])

        with monkeypatch.context() as patched:
            patched.setattr(deferred, "_KEPT", kept)
            patched.setattr(Console, "after_train", look)
            # 3 epochs of 4 steps; 5 batches an evaluation
            options = tiny(**{
                "log_processor.window_size": 3, "default_hooks.logger.interval": 1, "val_dataloader.batch_size": 1
            })  # fmt: skip
            work = train(
                TrainOptions(
                    "configs/demo_rtmpose_t.py",
                    work_dir=str(tmp_path / str(kept)),
                    data_root=str(horses),
                    cfg_options=options,
                )
            )
        lines = next(work.glob("*/vis_data/scalars.json")).read_text().splitlines()
        return lengths, [json.loads(line) for line in lines], checkpoint.load(work / "latest.pth")["log"]

    short, shown, saved = kept_of_a_run(3)
    whole, shown_of_all, _ = kept_of_a_run(1000)
    growing = {"train/lr", "train/base_lr", "train/time", "train/data_time", "train/loss", "train/lr/head"} & set(whole)
    assert {whole[name] for name in growing} == {12}
    assert {short[name] for name in growing} == {3}
    # the mean over an evaluation needs its five batches
    assert {name: (short[name], whole[name]) for name in ("val/time", "val/data_time")} == {
        "val/time": (5, 15), "val/data_time": (5, 15)
    }  # fmt: skip
    assert {len(entry["values"]) for name, entry in saved.items() if name in growing} == {3}

    def without_times(lines):
        return [{key: value for key, value in line.items() if "time" not in key} for line in lines]

    assert without_times(shown) == without_times(shown_of_all)


def test_the_newest_value_can_be_had_as_it_came(hub):
    assert newest(hub, "train/grad_norm") is None
    log_scalar(hub, "train/grad_norm", value := watched(2.0))
    assert newest(hub, "train/grad_norm") is value
    assert Watched.asked == 0
    hub.log_scalars["train/old"] = HistoryBuffer([5.0], [1])
    assert newest(hub, "train/old") == 5.0
    assert isinstance(hub.log_scalars["train/grad_norm"], DeferredHistory)


def test_gradients_are_clipped_and_their_norm_is_logged():
    layer = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    wrapper = DeferredOptimWrapper(torch.optim.SGD(layer.parameters(), lr=1.0), clip_grad={"max_norm": 1.0})
    wrapper.update_params(layer(torch.tensor([[3.0, 4.0]])).sum())
    assert float(newest(wrapper.message_hub, "train/grad_norm")) == pytest.approx(5)
    assert layer.weight.tolist()[0] == pytest.approx([-0.6, -0.8], abs=1e-5)
