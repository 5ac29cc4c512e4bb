import csv
import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.coco import category_of
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import export_annotations
from equistera.dataset.sources import keep_input
from equistera.dataset.split import SplitSpec
from equistera.dataset.split_dataset import split_dataset
from equistera.dataset.update.update import update_dataset
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
SIZE = (400, 300)


def horse(annotation_id, image_id, left=100, top=60, hidden=(3,), absent=(9,)):
    """26 points in a grid with a box around them."""
    points = [
        (left + 11.25 * (k % 6), top + 13.5 * (k // 6), 0 if k in absent else 1 if k in hidden else 2)
        for k in range(26)
    ]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": [value for x, y, v in points for value in ((x, y, v) if v else (0, 0, 0))],
        "num_keypoints": 26 - len(absent),
        "bbox": [left - 10, top - 10, 80, 80],
        "area": 6400,
        "iscrowd": 0,
        "tag": {"by": "Ada", "minutes": 3.50},
    }


def save(folder, split, names, annotations, indent=None, **more):
    """An annotation file of pictures with ids from 1 on, written in a way that no tool of ours does."""
    images = []
    for name, image_id in names.items():
        path = folder / "images" / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(image_id).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        images.append({"id": image_id, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
    content = {"categories": [category_of(HORSE)], "annotations": annotations, "images": images, **more}
    path = folder / "annotations" / f"{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=indent).replace("3.5}", "3.50}"))
    return path


@pytest.fixture
def data(tmp_path):
    """train: a.png with two horses and b.png with one; val: c.png."""
    train = [horse(1, 1), horse(2, 1, left=220), horse(3, 2, top=100)]
    save(tmp_path, "train", {"a.png": 1, "b.png": 2}, train, indent=2)
    save(tmp_path, "val", {"c.png": 3}, [horse(4, 3)], note="é")
    return tmp_path


def exported(data, to="labelstudio", only=("a.png", "c.png"), name="export"):
    """An export of some pictures, as the tool gives it back when nothing was corrected."""
    files, out = [], data / name
    for split in ("train", "val"):
        content = json.loads((data / f"annotations/{split}.json").read_text())
        content["images"] = [image for image in content["images"] if image["file_name"] in only]
        ids = {image["id"] for image in content["images"]}
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] in ids]
        if ids:
            files.append(out / f"{split}.json")
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            files[-1].write_text(json.dumps(content))
    target = out / {"labelstudio": "tasks.json", "cvat": "tasks.xml", "coco": "back.json"}[to]
    export_annotations(files, to, target, HORSE, img_dir=data / "images")
    for file in files:
        file.unlink()
    return target


def update(data, export, **more):
    what = {"what": more.pop("what")} if "what" in more else {}
    return update_dataset(Request(export, data / "annotations", HORSE, **more), **what)


def texts(data):
    return {path.name: path.read_text() for path in (data / "annotations").glob("*.json")}


def changes(data):
    [table] = (data / "annotations/updates").glob("*/changes.csv")
    return list(csv.DictReader(table.open()))


def edit(export, change):
    """Changes the parsed tasks of Label Studio."""
    tasks = json.loads(export.read_text())
    change(tasks)
    export.write_text(json.dumps(tasks))


def region(tasks, name, task=0, animal=0, kind="keypointlabels"):
    results = tasks[task]["annotations"][0]["result"]
    return next(r for r in results if r["id"] == f"horse{animal}_{name}" and r["type"] == kind)


@pytest.mark.parametrize("to", ["labelstudio", "cvat", "coco"])
def test_what_comes_back_unchanged_changes_nothing(data, to):
    before, export = texts(data), exported(data, to)
    assert "nothing to change" in update(data, export)
    assert texts(data) == before
    assert not (data / "annotations/updates").exists()


