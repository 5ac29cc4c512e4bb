import json

import pytest

from equistera.dataset import formats
from equistera.dataset.formats.records import Animal, NotLabels, Picture
from equistera.errors import UserError

CATEGORY = {"id": 4, "name": "horse", "keypoints": ["neck", "nose"]}
IMAGE = {"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}
ANNOTATION = {
    "id": 9,
    "image_id": 1,
    "category_id": 4,
    "keypoints": [1, 2, 2, 3.5, 4, 1],
    "bbox": [0, 1, 5, 6],
    "area": 12.5,
}


def read(tmp_path, images=(IMAGE,), annotations=(ANNOTATION,), categories=(CATEGORY,)):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"images": list(images), "annotations": list(annotations), "categories": list(categories)})
    )
    return formats.read(path)


def test_points_by_name_box_area_and_size(tmp_path):
    export = read(tmp_path)
    assert export.title == "COCO keypoints"
    assert export.keypoints == {"horse": ["neck", "nose"]}
    assert export.pictures == [
        Picture(
            ("a.jpg",),
            "a.json, picture a.jpg",
            (Animal({"neck": (1, 2, 2), "nose": (3.5, 4, 1)}, (0, 1, 5, 6), "horse", 12.5),),
            (20, 10),
        )
    ]


@pytest.mark.parametrize("area", [0, -1, None, "x", float("nan")])
def test_area_that_cannot_be_is_left_for_the_box(tmp_path, area):
    assert read(tmp_path, annotations=[{**ANNOTATION, "area": area}]).pictures[0].animals[0].area is None


@pytest.mark.parametrize("box", [None, []])
def test_box_that_is_not_there_is_left_to_be_made(tmp_path, box):
    assert read(tmp_path, annotations=[{**ANNOTATION, "bbox": box}]).pictures[0].animals[0].box is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 2}, "its image_id is no picture of the file"),
        ({"image_id": [1]}, "its image_id is no picture of the file"),
        ({"category_id": 5, "keypoints": [1, 2, 2]}, "its category has no keypoints"),
        ({"category_id": None, "keypoints": None}, "its category has no keypoints"),
        ({"iscrowd": 1}, "marked as a crowd"),
        ({"keypoints": []}, "no keypoints in the annotation"),
        ({"keypoints": [1, 2, 2]}, "the number of keypoints is not that of its category"),
        ({"keypoints": "1 2 3"}, "a list of numbers is missing"),
        ({"keypoints": [1, 2, 2, 3, 4, 7]}, "a visibility flag is not 0, 1 or 2"),
        ({"keypoints": [1, None, 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, "x", 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, float("nan"), 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, 10**400, 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"bbox": [1, 2, 3]}, "a box is not four numbers"),
    ],
)
def test_annotations_that_are_skipped_and_why(tmp_path, change, reason):
    export = read(tmp_path, annotations=[ANNOTATION, {**ANNOTATION, "id": 10, **change}])
    assert len(export.pictures[0].animals) == 1
    [skip] = export.skips
    assert (skip.what, skip.reason) == ("horse", reason)
    assert "annotation 10" in skip.where


OTHER = {"id": 5, "name": "cow", "keypoints": ["neck", "nose"]}


def test_points_under_a_category_without_any_are_those_of_the_only_one_that_has_some(tmp_path):
    """CVAT gives a skeleton that is grouped with a box the category of the box."""
    grouped = {**ANNOTATION, "category_id": 1}
    box = {"id": 1, "name": "horse_box", "keypoints": []}
    export = read(tmp_path, annotations=[grouped], categories=[box, CATEGORY])
    [animal] = export.pictures[0].animals
    assert (animal.category, animal.box) == ("horse", (0, 1, 5, 6))
    [note] = export.notes
    assert "1 annotations with the points of 'horse' name another category or none" in note
    # of two that would do, none is chosen
    skipped = read(tmp_path, annotations=[grouped], categories=[box, CATEGORY, OTHER]).skips
    assert skipped[0].reason == "its category has no keypoints"


@pytest.mark.parametrize(("image_id", "own"), [("1", 1), (1.0, 1), (1, "1"), (1.0, "1")])
def test_ids_are_the_same_however_they_are_written(tmp_path, image_id, own):
    annotation = {**ANNOTATION, "image_id": image_id, "category_id": 4.0}
    export = read(tmp_path, images=[{**IMAGE, "id": own}], annotations=[annotation])
    assert len(export.pictures[0].animals) == 1
    assert export.notes == ['a.json: 2 ids are written in two ways (such as 1, "1" and 1.0), taken for the same']


