"""Prints what is installed and what it computes on: the end of ``setup.sh``, the start of a bug report.

python -m equistera.mm.versions
"""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

import equistera
from equistera.mm import bridge
from equistera.mm.run.trainer import device_name

PACKAGES = (
    *("torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "mmpose", "onedl-mmdetection", "onedl-mmpretrain"),
    "albumentations",
)


def describe() -> str:
    """Versions and device in a few lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    operators = "compiled" if bridge.has_compiled_mmcv() else "pure Python (torchvision's NMS)"
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return "\n".join(
        (
            f"Equistera Trainer {equistera.__version__} on Python {platform.python_version()}",
            f"  {packages}",
            f"  mmcv operators: {operators}; torch built with {cuda}",
            f"  device: {device_name()}",
        )
    )


if __name__ == "__main__":
    print(describe())