def test_one_moved_point_changes_two_numbers_and_nothing_else(data):
    before, export = texts(data), exported(data)

    def move(tasks):
        region(tasks, "l_eye", animal=1)["value"]["x"] += 5  # percent of 400 pixels

    edit(export, move)
    report = update(data, export)
    k = HORSE.index["l_eye"]
    x = 220 + 11.25 * k
    expected = json.loads(before["train.json"])
    expected["annotations"][1]["keypoints"][3 * k] = x + 20
    after = texts(data)
    assert json.loads(after["train.json"]) == expected
    assert after["val.json"] == before["val.json"]
    different = [(a, b) for a, b in zip(before["train.json"].split("\n"), after["train.json"].split("\n"), strict=True)]
    assert [pair for pair in different if pair[0] != pair[1]] == [(f"        {x},", f"        {x + 20},")]
    row = {"file": "train.json", "picture": "a.png", "animal": "2", "keypoint": "l_eye", "change": "moved"}
    assert changes(data) == [{**row, "before": f"{x} 60 2".replace(f"{x} ", f"{x:.3f} "), "after": f"{x + 20:.3f} 60 2",
                              "moved_px": "20.00"}]  # fmt: skip
    assert "1 point moved" in report
    assert "20.0 px at most (l_eye of animal 2 in a.png)" in report
    [kept] = (data / "annotations/updates").glob("*/train.json")
    assert kept.read_text() == before["train.json"]
    assert "nothing to change" in update(data, export)


def test_visibility_deleted_new_points_and_boxes(data):
    export = exported(data)
    hidden, absent, gone, seen = (HORSE.names[k] for k in (3, 9, 5, 7))

    def correct(tasks):
        tasks.reverse()
        results = tasks[0]["annotations"][0]["result"]
        # what was hidden is seen, what was seen is hidden, one is deleted, one is new
        results.remove(region(tasks, hidden, kind="choices"))
        results.append({**region(tasks, seen), "type": "choices", "value": {"choices": ["hidden"]}})
        results.remove(region(tasks, gone))
        new = json.loads(json.dumps(region(tasks, seen)))
        new["id"], new["value"]["keypointlabels"] = f"horse0_{absent}", [absent]
        results.append(new)
        box = next(r for r in results if r["type"] == "rectanglelabels")
        box["value"]["x"] -= 10
        box["value"]["width"] += 10

    edit(export, correct)
    update(data, export)
    [after] = json.loads((data / "annotations/val.json").read_text())["annotations"]
    expected = horse(4, 3)
    points = expected["keypoints"]
    points[3 * 3 + 2], points[3 * 7 + 2], points[15:18] = 2, 1, [0, 0, 0]
    points[27:30] = [points[21], points[22], 2]
    assert after == {**expected, "bbox": [50, 50, 120, 80], "area": 9600}
    assert {(row["keypoint"], row["change"]) for row in changes(data)} == {
        (hidden, "visibility"),
        (seen, "visibility"),
        (gone, "removed"),
        (absent, "added"),
        ("", "box"),
    }


def test_formats_that_cannot_say_hidden_leave_it_as_it_was(data):
    export = exported(data, only=("c.png",))
    [task] = json.loads(export.read_text())
    regions = [r for r in task["annotations"][0]["result"] if r["type"] == "keypointlabels"]
    regions[0]["value"]["y"] += 10
    size = {"original_width": SIZE[0], "original_height": SIZE[1]}
    record = {"id": 1, "annotation_id": 1, **task["data"], "keypoint": [{**r["value"], **size} for r in regions]}
    export.write_text(json.dumps([record]))
    report = update(data, export)
    assert "cannot say which points are hidden: kept as it was for 1 point" in report
    [after] = json.loads((data / "annotations/val.json").read_text())["annotations"]
    expected = horse(4, 3)
    expected["keypoints"][1] += 30
    assert after == expected


def test_points_that_the_export_never_names_are_left_and_said(data):
    export = exported(data, only=("c.png",))
    edit(export, lambda tasks: tasks[0]["annotations"][0]["result"].remove(region(tasks, "nose")))
    report = update(data, export)
    assert "in no picture of the export, and left as they are: nose" in report
    assert "nothing to change" in report


def test_left_and_right_exchanged_back_on_one_of_two_horses(data):
    export = exported(data)
    old = json.loads((data / "annotations/train.json").read_text())["annotations"]

    def mirror(tasks):
        for r in tasks[0]["annotations"][0]["result"]:
            if r["type"] == "keypointlabels" and r["id"].startswith("horse1_"):
                [name] = r["value"]["keypointlabels"]
                r["value"]["keypointlabels"] = [HORSE.names[HORSE.flip_indices[HORSE.index[name]]]]

    edit(export, mirror)
    update(data, export)
    new = json.loads((data / "annotations/train.json").read_text())["annotations"]
    flipped = np.reshape(old[1]["keypoints"], (-1, 3))[HORSE.flip_indices].ravel().tolist()
    assert new == [old[0], {**old[1], "keypoints": flipped}, old[2]]


