"""Checkpoint files: written so that a kill leaves the old one whole, read without running what they contain.

Our checkpoints hold plain values and tensors only::

    state_dict   the network
    optimizer    state of the optimiser (not in best.pth)
    hooks        state of each hook that has one, by class name (not in best.pth)
    meta         epoch, iter, config (text), skeleton, seed, scores, version
"""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from equistera.dataset.coco import atomic_write
from equistera.errors import UserError, WriteError

#: How files begin that torch writes: as zip archives, and as pickles before version 1.6.
_STARTS = (b"PK", b"\x80")


def save(path: str | Path, content: dict) -> None:
    """Writes a checkpoint atomically.

    Raises:
        UserError: The disk is full or the folder cannot be written; the earlier file is whole.
    """
    try:
        with atomic_write(path, "wb") as file:
            torch.save(content, file)
    except (WriteError, RuntimeError) as error:
        raise UserError(
            f"cannot write checkpoint {path}: {_reason(error)}{_free_space(path)}",
            hint="Earlier checkpoints are whole.",
        ) from error


def _reason(error: WriteError | RuntimeError) -> str:
    if isinstance(error, WriteError):
        return error.reason
    # torch hides what the system said behind an error of its zip writer
    cause = error.__context__ or error
    return getattr(cause, "strerror", None) or str(cause).splitlines()[0]


def _free_space(path: str | Path) -> str:
    try:
        return f" ({shutil.disk_usage(Path(path).parent).free / 1e6:.0f} MB free)"
    except OSError:
        # the folder itself cannot be reached, which the reason says
        return ""


def load(path: str | Path) -> dict:
    """Reads a checkpoint onto the CPU without executing code from it.

    Args:
        path: One of ours or of OpenMMLab's.

    Returns:
        The checkpoint; it has a ``state_dict``.

    Raises:
        UserError: The file is missing, broken, holds code, or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UserError(f"cannot read checkpoint {path}: {error.strerror}") from error
    if start and not start.startswith(_STARTS):
        raise UserError(
            f"{path} is broken or no checkpoint: it starts with {start!r}",
            hint="A web page that was saved in place of a file looks like this; fetch it again.",
        )
    try:
        with torch.serialization.safe_globals(_harmless()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = str(error)
        if "Unsupported global" in found or "Unsupported operand" in found or "GLOBAL" in found:
            named = next((word for word in found.split() if word.count(".") and "weights_only" not in word), "")
            raise UserError(
                f"{path} holds more than weights ({named or 'code'}): loading it could run code, so it is refused",
                hint="Ask its maker for a file with weights only, or convert it where you trust it.",
            ) from error
        raise UserError(f"{path} is broken or no checkpoint: {found.splitlines()[0]}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} is broken or no checkpoint ({path.stat().st_size} bytes): {first}",
            hint="A download that stopped early looks like this; fetch it again.",
        ) from error
    if isinstance(content, dict) and content and all(isinstance(v, torch.Tensor) for v in content.values()):
        content = {"state_dict": content}
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise UserError(f"{path} is no checkpoint: it has no 'state_dict'")
    return content


def equal(one: object, other: object) -> bool:
    """Whether two checkpoints, or two parts of them, are the same to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


def _harmless() -> list:
    """What OpenMMLab's checkpoints carry beside tensors: NumPy values and MMEngine's log buffers."""
    from mmengine.logging.history_buffer import HistoryBuffer

    reconstruct = [
        (np.core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
        (np.core.multiarray.scalar, "numpy.core.multiarray.scalar"),
    ]
    dtypes = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")]
    return [*reconstruct, np.ndarray, np.dtype, *dtypes, HistoryBuffer]


def upgrade_keys(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gives the weights of MMPose 0.x their names in MMPose 1.x.

    ``keypoint_head.`` became ``head.``. Where the old head had convolutions before its last one, all of them were
    called ``final_layer.N.``; now only the last is the ``final_layer``, the others are ``conv_layers.N.``
    (``HeatmapHead._load_state_dict_pre_hook`` of MMPose 1.3.2). Names of 1.x stay as they are.
    """
    renamed = {
        "head." + name.removeprefix("keypoint_head.") if name.startswith("keypoint_head.") else name: value
        for name, value in state_dict.items()
    }
    numbered = {name: match for name in renamed if (match := re.fullmatch(r"head\.final_layer\.(\d+)\.(\w+)", name))}
    last = max((int(match[1]) for match in numbered.values()), default=-1)
    for name, match in numbered.items():
        layer = "final_layer" if int(match[1]) == last else f"conv_layers.{match[1]}"
        renamed[f"head.{layer}.{match[2]}"] = renamed.pop(name)
    return renamed


#: Share of a backbone's values that a checkpoint must hold to count as one of the same network. Those of another size
#: of the same family still share their stem, which is far below.
SAME_BACKBONE = 0.5


def load_fitting(
    network: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], skip: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Loads every weight whose name and shape fit.

    Args:
        network: The model; changed.
        state_dict: Weights by name.
        skip: Weights of the checkpoint that are not to be loaded, and why; for the lines that are returned.

    Returns:
        How many were loaded, and a line for each that was left out (either side).

    Raises:
        UserError: Less than half of the backbone fits: it is a checkpoint of another network.
    """
    own = network.state_dict()
    fitting, left_out = {}, dict(skip or {})
    for name, value in upgrade_keys(state_dict).items():
        if name in left_out:
            continue
        if name not in own:
            left_out[name] = f"{tuple(value.shape)} in the file, not in this model"
        elif own[name].shape != value.shape:
            left_out[name] = f"{tuple(value.shape)} in the file, {tuple(own[name].shape)} in this model"
        else:
            fitting[name] = value
    for name in own:
        if name not in fitting and name not in left_out:
            left_out[name] = "not in the file, keeps its start"
    lines = [f"{name}: {why}" for name, why in left_out.items()]
    backbone = {name: value.numel() for name, value in own.items() if name.startswith("backbone.")}
    share = sum(size for name, size in backbone.items() if name in fitting) / sum(backbone.values())
    if share < SAME_BACKBONE:
        raise UserError(
            f"the checkpoint is of another network: {share:.0%} of this backbone ({type(network.backbone).__name__}) "
            "is in it",
            [line for line in lines if line.startswith("backbone.")][:5],
            "Choose a checkpoint of the same backbone and size, or --from-scratch",
        )
    network.load_state_dict(fitting, strict=False)
    return len(fitting), lines


def load_exactly(network: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], path: str | Path, hint: str) -> None:
    """Loads weights that must all be there, and no others.

    Args:
        network: The model; changed.
        state_dict: Weights by name.
        path: Where they come from, for the message.
        hint: What to do if they do not fit.

    Raises:
        UserError: Names or shapes differ.
    """
    own = network.state_dict()
    problems = [
        f"{name} {tuple(value.shape)}: not in this model" for name, value in state_dict.items() if name not in own
    ]
    problems += [f"{name}: not in the file" for name in own if name not in state_dict]
    problems += [
        f"{name}: {tuple(state_dict[name].shape)} in the file, {tuple(own[name].shape)} in this model"
        for name in own
        if name in state_dict and state_dict[name].shape != own[name].shape
    ]
    if problems:
        raise UserError(f"{path} does not belong to this config: {len(problems)} weights differ", problems[:5], hint)
    network.load_state_dict(dict(state_dict))
