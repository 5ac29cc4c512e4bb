import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera import skeleton
from equistera.dataset import formats
from equistera.dataset.formats import yolo
from equistera.dataset.formats.records import Animal, NotLabels, Picture
from equistera.dataset.formats.values import Unusable
from equistera.errors import UserError

YAML = """
train: images/train
val: images/val
kpt_shape: [2, 3]
flip_idx: [0, 1]
names: {0: horse, 1: rider}
kpt_names:
  0: [nose, neck]
  1: [nose, neck]
"""


def project(tmp_path, yaml=YAML, **labels):
    """A data set with a picture for each label; ``a="..."`` is ``labels/train/a.txt``."""
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "labels" / split).mkdir(parents=True)
    for name, text in labels.items():
        (tmp_path / "images/train" / f"{name}.jpg").touch()
        if text is not None:
            (tmp_path / "labels/train" / f"{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text(yaml)
    return tmp_path / "data.yaml"


def test_lines_become_animals(tmp_path):
    path = project(tmp_path, a="0 0.5 0.5 0.2 0.4 0.1 0.2 2 0.3 0.4 1\n1 .5 .5 0 0 0 0 0 .25 .25 2.0\n")
    export = formats.read(path)
    assert export.title == "Ultralytics YOLO pose"
    [picture] = export.pictures
    assert picture.names == ("images/train/a.jpg",)
    assert picture.relative
    first, second = picture.animals
    assert first.box == pytest.approx((0.4, 0.3, 0.2, 0.4))
    assert first.points == {"nose": (0.1, 0.2, 2), "neck": (0.3, 0.4, 1)}
    assert (second.category, second.box, second.points["nose"][2]) == ("rider", (0.5, 0.5, 0, 0), 0)


def test_two_numbers_a_point_and_names_missing(tmp_path):
    yaml = "train: images/train\nkpt_shape: [2, 2]\nnames: [horse]\n"
    export = formats.read(project(tmp_path, yaml, a="0 .5 .5 .2 .4 0 0 .3 .4"))
    assert export.pictures[0].animals[0].points == {"0": (0, 0, 0), "1": (0.3, 0.4, 2)}


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (None, "no label file for the picture"),
        ("", "the label file is empty"),
        ("0 .5 .5 .2 .4 .1 .2 2", "a line has the wrong number of values"),
        ("0 .5 .5 .2 .4 .1 .2 2 .3 x 2", "a coordinate is not a number"),
        ("0 .5 .5 .2 .4 .1 .2 2 .3 .4 9", "a visibility flag is not 0, 1 or 2"),
    ],
)
def test_what_is_skipped_and_why(tmp_path, label, reason):
    export = formats.read(project(tmp_path, a=label, b="0 .5 .5 .2 .4 .1 .2 2 .3 .4 2"))
    assert [p.names[0] for p in export.pictures] == ["images/train/b.jpg"]
    assert [(s.what, s.reason) for s in export.skips] == [("picture", reason)]


