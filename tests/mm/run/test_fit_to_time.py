"""``--max-time``: real runs on a clock that the test turns, so that nothing depends on how busy the machine is."""

import json
import re
import runpy
import time
import types

import pytest

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.data.loading import ResumableSampler
from equistera.mm.network import checkpoint
from equistera.mm.run import fit_to_time, loop, preflight
from equistera.mm.run.network_check import build_checked
from equistera.mm.run.train import TrainOptions, train
from equistera.mm.run.trainer import Trainer
from equistera.training import fit as fits
from equistera.training.fit import Costs, Fit, StepTime

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture
def small(tiny):
    """The length is what --max-time decides."""
    return lambda **changes: [option for option in tiny(**changes) if not option.startswith("train_cfg.")]


@pytest.fixture
def three_phases(tmp_path):
    """The demo's config with the phases of the main ones."""
    path = tmp_path / "three_phases.py"
    phases = runpy.run_path(str(configs.PROJECT / "configs/_base_/schedules/three_phase.py"))["strategy"]["phases"]
    path.write_text(f"_base_ = {str(configs.PROJECT / DEMO)!r}\nstrategy = dict(phases={phases})\n")
    return str(path)


class Clock:
    """Seconds that pass only where a step or an evaluation takes them."""

    def __init__(self, step: float, evaluation: float):
        self.now, self.step, self.evaluation = 0.0, step, evaluation

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def machine(monkeypatch):
    """A machine measured at 1 s for a step and 4 s for an evaluation, which then turns out as the test says."""

    def make(step: float, evaluation: float) -> Clock:
        clock = Clock(step, evaluation)
        measured = Costs((StepTime(0, 1.0),), evaluation=4.0, epoch=0.0, start_up=5.0)
        monkeypatch.setattr("equistera.mm.run.train.measure", lambda *_: measured)
        for module in (fits, loop):
            monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=clock.monotonic))
        ran, evaluated, begin = Trainer.call_hook, loop.EvaluationLoop.run, fits.Clock.begin

        def call_hook(self, name, **kwargs):
            if name == "after_train_iter":
                clock.now += clock.step
            ran(self, name, **kwargs)

        def run_evaluation(self):
            clock.now += clock.evaluation
            return evaluated(self)

        monkeypatch.setattr(Trainer, "call_hook", call_hook)
        monkeypatch.setattr(loop.EvaluationLoop, "run", run_evaluation)
        # what goes by before the first step
        monkeypatch.setattr(
            fits.Clock, "begin", lambda self, _, epochs: begin(self, clock.now - measured.start_up, epochs)
        )
        return clock

    return make


def run(horses, work_dir, options, **changes):
    given = {"config": DEMO, "work_dir": str(work_dir), "data_root": str(horses), "cfg_options": options, **changes}
    return train(TrainOptions(**given))


@pytest.mark.parametrize(("step", "evaluation"), [(1.0, 4.0), (1.6, 7.0), (0.7, 2.0)])
def test_a_run_ends_within_five_percent_of_its_time(horses, small, tmp_path, three_phases, machine, step, evaluation):
    clock = machine(step, evaluation)
    work = run(horses, tmp_path / "run", small(), max_time="100s", config=three_phases)
    assert 95 <= 5.0 + clock.now <= 100
    record = json.loads((work / "run.json").read_text())
    done = checkpoint.load(work / "latest.pth")["meta"]["epoch"]
    assert done == record["max_epochs"]
    assert [phase["name"] for phase in record["phases"]] == ["head adaptation", "fine-tuning", "full training"]
    assert record["phases"][-1]["end"] == done
    scalars = [json.loads(line) for line in next(work.glob("*/vis_data/scalars.json")).read_text().splitlines()]
    # the end is evaluated, whenever it comes
    assert [entry["step"] for entry in scalars if "val/AP" in entry][-1] == done
    rates = [entry["lr/head"] for entry in scalars if "lr/head" in entry]
    assert rates.index(max(rates)) < len(rates) / 4
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize(("step", "evaluation"), [(1.6, 7.0), (0.7, 2.0)])
def test_a_run_that_accumulates_gradients_may_change_its_length(horses, small, tmp_path, machine, step, evaluation):
    """Three steps accumulate for an update and an epoch has four: two updates an epoch, whatever its length."""
    machine(step, evaluation)
    options = small(**{"optim_wrapper.accumulative_counts": 3})
    content = checkpoint.load(run(horses, tmp_path / "run", options, max_time="100s") / "latest.pth")
    assert len(content["meta"]["lengths"]) > 1
    updates = {int(state["step"]) for state in content["optimizer"]["state"].values()}
    assert updates == {2 * content["meta"]["epoch"]}


def test_measuring_may_take_more_steps_than_the_run_has(horses, small, monkeypatch, tmp_path):
    config = configs.load(DEMO, small(**{"optim_wrapper.accumulative_counts": 3}), data_root=str(horses))
    preflight.finish(config, None)
    config.from_scratch, config.launcher = False, "none"
    monkeypatch.setitem(fit_to_time._STEPS, "cpu", (10, 3))
    assert fit_to_time.measure(config, build_checked(config), 0.0, tmp_path).steps[0].seconds > 0


