"""tools/train.py --unlabelled with tiny models on real pictures and films: labelled once, kept apart, resumed."""

import json
import runpy
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS

from equistera import skeleton as skeletons
from equistera.dataset.images import read_rgb
from equistera.dataset.mixed import also_option
from equistera.errors import Stopped, UserError
from equistera.labelling import sure
from equistera.labelling.unlabelled import UnlabelledOptions, usual_weight
from equistera.mm import config as configs
from equistera.mm.labelling import unlabelled, unlabelled_pass
from equistera.mm.labelling.unlabelled import labelled
from equistera.mm.labelling.unlabelled_pass import Journal
from equistera.mm.network import checkpoint
from equistera.mm.prediction.stream import Box
from equistera.mm.run import loop as loops
from equistera.mm.run.preflight import check_data, finish
from equistera.mm.run.train import TrainOptions, train
from equistera.synthetic.writer import write_dataset
from equistera.video_writer import VideoWriter

DEMO = "configs/demo_rtmpose_t.py"
HORSE = skeletons.load("horse26")


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    """Data root of 10 further pictures; not to be changed."""
    root = tmp_path_factory.mktemp("more") / "horses"
    return write_dataset(root, {"train": 10, "val": 1, "test": 1}, seed=5, size=(320, 240), workers=1)


@pytest.fixture
def photos(more, tmp_path):
    """Unlabelled pictures, with the boxes of their animals."""
    folder = shutil.copytree(more / "images" / "train", tmp_path / "photos")
    coco = json.loads((more / "annotations" / "train.json").read_text())
    boxes = [{key: a[key] for key in ("id", "image_id", "category_id", "bbox")} for a in coco["annotations"]]
    content = {"images": coco["images"], "annotations": boxes, "categories": [{"id": 1, "name": "horse"}]}
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(autouse=True)
def _a_model_of_a_minute_may_be_unsure(monkeypatch):
    """It is sure of nothing; half of its points pass for sure here, by the views."""
    monkeypatch.setattr(unlabelled_pass, "RAW", 0.0)
    monkeypatch.setattr(sure, "CONFIDENT", 0.0)
    monkeypatch.setattr(sure, "AGREED", 0.12)


@pytest.fixture
def options(horses, tiny, tmp_path):
    def make(name="run", **given):
        changes = {"training_subset.pictures": 4, "norm_statistics.pictures": 4, **given.pop("changes", {})}
        given = {"data_root": str(horses), "from_scratch": True, **given}
        return TrainOptions(DEMO, str(tmp_path / name), cfg_options=tiny(**changes) + given.pop("more", []), **given)

    return make


@pytest.fixture
def label(trained, photos, options):
    def run(name="run", alone=True, **given):
        teacher = given.pop("teacher", [str(trained)])
        asked = UnlabelledOptions(unlabelled=str(photos), teacher=teacher, sure=given.pop("sure", None))
        return labelled(options(name, **given), asked, alone)

    return run


def test_sure_points_are_labelled_and_all_others_weigh_nothing(label, options, tmp_path, horses, tiny, capsys):
    entry = label()
    said = capsys.readouterr().out
    report = json.loads((tmp_path / "run/unlabelled/report.json").read_text())
    assert report["looked"] == 10
    assert 0 < report["taken"] <= report["found"]
    asked = sum(report["points"].values()) + sum(report["refused"].values())
    assert asked == 26 * report["found"]
    assert report["refused"]["views"] > 0
    assert set(report["points"]) <= {*HORSE.names}
    assert "looked at  10 pictures" in said
    assert "boxes      those of" in said
    own = len(json.loads((horses / "annotations/train.json").read_text())["annotations"])
    assert entry["weight"] == usual_weight(report["taken"], own)
    coco = json.loads((tmp_path / "run/unlabelled/annotations/train.json").read_text())
    points = np.array([a["keypoints"] for a in coco["annotations"]]).reshape(-1, 26, 3)
    assert (points[..., 2] > 0).sum() == sum(report["points"].values())
    assert coco["categories"][0]["name"] == "horse"

    config = configs.load(DEMO, [*tiny(), also_option([], [entry])], data_root=str(horses))
    finish(config, 0)
    (source,) = check_data(config).sources
    assert (source.name, source.animals) == ("unlabelled", report["taken"])
    dataset = DATASETS.build(config.train_dataloader.dataset).sources[0]
    weights = np.stack([dataset.get_data_info(i)["keypoints_visible"][0] for i in range(dataset.animals)])
    assert (weights > 0).sum() == sum(report["points"].values())


