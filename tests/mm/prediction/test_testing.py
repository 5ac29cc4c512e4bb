"""tools/test.py on a real checkpoint of a tiny run."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from equistera import skeleton
from equistera.dataset.images import read_rgb
from equistera.errors import UserError
from equistera.evaluation.calibration import stored_calibration
from equistera.labelling.ceiling import measure_ceiling
from equistera.labelling.double_labels import read_double
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.test import TestOptions as Options  # pytest would collect a class named Test...
from equistera.mm.prediction.test import test as run_test
from equistera.outputs import record

PROJECT = Path(__file__).resolve().parents[3]
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


def test_several_scales_are_averaged_as_predictor_and_data_set_alike(horses, trained, tiny, tmp_path):
    """And they have a calibration of their own."""
    out = tmp_path / "scales"
    score(horses, trained, tiny, tmp_path / "plain")
    score(horses, trained, tiny, out, scales=[1.1, 0.9, 1.0])
    written = json.loads((out / "metrics.json").read_text())
    assert written["scales"] == [0.9, 1.0, 1.1]
    found = {
        r["ann_id"]: np.reshape(r["keypoints"], (-1, 3)) for r in json.loads((out / "predictions.json").read_text())
    }
    assert (out / "predictions.json").read_text() != (tmp_path / "plain" / "predictions.json").read_text()
    weights = out / "weights" / "best.pth"
    predictor = Predictor(DEMO, weights, scales=(0.9, 1.0, 1.1), cfg_options=tiny())
    content = json.loads((horses / "annotations" / "test.json").read_text())
    names = {image["id"]: horses / "images" / "test" / image["file_name"] for image in content["images"]}
    crops = [(read_rgb(names[animal["image_id"]]), animal["bbox"]) for animal in content["annotations"]]
    for animal, pose in zip(content["annotations"], predictor.poses(crops), strict=True):
        assert pose.points == pytest.approx(found[animal["id"]][:, :2], abs=0.1)
    assert stored_calibration(weights, settings=predictor.settings) is None
    assert stored_calibration(weights, settings=predictor.settings, scales=predictor.scales) is not None


@pytest.mark.parametrize("given", [[0.4], [1.0, 1.0], [3.0, 1.0], [float("nan")], []])
def test_scales_that_cannot_be_are_refused(trained, given, tmp_path):
    with pytest.raises(UserError, match=r"--scales: expected different numbers from 0\.5 to 2, found"):
        run_test(Options([str(trained)], out=str(tmp_path), scales=given))


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


def test_pictures_that_the_model_was_trained_on_are_known_again(horses, trained, tiny, tmp_path, capsys):
    """Wherever they lie and whatever they are called: a test set that overlaps scores too well, without a word."""
    root = tmp_path / "data"
    shutil.copytree(horses, root)
    train, test = (json.loads((root / "annotations" / f"{name}.json").read_text()) for name in ("train", "test"))
    shutil.copy(root / "images/train" / train["images"][0]["file_name"], root / "images/test/other.jpg")
    test["images"][0] |= {**train["images"][0], "id": test["images"][0]["id"], "file_name": "other.jpg"}
    (root / "annotations" / "test.json").write_text(json.dumps(test))
    score(root, trained, tiny, tmp_path / "out")
    count = len(test["images"])
    assert f"weights was trained on 1 of the {count} pictures that it is scored on" in capsys.readouterr().out
    score(horses, trained, tiny, tmp_path / "clean")
    assert "was trained on" not in capsys.readouterr().out
    score(horses, trained, tiny, tmp_path / "train", split="train")
    assert "was trained on 12 of the 12 pictures" in capsys.readouterr().out


def test_a_report_of_earlier_models_does_not_stay_beside_new_figures(horses, trained, tiny, tmp_path):
    out = tmp_path / "out"
    score(horses, trained, tiny, out, report=True)
    weights = out / "weights" / "best.pth"
    page = (out / "report.html").read_text()
    for shown in ("weights on test", f"checkpoint: {weights}", f"data: {horses / 'annotations' / 'test.json'} (test)"):
        assert shown in page
    (out / "comparison.json").write_text("{}")
    record("test", out / "comparison.json")
    score(horses, trained, tiny, out, checkpoint=weights)
    assert not (out / "report.html").exists()
    assert not (out / "comparison.json").exists()


def test_foreign_files_stay(horses, trained, tiny, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("<html>mine</html>")
    score(horses, trained, tiny, out)
    assert (out / "report.html").read_text() == "<html>mine</html>"
    with pytest.raises(UserError, match="--out: files exist already and are not overwritten"):
        score(horses, trained, tiny, out, checkpoint=out / "weights" / "best.pth", report=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", '{"AP": 0.5}'),
        ("predictions.json", '[{"image_id": 1, "keypoints": []}]'),
        ("per_picture.csv", "picture,owner\n1,me\n"),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_files_of_the_same_names_stay_and_are_named_before_the_prediction(
    horses, trained, tiny, tmp_path, monkeypatch, name, content, several
):
    monkeypatch.setattr("equistera.mm.prediction.test.predict_split", lambda *_: pytest.fail("has predicted"))
    folder = tmp_path / "out" / "ensemble" if several else tmp_path / "out"
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    weights = [str(trained / "best.pth"), str(trained / "latest.pth")] if several else [str(trained / "best.pth")]
    given = {"models": [DEMO, *weights], "data_root": str(horses), "cfg_options": tiny(), "out": str(tmp_path / "out")}
    with pytest.raises(UserError, match=rf"--out: files exist already and are not overwritten:\n.*{name}"):
        run_test(Options(**given, ensemble=several))
    assert (folder / name).read_text() == content


def test_a_test_can_be_run_again(horses, trained, tiny, tmp_path):
    score(horses, trained, tiny, tmp_path / "out")
    first = (tmp_path / "out" / "predictions.json").read_bytes()
    score(horses, trained, tiny, tmp_path / "out", checkpoint=tmp_path / "out" / "weights" / "best.pth")
    assert (tmp_path / "out" / "predictions.json").read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"body_length": ["withers", "tail"]}, "needs two different keypoints"),
        ({"group_by": "^(nothing)"}, "finds no group"),
        ({"out": "a_file/out"}, "cannot write --out a_file/out: .*a_file is a file where a folder is needed"),
    ],
)
def test_what_cannot_be_followed_is_said_before_the_prediction(
    horses, trained, tiny, tmp_path, monkeypatch, changes, finding
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("")
    monkeypatch.setattr("equistera.mm.prediction.test.predict_split", lambda *_: pytest.fail("has predicted"))
    given = {"out": str(tmp_path / "out"), **changes}
    with pytest.raises(UserError, match=finding):
        score(horses, trained, tiny, config=str(PROJECT / DEMO), checkpoint=trained / "best.pth", **given)


def test_figures_are_printed_even_where_the_files_cannot_be_written(
    horses, trained, tiny, tmp_path, monkeypatch, capsys
):
    def full(*_):
        raise UserError("no room")

    monkeypatch.setattr("equistera.mm.prediction.test.write_model", full)
    with pytest.raises(UserError, match="no room"):
        score(horses, trained, tiny, tmp_path / "out")
    assert "AP50" in capsys.readouterr().out


def test_workers_are_forked_from_a_process_without_opencvs_threads(horses, trained, tiny, tmp_path):
    """A fork of one that has them waits for ever, as the run once did."""
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 3)
        score(horses, trained, tiny, tmp_path, cfg_options=tiny(**{"val_dataloader.num_workers": 1}))
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_without_a_test_set_the_validation_set_is_taken_and_that_is_said(horses, trained, tiny, tmp_path, capsys):
    """The guide's layout has train and val."""
    data = tmp_path / "data"
    shutil.copytree(horses, data, ignore=shutil.ignore_patterns("test*"))
    assert not (data / "annotations" / "test.json").exists()
    run_test(
        Options(
            [str(trained)], data_root=str(data), out=str(tmp_path / "out"), cfg_options=["val_dataloader.num_workers=0"]
        )
    )
    said = capsys.readouterr().out
    assert f"no {data / 'annotations' / 'test.json'}: scored on annotations/val.json instead" in said
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["split"] == "val"
    with pytest.raises(UserError, match=r"annotations/test\.json"):
        run_test(Options([str(trained)], data_root=str(data), split="test"))


def test_the_human_ceiling_beside_the_annotations_is_shown(horses, trained, tiny, tmp_path, capsys):
    data, sigmas = tmp_path / "data", skeleton.load("horse26").sigmas
    shutil.copytree(horses, data)
    truth = json.loads((data / "annotations" / "test.json").read_text())
    files = [tmp_path / "anna.json", tmp_path / "ben.json"]
    for file, moved in zip(files, (0, 2), strict=True):
        for annotation in truth["annotations"]:
            annotation["keypoints"][::3] = [x + moved for x in annotation["keypoints"][::3]]
        file.write_text(json.dumps(truth))
    ceiling = measure_ceiling(read_double(files, skeleton.load("horse26")), [sigmas])
    (data / "annotations" / "human_ceiling.json").write_text(json.dumps(ceiling))
    metrics = score(data, trained, tiny, tmp_path / "out", report=True)
    assert "human_ceiling" not in metrics
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["human_ceiling"]
    assert metrics["AP"] < told["AP"] == ceiling["of_sigmas"][0]["AP"]
    assert "Human ceiling (anna and ben, 4 pictures labelled twice): AP " in capsys.readouterr().out
    assert "human ceiling: Human ceiling (anna and ben" in (tmp_path / "out" / "report.html").read_text()
