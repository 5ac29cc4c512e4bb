"""One answer from several views of an animal: from nearer, from further away, as the crops of ``--scales`` show it.

What a head says of each view is laid onto the bins or cells of one of them, the reference, and averaged where views
overlap; then it is decoded once, as with the mirrored picture of a flip test.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def reference_of(scales: Sequence[float]) -> int:
    """Which of the views the others are laid onto: the one most like what the network was trained on."""
    return min(range(len(scales)), key=lambda i: abs(scales[i] - 1))


def averaged(views: Sequence[tuple[torch.Tensor, ...]], scales: Sequence[float], udp: bool) -> tuple[torch.Tensor, ...]:
    """The mean of a head's answers to several views.

    Args:
        views: Of each view what :meth:`SkeletonPoseEstimator.raw_outputs` gives: vectors [B, K, W'] and [B, K, H'], or
            one tensor of heatmaps [B, K, h, w].
        scales: Sides of each view, in any one unit.
        udp: Whether the codec is UDP, by which the first and the last cell lie on the view's edges.

    Returns:
        As one view, on the bins or cells of the view :func:`reference_of` names.
    """
    reference = scales[reference_of(scales)]
    means = []
    for parts in zip(*views, strict=True):
        total, weight = torch.zeros_like(parts[0]), torch.zeros_like(parts[0][:1, :1])
        for part, scale in zip(parts, scales, strict=True):
            covered = torch.ones_like(weight)
            # heatmaps have two axes, vectors one
            for axis in range(2, part.ndim):
                part, inside = _laid(part, axis, reference / scale, udp)
                covered = covered * inside.reshape([-1 if i == axis else 1 for i in range(part.ndim)])
            total += part * covered
            weight += covered
        means.append(total / weight)
    return tuple(means)


def _laid(values: torch.Tensor, axis: int, ratio: float, udp: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Values along an axis where a view ``ratio`` times as large has its bins, and where (1 or 0) there are any."""
    count = values.shape[axis]
    across = count - udp
    places = ((torch.arange(count, device=values.device, dtype=torch.float64) / across - 0.5) * ratio + 0.5) * across
    inside = (places > -1e-6) & (places < count - 1 + 1e-6)
    places = places.clamp(0, count - 1)
    low = places.floor().long()
    share = (places - low).to(values.dtype).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    high = (low + 1).clamp(max=count - 1)
    laid = values.index_select(axis, low) * (1 - share) + values.index_select(axis, high) * share
    return laid, inside.to(values.dtype)
