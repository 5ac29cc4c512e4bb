"""What a process inherits and a tool decides for itself: variables, limits, closed streams.

Notebooks, clusters and containers set much that is meant for others. What has a right value here gets it; what cannot
be put right is refused by name.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
import warnings
from collections.abc import MutableMapping
from pathlib import Path

from equistera.errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None

#: Open files that a process may have, where the system lets it: each tensor that a loader's worker hands over is one
#: for a while, and the usual 1,024 (256 on macOS) are soon reached.
OPEN_FILES = 16384

#: What PYTHONPATH must not replace: the versions that fit together are installed.
_OURS = ("numpy", "cv2", "torch", "torchvision", "mmengine", "mmcv", "mmpose", "mmdet", "matplotlib")


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Makes this process independent of what it inherited; to be called before anything large is imported.

    Args:
        environment: Changed.

    Raises:
        UserError: ``PYTHONPATH`` puts another version of a package before the installed one.
    """
    _open_standard_streams()
    # a notebook names a backend of its own, which is not installed here; every figure is a file
    environment["MPLBACKEND"] = "agg"
    # an experiment's "error" is for its own code: libraries warn while they are imported
    environment.pop("PYTHONWARNINGS", None)
    # a list, though typeshed says that it is any sequence
    warnings.filters[:] = [kept for kept in warnings.filters if kept[0] != "error"]  # type: ignore[index]
    _allow_open_files()
    _refuse_replaced_packages(environment.get("PYTHONPATH", ""))


def _open_standard_streams() -> None:
    """Where standard input, output or error is closed, the next file to be opened would take its number, and whatever
    a library prints would go into that file."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number is the one that was just found closed
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process


def _allow_open_files() -> None:
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS may refuse what it says is allowed
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _refuse_replaced_packages(python_path: str) -> None:
    added = {os.path.abspath(entry) for entry in python_path.split(os.pathsep) if entry}
    if not added:
        return
    installed = [entry for entry in sys.path if os.path.abspath(entry) not in added]
    problems = []
    for name in _OURS:
        found, own = (importlib.machinery.PathFinder.find_spec(name, path) for path in (None, installed))
        if found and own and found.origin != own.origin:
            problems.append(f"{name} from {Path(found.origin or name).parent}, not {Path(own.origin or name).parent}")
    if problems:
        raise UserError(
            "PYTHONPATH puts other packages before the installed ones:", problems, "unset PYTHONPATH, and run it again"
        )
