"""CocoMetric beside our metric, and what xtcocotools' COCOeval adds to pycocotools'."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from mmpose.registry import DATASETS, METRICS
from pycocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from equistera import skeleton as skeletons
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401

HORSE = skeletons.load("horse26")


@pytest.fixture
def root(horses, tmp_path):
    """Data whose file names the keypoints in another order than the skeleton, and several animals in a picture."""
    content = json.loads((horses / "annotations" / "train.json").read_text())
    turned = [*range(len(HORSE) - 1, -1, -1)]
    for annotation in content["annotations"]:
        annotation["keypoints"] = np.reshape(annotation["keypoints"], (-1, 3))[turned].ravel().tolist()
    content["categories"][0]["keypoints"] = [HORSE.names[i] for i in turned]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "val.json").write_text(json.dumps(content))
    return tmp_path


def samples_of(dataset, noise):
    rng = np.random.default_rng(1)
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        points = info["keypoints"] + rng.normal(0, noise, info["keypoints"].shape)
        scores = rng.uniform(0.1, 1, points.shape[:2])
        predicted = {"keypoints": points, "keypoint_scores": scores, "bboxes": info["bbox"], "bbox_scores": np.ones(1)}
        yield {**info, "ori_shape": (240, 320), "pred_instances": predicted, "gt_instances": {}}


@pytest.mark.parametrize("noise", [1.0, 4.0, 8.0])
def test_coco_metric_says_what_ours_says(root, noise):
    config = configs.load("configs/demo_rtmpose_t.py", data_root=str(root))
    dataset = DATASETS.build({**config.val_dataloader.dataset, "pipeline": []})
    found = {}
    for settings in (config.val_evaluator, {"type": "CocoMetric", "nms_mode": "none"}):
        metric = METRICS.build(settings)
        metric.dataset_meta = dataset.metainfo
        metric.process(None, list(samples_of(dataset, noise)))
        found |= metric.evaluate(len(dataset))
    assert 0.05 < found["coco/AP"] <= 1
    for ours, theirs in (("AP", "AP"), ("AP50", "AP .5"), ("AP75", "AP .75"), ("AR", "AR")):
        assert found[f"val/{ours}"] == pytest.approx(found[f"coco/{theirs}"], abs=1e-6)


def evaluated(annotations, detections, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": 1, "crowdIndex": 0.1}, {"id": 2, "crowdIndex": 0.9}],
            "categories": [{"id": 1, "name": "animal"}],
            "annotations": annotations,
        }
        truth.createIndex()
        before = copy.deepcopy(annotations)
        evaluation = COCOeval(truth, truth.loadRes(detections), *args)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert annotations == before
    return evaluation.stats


def animal(i, image, **more):
    return {"id": i, "image_id": image, "category_id": 1, "bbox": [0, 0, 100, 100], "iscrowd": 0, **more}


SIGMAS = np.array([0.1, 0.1])
TRUTH = [50.0, 50, 2, 80, 80, 2]


def test_an_annotation_with_id_0_can_be_found():
    annotations = [animal(0, 1, area=5000, keypoints=TRUTH), animal(1, 2, area=5000, keypoints=TRUTH)]
    found = [{"image_id": i, "category_id": 1, "keypoints": TRUTH, "score": 0.5} for i in (1, 2)]
    assert evaluated(annotations, found, "keypoints", SIGMAS)[0] == 1


def test_areas_from_boxes():
    """Farther apart than an area of 100 forgives, but not than that of the box, 5,300."""
    annotations = [animal(1, 1, area=100, keypoints=TRUTH), animal(2, 2, area=100, keypoints=TRUTH)]
    off = [53.0, 50, 1, 83, 80, 1]
    found = [{"image_id": i, "category_id": 1, "keypoints": off, "score": 0.5} for i in (1, 2)]
    # OKS: exp(-9 / (2 * 0.2**2 * area))
    assert evaluated(annotations, found, "keypoints", SIGMAS)[0] == 0
    assert evaluated(annotations, found, "keypoints", SIGMAS, False)[0] == 1


def test_crowds_are_told_apart():
    annotations = [animal(i, i, area=5000, keypoints=TRUTH, num_keypoints=2) for i in (1, 2)]
    found = [{"image_id": 1, "category_id": 1, "keypoints": TRUTH, "score": 0.5}]
    stats = evaluated(annotations, found, "keypoints_crowd", SIGMAS)
    easy, medium, hard = stats[6:]
    assert (easy, medium, hard) == (1, -1, 0)


def test_parts_of_a_body_have_their_own_points_and_scores():
    parts = {f"{name}_kpts": TRUTH for name in ("face", "lefthand", "righthand")}
    annotations = [animal(1, 1, area=5000, keypoints=TRUTH, foot_kpts=[10, 10, 2, 20, 20, 2], **parts)]
    found = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": 0.5,
            "keypoints": TRUTH,
            "foot_kpts": [90, 90, 1, 10, 90, 1],
            **parts,
        }
    ]
    ap = {name: evaluated(annotations, found, f"keypoints_{name}", SIGMAS)[0] for name in ("body", "foot", "face")}
    assert ap == pytest.approx({"body": 1, "foot": 0, "face": 1})
    assert 0 < evaluated(annotations, found, "keypoints_wholebody", np.tile(SIGMAS, 5))[0] < 1
