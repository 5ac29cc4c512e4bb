"""Checks of single values that a person wrote into a config or a JSON file."""

from __future__ import annotations

import math
import sys
from typing import Any


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold; true and false are none."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def number_problem(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, above: bool = False, below: bool = False
) -> list[str]:
    """A finding if a value is not a finite number within bounds.

    Args:
        name: Where the value stands, for the message.
        value: Anything.
        low: Least value.
        high: Greatest value.
        above: Whether ``low`` itself is excluded.
        below: Whether ``high`` itself is excluded.

    Returns:
        No finding or one.
    """
    if is_number(value) and (low < value if above else low <= value) and (value < high if below else value <= high):
        return []
    bounds = [f"{'above' if above else 'at least'} {low:g}"] if low > -math.inf else []
    bounds += [f"{'below' if below else 'at most'} {high:g}"] if high < math.inf else []
    expected = " ".join(["a number", " and ".join(bounds)]).rstrip()
    return [f"{name}: expected {expected}, found {value!r}"]


def count_problem(name: str, value: object, least: int = 1) -> list[str]:
    """A finding if a value is not a whole number of at least ``least``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return []
    return [f"{name}: expected a whole number of at least {least}, found {value!r}"]
