"""What follows from a codec: how the input lies in its box, how its cells lie in the input.

MMPose's plain heatmaps (``MSRAHeatmap``) span a box from edge to edge, as SimCC does: w pixels are w / box wide. UDP
(``UDPHeatmap``; Huang et al., "The devil is in the details: delving into unbiased data processing for human pose
estimation", 2020) spans it from the middle of the first pixel to that of the last: w - 1 pixels. So pictures are cut
otherwise for it, and a mirrored heatmap lies on the other one without being shifted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from equistera.errors import UserError
from equistera.training.values import is_number

PLAIN, UDP = "MSRAHeatmap", "UDPHeatmap"

#: Cells or bins, see :func:`target_problems`.
LEAST_SIGMA = 0.5

#: Where a network's ``test_cfg`` says that a mirrored heatmap is shifted by a cell.
SHIFT = "shift_heatmap"


def uses_udp(codec: Mapping) -> bool:
    """Whether a codec's pictures are cut for it as UDP says."""
    return codec.get("type") == UDP


def shifts_mirrored(codec: Mapping) -> bool | None:
    """Whether a mirrored heatmap lies a cell beside the other one; None for a codec that has no heatmaps.

    Of the plain ones, four pixels to a cell, it is 3/4 of a cell: a picture is mirrored about the middle of a pixel.
    """
    return {PLAIN: True, UDP: False}.get(codec.get("type", ""))


def check_codec(codec: Mapping) -> None:
    """Refuses a kind of heatmap that heads here have no channels for.

    Raises:
        UserError: It is UDP's ``combined``, three channels a keypoint.
    """
    if uses_udp(codec) and codec.get("heatmap_type", "gaussian") != "gaussian":
        raise UserError(
            f"codec.heatmap_type: expected 'gaussian', found {codec['heatmap_type']!r}",
            hint="Heads here have one channel for each keypoint, not one and two offsets",
        )


def target_problems(codec: Mapping) -> list[str]:
    """What is wrong with the size of a codec's heatmaps, the width of its targets (cells or bins) or its blur.

    Sigma is from 0.5, below which a keypoint between two cells has no peak, to a sixth of the shorter side, where three
    sigmas to either side span it. A blur of an even number of cells has no middle. The input size is a valid one.
    """
    if "heatmap_size" in codec and not is_size(codec["heatmap_size"]):
        width, height = (side // 4 for side in codec["input_size"])
        found = f"found {codec['heatmap_size']!r}"
        return [f"codec.heatmap_size: expected (width,height), such as ({width},{height}), {found}"]
    if "blur_kernel_size" in codec and "heatmap_size" in codec:
        blur, most = codec["blur_kernel_size"], min(codec["heatmap_size"])
        if type(blur) is not int or blur % 2 == 0 or not 3 <= blur <= most:
            return [f"codec.blur_kernel_size: expected an odd number of cells from 3 to {most}, found {blur!r}"]
    if "sigma" not in codec:
        return []
    sigma, of_cells = codec["sigma"], "heatmap_size" in codec
    ratio = 1 if of_cells else codec.get("simcc_split_ratio", 2.0)
    sides = codec["heatmap_size"] if of_cells else codec["input_size"]
    if not is_number(ratio):
        return [f"codec.simcc_split_ratio: expected a number, found {ratio!r}"]
    most = min(sides) * ratio / 6
    given = list(sigma) if isinstance(sigma, (tuple, list)) and not of_cells else [sigma]
    if len(given) in (1, 2) and all(is_number(value) and LEAST_SIGMA <= value <= most for value in given):
        return []
    what = "one number" if of_cells else "one number or one for x and one for y"
    unit = "cells of the heatmap" if of_cells else "bins"
    return [f"codec.sigma: expected {what} from {LEAST_SIGMA} to {most:.3g} {unit}, found {sigma!r}"]


def is_size(value: object) -> bool:
    """Whether a value is a width and a height: two whole numbers above 0."""
    sides = value if isinstance(value, (tuple, list)) else ()
    return len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)


def completed_test_cfg(test_cfg: Mapping | None, codec: Mapping) -> dict:
    """A network's ``test_cfg`` with what follows from the codec where it does not say so itself.

    Raises:
        UserError: It shifts heatmaps that lie where they belong.
    """
    given, shift = dict(test_cfg or {}), shifts_mirrored(codec)
    if shift is None:
        return given
    if given.get(SHIFT) and not shift:
        raise UserError(
            f"model.test_cfg.{SHIFT}=True: mirrored heatmaps of {codec['type']} lie where they belong, and would be "
            "shifted by a cell",
            hint=f"Leave {SHIFT} out: it follows from the codec",
        )
    return {SHIFT: shift, **given}


def pixels_across(codec: Mapping) -> np.ndarray:
    """Width and height of the box of an input in its own pixels, float64 [2]."""
    return np.asarray(codec["input_size"], dtype=float) - uses_udp(codec)
