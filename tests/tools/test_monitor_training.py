import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "monitor_training.py"


def run_tool(*args, cwd):
    command = [sys.executable, str(TOOL), *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1800, check=False)


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / "rtmpose_m" / "20260101_120000" / "vis_data"
    folder.mkdir(parents=True)
    lines = [{"loss": 1.0 / i, "lr": 0.001, "time": 0.1, "epoch": i, "iter": i} for i in range(1, 5)]
    lines.append({"coco/AP": 0.625, "step": 4})
    (folder / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "rtmpose_m"


def test_help_has_examples(tmp_path):
    result = run_tool("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "--compare work_dirs/rtmpose_m work_dirs/hrnet_ap10k" in result.stdout


def test_help_imports_nothing_heavy():
    code = f"import runpy, sys; sys.argv = ['x', '--help']\ntry: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
    code += "except SystemExit: print([m for m in ('numpy', 'matplotlib', 'torch', 'mmengine') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_summary_and_picture(work_dir, tmp_path):
    result = run_tool("--work-dir", "rtmpose_m", "--out", "curves.png", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "AP 0.625 at epoch 4" in result.stdout
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--work-dir", "nothing"], 1, "error: no such folder: nothing"),
        (["--work-dir", "rtmpose_m", "--out", "x.jpg"], 1, "error: the picture must be named *.png"),
        (["--compare", "rtmpose_m", "nothing"], 1, "error: no such folder: nothing"),
        (["--compare", "rtmpose_m"], 2, "--compare needs two work folders"),
        (["--work-dir", "rtmpose_m", "--watch", "-3"], 2, "argument --watch"),
        (["--work-dir", "rtmpose_m", "--watch", "nan"], 2, "argument --watch"),
        (["--work-dir", "a", "--compare", "b", "c"], 2, "not allowed with"),
        ([], 2, "required"),
    ],
)
def test_mistakes(work_dir, tmp_path, args, code, message):
    result = run_tool(*args, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
