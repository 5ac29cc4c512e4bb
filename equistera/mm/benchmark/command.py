"""From the options of ``tools/benchmark.py`` to figures on the terminal and in a file."""

from __future__ import annotations

import importlib

from equistera.dataset.coco import write_json
from equistera.mm.benchmark.options import PHONE, SMALL, Options, start
from equistera.mm.benchmark.rounds import Case, machine

#: What the subcommands do differently unless the user says otherwise.
_DEFAULTS = {
    "pipeline": {"sizes": (PHONE, SMALL)},
    "train": {"rounds": 3, "pictures": 32},
    "data": {"sizes": (PHONE, SMALL), "rounds": 3},
    "infer": {"rounds": 3, "pictures": 32},
}


def benchmark(what: str, json: str | None, given: dict) -> list[Case]:
    """Measures and reports.

    Args:
        what: Name of a subcommand.
        json: File for the figures, or None.
        given: Fields of :class:`Options` that the user gave.

    Returns:
        What was measured.

    Raises:
        UserError: An option that cannot be followed.
    """
    options = Options(**_DEFAULTS.get(what, {}) | given)
    start(options)
    cases = importlib.import_module(f"equistera.mm.benchmark.{what}").benchmark(options)
    print("\n".join(case.text() for case in cases))
    if json:
        figures = [case.as_json() for case in cases]
        settings = {key: value for key, value in vars(options).items() if key != "folder"}
        write_json(json, {"benchmark": what, "machine": machine(), "options": settings, "cases": figures}, indent=1)
        print(f"  figures  {json}")
    return cases
