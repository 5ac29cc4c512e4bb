"""Commands as users are told them: whatever is in a path, they can be pasted into a shell."""

from __future__ import annotations

import shlex


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
    return shlex.join(map(str, words))
