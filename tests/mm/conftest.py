"""Short runs of the real thing, shared by the tests of training, testing and drawing."""

import gc
from pathlib import Path

import pytest

import equistera.mm.run.train  # noqa: F401

# MMEngine collects garbage for each data set: without what stays for good, the imported modules, that takes no time
gc.freeze()


@pytest.fixture(scope="session")
def trained(horses, tiny, tmp_path_factory) -> Path:
    """Work dir of a finished tiny run; not to be changed."""
    from equistera.mm.run.train import TrainOptions, train

    work_dir = tmp_path_factory.mktemp("runs") / "tiny"
    return train(
        TrainOptions("configs/demo_rtmpose_t.py", work_dir=str(work_dir), data_root=str(horses), cfg_options=tiny())
    )
