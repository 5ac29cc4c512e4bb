"""The skeleton in MMPose's words."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equistera.skeleton import Skeleton


def metainfo_of(skeleton: Skeleton) -> dict:
    """Meta information as MMPose's data sets, visualizers and ``parse_pose_metainfo`` take it."""
    return {
        "dataset_name": skeleton.name,
        "keypoint_info": {
            i: {"name": k.name, "id": i, "color": list(k.color), "type": k.half, "swap": k.swap}
            for i, k in enumerate(skeleton.keypoints)
        },
        "skeleton_info": {
            i: {"link": link, "id": i, "color": color}
            for i, (link, color) in enumerate(zip(skeleton.links, skeleton.link_colors.tolist(), strict=True))
        },
        "joint_weights": skeleton.weights.tolist(),
        "sigmas": skeleton.sigmas.tolist(),
    }


def dataset_meta_of(skeleton: Skeleton) -> dict:
    """``dataset_meta`` of an MMPose checkpoint: what ``parse_pose_metainfo`` makes of it, in plain values."""
    parsed = parse_pose_metainfo(metainfo_of(skeleton))
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in parsed.items()}
