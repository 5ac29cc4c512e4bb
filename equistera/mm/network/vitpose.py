"""ViTPose's weights in the names of MMPretrain's ``VisionTransformer`` and MMPose's ``HeatmapHead``.

Two programs write them: its authors' (github.com/ViTAE-Transformer/ViTPose, MMPose 0.x) and Hugging Face's transformers
(``VitPoseForPoseEstimation``). Both have a position of their own for a class token that the network does not have, and
add it to every other position. ViTPose++ trained on six data sets at once: the last features of each block's second
layer come from one of six experts, the others are shared, and each data set has its head. What a data set needs of that
is a plain network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from equistera.errors import UserError

#: ViTPose++'s data sets, by the number of their expert: ``dataset_idx`` in the authors' configs
#: ``vitPose+_*_coco+aic+mpii+ap10k+apt36k+wholebody_256x192_udp.py`` and the order in their ``tools/model_split.py``.
EXPERTS = ("coco", "aic", "mpii", "ap10k", "apt36k", "wholebody")
AP10K = EXPERTS.index("ap10k")

POSITIONS = "backbone.pos_embed"

_BLOCK = r"^backbone\.(?:blocks|encoder\.layer)\.(\d+)\."
#: Names of the authors and of transformers, and ours.
_NAMES = [
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.projection."),
    (r"^backbone\.patch_embed\.proj\.", "backbone.patch_embed.projection."),
    (r"^backbone\.embeddings\.position_embeddings$", POSITIONS),
    (r"^backbone\.(?:last_norm|layernorm)\.", "backbone.ln1."),
    (_BLOCK + r"(?:norm1|layernorm_before)\.", r"backbone.layers.\1.ln1."),
    (_BLOCK + r"(?:norm2|layernorm_after)\.", r"backbone.layers.\1.ln2."),
    (_BLOCK + r"attn\.", r"backbone.layers.\1.attn."),
    (_BLOCK + r"attention\.output\.dense\.", r"backbone.layers.\1.attn.proj."),
    (_BLOCK + r"mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (_BLOCK + r"mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (r"^head\.deconv1\.", "head.deconv_layers.0."),
    (r"^head\.batchnorm1\.", "head.deconv_layers.1."),
    (r"^head\.deconv2\.", "head.deconv_layers.3."),
    (r"^head\.batchnorm2\.", "head.deconv_layers.4."),
    (r"^head\.conv\.", "head.final_layer."),
]
_EXPERT = re.compile(_BLOCK + r"mlp\.experts\.(\d+)\.(weight|bias)$")
_ATTENTION = re.compile(_BLOCK + r"attention\.attention\.(query|key|value)\.(weight|bias)$")
_HEAD = re.compile(r"^associate_keypoint_heads\.(\d+)\.")


@dataclass(frozen=True)
class Conversion:
    """What was done to a file's weights.

    Attributes:
        changes: A line each.
        head_of: Whose keypoints the head's are, where they are none that any skeleton here has; else empty.
    """

    changes: tuple[str, ...]
    head_of: str = ""


def converted(state_dict: Mapping[str, torch.Tensor], path: object) -> dict[str, object]:
    """Gives ViTPose's weights the names of the network here, with the expert and the head for AP-10K.

    Args:
        state_dict: Weights with MMPose 1.x's names of the parts (``backbone.``, ``head.``).
        path: Their file, for messages.

    Returns:
        ``state_dict`` and ``conversion``; if the weights are not ViTPose's they are as they were, without the latter.

    Raises:
        UserError: Experts are not the six of ViTPose++, or weights that belong together do not fit each other.
    """
    if not any(name.startswith(("backbone.last_norm.", "backbone.encoder.layer.")) for name in state_dict):
        return {"state_dict": dict(state_dict)}
    state = dict(state_dict)
    try:
        said = [*_choose_head(state), *_merge_experts(state), *_join_attention(state)]
        renamed = {_renamed(name): value for name, value in state.items()}
        said += _add_class_position(renamed)
    except (KeyError, RuntimeError, IndexError) as error:
        raise UserError(f"{path} looks like ViTPose's weights, but they do not fit each other: {error}") from error
    changes = (f"ViTPose's weights: {sum(name not in state_dict for name in renamed)} renamed", *said)
    # transformers' convert_vitpose_to_hf.py keeps ``keypoint_head``, that of the first data set, and no other
    one_of_many = any(name.startswith("backbone.encoder.layer.") and ".mlp.experts." in name for name in state_dict)
    head_of = "people's (COCO): transformers keeps no other head of ViTPose++" if one_of_many else ""
    return {"state_dict": renamed, "conversion": Conversion(changes, head_of)}


def _renamed(name: str) -> str:
    for pattern, ours in _NAMES:
        name, found = re.subn(pattern, ours, name)
        if found:
            break
    return name


def _choose_head(state: dict[str, torch.Tensor]) -> list[str]:
    """Puts AP-10K's head in the place of COCO's, in the authors' file of all data sets."""
    numbers = {int(match[1]) for name in state if (match := _HEAD.match(name))}
    if not numbers:
        return []
    if numbers != {*range(len(EXPERTS) - 1)}:
        raise KeyError(f"heads {sorted(numbers)} beside the first one, expected those of {', '.join(EXPERTS[1:])}")
    chosen = f"associate_keypoint_heads.{AP10K - 1}."
    for name in [name for name in state if name.startswith("head.")]:
        del state[name]
    for name in [name for name in state if _HEAD.match(name)]:
        value = state.pop(name)
        if name.startswith(chosen):
            state["head." + name.removeprefix(chosen)] = value
    return [f"head: that for AP-10K; those for {', '.join(n for n in EXPERTS if n != 'ap10k')} were left out"]


