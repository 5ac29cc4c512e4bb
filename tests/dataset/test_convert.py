import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset import split_dataset
from equistera.dataset.anatomy import reference_for
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.ready import check_split
from equistera.dataset.split import SplitSpec
from equistera.dataset.verify.pictures import inspect
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
PROJECT = Path(__file__).parents[2]


def save_picture(path, size=(40, 20), seed=0, orientation=1, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif.tobytes(), **options)


def task(name, x=50, label="nose", size=(40, 20), **data):
    def point(label, x, y):
        return {
            "type": "keypointlabels",
            "original_width": size[0],
            "original_height": size[1],
            "value": {"x": x, "y": y, "width": 1, "keypointlabels": [label]},
        }

    result = [point(label, x, 50), point("withers", 10, 20)]
    return {"id": name, "data": {"image": name, **data}, "annotations": [{"result": result}]}


@pytest.fixture
def raw(tmp_path):
    """Ten pictures and a Label Studio export of them."""
    folder = tmp_path / "data/raw"
    for i in range(10):
        save_picture(folder / f"photos/horse{i // 2}_{i}.png", seed=i)
    write(folder, [task(f"photos/horse{i // 2}_{i}.png") for i in range(10)])
    return folder


def write(folder, tasks, name="export.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(tasks))


def run(raw, **more):
    return convert_dataset(Request(raw, raw.parent / "annotations", HORSE, **more))


def read(raw, name):
    return json.loads((raw.parent / "annotations" / f"{name}.json").read_text())


def snapshot(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_becomes_a_split_data_set(raw):
    before = snapshot(raw)
    report = run(raw, split=SplitSpec((0.6, 0.2, 0.2), 0, r"(horse\d+)_"))
    assert "converted  10 of 10 pictures, 10 of 10 horses" in report
    assert "skipped    nothing" in report
    parts = {name: read(raw, name) for name in ("train", "val", "test")}
    horses = [{image["file_name"].split("_")[0] for image in part["images"]} for part in parts.values()]
    assert sum(map(len, horses)) == len(set.union(*horses)) == 5
    for name, part in parts.items():
        [category] = part["categories"]
        assert category["keypoints"] == list(HORSE.names)
        for image in part["images"]:
            placed = raw.parent / "images" / name / image["file_name"]
            assert placed.read_bytes() == (raw / image["file_name"]).read_bytes()
            assert (image["width"], image["height"]) == (40, 20)
        for annotation in part["annotations"]:
            assert annotation["keypoints"][:3] == [20, 10, 2]
            assert annotation["area"] > 0
            assert annotation["num_keypoints"] == 2
    assert snapshot(raw) == before


def test_the_same_seed_gives_the_same_files(raw):
    run(raw)
    first = {path.name: path.read_bytes() for path in (raw.parent / "annotations").iterdir()}
    shutil.rmtree(raw.parent / "annotations")
    run(raw)
    assert {path.name: path.read_bytes() for path in (raw.parent / "annotations").iterdir()} == first
    assert set(first) == {"train.json", "val.json", "test.json", "split.json"}


def test_output_that_exists_is_kept_unless_told(raw):
    run(raw, split=None)
    before = snapshot(raw.parent / "annotations")
    with pytest.raises(UserError, match=r"files exist already(.|\n)*all\.json"):
        run(raw, split=None)
    run(raw)
    with pytest.raises(UserError, match="exist already and are not overwritten"):
        run(raw)
    assert snapshot(raw.parent / "annotations").items() >= before.items()
    run(raw, overwrite=True)


def test_what_is_wrong_with_the_request_is_said_before_anything_is_read(raw, tmp_path):
    run(raw)
    (raw / "export.json").write_text("{")
    with pytest.raises(UserError, match="exist already and are not overwritten"):
        run(raw)
    with pytest.raises(UserError, match=r"no such file.*names\.json"):
        run(raw, overwrite=True, keypoint_map=tmp_path / "names.json")
    with pytest.raises(UserError, match="no such picture folder"):
        run(raw, overwrite=True, img_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("images", ["link", "none"])
def test_the_next_command_can_be_pasted(tmp_path, images):
    raw = tmp_path / "Ställe & Höfe/raw"
    for i in range(10):
        save_picture(raw / f"{i}.png", seed=i)
    write(raw, [task(f"{i}.png") for i in range(10)])
    text = convert_dataset(Request(raw, raw.parent / "annotations", HORSE, split=None, images=images))
    (command,) = (line.strip() for line in text.splitlines() if "split_dataset.py" in line)
    python, tool, *arguments = shlex.split(command)
    assert (python, tool) == ("python", "tools/split_dataset.py")
    done = subprocess.run([sys.executable, PROJECT / tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (raw.parent / "annotations/train.json").is_file()


def test_a_grown_data_set_keeps_its_split(raw):
    run(raw)
    before = {i["file_name"]: name for name in ("train", "val", "test") for i in read(raw, name)["images"]}
    save_picture(raw / "photos/new.png", seed=99)
    write(raw, [task("photos/new.png")], "more.json")
    run(raw, overwrite=True)
    after = {i["file_name"]: name for name in ("train", "val", "test") for i in read(raw, name)["images"]}
    assert after.items() >= before.items()
    assert len(after) == 11


def test_input_is_never_the_output(raw):
    run(raw, split=None)
    annotations = raw.parent / "annotations"
    with pytest.raises(UserError, match="input files would be overwritten"):
        convert_dataset(Request(annotations / "all.json", annotations, HORSE, split=None, overwrite=True))


def test_nothing_of_the_output_is_taken_for_input(raw):
    data = raw.parent
    convert_dataset(Request(data, data / "annotations", HORSE))
    report = convert_dataset(Request(data, data / "annotations", HORSE, overwrite=True))
    assert "converted  10 of 10 pictures" in report


@pytest.mark.parametrize("way", ["link", "copy"])
def test_pictures_are_linked_or_copied(raw, way):
    run(raw, split=None, images=way)
    source, placed = raw / "photos/horse0_0.png", raw.parent / "images/all/photos/horse0_0.png"
    assert placed.read_bytes() == source.read_bytes()
    assert os.path.samefile(source, placed) == (way == "link")


def test_no_pictures_are_placed_or_needed(raw):
    (raw / "photos/horse0_0.png").unlink()
    report = run(raw, split=None, images="none")
    assert "converted  10 of 10" in report
    assert not (raw.parent / "images").exists()
    [first] = [i for i in read(raw, "all")["images"] if i["file_name"] == "photos/horse0_0.png"]
    assert (first["width"], first["height"]) == (40, 20)


def test_everything_skipped_is_listed_with_its_reason(raw):
    (raw / "photos/horse0_0.png").unlink()
    (raw / "photos/horse0_1.png").write_bytes((raw / "photos/horse0_1.png").read_bytes()[:-20])
    (raw / "photos/horse1_2.png").write_text("no picture")
    save_picture(raw / "photos/horse1_3.png", size=(40, 40))
    tasks = json.loads((raw / "export.json").read_text())
    tasks += [
        task("photos/horse2_4.png"),
        task("../../secret.png"),
        {"id": "c", "data": {"image": "c.png"}, "annotations": [{"was_cancelled": True, "result": []}]},
    ]
    tasks[5]["annotations"][0]["result"].pop()
    tasks[6]["annotations"][0]["result"] += task("", label="neck", x=400)["annotations"][0]["result"][:1]
    write(raw, tasks)
    report = run(raw, split=None)
    for line in (
        "2 x picture: picture not found",
        "1 x picture: the picture file is cut short",
        "1 x picture: the picture file cannot be used",
        "1 x picture: the picture on disk is not the one that was labelled",
        "export.json, task 'photos/horse1_3.png' (40x40 on disk, 40x20 in the export)",
        "note       labelled more than once with the same labels, taken once: 1 picture, photos/horse2_4.png; again in",
        "1 x picture: cancelled by the annotator",
        "1 x horse: no box, and its points span none",
        "1 x point: lies outside the picture",
    ):
        assert line in report
    assert "skipped    8:" in report


def test_strict_makes_skipped_items_an_error_and_writes_nothing(raw):
    (raw / "photos/horse0_0.png").unlink()
    with pytest.raises(UserError, match="--strict") as error:
        run(raw, strict=True)
    assert error.value.problems == ["export.json, task 'photos/horse0_0.png': picture not found (photos/horse0_0.png)"]
    assert "--img-dir" in error.value.hint
    assert not (raw.parent / "annotations").exists()
    assert not (raw.parent / "images").exists()


def test_nothing_to_convert_says_why(tmp_path):
    raw = tmp_path / "data/raw"
    write(raw, [task("gone.png")])
    with pytest.raises(UserError, match="nothing to convert") as error:
        run(raw)
    assert "picture not found" in error.value.problems[0]


def test_too_few_pictures_for_a_split_say_what_was_skipped(tmp_path):
    raw = tmp_path / "data/raw"
    save_picture(raw / "a.png")
    write(raw, [task("a.png"), task("gone.png")])
    with pytest.raises(UserError, match="cannot fill 3 splits") as error:
        run(raw)
    assert "picture not found" in error.value.problems[0]


def test_unknown_keypoints_stop_with_a_suggestion_and_a_map_helps(raw, tmp_path):
    write(raw, [task("photos/horse0_0.png", label="left_eye")])
    with pytest.raises(UserError, match="did you mean 'l_eye'"):
        run(raw, split=None)
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"left_eye": "l_eye", "poll": None}))
    report = run(raw, split=None, keypoint_map=names)
    assert read(raw, "all")["annotations"][0]["keypoints"][3:6] == [20, 10, 2]
    assert "the keypoint map names 'poll', which is in none of the files" in report


@pytest.mark.parametrize(("size", "where"), [((20, 40), [10, 20]), ((40, 20), [9, 20])])
def test_exif_orientation(tmp_path, size, where):
    """Stored 40 x 20, shown 20 x 40: labelled in its middle by a tool that turns it, and by one that does not."""
    raw = tmp_path / "data/raw"
    save_picture(raw / "a.jpg", orientation=6)
    write(raw, [task("a.jpg", size=size)])
    run(raw, split=None)
    content = read(raw, "all")
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (20, 40)
    assert content["annotations"][0]["keypoints"][:2] == where


def coco_of_horses(raw, size=(320, 240), change=lambda rows: rows, box=lambda *box: box, orientation=1, **more):
    """A COCO export of ten of the reference horses, one a picture; boxes are padded by 8 pixels."""
    images, annotations = [], []
    for n, rows in enumerate(reference_for(HORSE)[::40]):
        save_picture(raw / f"{n}.jpg", size, seed=n, orientation=orientation)
        width, height = size
        images.append({"id": n, "file_name": f"{n}.jpg", "width": width, "height": height})
        known = rows[rows[:, 2] > 0, :2]
        (left, top), (right, bottom) = np.maximum(known.min(axis=0) - 8, 0), known.max(axis=0) + 8
        right, bottom = min(right, width), min(bottom, height)
        annotation = {"id": n, "image_id": n, "category_id": 1, "keypoints": change(rows).ravel().tolist()}
        annotations.append({**annotation, "bbox": list(box(left, top, right, bottom)), "area": 1})
    category = {"id": 1, "name": "horse", "keypoints": list(HORSE.names)}
    write(raw, {"images": images, "annotations": annotations, "categories": [category], **more})
    return reference_for(HORSE)[::40]


def xywh(left, top, right, bottom):
    return left, top, right - left, bottom - top


def test_boxes_that_are_corners_are_read_as_corners(tmp_path):
    coco_of_horses(tmp_path / "right", box=xywh)
    coco_of_horses(tmp_path / "corners")
    for folder in ("right", "corners"):
        report = convert_dataset(Request(tmp_path / folder, tmp_path / f"{folder}_out/annotations", HORSE, split=None))
        assert ("boxes are not x, y, width, height but corners" in report) == (folder == "corners")
    boxes = [
        [a["bbox"] for a in json.loads((tmp_path / f"{folder}_out/annotations/all.json").read_text())["annotations"]]
        for folder in ("right", "corners")
    ]
    assert boxes[0] == boxes[1]


def test_coordinates_that_are_no_pixels_are_refused(tmp_path):
    coco_of_horses(tmp_path, box=xywh, change=lambda rows: rows / [320, 240, 1])
    with pytest.raises(UserError, match="the coordinates are not pixels of these pictures"):
        convert_dataset(Request(tmp_path, tmp_path / "out/annotations", HORSE, split=None))
    assert not (tmp_path / "out").exists()


def test_flags_that_are_only_0_and_1_are_visible(tmp_path):
    coco_of_horses(tmp_path, box=xywh, change=lambda rows: np.minimum(rows, [999, 999, 1]))
    assert "taken for visible" in convert_dataset(Request(tmp_path, tmp_path / "out/annotations", HORSE, split=None))
    content = json.loads((tmp_path / "out/annotations/all.json").read_text())
    assert {v for a in content["annotations"] for v in a["keypoints"][2::3]} <= {0, 2}


def test_the_same_animal_twice_is_taken_once(tmp_path):
    coco_of_horses(tmp_path, box=xywh)
    content = json.loads((tmp_path / "export.json").read_text())
    content["annotations"] += [{**a, "id": 100 + a["id"]} for a in content["annotations"][:3]]
    write(tmp_path, content)
    report = convert_dataset(Request(tmp_path, tmp_path / "out/annotations", HORSE, split=None))
    assert "3 x horse: the same animal stands in the picture twice" in report
    assert "10 of 13 horses" in report


@pytest.mark.parametrize(
    ("info", "stored"),
    [({"contributor": "Label Studio"}, False), ({}, False), ({}, True)],
    ids=["tool", "shown", "stored"],
)
def test_a_size_before_the_exif_rotation_does_not_decide_by_itself(tmp_path, info, stored):
    """Shown 240 x 320, labelled as that or as the 320 x 240 that is stored; all points fit both."""
    scale = np.array([0.7, 0.7, 1])

    def change(rows):
        shown = rows * scale
        return np.stack([shown[:, 1], 239 - shown[:, 0], shown[:, 2]], axis=1) if stored else shown

    rows = coco_of_horses(tmp_path, orientation=6, change=change, box=lambda *_: (), info=info)
    report = convert_dataset(Request(tmp_path, tmp_path / "out/annotations", HORSE, split=None))
    assert f"10 pictures of the size before their EXIF rotation: points {'turned' if stored else 'taken'}" in report
    assert "lie on their side" not in report
    content = json.loads((tmp_path / "out/annotations/all.json").read_text())
    for row, entry in zip(rows, content["annotations"], strict=True):
        found = np.array(entry["keypoints"]).reshape(-1, 3)
        assert found[row[:, 2] > 0] == pytest.approx((row * scale)[row[:, 2] > 0], abs=0.01)


@pytest.mark.parametrize("stored", [False, True], ids=["shown", "stored"])
def test_photos_of_formats_that_give_no_size(tmp_path, stored):
    """DeepLabCut's tables: pixels of 240 x 320 as displayed, or of the 320 x 240 that are stored."""
    columns = [f",{name}" * 2 for name in HORSE.names]
    lines = ["scorer" + ",A" * 52, "bodyparts" + "".join(columns), "coords" + ",x,y" * 26]
    horses = reference_for(HORSE)[::40] * [0.7, 0.7, 1]
    for n, rows in enumerate(horses):
        save_picture(tmp_path / f"labeled-data/v/{n}.jpg", (320, 240), seed=n, orientation=6)
        cells = [(y, 239 - x) if stored else (x, y) for x, y, _ in rows]
        cells = [f",{x},{y}" if v else ",," for (x, y), v in zip(cells, rows[:, 2], strict=True)]
        lines.append(f"labeled-data/v/{n}.jpg{''.join(cells)}")
    (tmp_path / "labeled-data/v/CollectedData_A.csv").write_text("\n".join(lines))
    report = convert_dataset(Request(tmp_path, tmp_path / "out/annotations", HORSE, split=None))
    assert f"10 pictures with an EXIF orientation that no size shows: points {'tu' if stored else 'ta'}" in report
    assert "lie on their side" not in report
    content = json.loads((tmp_path / "out/annotations/all.json").read_text())
    for rows, entry in zip(horses, content["annotations"], strict=True):
        known = rows[:, 2] > 0
        found = np.array(entry["keypoints"]).reshape(-1, 3)
        assert found[known, :2] == pytest.approx(rows[known, :2], abs=0.01)


def test_a_size_that_nothing_explains_is_refused_until_it_is_said(raw):
    (raw / "export.json").unlink()
    save_picture(raw / "a.jpg", orientation=6)
    animal = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [5, 5, 2, 15, 10, 2]}
    category = {"id": 1, "name": "horse", "keypoints": ["nose", "neck"]}
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 20}
    write(raw, {"images": [image], "annotations": [animal], "categories": [category]})
    with pytest.raises(UserError, match="nothing to convert") as error:
        run(raw, split=None)
    assert "nothing shows where the points belong" in error.value.problems[0]
    assert "--exif applied" in error.value.hint
    for exif, where in (("applied", [5, 5]), ("ignored", [14, 5])):
        run(raw, split=None, exif=exif, overwrite=True)
        assert read(raw, "all")["annotations"][0]["keypoints"][:2] == where


