"""Codecs' decoding as operations of a graph: from what a head says to points in pixels of the crop.

Each does what its codec of MMPose does in NumPy, crop by crop and point by point, for a whole batch. A point in pixels
of the crop is where it would be drawn on the crop; MMPose's UDP codec answers in a unit of its own, ``w / (w - 1)`` of
a pixel, which :meth:`equistera.mm.network.model.SkeletonPoseEstimator.decode` takes along to the picture.
"""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from torch import nn

from equistera.errors import UserError

#: What is not above it has no place: MMPose puts it at -1, -1.
_NOTHING = 0.0


def decoding_of(codec: BaseKeypointCodec) -> nn.Module:
    """The module that decodes what a head with this codec says.

    Raises:
        UserError: There is none for it.
    """
    if isinstance(codec, SimCCLabel) and not codec.use_dark and not codec.decode_visibility:
        return VectorDecoding(codec.simcc_split_ratio)
    if isinstance(codec, UDPHeatmap) and codec.heatmap_type == "gaussian":
        return UdpDecoding(codec)
    if isinstance(codec, MSRAHeatmap):
        return DarkDecoding(codec) if codec.unbiased else QuarterDecoding(codec)
    beside = [name for name in ("use_dark", "decode_visibility") if getattr(codec, name, False)]
    raise UserError(
        f"points of codec {type(codec).__name__}{' with ' + ' and '.join(beside) if beside else ''} are not decoded in "
        "an exported graph",
        hint="SimCCLabel, MSRAHeatmap (with and without unbiased=True) and UDPHeatmap are; --to mmpose exports the "
        "network for programs that decode themselves",
    )


