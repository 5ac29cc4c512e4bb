"""tools/visualize.py on a real checkpoint of a tiny run."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration, store_calibration
from equistera.mm import config as configs
from equistera.mm.network.checkpoint_record import settings_digest
from equistera.mm.prediction import search
from equistera.mm.prediction.stream import Box, box_of
from equistera.mm.prediction.visualize import visualize
from equistera.visualizing import VisualizeOptions, settled

DEMO = "configs/demo_rtmpose_t.py"


def draw(trained, tiny, **changes):
    given = {"model": [DEMO, str(trained / "best.pth")], "cfg_options": tiny()}
    return visualize(settled(VisualizeOptions(**{**given, **changes})))


@pytest.fixture(autouse=True)
def a_short_search(monkeypatch):
    """A model of a minute finds nothing, and looking for that in all sizes takes long."""
    monkeypatch.setattr(search, "SIDES", (1.0,))


def read(path):
    return json.loads(path.read_text())


def test_a_folder_is_drawn_and_the_pictures_stay(horses, trained, tiny, tmp_path, capsys):
    source = horses / "images" / "test"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert draw(trained, tiny, img_dir=str(source), out=str(tmp_path / "out")) == 0
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == set(before)
    for name, content in before.items():
        drawn, plain = cv2.imread(str(tmp_path / "out" / name)), cv2.imread(str(source / name))
        assert drawn.shape == plain.shape
        assert (np.abs(drawn.astype(int) - plain) > 40).mean() > 0.001
        assert (source / name).read_bytes() == content
    assert "4 pictures drawn" in capsys.readouterr().out


def test_without_boxes_the_model_finds_the_animals_and_tells_its_guesses(
    horses, trained, tiny, tmp_path, capsys, monkeypatch
):
    source = horses / "images" / "test"
    first = min(path.name for path in source.iterdir())
    boxes = [Box((10.0, 20.0, 60.0, 50.0), 0.8), Box((60.0, 30.0, 50.0, 40.0), 0.6)]
    monkeypatch.setattr(
        search.SearchedBoxes, "__call__", lambda self, frames: [boxes if f.name == first else [] for f in frames]
    )
    draw(trained, tiny, img_dir=str(source), out=str(tmp_path / "out"), json=str(tmp_path / "poses.json"))
    said = capsys.readouterr().out
    assert "the pose model itself looks for animals" in said
    assert "3 pictures without an animal that the model is sure of: its best guess is shown" in said
    # both animals of the first picture, and one guess on each of the three others
    assert len(read(tmp_path / "poses.json")) == 2 + 3


def test_boxes_come_from_an_annotation_file_and_its_labels_stand_beside(horses, trained, tiny, tmp_path):
    annotations = horses / "annotations" / "test.json"
    folder = horses / "images" / "test"
    draw(
        trained, tiny, img_dir=str(folder), out=str(tmp_path / "out"), ann_file=str(annotations),
        json=str(tmp_path / "poses.json"),
    )  # fmt: skip
    truth = COCO(annotations)
    results = truth.loadRes(str(tmp_path / "poses.json"))
    boxes = {ann["image_id"]: ann["bbox"] for ann in truth.anns.values()}
    assert len(results.anns) == len(boxes) == 4
    for result in results.anns.values():
        assert result["bbox"] == pytest.approx(boxes[result["image_id"]], abs=0.02)
    for path in (tmp_path / "out").glob("[!.]*"):
        drawn, plain = cv2.imread(str(path)), cv2.imread(str(folder / path.name))
        assert drawn.shape[0] == plain.shape[0]
        assert drawn.shape[1] > 2 * plain.shape[1]


def test_several_animals_of_boxes_alone(horses, trained, tiny, tmp_path):
    name = sorted(path.name for path in (horses / "images" / "test").iterdir())[0]
    boxes = {
        "images": [{"id": 7, "file_name": f"elsewhere/{name}"}],
        "annotations": [
            {"id": i, "image_id": 7, "bbox": box, "score": 0.5}
            for i, box in enumerate([[10, 10, 80, 60], [0, 0, 320, 240]])
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    folder = str(horses / "images" / "test")
    draw(trained, tiny, img_dir=folder, json=str(tmp_path / "p.json"), ann_file=str(tmp_path / "boxes.json"))
    poses = json.loads((tmp_path / "p.json").read_text())
    assert [pose["image_id"] for pose in poses] == [7, 7]
    assert [pose["bbox"] for pose in poses] == [[10, 10, 80, 60], [0, 0, 320, 240]]
    assert all(pose["score"] <= 0.5 for pose in poses)


def test_the_batch_size_changes_nothing(horses, trained, tiny, tmp_path):
    for size in (1, 3):
        file = str(tmp_path / f"{size}.json")
        draw(trained, tiny, img_dir=str(horses / "images" / "train"), json=file, batch_size=size)
    one, three = (json.loads((tmp_path / f"{size}.json").read_text()) for size in (1, 3))
    assert len(one) == 12
    for a, b in zip(one, three, strict=True):
        assert a["file_name"] == b["file_name"]
        np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=1e-3)


def test_pictures_of_any_kind_come_out_right(horses, trained, tiny, tmp_path):
    upright = Image.open(sorted((horses / "images" / "test").iterdir())[0])
    folder = tmp_path / "kinds"
    (folder / "below").mkdir(parents=True)
    upright.save(folder / "0_plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "1_turned.png", exif=exif)
    deep = np.asarray(upright).astype(np.uint16)[..., ::-1] << 8
    cv2.imwrite(str(folder / "2_deep.png"), deep)
    see_through = upright.copy()
    see_through.putalpha(255)
    see_through.save(folder / "below" / "3_alpha.png")
    upright.convert("L").save(folder / "4_grey.jpg")
    upright.resize((4000, 3000)).save(folder / "5_large.jpg")
    draw(trained, tiny, img_dir=str(folder), out=str(tmp_path / "out"), json=str(tmp_path / "p.json"))
    poses = {pose["file_name"]: np.reshape(pose["keypoints"], (-1, 3)) for pose in read(tmp_path / "p.json")}
    assert len(poses) == 6
    for same in ("1_turned.png", "2_deep.png", "below/3_alpha.png"):
        # a 16-bit picture comes through its high byte and alpha over white: pixels are the same to the bit
        np.testing.assert_allclose(poses[same], poses["0_plain.png"], atol=1e-3, err_msg=same)
    for name, pose in poses.items():
        drawn = Image.open(tmp_path / "out" / name)
        assert drawn.size == ((4000, 3000) if "large" in name else (320, 240))
        assert (drawn.mode, "exif" in drawn.info) == ("RGB", False)
        assert np.isfinite(pose).all()


def test_strokes_are_as_wide_on_a_large_picture():
    from equistera.drawing import viewing_scale

    small, large = np.zeros((300, 400, 3)), np.zeros((3000, 4000, 3))
    assert viewing_scale(large, 2000) == pytest.approx(10 * viewing_scale(small, 200))
    assert viewing_scale(large, 200) < 0.2 * viewing_scale(large, 2000)


def test_confidences_are_calibrated_where_a_calibration_is_stored(horses, trained, tiny, tmp_path, capsys):
    shutil.copy(trained / "best.pth", tmp_path / "best.pth")
    picture = str(sorted((horses / "images" / "test").iterdir())[0])
    given = {"img": picture, "model": [DEMO, str(tmp_path / "best.pth")]}
    draw(trained, tiny, **given, json=str(tmp_path / "raw.json"))
    told = capsys.readouterr().out
    assert f"no calibration: there is no {tmp_path / 'best.calibration.json'}" in told
    assert "confidences are uncalibrated: points below 0.3 are dimmed" in told
    calibration = Calibration(temperature=2.0, bias=1.0)
    settings = settings_digest(configs.load(DEMO, tiny()), skeletons.load("horse26"))
    store_calibration(tmp_path / "best.pth", calibration, flip_test=False, settings=settings)
    draw(trained, tiny, **given, json=str(tmp_path / "p.json"), conf=0.7)
    assert "right with less than 70% are dimmed" in capsys.readouterr().out
    raw, calibrated = (
        np.reshape(read(tmp_path / name)[0]["keypoints"], (-1, 3))[:, 2] for name in ("raw.json", "p.json")
    )
    np.testing.assert_allclose(calibrated, calibration.apply(raw), atol=1e-3)


def test_a_threshold_dims(horses, trained, tiny, tmp_path):
    picture = str(sorted((horses / "images" / "test").iterdir())[0])
    draw(trained, tiny, img=picture, out=str(tmp_path / "all.png"), conf=0.0)
    draw(trained, tiny, img=picture, out=str(tmp_path / "none.png"), conf=1.0)
    plain, *drawn = (
        cv2.imread(path).astype(int) for path in (picture, str(tmp_path / "all.png"), str(tmp_path / "none.png"))
    )
    changed = [np.abs(image - plain).sum() for image in drawn]
    assert 0 < changed[1] < 0.8 * changed[0]


def test_bad_pictures_are_named_at_the_end_and_the_others_drawn(horses, trained, tiny, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(horses / "images" / "test", folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(UserError) as caught:
        draw(trained, tiny, img_dir=str(folder), out=str(tmp_path / "out"))
    assert "1 of 5 pictures could not be used" in str(caught.value)
    assert "broken.jpg: " in str(caught.value)
    assert str(folder) not in str(caught.value)
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 4


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"img": "a.jpg"}, "--img needs --out"),
        ({"img": ".", "out": "a.jpg"}, ". is a folder\n  Give it as --img-dir"),
        ({"img": "a.jpg", "out": "a.jpg"}, "is the picture itself"),
        ({"img": "a.jpg", "out": "b.txt"}, "is no name of a picture that can be written"),
        ({"img": "a.jpg", "out": "b.jpg"}, "no such picture: a.jpg"),
        ({"img_dir": "."}, "--img-dir needs --out"),
        ({"img_dir": ".", "out": "a.jpg"}, "--out a.jpg names a file; the pictures of --img-dir"),
        ({"img": "a.jpg", "out": "b.jpg", "det_thr": 0.5}, "--det-thr without --det"),
        ({"img": "a.jpg", "out": "b.jpg", "det_class": ("cow",)}, "--det-class without --det"),
        ({"img_dir": "nothing", "out": "out"}, "no such folder: nothing"),
        ({"img_dir": ".", "out": "."}, "they are not overwritten"),
        ({"img_dir": ".", "out": "out"}, "no pictures in ."),
    ],
)
def test_what_cannot_be_drawn_is_said(trained, tiny, tmp_path, monkeypatch, changes, finding):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=finding):
        draw(trained, tiny, **changes)


def test_drawings_below_the_pictures_are_not_taken_for_pictures(horses, trained, tiny, tmp_path, capsys):
    folder = tmp_path / "pictures"
    shutil.copytree(horses / "images" / "test", folder)
    for _ in range(2):
        draw(trained, tiny, img_dir=str(folder), out=str(folder / "drawn"))
    assert len(list(folder.rglob("[!.]*.*"))) == 8
    capsys.readouterr()
    draw(trained, tiny, img_dir=str(folder), out=str(tmp_path / "again"), json=str(tmp_path / "p.json"))
    assert len(list((tmp_path / "again").rglob("[!.]*.*"))) == len(read(tmp_path / "p.json")) == 4
    assert "left out: 4 drawings of this tool, such as drawn/" in capsys.readouterr().out


def test_a_drawing_never_takes_the_place_of_a_picture(horses, trained, tiny, tmp_path):
    (tmp_path / "pictures" / "sub").mkdir(parents=True)
    picture = sorted((horses / "images" / "test").iterdir())[0]
    shutil.copy(picture, tmp_path / "pictures" / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").symlink_to(tmp_path / "pictures" / "a.jpg")
    with pytest.raises(UserError, match="what this command reads is never replaced"):
        draw(trained, tiny, img_dir=str(tmp_path / "pictures"), out=str(tmp_path / "out"))
    assert (tmp_path / "pictures" / "a.jpg").read_bytes() == picture.read_bytes()


def test_annotations_of_other_pictures_are_not_passed_over(horses, trained, tiny, tmp_path):
    shutil.copy(sorted((horses / "images" / "test").iterdir())[0], tmp_path / "other.jpg")
    annotations = str(horses / "annotations" / "train.json")
    with pytest.raises(UserError, match="--ann-file knows none of 1 picture,"):
        draw(trained, tiny, img_dir=str(tmp_path), out=str(tmp_path / "out"), ann_file=annotations)


def test_two_pictures_never_get_the_labels_of_one(horses, trained, tiny, tmp_path):
    picture = sorted((horses / "images" / "test").iterdir())[0]
    for folder in ("day1", "day2"):
        (tmp_path / folder).mkdir()
        shutil.copy(picture, tmp_path / folder / picture.name)
    annotations = str(horses / "annotations" / "test.json")
    with pytest.raises(UserError, match="several pictures could be the same one") as error:
        draw(trained, tiny, img_dir=str(tmp_path), json=str(tmp_path / "p.json"), ann_file=annotations)
    assert error.value.problems == [f"{picture.name}: day1/{picture.name}, day2/{picture.name}"]


def test_a_box_of_points():
    points = np.array([[10.0, 10], [30, 10], [30, 20], [10, 20]])
    assert box_of(points, (100, 100)) == pytest.approx((8, 8, 24, 14))
    assert box_of(points, (31, 100)) == pytest.approx((8, 8, 23, 14))
    assert box_of(points[:3], (100, 100)) is None
    assert box_of(np.full((5, 2), np.array([200.0, 200])), (100, 100)) is None


def test_a_video_is_drawn_and_its_frames_are_numbered(horses, trained, tiny, tmp_path, capsys):
    pictures = sorted((horses / "images" / "train").iterdir())
    writer = cv2.VideoWriter(str(tmp_path / "in.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (320, 240))
    for path in pictures:
        writer.write(cv2.imread(str(path)))
    writer.release()
    given = {"video": str(tmp_path / "in.mp4"), "out": str(tmp_path / "out.mp4")}
    assert draw(trained, tiny, **given, json=str(tmp_path / "p.json"), batch_size=5, conf=0.0) == 0
    assert [pose["image_id"] for pose in read(tmp_path / "p.json")] == list(range(len(pictures)))
    plain, drawn = cv2.VideoCapture(given["video"]), cv2.VideoCapture(given["out"])
    for _ in pictures:
        before, after = plain.read()[1].astype(int), drawn.read()[1]
        assert (np.abs(after - before) > 60).mean() > 0.001
    assert f"{len(pictures)} frames drawn: {tmp_path / 'out.mp4'}" in capsys.readouterr().out


def test_mixed_precision_finds_nearly_the_same(horses, trained, tiny, tmp_path):
    for name, amp in (("plain", False), ("amp", True)):
        file = str(tmp_path / f"{name}.json")
        draw(trained, tiny, img_dir=str(horses / "images" / "train"), json=file, amp=amp)
    plain, mixed = (
        np.array([pose["keypoints"] for pose in read(tmp_path / f"{name}.json")]).reshape(-1, 26, 3)
        for name in ("plain", "amp")
    )
    np.testing.assert_allclose(mixed[..., 2], plain[..., 2], atol=0.05)
    off = np.linalg.norm(mixed[..., :2] - plain[..., :2], axis=-1)
    assert np.median(off) < 3


def test_predictions_never_replace_an_input_or_another_file(horses, trained, tiny, tmp_path):
    labels, other = tmp_path / "test.json", tmp_path / "other.json"
    shutil.copy(horses / "annotations" / "test.json", labels)
    other.write_text('{"mine": 1}')
    given = {"img_dir": str(horses / "images" / "test")}
    with pytest.raises(UserError, match="what this command reads is never replaced"):
        draw(trained, tiny, **given, ann_file=str(labels), json=str(labels), overwrite=True)
    with pytest.raises(UserError, match="--json: files exist already and are not overwritten"):
        draw(trained, tiny, **given, json=str(other))
    assert labels.read_bytes() == (horses / "annotations" / "test.json").read_bytes()
    for _ in range(2):
        draw(trained, tiny, **given, json=str(tmp_path / "poses.json"))
    draw(trained, tiny, **given, json=str(other), overwrite=True)
    assert read(other) == read(tmp_path / "poses.json")


def test_drawings_replace_drawings_and_no_other_files(horses, trained, tiny, tmp_path):
    shutil.copytree(horses / "images" / "train", tmp_path / "train")
    before = {path: path.read_bytes() for path in (tmp_path / "train").iterdir()}
    given = {"img_dir": str(horses / "images" / "test")}
    with pytest.raises(UserError, match="files exist already") as caught:
        draw(trained, tiny, **given, out=str(tmp_path / "train"))
    assert len(caught.value.problems) == 4
    assert {path: path.read_bytes() for path in (tmp_path / "train").iterdir()} == before
    for _ in range(2):
        draw(trained, tiny, **given, out=str(tmp_path / "out"))
    picture = str(sorted((horses / "images" / "test").iterdir())[0])
    (tmp_path / "notes.jpg").write_text("notes")
    with pytest.raises(UserError, match="--out: files exist already"):
        draw(trained, tiny, img=picture, out=str(tmp_path / "notes.jpg"))
    draw(trained, tiny, img=picture, out=str(tmp_path / "notes.jpg"), overwrite=True)
    assert cv2.imread(str(tmp_path / "notes.jpg")) is not None


def test_labels_of_another_split_are_refused(horses, trained, tiny, tmp_path):
    annotations = str(horses / "annotations" / "train.json")
    with pytest.raises(UserError, match="labels other pictures that only have the same names") as caught:
        draw(trained, tiny, img_dir=str(horses / "images" / "test"), json=str(tmp_path / "p"), ann_file=annotations)
    assert len(caught.value.problems) == 4


def test_copies_of_the_labelled_pictures_are_those_pictures(horses, trained, tiny, tmp_path):
    for path in (horses / "images" / "test").iterdir():
        Image.open(path).save(tmp_path / path.name, quality=60)
    annotations = str(horses / "annotations" / "test.json")
    draw(trained, tiny, img_dir=str(tmp_path), json=str(tmp_path / "p.json"), ann_file=annotations)
    assert len(read(tmp_path / "p.json")) == 4


def test_labels_of_another_size_are_not_drawn(horses, trained, tiny, tmp_path):
    (tmp_path / "pictures").mkdir()
    for i, path in enumerate(sorted((horses / "images" / "test").iterdir())):
        size = (640, 480) if i == 0 else (320, 240)
        Image.open(path).resize(size).save(tmp_path / "pictures" / path.name)
    shutil.copy(horses / "annotations" / "test.json", tmp_path / "away.json")
    given = {"ann_file": str(tmp_path / "away.json"), "json": str(tmp_path / "p.json")}
    with pytest.raises(UserError, match="1 of 4 pictures could not be used") as caught:
        draw(trained, tiny, img_dir=str(tmp_path / "pictures"), **given)
    assert "has 640x480 pixels, --ann-file labels one of 320x240" in str(caught.value)
    assert len(read(tmp_path / "p.json")) == 3


def test_nothing_drawn_is_not_called_drawn(trained, tiny, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(UserError, match="1 of 1 picture could"):
        draw(trained, tiny, img=str(tmp_path / "broken.jpg"), out=str(tmp_path / "o.jpg"))
    assert "drawn" not in capsys.readouterr().out


def test_weights_that_are_not_finite_are_refused_before_anything_is_drawn(horses, trained, tiny, tmp_path):
    content = torch.load(trained / "best.pth", weights_only=True)
    content["state_dict"]["head.cls_x.weight"][0, 0] = math.nan
    torch.save(content, tmp_path / "best.pth")
    folder = str(horses / "images" / "test")
    with pytest.raises(UserError, match=r"best\.pth holds numbers that are not finite") as caught:
        draw(tmp_path, tiny, img_dir=folder, out=str(tmp_path / "out"), json=str(tmp_path / "p.json"))
    assert caught.value.problems[0].startswith("head.cls_x.weight: 1 of ")
    assert not (tmp_path / "out").exists()


def test_a_work_dir_is_enough(horses, trained, tmp_path, capsys):
    """The run's own config holds the options that it was trained with, without which its weights fit no network."""
    pictures = str(horses / "images" / "test")
    for model in ([str(trained)], [DEMO, str(trained)]):
        assert draw(trained, list, model=model, img_dir=pictures, out=str(tmp_path / "out")) == 0
        assert f"4 pictures drawn: {tmp_path / 'out'}" in capsys.readouterr().out
    with pytest.raises(UserError, match="one model draws, found 2"):
        draw(trained, list, model=[str(trained), str(trained / "latest.pth")], img_dir=pictures, out="o")