def test_animals_that_come_and_go_need_the_word_all(data):
    before, export = texts(data), exported(data, only=("a.png", "b.png"))

    def correct(tasks):
        by_name = {task["data"]["image"].rsplit("=")[-1]: task["annotations"][0]["result"] for task in tasks}
        one = [r for r in by_name["a.png"] if r["id"].startswith("horse1")]
        for r in one:
            by_name["a.png"].remove(r)
        by_name["b.png"] += one

    edit(export, correct)
    with pytest.raises(UserError, match="corrects animals that the data set has") as error:
        update(data, export)
    assert "picture b.png" in str(error.value).replace("task 2", "picture b.png")
    assert "lacks animal 2 of train.json" in str(error.value)
    assert texts(data) == before
    report = update(data, export, what="all")
    assert "1 animal added" in report
    assert "1 animal taken out" in report
    new = json.loads((data / "annotations/train.json").read_text())["annotations"]
    assert [a["id"] for a in new] == [1, 3, 5]
    assert new[2]["image_id"] == 2
    assert new[2]["keypoints"] == horse(2, 1, left=220)["keypoints"]
    assert new[:2] == [horse(1, 1), horse(3, 2, top=100)]


def test_animals_that_could_be_one_another_are_refused(data):
    train = [horse(1, 1), horse(2, 1, left=104), horse(3, 1, left=108)]
    save(data, "train", {"a.png": 1}, train)
    export = exported(data, only=("a.png",))

    def move_all(tasks):
        for r in tasks[0]["annotations"][0]["result"]:
            r["value"]["x"] += 1 if r["id"].startswith("horse0") else -0.5

    edit(export, move_all)
    before = texts(data)
    with pytest.raises(UserError, match="neither points nor boxes") as error:
        update(data, export)
    assert "task 1" in str(error.value)
    assert texts(data) == before


def test_a_picture_in_two_splits_is_refused(data):
    save(data, "val", {"a.png": 1}, [horse(1, 1), horse(2, 1, left=220)])
    export = exported(data, only=("b.png",))
    edit(export, lambda tasks: tasks[0]["data"].update(image="/data/local-files/?d=val/a.png"))
    with pytest.raises(UserError, match=r"the picture is in two splits \(a\.png: val\.json and train\.json\)"):
        update(data, export)


def test_splits_with_other_pictures_of_the_same_names(data):
    save(data, "val", {"a.png": 3}, [horse(4, 3, top=200)])
    before, export = texts(data), exported(data, only=("b.png",))
    edit(export, lambda tasks: tasks[0]["data"].update(image="/data/local-files/?d=a.png"))

    def points_of(split):
        content = json.loads(before[f"{split}.json"])
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] in (1, 3)]
        return content

    with pytest.raises(UserError, match=r"several splits have a picture of this name.*train\.json and val\.json"):
        update(data, export)
    # --img-dir says which, or the split in the name
    path = data / "one/val.json"
    path.parent.mkdir()
    content = points_of("val")
    content["annotations"][0]["keypoints"][0] += 7
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="several splits"):
        update(data, path)
    assert "1 point moved" in update(data, path, img_dir=data / "images/val")
    assert texts(data)["train.json"] == before["train.json"]
    content["annotations"][0]["keypoints"][0] += 7
    content["images"][0]["file_name"] = "val/a.png"
    path.write_text(json.dumps(content))
    assert "1 point moved" in update(data, path)
    assert texts(data)["train.json"] == before["train.json"]


