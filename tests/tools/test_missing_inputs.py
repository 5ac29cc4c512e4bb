"""What is not there is said before anything large is imported."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from equistera import cli

TOOLS = Path(__file__).parents[2] / "tools"
DEMO = "configs/demo_rtmpose_t.py"
DRAW = ["visualize.py", "--config", DEMO, "--checkpoint", "weights.pth", "--img", "a.jpg", "--out", "b.jpg"]

MISSING = [
    (["train.py", "configs/demo_rtmpos_t.py"], "no such config: configs/demo_rtmpos_t.py, did you mean 'configs/demo_"),
    (["train.py", DEMO, "--data-root", "dta"], "--data-root dta: no such folder, did you mean 'data'?"),
    (["train.py", DEMO, "--work-dir", "a.jpg/run"], "cannot write --work-dir a.jpg/run: "),
    (["train.py", DEMO, "--cfg-options", "lr", "0.1"], "--cfg-options 'lr': expected key=value"),
    (["train.py", DEMO, "--skeleton", "horse62"], "no skeleton named 'horse62', did you mean 'horse26'?"),
    (["train.py", DEMO, "--init", "wieghts.pth"], "no such checkpoint: wieghts.pth, did you mean 'weights.pth'?"),
    (["train.py", "--resume", "--work-dir", "runn"], "has no record of a run (run.json)"),
    (["learning_curve.py", "no.py", "--work-dir", "curve"], "no such config: no.py"),
    (["learning_curve.py", "README.md", "--work-dir", "curve"], "README.md is no config: those end in .py"),
    (["sweep.py", DEMO, "--space", "spase.toml", "--trials", "1", "--out", "o"], "no such file: spase.toml"),
    (["cross_validate.py", "no.py", "--out", "o"], "no such config: no.py"),
    (["measure_sigmas.py", "labels.json", "other.json"], "no such file: labels.json"),
    (["build_cache.py", "no.py"], "no such config: no.py"),
    (["build_cache.py", DEMO, "--data-root", "a.jpg"], "--data-root a.jpg: is a file"),
    (["augmentation.py", "no.py", "--out", "sheet"], "no such config: no.py"),
    (["benchmark.py", "step", "--config", "no.py"], "no such config: no.py"),
    (["test.py", "work_dirs/no"], "no such work dir or checkpoint: work_dirs/no"),
    (["test.py", "no.py", "weights.pth"], "no such config: no.py"),
    (["test.py", DEMO, "weights.pth", "other.pth"], "no such checkpoint: other.pth"),
    (["test.py", DEMO, "weights.pth", "--data-root", "no"], "--data-root no: no such folder"),
    ([*DRAW, "--ann-file", "labels.json"], "no such file: labels.json"),
    ([*DRAW, "--det", "rtmdet", "--det-weights", "det.pth"], "no such file: det.pth"),
    (["visualize.py", DEMO, "weights.pth", "--img-dir", "phots", "--out", "o"], "no such folder: phots, did you mean"),
    (["visualize.py", DEMO, "weights.pth", "--video", "v.mp4", "--out", "o.mp4"], "no such video: v.mp4"),
    (["visualize.py", DEMO, "weight.pth", "--img", "a.jpg", "--out", "b.jpg"], "no such checkpoint: weight.pth"),
    (["visualize.py", DEMO, "weights.pth", "--img", "b.jpg", "--out", "c.jpg"], "no such picture: b.jpg"),
    (["pick_frames.py", "phots", "--out", "o"], "no such video, picture or folder: phots, did you mean 'photos'?"),
    (["pick_frames.py", "photos", "--out", "o", "--checkpoint", "work_dirs/no"], "no such work dir or checkpoint"),
    (["pick_frames.py", "photos", "--out", "o", "--ann-file", "labels.json"], "no such file: labels.json"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in, with a few things; importing what is large fails."""
    for name in ("a.jpg", "weights.pth"):
        (tmp_path / name).touch()
    for name in ("data", "photos"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("equistera.mm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "equistera.mm", None)


@pytest.mark.parametrize(("words", "said"), MISSING, ids=lambda value: None if isinstance(value, str) else value[0])
def test_what_is_missing_is_said_at_once(words, said, place, capsys):
    main = runpy.run_path(str(TOOLS / words[0]))["main"]
    assert cli.run(main, words[1:]) == 1
    assert said in capsys.readouterr().err


def test_nothing_large_is_imported_before():
    """What :mod:`equistera.mm` stands for in the tests above: nothing else here imports torch."""
    code = (
        "import sys, equistera.visualizing, equistera.named_models, equistera.training.options\n"
        "print([name for name in ('torch', 'mmengine', 'mmcv', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
