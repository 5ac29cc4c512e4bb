"""A clean data set, broken in planned ways: verification finds each of them, and nothing on the clean one."""

from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
import verify_horses
from PIL import Image

from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.command import verify
from equistera.dataset.verify.entries import check_labels

HORSE26 = verify_horses.HORSE26
#: Enough for the checks that compare an animal with all others.
COUNT = 110


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    root = tmp_path_factory.mktemp("clean")
    verify_horses.write_set(root, COUNT, "train", seed=11)
    verify_horses.write_set(root, 12, "val", seed=12)
    return root


class DataSet:
    """A copy to break: ``train`` and ``val`` are the files' contents, ``pictures`` the folder of train."""

    def __init__(self, root):
        self.root = root
        self.pictures = root / "images" / "train"
        self.train, self.val = (json.loads(path.read_text()) for path in self.files)

    @property
    def files(self):
        return [self.root / "annotations" / name for name in ("train.json", "val.json")]

    def save(self):
        for path, content in zip(self.files, (self.train, self.val), strict=True):
            path.write_text(json.dumps(content))

    def picture(self, number):
        return self.pictures / self.train["images"][number]["file_name"]

    def set_point(self, number, name, values):
        k = 3 * HORSE26.index[name]
        self.train["annotations"][number]["keypoints"][k : k + 3] = values

    def exchange(self, number, *names):
        values = self.train["annotations"][number]["keypoints"]
        for name in names:
            a, b = (3 * HORSE26.index[n] for n in (name, HORSE26.keypoints[HORSE26.index[name]].swap))
            values[a : a + 3], values[b : b + 3] = values[b : b + 3], values[a : a + 3]

    def side_views(self):
        """Animals seen nearly from the side whose leg points are all labelled."""
        result = []
        for n, annotation in enumerate(self.train["annotations"]):
            points = np.array(annotation["keypoints"]).reshape(-1, 3)
            legs = [k for k, name in enumerate(HORSE26.names) if name[1:3] in ("_e", "_k", "f_", "_h", "h_")]
            low, high = points[points[:, 2] > 0, :2].min(axis=0), points[points[:, 2] > 0, :2].max(axis=0)
            if (points[legs, 2] > 0).all() and (high - low)[0] > (high - low)[1]:
                result.append(n)
        return result


def missing_picture(data):
    data.picture(0).unlink()


