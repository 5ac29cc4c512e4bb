"""What several test folders need: a small synthetic data set, tools run as a user runs them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import hypothesis
import pytest

# Networks this small are slower on several threads, and the number of threads decides the last bits of their sums:
# runs in this process and in processes of their own must agree. Read by torch when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"
# GPUs do not add in the same order each time. Read by torch before any test runs.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# A process that is forked from one with a pool of OpenCV's threads waits for them for ever.
cv2.setNumThreads(1)

# How fast a machine is decides nothing: not how long an example takes, nor how long examples take to be made.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# nohup and a shell's & make what they start deaf to these, and the tools rightly leave it so
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

PROJECT = Path(__file__).resolve().parents[1]

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
def horses(tmp_path_factory) -> Path:
    """Data root of 12 + 4 + 4 small synthetic pictures; not to be changed."""
    from equistera.synthetic.writer import write_dataset

    return write_dataset(
        tmp_path_factory.mktemp("data") / "horses", {"train": 12, "val": 4, "test": 4}, size=(320, 240), workers=1
    )


@pytest.fixture(scope="session")
def tiny():
    """``--cfg-options`` of a run on ``horses``: 3 epochs of 4 steps, with other values on top."""

    def options(**changes) -> list[str]:
        values = {"train_cfg.max_epochs": 3, "train_cfg.val_interval": 1, **changes}
        own = [option for option in TINY if option.partition("=")[0] not in values]
        return [*own, *(f"{key}={value}" for key, value in values.items())]

    return options


@pytest.fixture(scope="session")
def run_tool():
    """Runs ``python tools/NAME ARGS`` in a process of its own, from a folder that is not the project's."""

    def run(name: str, *args: object, cwd: Path, env: dict | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, str(PROJECT / "tools" / name), *map(str, args)]
        environment = {**os.environ, **(env or {})}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=1800)

    return run
