import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import targets_of, write_for_tool
from equistera.dataset.formats import cvat, labelstudio
from equistera.dataset.update.update import update_dataset
from equistera.labelling.prelabels import Prelabels

HORSE = skeleton.load("horse26")
SIZE = (400, 300)
#: Points of less confidence are left out.
SURE = 0.5
#: What the model is unsure of, and what it puts outside of the picture.
UNSURE, OUTSIDE = HORSE.index["l_ear"], HORSE.index["tail_end"]


def pose(left=60, top=50, sure=0.9, word="horse"):
    """Points in a grid, one of them unsure and one outside."""
    points = np.array([(left + 11.0 * (k % 6), top + 13.0 * (k // 6)) for k in range(26)])
    points[OUTSIDE] = -40, 20
    confidence = np.full(26, sure)
    confidence[UNSURE] = 0.3
    return points, confidence, np.array([left - 5.0, top - 5.0, 80.0, 80.0]), 1.0, word


def found(**of_name):
    prelabels = Prelabels(HORSE, SURE)
    for name, poses in of_name.items():
        prelabels.add(f"{name}.png", SIZE, poses)
    return prelabels


@pytest.fixture
def pictures(tmp_path):
    for i, name in enumerate(("a", "b", "none")):
        pixels = np.random.default_rng(i).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"photos/{name}.png")
    return tmp_path


def write(folder, to, **options):
    prelabels = found(a=[pose(), pose(left=250)], b=[pose(sure=0.7)], none=[])
    output = folder / {"labelstudio": "tasks.json", "cvat": "pre.xml", "coco": "pre.json"}[to]
    write_for_tool(prelabels.ordered(None), to, output, HORSE, model="run 1a2b", **options)
    return output


def test_what_is_left_out_is_counted_and_said():
    prelabels = found(a=[pose(), pose(left=390)], none=[], far=[pose(left=900)])
    said = "\n".join(prelabels.said())
    assert prelabels.kept == 24 + 4 + (UNSURE % 6 != 0)
    assert "left out   2 points below 0.5; most often: l_ear 1" in said or "1 point below 0.5" in said
    assert "outside of their picture" in said
    assert "1 animal outside of their picture" in said
    assert "2 pictures without an animal" in said


def test_the_least_sure_stand_first_and_pictures_without_an_animal_before_all():
    prelabels = found(sure=[pose(sure=0.95)], two=[pose(sure=0.95), pose(sure=0.6)], none=[], unsure=[pose(sure=0.7)])
    assert [p.names[0] for p in prelabels.ordered(None)] == ["none.png", "two.png", "unsure.png", "sure.png"]
    assert [p.names[0] for p in prelabels.ordered(["unsure.png", "none.png"])][:2] == ["unsure.png", "none.png"]


def test_label_studios_predictions(tmp_path):
    tasks = json.loads(write(tmp_path, "labelstudio").read_text())
    assert [task["data"]["image"].rsplit("=")[-1] for task in tasks] == ["none.png", "b.png", "a.png"]
    assert not any("annotations" in task for task in tasks)
    assert tasks[0]["predictions"] == []
    [prediction] = tasks[1]["predictions"]
    # https://labelstud.io/guide/predictions
    assert set(prediction) == {"model_version", "score", "result"}
    assert prediction["model_version"] == "run 1a2b"
    assert prediction["score"] == pytest.approx((25 * 0.7 + 0.3) / 26, abs=1e-4)
    box, *points = prediction["result"]
    about = {"original_width": 400, "original_height": 300, "image_rotation": 0, "to_name": "image"}
    place = {"x": pytest.approx(13.75), "y": 15.0, "width": 20.0, "height": pytest.approx(80 / 3), "rotation": 0}
    assert box == {"id": "horse0", "type": "rectanglelabels", "from_name": "box", **about, "score": prediction["score"],
                   "value": {**place, "rectanglelabels": ["horse"]}}  # fmt: skip
    assert points[0] == {
        "id": "horse0_nose", "parentID": "horse0", "type": "keypointlabels", "from_name": "keypoint", **about,
        "value": {"x": 15.0, "y": pytest.approx(50 / 3), "width": 0.5, "keypointlabels": ["nose"]}, "score": 0.7,
    }  # fmt: skip
    names = [name for point in points for name in point["value"]["keypointlabels"]]
    assert names == [name for k, name in enumerate(HORSE.names) if k not in (UNSURE, OUTSIDE)]
    # the interface beside it has the tags that regions come from
    config = ElementTree.parse(tmp_path / "tasks_labelling.xml")
    tags = {tag.get("name"): tag for tag in config.iter() if tag.get("toName")}
    for region in prediction["result"]:
        tag = tags[region["from_name"]]
        assert (tag.tag.lower(), tag.get("toName")) == (region["type"], region["to_name"])
        assert region["value"][region["type"]][0] in [label.get("value") for label in tag]


def test_cvats_xml_cell_by_cell(tmp_path):
    """https://docs.cvat.ai/docs/manual/advanced/xml_format: element, attributes and texts that its importer reads."""
    root = ElementTree.parse(write(tmp_path, "cvat")).getroot()
    assert (root.tag, [child.tag for child in root]) == ("annotations", ["version", "meta", "image", "image", "image"])
    assert root.findtext("version") == "1.1"
    labels = [tuple(label.findtext(tag) for tag in ("name", "type", "parent")) for label in root.iter("label")]
    assert labels == [("horse", "skeleton", None), ("horse_box", "rectangle", None)] + [
        (name, "points", "horse") for name in HORSE.names
    ]
    images = root.findall("image")
    # by worth, but numbered by name
    assert [image.attrib for image in images] == [
        {"id": str(i), "name": name, "width": "400", "height": "300"}
        for i, name in ((2, "none.png"), (1, "b.png"), (0, "a.png"))
    ]
    assert len(images[0]) == 0
    skeleton_, box = images[1]
    drawn = {"source": "auto", "z_order": "0", "group_id": "1"}
    assert (skeleton_.tag, skeleton_.attrib) == ("skeleton", {"label": "horse", **drawn})
    assert (box.tag, box.attrib) == (
        "box",
        {"label": "horse_box", "occluded": "0", **drawn, "xtl": "55.0000", "ytl": "45.0000", "xbr": "135.0000",
         "ybr": "125.0000"},
    )  # fmt: skip
    assert [(point.tag, set(point.attrib)) for point in skeleton_] == [
        ("points", {"label", "source", "outside", "occluded", "points"})
    ] * 26
    assert [point.get("label") for point in skeleton_] == list(HORSE.names)
    for k, point in enumerate(skeleton_):
        x, y = 60 + 11.0 * (k % 6), 50 + 13.0 * (k // 6)
        # what is left out keeps the place where the model saw it, in the picture
        place = "0.0000,20.0000" if k == OUTSIDE else f"{x:.4f},{y:.4f}"
        assert (point.get("points"), point.get("source"), point.get("occluded")) == (place, "auto", "0")
        assert point.get("outside") == str(int(k in (UNSURE, OUTSIDE)))
    assert [child.get("group_id") for child in images[2]] == ["1", "1", "2", "2"]
    # the labels beside it are those that it declares
    declared = json.loads((tmp_path / "pre_labels.json").read_text())
    assert [(label["name"], label["type"]) for label in declared] == [("horse", "skeleton"), ("horse_box", "rectangle")]
    assert [label["name"] for label in declared[0]["sublabels"]] == list(HORSE.names)


def test_coco_has_zeros_for_what_is_left_out_and_scores(tmp_path):
    content = json.loads(write(tmp_path, "coco").read_text())
    [entry] = [a for a in content["annotations"] if a["image_id"] == 2]
    points = np.reshape(entry["keypoints"], (-1, 3))
    assert points[UNSURE].tolist() == points[OUTSIDE].tolist() == [0, 0, 0]
    assert (points[:, 2] > 0).sum() == entry["num_keypoints"] == 24
    assert entry["score"] == pytest.approx((25 * 0.7 + 0.3) / 26, abs=1e-4)


def test_several_kinds_of_animals_stay_apart(tmp_path):
    pictures = found(a=[pose(), pose(left=200, word="donkey")]).pictures
    for to, output in (("labelstudio", "a.json"), ("cvat", "a.xml"), ("coco", "b.json")):
        write_for_tool(pictures, to, tmp_path / output, HORSE, model="m", categories=["mule"])
    interface = ElementTree.parse(tmp_path / "a_labelling.xml")
    assert [label.get("value") for label in interface.find("RectangleLabels")] == ["horse", "donkey", "mule"]
    labels = json.loads((tmp_path / "a_labels.json").read_text())
    assert [label["name"] for label in labels] == ["horse", "horse_box", "donkey", "donkey_box", "mule", "mule_box"]
    content = json.loads((tmp_path / "b.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["horse", "donkey"]
    assert [entry["category_id"] for entry in content["annotations"]] == [1, 2]


def accepted(output, to, move=("withers", 30.0)):
    """What the tool exports once the predictions are accepted, with one point of b.png moved to the right and another
    one hidden."""
    if to == "labelstudio":
        tasks = json.loads(output.read_text())
        for task in tasks:
            task["annotations"] = [{"result": p["result"]} for p in task["predictions"]]
        [result] = [t["annotations"][0]["result"] for t in tasks if t["data"]["image"].endswith("b.png")]
        region = next(r for r in result if r["id"] == f"horse0_{move[0]}")
        region["value"]["x"] += 100 * move[1] / SIZE[0]
        hidden = next(r for r in result if r["id"] == "horse0_l_elbow")
        result.append({**hidden, "type": "choices", "from_name": "visibility", "value": {"choices": ["hidden"]}})
        output = output.with_name("export.json")
        output.write_text(json.dumps(tasks))
        return output
    tree = ElementTree.parse(output)
    image = tree.getroot().find("image[@name='b.png']")
    point = image.find(f"skeleton/points[@label='{move[0]}']")
    x, y = map(float, point.get("points").split(","))
    # CVAT writes hundredths
    point.set("points", f"{x + move[1]:.2f},{y:.2f}")
    image.find("skeleton/points[@label='l_elbow']").set("occluded", "1")
    tree.write(output.with_name("export.xml"))
    return output.with_name("export.xml")


@pytest.mark.parametrize("to", ["labelstudio", "cvat"])
def test_prelabelled_corrected_and_merged(pictures, to):
    """New pictures, pre-labelled, corrected in the tool, become a data set; then a second correction is merged."""
    output = write(pictures, to)
    export = accepted(output, to)
    convert_dataset(Request(export, pictures / "data/annotations", HORSE, img_dir=pictures / "photos", split=None))
    path = pictures / "data/annotations/all.json"
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert sorted(names.values()) == ["a.png", "b.png"]
    [entry] = [a for a in content["annotations"] if names[a["image_id"]] == "b.png"]
    k, elbow = HORSE.index["withers"], HORSE.index["l_elbow"]
    points = np.reshape(entry["keypoints"], (-1, 3))
    assert points[k].tolist() == [pytest.approx(60 + 11 * (k % 6) + 30), pytest.approx(50 + 13 * (k // 6)), 2]
    assert points[elbow, 2] == 1
    assert points[[UNSURE, OUTSIDE], 2].tolist() == [0, 0]
    before = path.read_text()
    again = accepted(output, to, move=("withers", 50.0))
    report = update_dataset(Request(again, pictures / "data/annotations", HORSE, img_dir=pictures / "photos"))
    assert "1 point moved" in report
    at = next(i for i, a in enumerate(content["annotations"]) if a is entry)
    content["annotations"][at]["keypoints"][3 * k] += 20
    after = json.loads(path.read_text())
    assert after["annotations"][at]["keypoints"] == pytest.approx(content["annotations"][at]["keypoints"])
    rest = [(a, b) for a, b in zip(before.split(", "), path.read_text().split(", "), strict=True) if a != b]
    assert len(rest) == 1
    [table] = (pictures / "data/annotations/updates").glob("*/changes.csv")
    [row] = csv.DictReader(io.StringIO(table.read_text()))
    assert (row["picture"], row["keypoint"], row["moved_px"]) == ("b.png", "withers", "20.00")


def test_predictions_that_nobody_accepted_are_no_labels(pictures):
    output = write(pictures, "labelstudio")
    export = accepted(output, "labelstudio")
    convert_dataset(Request(export, pictures / "data/annotations", HORSE, img_dir=pictures / "photos", split=None))
    report = update_dataset(Request(output, pictures / "data/annotations", HORSE, img_dir=pictures / "photos"))
    assert "2 x picture: only predictions, no annotation" in report
    assert "nothing to change" in report


def test_targets_are_the_files_that_are_written(tmp_path):
    for to in ("labelstudio", "cvat", "coco"):
        folder = tmp_path / to
        output = write(folder, to)
        assert sorted(folder.iterdir()) == sorted(targets_of(to, output))


def test_what_the_readers_make_of_it(tmp_path):
    [picture] = [p for p in cvat.read(write(tmp_path, "cvat"), ()).pictures if p.names[0] == "b.png"]
    assert picture.animals[0].points["nose"] == (60, 50, 2)
    tasks = json.loads(write(tmp_path, "labelstudio").read_text())
    assert labelstudio.accepts(tasks)
