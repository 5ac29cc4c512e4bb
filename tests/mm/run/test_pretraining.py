"""Pre-training on rendered horses: small runs for real, and what is refused before anything is rendered."""

import json
import shutil

import pytest

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.network import checkpoint
from equistera.mm.run import pretraining
from equistera.mm.run.pretraining import FEWEST, MOST, PretrainOptions, affordable, picture_size, pretrain, recipe
from equistera.mm.run.settle import settle
from equistera.training.options import TrainOptions, with_record

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture(autouse=True, scope="module")
def _few_stand_for_all():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "FEW", {"train": 3, "val": 1})
        yield


@pytest.fixture(scope="module")
def options(tiny):
    def make(folder, **given):
        changes = {
            "train_cfg.max_epochs": 1,
            "train_dataloader.batch_size": 2,
            "training_subset.pictures": 2,
            "norm_statistics.pictures": 2,
            **given.pop("changes", {}),
        }
        return PretrainOptions(DEMO, str(folder), pictures=4, cfg_options=tiny(**changes), **given)

    return make


@pytest.fixture(scope="module")
def made(options, tmp_path_factory):
    """Folder of a pre-training with the points of AnimalPose; not to be changed."""
    return pretrain(options(tmp_path_factory.mktemp("pretraining") / "made", skeleton="animalpose"))


def test_it_leaves_weights_that_a_run_starts_from(made, horses, tiny, tmp_path):
    meta = checkpoint.load(made / "best.pth")["meta"]
    assert meta["skeleton"]["name"] == "animalpose"
    assert meta["from_scratch"]
    assert len(json.loads((made / "horses/annotations/train.json").read_text())["images"]) == 4
    run = TrainOptions(DEMO, str(tmp_path / "run"), str(horses), init=str(made / "best.pth"), cfg_options=tiny())
    spec = settle(with_record(run))
    assert spec.weights.path == made / "best.pth"
    assert not spec.config.from_scratch


def test_it_says_what_nothing_teaches_what_it_cost_and_what_comes_next(made, options, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    # stopped while the horses were rendered: their annotations come last
    (folder / "horses/annotations/val.json").unlink()
    for path in [*folder.glob("*.pth"), folder / "run.json"]:
        path.unlink()
    pretrain(options(folder, resume=True))
    said = capsys.readouterr().out
    assert "17 of 20 points; nothing teaches Throat, L_B_Elbow, R_B_Elbow" in said
    assert "horses: 4 pictures of 160x120 to train, 8 to validate" in said
    assert "--skeleton animalpose --init" in said
    assert "cost:" in said
    for split in ("train", "val"):
        name = f"horses/annotations/{split}.json"
        assert (folder / name).read_bytes() == (made / name).read_bytes()
    one, other = (checkpoint.load(root / "best.pth")["state_dict"] for root in (folder, made))
    assert all(one[name].equal(other[name]) for name in other)


def test_a_finished_one_is_told_again_and_not_replaced(made, options, capsys):
    before = (made / "best.pth").read_bytes()
    pretrain(options(made, resume=True))
    assert "the horses are rendered" in (said := capsys.readouterr().out)
    assert "finished" in said
    with pytest.raises(UserError, match="holds a pre-training already") as refusal:
        pretrain(options(made))
    assert "--resume" in refusal.value.hint
    assert (made / "best.pth").read_bytes() == before


def test_a_plan_writes_nothing(options, horses, tmp_path, capsys):
    pretrain(options(tmp_path / "out", plan=True, backdrops=str(horses / "images" / "train")))
    said = capsys.readouterr().out
    assert "before 12 photos" in said
    assert "4 (" in said
    assert "light augmentation" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resume": True}, "holds no pre-training to go on with"),
        ({"changes": {"model.head.in_channels": 24}}, "cannot be built"),
        ({"max_time": "1h"}, "decide the same"),
        ({"max_time": "0.01s"}, "leaves too little to learn"),
        ({"backdrops": "nowhere"}, "no such folder"),
        ({"init": "nowhere.pth"}, "no such checkpoint"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_rendered(options, tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        pretrain(options(tmp_path / "out", **given))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_horses_of_something_else_is_left_alone(options, tmp_path):
    (tmp_path / "out" / "horses").mkdir(parents=True)
    with pytest.raises(UserError, match="horses is there already, from something else"):
        pretrain(options(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["horses"]


def test_a_skeleton_whose_points_nobody_can_draw_is_refused(options, tmp_path):
    path = tmp_path / "elephant.json"
    path.write_text('{"keypoints": [{"name": "trunk_tip", "half": "upper", "sigma": 0.05}]}')
    with pytest.raises(UserError, match="knows none of the points"):
        pretrain(options(tmp_path / "out", skeleton=str(path)))


def test_what_a_pre_training_was_begun_with_is_found_from_any_folder(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.json").write_text("{}")
    # a folder that happens to have the name of a skeleton is none
    (tmp_path / "animalpose").mkdir()
    for skeleton, kept in (("own.json", str(tmp_path / "own.json")), ("animalpose", "animalpose")):
        record = pretraining._record(options("out", skeleton=skeleton, backdrops="animalpose"))
        assert (record["skeleton"], record["backdrops"]) == (kept, str(tmp_path / "animalpose"))


def test_rendering_takes_a_tenth_of_the_time_within_limits():
    assert affordable(None, 1) == affordable(1e9, 1) == MOST
    assert affordable(60, 1) == FEWEST
    assert affordable(10000, 1) == 1000


def test_pictures_suit_the_networks_input():
    assert picture_size((256, 256)) == (640, 480)
    assert picture_size((128, 128)) == (320, 240)


def test_all_stages_learn_unless_the_user_says_otherwise():
    given = ["strategy.tier_lr.head=0.002", "train_dataloader.dataset.augmentation=balanced"]
    config = configs.load("configs/rtmpose_m_ap10k.py")
    (opens,) = recipe(config, given)
    resolved = configs.load("configs/rtmpose_m_ap10k.py", [opens, *given])
    assert set(resolved.strategy.opens_at.values()) == {0}
    assert {*resolved.strategy.opens_at} == {"stem", "stage1", "stage2", "stage3", "stage4", "head"}
    assert len(recipe(config, [])) == 3


def test_the_rendered_config_begins_where_the_tool_leaves_its_weights():
    config = configs.load("configs/rtmpose_m_rendered.py")
    assert configs.resolve_path(config.pretrained) == PretrainOptions("configs/rtmpose_m_ap10k.py").folder / "best.pth"