def test_an_id_that_stands_as_it_is_goes_first(tmp_path):
    images = [IMAGE, {**IMAGE, "id": "1", "file_name": "b.jpg"}]
    export = read(tmp_path, images=images, annotations=[ANNOTATION, {**ANNOTATION, "image_id": "1"}])
    assert [len(p.animals) for p in export.pictures] == [1, 1]
    assert export.notes == []


@pytest.mark.parametrize("step", [1, -1])
def test_ids_that_count_from_another_number_are_refused(tmp_path, step):
    images = [{**IMAGE, "id": i, "file_name": f"{i}.jpg"} for i in (1, 2, 3)]
    annotations = [{**ANNOTATION, "image_id": i - step} for i in (1, 2, 3)]
    with pytest.raises(UserError, match=r"image_id runs from .* the ids it stands for from 1 to 3") as error:
        read(tmp_path, images=images, annotations=annotations)
    assert f"Add {step} to every image_id" in error.value.hint
    annotations = [{**ANNOTATION, "category_id": i - step} for i in (4, 5)]
    with pytest.raises(UserError, match="category_id runs from"):
        read(tmp_path, annotations=annotations, categories=[CATEGORY, OTHER])
    # one annotation of a picture that was taken out moves nothing
    read(tmp_path, images=images, annotations=[{**ANNOTATION, "image_id": i} for i in (1, 2, 4)])


def test_nested_keypoints(tmp_path):
    nested = {**ANNOTATION, "keypoints": [[1, 2, 2], [3.5, 4, 1]]}
    assert read(tmp_path, annotations=[nested]).pictures == read(tmp_path).pictures


LABEL_STUDIO = {**CATEGORY, "name": "default", "supercategory": "default"}


@pytest.mark.parametrize(
    ("image", "category", "info"),
    [
        ({}, CATEGORY, {"contributor": "Label Studio"}),
        ({}, LABEL_STUDIO, {}),
        ({"file_name": "..\\..\\label-studio\\media\\upload\\4\\cb0618f6-a.jpg"}, CATEGORY, {}),
        ({"file_name": "images\\1/90fbb0c0-a.jpg"}, CATEGORY, {}),
    ],
)
def test_label_studios_coco_export_is_recognised(tmp_path, image, category, info):
    """It gives all points of a picture to one animal, in an order that need not be that of the names."""
    path = tmp_path / "a.json"
    boxes = [{"id": i, "image_id": 1, "category_id": 7, "bbox": [i, 0, 5, 5], "segmentation": []} for i in (1, 2)]
    content = {"images": [{**IMAGE, **image}], "categories": [category], "info": info}
    path.write_text(json.dumps({**content, "annotations": [ANNOTATION, boxes[0]]}))
    export = formats.read(path)
    # its own box is drawn around the points
    assert [animal.box for animal in export.pictures[0].animals] == [(1, 0, 5, 5)]
    assert export.skips == []
    assert (export.sized, export.tells_hidden) == ("stored", False)
    assert "export JSON from Label Studio" in export.notes[0]
    path.write_text(json.dumps({**content, "annotations": [*boxes, ANNOTATION]}))
    export = formats.read(path)
    assert export.pictures == []
    assert "makes one animal of all points in a picture: export JSON instead" in export.skips[-1].reason
    assert export.skips[-1].detail == "2 boxes, one set of points"
    assert {skip.hint for skip in export.skips} == {"Export JSON instead of COCO from Label Studio, and convert that."}


def test_other_coco_files_are_not_called_label_studios(tmp_path):
    boxes = [{**ANNOTATION, "keypoints": [], "category_id": 7}] * 2
    export = read(tmp_path, annotations=[ANNOTATION, *boxes])
    assert (export.notes, export.sized, len(export.pictures)) == ([], "", 1)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"file_name": "b.jpg"}, "a picture without an id"),
        ({"id": 2}, "the picture's file_name is missing"),
        ({"id": 2, "file_name": 3}, "the picture's file_name is missing"),
        ({"id": 2, "file_name": "b.jpg"}, "no annotation that can be used"),
        (7, "a picture without an id"),
        ({"id": True, "file_name": "b.jpg"}, "a picture without an id"),
    ],
)
def test_pictures_that_are_skipped_and_why(tmp_path, image, reason):
    export = read(tmp_path, images=[IMAGE, image])
    assert [p.names for p in export.pictures] == [("a.jpg",)]
    assert [s.reason for s in export.skips] == [reason]


