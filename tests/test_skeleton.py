import copy
import json

import numpy as np
import pytest

from equistera import skeleton
from equistera.skeleton import SkeletonError

TINY = {
    "keypoints": [
        {"name": "nose", "swap": "", "half": "upper", "sigma": 0.02, "weight": 1.0},
        {"name": "l_eye", "swap": "r_eye", "half": "upper", "sigma": 0.03, "weight": 0.5, "aliases": ["left eye"]},
        {"name": "r_eye", "swap": "l_eye", "half": "lower", "sigma": 0.04},
    ],
    "links": [["nose", "l_eye"], ["r_eye", "nose"]],
}


def changed(**keypoint_1):
    content = copy.deepcopy(TINY)
    content["keypoints"][1].update(keypoint_1)
    return content


@pytest.mark.parametrize(
    ("name", "count"),
    [("horse26", 26), ("ap10k", 17), ("animalpose", 20), ("horse10", 22), ("superanimal_quadruped", 39)],
)
def test_builtin_skeletons_load_and_mirror_onto_themselves(name, count):
    loaded = skeleton.load(name)
    assert len(loaded) == len(loaded.names) == count
    assert np.array_equal(loaded.flip_indices[loaded.flip_indices], np.arange(count))
    assert (loaded.sigmas > 0).all()
    assert loaded.link_indices.shape == (len(loaded.links), 2)


def test_values_of_a_small_skeleton():
    tiny = skeleton.parse(TINY, "tiny")
    assert tiny.names == ("nose", "l_eye", "r_eye")
    assert tiny.flip_indices.tolist() == [0, 2, 1]
    assert tiny.sigmas.tolist() == [0.02, 0.03, 0.04]
    assert tiny.weights.tolist() == [1.0, 0.5, 1.0]
    assert tiny.link_indices.tolist() == [[0, 1], [2, 0]]
    assert [k.side for k in tiny.keypoints] == ["middle", "left", "right"]
    assert tiny.link_colors[0].tolist() == list(skeleton.SIDE_COLORS["left"])


def test_horse26_knows_left_from_right():
    for keypoint in skeleton.load("horse26").keypoints:
        expected = {"l": "left", "r": "right"}.get(keypoint.name[0] if keypoint.swap else "", "middle")
        assert keypoint.side == expected, keypoint.name


def test_a_users_own_file(tmp_path):
    path = tmp_path / "donkey.json"
    path.write_text(json.dumps(TINY))
    assert skeleton.load(path).name == "donkey"


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (changed(name="nose"), "duplicate name 'nose'"),
        (changed(aliases=["NOSE"]), "duplicate name 'nose'"),
        (changed(swap="nose"), "l_eye: swaps with nose, but nose swaps with ''"),
        (changed(swap="r_ey"), "l_eye: swap 'r_ey' is not a keypoint, did you mean 'r_eye'?"),
        (changed(swap=3), "l_eye: swap must be a name, found 3"),
        (changed(sigma=0), "l_eye: sigma must be a positive number, found 0"),
        (changed(sigma=float("nan")), "l_eye: sigma must be a positive number, found nan"),
        (changed(sigma=10**400), "l_eye: sigma must be a positive number, found 1000"),
        (changed(sigma="0.1"), "l_eye: sigma must be a positive number, found '0.1'"),
        (changed(weight=-1), "l_eye: weight must be a number of at least 0, found -1"),
        (changed(half="front"), "l_eye: half must be one of ('upper', 'lower'), found 'front'"),
        (changed(side="west"), "l_eye: side must be one of"),
        (changed(side="left"), "must be left and right"),
        (changed(sigmma=1), "l_eye: unknown field 'sigmma', did you mean 'sigma'?"),
        (changed(color=[0, 0]), "l_eye: color must be"),
        ({**TINY, "links": [["nose", "r_eeye"]]}, "unknown keypoint 'r_eeye', did you mean 'r_eye'?"),
        ({**TINY, "links": [["nose", "nose"]]}, "joins a keypoint with itself"),
        ({**TINY, "links": ["nose"]}, "is not a pair of names"),
        ({**TINY, "link": []}, "unknown field 'link', did you mean 'links'?"),
        ({**TINY, "correspondence": {"ap10k": {"Nose": {"source": "nose", "match": "maybe"}}}}, "ap10k/Nose: expected"),
        (
            {**TINY, "correspondence": {"ap10k": {"L_Eye": {"source": "l_eey", "match": "exact"}}}},
            "ap10k/L_Eye: unknown keypoint 'l_eey', did you mean 'l_eye'",
        ),
        (
            {**TINY, "correspondence": {"horse26": {"nose_": {"source": "nose", "match": "exact"}}}},
            "horse26/nose_: horse26 has no keypoint 'nose_', did you mean 'nose'",
        ),
        (changed(description="\ud800"), "a text holds half of a character"),
        ({"keypoints": []}, "'keypoints' must be a list with at least one entry"),
        ({"keypoints": [{"swap": ""}]}, "keypoint 0 has no name"),
        ([], "expected an object"),
    ],
)
def test_every_problem_is_named(content, finding):
    with pytest.raises(SkeletonError) as caught:
        skeleton.parse(content, "broken")
    assert finding in str(caught.value)


