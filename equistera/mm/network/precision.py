"""Mixed precision, as the machine can do it."""

from __future__ import annotations

import torch
from mmengine.config import Config


def use_mixed_precision(config: Config) -> None:
    """bfloat16 where the device computes in it; float16, whose gradients must be scaled, on older GPUs.

    Args:
        config: Changed; a CPU that has no bfloat16 arithmetic leaves it as it is, and says so.
    """
    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            config.model.precision = "bfloat16"
        else:
            config.model.precision = "float16"
            config.optim_wrapper.type = "AmpOptimWrapper"
    elif torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        config.model.precision = "bfloat16"
    else:
        print("--amp: this CPU has no bfloat16 arithmetic, which would only be slower; staying with float32")


def mixed_precision_pays() -> bool:
    """Whether the machine computes bfloat16 in units made for it: GPUs since Ampere, CPUs with AMX.

    A CPU that only has bfloat16 instructions gains less, and only in some networks.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()
