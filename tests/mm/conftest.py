"""Short runs of the real thing, shared by the tests of training, testing and drawing."""

import gc
from pathlib import Path

import pytest

import equistera.mm.run.train  # noqa: F401

# MMEngine collects garbage for each data set: without what stays for good, the imported modules, that takes no time
gc.freeze()

#: A network and a schedule that train for real in seconds.
TINY = [
    "codec.input_size=(64,64)",
    "model.backbone.widen_factor=0.125",
    "model.head.in_channels=64",
    "model.head.gau_cfg.hidden_dims=32",
    "model.head.gau_cfg.s=16",
    "train_dataloader.batch_size=4",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
]


@pytest.fixture(scope="session")
def tiny():
    """``--cfg-options`` of a run on ``horses``: 3 epochs of 4 steps, with other values on top."""

    def options(**changes) -> list[str]:
        values = {"train_cfg.max_epochs": 3, "train_cfg.val_interval": 1, **changes}
        return [*TINY, *(f"{key}={value}" for key, value in values.items())]

    return options


@pytest.fixture(scope="session")
def trained(horses, tiny, tmp_path_factory) -> Path:
    """Work dir of a finished tiny run; not to be changed."""
    from equistera.mm.run.train import TrainOptions, train

    work_dir = tmp_path_factory.mktemp("runs") / "tiny"
    return train(
        TrainOptions("configs/demo_rtmpose_t.py", work_dir=str(work_dir), data_root=str(horses), cfg_options=tiny())
    )
