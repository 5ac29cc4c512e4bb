"""Whether the device that was asked for is there; see :mod:`equistera.device`."""

from __future__ import annotations

import os

import torch

from equistera import device
from equistera.errors import UserError
from equistera.mm.data.loading import cores_per_process
from equistera.processes import processes_here
from equistera.words import counted


def choose_device(name: str | None) -> None:
    """Makes sure that this process computes on the device asked for.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N``, or None for the best there is.

    Raises:
        UserError: No such device, or it is too late to choose it.
    """
    choice = device.choose(name)
    if name is None:
        return
    if name != "cpu" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: {_found(choice)}", hint="nvidia-smi should list it; see ./setup.sh --help")
    if not choice.in_time and name not in ("cuda", "cuda:0") and torch.cuda.is_available():
        # other GPUs than the one asked for would be used, without a word
        raise UserError(
            f"device {name} is chosen too late: GPUs were asked for when equistera.mm was imported",
            hint=f"Call equistera.device.choose({name!r}) before, or set {device.VISIBLE}",
        )
    if ":" in name and processes_here() > 1:
        raise UserError(
            f"--device {name} names one GPU, but {processes_here()} processes run here, each of which needs its own",
            hint=f"Leave it out; {device.VISIBLE}=1,2 before the command says which GPUs they take",
        )


def compute_on(name: str | None) -> None:
    """As :func:`choose_device`; on a CPU torch takes the cores that this process may use."""
    choose_device(name)
    if not torch.cuda.is_available():
        torch.set_num_threads(cores_per_process())


def _found(choice: device.Choice) -> str:
    """How many GPUs there are for a device that is not there."""
    chosen = os.environ.pop(device.VISIBLE, None)
    try:
        if choice.before is not None:
            os.environ[device.VISIBLE] = choice.before
        # the driver's own list, which is read anew; without that list it stays at none
        count = torch.cuda.device_count()
    finally:
        if chosen is not None:
            os.environ[device.VISIBLE] = chosen
    return f"torch finds {counted(count, 'GPUs')}, counted from 0" if count else "torch finds no GPU"


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may hand out; none where one is all there is."""
    count = torch.cuda.device_count()
    visible = os.environ.get(device.VISIBLE, ",".join(map(str, range(count)))).split(",")
    return visible if count > 1 else []