def test_label_that_is_no_text(tmp_path):
    path = project(tmp_path, a="")
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xff\xfe\x00")
    assert formats.read(path).skips[0].reason == "a label file is not text that can be read"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kpt_shape: [2, 3]", "kpt_shape: [2]"), "kpt_shape must be"),
        (("kpt_shape: [2, 3]", "kpt_shape: [100000000, 3]"), "kpt_shape must be"),
        (("kpt_shape: [2, 3]", "kpt_shape: [true, 3]"), "kpt_shape must be"),
        (("kpt_shape: [2, 3]", "kpt_shape: [3, 3]"), "kpt_names must list 3 names"),
        (("0: [nose, neck]", "0: [nose, nose]"), "kpt_names must be different names"),
        (("0: [nose, neck]", "0: [neck, nose]"), "the same for every class"),
        (("images/train", "../elsewhere"), "is not found in"),
        (("images/train", "x" * 300), "is not found in"),
        (("images/train", "{a: b}"), "train must be the name of a folder"),
        (("images/train", "data.yaml"), "expected a folder"),
        (("names:", "names: ["), "is not YAML"),
        (("flip_idx:", "nc: 3\nflip_idx:"), "nc is 3, but names has 2: horse, rider"),
        (("{0: horse, 1: rider}", "horse"), "names must list the classes"),
        (("{0: horse, 1: rider}", "{a: horse}"), "names must list the classes"),
        (("val: images/val", "train: images/val"), "'train' stands in it twice"),
        (("train: images/train\nval: images/val", "pictures: 3"), "names no pictures"),
        (("train: images/train\nval: images/val", "train: [null]"), "names no pictures"),
        (("train: images/train\nval: images/val", "train: nowhere\nval: neither"), "names nothing that is there"),
    ],
)
def test_data_yaml_that_cannot_be_used(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        formats.read(project(tmp_path, YAML.replace(*change), a=""))


def test_folders_outside_are_refused(tmp_path):
    (tmp_path / "outside").mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    path = project(inside, YAML.replace("images/train", "../outside"))
    with pytest.raises(UserError, match="leads out of"):
        formats.read(path)


def test_roboflow_writes_one_folder_too_many(tmp_path):
    path = project(tmp_path, YAML.replace("train: images", "train: ../images"), a="0 .5 .5 .2 .4 .1 .2 2 .3 .4 2")
    assert formats.read(path).pictures[0].names == ("images/train/a.jpg",)


def test_a_folder_called_images_above_the_data_set(tmp_path):
    """Pictures and labels side by side, somewhere below a folder whose name says nothing about them."""
    root = tmp_path / "images/ds"
    (root / "train").mkdir(parents=True)
    (root / "train/a.jpg").touch()
    (root / "train/._a.jpg").touch()
    (root / "train/a.txt").write_text("0 .5 .5 .2 .4 .1 .2 2 .3 .4 2")
    (root / "data.yaml").write_text("train: train\nkpt_shape: [2, 3]\nnames: [horse]\n")
    export = formats.read(root / "data.yaml")
    assert [picture.names for picture in export.pictures] == [("train/a.jpg",)]
    assert not export.skips


def test_base_path_and_list_of_pictures(tmp_path):
    yaml = YAML.replace("train: images/train", "path: .\ntrain: list.txt")
    path = project(tmp_path, yaml, a="0 .5 .5 .2 .4 .1 .2 2 .3 .4 2")
    (tmp_path / "list.txt").write_text("images/train/a.jpg\n")
    assert formats.read(path).pictures[0].names == ("images/train/a.jpg",)


ROW = "0 .5 .5 .2 .4 .1 .2 2 .3 .4 2"


def names(export):
    return [picture.names[0] for picture in export.pictures]


def test_subsets_under_any_name(tmp_path):
    """CVAT names the keys as its users name the subsets, in any case."""
    path = project(tmp_path, a=ROW, b=ROW, c=ROW, d=ROW)
    for subset, picture in (("Train", "a"), ("Validation", "b"), ("Pferde 2024", "c"), ("minival", "d")):
        (tmp_path / f"{subset}.txt").write_text(f"images/train/{picture}.jpg\n")
    keys = "Train: Train.txt\nValidation: Validation.txt\nPferde 2024: Pferde 2024.txt\nminival: [minival.txt]\n"
    more = "license: CC BY 4.0\nurl: https://example.org/a.txt\nversion: 3\ntask: pose\nauthor:\n"
    path.write_text(YAML.replace("train: images/train\nval: images/val\n", keys + more))
    export = formats.read(path)
    assert names(export) == [f"images/train/{name}.jpg" for name in "abcd"]
    assert (export.skips, export.notes) == ([], [])


def test_labels_that_no_subset_names_are_counted(tmp_path):
    path = project(tmp_path, YAML.replace("val: images/val\n", ""), a=ROW)
    for name in ("x", "y"):
        (tmp_path / f"labels/val/{name}.txt").write_text(ROW)
    (tmp_path / "labels/classes.txt").write_text("horse\n")
    [skip] = formats.read(path).skips
    assert (skip.what, skip.detail) == ("subset", "labels/val: 2")


@pytest.mark.parametrize(
    ("val", "names_of_val"),
    [
        ("/content/drive/horses/valid/images", ["valid/images/v.jpg"]),
        ("C:\\Users\\Anna\\horses\\valid\\images", ["valid/images/v.jpg"]),
        ("C:/Users/Anna/elsewhere/images", None),
    ],
)
def test_paths_of_another_computer(tmp_path, val, names_of_val):
    """What lies beside the YAML is taken and told; what does not is counted."""
    (tmp_path / "valid/images").mkdir(parents=True)
    (tmp_path / "valid/labels").mkdir()
    (tmp_path / "valid/images/v.jpg").touch()
    (tmp_path / "valid/labels/v.txt").write_text(ROW)
    yaml = YAML.replace("val: images/val", f"val: {val}\npath: D:/work/horses")
    export = formats.read(project(tmp_path, yaml, a=ROW))
    assert names(export) == ["images/train/a.jpg", *(names_of_val or [])]
    assert len(export.notes) == bool(names_of_val)
    assert [skip.reason for skip in export.skips] == ([] if names_of_val else ["a subset is not there", EXTRA])


EXTRA = "label files that no subset of the data YAML names"


def test_a_path_that_ends_in_the_datas_folder(tmp_path):
    folder = tmp_path / "horses"
    folder.mkdir()
    project(folder, a=ROW)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"path: /home/anna/datasets/horses\n{YAML}")
    assert names(formats.read(yaml)) == ["horses/images/train/a.jpg"]


