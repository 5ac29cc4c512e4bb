import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equistera.dataset import formats
from equistera.dataset.formats import labelstudio, labelstudio_addresses
from equistera.dataset.formats.records import Animal, Picture
from equistera.dataset.formats.values import Unusable
from equistera.dataset.locate import PictureFinder


def keypoint(name, x, y, region_id=None, **more):
    return {
        "id": region_id or f"id_{name}",
        "type": "keypointlabels",
        "from_name": "kp",
        "to_name": "img",
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]},
        **more,
    }


def rectangle(region_id, x, y, w, h, label="horse", rotation=0):
    return {
        "id": region_id,
        "type": "rectanglelabels",
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": w, "height": h, "rotation": rotation, "rectanglelabels": [label]},
    }


def task(*results, image="/data/upload/12/1a2b3c4d-IMG_1.jpg", **annotation):
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results), **annotation}]}


def read(tmp_path, content):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(content))
    export = formats.read(path)
    assert export is not None
    assert export.title == "Label Studio JSON"
    return export


def only_animal(export):
    [picture] = export.pictures
    [animal] = picture.animals
    return animal


def test_percent_become_fractions_and_names_are_kept_in_order(tmp_path):
    export = read(tmp_path, [task(keypoint("withers", 50, 25), keypoint("nose", 10, 40))])
    [picture] = export.pictures
    assert picture.relative
    assert picture.size == (200, 100)
    assert picture.animals[0].points == {"withers": (0.5, 0.25, 2), "nose": (0.1, 0.4, 2)}
    assert export.keypoints == {"": ["withers", "nose"]}


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("IMG_1.jpg", ("IMG_1.jpg",)),
        ("/data/upload/12/1a2b3c4d-IMG_1.jpg", ("data/upload/12/1a2b3c4d-IMG_1.jpg",)),
        ("/data/local-files/?d=day%201/IMG_1.jpg", ("day 1/IMG_1.jpg", "day%201/IMG_1.jpg")),
        ("/data/local-files/?d=a+b&c.jpg", ("a b", "a+b&c.jpg")),
        ("a #1.jpg", ("a ", "a #1.jpg")),
        ("50%25.jpg", ("50%.jpg", "50%25.jpg")),
        ("s3://bucket/day%201/a#1+2?.jpg", ("day%201/a#1+2?.jpg",)),
        ("/data/local-files/?d=C:\\photos\\IMG_1.jpg", ("C:/photos/IMG_1.jpg",)),
        ("s3://bucket/day1/IMG_1.jpg", ("day1/IMG_1.jpg",)),
        ("https://host.example/a%20b/IMG_1.jpg?sig=x", ("a b/IMG_1.jpg", "a%20b/IMG_1.jpg?sig=x")),
        ("C:\\photos\\IMG_1.jpg", ("C:/photos/IMG_1.jpg",)),
    ],
)
def test_picture_names(url, names):
    assert labelstudio_addresses.file_names(url) == names


PRINTABLE = st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\\\")


@given(st.lists(st.text(PRINTABLE | st.just(" "), min_size=1).filter(str.strip), min_size=1, max_size=3).map("/".join))
@example("a&b.png")
@example("a+b.png")
@example("a #1.png")
@example("50%25.png")
@example("?d=a.png")
@example("C:/a.png")
def test_any_name_is_found_again(name):
    picture = Picture((name,), "", (Animal({"nose": (1.0, 2.0, 2)}, (0, 0, 9, 9), "horse"),), (20, 10))
    for prefix in ("/data/local-files/?d=", "https://host.example/", "", "/photos/", "s3://bucket/", "gs://bucket/x/"):
        [written] = labelstudio.write([picture], prefix)
        first, *_ = labelstudio_addresses.file_names(written["data"]["image"])
        assert first == {"/photos/": "photos/", "gs://bucket/x/": "x/"}.get(prefix, "") + name


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "http://[::1/IMG.jpg"])
def test_addresses_without_a_file(url):
    with pytest.raises(Unusable):
        labelstudio_addresses.file_names(url)


def test_parent_id_beats_position(tmp_path):
    export = read(
        tmp_path,
        [
            task(
                rectangle("a", 0, 0, 50, 100),
                rectangle("b", 50, 0, 50, 100),
                keypoint("nose", 10, 10, "p1", parentID="b"),
                keypoint("nose", 20, 10, "p2", parentID="a"),
            )
        ],
    )
    first, second = export.pictures[0].animals
    assert first.box == (0, 0, 0.5, 1)
    assert first.points["nose"][0] == 0.2
    assert second.points["nose"][0] == 0.1
    assert {first.category, second.category} == {"horse"}