def test_several_formats_in_one_folder_and_the_same_name_twice(raw):
    save_picture(raw / "dlc/img.png", seed=20)
    save_picture(raw / "other/img.png", seed=21)
    (raw / "dlc/CollectedData_A.csv").write_text(
        "scorer,A,A,A,A\nbodyparts,nose,nose,neck,neck\ncoords,x,y,x,y\nlabeled-data/dlc/img.png,1,2,11,12\n"
    )
    (raw / "dlc/CollectedData_A.h5").write_bytes(b"not read, the CSV file is")
    (raw / "notes.json").write_text("{}")
    report = run(raw, split=None)
    assert "converted  11 of 11 pictures" in report
    assert "no annotations of a known format" in report
    assert "dlc/img.png" in {image["file_name"] for image in read(raw, "all")["images"]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda raw: None, "no such file or folder"),
        (lambda raw: raw.mkdir(parents=True), "no annotation file in"),
        (lambda raw: write(raw, {}), "no annotations of a known format"),
        (lambda raw: write(raw, [], "a.zip"), "Unpack the archives first"),
    ],
)
def test_input_that_is_nothing(tmp_path, make, message):
    raw = tmp_path / "data/raw"
    make(raw)
    with pytest.raises(UserError, match=message):
        run(raw)


def test_all_files_that_cannot_be_read_are_named(tmp_path):
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    (raw / "a.json").write_text("{")
    (raw / "b.xml").write_text("<")
    with pytest.raises(UserError, match="2 of 2 files cannot be read") as error:
        run(raw)
    assert [name in problem for name, problem in zip(("a.json", "b.xml"), error.value.problems, strict=True)] == [
        True
    ] * 2