class VectorDecoding(nn.Module):
    """SimCC (Li et al. 2022): the surest bin of each axis; a point is as sure as the less sure of the two."""

    def __init__(self, bins_per_pixel: float):
        super().__init__()
        self.bins_per_pixel = bins_per_pixel

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points [N, K, 2] and confidences [N, K] of vectors [N, K, W] and [N, K, H]."""
        scores = torch.minimum(x.amax(-1), y.amax(-1))
        bins = torch.stack([x.argmax(-1), y.argmax(-1)], dim=-1).to(x.dtype)
        return _where(scores, bins) / self.bins_per_pixel, scores


class _HeatmapDecoding(nn.Module):
    """The highest cell, and how far from its middle the point lies."""

    def __init__(self, codec: MSRAHeatmap | UDPHeatmap, spans_middles: bool):
        super().__init__()
        sides = zip(codec.input_size, codec.heatmap_size, strict=True)
        # UDP's cells span from the middle of the crop's first pixel to that of its last
        scale = [(side - spans_middles) / (cells - spans_middles) for side, cells in sides]
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points [N, K, 2] and confidences [N, K] of heatmaps [N, K, H, W]."""
        width = heatmaps.shape[-1]
        flat = heatmaps.flatten(2)
        scores, place = flat.amax(-1), flat.argmax(-1)
        x, y = place % width, place // width
        cells = torch.stack([x, y], dim=-1).to(heatmaps.dtype)
        return _where(scores, cells + self.offset(heatmaps, x, y)) * self.scale, scores

    def offset(self, heatmaps: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """How far points lie from the middles of their cells (x, y) [N, K], cells [N, K, 2]."""
        raise NotImplementedError


class QuarterDecoding(_HeatmapDecoding):
    """A quarter of a cell towards the higher neighbour, as MMPose's plain heatmaps have it."""

    def __init__(self, codec: MSRAHeatmap):
        super().__init__(codec, spans_middles=False)

    def offset(self, heatmaps, x, y):
        height, width = heatmaps.shape[-2:]
        at = _Neighbours(heatmaps, x, y)
        # its bounds: no step in x from the two first columns, nor in y from the two first rows
        in_x, in_y = (x > 1) & (x < width - 1) & (y > 0), (y > 1) & (y < height - 1) & (x > 0)
        steps = [torch.sign(at(1, 0) - at(-1, 0)) * in_x, torch.sign(at(0, 1) - at(0, -1)) * in_y]
        return torch.stack(steps, dim=-1) * 0.25


class _SmoothedDecoding(_HeatmapDecoding):
    """A Newton step on the logarithm of the smoothed heatmap."""

    def __init__(self, codec: MSRAHeatmap | UDPHeatmap, spans_middles: bool):
        super().__init__(codec, spans_middles)
        kernel = cv2.getGaussianKernel(codec.blur_kernel_size, 0, cv2.CV_32F)
        self.register_buffer("kernel", torch.from_numpy(kernel).reshape(1, 1, -1, 1))

    def smoothed(self, heatmaps: torch.Tensor) -> torch.Tensor:
        """Blurred with zeros around, and as high as before."""
        maps = heatmaps.flatten(0, 1)[:, None]
        border = self.kernel.shape[2] // 2
        blurred = F.conv2d(maps, self.kernel, padding=(border, 0))
        blurred = F.conv2d(blurred, self.kernel.transpose(2, 3), padding=(0, border))[:, 0].unflatten(
            0, heatmaps.shape[:2]
        )
        return blurred * (heatmaps.amax((2, 3), keepdim=True) / blurred.amax((2, 3), keepdim=True))


class DarkDecoding(_SmoothedDecoding):
    """DARK (Zhang et al. 2020), as MMPose's ``unbiased`` heatmaps have it: derivatives over two cells."""

    def __init__(self, codec: MSRAHeatmap):
        super().__init__(codec, spans_middles=False)

    def offset(self, heatmaps, x, y):
        height, width = heatmaps.shape[-2:]
        at = _Neighbours(self.smoothed(heatmaps).clamp(min=1e-10).log(), x, y)
        dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
        dxx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
        dyy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
        dxy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (dxx * dyy - dxy**2 != 0)
        return torch.where(inside[..., None], _newton(dx, dy, dxx, dxy, dyy), torch.zeros_like(dx)[..., None])


class UdpDecoding(_SmoothedDecoding):
    """DARK as UDP (Huang et al. 2020) has it."""

    def __init__(self, codec: UDPHeatmap):
        super().__init__(codec, spans_middles=True)

    def offset(self, heatmaps, x, y):
        at = _Neighbours(self.smoothed(heatmaps).clamp(1e-3, 50.0).log(), x, y)
        here, right, left, below, above = at(0, 0), at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
        dx, dy = 0.5 * (right - left), 0.5 * (below - above)
        dxx, dyy = right - 2 * here + left, below - 2 * here + above
        dxy = 0.5 * (at(1, 1) - right - below + 2 * here - left - above + at(-1, -1))
        tiny = torch.finfo(torch.float32).eps
        return _newton(dx, dy, dxx + tiny, dxy, dyy + tiny)


class _Neighbours:
    """Values of maps [N, K, H, W] beside cells (x, y) [N, K]; beyond an edge those at it."""

    def __init__(self, maps: torch.Tensor, x: torch.Tensor, y: torch.Tensor):
        self.flat, self.size, self.x, self.y = maps.flatten(2), maps.shape[-2:], x, y

    def __call__(self, right: int, down: int) -> torch.Tensor:
        height, width = self.size
        x, y = (self.x + right).clamp(0, width - 1), (self.y + down).clamp(0, height - 1)
        return self.flat.gather(-1, (y * width + x)[..., None])[..., 0]


def _newton(dx, dy, dxx, dxy, dyy) -> torch.Tensor:
    """From the derivatives of a surface, the way to where it is level."""
    determinant = dxx * dyy - dxy**2
    return torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], dim=-1) / determinant[..., None]


def _where(scores: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    return torch.where((scores > _NOTHING)[..., None], cells, -torch.ones_like(cells))
