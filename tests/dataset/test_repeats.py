"""The same picture in several places of the input: real files through the whole conversion."""

import json
import re

import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.convert import Request, convert_dataset
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
ENOUGH = ("nose", "neck", "withers")


def horse(x=10):
    """A horse whose three points lie to the right of ``x`` percent."""
    return [
        {"type": "keypointlabels", "value": {"x": x + 20 * i, "y": 30 + 20 * i, "keypointlabels": [name]}}
        for i, name in enumerate(ENOUGH)
    ]


def write(raw, name, pictures):
    """A Label Studio export; ``pictures`` holds pairs of picture name and results."""
    path = raw / name
    path.parent.mkdir(parents=True, exist_ok=True)
    tasks = []
    for picture, result in pictures:
        if not (raw / picture).exists():
            Image.new("RGB", (200, 100)).save(raw / picture)
        tasks.append({"data": {"image": picture}, "annotations": [{"result": result}]})
    path.write_text(json.dumps(tasks))


def convert(raw, **more):
    report = convert_dataset(Request(raw, raw.parent / "out", HORSE, split=None, overwrite=True, **more))
    content = json.loads((raw.parent / "out/all.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    nose = 3 * HORSE.index["nose"]
    return report, {names[a["image_id"]]: a["keypoints"][nose] for a in content["annotations"]}


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def test_an_older_export_beside_a_newer_one_is_refused(raw):
    write(raw, "export-2024-01.json", [("a.png", horse(10)), ("b.png", horse(10)), ("c.png", horse(10))])
    write(raw, "export-2024-02.json", [("a.png", horse(20)), ("b.png", horse(20)), ("c.png", horse(10))])
    with pytest.raises(UserError, match="different files have different labels for 2 pictures") as error:
        convert(raw)
    assert error.value.problems == [
        f"{raw / 'export-2024-01.json'} and {raw / 'export-2024-02.json'}: 2 pictures, a.png, b.png"
    ]
    assert "--input" in error.value.hint
    assert not (raw.parent / "out").exists()
    report = convert_dataset(Request(raw / "export-2024-02.json", raw.parent / "out", HORSE, split=None))
    assert "converted  3 of 3 pictures" in report


def test_copies_of_the_same_labels_are_taken_once_and_told(raw):
    write(raw, "export.json", [("a.png", horse()), ("b.png", horse(20))])
    write(raw, "backup/export.json", [("a.png", horse(10.1)), ("b.png", horse(20.1))])
    report, found = convert(raw, strict=True)
    assert set(found) == {"a.png", "b.png"}
    assert "converted  2 of 2 pictures, 2 of 2 horses" in report
    assert "labelled more than once with the same labels, taken once: 2 pictures, a.png, b.png; again in" in report


def test_exports_of_different_pictures_complement_each_other(raw):
    write(raw, "day1.json", [("a.png", horse())])
    write(raw, "day2.json", [("b.png", horse(20))])
    report, found = convert(raw)
    assert found == {"a.png": 20, "b.png": 40}
    assert "more than once" not in report


@pytest.mark.parametrize("empty", [[], horse()[:1]], ids=["no animal", "one that cannot be used"])
@pytest.mark.parametrize("name", ["a.json", "z.json"])
def test_a_picture_without_labels_in_one_file_hides_none_of_the_other(raw, name, empty):
    write(raw, name, [("a.png", empty), ("b.png", horse())])
    write(raw, "k.json", [("a.png", horse())])
    assert convert(raw)[1] == {"a.png": 20, "b.png": 20}


def test_two_horses_in_another_order_are_the_same_labels(raw):
    write(raw, "a.json", [("a.png", boxed(0, 10) + boxed(50, 55))])
    write(raw, "b.json", [("a.png", boxed(50, 55) + boxed(0, 10))])
    assert "taken once" in convert(raw)[0]
    write(raw, "b.json", [("a.png", boxed(0, 10))])
    with pytest.raises(UserError, match="different labels"):
        convert(raw)


def boxed(left, x):
    """A horse in a box of half the picture's width."""
    value = {"x": left, "y": 0, "width": 50, "height": 100, "rotation": 0, "rectanglelabels": ["horse"]}
    points = [
        {"id": f"p{left}{i}", "parentID": f"b{left}", "type": "keypointlabels", "value": {**p["value"], "x": x + 5 * i}}
        for i, p in enumerate(horse())
    ]
    return [{"id": f"b{left}", "type": "rectanglelabels", "value": value}, *points]


def test_a_picture_twice_in_one_file_with_different_labels_is_left_out(raw):
    write(raw, "a.json", [("a.png", horse(10)), ("a.png", horse(20)), ("b.png", horse(10))])
    report, found = convert(raw)
    assert set(found) == {"b.png"}
    assert "2 x picture: stands in the file more than once, with different labels" in report
    assert re.search(r"a\.png: \d+ points? of an animal", report)
    with pytest.raises(UserError, match="--strict is set"):
        convert(raw, strict=True)


def test_the_export_of_another_tool_with_the_same_labels(raw):
    write(raw, "a.json", [("a.png", horse())])
    (raw / "CollectedData_A.csv").write_text(
        "scorer,A,A,A,A,A,A\nbodyparts,nose,nose,neck,neck,withers,withers\ncoords,x,y,x,y,x,y\n"
        "labeled-data/v/a.png,20,30,60,50,100,70.2\n"
    )
    assert "taken once: 1 picture, a.png" in convert(raw)[0]


def test_an_animal_with_the_same_points_in_several_pictures_is_told(raw):
    # a track that goes on behind its end, a label file of two pictures, an id that leads to another picture
    write(raw, "export.json", [("a.png", horse(10)), ("b.png", horse(10)), ("c.png", horse(20))])
    report, noses = convert(raw)
    assert "note       an animal has the same points in several pictures: 2 pictures, a.png, b.png; unless" in report
    assert len(noses) == 3
    assert "never clicked" not in report
    with pytest.raises(UserError, match="labels are doubtful, and --strict is set") as error:
        convert(raw, strict=True)
    assert any("a.png, b.png; unless" in problem for problem in error.value.problems)


def test_copies_of_one_photo_may_have_its_points(raw):
    write(raw, "export.json", [("a_jpg.rf.0f1e.jpg", horse(10)), ("a_jpg.rf.2d3c.jpg", horse(10))])
    report, _ = convert(raw)
    assert "same points" not in report


def test_a_point_that_never_was_clicked_is_told(raw):
    def left_where_it_was_put(x):
        _, *others = horse(x)
        return [*horse(4)[:1], *others]

    write(raw, "export.json", [(f"{x}.png", left_where_it_was_put(x)) for x in (10, 14, 18)])
    report, _ = convert(raw)
    assert "note       nose is at (8, 30) in 3 of 3 animals that have it: probably never clicked" in report
    assert "neck is at" not in report
