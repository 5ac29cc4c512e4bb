"""Sigmas, biases and the human ceiling of labellers whose spread is known."""

import copy
import csv
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from equistera import cli, skeleton
from equistera.dataset.coco import category_of
from equistera.errors import UserError
from equistera.labelling.ceiling import CEILING, ceiling_line, measure_ceiling, read_ceiling, with_sigmas
from equistera.labelling.double_labels import read_double
from equistera.labelling.sigmas import FEWEST, bias_lines, measure

HORSE = skeleton.load("horse26")
TOOL = Path(__file__).parents[2] / "tools" / "measure_sigmas.py"


def true_labels(pictures, animals=1, seed=0, known=HORSE):
    """A COCO file of animals side by side, their points anywhere in their boxes."""
    rng = np.random.default_rng(seed)
    images = [{"id": i, "file_name": f"{i:03}.jpg", "width": 2000, "height": 600} for i in range(pictures)]
    annotations = []
    for image in images:
        for a in range(animals):
            width, height = rng.uniform(200, 400, 2)
            corner = np.array([50 + 600 * a, 50 + rng.uniform(0, 100)])
            points = corner + rng.uniform(0.1, 0.9, (len(known), 2)) * [width, height]
            flags = np.where(rng.random(len(known)) < 0.9, 2, 0)
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [*corner, width, height],
                    "area": width * height / 2,
                    "keypoints": np.column_stack([points * (flags[:, None] > 0), flags]).ravel().tolist(),
                }
            )
    return {"images": images, "annotations": annotations, "categories": [category_of(known)]}


def labelled(truth, sigmas, seed, bias=None):
    """The same as a person labels it: normal noise of that sigma (both axes together), and a bias."""
    rng, coco = np.random.default_rng(seed), copy.deepcopy(truth)
    for annotation in coco["annotations"]:
        points = np.reshape(annotation["keypoints"], (-1, 3))
        noise = rng.normal(size=(len(points), 2)) * np.asarray(sigmas)[:, None] / np.sqrt(2)
        noise = noise if bias is None else noise + bias
        points[:, :2] += np.where(points[:, 2:] > 0, noise * np.sqrt(annotation["area"]), 0)
        annotation["keypoints"] = points.ravel().tolist()
    return coco


@pytest.fixture
def write(tmp_path):
    """Writes COCO content; returns the path."""

    def written(coco, name):
        path = tmp_path / "twice" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(coco))
        return str(path)

    return written


def test_sigmas_of_two_labellers_are_found_from_60_pictures(write):
    true, errors, inside = np.linspace(0.02, 0.1, len(HORSE)), [], []
    true = np.minimum(true, true[HORSE.flip_indices])
    for seed in range(6):
        coco = true_labels(60, seed=seed)
        files = [write(labelled(coco, true, 2 * seed + who), "ab"[who]) for who in (0, 1)]
        found = measure(read_double(files, HORSE))
        errors.append(found.sigma / true - 1)
        inside.append((found.bounds[:, 0] <= true) & (true <= found.bounds[:, 1]))
        assert len(found.gross) <= 2
    errors = np.array(errors)
    # each draw: typical error of its keypoints within 10 %, and none of them far off
    assert (np.sqrt(np.square(errors).mean(axis=1)) < 0.1).all()
    assert np.abs(errors).max() < 0.25
    # unbiased over all
    assert abs(errors.mean()) < 0.02
    assert np.mean(inside) > 0.88


@pytest.mark.parametrize("name", skeleton.builtin_names())
def test_other_skeletons_and_several_animals(name, write):
    known = skeleton.load(name)
    coco = true_labels(40, animals=3, known=known)
    files = [write(labelled(coco, np.full(len(known), 0.05), who), f"{who}") for who in range(3)]
    labels = read_double(files, known)
    assert len(labels) == 120
    assert not labels.notes
    found = measure(labels)
    assert np.abs(found.sigma / 0.05 - 1).max() < 0.15


def test_mirror_images_share_a_sigma(write):
    coco = true_labels(30)
    files = [write(labelled(coco, HORSE.sigmas, who), f"{who}") for who in (0, 1)]
    found = measure(read_double(files, HORSE))
    assert np.array_equal(found.sigma, found.sigma[HORSE.flip_indices])


