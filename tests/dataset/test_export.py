import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from equistera import skeleton
from equistera.dataset.coco import category_of
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import FORMATS, export_annotations
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
WIDTH, HEIGHT = 400, 300


def annotation(points, image_id=1, annotation_id=1):
    """An annotation with a box around its points; points are x, y, flag for the first keypoints."""
    labelled = [p for p in points if p[2]]
    left, top = min(p[0] for p in labelled), min(p[1] for p in labelled)
    right, bottom = max(p[0] for p in labelled) + 2, max(p[1] for p in labelled) + 2
    flat = [value for point in points for value in point]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": flat + [0] * (78 - len(flat)),
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
    }


def save(folder, annotations, name="val", file_names=("a b.png",), **image):
    path = folder / "annotations" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    images = []
    for i, file_name in enumerate(file_names, 1):
        images.append({"id": i, "file_name": file_name, "width": WIDTH, "height": HEIGHT, **image})
        picture = folder / "images" / name / file_name
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(picture)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category_of(HORSE)]}))
    return path


def output_of(to, folder):
    return folder / {"labelstudio": "tasks.json", "cvat": "a.xml", "coco": "a.json", "yolo": "yolo"}[to]


# not in the corner, nor all in one place: such labels are refused
coordinate = st.floats(0.015625, 0.6875, allow_nan=False, width=32)
points_of_a_horse = st.lists(
    st.tuples(coordinate, coordinate, st.sampled_from([0, 1, 2])), min_size=26, max_size=26
).map(
    lambda found: [(x * WIDTH + 4 * i, y * HEIGHT + 3 * i, v) if v else (0, 0, 0) for i, (x, y, v) in enumerate(found)]
)


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(points=points_of_a_horse.filter(lambda points: any(p[2] for p in points)))
def test_round_trip_gives_the_same_points_and_visibility(tmp_path_factory, to, points):
    folder = tmp_path_factory.mktemp(to)
    path = save(folder, [annotation(points)])
    output = output_of(to, folder / "exports")
    export_annotations([path], to, output, HORSE)
    convert_dataset(Request(output, folder / "back/annotations", HORSE, img_dir=folder / "images", split=None))
    [back] = json.loads((folder / "back/annotations/all.json").read_text())["annotations"]
    for i, (x, y, visibility) in enumerate(points):
        assert back["keypoints"][3 * i + 2] == visibility
        if visibility:
            assert back["keypoints"][3 * i] == pytest.approx(x, abs=0.01)
            assert back["keypoints"][3 * i + 1] == pytest.approx(y, abs=0.01)


@pytest.mark.parametrize("to", FORMATS)
def test_two_overlapping_horses_stay_apart(tmp_path, to):
    one = annotation([(100, 100, 2), (150, 120, 1)])
    two = annotation([(110, 105, 1), (140, 110, 2)], annotation_id=2)
    output = output_of(to, tmp_path / "exports")
    export_annotations([save(tmp_path, [one, two])], to, output, HORSE)
    convert_dataset(Request(output, tmp_path / "back/annotations", HORSE, img_dir=tmp_path / "images", split=None))
    back = json.loads((tmp_path / "back/annotations/all.json").read_text())["annotations"]
    assert [a["keypoints"][:6] for a in back] == [[100, 100, 2, 150, 120, 1], [110, 105, 1, 140, 110, 2]]
    assert [a["bbox"] for a in back] == [pytest.approx(one["bbox"], abs=0.01), pytest.approx(two["bbox"], abs=0.01)]


@pytest.mark.parametrize("to", FORMATS)
def test_round_trip_keeps_names_that_web_addresses_quote(tmp_path, to):
    names = ["a&b.png", "a+b.png", "a #1.png", "50%25.png", "a%20b.png", "x?d=y;z.png", "é/[1] ü.png", "a=b~c,d'e.png"]
    entries = [annotation([(1, 2, 2), (50, 60, 1)], i, i) for i in range(1, len(names) + 1)]
    output = output_of(to, tmp_path / "exports")
    export_annotations([save(tmp_path, entries, file_names=names)], to, output, HORSE)
    img_dir = None if to == "yolo" else tmp_path / "images/val"
    convert_dataset(Request(output, tmp_path / "back/annotations", HORSE, img_dir=img_dir, split=None))
    images = json.loads((tmp_path / "back/annotations/all.json").read_text())["images"]
    assert [image["file_name"].removeprefix("images/val/") for image in images] == (
        sorted(names) if to == "yolo" else names
    )


@pytest.mark.parametrize("to", FORMATS)
def test_output_that_exists_is_not_overwritten(tmp_path, to):
    path, output = save(tmp_path, [annotation([(1, 2, 2)])]), output_of(to, tmp_path / "exports")
    export_annotations([path], to, output, HORSE)
    with pytest.raises(UserError, match="exist already and are not overwritten"):
        export_annotations([path], to, output, HORSE)
    assert "1 picture" in export_annotations([path], to, output, HORSE, overwrite=True)


