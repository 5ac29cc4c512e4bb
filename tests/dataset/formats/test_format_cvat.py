import io

import pytest

from equistera.dataset import formats
from equistera.dataset.formats import cvat
from equistera.dataset.formats.records import Animal, NotLabels, Picture
from equistera.errors import UserError


def read(tmp_path, body, head=""):
    path = tmp_path / "annotations.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>{body}</annotations>'
    )
    export = formats.read(path)
    assert export is not None
    assert export.title == "CVAT for images 1.1"
    # it writes down the size of what it shows, turned or not
    assert export.sized == "shown"
    return export


def image(*shapes, name="a.jpg"):
    return f'<image id="0" name="{name}" width="200" height="100">{"".join(shapes)}</image>'


def points(label, xy, more=""):
    return f'<points label="{label}" points="{xy}" {more}></points>'


def box(left, top, right, bottom, more="", label="horse"):
    return f'<box label="{label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" {more}/>'


def skeleton(*inner, more=""):
    return f'<skeleton label="horse" {more}>{"".join(inner)}</skeleton>'


def test_skeleton_with_occluded_and_outside_points(tmp_path):
    shapes = skeleton(
        points("nose", "10.5,20", 'outside="0" occluded="0"'),
        points("neck", "11,21", 'outside="0" occluded="1"'),
        points("back", "0,0", 'outside="1" occluded="1"'),
    )
    [picture] = read(tmp_path, image(shapes)).pictures
    assert picture == Picture(
        ("a.jpg",),
        "annotations.xml, picture a.jpg",
        (Animal({"nose": (10.5, 20, 2), "neck": (11, 21, 1), "back": (0, 0, 0)}, None, "horse"),),
        (200, 100),
    )


def test_loose_points_without_boxes_are_one_animal(tmp_path):
    [picture] = read(tmp_path, image(points("nose", "1,2"), points("neck", "3,4", 'occluded="1"'))).pictures
    assert [a.points for a in picture.animals] == [{"nose": (1, 2, 2), "neck": (3, 4, 1)}]


def test_groups_tie_points_and_boxes(tmp_path):
    shapes = [
        box(0, 0, 100, 100, 'group_id="1"'),
        box(0, 0, 90, 90, 'group_id="2"'),
        points("nose", "1,2", 'group_id="2"'),
        points("nose", "3,4", 'group_id="1"'),
    ]
    [picture] = read(tmp_path, image(*shapes)).pictures
    assert [(a.box[2], a.points["nose"][0]) for a in picture.animals] == [(100, 3), (90, 1)]


def test_box_of_a_skeleton_by_group_or_by_what_it_holds(tmp_path):
    shapes = [
        skeleton(points("nose", "10,10"), more='group_id="4"'),
        skeleton(points("nose", "150,50")),
        box(140, 40, 160, 60),
        box(90, 0, 95, 5, 'group_id="4"'),
    ]
    [picture] = read(tmp_path, image(*shapes)).pictures
    assert [a.box for a in picture.animals] == [(90, 0, 5, 5), (140, 40, 20, 20)]


def test_subsets_of_a_project(tmp_path):
    """Two tasks may each have an a.jpg; their pictures lie in images/SUBSET."""
    body = [image(points("nose", "1,2")).replace("id=", f'subset="{subset}" id=') for subset in ("train", "val")]
    assert [p.names for p in read(tmp_path, body[0]).pictures] == [("train/a.jpg", "a.jpg")]
    assert [p.names for p in read(tmp_path, "".join(body)).pictures] == [("train/a.jpg",), ("val/a.jpg",)]