def test_gross_disagreements_are_named_and_do_not_count(write):
    coco, sigma = true_labels(60), np.full(len(HORSE), 0.03)
    first, second = (labelled(coco, sigma, who) for who in (0, 1))
    knee = HORSE.index["l_knee"]
    hit = [n for n, a in enumerate(second["annotations"]) if a["keypoints"][3 * knee + 2] > 0][:4]
    for n in hit:
        second["annotations"][n]["keypoints"][3 * knee] += 0.5 * np.sqrt(second["annotations"][n]["area"])
    found = measure(read_double([write(first, "a"), write(second, "b")], HORSE))
    named = {(str(found.labels.pictures[n]), HORSE.names[k]) for n, k in found.gross}
    assert named >= {(f"{n:03}.jpg", "l_knee") for n in hit}
    assert found.apart[:4] == pytest.approx(0.5, abs=0.15)
    assert found.sigma[knee] == pytest.approx(0.03, rel=0.15)
    assert found.with_gross[knee] > 0.06


def test_a_bias_is_found_and_chance_is_not(write):
    coco, bias = true_labels(60), np.zeros((len(HORSE), 2))
    bias[HORSE.index["withers"]] = 0.05, -0.02
    files = [
        write(labelled(coco, HORSE.sigmas, who, bias=bias if who else None), name)
        for who, name in enumerate(("anna", "ben"))
    ]
    found = measure(read_double(files, HORSE))
    withers = HORSE.index["withers"]
    # nobody knows who is right: each is half of it away from the middle
    assert found.bias[1, withers] == pytest.approx([0.025, -0.01], abs=0.015)
    assert found.bias[0, withers] == pytest.approx(-found.bias[1, withers])
    assert np.flatnonzero(found.clear[1]).tolist() == [withers]
    low, high = found.bias_bounds[1, withers].T
    assert (low <= found.bias[1, withers]).all()
    assert (found.bias[1, withers] <= high).all()
    assert any(line.startswith("ben") and "withers" in line and "right" in line for line in bias_lines(found))


def test_what_only_one_labelled_is_counted(write):
    coco = true_labels(30, animals=2)
    first, second = (labelled(coco, HORSE.sigmas, who) for who in (0, 1))
    del second["annotations"][0]
    second["images"] = second["images"][:-1]
    second["annotations"] = second["annotations"][:-2]
    second["annotations"][0]["keypoints"][2] = 0
    labels = read_double([write(first, "a"), write(second, "b")], HORSE)
    assert len(labels) == 57
    said = "\n".join(labels.notes)
    assert "1 picture of 30 labelled by one person alone" in said
    assert "1 animal labelled by a alone" in said
    assert "1 point of" in said


def test_copies_give_reason_to_doubt(write):
    coco = true_labels(20)
    half = labelled(coco, HORSE.sigmas, 1)
    half["annotations"][:10] = copy.deepcopy(coco["annotations"][:10])
    labels = read_double([write(coco, "a"), write(half, "b")], HORSE)
    assert any("Were both begun from the same labels?" in note for note in labels.notes)


def test_what_was_not_labelled_twice_is_refused(write):
    coco = true_labels(20)
    other = copy.deepcopy(coco)
    for image in other["images"]:
        image["file_name"] = "other_" + image["file_name"]
    with pytest.raises(UserError, match="no picture of the files before it"):
        read_double([write(coco, "a"), write(other, "b")], HORSE)
    few = true_labels(3)
    with pytest.raises(UserError, match=f"A sigma needs {FEWEST} points"):
        measure(read_double([write(few, "a"), write(labelled(few, HORSE.sigmas, 0), "b")], HORSE))
    with pytest.raises(UserError, match="given twice"):
        read_double([write(coco, "a")] * 2, HORSE)


def test_the_ceiling_is_what_the_noise_says(write):
    coco = true_labels(60, animals=2)
    for sigma, low, high in ((0.2, 0.95, 1.0), (3.0, 0.0, 0.4)):
        files = [write(labelled(coco, sigma * HORSE.sigmas, who), f"{who}") for who in (0, 1)]
        ceiling = measure_ceiling(read_double(files, HORSE), [HORSE.sigmas])
        assert low <= ceiling["of_sigmas"][0]["AP"] <= high
        assert ceiling["animals"] == 120
    # a point that one of them left out counts for neither
    second = labelled(coco, 0.2 * HORSE.sigmas, 1)
    for annotation in second["annotations"]:
        annotation["keypoints"][:3] = 0, 0, 0
    files = [write(labelled(coco, 0.2 * HORSE.sigmas, 0), "a"), write(second, "b")]
    assert measure_ceiling(read_double(files, HORSE), [HORSE.sigmas])["of_sigmas"][0]["AP"] > 0.95