def test_a_resumed_run_keeps_its_plan_and_its_clock(horses, small, tmp_path, machine, monkeypatch, capsys):
    from equistera.mm.run.saving import SaveCheckpoints

    class Killed(Exception):
        pass

    # saved every 10 epochs, after an evaluation
    clock = machine(1.5, 4.0)
    saved = SaveCheckpoints._save

    def save_then_die(self, runner, *args, **kwargs):
        saved(self, runner, *args, **kwargs)
        if runner.epoch > 5 and (tmp_path / "run" / "latest.pth").exists():
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SaveCheckpoints, "_save", save_then_die)
        with pytest.raises(Killed):
            run(horses, tmp_path / "run", small(), max_time="100s")
    stopped_at = checkpoint.load(tmp_path / "run" / "latest.pth")["meta"]["epoch"]
    assert stopped_at < json.loads((tmp_path / "run" / "run.json").read_text())["max_epochs"]
    with pytest.raises(UserError, match="--max-time 3 min 20 s: the run that is resumed was fitted to 1 min 40 s"):
        run(horses, tmp_path / "run", small(), resume=True, max_time="200s")
    capsys.readouterr()
    # the start of the program counts a second time
    run(horses, tmp_path / "run", small(), resume=True)
    assert 95 <= 10.0 + clock.now <= 101
    assert "fitted to 1 min 40 s" in capsys.readouterr().out
    done = checkpoint.load(tmp_path / "run" / "latest.pth")["meta"]["epoch"]
    assert done == json.loads((tmp_path / "run" / "run.json").read_text())["max_epochs"] > stopped_at


def test_a_resumed_run_goes_on_with_the_time_that_it_has_taken():
    clock = fits.Clock(Fit(100, Costs((StepTime(0, 1.0),), evaluation=4.0), 20, 4, 5))
    clock.load_state_dict({"elapsed": 40.0, "paces": [1.3], "evaluations": []})
    began = time.monotonic()
    clock.begin(began, 20)
    assert 40 <= clock.elapsed <= 40 + time.monotonic() - began


def test_a_run_that_was_not_fitted_cannot_be_given_a_time_later(horses, trained):
    with pytest.raises(UserError, match="--max-time 1 min 00 s: the run that is resumed was not fitted to a time"):
        run(horses, trained, [], resume=True, max_time="1m")


def test_measuring_times_every_set_of_open_stages_and_leaves_nothing(horses, small, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(elsewhere := tmp_path / "elsewhere"))
    elsewhere.mkdir()
    # on the disk of the work dir, whose speed counts
    disk = tmp_path / "disk"
    disk.mkdir()
    saved, save = [], checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda path, content: (saved.append(path), save(path, content)))
    options = small(**{"strategy.opens_at.stage3": 1 / 3, "strategy.opens_at.stage2": 2 / 3})
    config = configs.load(DEMO, options, data_root=str(horses))
    preflight.finish(config, None)
    config.from_scratch, config.launcher = False, "none"
    costs = fit_to_time.measure(config, build_checked(config), 0.0, disk / "runs" / "new")
    assert [step.start for step in costs.steps] == pytest.approx([0, 1 / 3, 2 / 3])
    assert all(step.seconds > 0 for step in costs.steps)
    assert costs.evaluation > 0 < costs.epoch
    assert costs.start_up > 0
    assert {path.parents[1] for path in saved} == {disk}
    assert list(disk.iterdir()) == list(elsewhere.iterdir()) == []
    assert config.train_cfg.max_epochs == 36


def test_a_plan_estimates_its_time_by_a_few_steps_and_leaves_nothing(horses, small, tmp_path, capsys):
    (tmp_path / "disk").mkdir()
    run(horses, tmp_path / "disk" / "run", small(), plan=True, json=str(tmp_path / "plan.json"))
    shown = capsys.readouterr()
    assert re.search(r"^  time      about .* on this machine, by a few measured steps$", shown.out, re.MULTILINE)
    assert "measuring a few steps" in shown.err
    assert json.loads((tmp_path / "plan.json").read_text())["time"]["expected_seconds"] > 0
    assert not list((tmp_path / "disk").iterdir())


def test_the_plan_says_what_was_fitted_and_runs_nothing(horses, small, tmp_path, three_phases, machine, capsys):
    machine(1.0, 4.0)
    # the pictures give 4 steps an epoch; 3 epochs of them do not fit
    run(horses, tmp_path / "run", small(), max_time="18s", plan=True, config=three_phases)
    text = capsys.readouterr().out
    assert "fitted to 18 s" in text
    assert "of 4 batches an epoch" in text
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="10 s are too short: 5 s have gone by before the first step"):
        run(horses, tmp_path / "run", small(), max_time="10s", plan=True)
    with pytest.raises(UserError, match="'10' is no time"):
        run(horses, tmp_path / "run", small(), max_time="10", plan=True)


def test_a_length_that_the_time_would_overwrite_is_refused(horses, small, tmp_path):
    for given in ("train_cfg.max_epochs=4", "train_cfg.val_interval=2"):
        with pytest.raises(UserError, match=f"--max-time and --cfg-options {given} decide the same"):
            run(horses, tmp_path / "run", [*small(), given], max_time="100s", plan=True)
    with pytest.raises(UserError, match=r"--amp and --cfg-options model\.precision=None decide the same"):
        run(horses, tmp_path / "run", [*small(), "model.precision=None"], amp=True, plan=True)


def test_short_epochs_see_all_pictures_in_turn():
    sampler = ResumableSampler(range(20), most=8, seed=3)
    seen = set()
    for epoch in range(12):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == len(set(drawn)) == len(sampler) == 8
        seen |= set(drawn)
    assert seen == set(range(20))
    assert len(ResumableSampler(range(5), most=8, seed=3)) == 5
