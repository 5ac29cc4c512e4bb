import contextlib
import errno
import io
import json
import re

import pytest
from pycocotools.coco import COCO

from equistera.errors import UserError
from equistera.outputs import check_targets
from equistera.synthetic import sheet, writer
from equistera.synthetic.writer import RECORD, write_dataset

COUNTS = {"train": 5, "val": 2, "test": 1}
SIZE = (160, 120)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("demo") / "data", COUNTS, seed=3, size=SIZE, workers=1)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_layout(data):
    names = set(content(data))
    assert {f"annotations/{split}.json" for split in COUNTS} <= names
    assert {f"images/train/{k:06d}.jpg" for k in range(5)} <= names
    assert len(names) == 3 + 8 + 1


def test_annotations_are_coco(data):
    for split, count in COUNTS.items():
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(data / "annotations" / f"{split}.json")
        assert len(coco.getImgIds()) == count
        (category,) = coco.loadCats(coco.getCatIds())
        assert category["name"] == "horse"
        assert len(category["keypoints"]) == 26
        assert coco.getImgIds() == sorted({a["image_id"] for a in coco.loadAnns(coco.getAnnIds())})
        for image in coco.loadImgs(coco.getImgIds()):
            assert (data / "images" / split / image["file_name"]).is_file()
            assert (image["width"], image["height"]) == SIZE
        for annotation in coco.loadAnns(coco.getAnnIds()):
            flags = annotation["keypoints"][2::3]
            assert len(flags) == 26
            assert annotation["num_keypoints"] == sum(flag > 0 for flag in flags)
            assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3] > 0
            assert annotation["iscrowd"] == 0


def test_workers_do_not_change_a_byte(data, tmp_path):
    assert content(write_dataset(tmp_path / "two", COUNTS, seed=3, size=SIZE, workers=2)) == content(data)


def test_more_pictures_leave_the_first_ones_as_they_are(data, tmp_path):
    more = write_dataset(tmp_path / "more", {"val": 3}, seed=3, size=SIZE, workers=1)
    for name in ("000000.jpg", "000001.jpg"):
        assert (more / "images/val" / name).read_bytes() == (data / "images/val" / name).read_bytes()


def test_ap10k_labels_the_same_pictures(data, tmp_path):
    other = write_dataset(tmp_path / "ap10k", {"val": 2}, seed=3, size=SIZE, workers=1, skeleton_name="ap10k")
    assert content(other / "images") == {
        name: value for name, value in content(data / "images").items() if name.startswith("val")
    }
    mine, theirs = (json.loads((folder / "annotations/val.json").read_text()) for folder in (data, other))
    assert len(theirs["categories"][0]["keypoints"]) == 17
    for one, two in zip(mine["annotations"], theirs["annotations"], strict=True):
        assert one["bbox"] == two["bbox"]
        hip = theirs["categories"][0]["keypoints"].index("L_Hip")
        assert two["keypoints"][3 * hip : 3 * hip + 3] == [0, 0, 0]
        eyes = [
            annotation["keypoints"][3 * names.index(name) : 3 * names.index(name) + 3]
            for annotation, names, name in (
                (one, mine["categories"][0]["keypoints"], "l_eye"),
                (two, theirs["categories"][0]["keypoints"], "L_Eye"),
            )
        ]
        assert eyes[0] == eyes[1]


def test_a_full_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        write_dataset(tmp_path, {"val": 1}, size=SIZE, workers=1)
    assert content(tmp_path) == {"mine.txt": b"x"}


def test_overwrite_replaces_only_what_was_made(tmp_path):
    out = write_dataset(tmp_path / "data", {"train": 1, "val": 2}, size=SIZE, workers=1)
    (out / "images/val/mine.jpg").write_bytes(b"mine")
    (out / "annotations/notes.txt").write_text("mine")
    write_dataset(out, {"val": 1}, seed=5, size=SIZE, workers=1, overwrite=True)
    assert set(content(out)) == {
        RECORD,
        "annotations/notes.txt",
        "annotations/val.json",
        "images/val/000000.jpg",
        "images/val/mine.jpg",
    }


def test_overwrite_refuses_foreign_files_in_the_way(tmp_path):
    foreign = tmp_path / "annotations" / "val.json"
    foreign.parent.mkdir()
    foreign.write_text("{}")
    with pytest.raises(UserError, match=re.escape("annotations/val.json")):
        write_dataset(tmp_path, {"val": 1}, size=SIZE, workers=1, overwrite=True)
    assert content(tmp_path) == {"annotations/val.json": b"{}"}


@pytest.mark.parametrize(
    "record",
    [
        '{"made_by": "equistera make_demo_data", "files": ["../../secret.jpg"]}',
        '{"made_by": "equistera make_demo_data", "files": ["images/train/../../x.jpg"]}',
        '{"made_by": "equistera make_demo_data", "files": [1]}',
        '{"made_by": "someone", "files": []}',
        "[]",
        "no json",
    ],
)
def test_a_record_that_is_not_ours_is_refused(tmp_path, record):
    (tmp_path / RECORD).write_text(record)
    with pytest.raises(UserError, match=RECORD):
        write_dataset(tmp_path, {"val": 1}, size=SIZE, workers=1, overwrite=True)
    assert (tmp_path / RECORD).read_text() == record


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_stop_half_way_leaves_no_annotations(tmp_path, monkeypatch, error):
    make_picture = writer._make_picture

    def stop_at_third(out, seed, size, backdrops, task):
        if task == ("train", 2):
            raise error
        return make_picture(out, seed, size, backdrops, task)

    monkeypatch.setattr(writer, "_make_picture", stop_at_third)
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_dataset(tmp_path / "data", {"train": 4}, size=SIZE, workers=1)
    assert not (tmp_path / "data/annotations").exists()
    monkeypatch.setattr(writer, "_make_picture", make_picture)
    again = write_dataset(tmp_path / "data", {"train": 1}, size=SIZE, workers=1, overwrite=True)
    assert set(content(again)) == {RECORD, "annotations/train.json", "images/train/000000.jpg"}


def test_all_wrong_options_are_named_together(tmp_path):
    with pytest.raises(UserError) as caught:
        write_dataset(tmp_path / "x", {"train": -1, "valid": 2}, seed=-1, size=(10, 99999), workers=0)
    for part in ("train: -1", "valid", "seed -1", "10x99999", "0 workers"):
        assert part in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_nothing_asked_for_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no pictures"):
        write_dataset(tmp_path / "x", {"train": 0, "val": 0, "test": 0})


def test_a_skeleton_without_common_points_is_refused(tmp_path):
    own = tmp_path / "own.json"
    own.write_text('{"keypoints": [{"name": "trunk_tip", "half": "upper", "sigma": 0.05}]}')
    with pytest.raises(UserError, match="no point"):
        write_dataset(tmp_path / "x", {"val": 1}, skeleton_name=str(own))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match="is a file"):
        write_dataset(tmp_path / "x", {"val": 1})


def test_contact_sheet(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "PICTURES", 2)
    path = sheet.write_sheet(tmp_path / "sheet.jpg", seed=1)
    check_targets("--sheet", [path], tool=sheet.TOOL)
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(UserError, match="--sheet: files exist already"):
        check_targets("--sheet", [tmp_path / "train.json"], tool=sheet.TOOL)
    assert path.read_bytes()[:2] == b"\xff\xd8"
    assert path.read_bytes() == sheet.write_sheet(tmp_path / "again.jpg", seed=1).read_bytes()
