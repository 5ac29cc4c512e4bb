"""What README and docs/ show is there: every command is one that its tool takes, every link leads somewhere."""

import contextlib
import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from equistera import augmentation, inputs
from equistera.errors import UserError

PROJECT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *PROJECT.glob("*.md"),
        PROJECT / "data/README.md",
        *PROJECT.glob("docs/*.md"),
        *PROJECT.glob("docs/*.ipynb"),
    ]
)
#: What a page's command begins with; what stands before it starts processes or names a launcher.
SCRIPT = re.compile(r"^(?:.*\s)?((?:tools|benchmarks|examples)/\w+\.py)(?:\s|$)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(
        text if cell["cell_type"] == "markdown" else f"```\n{text}\n```"
        for cell in cells
        for text in ["".join(cell["source"])]
    )


def commands_of(page: Path) -> list[str]:
    """Commands in blocks of code, joined where they go on, and those in running text that are whole."""
    text = text_of(page)
    blocks = [block for language, block in FENCE.findall(text) if not language]
    lines = [line.lstrip("!") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    codes = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    return lines + [code for code in codes if code.startswith(("python ", "./setup.sh", "pip "))]


def asked(match) -> list:
    """A parameter for each whole command that something is found in."""
    return [
        pytest.param(line, id=f"{page.relative_to(PROJECT)}: {line[:60]}")
        for page in PAGES
        for line in dict.fromkeys(commands_of(page))
        if match(line) and "..." not in line
    ]


@pytest.fixture
def somebody_elses(monkeypatch):
    """What a page names is its reader's, but for configs: they are ours, or a word in capitals."""
    for name in ("file", "checkpoint", "data_root", "skeleton", "work_dir"):
        monkeypatch.setattr(inputs, name, str)
    for option in ("--work-dir", "--data-root", "--skeleton"):
        monkeypatch.setitem(inputs._COMMON[option], "type", str)
    find = inputs.config
    either = lambda text: text if text.isupper() else find(text)  # noqa: E731
    monkeypatch.setattr(inputs, "config", either)
    monkeypatch.setitem(inputs._COMMON["config"], "type", either)


@pytest.mark.usefixtures("somebody_elses")
@pytest.mark.parametrize("line", asked(SCRIPT.match))
def test_a_command_is_one_that_its_tool_takes(line):
    """Another one ends with SystemExit."""
    script = SCRIPT.match(line)[1]
    assert [word for word in line.split() if word.startswith("tools/") and not (PROJECT / word).exists()] == []
    parse = runpy.run_path(str(PROJECT / script)).get("parse_args")
    words = line.partition(script)[2].partition(" > ")[0]
    argv = shlex.split(words.replace("TASK", "1"), comments=True)  # tools/slurm/array.sh puts it in
    if parse is None:
        assert argv == []
    elif "--help" not in argv:
        parse(argv)


@pytest.mark.parametrize("line", asked(re.compile(r"\./setup\.sh( |$)").match))
def test_setup_knows_what_it_is_asked(line):
    usage = subprocess.run(["bash", PROJECT / "setup.sh", "--help"], capture_output=True, text=True, check=True).stdout
    words = shlex.split(line, comments=True)[1:]
    assert [word for word in words if word.startswith("-") and f"{word} " not in usage.replace(",", " ")] == []
    assert {word for word in words[:1] if not word.startswith("-")} <= {"demo", "test"}


@pytest.mark.parametrize("line", asked(re.compile(r".*\.\[\w+\]").match))
def test_extras_are_those_of_the_package(line):
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", line)) <= {*extras}


def test_entries_of_configs_are_there():
    """``key=value`` wherever a page shows it: for one config at least it is an entry, and a value that it takes."""
    from equistera.mm import config

    shown = {word.strip("`,;:") for page in PAGES for word in text_of(page).split()}
    entries = sorted(word for word in shown if re.fullmatch(r"[a-z]\w*(\.\w+)+=[^\s=<>]+[^.\s]", word))
    assert len(entries) > 15
    for entry in entries:
        with contextlib.suppress(UserError):
            config.load("configs/rtmpose_m_ap10k.py", [entry])
            continue
        config.load("configs/hrnet_w32_ap10k.py", [entry])


def anchors_of(page: Path) -> set[str]:
    """As GitHub and the site make them of headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page):
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(page))):
        if re.match(r"\w+:", target):  # elsewhere: no test asks the network
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            dead.append(target)
    assert dead == []


def test_every_page_is_in_the_menu():
    menu = (PROJECT / "docs/index.md").read_text(encoding="utf-8").splitlines()
    assert {page.stem for page in PAGES if page.parent == PROJECT / "docs"} - {"index"} <= {*menu}


def test_the_presets_are_told_as_they_are():
    """docs/augmentation.md, "Augmentation": numbers of its table, row by row."""
    rows = {
        "rotation": "rotation, degrees", "scale": "scale", "shift": "shift, of the box", "flip": "horizontal flip",
        "half_body": "half of the body alone", "brightness": "brightness, of 255", "contrast": "contrast",
        "saturation": "saturation", "hue": "hue, degrees", "blur": "Gaussian blur", "noise": "Gaussian noise",
        "dropout": "coarse dropout", "occlusion": "random occlusion",
    }  # fmt: skip
    text = (PROJECT / "docs/augmentation.md").read_text(encoding="utf-8")
    for field, title in rows.items():
        (told,) = re.findall(rf"^\| {re.escape(title)} \| (.*) \|$", text, re.MULTILINE)
        numbers = [[float(n) for n in re.findall(r"[\d.]+", cell)] for cell in told.split("|")]
        numbers = [[n / 100 for n in cell] if "%" in told else cell for cell in numbers]
        values = [getattr(preset, field) for preset in augmentation.PRESETS.values()]
        assert numbers == [list(v) if isinstance(v, tuple) else [v] for v in values], title


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    """Minutes: it reads every docstring. ``pip install -e .[docs]``"""
    pytest.importorskip("furo")
    build = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", tmp_path / "site"]
    done = subprocess.run([sys.executable, *build], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        fetched = re.findall(
            r"<(?:script|link|img)[^>]*(?:src|href)=\"(https?:[^\"]*)", page.read_text(encoding="utf-8")
        )
        assert fetched == [], page
