"""Measuring in turn: A B A B ..., so that a machine that slows down slows down everybody.

A round gives a rate for each contestant, and the ratio of two of them is taken within the round.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Spread:
    """Some measurements of one thing: the middle one, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


@dataclass
class Case:
    """Rates of contestants that did the same work in turn.

    Attributes:
        name: What was done.
        unit: What a rate counts in a second.
        rates: By contestant, a rate for each round.
        aims: By ratio worth telling ("ours/stock"), what it should be at least, or None.
        note: What a reader should know about it.
    """

    name: str
    unit: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    aims: dict[str, float | None] = field(default_factory=dict)
    note: str = ""

    def ratio(self, a: str, b: str) -> Spread:
        """How many times as fast ``a`` was as ``b``, round by round."""
        return Spread.of([x / y for x, y in zip(self.rates[a], self.rates[b], strict=True)])

    def pairs(self) -> list[tuple[str, str]]:
        """The ratios worth telling: those with an aim, else the first contestant to each other."""
        if self.aims:
            return [tuple(pair.split("/")) for pair in self.aims if set(pair.split("/")) <= set(self.rates)]
        first, *others = self.rates
        return [(first, other) for other in others]

    def text(self) -> str:
        """A few lines for the terminal."""
        lines = [self.name]
        for contestant, rates in self.rates.items():
            spread, each = Spread.of(rates), Spread.of([1000 / rate for rate in rates])
            lines.append(f"  {contestant:<24}{spread} {self.unit}/s, {_short(each.median)} ms each")
        for a, b in self.pairs():
            aim = self.aims.get(f"{a}/{b}")
            lines.append(f"  {a} / {b}: {self.ratio(a, b)} times" + (f", aim {aim:g}" if aim else ""))
        return "\n".join(lines + ([f"  ({self.note})"] if self.note else []))

    def as_json(self) -> dict:
        """The same for machines."""
        ratios = {f"{a}/{b}": {**vars(self.ratio(a, b)), "aim": self.aims.get(f"{a}/{b}")} for a, b in self.pairs()}
        rates = {name: {**vars(Spread.of(values)), "rounds": values} for name, values in self.rates.items()}
        return {"case": self.name, "unit": f"{self.unit}/s", "rates": rates, "ratios": ratios, "note": self.note}


def in_turn(case: Case, contestants: Mapping[str, Callable[[], float]], rounds: int) -> Case:
    """Runs every contestant in every round, in the order of the mapping, and keeps their rates in ``case``.

    Args:
        case: Takes the rates.
        contestants: By name, what does the work once and returns its rate; each should have been warmed up.
        rounds: How often.

    Returns:
        ``case``.
    """
    for n in range(rounds):
        for name, contestant in contestants.items():
            case.rates.setdefault(name, []).append(contestant())
        latest = ", ".join(f"{name} {_short(rates[-1])}" for name, rates in case.rates.items())
        say(f"{case.name}: round {n + 1}/{rounds}: {latest} {case.unit}/s")
    return case


def rate(work: Callable[[], int], seconds: float) -> float:
    """Repeats ``work`` for at least ``seconds`` and returns what it did in a second.

    Args:
        work: Does something and returns how many units it was.
        seconds: Least time to measure over.
    """
    done = 0
    synchronize()
    start = time.perf_counter()
    while True:
        done += work()
        if time.perf_counter() - start >= seconds:
            synchronize()
            return done / (time.perf_counter() - start)


def synchronize() -> None:
    """Waits for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def say(line: str) -> None:
    """Progress, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def machine() -> dict:
    """What the figures were measured on."""
    import mmpose

    return {
        "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mmpose": mmpose.__version__,
    }


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
