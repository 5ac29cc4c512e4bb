"""``--device`` of the tools on machines with GPUs, which tests need not have: what torch is asked, and when."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

#: Two GPUs, as far as the environment shows them; says what is visible when a GPU is asked for the first time.
SPY = """
import os, runpy, sys
import torch
def visible():
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1")
    return [n for n in names.split(",") if n in ("0", "1")]
seen = []
def is_available():
    seen.append(len(visible()))
    if len(seen) == 1:
        print("first asked with", os.environ.get("CUDA_VISIBLE_DEVICES"), file=sys.__stdout__, flush=True)
    return seen[0] > 0
# Apple's GPU is never taken unasked
torch.backends.mps.is_available = lambda: True
torch.cuda.is_available, torch.cuda.device_count = is_available, lambda: len(visible())
"""


def python(code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return subprocess.run(
        [sys.executable, "-c", SPY + code, *arguments],
        env={**clean, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("train.py", ["nothing.py"]),
        ("test.py", ["nothing.py", "nothing.pth"]),
        (
            "visualize.py",
            ["--config", "nothing.py", "--checkpoint", "nothing.pth", "--img", "a.jpg", "--json", "a.json"],
        ),
        ("benchmark.py", ["step", "--rounds", "0"]),
    ],
)
def test_every_tool_chooses_the_device_before_anything_asks_for_one(tool, arguments, tmp_path):
    path = PROJECT / "tools" / tool
    code = f"sys.argv[0] = {str(path)!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    done = python(code, *arguments, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("first asked with \n")


CHOOSE = """
from equistera import device, errors
try:
    {before}
    import equistera.mm.devices, mmengine.device
    for _ in range(2):
        equistera.mm.devices.choose_device({name!r})
    print("computes on", mmengine.device.get_device(), os.environ.get("CUDA_VISIBLE_DEVICES"))
except errors.UserError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(
    ("name", "early", "environment", "said"),
    [
        ("cpu", True, {}, "computes on cpu \n"),
        ("cuda:1", True, {"CUDA_VISIBLE_DEVICES": "1,0"}, "computes on cuda 0\n"),
        ("cuda:2", True, {}, "refused: --device cuda:2: torch finds 2 GPUs, counted from 0"),
        ("cpu", False, {}, "refused: device cpu is chosen too late"),
        ("cpu", False, {"CUDA_VISIBLE_DEVICES": ""}, "computes on cpu \n"),
        ("cuda:1", True, {"WORLD_SIZE": "2"}, "refused: --device cuda:1 names one GPU, but 2 processes run here"),
    ],
)
def test_the_device_is_the_one_asked_for_or_refused(name, early, environment, said, tmp_path):
    before = f"device.choose({name!r})" if early else "import equistera.mm"
    done = python(CHOOSE.format(before=before, name=name), cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert said in done.stdout
