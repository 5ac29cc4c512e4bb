"""What a new run does with a work dir that is not empty."""

import shutil

import pytest

from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.run.train import TrainOptions, train
from equistera.training import work_dir as work_dirs

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


def test_a_run_starts_from_the_weights_of_the_run_that_it_moves_aside(horses, one_epoch, trained, earlier, capsys):
    run(horses, earlier, one_epoch, init=str(earlier / "best.pth"))
    (aside,) = earlier.glob("earlier_*")
    assert (aside / "best.pth").read_bytes() == (trained / "best.pth").read_bytes()
    out = capsys.readouterr().out
    assert f"weights  {aside / 'best.pth'}" in out
    assert "best.pth: " in out
    assert checkpoint.load(earlier / "latest.pth")["meta"]["epoch"] == 1
    assert not list(aside.glob(work_dirs.LOCK_FILE))


def test_a_cache_inside_the_work_dir_stays_and_is_read(horses, one_epoch, earlier):
    run(horses, earlier, one_epoch, cache=str(earlier / "crops"))
    (aside,) = earlier.glob("earlier_*")
    assert not (aside / "crops").exists()
    assert len(list((earlier / "crops").glob("*.crops"))) == 2
    with pytest.raises(UserError, match="cannot lie in the work dir"):
        run(horses, earlier, one_epoch, cache=str(earlier))


def test_checkpoints_of_another_program_are_not_written_over(horses, one_epoch, tmp_path):
    work = tmp_path / "mmpose"
    work.mkdir()
    for name in ("best.pth", "epoch_210.pth"):
        (work / name).write_text("theirs")
    run(horses, work, one_epoch)
    (aside,) = work.glob("earlier_*")
    assert {path.read_text() for path in aside.glob("*.pth")} == {"theirs"}
    assert (work / "epoch_1.pth").exists()


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        (["train_dataloader.batch_size=64"], "do not fill one batch"),
        (["cache.max_gb=0.000001", "cache.dir=crops_elsewhere"], "limit"),
    ],
)
def test_a_refused_run_leaves_the_earlier_one_where_it_was(horses, one_epoch, earlier, wrong, finding, monkeypatch):
    monkeypatch.chdir(earlier.parent)
    with pytest.raises(UserError, match=finding):
        run(horses, earlier, one_epoch + wrong, init=str(earlier / "best.pth"))
    assert (earlier / "best.pth").exists()
    assert not list(earlier.glob("earlier_*"))
