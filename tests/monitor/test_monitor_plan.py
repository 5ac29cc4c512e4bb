import json

import pytest

from equistera.errors import UserError
from equistera.monitor.plan import Phase, Plan, read_plan

PHASES = [{"name": "head", "start": 0, "end": 100}, {"name": "full", "start": 100, "end": 300}]
CONFIG = """
default_hooks = dict(checkpoint=dict(interval=5, type='CheckpointHook'))
optim_wrapper = dict(
    optimizer=dict(lr=0.004, type='AdamW', weight_decay=0.05), type='OptimWrapper')
train_cfg = dict(by_epoch=True, max_epochs=210, val_interval=10)
"""


def test_run_file(tmp_path):
    content = {"config": "c.py", "max_epochs": 300, "steps_per_epoch": 40, "phases": PHASES, "skeleton": "horse26"}
    (tmp_path / "run.json").write_text(json.dumps(content))
    (tmp_path / "config.py").write_text(CONFIG)
    plan = read_plan(tmp_path, tmp_path / "config.py")
    assert plan == Plan("c.py", 300, 40, (Phase("head", 0, 100), Phase("full", 100, 300)), base_lr=0.004)


def test_foreign_run_takes_the_dumped_config(tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    assert read_plan(tmp_path, tmp_path / "config.py") == Plan(max_epochs=210, base_lr=0.004)


def test_nothing_known(tmp_path):
    assert read_plan(tmp_path, tmp_path / "config.py") == Plan()


def test_dumped_config_is_not_executed(tmp_path):
    trap = tmp_path / "trap"
    (tmp_path / "config.py").write_text(f"open({str(trap)!r}, 'w')\nx = open({str(trap)!r}, 'w')\n{CONFIG}")
    assert read_plan(tmp_path, tmp_path / "config.py").max_epochs == 210
    assert not trap.exists()


@pytest.mark.parametrize(
    "config",
    [
        "train_cfg = dict(max_epochs=",
        "train_cfg = 7",
        "train_cfg = dict(max_epochs='300')",
        "train_cfg = dict(max_epochs=True)",
        "train_cfg = dict(max_epochs=-1)\noptim_wrapper = dict(optimizer=dict(lr=None))",
        "train_cfg = dict(**x)\na, b = 1, 2",
        "\0",
        "(" * 5000,
    ],
)
def test_odd_config_says_nothing(tmp_path, config):
    (tmp_path / "config.py").write_text(config)
    assert read_plan(tmp_path, tmp_path / "config.py") == Plan()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([1], "should be an object, found [1]"),
        ({"max_epochs": 0}, "max_epochs: Input should be greater than 0, found 0"),
        ({"steps_per_epoch": "40"}, "steps_per_epoch: Input should be a valid integer, found 40"),
        ({"config": 3}, "config: Input should be a valid string, found 3"),
        ({"validation": 5}, "validation: Input should be a valid string, found 5"),
        ({"phases": "x"}, "phases: Input should be a valid array, found x"),
        ({"phases": [{"name": "a", "start": 5, "end": 5}]}, "phase 'a' must start before it ends"),
        ({"phases": [{"name": "a", "end": 5}]}, "phases[0].start: Field required"),
        ({"phases": [{"name": "a", "start": 0, "end": 10**400}]}, "phases[0].end: Input should be a finite number"),
        ({"phases": PHASES[::-1]}, "'head' starts at 0 before 'full' ends at 300"),
    ],
)
def test_broken_run_file(tmp_path, content, problem):
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"run\.json") as caught:
        read_plan(tmp_path, tmp_path / "config.py")
    assert problem in str(caught.value)


def test_all_problems_of_a_run_file_at_once(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"max_epochs": -1, "steps_per_epoch": 1.5, "config": []}))
    with pytest.raises(UserError) as caught:
        read_plan(tmp_path, tmp_path / "config.py")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(("position", "name"), [(0, "head"), (99.9, "head"), (100, "full"), (300, "full")])
def test_phase_at(position, name):
    assert Plan(phases=(Phase("head", 0, 100), Phase("full", 100, 300))).phase_at(position).name == name


def test_phase_at_without_phases():
    assert Plan().phase_at(3) is None