def test_another_size_is_refused_by_name(data):
    content = json.loads((data / "annotations/val.json").read_text())
    export = exported(data, only=("c.png",))
    content["images"][0]["width"] = 800
    (data / "annotations/val.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"has 400x300 pixels, val\.json says 800x300"):
        update(data, export)


def test_nothing_is_merged_while_something_cannot_be_read(data):
    export, before = exported(data), texts(data)
    edit(export, lambda tasks: region(tasks, "nose")["value"].update(x=250))
    with pytest.raises(UserError, match="would seem to be deleted"):
        update(data, export)
    assert texts(data) == before


def test_a_hidden_point_that_was_moved_by_half_is_not_taken(data):
    export, hidden, before = exported(data), HORSE.names[3], texts(data)
    edit(export, lambda tasks: region(tasks, hidden)["value"].update(x=50))
    with pytest.raises(UserError, match=rf"results of one point say different places \({hidden}\)"):
        update(data, export)
    assert texts(data) == before
    edit(export, lambda tasks: region(tasks, hidden, kind="choices")["value"].update(x=50))
    assert "1 point moved" in update(data, export)


def test_pictures_that_nobody_has_corrected_yet_say_nothing(data):
    export = exported(data)
    edit(export, lambda tasks: tasks[1].update(annotations=[]))
    report = update(data, export)
    assert "no annotation" in report
    assert "nothing to change" in report


def test_another_picture_of_the_same_name_is_refused(data):
    export = exported(data, only=("c.png",))
    save(data / "others", "x", {"c.png": 99}, [])
    (data / "images/val/c.png").rename(data / "images/val/d.png")
    content = (data / "annotations/val.json").read_text().replace("c.png", "d.png")
    (data / "annotations/val.json").write_text(content)
    with pytest.raises(UserError, match="the data set has no such picture"):
        update(data, export, img_dir=data / "others/images/x")


@pytest.fixture
def converted(tmp_path):
    """A data set as convert_dataset.py makes it of a COCO file, with the user's pictures elsewhere."""
    names = {f"horse{i // 2}_{i}.png": i + 1 for i in range(8)}
    save(tmp_path / "mine", "x", names, [horse(i + 1, i + 1) for i in range(8)])
    convert_dataset(
        Request(tmp_path / "mine/annotations/x.json", tmp_path / "annotations", HORSE,
                img_dir=tmp_path / "mine/images/x", split=SplitSpec((0.5, 0.25, 0.25), 0, r"(horse\d+)_"))
    )  # fmt: skip
    return tmp_path


def test_new_pictures_go_to_the_split_of_their_group(converted):
    split = json.loads((converted / "annotations/split.json").read_text())
    # the same horse again, and a horse that is new
    save(converted / "more", "x", {"horse1_8.png": 100, "horse9_9.png": 101}, [horse(1, 100), horse(2, 101)])
    request = {"img_dir": converted / "more/images/x"}
    with pytest.raises(UserError, match="the data set has no such picture"):
        update(converted, converted / "more/annotations/x.json", **request)
    before = texts(converted)
    report = update(converted, converted / "more/annotations/x.json", what="all", **request)
    assert "2 pictures added" in report
    home = split["pictures"]["horse1_2.png"]
    content = json.loads((converted / f"annotations/{home}.json").read_text())
    [image] = [image for image in content["images"] if image["file_name"] == "horse1_8.png"]
    assert (converted / "images" / home / "horse1_8.png").is_file()
    [entry] = [a for a in content["annotations"] if a["image_id"] == image["id"]]
    assert entry["keypoints"] == horse(1, 100)["keypoints"]
    ids = [a["id"] for name in ("train", "val", "test") for a in
           json.loads((converted / f"annotations/{name}.json").read_text())["annotations"]]  # fmt: skip
    assert sorted(ids) == list(range(1, 11))
    record = json.loads((converted / "annotations/split.json").read_text())
    assert record["pictures"]["horse1_8.png"] == home
    assert len(record["pictures"]) == 10
    [kept] = (converted / "annotations/updates").glob("*/split.json")
    assert kept.read_text() == before["split.json"]
    # what was there stays to the byte
    start = before[f"{home}.json"].split('"categories"')[0].rstrip(", ]}")[:200]
    assert texts(converted)[f"{home}.json"].startswith(start)


def test_corrections_are_not_lost_by_converting_again(converted):
    content = json.loads((converted / "mine/annotations/x.json").read_text())
    content["annotations"][0]["keypoints"][0] += 5
    corrected = converted / "mine/annotations/corrected.json"
    corrected.write_text(json.dumps(content))
    update(converted, corrected, img_dir=converted / "mine/images/x")
    request = Request(converted / "mine/annotations/x.json", converted / "annotations", HORSE,
                      img_dir=converted / "mine/images/x", overwrite=True)  # fmt: skip
    with pytest.raises(UserError, match="corrections that --update has merged"):
        convert_dataset(request)
    # the kept files are nobody's input
    kept = next((converted / "annotations/updates").glob("*/*.json"))
    assert keep_input([corrected, kept], converted, converted / "annotations") == ([corrected], [])
    (converted / "annotations/updates").rename(converted / "updates")
    convert_dataset(request)


def test_files_with_another_order_of_points(data):
    order = HORSE.names[::-1]
    for split in ("train", "val"):
        path = data / f"annotations/{split}.json"
        content = json.loads(path.read_text())
        content["categories"][0]["keypoints"] = list(order)
        for entry in content["annotations"]:
            entry["keypoints"] = np.reshape(entry["keypoints"], (-1, 3))[::-1].ravel().tolist()
        path.write_text(json.dumps(content))
    before, export = texts(data), exported(data)

    def correct(tasks):
        region(tasks, HORSE.names[12])["value"]["x"] += 5
        results = tasks[0]["annotations"][0]["result"]
        third = [json.loads(json.dumps(r)) for r in results if r["id"].startswith("horse1")]
        for r in third:
            r["id"] = r["id"].replace("horse1", "horse2")
            r["value"]["y"] += 30
            r.update({"parentID": "horse2"} if "parentID" in r else {})
        results += third

    edit(export, correct)
    update(data, export, what="all")
    expected = json.loads(before["train.json"])["annotations"]
    at = 3 * order.index(HORSE.names[12])
    expected[0]["keypoints"][at] += 20
    new = json.loads((data / "annotations/train.json").read_text())["annotations"]
    assert new[:3] == expected
    moved = np.reshape(expected[1]["keypoints"], (-1, 3)) + np.array([0, 90, 0])
    assert np.reshape(new[3]["keypoints"], (-1, 3)) == pytest.approx(moved * (moved[:, 2:] > 0), abs=0.01)


def test_folders_that_the_tool_put_before_a_name(data):
    export = exported(data, only=("c.png",))
    edit(export, lambda tasks: tasks[0]["data"].update(image="/data/local-files/?d=photos/2026/c.png"))
    assert "nothing to change" in update(data, export)
    # unless it is another one
    save(data / "more", "photos/2026", {"c.png": 7}, [])
    with pytest.raises(UserError, match="another picture than the data set's has its name"):
        update(data, export, img_dir=data / "more/images")


def test_labels_of_another_picture(data):
    export = exported(data, only=("c.png",))

    def elsewhere(tasks):
        for r in tasks[0]["annotations"][0]["result"]:
            r["value"]["x"] += 40
            r["value"]["y"] += 30

    edit(export, elsewhere)
    with pytest.raises(UserError, match="corrects animals that the data set has"):
        update(data, export)

    def nearby(tasks):
        for r in tasks[0]["annotations"][0]["result"]:
            r["value"]["x"] -= 38
            r["value"]["y"] -= 28

    edit(export, nearby)
    assert "as if it were another picture: animal 4 in c.png" in update(data, export)


def test_there_must_be_a_data_set(tmp_path, data):
    with pytest.raises(UserError, match="no data set in"):
        update_dataset(Request(exported(data), tmp_path / "nowhere", HORSE))


def coco_export(data, change):
    """Everything of train as a COCO export in which something was changed."""
    content = json.loads((data / "annotations/train.json").read_text())
    change(content)
    path = data / "export.json"
    path.write_text(json.dumps(content))
    return path


def test_animals_of_another_kind_are_not_taken_for_deleted(data):
    """An export whose kinds are not all named."""

    def second_kind(content):
        content["categories"].append({**content["categories"][0], "id": 2, "name": "donkey"})
        content["annotations"][1]["category_id"] = 2

    export, before = coco_export(data, second_kind), texts(data)
    with pytest.raises(UserError, match="seem to be deleted, while the export holds others") as caught:
        update(data, export, what="all", img_dir=data / "images/train", categories=["horse"])
    assert "1 animal 'donkey'" in caught.value.problems
    assert texts(data) == before


@pytest.mark.parametrize("to", ["labelstudio", "cvat", "coco"])
def test_the_last_animal_of_a_picture_is_taken_out(data, to):
    """As in any export in which a person deleted it; only with the word all."""
    before, export = texts(data), exported(data, to, only=("a.png", "b.png"))
    if to == "labelstudio":
        edit(
            export,
            lambda tasks: next(t for t in tasks if "b.png" in t["data"]["image"])["annotations"][0].update(result=[]),
        )
    elif to == "cvat":
        export.write_text(
            re.sub(r'(<image[^>]*name="[^"]*b.png"[^>]*)>.*?</image>', r"\1/>", export.read_text(), flags=re.S)
        )
    else:
        content = json.loads(export.read_text())
        [b] = [image["id"] for image in content["images"] if "b.png" in image["file_name"]]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != b]
        export.write_text(json.dumps(content))
    said = update(data, export)
    assert "left out of the merge: 1 picture; all stays as it is there; --update all takes out the animals of 1" in said
    with pytest.raises(UserError, match="left out, and --strict is set"):
        update(data, export, strict=True)
    assert texts(data) == before
    said = update(data, export, what="all", strict=True)
    assert "1 animal taken out" in said
    assert "without an animal now, and nothing is learned from them: b.png in train.json" in said
    assert "skipped    nothing" in said
    expected = json.loads(before["train.json"])
    del expected["annotations"][2]
    assert json.loads(texts(data)["train.json"]) == expected
    assert texts(data)["val.json"] == before["val.json"]
    assert "nothing to change" in update(data, export, what="all")


