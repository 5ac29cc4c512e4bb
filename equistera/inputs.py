"""What a command line names and must be there: looked for while it is read, before anything large is imported.

Most are types of options, for ``add_argument(type=...)``: they return the text that they were given.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from equistera import PROJECT, cli
from equistera.errors import UserError
from equistera.words import did_you_mean, near

#: What MMEngine reads configs from.
CONFIG_ENDINGS = (".py", ".json", ".yaml", ".yml")


def config(text: str) -> str:
    """A config file, see :func:`find_config`, of a kind that can be read."""
    if find_config(text).suffix.lower() not in CONFIG_ENDINGS:
        raise UserError(f"{text} is no config: those end in {', '.join(CONFIG_ENDINGS)}")
    return text


def find_config(path: str | Path) -> Path:
    """A config's path, tried from the current folder and from the project.

    Raises:
        UserError: There is none.
    """
    for candidate in (Path(path), PROJECT / path):
        if candidate.is_file():
            return candidate.resolve()
    there = sorted(str(p.relative_to(PROJECT)) for p in (PROJECT / "configs").glob("*.py"))
    raise UserError(f"no such config: {path}{did_you_mean(str(path), there)}", hint=f"There are: {', '.join(there)}")


def file(text: str) -> str:
    """A file.

    Raises:
        UserError: There is none.
    """
    if not Path(text).is_file():
        raise UserError(f"no such file: {text}" + (" is a folder" if Path(text).is_dir() else near(text)))
    return text


def checkpoint(text: str | Path) -> str:
    """A file of weights.

    Raises:
        UserError: There is none.
    """
    if not Path(text).is_file():
        raise UserError(
            f"no such checkpoint: {text}" + (" is a folder" if Path(text).is_dir() else near(text)),
            hint="Give a file of weights, or a work dir whose run has got as far as best.pth",
        )
    return str(text)


def data_root(text: str) -> str:
    """The folder of a data set.

    Raises:
        UserError: There is none.
    """
    if not Path(text).is_dir():
        raise UserError(
            f"--data-root {text}: {'is a file' if Path(text).is_file() else 'no such folder'}{near(text)}",
            hint="It holds annotations/ and images/, see docs/data.md; tools/make_demo_data.py makes one",
        )
    return text


def skeleton(text: str) -> str:
    """A skeleton's name, or a file of one.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    # NumPy is not imported for --help
    from equistera import skeleton as skeletons

    skeletons.load(text)
    return text


def override(text: str) -> str:
    """``KEY=VALUE``.

    Raises:
        UserError: There is no key, or no ``=``.
    """
    key, equals, _ = text.partition("=")
    if not key or not equals:
        raise UserError(f"--cfg-options {text!r}: expected key=value", hint="Keys are those of the config")
    return text


def work_dir(text: str) -> str:
    """The folder of a run: it is there or can be made.

    Raises:
        WriteError: It cannot, with the reason.
    """
    from equistera.outputs import check_folder

    check_folder("--work-dir", text)
    return text


#: Options that mean the same in every tool.
_COMMON: dict[str, dict[str, Any]] = {
    "config": {"type": config, "help": "config file"},
    "--work-dir": {
        "type": work_dir, "metavar": "DIR", "help": "where checkpoints and logs go (default: work_dirs/NAME OF CONFIG)",
    },
    "--data-root": {
        "type": data_root, "metavar": "DIR", "help": "folder with annotations/ and images/ (default: the config's)",
    },
    "--skeleton": {
        "type": skeleton, "metavar": "NAME",
        "help": "horse26, ap10k, animalpose, horse10, or your own .json file (default: the config's or checkpoint's)",
    },
    "--device": {"help": "cpu, cuda or cuda:N (default: a GPU if there is one)"},
    "--cfg-options": {
        "type": override, "nargs": "+", "action": "extend", "default": [], "metavar": "KEY=VALUE",
        "help": "entries of the config with other values, such as train_dataloader.batch_size=32",
    },
    "--amp": {"action": "store_true", "help": "mixed precision: faster on a GPU, less memory"},
    "--jobs": {"type": cli.at_least(1), "default": 1, "metavar": "N", "help": "trainings at a time"},
    "--plan": {"action": "store_true", "help": "say what would be trained and what it costs, and stop"},
    "--det": {
        "metavar": "DETECTOR",
        "help": "find the animals with this: rtmdet or rtmdet_tiny with COCO's weights (tools/download_checkpoints.py "
        "rtmdet_m_coco), or the work dir or weights of one that tools/train.py trained; none: without",
    },
    "--det-weights": {"metavar": "FILE", "help": "other weights for rtmdet or rtmdet_tiny"},
    "--det-class": {"nargs": "+", "metavar": "NAME", "help": "COCO's animals that count (default: horse)"},
    "--det-thr": {
        "type": float, "metavar": "P", "help": "confidence of a box from which it counts (default: 0.3; in videos an "
        "animal begins to be followed at 0.5)",
    },
    "--flip-test": {"action": "store_true", "help": "average with the mirrored picture: slower, better"},
    "--scales": {
        "type": float, "nargs": "+", "metavar": "S",
        "help": "average over crops with so many times the sides, such as 0.9 1 1.1: each costs as much as one alone",
    },
    "--overwrite": {
        "action": "store_true",
        "help": "replace files that exist; what this tool wrote itself and nobody changed needs no such word",
    },
}  # fmt: skip
DETECTOR = ("--det", "--det-weights", "--det-class", "--det-thr")
#: Of the tools that show or store what a model says.
LOOK = (*DETECTOR, "--flip-test", "--scales", "--skeleton", "--device", "--cfg-options", "--overwrite")


def add_common(parser: argparse.ArgumentParser, *names: str) -> None:
    """Gives a parser options that mean the same in every tool.

    Args:
        parser: Changed.
        names: Keys of the table above.
    """
    for name in names:
        parser.add_argument(name, **_COMMON[name])


def add_trainings(parser: argparse.ArgumentParser) -> None:
    """Gives a parser the options of a tool that starts several trainings, all of them with the same.

    They are those of :class:`equistera.experiments.options.ExperimentOptions`, but for the config, the lengths and what
    the tool calls its folder.
    """
    add_common(parser, "--plan", "--amp")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--from-scratch", action="store_true", help="start from random weights; nothing is frozen")
    begin.add_argument("--init", type=checkpoint, metavar="CHECKPOINT", help="start from these weights")
    add_common(parser, "--data-root", "--skeleton", "--device", "--cfg-options", "--overwrite")
