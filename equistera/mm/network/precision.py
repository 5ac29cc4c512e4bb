"""Mixed precision, as the machine can do it."""

from __future__ import annotations

import torch


def mixed_precision() -> dict[str, str]:
    """bfloat16 where the device computes in it; float16, whose gradients must be scaled, on older GPUs.

    Returns:
        Entries of a config; none for a CPU that has no bfloat16 arithmetic, which is said.
    """
    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return {"model.precision": "bfloat16"}
        return {"model.precision": "float16", "optim_wrapper.type": "AmpOptimWrapper"}
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return {"model.precision": "bfloat16"}
    print("--amp: this CPU has no bfloat16 arithmetic, which would only be slower; staying with float32")
    return {}


def mixed_precision_pays() -> bool:
    """Whether the machine computes bfloat16 in units made for it: GPUs since Ampere, CPUs with AMX.

    A CPU that only has bfloat16 instructions gains less, and only in some networks.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()


def prediction_precision(amp: bool | None) -> str | None:
    """What a trained network predicts in, whatever it was trained in.

    Args:
        amp: Mixed precision where the device has it; None: where that is faster.

    Returns:
        ``model.precision`` of a config; None: float32.
    """
    mixed = mixed_precision() if (mixed_precision_pays() if amp is None else amp) else {}
    return mixed.get("model.precision")
