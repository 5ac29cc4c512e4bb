"""A training step and what is logged of it: nothing waits for the device before the log is written."""

import functools
import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.registry import HOOKS
from torch import nn

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.run import logs
from equistera.mm.run.console import Console
from equistera.mm.run.logs import StepLog
from equistera.mm.run.loop import train_step
from equistera.mm.run.train import TrainOptions, train
from equistera.mm.run.trainer import Trainer

DEMO = "configs/demo_rtmpose_t.py"


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


@pytest.fixture
def log(tiny):
    return StepLog(configs.load(DEMO, tiny(**{"default_hooks.logger.interval": 3})))


def test_the_host_asks_for_nothing_until_the_log_is_written(hub, log):
    Watched.asked = 0
    for number, value in enumerate((1.5, 2.5, 3.5)):
        log.note(
            {"loss": torch.tensor(value).as_subclass(Watched), "lr/head": 0.1, **({"norm": 2.0} if number else {})}
        )
    assert Watched.asked == 0
    assert [log.is_due(number, last=number == 4) for number in range(5)] == [False, False, True, False, True]
    log.hand_over(hub)
    assert hub.get_scalar("train/loss").data[0].tolist() == [1.5, 2.5, 3.5]
    assert hub.get_scalar("train/norm").data[0].tolist() == [2.0, 2.0]
    log.hand_over(hub)
    assert len(hub.get_scalar("train/lr/head").data[0]) == 3


def test_no_history_of_a_run_grows_for_ever_and_all_that_is_shown_stays(horses, tiny, tmp_path, monkeypatch):
    """Rates and times, which MMEngine's hooks log, and the times of an evaluation's batches."""

    def kept_of_a_run(kept):
        lengths = {}

        def look(console, runner, loss):
            lengths.update({name: len(history.data[0]) for name, history in runner.message_hub.log_scalars.items()})

        with monkeypatch.context() as patched:
            patched.setattr(logs, "KEPT", kept)
            patched.setattr(Console, "step", look)
            # 3 epochs of 4 steps
            options = tiny(**{"log_processor.window_size": 3, "default_hooks.logger.interval": 1})
            work = tmp_path / str(kept)
            train(TrainOptions(DEMO, work_dir=str(work), data_root=str(horses), cfg_options=options))
        lines = next(work.glob("*/vis_data/scalars.json")).read_text().splitlines()
        return lengths, [json.loads(line) for line in lines]

    (short, shown), (whole, shown_of_all) = kept_of_a_run(3), kept_of_a_run(1000)
    growing = {"train/lr", "train/base_lr", "train/time", "train/data_time", "train/loss", "train/lr/head"} & set(whole)
    assert {whole[name] for name in growing} == {12}
    assert {short[name] for name in growing} == {3}

    def without_times(lines):
        return [{key: value for key, value in line.items() if "time" not in key} for line in lines]

    assert without_times(shown) == without_times(shown_of_all)


class Layer(nn.Linear):
    """As much of a model as a step needs."""

    def data_preprocessor(self, batch, training):
        return {"inputs": batch}

    def forward(self, inputs, mode):
        return super().forward(inputs)

    def parse_losses(self, losses):
        return losses.sum(), {"loss": losses.sum()}


@pytest.mark.parametrize("kind", [OptimWrapper, AmpOptimWrapper])
def test_gradients_of_several_steps_are_clipped_together_and_their_norm_is_told(kind, monkeypatch):
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", functools.partial(torch.amp.GradScaler, "cpu"))
    layer = Layer(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    wrapper = kind(optimizer=torch.optim.SGD(layer.parameters(), lr=1.0), clip_grad={"max_norm": 1.0})
    batch = torch.tensor([[3.0, 4.0]])
    _, norm = train_step(layer, wrapper, batch, accumulated=2, updates=False)
    assert norm is None
    assert layer.weight.tolist()[0] == [0, 0]
    outputs, norm = train_step(layer, wrapper, batch, accumulated=2)
    assert float(norm) == pytest.approx(5)
    assert not outputs["loss"].requires_grad
    assert layer.weight.tolist()[0] == pytest.approx([-0.6, -0.8], abs=1e-5)
    assert layer.weight.grad is None


def test_what_has_no_effect_is_refused_and_not_ignored(horses, tiny, tmp_path, monkeypatch):
    class OwnSaves(Hook):
        def __init__(self, interval, keep, best):
            pass

    monkeypatch.setitem(HOOKS.module_dict, "OwnSaves", OwnSaves)
    config = tmp_path / "own.py"
    config.write_text(
        f"_base_ = {str(configs.PROJECT / DEMO)!r}\nauto_scale_lr = dict(base_batch_size=16)\n"
        "default_hooks = dict(checkpoint=dict(type='OwnSaves'))\n"
    )
    with pytest.raises(UserError, match="the config cannot be trained") as caught:
        train(TrainOptions(str(config), work_dir=str(tmp_path / "w"), data_root=str(horses), cfg_options=tiny()))
    assert caught.value.problems == [
        "auto_scale_lr: has no effect here; strategy.scale_lr_with_batch has",
        "default_hooks.checkpoint.type: expected SaveCheckpoints, whose files a run goes on from",
    ]


def test_a_users_own_hooks_are_called_and_their_state_goes_on(horses, tiny, tmp_path, monkeypatch):
    called = []

    class CountSteps(Hook):
        steps = 0

        def state_dict(self):
            return {"steps": self.steps}

        def load_state_dict(self, state):
            self.steps = state["steps"]

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert float(outputs["loss"]) > 0
            self.steps += 1

        def after_val_epoch(self, runner, metrics=None):
            called.append((runner.epoch, runner.iter, self.steps, "val/AP" in metrics, "train_subset/AP" in metrics))

    monkeypatch.setitem(HOOKS.module_dict, "CountSteps", CountSteps)
    config = tmp_path / "own.py"
    config.write_text(f"_base_ = {str(configs.PROJECT / DEMO)!r}\ncustom_hooks = [dict(type='CountSteps')]\n")
    given = {"config": str(config), "work_dir": str(tmp_path / "w"), "data_root": str(horses)}
    train(TrainOptions(**given, cfg_options=tiny(**{"train_cfg.max_epochs": 2})))
    train(TrainOptions(**given, cfg_options=tiny(**{"train_cfg.max_epochs": 3}), resume=True))
    assert called == [(1, 4, 4, True, True), (2, 8, 8, True, True), (3, 12, 12, True, True)]


@pytest.mark.parametrize("from_scratch", [False, True])
def test_random_weights_that_nobody_asked_for_are_said(from_scratch):
    """A stock program builds the trainer by its name and loads no weights."""
    said, network = [], SimpleNamespace(is_init=True, state_dict=dict)
    cfg = SimpleNamespace(from_scratch=from_scratch)
    trainer = SimpleNamespace(network=network, resume_point=None, weights=None, cfg=cfg, warn=said.append)
    Trainer._begin(trainer)
    assert ["random weights" in message for message in said] == ([] if from_scratch else [True])
