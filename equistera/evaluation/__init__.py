"""How good is a pose model: COCO AP, per-keypoint accuracy, intervals, calibration, reports. NumPy and pycocotools."""

from equistera.evaluation.average_precision import coco_ap, instance_score
from equistera.evaluation.comparison import compare, format_comparison, format_table, score_models
from equistera.evaluation.constant_guess import constant_results, mean_pose
from equistera.evaluation.findings import weak_spots
from equistera.evaluation.metrics import evaluate

__all__ = [
    "coco_ap",
    "compare",
    "constant_results",
    "evaluate",
    "format_comparison",
    "format_table",
    "instance_score",
    "mean_pose",
    "score_models",
    "weak_spots",
]