def test_relation_ties_a_point_to_its_rectangle_in_either_direction(tmp_path):
    export = read(
        tmp_path,
        [
            task(
                rectangle("a", 0, 0, 100, 100),
                rectangle("b", 0, 0, 100, 100),
                keypoint("nose", 10, 10, "p1"),
                keypoint("nose", 20, 10, "p2"),
                {"type": "relation", "from_id": "p1", "to_id": "b", "direction": "right"},
                {"type": "relation", "from_id": "a", "to_id": "p2", "direction": "right"},
            )
        ],
    )
    first, second = export.pictures[0].animals
    assert (first.points["nose"][0], second.points["nose"][0]) == (0.2, 0.1)


def test_rectangle_that_holds_the_point(tmp_path):
    points = [keypoint("nose", 10, 10, "p1"), keypoint("nose", 90, 10, "p2")]
    export = read(tmp_path, [task(rectangle("a", 0, 0, 40, 100), rectangle("b", 60, 0, 40, 100), *points)])
    assert [a.points["nose"][0] for a in export.pictures[0].animals] == [0.1, 0.9]


def test_turned_rectangle_becomes_the_upright_one_around_it(tmp_path):
    # 20 x 10 pixels at (100, 20), turned by 90 degrees about its top left corner: 10 x 20 pixels to its left
    export = read(tmp_path, [task(rectangle("a", 50, 20, 10, 10, rotation=90), keypoint("nose", 46, 30))])
    assert only_animal(export).box == pytest.approx((0.45, 0.2, 0.05, 0.2))


def test_rectangle_that_was_drawn_from_right_to_left(tmp_path):
    boxes = [rectangle("a", 50, 90, -40, -80), rectangle("b", 60, 10, 30, 80)]
    export = read(tmp_path, [task(*boxes, keypoint("nose", 20, 20, "p"), keypoint("nose", 70, 20, "q"))])
    first, second = export.pictures[0].animals
    assert (first.box, first.points["nose"][0]) == (pytest.approx((0.1, 0.1, 0.4, 0.8)), 0.2)
    assert second.points["nose"][0] == 0.7


@pytest.mark.parametrize(
    ("word", "flag"), [("hidden", 1), ("Occluded", 1), ("not_visible", 1), ("visible", 2), ("absent", 0)]
)
def test_visibility_by_a_choice_for_the_region(tmp_path, word, flag):
    choice = {"id": "id_nose", "type": "choices", "value": {"x": 1, "y": 2, "width": 1, "choices": [word]}}
    assert only_animal(read(tmp_path, [task(keypoint("nose", 1, 2), choice)])).points["nose"] == (0.01, 0.02, flag)


def test_unknown_choice_is_told(tmp_path):
    choice = {"id": "id_nose", "type": "choices", "value": {"choices": ["verdeckt"]}}
    export = read(tmp_path, [task(keypoint("nose", 1, 2), choice)])
    assert only_animal(export).points["nose"][2] == 2
    assert "'verdeckt'" in export.notes[0]


def test_labels_tag_and_keypoint_without_its_own_labels(tmp_path):
    value = {"x": 5, "y": 6, "width": 1}
    results = [
        {"id": "p", "type": "keypoint", "value": value},
        {"id": "p", "type": "labels", "value": {**value, "labels": ["nose"]}},
    ]
    assert only_animal(read(tmp_path, [task(*results)])).points == {"nose": (0.05, 0.06, 2)}


