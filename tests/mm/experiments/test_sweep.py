"""tools/sweep.py: what it tries, ends early, repeats and says. Most trainings here are made up."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from equistera import PROJECT
from equistera.errors import UserError
from equistera.mm.experiments import sweep as module
from equistera.mm.experiments.sweep import SweepOptions, sweep

DEMO = "configs/demo_rtmpose_t.py"
LR = "optim_wrapper.optimizer.lr"
SPACE = f"{LR} = {{ low = 0.001, high = 0.1, log = true }}\n"


class MadeUp:
    """Stands for train.py: leaves the log of a run whose AP grows to its rate, or to what is told; or fails."""

    def __init__(self, epochs=10, failing=lambda number: False, before=lambda number: None, grows_to=()):
        self.commands, self.epochs, self.failing, self.before, self.grows_to = [], epochs, failing, before, grows_to

    def __call__(self, command, changes, log, enough):
        self.commands.append(command)
        number = len(self.commands) - 1
        folder = Path(command[command.index("--work-dir") + 1])
        scalars = folder / "20260101_000000" / "vis_data" / "scalars.json"
        scalars.parent.mkdir(parents=True, exist_ok=True)
        self.before(number)
        log.write_text("some words\nerror: no memory\n")
        if self.failing(number):
            return 1
        (folder / "run.json").write_text(json.dumps({"max_epochs": self.epochs, "steps_per_epoch": 1}))
        rate = float(next(word.partition("=")[2] for word in command if word.startswith(LR)))
        rate = self.grows_to[number] if self.grows_to else rate
        lines = []
        for epoch in range(1, self.epochs + 1):
            lines.append({"epoch": epoch, "iter": epoch, "loss": 1.0})
            lines.append({"step": epoch, "val/AP": rate * epoch / self.epochs})
            scalars.write_text("".join(json.dumps(line) + "\n" for line in lines))
            if enough():
                return 128 + signal.SIGTERM
        return 0


@pytest.fixture
def asked(horses, tiny, tmp_path):
    """Options of a sweep in a folder of its own."""

    def options(space=SPACE, **changes):
        file = tmp_path / "space.toml"
        file.write_text(space)
        values = {"space": str(file), "trials": 6, "out": str(tmp_path / "sweep"), "data_root": str(horses)}
        return SweepOptions(DEMO, **{**values, "cfg_options": tiny(), **changes})

    return options


def rows(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _data_are_not_checked_and_no_pages_drawn(monkeypatch):
    """Other tests say what settling a run says; matplotlib takes longer than all else here, one test draws."""
    monkeypatch.setattr(module, "settle", lambda options: None)
    monkeypatch.setattr(module, "write_page", lambda found, about: ([], ""))


def test_the_first_trial_is_the_config_and_the_best_is_named(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    start = MadeUp()
    page = sweep(asked(prune=False), start)
    assert len(start.commands) == 6
    trials = rows(tmp_path / "sweep")
    assert float(trials[0][LR]) == 0.004
    assert {trial["state"] for trial in trials} == {"complete"}
    # AP is the rate
    assert all(float(trial["score"]) == pytest.approx(float(trial[LR])) for trial in trials)
    said = capsys.readouterr().out
    assert f"Best of 6 complete trials: {max(float(t['score']) for t in trials):.3f}" in said
    assert "The config as it is scored 0.004; the best is" in said
    assert "tools/cross_validate.py" in said
    assert "Importance of each knob" in page.read_text()


def test_more_trials_go_on_and_something_else_is_refused(asked, tmp_path):
    sweep(asked(trials=2), MadeUp())
    start = MadeUp()
    sweep(asked(trials=3), start)
    assert len(start.commands) == 1
    again = MadeUp()
    sweep(asked(trials=3), again)
    assert not again.commands
    with pytest.raises(UserError, match=r"holds a sweep of something else:\n.*prune: True, now False"):
        sweep(asked(prune=False), MadeUp())
    with pytest.raises(UserError, match=r"space: .*0\.001 to 0\.1.*, now .*0\.001 to 0\.2"):
        sweep(asked(space=SPACE.replace("0.1,", "0.2,")), MadeUp())


def test_what_promises_little_is_pruned(asked, tmp_path):
    aps = [0.1, 0.2, 0.3, 0.4, 0.5, 0.29, 0.31]
    sweep(asked(trials=7), MadeUp(grows_to=aps))
    trials = rows(tmp_path / "sweep")
    # the first five show what is usual
    assert [trial["state"] for trial in trials] == ["complete"] * 5 + ["pruned", "complete"]
    # all scores lie on straight lines: after three tenths of the run, the first third, what is below is known
    assert float(trials[5]["score"]) == pytest.approx(0.3 * 0.29)
    start = MadeUp(grows_to=[0.01] * 7)
    sweep(asked(trials=7, prune=False, out=str(tmp_path / "all")), start)
    assert {trial["state"] for trial in rows(tmp_path / "all")} == {"complete"}


def test_equal_scores_choose_nothing_and_say_so(asked, capsys, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "settle", lambda options: None)
    sweep(asked(trials=2), MadeUp(grows_to=[0.2, 0.2]))
    assert "All 2 complete trials scored the same" in capsys.readouterr().out


def test_a_failure_is_told_and_counted_and_where_all_fail_it_ends(asked, tmp_path, capsys):
    sweep(asked(trials=3), MadeUp(failing=lambda number: number == 1))
    assert [trial["state"] for trial in rows(tmp_path / "sweep")] == ["complete", "failed", "complete"]
    assert "trial 1: failed, tools/train.py ended with 1: error: no memory" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"the first 3 trials of this worker failed.*\n.*trial 0: .*no memory"):
        sweep(asked(out=str(tmp_path / "other"), trials=9), MadeUp(failing=lambda number: True))


def test_a_worker_that_is_stopped_gives_its_trial_back(asked, tmp_path, capsys):
    def stop(number):
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(asked(trials=3), MadeUp(before=stop))
    start = MadeUp()
    sweep(asked(trials=3), start)
    trials = rows(tmp_path / "sweep")
    assert [trial["state"] for trial in trials] == ["complete", "lost", "complete", "complete"]
    # it goes on where the other was
    assert (trials[2]["work_dir"], trials[2][LR]) == (trials[1]["work_dir"], trials[1][LR])
    assert "3 trials of 3: 3 complete; lost with their workers: 1" in capsys.readouterr().out


def test_a_trial_of_another_worker_is_left_to_it(asked, tmp_path):
    def join_in(number):
        if number == 0:
            other = MadeUp()
            sweep(asked(trials=2), other)
            assert len(other.commands) == 1

    sweep(asked(trials=2), MadeUp(before=join_in))
    assert [trial["state"] for trial in rows(tmp_path / "sweep")] == ["complete", "complete"]


@pytest.mark.parametrize(
    ("space", "changes", "said"),
    [
        ("optim_wrapper.optimizer.rate = { low = 1, high = 2 }", {}, "no 'rate' in optim_wrapper.optimizer"),
        (SPACE + "nothing.there = { choices = [1, 2] }", {}, "nothing.there: no 'nothing' in the config"),
        ("data_root = { choices = ['a', 'b'] }", {}, "data_root: --data-root decides that"),
        ("'randomness.seed' = { low = 1, high = 9 }", {}, "randomness.seed: another seed makes no better settings"),
        ("train_cfg.max_epochs = { low = 1, high = 9 }", {"max_time": "1h", "cfg_options": []}, "--max-time decides"),
        (SPACE, {"cfg_options": [f"{LR}=1"]}, "--space .* decides that"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_runs(space, changes, said, asked, tmp_path):
    start = MadeUp()
    with pytest.raises(UserError, match=said):
        sweep(asked(space, **changes), start)
    assert not start.commands
    assert not (tmp_path / "sweep").exists()


def test_data_that_no_trial_can_train_on_are_refused_before(asked, tmp_path, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UserError, match="nowhere"):
        sweep(asked(data_root=str(tmp_path / "nowhere")), MadeUp())
    assert not (tmp_path / "sweep").exists()


def test_a_damaged_study_is_named(asked, tmp_path):
    sweep(asked(trials=1), MadeUp())
    with (tmp_path / "sweep" / "study.journal").open("a") as file:
        file.write('{"op_code":\n')
    with pytest.raises(UserError, match=r"study.journal is damaged"):
        sweep(asked(trials=2), MadeUp())


def test_without_optuna_the_command_is_named(run_tool, asked, tmp_path):
    (tmp_path / "optuna").mkdir()
    (tmp_path / "optuna" / "__init__.py").write_text("raise ImportError")
    options = asked()
    words = [DEMO, "--space", options.space, "--trials", "1", "--out", options.out]
    done = run_tool("sweep.py", *words, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}"})
    assert done.returncode == 1
    assert "a sweep needs Optuna, which is not installed\n  pip install -e .[sweep]" in done.stderr


def test_a_plan_says_the_cost_and_writes_nothing(asked, tmp_path, capsys):
    argv = [DEMO, "--out", "o", "--plan"]
    assert sweep(asked(SPACE + "model.dropout = { low = 0, high = 0.2 }", plan=True, argv=argv)) is None
    said = capsys.readouterr().out
    assert re.search(r"model.dropout +0 to 0\.2 +", said)
    assert "first   the config as it is" in said
    assert re.search(r"time    about .* each, .* in all, on this machine, by a few measured steps", said)
    assert "more or less by model.dropout, which change what a trial costs" in said
    assert re.search(r"sbatch --array=1-4 \S*tools/slurm/array.sh \S*tools/sweep.py", said)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.slow
def test_two_workers_share_twelve_trials_and_one_is_killed(asked, tmp_path):
    """Real trainings, real processes: 12 short trials, kill -9 in the midst of one."""
    options = asked(trials=12)
    words = [DEMO, "--space", options.space, "--trials", "12", "--out", options.out, "--data-root", options.data_root]
    command = [sys.executable, str(PROJECT / "tools" / "sweep.py"), *words, "--cfg-options", *options.cfg_options]
    with (tmp_path / "said.txt").open("w") as said:
        workers = [subprocess.Popen(command, stdout=said, stderr=said, cwd=tmp_path) for _ in range(2)]
        journal, deadline = tmp_path / "sweep" / "study.journal", time.monotonic() + 600
        while not (journal.is_file() and journal.read_text().count('"state":1') >= 3):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        workers[0].kill()
        assert workers[1].wait(timeout=1800) == 0, (tmp_path / "said.txt").read_text()
    # whose training the dead one left running, the survivor may not have waited for
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "12 trials of 12: " in done.stdout
    assert "lost with their workers: 1" in done.stdout
    told = (tmp_path / "said.txt").read_text() + done.stderr
    assert "is lost, its worker has gone" in told
    trials = rows(tmp_path / "sweep")
    assert len(trials) == 13
    states = [trial["state"] for trial in trials]
    assert states.count("lost") == 1
    assert {*states} <= {"lost", "complete", "pruned"}
    lost = trials[states.index("lost")]
    (other,) = [trial for trial in trials if trial["work_dir"] == lost["work_dir"] and trial is not lost]
    assert other[LR] == lost[LR]
    print(done.stdout, told, sep="\n")


def test_a_study_can_be_read_without_us(asked, tmp_path):
    import optuna

    sweep(asked(trials=2), MadeUp())
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep" / "study.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(journal))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
