"""tools/learning_curve.py: what it trains, what it repeats, what it says. The trainings here are made up."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from equistera import skeleton
from equistera.errors import UserError
from equistera.mm.labelling.learning_curve import CurveOptions, learning_curve

NAMES = skeleton.load("horse26").names


class MadeUp:
    """Stands for train.py and test.py: leaves scores that grow with the pictures."""

    def __init__(self, failing=""):
        self.commands, self.failing = [], failing

    def __call__(self, command, changes, log):
        self.commands.append(command)
        training = command[1].endswith("train.py")
        folder = Path(command[command.index("--work-dir") + 1] if training else command[2])
        folder.mkdir(parents=True, exist_ok=True)
        if training and self.failing and self.failing in folder.name:
            log.write_text("some words\nerror: no memory\n")
            return 1
        if training:
            (folder / "best.pth").touch()
            return 0
        size, seed = int(folder.name[1:6]), int(folder.name[-1])
        error = 0.9 * (size / 4) ** -0.5 * (1 + 0.02 * seed)
        row = {"PCK@0.1": 1 - error, "points": 50}
        scores = dict.fromkeys(("AP", "AP50", "AP75", "AR", "PCK@0.1"), 1 - error)
        scores |= {"normalised_error": error / 5, "median_px": 3.0, "animals": 50, "pictures": 40}
        split = folder / command[command.index("--split") + 1]
        split.mkdir(exist_ok=True)
        (split / "metrics.json").write_text(json.dumps({**scores, "per_keypoint": dict.fromkeys(NAMES, row)}))
        return 0

    @property
    def trained(self):
        return [Path(c[c.index("--work-dir") + 1]).name for c in self.commands if "--resume" in c]


@pytest.fixture(autouse=True)
def _no_pages_are_drawn(monkeypatch):
    """Matplotlib takes longer than all else here; tests/benchmarks draw one, of real trainings."""
    monkeypatch.setattr("equistera.mm.labelling.learning_curve.page", lambda *asked: "")


@pytest.fixture
def asked(horses, tiny, tmp_path):
    """Options of a curve in a folder of its own."""

    def options(**changes):
        values = {"sizes": (4, 8, 12), "seeds": 2, "predict": (48, 100), "work_dir": str(tmp_path / "curve")}
        values |= {"data_root": str(horses), "cfg_options": tiny(), **changes}
        return CurveOptions("configs/demo_rtmpose_t.py", **values)

    return options


def overrides(command):
    return dict(word.partition("=")[::2] for word in command[command.index("--cfg-options") + 1 :])


def test_each_size_gets_the_same_steps_and_only_its_own_pictures(asked, tmp_path):
    start = MadeUp()
    learning_curve(asked(), start)
    trained = [c for c in start.commands if "--resume" in c]
    assert len(trained) == 6
    pictures = {}
    for command in trained:
        own = overrides(command)
        part = json.loads(Path(own["train_dataloader.dataset.ann_file"].strip("'")).read_text())
        name = Path(command[command.index("--work-dir") + 1]).name
        pictures[name] = {image["file_name"] for image in part["images"]}
        steps = int(own["train_cfg.max_epochs"]) * (len(part["annotations"]) // 4)
        # 3 epochs of 4 steps, to half an epoch
        assert abs(steps - 3 * 4) <= 3
        assert own["train_cfg.val_interval"] == own["default_hooks.checkpoint.interval"]
    assert pictures["n00004-seed0"] < pictures["n00008-seed0"] < pictures["n00012-seed0"]
    assert pictures["n00004-seed0"] != pictures["n00004-seed1"]


def test_what_is_done_is_not_done_again_and_what_failed_is(asked, capsys):
    with pytest.raises(UserError, match=r"1 of 6 trainings failed; the others are done:\n.*error: no memory"):
        learning_curve(asked(), MadeUp(failing="n00008-seed1"))
    again = MadeUp()
    learning_curve(asked(), again)
    assert again.trained == ["n00008-seed1"]
    once_more = MadeUp()
    assert learning_curve(asked(), once_more).is_file()
    assert not once_more.commands
    assert "6 of 6 trainings are done already" in capsys.readouterr().err


def test_a_later_size_is_set_beside_what_was_said_before(asked, tmp_path, capsys):
    learning_curve(asked(sizes=(4, 8), predict=(12,)), MadeUp())
    before = json.loads((tmp_path / "curve" / "curve.json").read_text())
    later = MadeUp()
    learning_curve(asked(sizes=(12,), predict=(48,), fit_up_to=8), later)
    assert later.trained == ["n00012-seed0", "n00012-seed1"]
    after = json.loads((tmp_path / "curve" / "curve.json").read_text())
    ap = next(check for check in after["checks"] if check["measure"] == "AP")
    assert ap["interval"] == before["scores"]["AP"]["predictions"]["12"]["interval"]
    assert ap["came"] == pytest.approx(1 - 0.9 * 3**-0.5 * 1.01)
    assert "inside: 7 of 7" in capsys.readouterr().out


def test_a_curve_of_something_else_is_refused(asked, tmp_path):
    learning_curve(asked(), MadeUp())
    with pytest.raises(UserError, match=r"holds a learning curve of something else.*\n.*group_by: none, now folder"):
        learning_curve(asked(group_by="folder"), MadeUp())
    with pytest.raises(UserError, match="steps: 12, now 7"):
        learning_curve(asked(steps=7), MadeUp())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").touch()
    with pytest.raises(UserError, match="is the work dir of a training"):
        learning_curve(asked(work_dir=str(tmp_path / "run")), MadeUp())


def test_a_job_of_an_array_does_its_own(asked, tmp_path, capsys):
    for job in range(1, 7):
        start = MadeUp()
        assert learning_curve(asked(only=job), start) is None
        assert len(start.trained) == 1
    assert "training 6 of 6 is done, 0 are not" in capsys.readouterr().out
    assert not (tmp_path / "curve" / "curve.html").exists()
    start = MadeUp()
    assert learning_curve(asked(), start).is_file()
    assert not start.commands
    with pytest.raises(UserError, match="--only 7: there are 6 trainings"):
        learning_curve(asked(only=7), start)


def test_a_plan_says_the_cost_and_writes_nothing(asked, tmp_path, capsys):
    argv = ["configs/demo_rtmpose_t.py", "--work-dir", "w", "--plan"]
    assert learning_curve(asked(plan=True, argv=argv), MadeUp()) is None
    said = capsys.readouterr().out
    assert "about 12 optimiser steps for each size" in said
    assert "time    about" in said
    assert re.search(r"sbatch --array=1-6 \S*tools/slurm/array.sh \S*tools/learning_curve.py .* --only TASK", said)
    assert "--plan" not in said
    assert not (tmp_path / "curve").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sizes": (4, 99)}, "--sizes 99: the training set has 12 pictures"),
        ({"sizes": (1, 8)}, "do not fill a batch of 4"),
        ({"sizes": (8,)}, "needs two sizes at least"),
        ({"fit_up_to": 7}, "needs two sizes at least, found 4 up to --fit-up-to 7"),
        ({"max_time": "1h"}, "--max-time and --cfg-options train_cfg.max_epochs=3 decide the same"),
        ({"max_time": "soon", "cfg_options": []}, "is no time"),
        ({"cfg_options": ["randomness.seed=1"]}, "--seeds decides that"),
    ],
)
def test_what_gives_no_curve_is_refused(changes, said, asked):
    start = MadeUp()
    with pytest.raises(UserError, match=said):
        learning_curve(asked(**changes), start)
    assert not start.commands


def test_keypoint_groups_hold_every_point_once():
    from equistera.labelling.curve_results import keypoint_groups

    for name in skeleton.builtin_names():
        known = skeleton.load(name)
        assert sorted(k for points in keypoint_groups(known).values() for k in points) == [*range(len(known))]
    assert np.size(keypoint_groups(skeleton.load("horse26"))["middle line"]) == 6