def test_of_several_annotators_the_ground_truth_then_the_newest_counts(tmp_path):
    def annotation(x, updated, **more):
        return {"result": [keypoint("nose", x, 1)], "updated_at": updated, **more}

    old, new = annotation(1, "2024-01-01T00:00:00Z"), annotation(2, "2024-02-01T00:00:00Z")
    truth = annotation(3, "2023-01-01T00:00:00Z", ground_truth=True)
    cancelled = annotation(4, "2025-01-01T00:00:00Z", was_cancelled=True)
    several = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [new, old, cancelled]}
    export = read(tmp_path, [several])
    assert only_animal(export).points["nose"][0] == 0.02
    assert "2 annotations" in export.notes[0]
    assert only_animal(read(tmp_path, [{**several, "annotations": [new, truth]}])).points["nose"][0] == 0.03


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"data": {"image": "a.jpg"}, "annotations": []}, "no annotation"),
        ({"data": {"image": "a.jpg"}, "annotations": [], "predictions": [{}]}, "only predictions, no annotation"),
        (task(keypoint("nose", 1, 1), was_cancelled=True), "cancelled by the annotator"),
        (task(), "the annotation is empty"),
        (task(rectangle("a", 0, 0, 1, 1)), "no keypoints in the annotation"),
        (task(keypoint("nose", "x", 1)), "a coordinate is not a number"),
        (task(keypoint("nose", True, 1)), "a coordinate is not a number"),
        (task(keypoint("nose", 1, 1, image_rotation=90)), "the picture was turned inside Label Studio"),
        (task(keypoint("nose", 1, 1, "p"), keypoint("nose", 2, 2, "q")), "an animal has a point twice"),
        (task(keypoint("nose", 1, 1, "p"), keypoint("neck", 1, 1, "p")), "a point has several labels"),
        (task({"id": "p", "type": "keypoint", "value": {"x": 1, "y": 1}}), "a point has no label"),
        (
            task(rectangle("a", 0, 0, 9, 9), rectangle("b", 0, 0, 9, 9), keypoint("nose", 5, 5)),
            "a point lies in several boxes and names none",
        ),
        (
            task(rectangle("a", 0, 0, 9, 9), rectangle("b", 50, 0, 9, 9), keypoint("nose", 30, 5)),
            "a point lies in none of the boxes",
        ),
        ({"data": {"text": "hello"}, "annotations": [{"result": []}]}, "the task's picture is missing"),
        (
            {"data": {"l": "a.jpg", "r": "b.jpg"}, "annotations": [{"result": [keypoint("nose", 1, 1)]}]},
            "the task's data names several pictures",
        ),
        ("not a task", "not a task"),
    ],
)
def test_what_is_skipped_and_why(tmp_path, item, reason):
    good = task(keypoint("nose", 1, 1), image="good.jpg")
    export = read(tmp_path, [good, item])
    assert [p.names[0] for p in export.pictures] == ["good.jpg"]
    [skip] = export.skips
    assert skip.reason.startswith(reason)
    assert skip.what == "picture"


def test_json_min_with_boxes_and_several_annotators(tmp_path):
    def record(x, updated, annotator):
        return {
            "image": "/data/upload/1/0123abcd-IMG_1.jpg",
            "id": 3,
            "kp": [
                {"x": x, "y": 50, "width": 1, "keypointlabels": ["nose"], "original_width": 20, "original_height": 10}
            ],
            "box": [{"x": 0, "y": 0, "width": 100, "height": 100, "rotation": 0, "rectanglelabels": ["horse"]}],
            "annotator": annotator,
            "annotation_id": annotator,
            "updated_at": updated,
        }

    export = read(tmp_path, [record(10, "2024-01-02", 1), record(20, "2024-01-03", 2)])
    animal = only_animal(export)
    assert animal == Animal({"nose": (0.2, 0.5, 2)}, (0, 0, 1, 1), "horse")
    assert export.pictures[0].size == (20, 10)
    assert "2 annotations" in export.notes[0]


def test_one_task_alone_and_the_old_word_for_annotations(tmp_path):
    old = {"id": 0, "data": {"image": "a.jpg"}, "completions": [{"result": [keypoint("nose", 1, 2)]}]}
    assert only_animal(read(tmp_path, old)).points == {"nose": (0.01, 0.02, 2)}


def test_what_is_written_is_read_back(tmp_path):
    animals = (
        Animal({"nose": (10.125, 20.5, 2), "neck": (199.0, 99.0, 1), "back": (0.0, 0.0, 0)}, (5, 6, 190, 90), "horse"),
        Animal({"nose": (50.0, 60.0, 2)}, (40, 50, 30, 20), "horse"),
    )
    tasks = labelstudio.write([Picture(("a b.jpg",), "", animals, (200, 100))])
    export = read(tmp_path, tasks)
    assert export.pictures[0].names[0] == export.pictures[0].plain_name == "a b.jpg"
    first, second = export.pictures[0].animals
    assert first.points == {"nose": pytest.approx((0.050625, 0.205, 2)), "neck": pytest.approx((0.995, 0.99, 1))}
    assert first.box == pytest.approx((0.025, 0.06, 0.95, 0.9))
    assert second.points == {"nose": pytest.approx((0.25, 0.6, 2))}


