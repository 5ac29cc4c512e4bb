"""The space of a sweep: a TOML file that names entries of a config, and between which values each is tried.

::

    optim_wrapper.optimizer.lr = { low = 0.001, high = 0.016, log = true }
    train_dataloader.batch_size = { low = 8, high = 64, log = true }
    train_dataloader.dataset.augmentation = { choices = ["balanced", "aggressive"] }
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equistera.errors import UserError
from equistera.words import did_you_mean

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: What a knob may say of itself.
WORDS = ("low", "high", "log", "choices")


@dataclass(frozen=True)
class Knob:
    """An entry of a config that a sweep changes.

    Attributes:
        key: As ``--cfg-options`` names it.
        low, high: The ends of a range; whole numbers where both are written as such. None where there are choices.
        log: Whether equal ratios count alike, rather than equal differences.
        choices: Values as they are written behind the ``=`` of ``--cfg-options``; empty where there is a range.
    """

    key: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str | int | float | bool, ...] = ()

    @property
    def ends(self) -> tuple:
        """The values that are tried on the config before anything runs: all, or those furthest apart."""
        return self.choices or (self.low, self.high)

    @property
    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        kind = IntDistribution if isinstance(self.low, int) else FloatDistribution
        return kind(self.low, self.high, log=self.log)

    def place(self, value: object) -> Any:
        """How a value of the config stands in this space; None where it lies outside."""
        if self.choices:
            alike = [choice for choice in self.choices if choice == value or str(choice) == str(value)]
            return alike[0] if alike else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return None
        return value if isinstance(self.low, float) or value == int(value) else None

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(map(str, self.choices))
        kind = "whole numbers " if isinstance(self.low, int) else ""
        return f"{kind}{self.low:g} to {self.high:g}{', on a log scale' if self.log else ''}"


def override(key: str, value: object) -> str:
    """``KEY=VALUE`` of ``--cfg-options``."""
    return f"{key}={value}"


def shown(value: object) -> str:
    """A value of a knob, for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_space(path: Path) -> list[Knob]:
    """The knobs of a file, in its order.

    Raises:
        UserError: It is no TOML, or says what no knob is; all findings are named.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--space {path} is not TOML: {error}") from error
    problems: list[str] = []
    knobs = []
    for key, said in _entries(content):
        found = _problems(said)
        problems += [f"{key}: {problem}" for problem in found]
        if not found:
            both_whole = all(type(said.get(end)) is int for end in ("low", "high"))
            ends = {name: said[name] if both_whole else float(said[name]) for name in ("low", "high") if name in said}
            knobs.append(Knob(key, **ends, log=said.get("log", False), choices=tuple(said.get("choices", ()))))
    if problems or not knobs:
        raise UserError(
            f"--space {path} {'cannot be used:' if problems else 'names no knob'}",
            problems,
            "A line a knob, such as: optim_wrapper.optimizer.lr = { low = 0.001, high = 0.016, log = true }",
        )
    return knobs


def _entries(content: Mapping, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Knobs by dotted key: TOML makes tables of the dots, which may also be quoted."""
    for name, inner in content.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(inner, Mapping) and inner and all(isinstance(value, Mapping) for value in inner.values()):
            yield from _entries(inner, key)
        else:
            yield key, inner


def _problems(said: Any) -> list[str]:
    if not isinstance(said, Mapping):
        return [f"expected {{ low = ..., high = ... }} or {{ choices = [...] }}, found {said!r}"]
    if unknown := [name for name in said if name not in WORDS]:
        return [f"no {name!r} here{did_you_mean(name, WORDS)}; known are {', '.join(WORDS)}" for name in unknown]
    if "choices" in said:
        return _choice_problems(said)
    missing = [name for name in ("low", "high") if name not in said]
    if missing:
        return [f"{' and '.join(missing)} missing"]
    low, high, log = said["low"], said["high"], said.get("log", False)
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end) for end in (low, high)):
        return [f"low and high are numbers, found {low!r} and {high!r}"]
    if not isinstance(log, bool):
        return [f"log is true or false, found {log!r}"]
    if not low < high:
        return [f"low {low:g} is not below high {high:g}"]
    return [f"low {low:g}: a log scale begins above 0"] if log and low <= 0 else []


def _choice_problems(said: Mapping) -> list[str]:
    choices = said["choices"]
    if beside := [name for name in said if name != "choices"]:
        return [f"choices and {', '.join(beside)} contradict each other"]
    if not isinstance(choices, list) or len(choices) < 2:
        return [f"choices: expected a list of two or more, found {choices!r}"]
    if odd := [choice for choice in choices if not isinstance(choice, (str, int, float))]:
        return [f"choices: numbers, true, false and texts as behind --cfg-options KEY=, such as "
                f'"(128,128)"; found {odd[0]!r}']  # fmt: skip
    if len({*map(str, choices)}) < len(choices):
        return ["choices: one is named twice"]
    return []
