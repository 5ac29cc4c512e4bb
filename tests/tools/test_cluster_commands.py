"""The commands of docs/cluster.md are ones that the tools understand."""

import re
import runpy
import shlex

import pytest

from equistera import PROJECT
from equistera.experiments.space import read_space

PAGE = (PROJECT / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line and line[0] not in "# "]
SPACES = [text for kind, text in BLOCKS if kind == "toml"]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_understood(line, tmp_path, monkeypatch):
    words = shlex.split(line)
    if words[0] == "sbatch":
        template = next(word for word in words if word.startswith("tools/slurm/"))
        assert (PROJECT / template).is_file()
        words = [
            "python",
            *([] if template.endswith("array.sh") else ["tools/train.py"]),
            *words[words.index(template) + 1 :],
        ]
    elif "torch.distributed.run" in words:
        words = ["python", *words[words.index("tools/train.py") :]]
    assert words[0] == "python"
    (tmp_path / "space.toml").write_text(SPACES[0])
    (tmp_path / "work_dirs").mkdir()
    monkeypatch.chdir(tmp_path)
    parse_args = runpy.run_path(str(PROJECT / words[1]))["parse_args"]
    assert parse_args(["1" if word == "TASK" else word for word in words[2:]])


@pytest.mark.parametrize("text", SPACES)
def test_each_space_is_one_of_its_config(text, tmp_path):
    from equistera.mm import config as configs

    (tmp_path / "space.toml").write_text(text)
    knobs = read_space(tmp_path / "space.toml")
    config = configs.load("configs/rtmpose_m_ap10k.py", [f"{knob.key}={knob.ends[-1]}" for knob in knobs])
    assert [configs.entry_at(config, knob.key) for knob in knobs] == [knob.ends[-1] for knob in knobs]