def test_other_json_is_not_label_studio():
    assert not labelstudio.accepts([{"a": 1}])
    assert not labelstudio.accepts({"images": [], "annotations": []})
    assert not labelstudio.accepts(3)


def region(kind, region_id, value, **more):
    return {**keypoint("", 0, 0, region_id, **more), "type": kind, "value": value}


def test_parents_are_followed_all_the_way_up(tmp_path):
    export = read(
        tmp_path,
        [
            task(
                rectangle("a", 0, 0, 60, 100),
                rectangle("b", 40, 0, 60, 100),
                keypoint("l_elbow", 50, 10, "e", parentID="b"),
                keypoint("l_knee", 50, 20, "k", parentID="e"),
                keypoint("lf_hoof", 50, 30, "h", parentID="k"),
                # relations reach as far, in either direction
                keypoint("nose", 50, 5, "n"),
                keypoint("neck", 50, 6, "m"),
                {"type": "relation", "from_id": "n", "to_id": "m"},
                {"type": "relation", "from_id": "a", "to_id": "n"},
                # a circle of parents ends nowhere
                keypoint("back", 10, 10, "x", parentID="y"),
                keypoint("withers", 10, 10, "y", parentID="x"),
            )
        ],
    )
    first, second = export.pictures[0].animals
    assert set(first.points) == {"nose", "neck", "back", "withers"}
    assert set(second.points) == {"l_elbow", "l_knee", "lf_hoof"}
    assert not export.skips


def test_a_point_that_is_tied_to_two_horses_is_named_and_left_out(tmp_path):
    tied = [keypoint("nose", 5, 5, "n", parentID="a"), {"type": "relation", "from_id": "n", "to_id": "b"}]
    boxes = [rectangle("a", 0, 0, 50, 50), rectangle("b", 0, 0, 60, 60)]
    export = read(tmp_path, [task(*boxes, *tied, keypoint("neck", 5, 5, parentID="b"))])
    assert only_animal(export).points == {"neck": (0.05, 0.05, 2)}
    assert [(skip.what, skip.reason) for skip in export.skips] == [("point", "a point is tied to several regions")]


def test_regions_inside_the_horses_rectangle_do_not_tear_it_apart(tmp_path):
    head = {**rectangle("head", 0, 0, 20, 20, label="head"), "parentID": "a"}
    points = [keypoint("nose", 5, 5, parentID="head"), keypoint("back", 50, 50, parentID="a")]
    export = read(tmp_path, [task(rectangle("a", 0, 0, 90, 90), head, *points)])
    assert (set(only_animal(export).points), only_animal(export).box) == ({"nose", "back"}, (0, 0, 0.9, 0.9))
    assert only_animal(export).category == "horse"
    assert "left out: 'head' 1" in export.notes[0]


@pytest.mark.parametrize(
    ("kind", "value", "box"),
    [
        ("polygonlabels", {"points": [[10, 20], [50, 20], [30, 80]], "polygonlabels": ["horse"]}, (0.1, 0.2, 0.4, 0.6)),
        (
            "ellipselabels",
            {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 0, "ellipselabels": ["horse"]},
            (0.3, 0.4, 0.4, 0.2),
        ),
        ("brushlabels", {"format": "rle", "rle": [0, 1], "brushlabels": ["horse"]}, None),
    ],
)
def test_outlines_that_points_hang_on_are_animals(tmp_path, kind, value, box):
    own = [region(kind, "a", value), keypoint("nose", 40, 45, "n", parentID="a")]
    other = [region(kind, "b", value), keypoint("nose", 60, 45, "m", parentID="b")]
    first, second = read(tmp_path, [task(*own, *other)]).pictures[0].animals
    assert first.box == (None if box is None else pytest.approx(box))
    assert (first.category, first.points["nose"][0], second.points["nose"][0]) == ("horse", 0.4, 0.6)
    # nothing hangs on it: not an animal, and counted
    alone = read(tmp_path, [task(region(kind, "a", value), keypoint("nose", 40, 45))])
    assert only_animal(alone).box is None
    assert f"regions of other kinds, left out: {kind.removesuffix('labels')} 1" in alone.notes[0]


def on(tag, *results, **more):
    return [{**result, "to_name": tag, **more} for result in results]


def two_pictures(*results):
    return {"data": {"image": "a.jpg", "back": "b.jpg"}, "annotations": [{"result": list(results)}]}


