"""Commands as users are told them: whatever is in a path, they can be pasted into a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from equistera import PROJECT


def tool(name: str, *words: object) -> str:
    """``python tools/NAME.py ...``, quoted where needed, to be pasted in the folder that the tool was started in.

    Args:
        name: Such as ``verify_dataset``.
        words: Options and values, one a word.
    """
    return line("python", PROJECT / "tools" / f"{name}.py", *words)


def option(name: str) -> str:
    """An option as it is typed, by the name of its value in Python."""
    return "--" + name.replace("_", "-")


def option_words(options: Mapping[str, object]) -> list[str]:
    """Words of a command line for options by name: True is a flag, None and False are what was not given."""
    given = {option(name): value for name, value in options.items() if value is not None and value is not False}
    return [str(word) for name, value in given.items() for word in ((name,) if value is True else (name, value))]


def verify_command(ann_file: object, skeleton: Sequence[object]) -> str:
    """The command that says everything that is wrong with an annotation file, of a skeleton with this ``option``."""
    return tool("verify_dataset", "--ann-file", ann_file, *skeleton)


def line(*words: object) -> str:
    """A command line of these words, quoted where needed; paths below the current folder are relative to it."""
    texts = [str(_from_here(word)) if isinstance(word, Path) else str(word) for word in words]
    return shlex.join(texts) if os.name == "posix" else " ".join(map(_for_windows, texts))


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    short = path.relative_to(here) if path.is_relative_to(here) else path
    return path if str(short).startswith("-") else short


def _for_windows(word: str) -> str:
    """A word for cmd.exe and PowerShell, which know no single quotes or no other ones."""
    quoted = subprocess.list2cmdline([word])
    return f'"{word}"' if quoted == word and re.search(r"[^\w./\\:=+-]", word) else quoted