def test_a_missing_sigma_is_a_problem():
    content = copy.deepcopy(TINY)
    del content["keypoints"][0]["sigma"]
    with pytest.raises(SkeletonError, match="nose: sigma is missing"):
        skeleton.parse(content, "broken")


def test_all_problems_come_at_once():
    content = changed(sigma=-1, half="none")
    content["links"].append(["nose", "tail"])
    with pytest.raises(SkeletonError) as caught:
        skeleton.parse(content, "broken")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("name", "finding"),
    [("horse62", "did you mean 'horse26'"), ("missing.json", "cannot read skeleton file")],
)
def test_an_unknown_skeleton(name, finding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SkeletonError, match=finding):
        skeleton.load(name)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_file_that_is_not_json(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(SkeletonError, match="is not JSON"):
        skeleton.load(path)


def test_columns_put_another_order_right():
    tiny = skeleton.parse(TINY, "tiny")
    assert tiny.columns_of(["R-Eye", "Left_Eye", "NOSE"]).tolist() == [2, 1, 0]


def test_columns_name_what_is_missing_unknown_and_doubled():
    tiny = skeleton.parse(TINY, "tiny")
    with pytest.raises(SkeletonError) as caught:
        tiny.columns_of(["nose", "Nose", "tail", "l_eye"])
    assert caught.value.problems == [
        "keypoint 'nose' stands twice ('nose' and 'Nose')",
        "unknown keypoint 'tail'",
        "missing keypoint 'r_eye'",
    ]


def test_ap10k_files_carry_other_names_than_the_schema():
    file_names = ["left_eye", "right_eye", "nose", "neck", "root_of_tail", "left_shoulder", "left_elbow"]
    file_names += ["left_front_paw", "right_shoulder", "right_elbow", "right_front_paw", "left_hip", "left_knee"]
    file_names += ["left_back_paw", "right_hip", "right_knee", "right_back_paw"]
    assert skeleton.load("ap10k").columns_of(file_names).tolist() == list(range(17))


def test_correspondence_reads_forwards_backwards_and_by_name():
    horse, ap10k, horse10 = (skeleton.load(name) for name in ("horse26", "ap10k", "horse10"))
    forwards = {c.target: c for c in horse.correspondence_from(ap10k)}
    assert (forwards["l_elbow"].source, forwards["l_elbow"].exact) == ("L_Shoulder", True)
    assert not forwards["back"].exact
    backwards = {c.target: c.source for c in ap10k.correspondence_from(horse)}
    assert backwards["L_Shoulder"] == "l_elbow"
    assert len(backwards) == 15
    assert "L_Hip" not in backwards
    assert sum(c.exact for c in horse.correspondence_from(horse10)) == 14
    assert {c.target for c in horse.correspondence_from(horse)} == set(horse.names)


def test_a_file_is_named_as_a_skeleton_by_all_of_its_points_and_no_other():
    ap10k = skeleton.load("ap10k")
    assert ap10k.is_named(reversed(ap10k.names))
    assert not ap10k.is_named(ap10k.names[1:])
    assert not ap10k.is_named([*ap10k.names, "wing"])
    assert [one.name for one in skeleton.builtin()] == skeleton.builtin_names()
