"""``--device``: which GPU, if any, this process sees.

MMEngine and mmcv ask for GPUs while they are imported and take the first; from then on a change of
``CUDA_VISIBLE_DEVICES`` does nothing. So tools call :func:`choose` before they import anything of :mod:`equistera.mm`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass

from equistera.errors import UserError
from equistera.words import counted

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        name: ``cpu``, ``cuda``, ``cuda:N``, or None for the best there is.
        before: ``CUDA_VISIBLE_DEVICES`` as the user had it; None if it was not set.
        in_time: Whether nothing can have asked for GPUs before.
    """

    name: str | None
    before: str | None
    in_time: bool


_chosen: Choice | None = None


def choose(name: str | None, environment: MutableMapping[str, str] = os.environ) -> Choice:
    """Makes this process see only the device asked for; a repetition changes nothing.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N`` (of those that ``CUDA_VISIBLE_DEVICES`` names, if it is set, counted from
            0), or None for the best there is.
        environment: Changed.

    Raises:
        UserError: No such name, or ``CUDA_VISIBLE_DEVICES`` leaves no such device.
    """
    global _chosen
    kind, _, index = ("cuda" if name is None else name).partition(":")
    if kind not in ("cpu", "cuda") or (name not in (None, kind) and not (kind == "cuda" and index.isdecimal())):
        others = kind in ("mps", "xpu", "npu", "xla", "hip", "rocm", "gpu")
        raise UserError(
            f"--device {name}: expected cpu, cuda or cuda:N",
            hint="Computes on NVIDIA's GPUs (and AMD's, which torch calls cuda) or the CPU, no others" * others,
        )
    if _chosen is not None and (name is None or name == _chosen.name):
        return _chosen
    if _chosen is not None and _chosen.name is not None:
        raise UserError(f"--device {name}: this process computes on {_chosen.name} already")
    before = environment.get(VISIBLE)
    if name == "cpu":
        environment[VISIBLE] = ""
    elif index:
        environment[VISIBLE] = _nth(name, int(index), before)
    _chosen = Choice(name, before, "mmengine" not in sys.modules)
    return _chosen


def _nth(name: str, index: int, visible: str | None) -> str:
    if visible is None:
        return str(index)
    named = []
    for device in map(str.strip, visible.split(",")):
        # CUDA itself ignores all from the first that is none
        if not device or device.startswith("-"):
            break
        named.append(device)
    if index >= len(named):
        raise UserError(f"--device {name}: {VISIBLE}={visible} leaves {counted(len(named), 'GPUs')}, counted from 0")
    return named[index]