def test_the_tool_writes_a_skeleton_and_a_ceiling(write, tmp_path, capsys):
    coco = true_labels(60)
    files = [write(labelled(coco, 0.5 * HORSE.sigmas, who), name) for who, name in enumerate(("anna", "ben"))]
    main, out = runpy.run_path(str(TOOL))["main"], tmp_path / "out"
    assert cli.run(main, [*files, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "60 animals in 60 pictures labelled by several people" in said
    assert said.count("Human ceiling (anna and ben, 60 pictures labelled twice)") == 2
    measured = skeleton.load(out / "horse26.json")
    assert measured.names == HORSE.names
    assert np.abs(measured.sigmas / (0.5 * HORSE.sigmas) - 1).max() < 0.3
    assert "labelled by anna, ben" in json.loads((out / "horse26.json").read_text())["note"]
    assert next(csv.reader((out / "disagreements.csv").open()))[0] == "file_name"
    ours, theirs = (read_ceiling(out, known) for known in (measured, HORSE))
    # half the spread for the same sigmas is nearer
    assert theirs["AP"] > ours["AP"]
    assert ceiling_line(ours, body_length=True).count("PCK") == 0
    # again: what it wrote itself; what somebody changed is theirs
    assert cli.run(main, [*files, "--out", str(out)]) == 0
    (out / CEILING).write_text("{}")
    assert cli.run(main, [*files, "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    with pytest.raises(UserError, match="is no human ceiling"):
        read_ceiling(out, HORSE)


def test_a_ceiling_of_other_sigmas_or_points_says_so(write, tmp_path):
    coco = true_labels(20)
    files = [write(labelled(coco, HORSE.sigmas, who), f"{who}") for who in (0, 1)]
    ceiling = measure_ceiling(read_double(files, HORSE), [HORSE.sigmas])
    (tmp_path / CEILING).write_text(json.dumps(ceiling))
    other = read_ceiling(tmp_path, with_sigmas(HORSE, 2 * HORSE.sigmas))
    assert "AP" not in other
    assert "of other sigmas" in ceiling_line(other)
    assert "PCK@0.1" in ceiling_line(other)
    assert "not comparable" in ceiling_line(read_ceiling(tmp_path, skeleton.load("ap10k")))
    assert read_ceiling(tmp_path / "none", HORSE) is None


def test_an_export_of_label_studio_is_taken_apart_by_labeller(tmp_path, capsys):
    truth = true_labels(12, animals=2)
    tasks = []
    for image in truth["images"]:
        cv2.imwrite(str(tmp_path / image["file_name"]), np.zeros((600, 2000, 3), np.uint8))
        tasks.append({"id": image["id"], "data": {"image": f"/data/upload/{image['file_name']}"}, "annotations": []})
    for who in (3, {"id": 4, "email": "ben@stable.example"}):
        own = labelled(truth, HORSE.sigmas, 1 if who == 3 else 2)
        for task in tasks:
            animals = [a for a in own["annotations"] if a["image_id"] == task["id"]]
            result = [region for a in animals for region in regions(a)]
            task["annotations"].append({"completed_by": who, "result": result, "updated_at": "2026-01-01"})
    tasks[0]["annotations"].pop()
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    main, out = runpy.run_path(str(TOOL))["main"], tmp_path / "out"
    assert cli.run(main, [str(tmp_path / "export.json"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "22 animals in 11 pictures labelled by several people" in said
    assert "1 of 12 tasks annotated by one person or none: left out" in said
    assert "Human ceiling (3 and ben@stable.example, 11 pictures labelled twice)" in said
    assert np.abs(skeleton.load(out / "horse26.json").sigmas / HORSE.sigmas - 1).mean() < 0.3
    (tmp_path / "one.json").write_text(json.dumps(tasks[:1]))
    assert cli.run(main, [str(tmp_path / "one.json"), "--out", str(out)]) == 1
    assert "was annotated by two people" in capsys.readouterr().err


def regions(annotation):
    """An animal as Label Studio's export has it."""
    shared = {"original_width": 2000, "original_height": 600, "to_name": "image"}
    (x, y, width, height), box = annotation["bbox"], f"box{annotation['id']}"
    value = {"x": x / 20, "y": y / 6, "width": width / 20, "height": height / 6, "rectanglelabels": ["horse"]}
    yield {**shared, "id": box, "from_name": "box", "type": "rectanglelabels", "value": value}
    for name, (x, y, v) in zip(HORSE.names, np.reshape(annotation["keypoints"], (-1, 3)), strict=True):
        if v:
            value = {"x": x / 20, "y": y / 6, "width": 0.5, "keypointlabels": [name]}
            yield {**shared, "parentID": box, "from_name": "keypoint", "type": "keypointlabels", "value": value}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/anna.json", "a/ben.json"], ("anna", "ben")),
        (["x/anna/all.json", "x/ben/all.json"], ("anna", "ben")),
        (["x/1/all.json", "y/1/all.json", "y/2/all.json"], ("x/1", "y/1", "y/2")),
    ],
)
def test_labellers_are_called_by_what_differs(paths, names, tmp_path):
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(true_labels(1)))
    assert read_double([tmp_path / path for path in paths], HORSE).labellers == names