def test_a_single_file_and_pictures_elsewhere(raw, tmp_path):
    photos = shutil.move(raw / "photos", tmp_path / "elsewhere")
    report = convert_dataset(
        Request(raw / "export.json", raw.parent / "annotations", HORSE, img_dir=Path(photos), split=None)
    )
    assert "converted  10 of 10 pictures" in report
    assert (raw.parent / "images/all/horse0_0.png").is_file()


def test_pictures_in_the_images_folder_itself(raw):
    """A user who keeps photos where the output goes: they are found, and none is replaced."""
    photos = shutil.move(raw / "photos", raw.parent / "images")
    before = snapshot(Path(photos))
    report = convert_dataset(Request(raw / "export.json", raw.parent / "annotations", HORSE, img_dir=Path(photos)))
    assert "converted  10 of 10 pictures" in report
    assert snapshot(Path(photos)).items() >= before.items()


def test_photos_of_iphones_go_the_whole_way(raw):
    """As they are displayed, which Label Studio's browser shows; portraits lie on their side in the file."""
    names = [f"IMG_{i}.HEIC" for i in range(4)]
    for i, name in enumerate(names):
        save_picture(raw / name, (80, 60), seed=i, orientation=6, format="HEIF")
    write(raw, [task(name, size=(60, 80)) for name in names])
    report = run(raw, split=None)
    assert "converted  4 of 4 pictures" in report
    content = read(raw, "all")
    assert {(image["width"], image["height"]) for image in content["images"]} == {(60, 80)}
    assert content["annotations"][0]["keypoints"][:3] == [30, 40, 2]
    ann_file, folder = raw.parent / "annotations/all.json", raw.parent / "images/all"
    assert len(check_split(ann_file, folder, HORSE)["images"]) == 4
    states = [inspect(folder, name, decode=True) for name in names]
    assert {state.code for state in states} == {""}


