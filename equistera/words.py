"""Numbers with their nouns."""

from __future__ import annotations


def counted(count: int, nouns: str) -> str:
    """``"1 picture"``, ``"2 pictures"``, ``"0 batches"`` of a plural as English writes it."""
    if count == 1:
        for ending, singular in (("ies", "y"), ("ches", "ch"), ("xes", "x"), ("s", "")):
            if nouns.endswith(ending):
                nouns = nouns.removesuffix(ending) + singular
                break
    return f"{count} {nouns}"