def test_yolo_has_a_split_for_each_file_and_its_pictures(tmp_path):
    paths = [save(tmp_path, [annotation([(1, 2, 2)])], name) for name in ("train", "val")]
    export_annotations(paths, "yolo", tmp_path / "yolo", HORSE, images="copy")
    found = sorted(path.relative_to(tmp_path / "yolo").as_posix() for path in (tmp_path / "yolo").rglob("*.*"))
    assert found == [
        "data.yaml",
        "images/train/a b.png",
        "images/val/a b.png",
        "labels/train/a b.txt",
        "labels/val/a b.txt",
    ]
    with pytest.raises(UserError, match="would both be YOLO's split 'train'"):
        export_annotations([paths[0], paths[0]], "yolo", tmp_path / "again", HORSE)


def test_yolo_labels_that_would_be_wrong(tmp_path):
    path = save(tmp_path, [annotation([(1, 2, 2)]), annotation([(1, 2, 2)], 2, 2)], file_names=("a.png", "a.jpg"))
    with pytest.raises(UserError, match="would have the label file"):
        export_annotations([path], "yolo", tmp_path / "yolo", HORSE)
    path = save(tmp_path, [annotation([(1, 2, 2)])])
    (tmp_path / "yolo/labels/val").mkdir(parents=True)
    (tmp_path / "yolo/labels/val/old.txt").touch()
    with pytest.raises(UserError, match="label files of another export would stay"):
        export_annotations([path], "yolo", tmp_path / "yolo", HORSE)


def test_yolo_leaves_out_what_is_not_in_the_picture(tmp_path):
    path = save(tmp_path, [annotation([(-0.5, 2, 2), (50, 60, 1), (500, 60, 2)])])
    report = export_annotations([path], "yolo", tmp_path / "yolo", HORSE)
    assert f"left out, outside the picture: 1 point, {HORSE.names[2]} of a b.png" in report
    path = save(tmp_path, [{**annotation([(1, 2, 2)]), "bbox": [500, 0, 10, 10]}])
    with pytest.raises(UserError, match="labels that YOLO cannot hold"):
        export_annotations([path], "yolo", tmp_path / "yolo", HORSE, overwrite=True)


def test_files_with_a_picture_in_common_are_not_merged(tmp_path):
    paths = [save(tmp_path, [annotation([(1, 2, 2)])], name) for name in ("train", "val")]
    with pytest.raises(UserError, match="pictures with the same name in several files"):
        export_annotations(paths, "cvat", tmp_path / "a.xml", HORSE)


def test_sizes_come_from_the_pictures_where_the_file_has_none(tmp_path):
    path = save(tmp_path, [annotation([(100, 150, 2)])], width=None)
    export_annotations([path], "labelstudio", tmp_path / "a.json", HORSE, url_prefix="s3://horses/")
    [task] = json.loads((tmp_path / "a.json").read_text())
    assert task["data"]["image"] == "s3://horses/a b.png"
    assert task["annotations"][0]["result"][1]["value"]["x"] == 25
    assert "l_eye" in (tmp_path / "a_labelling.xml").read_text()
    with pytest.raises(UserError, match="no width and height in the file"):
        export_annotations([path], "cvat", tmp_path / "a.xml", HORSE, img_dir=tmp_path)


def test_annotations_that_cannot_be_exported(tmp_path):
    path = save(tmp_path, [annotation([(1, 2, 3)])])
    with pytest.raises(UserError, match="a visibility flag is not 0, 1 or 2"):
        export_annotations([path], "coco", tmp_path / "a.json", HORSE)
    path = save(tmp_path, [annotation([(1, 2, 2)])])
    path.write_text(path.read_text().replace("a b.png", "a\\u0001b.png"))
    with pytest.raises(UserError, match="characters that XML and text files cannot hold"):
        export_annotations([path], "cvat", tmp_path / "a.xml", HORSE)
    path = save(tmp_path, [])
    with pytest.raises(UserError, match="no animal with a labelled keypoint"):
        export_annotations([path], "coco", tmp_path / "a.json", HORSE)
    path = save(tmp_path, [annotation([(1, 2, 2)])])
    path.write_text(path.read_text().replace("a b.png", "../../a.png"))
    with pytest.raises(UserError, match="leads out of the picture folder"):
        export_annotations([path], "yolo", tmp_path / "yolo", HORSE)


def test_output_must_be_a_file(tmp_path):
    with pytest.raises(UserError, match="place of a folder"):
        export_annotations([save(tmp_path, [annotation([(1, 2, 2)])])], "cvat", tmp_path, HORSE, overwrite=True)
