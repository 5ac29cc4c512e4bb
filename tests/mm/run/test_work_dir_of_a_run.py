"""What a new run does with a work dir that is not empty."""

import shutil

import pytest

from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.run.train import TrainOptions, train

DEMO = "configs/demo_rtmpose_t.py"


def run(horses, work_dir, options, **changes):
    given = {"config": DEMO, "work_dir": str(work_dir), "data_root": str(horses), "cfg_options": options, **changes}
    return train(TrainOptions(**given))


@pytest.fixture
def one_epoch(tiny):
    return tiny(**{"train_cfg.max_epochs": 1})


@pytest.fixture
def earlier(trained, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(trained, tmp_path / "run")


def contents(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_begins_has_a_folder_of_its_own_and_touches_none(horses, one_epoch, earlier, capsys):
    """It may start from the weights of the run whose name it takes, and its cache may lie there."""
    before = contents(earlier)
    cache = str(earlier / "crops")
    work = run(horses, earlier, one_epoch, init=str(earlier / "best.pth"), cache=cache)
    assert work == earlier.with_name("run-2")
    out = capsys.readouterr().out
    assert f"{work} is for this run: {earlier} holds one already" in out
    assert f"weights  {earlier / 'best.pth'}" in out
    assert checkpoint.load(work / "latest.pth")["meta"]["epoch"] == 1
    after = contents(earlier)
    assert {path: after[path] for path in before} == before
    assert {path.relative_to(earlier).parts[0] for path in after.keys() - before.keys()} == {"crops"}
    with pytest.raises(UserError, match="cannot lie in the work dir"):
        run(horses, earlier.with_name("new"), one_epoch, cache=str(earlier.with_name("new")))


def test_a_run_is_resumed_where_it_is_named_or_in_the_newest_of_the_configs_name(
    horses, one_epoch, earlier, monkeypatch, capsys
):
    monkeypatch.setattr("equistera.training.options.PROJECT", earlier.parent)
    newest = shutil.copytree(earlier, earlier.parent / "work_dirs" / "demo_rtmpose_t-2")
    shutil.copytree(earlier, newest.with_name("demo_rtmpose_t"))
    more = ["train_cfg.max_epochs=4"]
    assert run(horses, newest.with_name("demo_rtmpose_t"), [], config=None, resume=True).name == "demo_rtmpose_t"
    work = train(TrainOptions(DEMO, resume=True, plan=True, cfg_options=more))
    assert work == newest
    assert f"{newest} is the newest of these runs" in capsys.readouterr().out


def test_checkpoints_of_another_program_are_not_written_over(horses, one_epoch, tmp_path):
    work = tmp_path / "mmpose"
    work.mkdir()
    for name in ("best.pth", "epoch_210.pth"):
        (work / name).write_text("theirs")
    assert run(horses, work, one_epoch) == tmp_path / "mmpose-2"
    assert {path.read_text() for path in work.iterdir()} == {"theirs"}


@pytest.fixture
def misfit(trained, tmp_path):
    """Weights of another network."""
    content = checkpoint.load(trained / "best.pth")
    content["state_dict"] = {name: value.new_zeros(7) for name, value in content["state_dict"].items()}
    checkpoint.save(tmp_path / "misfit.pth", content)
    return str(tmp_path / "misfit.pth")


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        (["train_dataloader.batch_size=64"], "do not fill one batch"),
        (["cache.max_gb=none"], "cache.max_gb: expected a number of gigabytes"),
        ("misfit", "the checkpoint is of another network"),
        (["optim_wrapper.optimizer.betas=3"], "the run cannot be put together as its config says"),
        (["custom_hooks.0.type=NoSuchHook"], "the run cannot be put together as its config says"),
    ],
)
def test_a_refused_run_leaves_everything_as_it_was(horses, tiny, earlier, misfit, monkeypatch, wrong, finding, plan):
    """Nothing is made or written either, and the plan refuses the same."""
    monkeypatch.chdir(earlier.parent)
    before = {path: path.stat().st_mtime_ns for path in earlier.parent.rglob("*") if path.is_file()}
    init, wrong = (misfit, []) if wrong == "misfit" else (str(earlier / "best.pth"), wrong)
    with pytest.raises(UserError, match=finding):
        run(horses, earlier, tiny(**dict(option.split("=", 1) for option in wrong)), init=init, plan=plan)
    after = {path: path.stat().st_mtime_ns for path in earlier.parent.rglob("*") if path.is_file()}
    # the crop cache, which belongs to no run, is made when all but the parts is known to be right
    made = {path for path in after.keys() - before.keys() if "crop_cache" not in path.parts}
    assert not made
    assert {path: after.get(path) for path in before} == before


def test_a_work_dir_in_which_no_run_can_begin_is_refused_by_the_plan_as_well(horses, one_epoch, tmp_path):
    (tmp_path / "file").write_text("")
    for work in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match="is a file where a folder is needed"):
            run(horses, work, one_epoch, plan=True)


def test_a_cache_without_room_is_refused_before_a_folder_is_made(horses, one_epoch, earlier, monkeypatch):
    monkeypatch.chdir(earlier.parent)
    options = [*one_epoch, "cache.max_gb=0.000001", "cache.dir=crops_elsewhere"]
    with pytest.raises(UserError, match="limit"):
        run(horses, earlier, options, init=str(earlier / "best.pth"))
    assert not earlier.with_name("run-2").exists()