def test_box_turned_about_its_centre(tmp_path):
    [picture] = read(tmp_path, image(points("nose", "50,50"), box(40, 45, 60, 55, 'rotation="90"'))).pictures
    assert picture.animals[0].box == pytest.approx((45, 40, 10, 20))


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ("", "no points or skeletons in the picture"),
        (skeleton(points("nose", "1,1", 'outside="1"')), "no points or skeletons in the picture"),
        (points("horse", "1,1;2,2;3,3"), "points without names"),
        (points("nose", "1"), "a point is not x,y"),
        (points("nose", "1,nan"), "a coordinate is not a number"),
        (points("", "1,2"), "a point's label is missing"),
        (points("nose", "1,2") + points("nose", "3,4"), "an animal has a point twice"),
    ],
)
def test_what_is_skipped_and_why(tmp_path, shapes, reason):
    export = read(tmp_path, image(points("nose", "5,5"), name="good.jpg") + image(shapes, name="bad.jpg"))
    assert [p.names for p in export.pictures] == [("good.jpg",)]
    [skip] = export.skips
    assert skip.reason.startswith(reason)
    assert "bad.jpg" in skip.where


@pytest.mark.parametrize(
    ("bad", "what", "reason"),
    [
        (box("x", 0, 1, 1), "box", "a coordinate is not a number"),
        (points("neck", "3,4"), "point", "a point belongs to no animal, while others of the picture do"),
        (points("whip", "1,1;2,2", 'group_id="1"'), "point", "points without names: one shape holds several"),
        (points("neck", "nan,2", 'group_id="1"'), "point", "a coordinate is not a number"),
    ],
)
def test_one_bad_shape_loses_only_itself(tmp_path, bad, what, reason):
    export = read(tmp_path, image(points("nose", "1,2", 'group_id="1"'), bad))
    assert [animal.points for animal in export.pictures[0].animals] == [{"nose": (1, 2, 2)}]
    [skip] = export.skips
    assert skip.what == what
    assert skip.reason.startswith(reason)


def test_picture_without_a_name(tmp_path):
    export = read(tmp_path, "<image/>")
    assert export.skips[0].reason == "the picture's name is missing"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://host.example/a.dtd">',
    ],
)
def test_entities_and_document_types_are_refused(tmp_path, head):
    with pytest.raises(UserError, match="declares a document type or entities"):
        read(tmp_path, image(points("nose", "1,2")), head)


def test_cvat_for_video_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(UserError, match=r"Export the same task as 'CVAT for images 1\.1'"):
        read(tmp_path, '<track id="0" label="horse"><points frame="0" points="1,2"/></track>')


@pytest.mark.parametrize("text", ["", "<annotations>", "no xml", "<?xml version='1.0' encoding='no-such'?><a/>"])
def test_damaged_xml(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(UserError, match="is not XML that can be read"):
        formats.read(path)


def test_xml_of_another_kind_is_not_cvat(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation><object/></annotation>")
    for name in ("auto", "cvat"):
        with pytest.raises(NotLabels, match="Pascal VOC, which has boxes and no keypoints"):
            formats.read(path, name)
    path.write_text("<html/>")
    with pytest.raises(NotLabels, match=r"not CVAT for images 1\.1: a text that starts '<html/>'"):
        formats.read(path, "cvat")


def test_what_is_written_is_read_back(tmp_path):
    animals = (
        Animal({"nose": (10.125, 20.5, 2), "neck": (199.0, 99.0, 1)}, (5.0, 6.0, 190.0, 90.0), "horse"),
        Animal({"nose": (50.0, 60.0, 2)}, (40.0, 50.0, 30.0, 20.0), "horse"),
    )
    file = io.StringIO()
    cvat.write(file, [Picture(('a"&b.jpg',), "", animals, (200, 100))], ["nose", "neck"])
    path = tmp_path / "out.xml"
    path.write_text(file.getvalue())
    [picture] = formats.read(path, "cvat").pictures
    assert picture.names == ('a"&b.jpg',)
    assert picture.animals == (
        animals[0],
        Animal({"nose": (50.0, 60.0, 2), "neck": (0.0, 0.0, 0)}, (40.0, 50.0, 30.0, 20.0), "horse"),
    )
