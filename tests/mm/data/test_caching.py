"""The crop cache in data sets, training and evaluation: the same samples as without it, to the bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from equistera.crops.store import CropStore, DecodedCrops
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.data import caching
from equistera.mm.data.caching import cache_folder, use_cache
from equistera.mm.prediction.predict import Predictor
from equistera.mm.run import preflight
from equistera.mm.run.train import TrainOptions, build_cache, train
from equistera.skeleton import load

DEMO = "configs/demo_rtmpose_t.py"
HORSE = load("horse26")
PLAIN = ["DrawGeometry", "LoadPicture", "CropToInput"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Data root with photos of noise, 1600x1200 and 640x480, an animal each, in both splits."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for i in range(1, 7):
            width, height = (1600, 1200) if i % 2 else (640, 480)
            picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            cv2.imwrite(str(root / "images" / split / f"{i}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 97])
            images.append({"id": i, "file_name": f"{i}.jpg", "width": width, "height": height})
            box = np.array([0.3, 0.3, 0.4, 0.35]) * (width, height, width, height)
            points = box[:2] + rng.uniform(0.05, 0.95, (26, 2)) * box[2:]
            annotations.append({
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": box.tolist(),
                "area": box[2] * box[3],
                "iscrowd": 0,
                "num_keypoints": 26,
                "keypoints": np.column_stack([points, np.full(26, 2)]).ravel().tolist(),
            })  # fmt: skip
        category = {"id": 1, "name": "horse", "keypoints": list(HORSE.names), "skeleton": []}
        (root / "annotations").mkdir(exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": [category]}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root


def dataset_of(root, split, cache=None, preset="aggressive", steps=PLAIN):
    config = configs.load(DEMO, ["codec.input_size=(96,96)"], data_root=str(root))
    settings = config[f"{split}_dataloader"].dataset
    pipeline = [step for step in settings.pipeline if step["type"] in steps]
    preflight.finish(config, 0)
    changes = {"augmentation": preset} if split == "train" else {}
    return DATASETS.build({**settings, "pipeline": pipeline, "cache": str(cache) if cache else None, **changes})


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """A cache of both splits."""
    from equistera.crops.build import ensure

    made = tmp_path_factory.mktemp("cache")
    for split in ("train", "val"):
        ensure(made, dataset_of(photos, split).crop_request, 10**9)
    return made


@pytest.mark.parametrize("split", ["train", "val"])
def test_cached_samples_are_the_decoded_ones(photos, folder, split):
    cached, decoded = dataset_of(photos, split, folder), dataset_of(photos, split)
    assert (type(cached.crops), type(decoded.crops)) == (CropStore, DecodedCrops)
    for epoch in range(12 if split == "train" else 1):
        for one in (cached, decoded):
            one.set_epoch(epoch)
        for i in range(len(cached)):
            a, b = cached[i], decoded[i]
            for name in ("img", "transformed_keypoints", "keypoints_visible", "input_center", "input_scale"):
                assert np.array_equal(a[name], b[name])
            assert a["img"].std() > 3


def test_occluders_take_their_textures_from_the_crops(photos, folder, monkeypatch):
    cached, decoded = dataset_of(photos, "train", folder), dataset_of(photos, "train")
    for seed in range(6):
        one, other = (d.textures.draw(np.random.default_rng(seed), avoid="") for d in (cached, decoded))
        assert np.array_equal(one, other)
    # nothing is decoded any more
    monkeypatch.setattr("equistera.crops.store.decoded", None)
    fresh = dataset_of(photos, "train", folder, steps=[*PLAIN, "Photometric"])
    for epoch in range(5):
        fresh.set_epoch(epoch)
        assert all(fresh[i]["img"].shape == (96, 96, 3) for i in range(len(fresh)))


def test_a_prediction_sees_what_an_evaluation_sees(photos, trained):
    """But for the way in which the JPEG library averages blocks."""
    config = next(trained.glob("*.py"))
    predictor = Predictor(config, trained / "best.pth", device="cpu")
    evaluated = DATASETS.build({**predictor.config.val_dataloader.dataset, "data_root": str(photos)})
    for i in range(len(evaluated)):
        info = evaluated.get_data_info(i)
        x1, y1, x2, y2 = info["bbox"][0]
        sample = predictor.sample(cv2.imread(info["img_path"])[..., ::-1], (x1, y1, x2 - x1, y2 - y1))
        difference = sample["inputs"].float() - evaluated[i]["inputs"]
        assert difference.square().mean().sqrt() < 2.5


def test_a_cache_of_other_samples_is_not_used(photos, folder):
    assert isinstance(dataset_of(photos, "train", folder, preset="light").crops, DecodedCrops)
    assert isinstance(dataset_of(photos, "train", folder / "nowhere").crops, DecodedCrops)


def test_one_cache_reaches_as_far_as_every_phase_of_a_run(photos):
    phases = [[0, "light"], [2, "aggressive"], [5, "balanced"]]
    together = dataset_of(photos, "train", preset=phases).crop_request.need(0)
    assert together == dataset_of(photos, "train", preset="aggressive").crop_request.need(0)
    assert dataset_of(photos, "val").crop_request.presets == []


@pytest.mark.parametrize(
    ("option", "configured", "found"),
    [
        (None, None, "runs/crop_cache"),
        ("auto", "elsewhere", "runs/crop_cache"),
        ("off", None, None),
        (None, "off", None),
        ("fast", None, "fast"),
        (None, "slow", "slow"),
    ],
)
def test_where_the_cache_lies(tmp_path, monkeypatch, option, configured, found):
    monkeypatch.chdir(tmp_path)
    config = configs.load(DEMO)
    config.cache.dir = configured
    assert cache_folder(config, tmp_path / "runs" / "one", option) == (found and tmp_path / found)


def test_without_room_photos_are_decoded_and_a_message_says_so(photos, tmp_path, capsys):
    config = configs.load(DEMO, ["cache.max_gb=0.00001"], data_root=str(photos))
    preflight.finish(config, 0)
    configs.write(config, use_cache(config, tmp_path / "run"))
    said = capsys.readouterr().out
    assert "limit of 0.0 MB" in said
    assert f"build_cache.py --clear --cache {tmp_path / 'crop_cache'}" in said
    assert "\n  photos are decoded at every step instead" in said
    assert not list((tmp_path / "crop_cache").glob("*.crops"))
    with pytest.raises(UserError, match=r"cache.max_gb=N raises the limit"):
        use_cache(config, tmp_path / "run", str(tmp_path / "by_name"))
    config.cache.max_gb = "much"
    with pytest.raises(UserError, match="expected a number of gigabytes above 0, found 'much'"):
        use_cache(config, tmp_path / "run")


def test_training_with_and_without(horses, tiny, tmp_path, monkeypatch):
    from equistera.mm.data.dataset import KeypointDataset

    used = []
    taken = KeypointDataset.get_data_info

    def watched(self, idx):
        info = taken(self, idx)
        used.append((Path(self.ann_file).stem, isinstance(self.crops, CropStore)))
        return info

    monkeypatch.setattr(KeypointDataset, "get_data_info", watched)
    options = tiny(**{"train_cfg.max_epochs": 1})

    def run(name, cache):
        used.clear()
        train(
            TrainOptions(DEMO, work_dir=str(tmp_path / name), data_root=str(horses), cfg_options=options, cache=cache)
        )
        return set(used)

    assert run("auto", None) == {("train", True), ("val", True)}
    assert len(list((tmp_path / "crop_cache").glob("*.crops"))) == 2
    assert run("off", "off") == {("train", False), ("val", False)}
    # a second run makes nothing
    monkeypatch.setattr(caching, "ensure", _only_finds)
    assert run("again", None) == {("train", True), ("val", True)}


def _only_finds(folder, request, max_bytes):
    from equistera.crops.build import find

    store = find(folder, request)
    assert store is not None
    return store


def test_a_cache_made_ahead_and_two_ranks_that_ask_at_once(horses, tmp_path, capsys):
    """The tool's work makes it; two processes of the tool, as a launcher starts them, share one."""
    size = ["codec.input_size=(64,64)"]
    build_cache(TrainOptions(DEMO, data_root=str(horses), cache=str(tmp_path / "ahead"), cfg_options=size))
    assert f"in {tmp_path / 'ahead'}" in capsys.readouterr().out
    assert len(list((tmp_path / "ahead").glob("horses-*.crops"))) == 2

    settings = ["--data-root", horses, "--cfg-options", *size]
    tool = Path(caching.__file__).parents[3] / "tools" / "build_cache.py"
    command = [sys.executable, tool, DEMO, "--work-dir", tmp_path / "runs" / "one", *settings]
    ranks = [
        subprocess.Popen(
            [*map(str, command)],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [rank.communicate(timeout=1800) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    assert sum(out.count("(limit") for out, _ in said) == 2
    assert len(list((tmp_path / "runs" / "crop_cache").glob("*.crops"))) == 2


def test_where_a_cache_is_required_off_is_refused(photos, tmp_path):
    config = configs.load(DEMO, data_root=str(photos))
    preflight.finish(config, 0)
    with pytest.raises(UserError, match="the crop cache is switched off"):
        use_cache(config, tmp_path / "run", "off", required=True)
