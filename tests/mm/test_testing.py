"""tools/test.py and tools/visualize.py on a real checkpoint of a tiny run."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from equistera import skeleton
from equistera.errors import UserError
from equistera.mm.test import TestOptions as Options  # pytest would collect a class named Test...
from equistera.mm.test import test as run_test
from equistera.mm.visualize import VisualizeOptions, box_of, visualize

DEMO = "configs/demo_rtmpose_t.py"


def score(horses, trained, tiny, out, config=DEMO, checkpoint=None, **changes):
    if checkpoint is None:
        # the calibration is stored beside it
        checkpoint = out / "weights" / "best.pth"
        checkpoint.parent.mkdir(parents=True)
        shutil.copy(trained / "best.pth", checkpoint)
    given = {"models": [config, str(checkpoint)], "data_root": str(horses), "cfg_options": tiny(), "out": str(out)}
    (metrics,) = run_test(Options(**{**given, **changes})).values()
    return metrics


def draw(trained, tiny, **changes):
    given = {"config": DEMO, "checkpoint": str(trained / "best.pth"), "cfg_options": tiny()}
    return visualize(VisualizeOptions(**{**given, **changes}))


def test_metrics_and_predictions_are_written(horses, trained, tiny, tmp_path, capsys):
    score(horses, trained, tiny, tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {"AP", "AP50", "AP75", "AR", "PCK@0.1", "per_keypoint"} <= set(metrics)
    assert set(metrics["per_keypoint"]) == set(skeleton.load("horse26").names)
    results = COCO(horses / "annotations" / "test.json").loadRes(str(tmp_path / "out" / "predictions.json"))
    animals = json.loads((horses / "annotations" / "test.json").read_text())["annotations"]
    assert len(results.anns) == len(animals)
    assert all(len(result["keypoints"]) == 78 for result in results.anns.values())
    assert "AP50" in capsys.readouterr().out


def test_ap_is_cocos_own(horses, trained, tiny, tmp_path, capsys):
    from pycocotools.cocoeval import COCOeval

    metrics = score(horses, trained, tiny, tmp_path / "out", split="val")
    truth = COCO(horses / "annotations" / "val.json")
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "predictions.json")), "keypoints")
    evaluation.params.kpt_oks_sigmas = skeleton.load("horse26").sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert metrics["AP"] == pytest.approx(evaluation.stats[0], abs=1e-6)
    assert metrics["AR"] == pytest.approx(evaluation.stats[5], abs=1e-6)


def test_flip_test_changes_the_prediction(horses, trained, tiny, tmp_path):
    score(horses, trained, tiny, tmp_path / "plain")
    score(horses, trained, tiny, tmp_path / "flip", flip_test=True)
    assert (tmp_path / "plain" / "predictions.json").read_text() != (tmp_path / "flip" / "predictions.json").read_text()


def test_a_keypoint_order_of_its_own_in_the_file_is_put_right(horses, trained, tiny, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    path = root / "annotations" / "test.json"
    content = json.loads(path.read_text())
    order = np.random.default_rng(0).permutation(26)
    content["categories"][0]["keypoints"] = [content["categories"][0]["keypoints"][i] for i in order]
    for annotation in content["annotations"]:
        annotation["keypoints"] = np.reshape(annotation["keypoints"], (26, 3))[order].ravel().tolist()
    path.write_text(json.dumps(content))
    plain = score(horses, trained, tiny, tmp_path / "plain")
    shuffled = score(root, trained, tiny, tmp_path / "shuffled")
    assert shuffled["per_keypoint"] == plain["per_keypoint"]
    assert shuffled["AP"] == plain["AP"]


def test_weights_of_another_model_are_refused(horses, trained, tiny, tmp_path):
    with pytest.raises(UserError, match="does not belong to this config"):
        score(horses, trained, tiny, tmp_path, config="configs/rtmpose_m_ap10k.py", cfg_options=[])


def test_code_in_a_checkpoint_is_refused_and_not_run(horses, trained, tiny, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("pwned").write_text, ("x",))

    torch.save({"state_dict": {"backbone.x": torch.zeros(1)}, "meta": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="could run code, so it is refused"):
        score(horses, trained, tiny, tmp_path, checkpoint=str(tmp_path / "evil.pth"))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("keep", [0, 1000, 0.5])
def test_a_broken_checkpoint_is_one_message(horses, trained, tiny, tmp_path, keep):
    whole = (trained / "best.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match="broken or no checkpoint"):
        score(horses, trained, tiny, tmp_path, checkpoint=str(tmp_path / "cut.pth"))


def test_a_folder_is_drawn_and_the_pictures_stay(horses, trained, tiny, tmp_path, capsys):
    source = horses / "images" / "test"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert draw(trained, tiny, img_dir=str(source), out_dir=str(tmp_path / "out")) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(before)
    for name, content in before.items():
        drawn, plain = cv2.imread(str(tmp_path / "out" / name)), cv2.imread(str(source / name))
        assert drawn.shape == plain.shape
        assert (np.abs(drawn.astype(int) - plain) > 40).mean() > 0.001
        assert (source / name).read_bytes() == content
    assert "4 pictures drawn" in capsys.readouterr().out


def test_boxes_come_from_an_annotation_file(horses, trained, tiny, tmp_path):
    annotations = str(horses / "annotations" / "test.json")
    folder = str(horses / "images" / "test")
    draw(trained, tiny, img_dir=folder, out_dir=str(tmp_path / "boxes"), ann_file=annotations)
    draw(trained, tiny, img_dir=folder, out_dir=str(tmp_path / "whole"))
    for path in (tmp_path / "boxes").iterdir():
        assert path.read_bytes() != (tmp_path / "whole" / path.name).read_bytes()


def test_one_picture_of_any_kind(trained, tiny, tmp_path):
    rng = np.random.default_rng(0)
    kinds = {
        "grey.png": rng.integers(0, 255, (90, 120), dtype=np.uint8),
        "alpha.png": rng.integers(0, 255, (90, 120, 4), dtype=np.uint8),
        "deep.png": rng.integers(0, 65535, (90, 120, 3), dtype=np.uint16),
    }
    for name, pixels in kinds.items():
        cv2.imwrite(str(tmp_path / name), pixels)
        out = tmp_path / "out" / f"{name}.jpg"
        draw(trained, tiny, img=str(tmp_path / name), out_file=str(out))
        assert cv2.imread(str(out)).shape == (90, 120, 3)


def test_bad_pictures_are_named_at_the_end_and_the_others_drawn(horses, trained, tiny, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(horses / "images" / "test", folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(UserError) as caught:
        draw(trained, tiny, img_dir=str(folder), out_dir=str(tmp_path / "out"))
    assert "1 of 5 pictures could not be read" in str(caught.value)
    assert "broken.jpg" in str(caught.value)
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"img": "a.jpg"}, "--img needs --out-file"),
        ({"img": "a.jpg", "out_file": "a.jpg"}, "is the picture itself"),
        ({"img": "a.jpg", "out_file": "b.txt"}, "is no picture name"),
        ({"img": "a.jpg", "out_file": "b.jpg"}, "no such picture: a.jpg"),
        ({"img_dir": "."}, "--img-dir needs --out-dir"),
        ({"img_dir": "nothing", "out_dir": "out"}, "no such folder: nothing"),
        ({"img_dir": ".", "out_dir": "."}, "they are not overwritten"),
        ({"img_dir": ".", "out_dir": "out"}, "no pictures in ."),
    ],
)
def test_what_cannot_be_drawn_is_said(trained, tiny, tmp_path, monkeypatch, changes, finding):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=finding):
        draw(trained, tiny, **changes)


def test_a_box_of_points():
    points = np.array([[10.0, 10], [30, 10], [30, 20], [10, 20]])
    assert box_of(points, (100, 100)) == pytest.approx((8, 8, 24, 14))
    assert box_of(points, (31, 100)) == pytest.approx((8, 8, 23, 14))
    assert box_of(points[:3], (100, 100)) is None
    assert box_of(np.full((5, 2), np.array([200.0, 200])), (100, 100)) is None