def test_backslashes_and_marks_of_windows(tmp_path):
    path = project(tmp_path, a=ROW, b=ROW, c=ROW)
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xef\xbb\xbf" + ROW.encode() + b" \r\n\r\n")
    (tmp_path / "labels/train/b.txt").write_bytes(ROW.encode("utf-16"))
    folder = path.read_text().replace("images/train", "images\\train")
    path.write_bytes(folder.encode("utf-16"))
    assert names(formats.read(path)) == [f"images/train/{name}.jpg" for name in "abc"]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf./images/train/a.jpg\r\n.\\images\\train\\c.jpg\r\n")
    path.write_text(YAML.replace("train: images/train", "train: list.txt"))
    assert names(formats.read(path)) == [f"images/train/{name}.jpg" for name in "ac"]


def test_labels_beside_their_pictures_or_spelled_in_another_way(tmp_path):
    path = project(tmp_path, a=ROW)
    for picture, label in (
        ("images/train/b.jpg", "images/train/b.txt"),
        ("images/train/h\u00f6fe.jpg", "labels/train/ho\u0308fe.txt"),
        ("images/train/IMG_1.JPG", "labels/train/img_1.TXT"),
    ):
        (tmp_path / picture).touch()
        (tmp_path / label).write_text(ROW)
    export = formats.read(path)
    assert len(export.pictures) == 4
    assert export.skips == []
    assert export.notes == ["data.yaml: val ('images/val') holds no pictures"]


def test_pictures_that_are_not_there_keep_their_labels(tmp_path):
    """They may lie in --img-dir; the finder says what it does not find."""
    path = project(tmp_path, a=ROW, b=ROW)
    (tmp_path / "images/train/a.jpg").unlink()
    assert names(formats.read(path)) == ["images/train/b.jpg", "images/train/a"]
    (tmp_path / "list.txt").write_text("images/train/a.jpg\nimages/train/b.jpg\nimages/train/none.jpg\n" + "x" * 300)
    path.write_text(YAML.replace("train: images/train", "train: list.txt"))
    export = formats.read(path)
    assert names(export) == ["images/train/a.jpg", "images/train/b.jpg"]
    assert [(skip.what, skip.reason) for skip in export.skips] == [("picture", "no label file for the picture")] * 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0,.5,.5,.2,.4,.1,.2,2,.3,.4,2", "the values of a line must stand apart by blanks"),
        ("0 0,5 .5 .2 .4 .1 .2 2 .3 .4 2", "a coordinate is not a number"),
        ("1 .5 .5 .2 .4", "a line has a box and no keypoints"),
        ("0 .5 .5 .2 .4 .1 .2 .3 .4", "a line has the wrong number of values"),
        ("7 .5 .5 .2 .4 .1 .2 2 .3 .4 2", "a class is none of the data YAML's names"),
        ("0.5 .5 .5 .2 .4 .1 .2 2 .3 .4 2", "a class is none of the data YAML's names"),
        ("-1 .5 .5 .2 .4 .1 .2 2 .3 .4 2", "a class is none of the data YAML's names"),
    ],
)
def test_a_line_that_is_wrong_loses_its_animal_only(tmp_path, line, reason):
    export = formats.read(project(tmp_path, a=f"{ROW}\n{line}\n{ROW}\n", b=line))
    assert [len(picture.animals) for picture in export.pictures] == [2]
    assert [(skip.what, skip.reason) for skip in export.skips] == [("horse", reason), ("picture", reason)]


