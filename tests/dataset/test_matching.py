import json

import pytest

from equistera import skeleton
from equistera.dataset.matching import match_names, read_keypoint_map
from equistera.errors import UserError

HORSE = skeleton.load("horse26")


def test_names_are_found_in_any_order_and_spelling():
    match = match_names(["Withers", "L Eye", "r-eye"], HORSE)
    assert match.target == {"Withers": "withers", "L Eye": "l_eye", "r-eye": "r_eye"}
    assert len(match.missing) == 23
    assert match.public == ""


@pytest.mark.parametrize(
    ("name", "suggestion"), [("left_eye", "l_eye"), ("left_front_hoof", "lf_hoof"), ("r_knie", "r_knee")]
)
def test_near_misses_are_suggested_and_never_taken(name, suggestion):
    with pytest.raises(UserError, match=f"unknown keypoint '{name}', did you mean '{suggestion}'") as error:
        match_names(["nose", name], HORSE)
    assert "--keypoint-map" in error.value.hint
    assert name in error.value.hint


def test_all_problems_are_listed():
    with pytest.raises(UserError) as error:
        match_names(["nose", "Nose", "poll", "chin"], HORSE)
    assert error.value.problems == [
        "'nose' and 'Nose' both stand for 'nose'",
        "unknown keypoint 'poll'",
        "unknown keypoint 'chin'",
    ]


def test_map_renames_and_leaves_out():
    match = match_names(["left_eye", "Poll", "nose"], HORSE, {"left_eye": "l_eye", "Poll": None})
    assert match.target == {"left_eye": "l_eye", "nose": "nose"}
    assert match.ignored == ("Poll",)


@pytest.mark.parametrize(("public", "exact"), [("horse10", 14), ("animalpose", 17), ("ap10k", 15)])
def test_public_skeletons_are_reduced_to_the_exact_points(public, exact):
    names = list(skeleton.load(public).names)[::-1]
    match = match_names(names, HORSE)
    assert match.public == public
    assert len(match.target) == exact
    assert len(match.target) + len(match.ignored) == len(names)


def test_ap10k_elbows_are_the_knees_of_the_horse():
    ap10k = skeleton.load("ap10k")
    aliases = [point.aliases[0] if point.aliases else point.name for point in ap10k.keypoints]
    match = match_names(aliases, HORSE)
    assert match.target["left_elbow"] == "l_knee"
    assert "left_hip" in match.ignored


def test_a_public_skeleton_is_converted_to_itself_point_by_point():
    ap10k = skeleton.load("ap10k")
    match = match_names(ap10k.names, ap10k)
    assert match.public == ""
    assert len(match.target) == 17


def test_names_of_the_authors_of_animalpose():
    sides = [f"{side}_{part}" for side in ("left", "right") for part in ("eye", "ear")]
    legs = [f"{s}_{end}_{j}" for s in ("left", "right") for end in ("front", "back") for j in ("elbow", "knee", "paw")]
    names = [*sides, *legs, "nose", "throat", "withers", "tailbase"]
    match = match_names(names, HORSE)
    assert match.public == "animalpose"
    assert (match.target["left_back_knee"], match.target["right_front_paw"]) == ("l_hock", "rf_hoof")
    assert match.ignored == ("left_back_elbow", "right_back_elbow", "throat")


def test_public_skeleton_that_has_nothing_in_common():
    other = skeleton.parse({"keypoints": [{"name": "wing", "half": "upper", "sigma": 0.1}]}, "bird")
    with pytest.raises(UserError, match="none of the keypoints of 'horse10'"):
        match_names(skeleton.load("horse10").names, other)


def test_keypoint_map_file(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"left_eye": "L Eye", "Poll": None}))
    assert read_keypoint_map(path, HORSE) == {"left_eye": "l_eye", "Poll": None}
    path.write_text(json.dumps({"a": "l_ey", "b": 3}))
    with pytest.raises(UserError) as error:
        read_keypoint_map(path, HORSE)
    assert error.value.problems == [
        "'a': unknown keypoint 'l_ey', did you mean 'l_eye'?",
        "'b': expected a keypoint's name or null, found 3",
    ]
    path.write_text("[]")
    with pytest.raises(UserError, match="is not a keypoint map"):
        read_keypoint_map(path, HORSE)
