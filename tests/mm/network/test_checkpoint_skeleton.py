import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera import skeleton as skeletons
from equistera.checkpoints import manifest
from equistera.mm.network.checkpoint_skeleton import skeleton_of_checkpoint
from equistera.mm.network.transfer import channel_sources


def content_with(channels, **meta):
    return {"state_dict": {"head.final_layer.weight": torch.zeros(channels, 4, 1, 1)}, "meta": meta}


def openmmlab_meta(skeleton, name):
    return {"dataset_name": name, "keypoint_id2name": dict(enumerate(skeleton.names)), "sigmas": skeleton.sigmas}


def test_the_skeleton_that_our_checkpoint_names():
    names = list(skeletons.load("animalpose").names)
    found, how = skeleton_of_checkpoint(content_with(20, skeleton={"name": "zoo", "keypoints": names}), "x.pth")
    assert found == skeletons.load("animalpose")
    assert how == "animalpose (20 keypoints), as the checkpoint's meta.skeleton says"


def test_the_skeleton_that_openmmlab_names():
    found, how = skeleton_of_checkpoint(
        content_with(17, dataset_meta=openmmlab_meta(skeletons.load("ap10k"), "ap10k")), "renamed.pth"
    )
    assert found == skeletons.load("ap10k")
    assert "meta.dataset_meta" in how


def test_an_order_of_ones_own_is_not_taken_for_the_built_in_one():
    names = list(skeletons.load("ap10k").names[::-1])
    found, _ = skeleton_of_checkpoint(content_with(17, skeleton={"name": "reversed", "keypoints": names}), "x.pth")
    assert found.name == "reversed"
    assert found.names == tuple(names)
    assert all(math.isnan(sigma) for sigma in found.sigmas)


@pytest.mark.parametrize("name", ["hrnet_w32_ap10k", "hrnet_w32_animalpose", "rtmpose_m_ap10k"])
def test_the_skeleton_of_a_published_file_name(name, tmp_path):
    entry = manifest()[name]
    channels = len(skeletons.load(entry.skeleton))
    found, how = skeleton_of_checkpoint(content_with(channels), tmp_path / entry.file_name)
    assert found.name == entry.skeleton
    assert how.endswith(f"as the file name says ({name})")


def test_a_published_file_with_keypoints_of_humans_is_not_guessed():
    content = content_with(17)
    found, how = skeleton_of_checkpoint(content, manifest()["cspnext_l_aic_coco"].file_name)
    assert found is None
    assert "'coco17'" in how


@pytest.mark.parametrize(("channels", "name"), [(17, "ap10k"), (20, "animalpose"), (22, "horse10"), (26, "horse26")])
def test_the_number_of_channels_is_a_stated_guess(channels, name):
    found, how = skeleton_of_checkpoint(content_with(channels), "mine.pth")
    assert found.name == name
    assert "a guess" in how


def test_no_skeleton_for_an_unknown_number_of_channels_or_no_head():
    assert skeleton_of_checkpoint(content_with(133), "x.pth") == (
        None,
        "the checkpoint does not say what its 133 keypoints are",
    )
    found, how = skeleton_of_checkpoint({"state_dict": {"backbone.a": torch.zeros(1)}}, "/tmp/x.pth")
    assert found is None
    assert how == "x.pth has no output layer for keypoints"


def test_names_that_do_not_fit_the_channels_are_not_believed():
    names = list(skeletons.load("ap10k").names)
    found, how = skeleton_of_checkpoint(content_with(26, skeleton={"name": "ap10k", "keypoints": names}), "x.pth")
    assert found.name == "horse26"
    assert "a guess" in how


@pytest.mark.parametrize(
    "meta",
    [
        None,
        "text",
        {"skeleton": None, "dataset_meta": None},
        {"skeleton": {"keypoints": "nose"}},
        {"skeleton": {"name": 3, "keypoints": [1] * 17}},
        {"skeleton": {"keypoints": ["nose"] * 17}},
        {"dataset_meta": {"keypoint_id2name": {"0": "nose", 5: 4}}},
        {"dataset_meta": {"keypoint_id2name": ["nose"]}},
    ],
)
def test_malformed_meta_information_is_no_answer(meta):
    content = {**content_with(17), "meta": meta}
    found, how = skeleton_of_checkpoint(content, "x.pth")
    assert found.name == "ap10k"
    assert "a guess" in how


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["skeleton", "dataset_meta", "keypoints", "name", "source", "keypoint_id2name"])
            | st.integers(0, 3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(meta=JSON_LIKE, channels=st.integers(1, 4))
def test_any_meta_information_gives_a_skeleton_of_that_size_or_a_reason(meta, channels):
    found, how = skeleton_of_checkpoint({**content_with(channels), "meta": meta}, "x.pth")
    assert found is None or len(found) == channels
    assert how


def test_the_file_of_a_custom_skeleton_is_read_for_its_correspondences(tmp_path, own_skeleton_file):
    table = {"horse26": {"nose": {"source": "snout", "match": "exact"}, "neck": {"source": "nape", "match": "near"}}}
    path = own_skeleton_file(tmp_path / "zoo.json", ["nape", "snout"], table)
    meta = {"name": "zoo", "source": str(path), "keypoints": ["nape", "snout"]}
    found, _ = skeleton_of_checkpoint(content_with(2, skeleton=meta), "x.pth")
    rows = {row.target: (row.source, row.match) for row in channel_sources(found, skeletons.load("horse26"))}
    assert rows["nose"] == ("snout", "exact")
    assert rows["neck"] == ("nape", "near")
    assert rows["l_eye"] == ("", "random")

    path.write_text("{", encoding="utf-8")
    found, _ = skeleton_of_checkpoint(content_with(2, skeleton=meta), "x.pth")
    assert (found.name, found.names) == ("zoo", ("nape", "snout"))