def test_pictures_that_nobody_has_labelled_yet_are_not_emptied(data):
    """Nearly all of an export: it was hardly gone through."""
    names = {f"p{i}.png": i for i in range(1, 6)}
    save(data, "train", names, [horse(i, i) for i in names.values()])
    before = texts(data)

    def only_the_first(content):
        content["annotations"] = content["annotations"][:1]

    export = coco_export(data, only_the_first)
    with pytest.raises(UserError, match=r"4 pictures have animals in the data set and no label in .* labels in 1:"):
        update(data, export, what="all", img_dir=data / "images/train")
    assert texts(data) == before


def test_the_command_for_what_comes_next_names_an_own_skeleton(tmp_path):
    """Without it verification would find no keypoint that it knows."""
    points = [{"name": name, "half": "upper", "sigma": 0.05} for name in ("nose", "ear", "tail")]
    (tmp_path / "own.json").write_text(json.dumps({"keypoints": points}))
    own = skeleton.load(tmp_path / "own.json")
    names = {f"p{i}.png": i for i in range(1, 7)}
    path = save(tmp_path / "mine", "x", names, [])
    content = json.loads(path.read_text())
    content["categories"] = [category_of(own)]
    content["annotations"] = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [100, 60, 150, 150],
         "keypoints": [110 + i, 70, 2, 160, 90, 2, 240, 190 + i, 2]} for i in range(1, 7)
    ]  # fmt: skip
    path.write_text(json.dumps(content))
    request = Request(path, tmp_path / "annotations", own, img_dir=tmp_path / "mine/images/x")

    def runs(report):
        [command] = [line for line in report.splitlines() if line.startswith("next: ")]
        words = shlex.split(command.removeprefix("next: "))
        assert words[-2:] == ["--skeleton", str(tmp_path / "own.json")]
        assert words[1].endswith("verify_dataset.py")

    runs(convert_dataset(request))
    content["annotations"][0]["keypoints"][0] += 9
    path.write_text(json.dumps(content))
    runs(update_dataset(request))
    said = split_dataset(path, None, tmp_path / "again", SplitSpec())
    assert said.endswith("--skeleton YOUR_SKELETON.json")