def test_nothing_is_labelled_twice_and_other_teachers_label_again(label, trained, tmp_path, monkeypatch, capsys):
    first = label()
    with monkeypatch.context() as patch:
        patch.setattr(unlabelled, "label", lambda *args: pytest.fail("labelled again"))
        assert label(alone=False) == first
    other = tmp_path / "other.pth"
    content = torch.load(trained / "best.pth", weights_only=True)
    for name, value in content["state_dict"].items():
        if name.startswith("head.") and value.is_floating_point():
            value += 0.1 * value.std(correction=0)
    torch.save(content, other)
    both = [str(next(trained.glob("*.py"))), str(trained / "best.pth"), str(other)]
    with pytest.raises(UserError, match="labelled in one process"):
        label(teacher=both, alone=False)
    capsys.readouterr()
    label(teacher=both)
    assert "labelled again, with other teachers" in capsys.readouterr().out
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(UserError, match="learns from labels that were made with other teachers"):
        label()


def test_a_teacher_that_is_sure_of_nothing_is_refused_with_its_counts(label):
    with pytest.raises(UserError, match="sure of nothing") as caught:
        label(sure=1.0)
    assert any("refused are 312 below the confidence" in line for line in caught.value.problems)


def test_a_stopped_pass_goes_on_and_ends_alike(label, tmp_path, monkeypatch):
    label("straight")
    adding, seen = Journal.add, []

    def stopping(journal, *content):
        adding(journal, *content)
        seen.append(content)
        if len(seen) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "add", stopping)
    with pytest.raises(KeyboardInterrupt):
        label("stopped")
    with (tmp_path / "stopped/unlabelled/seen.jsonl").open("a") as file:
        file.write('\n[0, 1, [{"half')
    label("stopped")
    # of ten pictures eight were seen before
    assert [len(content[2]) for content in seen] == [8, 0, 2, 0]
    for name in ("annotations/train.json", "report.json"):
        straight, stopped = ((tmp_path / run / "unlabelled" / name).read_text() for run in ("straight", "stopped"))
        assert straight == stopped


def test_what_is_the_runs_own_or_cannot_be_read_is_left_out_and_said(label, horses, photos, tmp_path):
    pictures = {split: sorted((horses / "images" / split).iterdir()) for split in ("train", "val", "test")}
    for split, (first, *_) in pictures.items():
        shutil.copy(first, photos / f"copy_of_{split}.jpg")
    (photos / "more").mkdir()
    again = photos / "more" / pictures["val"][1].name
    cv2.imwrite(str(again), cv2.imread(str(pictures["val"][1])), [cv2.IMWRITE_JPEG_QUALITY, 80])
    shutil.copy(photos / "000003.jpg", photos / "twice.jpg")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    label()
    report = json.loads((tmp_path / "run/unlabelled/report.json").read_text())
    assert report["left_out"] == {
        **{f"also in your {split} set": 1 for split in pictures},
        "saved again, with the name and the look of one in your val set": 1,
        "there twice": 1,
    }
    assert report["looked"] == 10
    assert len(report["problems"]) == 1
    assert "broken.jpg" in report["problems"][0]
    shutil.rmtree(photos)
    shutil.copytree(horses / "images" / "test", photos)
    with pytest.raises(UserError, match="nothing is left to label"):
        label("other")


