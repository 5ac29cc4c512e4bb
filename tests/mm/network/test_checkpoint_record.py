"""What a checkpoint says of itself decides: what contradicts it is refused by name."""

import json

import pytest
import torch

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.network.checkpoint_record import other_animals, refuse_contradictions, settings_digest
from equistera.mm.prediction.predict import Predictor

DEMO = "configs/demo_rtmpose_t.py"
HORSE = skeletons.load("horse26")


def load(*overrides, path=DEMO):
    return configs.load(path, overrides)


def content_of(config, skeleton=HORSE, **meta):
    """What a checkpoint of ours says of a run with this config."""
    flips = skeleton.flip_indices.tolist()
    said = {"name": skeleton.name, "source": "", "keypoints": list(skeleton.names), "flip_indices": flips}
    said = {"config": config.pretty_text, "skeleton": said, "equistera_version": "0", **meta}
    return {"state_dict": {"head.final_layer.weight": torch.zeros(len(skeleton), 4, 1, 1)}, "meta": said}


def contradictions(content, config, skeleton=HORSE):
    with pytest.raises(UserError) as caught:
        refuse_contradictions(content, "best.pth", config, skeleton)
    return caught.value


def test_its_own_config_is_no_contradiction_nor_is_what_training_alone_reads():
    config = load("train_cfg.max_epochs=7", "data_root=elsewhere", "model.head.gau_cfg.dropout_rate=0.5")
    refuse_contradictions(content_of(load()), "best.pth", config, HORSE)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("codec.input_size=(64,64)", "codec.input_size: (128,128) in best.pth, (64,64) in the config"),
        ("codec.sigma=(5,5)", "codec.sigma: (8,8) in best.pth, (5,5) in the config"),
        ("codec.use_dark=True", "codec.use_dark: False in best.pth, True in the config"),
        ("model.data_preprocessor.bgr_to_rgb=False", "model.data_preprocessor.bgr_to_rgb: True in best.pth, False in"),
        ("model.backbone.act_cfg.type=ReLU", "model.backbone.act_cfg.type: SiLU in best.pth, ReLU in the config"),
    ],
)
def test_settings_that_contradict_it_are_refused_by_name(override, said):
    error = contradictions(content_of(load()), load(override))
    assert "does not belong to this config" in error.summary
    assert len(error.problems) == 1
    assert error.problems[0].startswith(said)


def test_a_setting_of_the_codec_that_one_side_alone_has_counts():
    config = load()
    config.codec.label_smooth_weight = 0.1
    problem = "codec.label_smooth_weight: 0.0 in best.pth, 0.1 in the config"
    assert contradictions(content_of(load()), config).problems == [problem]
    assert contradictions(content_of(config), load()).problems == [
        "codec.label_smooth_weight: 0.1 in best.pth, 0.0 in the config"
    ]
    # what is said and what is so by default are the same
    config.codec.label_smooth_weight = 0.0
    refuse_contradictions(content_of(load()), "best.pth", config, HORSE)


def test_the_hint_leads_on():
    trained = load("codec.input_size=(64,64)", "codec.sigma=(6,6)")
    error = contradictions(content_of(trained), load())
    words = error.hint.split("--cfg-options ")[1].replace("'", "").split()
    refuse_contradictions(content_of(trained), "best.pth", load(*words), HORSE)


def test_a_heatmap_network_fits_pictures_of_any_size_and_is_refused_all_the_same():
    hrnet = "configs/hrnet_w32_ap10k.py"
    smaller = load("codec.input_size=(192,192)", "codec.heatmap_size=(48,48)", path=hrnet)
    error = contradictions(content_of(load(path=hrnet)), smaller)
    assert [problem.split(":")[0] for problem in error.problems] == ["codec.heatmap_size", "codec.input_size"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((), ["codec.unbiased=True"], "codec.unbiased: False in best.pth, True in the config"),
        (["codec.type=UDPHeatmap"], (), "codec.type: UDPHeatmap in best.pth, MSRAHeatmap in the config"),
        ((), ["codec.type=UDPHeatmap"], "codec.type: MSRAHeatmap in best.pth, UDPHeatmap in the config"),
    ],
)
def test_another_way_to_decode_heatmaps_is_refused_whoever_wrote_the_checkpoint(one, other, said):
    hrnet = "configs/hrnet_w32_ap10k.py"
    trained, given = (load(*options, path=hrnet) for options in (one, other))
    assert contradictions(content_of(trained), given).problems == [said]
    stock = {"state_dict": {}, "meta": {"cfg": content_of(trained)["meta"]["config"], "mmengine_version": "0.10"}}
    assert contradictions(stock, given).problems == [said]


def test_a_heatmap_network_of_an_earlier_version_is_still_its_own():
    earlier, now = (load(path="configs/hrnet_w32_ap10k.py") for _ in range(2))
    earlier.model.test_cfg.shift_heatmap = True
    refuse_contradictions(content_of(earlier), "best.pth", now, HORSE)
    assert settings_digest(earlier, HORSE) == settings_digest(now, HORSE)


def test_what_stock_mmpose_says_of_its_codec_counts_and_its_own_words_do_not():
    cfg = "codec = dict(type='SimCCLabel', input_size=(192, 256), sigma=(8, 8), normalize=False)\n"
    cfg += "model = dict(type='TopdownPoseEstimator', data_preprocessor=dict(type='PoseDataPreprocessor'))"
    content = content_of(load())
    content["meta"] = {"cfg": cfg, "mmengine_version": "0.10"}
    error = contradictions(content, load())
    assert error.problems == ["codec.input_size: (192,256) in best.pth, (128,128) in the config"]
    refuse_contradictions(content, "best.pth", load("codec.input_size=(192,256)"), HORSE)