def test_a_folder_with_none_of_the_pictures_is_refused(data):
    (data / "empty").mkdir()
    with pytest.raises(UserError, match=r"none of the export's pictures is in .*empty \(--img-dir\)"):
        update(data, exported(data), img_dir=data / "empty")


def test_kinds_of_animals_that_become_one_are_said(data):
    def kinds(content):
        content["categories"].append({**content["categories"][0], "id": 2, "name": "Esel"})
        content["categories"][0]["name"] = "Pferd"
        content["annotations"][1]["category_id"] = 2

    request = Request(coco_export(data, kinds), data / "new", HORSE, img_dir=data / "images/train", split=None)
    assert "note       Pferd 2, Esel 1: all become 'horse'" in convert_dataset(
        replace(request, categories=["Pferd", "Esel"])
    )
    said = update(data, request.input, img_dir=request.img_dir, categories=["Pferd", "Esel"])
    assert "Pferd 2, Esel 1: all become 'horse'" in said


def test_what_differs_between_two_places_of_a_picture_is_said_once(data):
    def twice(content):
        content["images"].append({**content["images"][1], "id": 9})
        content["annotations"].append({**horse(9, 9, top=100), "bbox": [80, 80, 90, 100]})

    with pytest.raises(UserError, match="would seem to be deleted") as error:
        update(data, coco_export(data, twice), img_dir=data / "images/train")
    [line] = error.value.problems
    assert line.endswith("with different labels (train.json: b.png: the box of an animal)")


def test_the_skeleton_of_a_data_set_was_forgotten(data):
    """Two lines say how they differ, and the last one what to do."""
    other = skeleton.load("ap10k")
    with pytest.raises(UserError, match="keypoints are not those") as error:
        update_dataset(Request(exported(data), data / "annotations", other))
    assert len(str(error.value).splitlines()) == 4
