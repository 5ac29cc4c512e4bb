"""tools/cross_validate.py: what it trains on, what it repeats, what it says. The trainings here are made up."""

import json
import re
from pathlib import Path

import pytest

from equistera import skeleton
from equistera.errors import UserError
from equistera.mm.experiments.cross_validate import CrossOptions, cross_validate

NAMES = skeleton.load("horse26").names


class MadeUp:
    """Stands for train.py and test.py: leaves scores that differ by fold and seed."""

    def __init__(self):
        self.commands = []

    def __call__(self, command, changes, log):
        self.commands.append(command)
        training = command[1].endswith("train.py")
        folder = Path(command[command.index("--work-dir") + 1] if training else command[2])
        folder.mkdir(parents=True, exist_ok=True)
        if training:
            (folder / "best.pth").touch()
            return 0
        fold, seed = map(int, re.findall(r"\d+", folder.name))
        score = 0.5 + 0.1 * fold + 0.01 * seed
        scores = dict.fromkeys(("AP", "AP75", "PCK@0.1", "normalised_error"), score)
        row = {"PCK@0.1": score, "points": 5}
        (folder / "test").mkdir(exist_ok=True)
        (folder / "test" / "metrics.json").write_text(json.dumps({**scores, "per_keypoint": dict.fromkeys(NAMES, row)}))
        return 0

    @property
    def trained(self):
        return [command for command in self.commands if "--resume" in command]


@pytest.fixture
def asked(horses, tiny, tmp_path):
    def options(**changes):
        values = {"out": str(tmp_path / "folds"), "folds": 4, "data_root": str(horses), "cfg_options": tiny()}
        return CrossOptions("configs/demo_rtmpose_t.py", **{**values, "group_by": "none", **changes})

    return options


def overrides(command):
    return dict(word.partition("=")[::2] for word in command[command.index("--cfg-options") + 1 :])


def test_no_picture_has_a_say_in_its_own_score(asked):
    start = MadeUp()
    cross_validate(asked(seeds=2), start)
    assert len(start.trained) == 8
    scored = []
    for command in start.trained:
        own, names = overrides(command), {}
        for split in ("train", "val", "test"):
            content = json.loads(Path(own[f"{split}_dataloader.dataset.ann_file"].strip("'")).read_text())
            names[split] = {image["file_name"] for image in content["images"]}
            place = Path(own[f"{split}_dataloader.dataset.data_prefix.img"].strip("'"))
            assert all((place / name).is_file() for name in names[split])
        # 12 + 4 pictures, and none of the test set; none in two of them
        assert len(set().union(*names.values())) == sum(map(len, names.values())) == 16
        assert not any(name.startswith("test/") for name in names["test"])
        if command[command.index("--seed") + 1] == "0":
            scored += names["test"]
    assert len(scored) == len({*scored}) == 16


def test_the_summary_holds_folds_seeds_and_keypoints(asked, tmp_path, capsys):
    page = cross_validate(asked(seeds=2), MadeUp())
    said = capsys.readouterr().out
    assert re.search(r"AP +0\.755 +0\.\d+ to \d\.\d+ +0\.129 +0\.605 to 0\.905 +0\.007", said)
    assert "Folds differ by 0.129 (sd), seeds of one fold by 0.007." in said
    told = json.loads((tmp_path / "folds" / "cross_validation.json").read_text())
    assert told["scores"]["AP"]["mean"] == pytest.approx(0.755)
    assert {*told["keypoints"]} == {*NAMES}
    assert len((tmp_path / "folds" / "folds.csv").read_text().splitlines()) == 9
    assert "Nadeau and Bengio" in page.read_text()
    again = MadeUp()
    cross_validate(asked(seeds=2), again)
    assert not again.commands
    # one more seed is added to what is there
    more = MadeUp()
    cross_validate(asked(seeds=3), more)
    assert len(more.trained) == 4


def test_a_job_of_an_array_does_its_own(asked, tmp_path, capsys):
    for job in range(1, 5):
        start = MadeUp()
        assert cross_validate(asked(only=job), start) is None
        assert len(start.trained) == 1
    assert "training 4 of 4 is done, 0 are not" in capsys.readouterr().out
    assert not (tmp_path / "folds" / "cross_validation.html").exists()
    with pytest.raises(UserError, match="--only 5: there are 4 trainings"):
        cross_validate(asked(only=5), MadeUp())


def test_a_plan_writes_nothing(asked, tmp_path, capsys):
    assert cross_validate(asked(plan=True, argv=["c.py", "--out", "o", "--plan"])) is None
    said = capsys.readouterr().out
    assert "16 pictures in 16 groups" in said
    assert re.search(r"fold 1, seed 0 +8 +4 +4 +not begun", said)
    assert re.search(r"sbatch --array=1-4 \S*array.sh \S*tools/cross_validate.py c.py --out o --only TASK", said)
    assert not (tmp_path / "folds").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"folds": 2}, "--folds 2: a fold is scored, another chooses the weights"),
        ({"folds": 99}, "cannot fill 99 folds"),
        ({"cfg_options": ["randomness.seed=1"]}, "--seeds decides that"),
        ({"cfg_options": ["train_dataloader.dataset.ann_file=x"]}, "a fold decides that"),
    ],
)
def test_what_gives_no_folds_is_refused(changes, said, asked, tmp_path):
    start = MadeUp()
    with pytest.raises(UserError, match=said):
        cross_validate(asked(**changes), start)
    assert not start.commands
    assert not (tmp_path / "folds").exists()


def test_folds_of_something_else_are_refused(asked):
    cross_validate(asked(), MadeUp())
    with pytest.raises(UserError, match="holds folds of something else, which differ in: folds"):
        cross_validate(asked(folds=5), MadeUp())


@pytest.mark.slow
def test_real_folds(asked, tmp_path, capsys):
    cross_validate(asked(folds=3))
    said = capsys.readouterr().out
    assert "over 3 folds, none of whose pictures" in said
    assert len((tmp_path / "folds" / "folds.csv").read_text().splitlines()) == 4
    print(said)