def test_picture_ids_that_stand_twice_lose_both_pictures(tmp_path):
    other = {"id": 2, "file_name": "c.jpg"}
    annotations = [ANNOTATION, {**ANNOTATION, "image_id": 2}]
    export = read(tmp_path, images=[IMAGE, {**IMAGE, "file_name": "b.jpg"}, other], annotations=annotations)
    assert [p.names for p in export.pictures] == [("c.jpg",)]
    assert {s.reason for s in export.skips} >= {"a picture id stands twice"}


def test_a_picture_entry_that_stands_twice_is_one(tmp_path):
    export = read(tmp_path, images=[IMAGE, dict(IMAGE)])
    assert ([p.names for p in export.pictures], export.skips) == ([("a.jpg",)], [])


@pytest.mark.parametrize("categories", [[], [{"id": 1, "name": "horse"}], [{"id": 1, "keypoints": [1, 2]}], ["x"]])
def test_file_without_keypoint_names(tmp_path, categories):
    with pytest.raises(UserError, match="names no keypoints"):
        read(tmp_path, categories=categories)


def test_category_with_a_name_twice(tmp_path):
    with pytest.raises(UserError, match="has keypoint 'nose' more than once"):
        read(tmp_path, categories=[{**CATEGORY, "keypoints": ["nose", "nose"]}])


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00", "nul", "[" * 200_000])
def test_damaged_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match="is not JSON"):
        formats.read(path)


def test_json_of_another_kind_is_no_annotation_file(tmp_path):
    path = tmp_path / "a.json"
    for content in ({}, [], {"shapes": []}, "text", 3):
        path.write_text(json.dumps(content))
        with pytest.raises(NotLabels, match="no annotations of a known format"):
            formats.read(path)
    with pytest.raises(UserError, match="not COCO keypoints: 3"):
        formats.read(path, "coco")


def test_files_that_are_not_even_opened(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        formats.read(tmp_path / "a.json")
    with pytest.raises(UserError, match="is not a file"):
        formats.read(tmp_path)
    path = tmp_path / "b.json"
    path.write_text("[]")
    monkeypatch.setattr("equistera.dataset.formats.values.MAX_FILE_BYTES", 1)
    with pytest.raises(UserError, match="are not opened"):
        formats.read(path)


def test_cvats_subsets(tmp_path):
    """Every task made from a video has a frame_000000, in the folder of its subset."""
    path = tmp_path / "person_keypoints_Train.json"
    read(tmp_path).path.rename(path)
    assert formats.read(path).pictures[0].names == ("Train/a.jpg", "a.jpg")
    (tmp_path / "images/Train").mkdir(parents=True)
    assert formats.read(path).pictures[0].names == ("Train/a.jpg",)


@pytest.mark.parametrize("place", [(float("nan"), float("nan")), (None, None), ("", 3)])
def test_a_point_that_is_not_labelled_may_have_no_place(tmp_path, place):
    [picture] = read(tmp_path, annotations=[{**ANNOTATION, "keypoints": [*place, 0, 3.5, 4, 1]}]).pictures
    assert picture.animals[0].points["neck"][2] == 0
    assert picture.animals[0].points["nose"] == (3.5, 4, 1)
    skips = read(tmp_path, annotations=[{**ANNOTATION, "keypoints": [*place, 2, 3.5, 4, 1]}]).skips
    assert skips[0].reason == "a coordinate is not a number"


def test_all_animals_on_one_picture_of_many_are_refused(tmp_path):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 20, "height": 10} for i in (1, 2, 3)]
    annotations = [{**ANNOTATION, "id": i, "image_id": 1} for i in (1, 2, 3)]
    with pytest.raises(UserError, match="all 3 annotations have image_id 1, although the file has 3 pictures") as error:
        read(tmp_path, images=images, annotations=annotations)
    assert "take the others out" in error.value.hint
    # a mare and her foal in the only picture that is labelled yet
    assert len(read(tmp_path, images=images, annotations=annotations[:2]).pictures) == 1


def test_a_file_without_annotations_says_what_cvat_leaves_out(tmp_path):
    [skip] = read(tmp_path, annotations=[]).skips
    assert "CVAT's 'COCO Keypoints' has skeletons only" in skip.hint
