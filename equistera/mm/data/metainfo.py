"""The skeleton in MMPose's words."""

from __future__ import annotations

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