def test_regions_on_two_pictures_of_a_task(tmp_path):
    results = [*on("image", keypoint("nose", 1, 2, "n")), *on("back", keypoint("neck", 3, 4, "m"))]
    export = read(tmp_path, [two_pictures(*results)])
    assert [(p.names, set(p.animals[0].points)) for p in export.pictures] == [
        (("a.jpg",), {"nose"}),
        (("b.jpg",), {"neck"}),
    ]
    # tags of other names: nobody knows which is whose
    results = [*on("img1", keypoint("nose", 1, 2, "n")), *on("img2", keypoint("neck", 3, 4, "m"))]
    export = read(tmp_path, [two_pictures(*results)])
    assert not export.pictures
    assert len(export.skips) == 2
    assert all("does not say which one a region is on" in skip.reason for skip in export.skips)
    assert "name of its key" in export.skips[0].hint
    # in another task there are only points on the second
    export = read(tmp_path, [two_pictures(*results[:1]), two_pictures(*results[1:])])
    assert not export.pictures
    minimal = {"image": "a.jpg", "back": "b.jpg", "kp": [{"x": 1, "y": 2, "keypointlabels": ["nose"]}], "id": 1}
    assert "export JSON" in read(tmp_path, [minimal]).skips[0].hint


def test_lists_of_pictures_by_item_index(tmp_path):
    def listed(*results):
        return {
            "data": {"pages": ["a.jpg", "b.jpg"]},
            "annotations": [{"result": list(results)}],
            "file_upload": "t.json",
        }

    first, second = keypoint("nose", 1, 2, "n", item_index=0), keypoint("neck", 3, 4, "m", item_index=1)
    export = read(tmp_path, [listed(first, second)])
    assert [(p.names, set(p.animals[0].points)) for p in export.pictures] == [
        (("a.jpg",), {"nose"}),
        (("b.jpg",), {"neck"}),
    ]
    export = read(tmp_path, [listed(keypoint("nose", 1, 2)), listed(keypoint("nose", 1, 2, item_index=2))])
    assert [skip.reason for skip in export.skips] == [
        "the task has a list of several pictures, and its regions do not say which (item_index)",
        "a region's item_index is no picture of the task",
    ]


def test_one_bad_point_loses_only_itself_and_is_named(tmp_path):
    bad = [
        keypoint("l_eye", "x", 1),
        region("keypointlabels", "ghost", {"keypointlabels": []}),
        region("keypoint", "bare", {"x": 1, "y": 1}),
        keypoint("r_eye", 1, 1, "two"),
        keypoint("r_ear", 1, 1, "two"),
        keypoint("nose", 1, 2, "again"),
        3,
        region("rectanglelabels", "prompt", {"rectanglelabels": ["horse"]}),
    ]
    export = read(tmp_path, [task(keypoint("nose", 1, 2), *bad, keypoint("neck", 5, 6))])
    assert only_animal(export).points == {"nose": (0.01, 0.02, 2), "neck": (0.05, 0.06, 2)}
    assert sorted((skip.what, skip.reason) for skip in export.skips) == [
        ("box", "a coordinate is not a number"),
        ("point", "a coordinate is not a number"),
        ("point", "a point has no label"),
        ("point", "a point has no position"),
        ("point", "a point has several labels"),
        ("point", "a point stands twice in one place, taken once"),
        ("point", "a region is not an object"),
    ]


def test_a_horse_with_a_point_twice_leaves_the_other_one(tmp_path):
    boxes = [rectangle("a", 0, 0, 40, 100), rectangle("b", 60, 0, 40, 100)]
    points = [keypoint("nose", 10, 10, "p"), keypoint("nose", 20, 10, "q"), keypoint("nose", 90, 10, "r")]
    export = read(tmp_path, [task(*boxes, *points)])
    assert only_animal(export).points["nose"][0] == 0.9
    assert [(skip.what, skip.reason) for skip in export.skips] == [
        ("horse", "an animal has a point twice: draw a box around each horse")
    ]


def test_a_second_annotator_does_not_replace_the_more_complete_one(tmp_path):
    full = [keypoint("nose", 10, 10), keypoint("neck", 20, 10), keypoint("back", 30, 10)]
    content = {
        "id": 8,
        "data": {"image": "a.jpg"},
        "annotations": [
            {"result": full, "updated_at": "2024-01-01", "completed_by": {"id": 4, "email": "ann@stable.example"}},
            {"result": [keypoint("nose", 60, 10)], "updated_at": "2024-02-01", "completed_by": 5},
        ],
    }
    export = read(tmp_path, [content])
    assert len(only_animal(export).points) == 3
    [note] = export.notes
    for word in ("task 8", "3 points by 'ann@stable.example'", "not 1 points by 5", "up to 50 %", "(nose)"):
        assert word in note
    many = [{**content, "id": number} for number in range(30)]
    assert "10 more tasks with several annotations" in read(tmp_path, many).notes[-1]


