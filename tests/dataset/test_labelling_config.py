import io
import json
import re
from xml.etree import ElementTree

import pytest

from equistera import skeleton
from equistera.dataset import formats
from equistera.dataset.export import write_labelling_config
from equistera.dataset.formats import cvat, labelstudio
from equistera.dataset.formats.records import Animal, Picture
from equistera.errors import UserError

HORSE = skeleton.load("horse26")


def written(tmp_path, to, points, name, category="horse"):
    path = tmp_path / name
    assert path.name in write_labelling_config(points, to, path, [category])
    return path.read_text(encoding="utf-8")


def labelled(points, category):
    """A picture with every point of a skeleton, every other one hidden."""
    spots = {name: (float(i), 2.0 * i, 1 + i % 2) for i, name in enumerate(points.names, 1)}
    return Picture(("a.jpg",), "", (Animal(spots, (0.0, 0.0, 90.0, 90.0), category),), (200, 100))


def user_skeleton():
    """One with names that XML and JSON must quote, and a point that is linked to nothing."""
    entry = {"half": "upper", "sigma": 0.05}
    names = ["Nüstern", 'the "poll"', "ear & <eye>"]
    return skeleton.parse({"keypoints": [{"name": name, **entry} for name in names], "links": [names[:2]]}, "own")


@pytest.mark.parametrize(
    "points", [*map(skeleton.load, skeleton.builtin_names()), user_skeleton()], ids=lambda s: s.name
)
def test_label_studio_has_the_names_that_the_converter_reads(tmp_path, points):
    config = ElementTree.fromstring(written(tmp_path, "labelstudio", points, "a.xml", "Pferd"))
    tags = {tag.get("name"): tag for tag in config.iter() if tag.get("toName") or tag.tag == "Image"}
    own = tags["keypoint"].findall("Label")
    assert [label.get("value") for label in own] == list(points.names)
    assert [label.get("hint", "") for label in own] == [point.description for point in points.keypoints]
    assert all(re.fullmatch("#[0-9a-f]{6}", label.get("background")) for label in own)
    # what is exported with it: tags, labels and choices that it has, and the same points come back
    tasks = labelstudio.write([labelled(points, "Pferd")])
    for result in tasks[0]["annotations"][0]["result"]:
        tag = tags[result["from_name"]]
        assert tag.get("toName") == result["to_name"]
        assert tag.tag.lower() == result["type"]
        [chosen] = result["value"][result["type"]]
        assert chosen in [child.get("value") for child in tag]
    assert tags["image"].get("value").removeprefix("$") in tasks[0]["data"]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    [picture] = formats.read(tmp_path / "tasks.json").pictures
    assert {name: v for name, (_, _, v) in picture.animals[0].points.items()} == {
        name: 1 + i % 2 for i, name in enumerate(points.names, 1)
    }


@pytest.mark.parametrize("name", skeleton.builtin_names())
def test_cvat_has_a_skeleton_and_a_rectangle_that_the_converter_reads(tmp_path, name):
    points = skeleton.load(name)
    animal, box = json.loads(written(tmp_path, "cvat", points, "a.json"))
    assert (animal["name"], animal["type"], box["name"], box["type"]) == ("horse", "skeleton", "horse_box", "rectangle")
    for label in (animal, box, *animal["sublabels"]):
        # CVAT refuses labels without
        assert label["attributes"] == []
    assert [(s["name"], s["type"]) for s in animal["sublabels"]] == [(n, "points") for n in points.names]
    drawing = ElementTree.fromstring(f"<svg>{animal['svg']}</svg>")
    nodes = {circle.get("data-node-id"): circle for circle in drawing.iter("circle")}
    assert [circle.get("data-label-name") for circle in nodes.values()] == list(points.names)
    assert all(c.get("data-type") == "element node" and c.get("data-element-id") == k for k, c in nodes.items())
    places = {(circle.get("cx"), circle.get("cy")) for circle in nodes.values()}
    assert len(places) == len(points)
    assert all(0 <= float(value) <= 100 for place in places for value in place)
    edges = [(line.get("data-node-from"), line.get("data-node-to")) for line in drawing.iter("line")]
    assert [(nodes[a].get("data-label-name"), nodes[b].get("data-label-name")) for a, b in edges] == list(points.links)
    # an export with these labels
    file = io.StringIO()
    cvat.write(file, [labelled(points, animal["name"])], points.names)
    (tmp_path / "a.xml").write_text(file.getvalue())
    root = ElementTree.fromstring(file.getvalue())
    declared = {label.find("name").text for label in root.iter("label")}
    assert declared == {animal["name"], box["name"], *points.names}
    assert formats.read(tmp_path / "a.xml").pictures[0].animals == labelled(points, "horse").animals


def test_names_that_cvat_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="names that CVAT cannot hold") as error:
        written(tmp_path, "cvat", user_skeleton(), "a.json")
    assert len(error.value.problems) == 2
    assert not (tmp_path / "a.json").exists()


def test_files_that_are_not_written(tmp_path):
    (tmp_path / "a.xml").touch()
    with pytest.raises(UserError, match="exist already"):
        written(tmp_path, "labelstudio", HORSE, "a.xml")
    assert "26 points" in write_labelling_config(HORSE, "labelstudio", tmp_path / "a.xml", ["horse"], overwrite=True)
    with pytest.raises(UserError, match=r"ends in \.json"):
        written(tmp_path, "cvat", HORSE, "b.xml")
    with pytest.raises(UserError, match="needs a name"):
        written(tmp_path, "cvat", HORSE, "b.json", " ")


def test_every_point_of_the_horse_says_what_to_click_on():
    assert all(len(point.description.split()) >= 3 for point in HORSE.keypoints)