def other(tmp_path, change):
    """horse26 changed by a function, as a skeleton of the user's own."""
    content = json.loads((skeletons.BUILTIN_DIR / "horse26.json").read_text(encoding="utf-8"))
    content.pop("correspondence", None)
    change(content["keypoints"])
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return skeletons.load(path)


def test_as_many_keypoints_in_another_order_are_refused(tmp_path):
    turned = other(tmp_path, lambda points: points.append(points.pop(0)))
    error = contradictions(content_of(load()), load(), turned)
    assert "other keypoints than those of skeleton 'mine'" in error.summary
    assert error.problems[0] == f"keypoint 1: 'nose', not {turned.names[0]!r}"
    assert "--skeleton" in error.hint


def test_other_pairs_of_left_and_right_are_refused(tmp_path):
    def unpaired(points):
        for point in points:
            if point["name"] in ("l_eye", "r_eye"):
                point.pop("swap")

    error = contradictions(content_of(load()), load(), other(tmp_path, unpaired))
    assert error.problems == [
        "left and right: 'l_eye' is mirrored to 'r_eye', not 'l_eye'",
        "left and right: 'r_eye' is mirrored to 'l_eye', not 'r_eye'",
    ]


def test_keypoints_of_stock_mmpose_are_compared_as_well():
    names = list(skeletons.load("ap10k").names)
    content = content_of(load(), skeletons.load("ap10k"))
    content["meta"] = {"dataset_meta": {"keypoint_id2name": dict(enumerate(names[1:] + names[:1]))}}
    assert contradictions(content, load(), skeletons.load("ap10k")).problems[0].startswith("keypoint 1:")
    content["meta"] = {"dataset_meta": {"keypoint_id2name": dict(enumerate(names))}}
    refuse_contradictions(content, "best.pth", load(), skeletons.load("ap10k"))


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"config": None, "skeleton": None},
        {"config": "codec = (", "skeleton": {"keypoints": 3, "flip_indices": "x"}},
        {"config": "codec = " + "[" * 500, "equistera_version": 1},
        {"config": "codec = __import__('os').system('false')\nmodel.x = 1\na, b = 1, 2"},
    ],
)
def test_what_says_nothing_contradicts_nothing(meta):
    refuse_contradictions({**content_of(load()), "meta": meta}, "best.pth", load(), HORSE)


@pytest.mark.parametrize(
    ("said", "animals", "sentence"),
    [
        ({"animals": ["dog"]}, ["horse"], "it has learned to find dog, the pose model knows horse"),
        ({"animals": ["horse", "Dog"]}, ["horse"], "it has learned to find dog, horse, the pose model knows horse"),
        ({"animals": ["Horse"]}, ["horse"], ""),
        ({"animals": ["dog"]}, [], ""),
        ({"skeleton": {"name": "ap10k", "keypoints": ["L_Eye", "R_Eye"]}}, ["horse"], "labelled with the keypoints of"),
        ({"skeleton": {"name": "mine", "keypoints": list(HORSE.names[::-1])}}, ["horse"], ""),
        ({}, ["horse"], ""),
        ({"animals": 3}, ["horse"], ""),
    ],
)
def test_a_detector_of_other_animals_is_told(said, animals, sentence):
    found = other_animals(said, animals, HORSE)
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_the_digest_follows_what_outputs_follow_from():
    one = settings_digest(load(), HORSE)
    assert one == settings_digest(load("train_cfg.max_epochs=7", "model.head.gau_cfg.dropout_rate=0.5"), HORSE)
    assert one != settings_digest(load("codec.input_size=(64,64)"), HORSE)
    assert one != settings_digest(load(), skeletons.load("ap10k"))


def test_a_trained_network_is_not_used_against_its_own_word(trained, tiny, tmp_path):
    best = trained / "best.pth"
    assert Predictor(DEMO, best, cfg_options=tiny()).skeleton == HORSE
    with pytest.raises(UserError, match="does not belong to this config") as caught:
        Predictor(DEMO, best, cfg_options=[*tiny(), "codec.sigma=(5,5)"])
    assert caught.value.problems == ["codec.sigma: (8,8) in best.pth, (5,5) in the config"]
    other(tmp_path, lambda points: points.reverse())
    with pytest.raises(UserError, match="other keypoints"):
        Predictor(DEMO, best, cfg_options=tiny(), skeleton=str(tmp_path / "mine.json"))


def test_the_skeleton_of_a_checkpoint_is_followed_while_it_is_there(trained, tiny, tmp_path):
    other(tmp_path, lambda points: points.reverse())
    mine = tmp_path / "mine.json"
    content = torch.load(trained / "best.pth", weights_only=True)
    names = list(skeletons.load(mine).names)
    content["meta"]["skeleton"] = {"name": "mine", "source": str(mine), "keypoints": names}
    torch.save(content, tmp_path / "best.pth")
    assert Predictor(DEMO, tmp_path / "best.pth", cfg_options=tiny()).skeleton.name == "mine"
    mine.unlink()
    with pytest.raises(UserError, match="other keypoints than those of skeleton 'horse26'"):
        Predictor(DEMO, tmp_path / "best.pth", cfg_options=tiny())
