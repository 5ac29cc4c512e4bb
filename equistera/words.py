"""Words for people: numbers with their nouns, names compared kindly and guessed at where they are wrong, tables."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def counted(count: int, nouns: str) -> str:
    """``"1 picture"``, ``"2 pictures"``, ``"0 batches"`` of a plural as English writes it."""
    if count == 1:
        for ending, singular in (("ies", "y"), ("ches", "ch"), ("xes", "x"), ("s", "")):
            if nouns.endswith(ending):
                nouns = nouns.removesuffix(ending) + singular
                break
    return f"{count} {nouns}"


def fold(name: str) -> str:
    """A name without what people write differently: case, spaces, dashes, underscores and dots."""
    return "".join(c for c in str(name).casefold() if c not in " _-.")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` for a near miss among ``choices``, or ``""``."""
    return _guess(name, {fold(choice): choice for choice in choices}, 0.6)


def near(path: str | Path) -> str:
    """The same for a path that is not there: a name like that of the first part of it that is missing."""
    missing = next((part for part in reversed([Path(path), *Path(path).parents]) if not os.path.lexists(part)), None)
    try:
        # endings are alike by their kind
        return _guess(missing.stem, {fold(Path(n).stem): n for n in os.listdir(missing.parent)}, 0.7) if missing else ""
    except OSError:
        return ""


def _guess(name: str, folded: Mapping[str, str], alike: float) -> str:
    close = difflib.get_close_matches(fold(name), folded, n=1, cutoff=alike)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def aligned(rows: Sequence[Sequence[str]], right: bool = False) -> list[str]:
    """Lines of a table: the first column to the left, the others there too, or to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
