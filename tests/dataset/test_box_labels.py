"""Boxes of animals that poses leave out."""

import json

from equistera import skeleton as skeletons
from equistera.dataset.box_labels import load_boxes
from equistera.dataset.coco import load_annotations


def test_animals_without_keypoints_and_crowds_have_boxes_too(horses, tmp_path):
    content = json.loads((horses / "annotations" / "train.json").read_text())
    first = content["annotations"][0]
    image = next(image for image in content["images"] if image["id"] == first["image_id"])
    nothing = {**first, "keypoints": [0] * len(first["keypoints"]), "num_keypoints": 0}
    content["annotations"] += [
        {**nothing, "id": 9001, "bbox": [-10, -10, 30, 40]},
        {**nothing, "id": 9002, "iscrowd": 1, "bbox": [0, 0, 5, 5]},
        {**nothing, "id": 9003, "bbox": [image["width"] + 5, 0, 5, 5]},
        {**nothing, "id": 9004, "bbox": None},
    ]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    skeleton = skeletons.load("horse26")
    boxes = {a["id"]: a for a in load_boxes(path, skeleton)["annotations"]}
    poses = {a["id"] for a in load_annotations(path, skeleton)["annotations"]}
    assert boxes.keys() - poses == {9001, 9002}
    assert boxes[9001]["bbox"] == [0, 0, 20, 30]
    assert [boxes[i]["iscrowd"] for i in (first["id"], 9001, 9002)] == [0, 0, 1]