def test_a_heic_that_cannot_be_read_is_named(raw):
    (raw / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    write(raw, [task("IMG_1.HEIC")])
    with pytest.raises(UserError) as error:
        run(raw)
    assert "a damaged or unknown kind of HEIC" in str(error.value)
    assert "export again" not in str(error.value)
    (raw / "IMG_1.HEIC").unlink()
    save_picture(raw / "IMG_1.jpg")
    assert "1 picture found by names that differ in the ending" in run(raw, split=None)


def test_yolo_pictures_are_looked_for_as_those_of_every_format(tmp_path):
    """CVAT exports labels without pictures; one that is nowhere is counted, and an error with --strict."""
    export, photos = tmp_path / "export", tmp_path / "photos"
    (export / "labels/train").mkdir(parents=True)
    names = {0: ["nose", "withers"]}
    (export / "data.yaml").write_text(f"Train: train.txt\nkpt_shape: [2, 3]\nnames: [horse]\nkpt_names: {names}\n")
    (export / "train.txt").write_text("".join(f"data\\images\\train\\{i}.png\n" for i in range(3)))
    for i in range(3):
        (export / f"labels/train/{i}.txt").write_text("0 .5 .5 .5 .5 .5 .5 2 .25 .25 2")
    for i in range(2):
        save_picture(photos / f"{i}.png", seed=i)
    request = {"output": tmp_path / "annotations", "skeleton": HORSE, "img_dir": photos, "split": None}
    with pytest.raises(UserError, match="1 item cannot be converted, and --strict is set"):
        convert_dataset(Request(export, **request, strict=True))
    report = convert_dataset(Request(export, **request))
    assert "converted  2 of 3 pictures" in report
    assert "1 x picture: picture not found" in report
    [first, _] = json.loads((tmp_path / "annotations/all.json").read_text())["annotations"]
    assert first["keypoints"][:3] == [20, 10, 2]


def test_pictures_that_are_gone_from_the_input_leave_the_folder(raw):
    run(raw, split=None)
    write(raw, [task(f"photos/horse{i // 2}_{i}.png") for i in range(8)])
    report = run(raw, split=None, overwrite=True)
    assert "do not belong now: 2" in report
    assert len([path for path in (raw.parent / "images/all").rglob("*") if path.is_file()]) == 8
    assert len(list((raw / "photos").iterdir())) == 10


def test_a_placed_picture_that_the_new_split_names_stays_although_its_source_is_gone(raw):
    """Without pictures a source need not be there: its link is not one of an earlier run that nothing names now."""
    run(raw)
    [placed] = (raw.parent / "images").rglob("horse0_0.png")
    (raw / "photos/horse0_0.png").rename(raw.parent.parent / "elsewhere.png")
    run(raw, images="none", overwrite=True)
    assert placed.is_file()


def test_a_refusal_hides_no_reason_behind_another(raw):
    tasks = [task(f"photos/nowhere_{i}.png") for i in range(30)]
    write(
        raw, [*tasks, {"id": "c", "data": {"image": "c.png"}, "annotations": [{"was_cancelled": True, "result": []}]}]
    )
    (raw / "config.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="nothing to convert") as error:
        run(raw, split=None)
    text = str(error.value)
    assert "... and 27 more x picture: picture not found" in text
    assert "cancelled by the annotator" in text
    assert "note: left out: " in text
    assert "--img-dir" in text
    assert "labelling tool" in text


@pytest.mark.parametrize("way", ["link", "copy"])
def test_pictures_of_a_run_that_was_killed_are_not_the_users(raw, way, monkeypatch):
    """Killed before its first annotation file: all pictures stand in their folders, and nothing says that they do."""
    root, labels = raw.parent, raw.parent / "labels"
    write(labels, [task(f"horse{i // 2}_{i}.png") for i in range(10)])

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(split_dataset, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        run(labels, img_dir=root, images=way)
    monkeypatch.undo()
    assert len([*(root / "images").rglob("*.png")]) == 10
    assert "converted  10 of 10 pictures" in run(labels, img_dir=root, images=way)
    # the user's own beside them are found
    save_picture(root / "images/train/other.png", seed=99)
    write(labels, [task("other.png")], "more.json")
    assert "converted  11 of 11 pictures" in run(labels, img_dir=root, images=way, overwrite=True)
