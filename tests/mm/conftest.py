"""Short runs of the real thing, shared by the tests of training, testing and drawing."""

import functools
import gc
from pathlib import Path

import mmengine.runner.runner
import pytest

import equistera.mm.run.train


@pytest.fixture(autouse=True, scope="module")
def _imported_modules_are_no_garbage():
    """MMEngine collects garbage for each data set: without what stays for good that takes no time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _machine_is_described_once():
    """MMEngine asks compilers and drivers for their versions at the start of each run, which takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine.runner.runner, "collect_env", functools.cache(mmengine.runner.runner.collect_env))
        yield


@pytest.fixture(autouse=True)
def _curves_are_drawn_once(monkeypatch):
    """By the run of ``trained``: matplotlib takes longer than the small runs of single tests."""
    monkeypatch.setattr(equistera.mm.run.train, "plot_run", lambda work_dir, out: out)


@pytest.fixture(scope="session")
def trained(horses, tiny, tmp_path_factory) -> Path:
    """Work dir of a finished tiny run; not to be changed."""
    from equistera.mm.run.train import TrainOptions, train

    work_dir = tmp_path_factory.mktemp("runs") / "tiny"
    return train(
        TrainOptions("configs/demo_rtmpose_t.py", work_dir=str(work_dir), data_root=str(horses), cfg_options=tiny())
    )
