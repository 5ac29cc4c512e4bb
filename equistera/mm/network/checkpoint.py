"""Checkpoint files: written so that a kill leaves the old one whole, read without running what they contain.

Our checkpoints hold plain values and tensors only::

    state_dict   the network
    optimizer    state of the optimiser (not in best.pth)
    hooks        state of each hook that has one, by class name (not in best.pth)
    meta         epoch, iter, config (text), skeleton, seed, scores, version
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from equistera.errors import MachineFailure, UserError, WriteError
from equistera.files import atomic_write
from equistera.mm.network import vitpose
from equistera.mm.network.checkpoint_file import read


def save(path: str | Path, content: dict) -> None:
    """Writes a checkpoint atomically.

    Raises:
        MachineFailure: The disk is full or the folder cannot be written; the earlier file is whole.
    """
    try:
        with atomic_write(path, "wb") as file:
            torch.save(content, file)
    except (WriteError, RuntimeError) as error:
        raise MachineFailure(
            f"cannot write checkpoint {path}: {_reason(error)}{_free_space(path)}",
            hint="Earlier checkpoints are whole",
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
        path: One of ours, of OpenMMLab's, or weights in another wrapping: see :data:`HOLDERS` and
            :func:`upgrade_keys`.

    Returns:
        The checkpoint: ``state_dict``, tensors by their names in MMPose 1.x; ``conversion``, what had to be done to
        them beyond names, a :class:`vitpose.Conversion`; and ``meta``, empty where the file's is no dictionary. What
        else a checkpoint holds stands beside them.

    Raises:
        UserError: The file is missing, broken, holds code, or is no checkpoint; a weight is not finite.
    """
    content: Any = read(Path(path))
    holder, weights = _weights_in(content)
    if weights is None:
        found = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
        raise UserError(f"{path} is no checkpoint: it has no 'state_dict', found {found or 'nothing'}")
    state = upgrade_keys({str(name): value for name, value in weights.items() if isinstance(value, torch.Tensor)})
    refuse_nonfinite(state, path)
    beside = {} if holder is None else {key: content[key] for key in content if key not in (holder, "conversion")}
    meta = beside.get("meta")
    return {**beside, **vitpose.converted(state, path), "meta": meta if isinstance(meta, dict) else {}}


#: Under which names programs keep the weights in what they save; the first that is there counts.
HOLDERS = (
    *("state_dict", "model_state_dict", "model", "ema_state_dict", "state_dict_ema", "model_ema", "ema", "module"),
    *("net", "network", "weights", "params"),
)


def _weights_in(content: object) -> tuple[str | None, Mapping | None]:
    """The mapping that holds the weights and its name; no name where it is the content itself."""
    if not isinstance(content, Mapping):
        return None, None
    for name in HOLDERS:
        inner = content.get(name)
        if isinstance(inner, Mapping):
            if any(isinstance(value, torch.Tensor) for value in inner.values()):
                return name, inner
            deeper = _weights_in(inner)[1]
            if deeper is not None:
                return name, deeper
    return None, content if any(isinstance(value, torch.Tensor) for value in content.values()) else None


