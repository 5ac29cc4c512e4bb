"""From the options of ``tools/benchmark.py`` to figures on the terminal and in a file."""

from __future__ import annotations

import importlib

from equistera.errors import UserError
from equistera.files import write_json
from equistera.outputs import check_targets, record
from speed.options import PHONE, SMALL, Options, start
from speed.rounds import Case, machine

#: What the subcommands do differently unless the user says otherwise.
_DEFAULTS = {
    "pipeline": {"sizes": (PHONE, SMALL)},
    "train": {"rounds": 3, "pictures": 32},
    "data": {"sizes": (PHONE, SMALL), "rounds": 3},
    "infer": {"rounds": 3, "pictures": 32},
}

#: Options that mean something to these subcommands alone.
_ONLY = {
    "amp": ("step", "train", "infer"),
    "batch_size": ("step", "train", "data", "infer"),
    "compile": ("step", "train"),
    "phases": ("step", "train"),
    "seconds": ("pipeline", "step", "data", "infer"),
    "steps": ("train",),
    "threads": ("step", "train", "data", "infer"),
    "workers": ("train", "data", "infer"),
}
#: Options of several values of which these subcommands use one.
_ONE = {"config": ("data",), "sizes": ("step", "train"), "workers": ("train", "infer")}


def benchmark(what: str, json: str | None, given: dict, overwrite: bool = False) -> list[Case]:
    """Measures and reports.

    Args:
        what: Name of a subcommand.
        json: File for the figures, or None.
        given: Fields of :class:`Options` that the user gave.
        overwrite: Replace a file of ``json`` that this did not write, or that was changed since.

    Returns:
        What was measured.

    Raises:
        UserError: An option that cannot be followed.
    """
    _refuse_what_would_be_ignored(what, given)
    if json:
        check_targets("--json", [json], overwrite=overwrite, tool="benchmark")
    options = Options(**_DEFAULTS.get(what, {}) | given)
    start(options)
    cases = importlib.import_module(f"speed.{what}").benchmark(options)
    print("\n".join(case.text() for case in cases))
    if json:
        figures = [case.as_json() for case in cases]
        settings = {key: value for key, value in vars(options).items() if key != "folder"}
        write_json(json, {"benchmark": what, "machine": machine(), "options": settings, "cases": figures}, indent=1)
        record("benchmark", json)
        print(f"  figures  {json}")
    return cases


def _refuse_what_would_be_ignored(what: str, given: dict) -> None:
    # a flag that is not set counts as not given
    names = [name for name, value in given.items() if value is not False]
    problems = [name for name in names if what not in _ONLY.get(name, (what,))]
    problems = [f"--{name.replace('_', '-')} means nothing to it" for name in problems]
    too_many = [name for name in names if what in _ONE.get(name, ()) and len(given[name]) > 1]
    problems += [f"--{name}: it takes one, found {len(given[name])}" for name in too_many]
    if problems:
        raise UserError(f"the benchmark {what!r} would ignore options:", problems, "See tools/benchmark.py --help")
