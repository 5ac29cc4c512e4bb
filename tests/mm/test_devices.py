"""``--device`` of the tools on machines with GPUs, which tests need not have: what torch is asked, and when."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DEMO = "configs/demo_rtmpose_t.py"

#: Two GPUs, as far as the environment shows them; says what is visible when a GPU is asked for the first time. What has
#: imported all that is slow and asks for no GPU is forked for each case: [code, arguments, folder, environment] a line.
SPY = """
import json, os, runpy, sys, traceback
import cv2, matplotlib.pyplot, scipy.optimize, scipy.stats, torch, torch.utils.tensorboard, torchvision
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
assert "mmengine" not in sys.modules
for line in sys.stdin:
    code, arguments, folder, environment = json.loads(line)
    child = os.fork()
    if not child:
        status = 0
        try:
            os.chdir(folder)
            os.environ.update(environment)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
            sys.argv[1:] = arguments
            exec(code)
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            traceback.print_exc()
            status = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def python():
    """Runs ``code`` beside two GPUs that are none, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    server = subprocess.Popen(
        [sys.executable, "-c", SPY], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run(code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
        print(json.dumps([code, arguments, str(cwd), environment]), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(code, status, (cwd / "out").read_text(), (cwd / "err").read_text())

    yield run
    server.communicate()


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("train.py", [DEMO, "--data-root", "."]),
        ("test.py", [DEMO, "empty.pth", "--data-root", "."]),
        (
            "visualize.py",
            ["--config", DEMO, "--checkpoint", "empty.pth", "--img", "empty.pth", "--json", "a.json"],
        ),
        ("benchmark.py", ["step", "--rounds", "0"]),
    ],
)
def test_every_tool_chooses_the_device_before_anything_asks_for_one(tool, arguments, python, tmp_path):
    (tmp_path / "empty.pth").touch()
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
def test_the_device_is_the_one_asked_for_or_refused(name, early, environment, said, python, tmp_path):
    before = f"device.choose({name!r})" if early else "import equistera.mm"
    done = python(CHOOSE.format(before=before, name=name), cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert said in done.stdout