def _merge_experts(state: dict[str, torch.Tensor]) -> list[str]:
    """Makes the second layers of the blocks whole: their shared features and the expert's."""
    found = {name: match for name in state if (match := _EXPERT.match(name))}
    if not found:
        return []
    numbers = {int(match[2]) for match in found.values()}
    if numbers != {*range(len(EXPERTS))}:
        raise KeyError(f"experts {sorted(numbers)}, expected those of {', '.join(EXPERTS)}")
    experts = {name: state.pop(name) for name in found}
    merged = 0
    for name, match in found.items():
        if int(match[2]) != AP10K:
            continue
        shared = name.replace(f".experts.{AP10K}.", ".fc2.")
        width = state[name.replace(f"experts.{AP10K}.{match[3]}", "fc1.weight")].shape[1]
        if len(state[shared]) < width:
            state[shared] = torch.cat([state[shared], experts[name]])
            merged += match[3] == "weight"
    if not merged:
        # model_split.py leaves them there
        return [f"experts: {len(numbers)} in each block were left out, one of them is merged already"]
    return [f"experts: that for AP-10K merged into {merged} blocks; {len(numbers) - 1} others in each were left out"]


def _join_attention(state: dict[str, torch.Tensor]) -> list[str]:
    """Query, key and value are one layer here."""
    found = [match for name in state if (match := _ATTENTION.match(name))]
    for match in found:
        if match[2] == "query":
            names = [match[0].replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            state[f"backbone.layers.{match[1]}.attn.qkv.{match[3]}"] = torch.cat([state.pop(name) for name in names])
    return []


def _add_class_position(state: dict[str, torch.Tensor]) -> list[str]:
    positions = state.get(POSITIONS)
    # a class token is left from pre-training in some files; the network does not use it
    state.pop("backbone.cls_token", None)
    if positions is None or grid_of(positions.shape[1] - 1) is None:
        return []
    state[POSITIONS] = positions[:, 1:] + positions[:, :1]
    return ["positions: the one for a class token was added to all others, as ViTPose does"]


def grid_of(cells: int) -> tuple[int, int] | None:
    """Rows and columns of so many positions: those of ViTPose's 256x192 pixels or a square; None for other numbers."""
    for rows, columns in ((4, 3), (1, 1)):
        unit = round((cells / (rows * columns)) ** 0.5)
        if unit and unit * unit * rows * columns == cells:
            return rows * unit, columns * unit
    return None


def with_own_positions(
    state_dict: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], grid: tuple[int, int]
) -> tuple[Mapping[str, torch.Tensor], list[str]]:
    """Interpolates a transformer's positions to those of a network for another size of input.

    Args:
        state_dict: Weights of a file.
        own: The network's.
        grid: Its rows and columns of positions.

    Returns:
        The weights, and a line that says so if they have changed.
    """
    given, wanted = state_dict.get(POSITIONS), own.get(POSITIONS)
    if given is None or wanted is None or given.ndim != 3 or given.shape == wanted.shape:
        return state_dict, []
    before = grid_of(given.shape[1])
    if before is None or wanted.shape[1] != grid[0] * grid[1] or given.shape[2] != wanted.shape[2]:
        return state_dict, []
    picture = given.reshape(1, *before, -1).permute(0, 3, 1, 2).float()
    # as ViTPose's own vit.py does it
    resized = F.interpolate(picture, size=grid, mode="bicubic", align_corners=False)
    line = f"{POSITIONS}: {before[0]}x{before[1]} in the file, interpolated to {grid[0]}x{grid[1]}"
    return {**state_dict, POSITIONS: resized.permute(0, 2, 3, 1).reshape(1, -1, wanted.shape[2])}, [line]