def refuse_nonfinite(content: object, path: str | Path) -> None:
    """Refuses numbers from which nothing can be computed.

    Args:
        content: Tensors, in dictionaries and lists of whatever depth.
        path: The file that they come from.

    Raises:
        UserError: One is NaN or infinite, or a tensor does not hold the numbers that it stands for (it repeats a few,
            is sparse, or has none at all); each such tensor is named.
    """
    most = Path(path).stat().st_size
    hollow = [f"{name}: {tuple(value.shape)}" for name, value in _tensors(content) if not _is_held(value, most)]
    if hollow:
        raise UserError(f"{path} holds tensors without numbers of their own:", hollow, "torch.save dense ones on a CPU")
    found = [
        f"{name}: {int((~value.isfinite()).sum())} of {value.numel()} values"
        for name, value in _tensors(content)
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if found:
        raise UserError(
            f"{path} holds numbers that are not finite (NaN or infinite), with which nothing can be predicted:",
            found,
            "The training that wrote it had diverged; take an earlier checkpoint",
        )


def _is_held(value: torch.Tensor, most: int) -> bool:
    """Whether a tensor's numbers may all lie in a file of ``most`` bytes."""
    plain = value.device.type == "cpu" and value.layout is torch.strided and not value.is_quantized
    return plain and value.numel() * value.element_size() <= most


def _tensors(content: object, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield name, content
    elif isinstance(content, (Mapping, list, tuple)):
        for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


def equal(one: object, other: object) -> bool:
    """Whether two checkpoints, or two parts of them, are the same to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


#: What the networks here are made of, and others: the first parts of their weights' names.
_PARTS = r"backbone|neck|head|keypoint_head|bbox_head|heads"
#: Wrappers for several devices and for compiling put their names anywhere into those of the weights.
_WRAPPERS = re.compile(r"(?<![^.])(module|_orig_mod)\.")


def upgrade_keys(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gives weights their names in MMPose 1.x, whatever wraps them.

    The names of wrappers are left out (``module.``, ``_orig_mod.``), and what all names have before the first part of
    a network (``model.backbone.``, ``pose.head.``).

    In MMPose 0.x ``head.`` was ``keypoint_head.``. Where the old head had convolutions before its last one, all of
    them were called ``final_layer.N.``; now only the last is the ``final_layer``, the others are ``conv_layers.N.``
    (``HeatmapHead._load_state_dict_pre_hook`` of MMPose 1.3.2). Names of 1.x stay as they are.

    Networks of DeepLabCut 3 become those of MMPose that compute the same, see :func:`_from_deeplabcut`.
    """
    plain = {_WRAPPERS.sub("", name): value for name, value in state_dict.items()}
    matches = [re.match(rf"((?:\w+\.)*?)(?:{_PARTS})\.", name) for name in plain]
    (*before,) = {match[1] for match in matches if match}
    prefix = before[0] if len(before) == 1 else ""
    renamed = {}
    for name, value in plain.items():
        name = name.removeprefix(prefix)
        renamed["head." + name.removeprefix("keypoint_head.") if name.startswith("keypoint_head.") else name] = value
    numbered = {name: match for name in renamed if (match := re.fullmatch(r"head\.final_layer\.(\d+)\.(\w+)", name))}
    last = max((int(match[1]) for match in numbered.values()), default=-1)
    for name, match in numbered.items():
        layer = "final_layer" if int(match[1]) == last else f"conv_layers.{match[1]}"
        renamed[f"head.{layer}.{match[2]}"] = renamed.pop(name)
    return _from_deeplabcut(renamed)


#: The heatmaps of a network of DeepLabCut 3 (deeplabcut.pose_estimation_pytorch, HeatmapHead with a DeconvModule).
_DEEPLABCUT_HEAD = re.compile(r"heads\.\w+\.heatmap_head\.deconv_layers\.(\d+)\.(weight|bias)")


def _from_deeplabcut(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names as MMPose has them for an HRNet of DeepLabCut 3, whose backbone is timm's.

    timm's stages are called as MMPose's are. A head of one deconvolution over single cells, as SuperAnimal's, is a
    convolution whose channels come in the other order; other heads have no counterpart and stay as they are.
    """
    heads = {name: match for name in weights if (match := _DEEPLABCUT_HEAD.fullmatch(name))}
    if not heads:
        return weights
    given = {re.sub(r"^backbone\.model\.", "backbone.", name): value for name, value in weights.items()}
    whole = [name for name, match in heads.items() if match[2] == "weight"]
    if len(whole) == 1 and given[whole[0]].shape[2:] == (1, 1):
        for name, match in heads.items():
            value = given.pop(name)
            given[f"head.final_layer.{match[2]}"] = value.transpose(0, 1) if match[2] == "weight" else value
    return given


def with_own_backbone(
    state_dict: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Gives the backbone's weights the network's names where the file has them with another beginning.

    A backbone alone has none (``conv1.weight``, as torchvision's), in other programs one of their own
    (``encoder.conv1.weight``). The beginning with which most of the backbone's values fit is taken.
    """
    sizes = {name.removeprefix("backbone."): value for name, value in own.items() if name.startswith("backbone.")}
    first = next(iter(sizes), None)
    beginnings = {name.removesuffix(first) for name in state_dict if f".{name}".endswith(f".{first}")}

    def fitting(beginning: str) -> int:
        return sum(
            value.numel()
            for name, value in sizes.items()
            if (found := state_dict.get(beginning + name)) is not None and found.shape == value.shape
        )

    best = max(sorted(beginnings), key=fitting, default="backbone.")
    if best == "backbone." or fitting(best) <= fitting("backbone."):
        return state_dict
    return {
        f"backbone.{name[len(best) :]}" if name.startswith(best) and name[len(best) :] in sizes else name: value
        for name, value in state_dict.items()
    }


#: What the names of weights say of the network that they are of.
_KINDS = {
    r"bbox_head\.|rpn_head\.|rpn\.": "a detector",
    r"heads\.\w+\.(heatmap|locref)_head\.": "a pose network of DeepLabCut",
    r"model\.\d+\.": "a network of YOLO",
    r"(fc|classifier|head\.fc)\.": "a classifier of pictures",
    r"head\.": "a pose network",
}


def kind_of(state_dict: Mapping[str, torch.Tensor]) -> str:
    """What weights are of, by their names, for messages."""
    kind = next((what for names, what in _KINDS.items() if any(re.match(names, name) for name in state_dict)), "")
    parts = dict.fromkeys(name.split(".", 1)[0] for name in state_dict)
    shown = ", ".join(list(parts)[:5]) + (", ..." if len(parts) > 5 else "")
    return f"{kind or 'a network of unknown kind'} ({len(state_dict)} weights: {shown})"


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
    given: Mapping[str, Any] = upgrade_keys(state_dict)
    if hasattr(network.backbone, "with_own_names"):
        given = network.backbone.with_own_names(given)
    given = with_own_backbone(given, own)
    unfit, skip = _unfit(given, own), skip or {}
    missing = {name: f"{why}, keeps its start" for name, why in unfit.items() if name not in given}
    left_out = {**unfit, **missing, **skip}
    fitting = {name: value for name, value in given.items() if name not in left_out}
    lines = [f"{name}: {why}" for name, why in left_out.items()]
    backbone = {name: value.numel() for name, value in own.items() if name.startswith("backbone.")}
    share = sum(size for name, size in backbone.items() if name in fitting) / sum(backbone.values())
    if share < SAME_BACKBONE:
        raise UserError(
            f"the checkpoint is of another network: {share:.0%} of this backbone ({type(network.backbone).__name__}) "
            f"is in it; it holds {kind_of({**skip, **state_dict})}",
            [line for line in lines if line.startswith("backbone.")][:5],
            "Choose a checkpoint of the same backbone and size, or --from-scratch",
        )
    network.load_state_dict(fitting, strict=False)
    return len(fitting), lines


def _unfit(given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The weights of a file and of a model that do not fit each other, by name, and why."""
    sizes, needed = ({name: tuple(value.shape) for name, value in weights.items()} for weights in (given, own))
    return {
        name: "not in the file"
        if name not in sizes
        else f"{sizes[name]} in the file, {needed.get(name, 'not')} in this model"
        for name in {**sizes, **needed}
        if sizes.get(name) != needed.get(name)
    }


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
    unfit = _unfit(state_dict, network.state_dict())
    if unfit:
        raise UserError(
            f"{path} does not belong to this config: {len(unfit)} weights differ; it holds {kind_of(state_dict)}",
            [f"{name}: {why}" for name, why in unfit.items()][:5],
            hint,
        )
    network.load_state_dict(dict(state_dict))
