"""Names that people write: compared kindly, and guessed at where they are wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def fold(name: str) -> str:
    """A name without what people write differently: case, spaces, dashes, underscores and dots."""
    return "".join(c for c in str(name).casefold() if c not in " _-.")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` for a near miss among ``choices``, or ``""``."""
    folded = {fold(choice): choice for choice in choices}
    close = difflib.get_close_matches(fold(name), folded, n=1)
    return f", did you mean {folded[close[0]]!r}?" if close else ""
