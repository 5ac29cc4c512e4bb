"""Commands as users are told them: whatever is in a path, they can be pasted into a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess


def tool(name: str, *words: object) -> str:
    """``python tools/NAME.py ...`` from the project's folder, quoted where needed.

    Args:
        name: Such as ``verify_dataset``.
        words: Options and values, one a word.
    """
    return line("python", f"tools/{name}.py", *words)


def verify_command(ann_file: object) -> str:
    """The command that says everything that is wrong with an annotation file."""
    return tool("verify_dataset", "--ann-file", ann_file)


def line(*words: object) -> str:
    """A command line of these words, quoted where needed."""
    words = list(map(str, words))
    return shlex.join(words) if os.name == "posix" else " ".join(map(_for_windows, words))


def _for_windows(word: str) -> str:
    """A word for cmd.exe and PowerShell, which know no single quotes or no other ones."""
    quoted = subprocess.list2cmdline([word])
    return f'"{word}"' if quoted == word and re.search(r"[^\w./\\:=+-]", word) else quoted