def test_frames_of_films_become_pictures_but_those_that_are_labelled(label, more, photos, tmp_path, monkeypatch):
    shutil.rmtree(photos)
    photos.mkdir()
    image = read_rgb(next((more / "images" / "train").iterdir()))
    writer = VideoWriter(photos / "walk.mp4", Fraction(10), (image.shape[1], image.shape[0]))
    for t in range(9):
        writer.write(image, Fraction(t, 10))
    writer.close()
    whole = [Box((0.0, 0.0, float(image.shape[1]), float(image.shape[0])))]
    monkeypatch.setattr(unlabelled_pass, "_where", lambda *args: ((lambda frames: [whole for _ in frames]), 0.0))
    monkeypatch.setattr(sure, "AGREED", 10.0)
    names = {"walk_000000.jpg": [("your val set", tmp_path / "walk_000000.jpg")]}
    monkeypatch.setattr(unlabelled._Own, "of", lambda *args: unlabelled._Own({}, names, ["pony"], 8))
    label()
    coco = json.loads((tmp_path / "run/unlabelled/annotations/train.json").read_text())
    # one in 0.35 s, the first of which is labelled already
    assert [image["file_name"] for image in coco["images"]] == ["walk.mp4/000004.jpg", "walk.mp4/000008.jpg"]
    assert read_rgb(tmp_path / "run/unlabelled/images/train/walk.mp4/000004.jpg").shape == image.shape
    assert coco["categories"][0]["name"] == "pony"


def test_another_skeleton_is_matched_by_names(label, tmp_path_factory, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sure, "AGREED", 10.0)
    root = tmp_path_factory.mktemp("ap10k") / "ap10k"
    write_dataset(root, {"train": 2, "val": 2}, seed=7, skeleton_name="ap10k", size=(320, 240), workers=1)
    label(data_root=str(root), skeleton="ap10k")
    said = capsys.readouterr().out
    assert "15 of the teacher's horse26 are ours; not labelled are L_Hip, R_Hip" in said
    coco = json.loads((tmp_path / "run/unlabelled/annotations/train.json").read_text())
    ap10k = skeletons.load("ap10k")
    points = np.array([a["keypoints"] for a in coco["annotations"]]).reshape(-1, 17, 3)
    assert coco["categories"][0]["keypoints"] == list(ap10k.names)
    assert not points[:, [ap10k.index["L_Hip"], ap10k.index["R_Hip"]], 2].any()
    assert points[:, ap10k.index["Nose"], 2].any()


def test_a_run_resumes_to_the_bit_whether_it_labelled_itself_or_not(label, options, tmp_path, monkeypatch, capsys):
    def run(name, **given):
        entry = label(name)
        return train(options(name, more=[also_option([], [entry])], **given))

    straight = run("straight")
    taken = json.loads((straight / "unlabelled/report.json").read_text())["taken"]
    # 16 of its own
    assert f"unlabelled: {round(16 * taken / (taken + 16))} samples of" in capsys.readouterr().out
    label("stopped")
    complete = loops.TrainLoop._complete_epoch

    def stopping(loop):
        complete(loop)
        if loop.epoch == 2:
            raise Stopped("stopped", 15)

    monkeypatch.setattr(loops.TrainLoop, "_complete_epoch", stopping)
    changes = {"default_hooks.checkpoint.interval": 1}
    with pytest.raises(Stopped):
        run("stopped", changes=changes)
    monkeypatch.setattr(loops.TrainLoop, "_complete_epoch", complete)
    # the whole command again, as a queue does
    resumed = run("stopped", resume=True, changes=changes)
    ours, theirs = (checkpoint.load(folder / "epoch_3.pth") for folder in (straight, resumed))
    assert all(torch.equal(value, theirs["state_dict"][name]) for name, value in ours["state_dict"].items())
    assert len(ours["meta"]["trained_on"]) > 12


def test_the_tool_plans_with_the_labels_and_refuses_what_says_nothing(trained, horses, photos, tiny, tmp_path, capsys):
    main = runpy.run_path("tools/train.py")["main"]
    given = [DEMO, "--data-root", str(horses), "--work-dir", str(tmp_path / "run"), "--plan", "--from-scratch"]
    main([*given, "--unlabelled", f"{photos}=0.5", "--teacher", str(trained), "--cfg-options", *tiny()])
    said = capsys.readouterr().out
    assert "unlabelled: 5 samples of" in said
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["unlabelled"]
    with pytest.raises(SystemExit):
        main([*given, "--teacher", str(trained)])
    assert "--teacher: it is for --unlabelled DIR" in capsys.readouterr().err