def truncated_picture(data):
    content = data.picture(1).read_bytes()
    data.picture(1).write_bytes(content[: len(content) // 2])


def text_as_picture(data):
    data.picture(2).write_text("not a picture")


def rotated_photo(data):
    """A portrait as phones store it, with the labelling tool's size being that of the stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(data.picture(3)).save(data.picture(3), exif=exif)


def other_size(data):
    Image.open(data.picture(4)).resize((320, 240)).save(data.picture(4))


def same_picture_twice(data):
    shutil.copy(data.picture(6), data.picture(5))


def not_a_number(data):
    data.set_point(7, "nose", [float("nan"), 20, 2])


def text_coordinate(data):
    data.set_point(8, "nose", ["12,5", 20, 2])


def too_few_values(data):
    del data.train["annotations"][9]["keypoints"][-3:]


def outside_picture(data):
    data.set_point(10, "tail_end", [1700, 200, 2])


def box_too_small(data):
    box = data.train["annotations"][11]["bbox"]
    data.train["annotations"][11].update(bbox=[*box[:2], box[2] * 0.7, box[3]], area=box[2] * box[3] * 0.7)


def negative_box(data):
    data.train["annotations"][12]["bbox"][2] = -4


def zero_area(data):
    data.train["annotations"][13]["area"] = 0


def area_of_another(data):
    data.train["annotations"][14]["area"] *= 3


def no_keypoints_counted(data):
    data.train["annotations"][15]["num_keypoints"] = 0


def id_twice(data):
    data.train["annotations"][16]["id"] = data.train["annotations"][17]["id"]


def picture_unknown(data):
    data.train["annotations"][18]["image_id"] = 99999


def annotated_twice(data):
    data.train["annotations"].append({**data.train["annotations"][19], "id": 5000})


def at_the_origin(data):
    data.set_point(20, "withers", [0, 0, 2])


def flag_three(data):
    entry = data.train["annotations"][21]["keypoints"]
    entry[3 * HORSE26.index["neck"] + 2] = 3


def fore_legs_exchanged(data):
    for n in data.side_views()[-6:]:
        data.exchange(n, "l_elbow", "l_knee", "lf_fetlock", "lf_hoof")


def wrong_place(data):
    points = data.train["annotations"][22]["keypoints"]
    box = data.train["annotations"][22]["bbox"]
    k, at = 3 * HORSE26.index["l_knee"], (box[0] + 3, box[1] + 3)
    points[k : k + 3] = [*at, 2]


def hardly_ever_labelled(data):
    for n, annotation in enumerate(data.train["annotations"]):
        k = 3 * HORSE26.index["back"]
        if n > 3 and annotation["keypoints"][k + 2]:
            annotation["keypoints"][k : k + 3] = [0, 0, 0]
            annotation["num_keypoints"] -= 1


def copied_from_another_system(data):
    picture = data.picture(29)
    picture.rename(picture.with_suffix(".JPG"))


def training_picture_in_validation(data):
    shutil.copy(data.picture(23), data.root / "images" / "val" / data.val["images"][0]["file_name"])


def next_frame_in_validation(data):
    picture = Image.open(data.picture(24))
    darker = picture.point(lambda value: value * 0.97)
    darker.save(data.root / "images" / "val" / data.val["images"][1]["file_name"], quality=80)


def mirrored_in_validation(data):
    put_in_validation(data, Image.Transpose.FLIP_LEFT_RIGHT, 60, 5)


def turned_in_validation(data):
    put_in_validation(data, Image.Transpose.ROTATE_180, 61, 6)


def put_in_validation(data, way, number, place):
    with Image.open(data.picture(number)) as picture:
        picture.transpose(way).save(data.root / "images/val" / data.val["images"][place]["file_name"], quality=80)


def augmented_by_name(data):
    for content, folder, place in ((data.train, "train", 62), (data.val, "val", 7)):
        rename(data, content, folder, place, f"IMG_7_jpg.rf.{folder}.jpg")


def rename(data, content, folder, place, name):
    old, content["images"][place]["file_name"] = content["images"][place]["file_name"], name
    (data.root / "images" / folder / old).rename(data.root / "images" / folder / name)


def same_name_twice(data):
    data.train["images"].append({**data.train["images"][25], "id": 7000})


def picture_without_animal(data):
    entry = data.train["images"][26]
    data.train["annotations"] = [a for a in data.train["annotations"] if a["image_id"] != entry["id"]]


def name_leads_out(data):
    data.train["images"][27]["file_name"] = "../../../etc/passwd"


def marked_as_crowd(data):
    data.train["annotations"][28]["iscrowd"] = 1


def track_that_goes_on(data):
    points = [data.train["annotations"][n] for n in (63, 64)]
    points[1].update({key: points[0][key] for key in ("keypoints", "num_keypoints", "bbox", "area")})


def animal_of_a_training_picture_in_validation(data):
    keys = ("keypoints", "num_keypoints", "bbox", "area")
    data.val["annotations"][8].update({key: data.train["annotations"][65][key] for key in keys})


#: The planned ways, and what has to be found. What follows from a mistake of necessity is listed with it.
BREAKS = {
    fore_legs_exchanged: {"swap"},
    missing_picture: {"picture-missing"},
    truncated_picture: {"picture-truncated"},
    text_as_picture: {"picture-unreadable"},
    rotated_photo: {"picture-rotated"},
    other_size: {"picture-size"},
    same_picture_twice: {"content-twice"},
    not_a_number: {"coordinates"},
    text_coordinate: {"coordinates"},
    too_few_values: {"keypoint-count"},
    outside_picture: {"outside-picture", "limb"},
    box_too_small: {"outside-box"},
    negative_box: {"box"},
    zero_area: {"area"},
    area_of_another: {"area-above-box"},
    no_keypoints_counted: {"num-keypoints-zero"},
    id_twice: {"annotation-id-twice"},
    picture_unknown: {"picture-unknown", "picture-unlabelled"},
    annotated_twice: {"annotation-twice"},
    at_the_origin: {"labelled-at-origin", "outside-box", "limb"},
    flag_three: {"visibility-flag"},
    wrong_place: {"limb"},
    hardly_ever_labelled: {"keypoint-rare"},
    training_picture_in_validation: {"leak-picture"},
    next_frame_in_validation: {"leak-near-duplicate"},
    mirrored_in_validation: {"leak-near-duplicate"},
    turned_in_validation: {"leak-near-duplicate"},
    augmented_by_name: {"leak-augmented"},
    same_name_twice: {"picture-twice", "picture-unlabelled"},
    picture_without_animal: {"picture-unlabelled"},
    copied_from_another_system: {"picture-spelling"},
    name_leads_out: {"picture-path"},
    marked_as_crowd: {"crowd"},
    track_that_goes_on: {"same-points"},
    animal_of_a_training_picture_in_validation: {"same-points"},
}


def check(data, **options):
    data.save()
    return verify(data.files, HORSE26, **options)


def codes(result):
    return verify_horses.mistakes(result.findings)


def copied(clean, tmp_path):
    return DataSet(shutil.copytree(clean, tmp_path / "data"))


def test_clean_set_has_nothing(clean):
    result = check(DataSet(clean))
    assert codes(result) == set()
    assert not result.failed


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda f: f.__name__)
def test_each_way_is_found_and_nothing_else(clean, tmp_path, break_it):
    data = copied(clean, tmp_path)
    break_it(data)
    # only what looks alike needs pixels
    assert codes(check(data, decode="leak-near-duplicate" in BREAKS[break_it])) == BREAKS[break_it]


def test_all_ways_at_once_are_found_together(clean, tmp_path):
    data = copied(clean, tmp_path)
    assert len(BREAKS) >= 15
    for break_it in BREAKS:
        break_it(data)
    assert codes(check(data)) >= set().union(*BREAKS.values())


def test_quick_check_finds_all_that_headers_show(clean, tmp_path):
    data = copied(clean, tmp_path)
    for break_it in BREAKS:
        break_it(data)
    assert codes(check(data, decode=False)) >= set().union(*BREAKS.values()) - {"leak-near-duplicate"}


def test_exchanged_legs_are_named_and_other_animals_are_not(clean, tmp_path):
    data = copied(clean, tmp_path)
    exchanged = data.side_views()[-6:]
    fore_legs_exchanged(data)
    (finding,) = (f for f in check(data, decode=False).findings if f.check.code != "not-checked")
    assert {item.annotation for item in finding.items} <= set(exchanged)
    assert all(item.points for item in finding.items)


def test_groups_in_both_files(clean, tmp_path):
    data = copied(clean, tmp_path)
    for content, folder in ((data.train, "train"), (data.val, "val")):
        old = content["images"][0]["file_name"]
        content["images"][0]["file_name"] = f"star_{old}"
        (data.root / "images" / folder / old).rename(data.root / "images" / folder / f"star_{old}")
    assert codes(check(data, decode=False)) == set()
    result = check(data, decode=False, group_by="^(star|train|val)_")
    assert codes(result) == {"leak-group"}
    assert result.findings[0].items[0].text == "group star"
    # the rule of the split that wrote the files is taken without being asked for
    record = {"version": 1, "pictures": {}, "group_by": "^(star|train|val)_"}
    (data.root / "annotations" / "split.json").write_text(json.dumps(record))
    assert codes(check(data, decode=False)) == {"leak-group"}
    assert codes(check(data, decode=False, group_by="none")) == set()


def test_what_the_names_suggest_is_said(clean, tmp_path):
    data = copied(clean, tmp_path)
    for content, folder, first in ((data.train, "train", 0), (data.val, "val", 200)):
        for i in range(len(content["images"])):
            rename(data, content, folder, i, f"horse{i % 7}_{first + i}.jpg")
    [note] = [f for f in check(data, decode=False).findings if f.check.code == "not-checked" and " and " in f.where]
    assert r"by their names, --group-by '^(.+)[_-]\d+\.' would" in note.items[0].text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: rows[np.roll(np.arange(26), 5)], "names-exchanged"),
        (lambda rows: rows[..., [1, 0, 2]], "set-turned"),
        (lambda rows: rows * [0.5, 0.5, 1], "upper-left"),
    ],
)
def test_what_the_whole_set_shows(clean, change, code):
    data = DataSet(clean)
    for content in (data.train, data.val):
        for entry in content["annotations"]:
            entry["keypoints"] = change(np.array(entry["keypoints"]).reshape(-1, 3)).ravel().tolist()
    file = AnnotationFile(clean / "annotations/train.json", clean, data.train, HORSE26)
    assert code in {item.code for item in check_labels(file)}


def test_input_is_not_changed(clean, tmp_path):
    data = copied(clean, tmp_path)
    before = {path: path.read_bytes() for path in sorted(data.root.rglob("*")) if path.is_file()}
    content = copy.deepcopy((data.train, data.val))
    verify(data.files, HORSE26)
    assert {path: path.read_bytes() for path in sorted(data.root.rglob("*")) if path.is_file()} == before
    assert (data.train, data.val) == content


def test_a_point_that_never_was_clicked(clean, tmp_path):
    data = copied(clean, tmp_path)
    for n in range(80):
        data.set_point(n, "tail_end", [330, 250, 2])
    [item] = [i for f in check(data, decode=False).findings if f.check.code == "never-clicked" for i in f.items]
    assert "tail_end is at (330, 250) in 80 of" in item.text


def test_copies_of_one_photo_have_its_points(clean, tmp_path):
    data = copied(clean, tmp_path)
    track_that_goes_on(data)
    with Image.open(data.picture(63)) as photo:
        photo.save(data.picture(64), quality=70)
    assert codes(check(data)) == {"near-duplicates"}