def test_names_by_number_and_as_text(tmp_path):
    for change in ("['horse', 'rider']", "{'0': horse, '1': rider}", "{1: rider, 0: horse}"):
        yaml = YAML.replace("{0: horse, 1: rider}", change)
        assert (
            formats.read(project(tmp_path / str(len(change)), yaml, a=ROW)).pictures[0].animals[0].category == "horse"
        )


@pytest.mark.parametrize("yaml", ["a: &a [x]\nb: [*a, *a]\nkpt_shape: [2, 3]\n", "[" * 5000 + "kpt_shape"])
def test_yaml_bombs_are_refused(tmp_path, yaml):
    with pytest.raises(UserError, match="is not YAML that can be read"):
        formats.read(project(tmp_path, yaml))


def test_yaml_without_keypoints_is_not_yolo_pose(tmp_path):
    with pytest.raises(NotLabels, match="no annotations of a known format"):
        formats.read(project(tmp_path, "train: images/train\nnames: [horse]\n"))


near = st.floats(-20, 60, allow_nan=False)


@given(st.lists(st.tuples(near, near, st.sampled_from([0, 1, 2])), min_size=2, max_size=2), near, near)
def test_nothing_is_written_beyond_the_picture(points, left, top):
    """Ultralytics discards a picture with one value outside 0 to 1."""
    animal = Animal(dict(zip(("nose", "neck"), points, strict=True)), (left, top, 30.0, 30.0), "horse")
    picture = Picture(("a.jpg",), "", (animal,), (40, 40))
    if not (-30 < left < 40 and -30 < top < 40):
        with pytest.raises(Unusable, match="a box lies outside"):
            yolo.inside(picture)
        return
    whole, left_out = yolo.inside(picture)
    _, *fields = yolo.write_label(whole, ["nose", "neck"]).split()
    values = [float(field) for field in fields]
    numbers = values[:4] + [values[i] for i in (4, 5, 7, 8)]
    assert all(0 <= number <= 1 for number in numbers)
    assert values[0] - values[2] / 2 >= -1e-6
    assert values[0] + values[2] / 2 <= 1 + 1e-6
    for (x, y, visibility), name, written in zip(points, ("nose", "neck"), (values[6], values[9]), strict=True):
        inside = -1 <= x <= 40 and -1 <= y <= 40
        assert written == (visibility if inside else 0)
        assert (name in left_out) == bool(visibility and not inside)


def test_a_point_on_the_edge_is_moved_into_the_picture():
    animal = Animal({"nose": (-0.8, 40.0, 2)}, (-3.0, 30.0, 20.0, 15.0), "horse")
    whole, left_out = yolo.inside(Picture(("a.jpg",), "", (animal,), (40, 40)))
    assert whole.animals[0].points == {"nose": (0, 40, 2)}
    assert whole.animals[0].box == (0, 30, 17, 10)
    assert left_out == []


def test_what_is_written_is_read_back(tmp_path):
    horse = skeleton.load("horse26")
    points = {name: (10.0 + i, 20.0 + i / 8, i % 3) for i, name in enumerate(horse.names)}
    picture = Picture(("a.jpg",), "", (Animal(points, (5.0, 6.0, 190.0, 90.0), "horse"),), (4000, 3000))
    path = project(tmp_path, yolo.data_yaml(horse, ["train"]))
    (tmp_path / "images/train/a.jpg").touch()
    (tmp_path / "labels/train/a.txt").write_text(yolo.write_label(picture, horse.names))
    export = formats.read(path)
    assert export.keypoints == {"horse": list(horse.names)}
    [animal] = export.pictures[0].animals
    for name, (x, y, visibility) in points.items():
        assert animal.points[name][2] == visibility
        if visibility:
            assert (animal.points[name][0] * 4000, animal.points[name][1] * 3000) == pytest.approx((x, y), abs=1e-3)


def test_a_label_file_of_two_pictures_is_said(tmp_path):
    path = project(tmp_path, a="0 .5 .5 .2 .4 .1 .2 2 .3 .4 1")
    (tmp_path / "images/train/a.png").touch()
    export = formats.read(path)
    assert len(export.pictures) == 2
    assert export.notes[-1:] == [
        "labels/train/a.txt is the label file of images/train/a.jpg and images/train/a.png: unless they show the same, "
        "one has the other's labels"
    ]