def test_what_is_not_annotated_yet_is_told_from_other_json(tmp_path):
    predicted = {"data": {"image": "a.jpg"}, "predictions": [{"result": [keypoint("nose", 1, 2)]}]}
    drafted = {**task(), "annotations": [], "drafts": [{"result": []}]}
    assert [skip.reason for skip in read(tmp_path, [predicted, drafted]).skips] == [
        "only predictions, no annotation: accept them in Label Studio, and export again",
        "only a draft, no annotation: submit it in Label Studio, and export again",
    ]


def test_addresses_that_label_studio_signs(tmp_path):
    import base64

    for bucket in ("s3://stable/day 1/a.jpg", "gs://b/day 1/ü?.jpg"):
        coded = base64.urlsafe_b64encode(bucket.encode()).decode()
        name = bucket.split("/", 3)[3]
        for address in (
            f"/tasks/1/presign/?fileuri={coded}",
            f"https://ls.example/tasks/1/resolve/?fileuri={coded}&a=1",
        ):
            assert labelstudio_addresses.file_names(address) == (name,)
        export = read(
            tmp_path, [{**task(keypoint("nose", 1, 2)), "data": {"img": f"/x/?fileuri={coded}", "note": "b"}}]
        )
        assert export.pictures[0].names == (name,)
    assert labelstudio_addresses.file_names("/tasks/1/presign/?fileuri=%%%")[0] == "tasks/1/presign/"


def test_an_upload_whose_name_two_pictures_may_have_had(tmp_path):
    """Label Studio makes horse_1.jpg of "horse (1).jpg"."""
    uploaded = read(tmp_path, [task(keypoint("nose", 1, 2), image="/data/upload/3/aaaaaaa1-horse_1.jpg")]).pictures[0]
    assert uploaded.plain_name == "horse_1.jpg"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/horse (1).jpg").touch()
    assert PictureFinder(tmp_path).find(uploaded.names) == "photos/horse (1).jpg"
    (tmp_path / "photos/horse_1.jpg").touch()
    with pytest.raises(Unusable, match="several pictures have this name"):
        PictureFinder(tmp_path).find(uploaded.names)
    # the name that Label Studio gave it leaves no doubt
    (tmp_path / "aaaaaaa1-horse_1.jpg").touch()
    assert PictureFinder(tmp_path).find(uploaded.names) == "aaaaaaa1-horse_1.jpg"


def test_json_min_of_labels_and_what_it_loses(tmp_path):
    points = [{"x": 10, "y": 20, "width": 1, "labels": ["nose"]}, {"x": 30, "y": 20, "width": 1, "labels": ["neck"]}]
    box = [{"x": 0, "y": 0, "width": 90, "height": 90, "labels": ["horse"]}]
    record = {"image": "a.jpg", "id": 1, "label": points, "box": box, "visibility": ["hidden"], "annotation_id": 3}
    export = read(tmp_path, [record])
    assert only_animal(export) == Animal({"nose": (0.1, 0.2, 2), "neck": (0.3, 0.2, 2)}, (0, 0, 0.9, 0.9), "horse")
    assert "JSON-MIN does not say which points are 'hidden'" in export.notes[0]


def test_sizes_that_contradict_one_another(tmp_path):
    turned = keypoint("neck", 1, 1, original_width=100, original_height=200)
    [skip] = read(tmp_path, [task(keypoint("nose", 1, 1), turned)]).skips
    assert (skip.what, skip.reason) == ("picture", "regions of one picture state sizes of different shapes")
    halved = keypoint("neck", 1, 1, original_width=100, original_height=50)
    assert len(only_animal(read(tmp_path, [task(keypoint("nose", 1, 1), halved)])).points) == 2


def test_notes_of_a_region_and_the_eye_of_the_list(tmp_path):
    noted = keypoint("nose", 1, 2, meta={"text": ["occluded"]})
    export = read(tmp_path, [task(noted, keypoint("neck", 3, 4, hidden=True))])
    assert only_animal(export).points == {"nose": (0.01, 0.02, 1), "neck": (0.03, 0.04, 2)}
    assert "'switched off in the list' on a point says nothing about visibility" in export.notes[0]
