"""A trained network as one graph: what a user has goes in, what a user wants comes out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from torch import nn

from equistera.errors import UserError
from equistera.evaluation.calibration import MARGIN, Calibration
from equistera.mm.export.decoding import decoding_of
from equistera.mm.network.detector import AnimalDetector
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.prediction.split_predictions import mean_outputs


class PoseGraph(nn.Module):
    """Crops in, points and confidences out; of several networks what they say is averaged before it is decoded.

    Args:
        networks: With the same input and outputs of the same meaning; whether they average with the mirrored crop
            their own settings say.
        calibration: What makes a confidence a probability; None leaves it as it is.

    Raises:
        UserError: There is no graph for the codec's decoding, or only some of the points are wanted.
    """

    def __init__(self, networks: Sequence[SkeletonPoseEstimator], calibration: Calibration | None):
        super().__init__()
        first = networks[0]
        if first.test_cfg.get("output_keypoint_indices") is not None:
            raise UserError("model.test_cfg.output_keypoint_indices: an exported graph gives all keypoints")
        self.networks = nn.ModuleList(networks)
        self.colours = Colours(first.data_preprocessor)
        self.decoding = decoding_of(first.head.decoder)
        self.calibration = calibration

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points float32 [N, K, 2], pixels of the crop, and confidences [N, K] of crops uint8 RGB [N, H, W, 3]."""
        inputs = self.colours(crops)
        points, scores = self.decoding(*mean_outputs([network.raw_outputs(inputs) for network in self.networks]))
        if self.calibration is None:
            return points, scores
        scores = scores.clamp(MARGIN, 1 - MARGIN)
        logit = torch.log(scores / (1 - scores))
        return points, torch.sigmoid((logit + self.calibration.bias) / self.calibration.temperature)


class DetectorGraph(nn.Module):
    """One picture in, boxes and scores out, each animal once as the detector's own settings have it."""

    def __init__(self, network: AnimalDetector):
        super().__init__()
        self.network = network
        self.colours = Colours(network.data_preprocessor)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes float32 [M, 4], x1, y1, x2, y2 in pixels of the input, the surest first, and scores [M]."""
        from torchvision.ops import nms

        head, settings = self.network.bbox_head, self.network.test_cfg
        features = self.network.extract_feat(self.colours(picture))
        found, distances = head(features)
        sizes = [level.shape[-2:] for level in found]
        places = torch.cat(head.prior_generator.grid_priors(sizes, device=picture.device))
        scores = torch.cat([level[0].flatten(1) for level in found], dim=1)[0].sigmoid()
        distances = torch.cat([level[0].flatten(1) for level in distances], dim=1).T
        height, width = picture.shape[1:3]
        boxes = torch.cat([places - distances[:, :2], places + distances[:, 2:]], dim=1)
        limits = torch.tensor([width, height, width, height], dtype=boxes.dtype)
        boxes = torch.minimum(boxes.clamp(min=0), limits)
        # a distance may come out negative: no box at all
        there = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1) > settings.min_bbox_size
        scores, order = (scores * there).topk(min(settings.nms_pre, len(scores)))
        boxes = boxes[order]
        kept = nms(boxes, scores, settings.nms.iou_threshold)[: settings.max_per_img]
        kept = kept[scores[kept] > settings.score_thr]
        return boxes[kept], scores[kept]


class Colours(nn.Module):
    """What a network's own preprocessor does to pictures that OpenCV has read, for those in RGB."""

    def __init__(self, preprocessor: PoseDataPreprocessor):
        super().__init__()
        self.turns = not preprocessor.turns
        self.normalises = preprocessor.normalises
        if self.normalises:
            self.register_buffer("mean", preprocessor.mean.detach().clone())
            self.register_buffer("std", preprocessor.std.detach().clone())

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """float32 [N, 3, H, W] of uint8 [N, H, W, 3]."""
        inputs = crops.permute(0, 3, 1, 2).float()
        if self.turns:
            inputs = inputs.flip(1)
        return (inputs - self.mean) / self.std if self.normalises else inputs
