"""tools/find_label_errors.py with real networks: what is asked, of which model, about which pictures."""

import json
import runpy
import shutil
from dataclasses import fields

import numpy as np
import pytest
from mmpose.registry import KEYPOINT_CODECS

from equistera import PROJECT, skeleton
from equistera.dataset.images import read_rgb
from equistera.errors import UserError
from equistera.labelling.pool import Pool, Source
from equistera.mm.labelling import label_errors
from equistera.mm.labelling.asking import _responses, ask
from equistera.mm.labelling.label_errors import ErrorOptions, find_label_errors, out_of_fold
from equistera.mm.prediction.predict import Predictor
from equistera.mm.run.train import TrainOptions, train

SKELETON = skeleton.load("horse26")
CONFIG = "configs/demo_rtmpose_t.py"
parse_train = runpy.run_path(str(PROJECT / "tools" / "train.py"))["parse_args"]


def in_this_process(command, changes, log):
    """Stands for starting tools/train.py: the same training, without importing torch anew."""
    options = parse_train(command[2:])
    taken = {field.name for field in fields(TrainOptions)}
    train(TrainOptions(**{name: value for name, value in options.items() if name in taken}))
    return 0


@pytest.fixture(scope="module")
def animals(horses):
    source = Source("val", horses / "annotations" / "val.json", horses / "images" / "val")
    return Pool.read([source], SKELETON)


@pytest.mark.parametrize("config", [CONFIG, "configs/hrnet_w32_ap10k.py"])
def test_a_response_is_highest_where_the_answer_is(config, trained, animals, tmp_path):
    own_config = trained / "demo_rtmpose_t.py"
    predictor = Predictor(own_config, trained / "best.pth") if config == CONFIG else _untrained(config, tmp_path)
    image, own = read_rgb(animals.pictures[0].path), animals.animals_of[0]
    answers, _, _ = ask(predictor, image, animals.boxes[own], animals.points[own])
    # labels where the model itself says the points are
    points, scores, responses = ask(predictor, image, animals.boxes[own], answers[:, 0])
    assert points.shape[1:] == (4, 26, 2)
    assert scores.shape[1:] == (4, 26)
    at_home = np.diagonal(responses[:, 0], axis1=1, axis2=2)
    assert np.nanmedian(at_home) > 0.9
    assert (responses[np.isfinite(responses)] >= 0).all()
    assert np.allclose(points, answers)


@pytest.mark.parametrize("kind", ["MSRAHeatmap", "UDPHeatmap"])
def test_a_response_is_read_in_the_cell_of_the_place(kind):
    codec = KEYPOINT_CODECS.build({"type": kind, "input_size": (64, 96), "heatmap_size": (16, 24), "sigma": 1})
    cells = np.stack(np.meshgrid(np.arange(16), np.arange(24)), axis=-1).reshape(1, -1, 2)
    places = (cells * codec.scale_factor).astype(np.float32)
    maps = codec.encode(places, np.ones(places.shape[:2], np.float32))["heatmaps"]
    found = _responses([maps], places[0].astype(float), np.array([64.0, 96.0]), kind == "UDPHeatmap")
    assert np.diagonal(found) == pytest.approx(1)


def _untrained(config, folder):
    import torch
    from mmpose.registry import MODELS

    from equistera.mm import config as configs
    from equistera.mm import register  # noqa: F401

    # of other random weights more maps than half may lie below 0 everywhere, and answer nothing
    torch.manual_seed(0)
    model = MODELS.build(configs.load(config, ["codec.input_size=(64,64)", "codec.heatmap_size=(16,16)"]).model)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "some.pth")
    return Predictor(
        config, folder / "some.pth", cfg_options=["codec.input_size=(64,64)", "codec.heatmap_size=(16,16)"]
    )


def test_folds_are_trained_without_the_pictures_that_they_are_asked_about(horses, tiny, tmp_path, capsys):
    options = ErrorOptions(
        config=CONFIG,
        out=str(tmp_path / "out"),
        folds=2,
        data_root=str(horses),
        cfg_options=[*tiny(**{"train_cfg.max_epochs": 1})],
        to="coco",
        at_least=0.0,
    )
    judged = find_label_errors(options, in_this_process)
    out = tmp_path / "out"
    assert np.isfinite(judged.answers.scores).all()
    pictures = []
    for number in (1, 2):
        taught, asked = (json.loads((out / f"fold{number}" / f"{part}.json").read_text()) for part in ("train", "val"))
        names = [{image["file_name"] for image in content["images"]} for content in (taught, asked)]
        assert not names[0] & names[1]
        assert len(names[0] | names[1]) == len(judged.pool.pictures) == 20
        pictures += names[1]
        assert not (out / f"fold{number}" / "crop_cache").exists()
    assert len(set(pictures)) == 20
    assert (out / "suspects.html").is_file()
    assert len(json.loads((out / "suspects.json").read_text())["suspects"]) == len(judged.suspects)
    # a second call trains and asks nothing
    again = find_label_errors(options, _must_not_be_called)
    assert [one.odds for one in again.suspects] == [one.odds for one in judged.suspects]
    assert "2 of 2 folds are trained already" in capsys.readouterr().err
    # nor is it mixed with folds of other labels
    with pytest.raises(UserError, match="holds folds of something else, which differ in: max_time"):
        find_label_errors(ErrorOptions(**{**vars(options), "max_time": "1m"}), _must_not_be_called)


def _must_not_be_called(*_):
    raise AssertionError("a training was started")


def test_a_training_that_fails_is_said_with_its_last_words(horses, tmp_path):
    def failing(command, changes, log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("some words\nerror: no memory\n")
        return 1

    options = ErrorOptions(config=CONFIG, out=str(tmp_path), folds=2, data_root=str(horses))
    with pytest.raises(UserError, match=r"fold 1: tools/train.py ended with 1: error: no memory"):
        out_of_fold(options, failing)


def test_models_are_not_asked_about_pictures_that_they_were_trained_on(horses, trained, tmp_path, capsys):
    options = ErrorOptions(checkpoints=[str(trained)], out=str(tmp_path), data_root=str(horses))
    pool, answers = out_of_fold(options)
    asked = {pool.pictures[pool.owner[n]].source.name for n in np.flatnonzero(np.isfinite(answers.scores[:, 0]))}
    assert asked == {"val", "test"}
    told = capsys.readouterr().out
    assert "was trained on 12 of 20 pictures: not asked about them" in told
    assert "left out: 12 pictures that every model was trained on" in told


def test_a_model_that_knows_all_pictures_is_refused(horses, trained, tmp_path):
    root = tmp_path / "root"
    (root / "annotations").mkdir(parents=True)
    shutil.copytree(horses / "images" / "train", root / "images" / "train")
    shutil.copy(horses / "annotations" / "train.json", root / "annotations" / "train.json")
    options = ErrorOptions(checkpoints=[str(trained)], out=str(tmp_path), data_root=str(root))
    with pytest.raises(UserError, match="every model was trained on all 12 pictures"):
        out_of_fold(options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "CONFIG is missing"),
        ({"config": CONFIG, "at_least": 1.5, "to": "coco"}, "--at-least must be from 0 to 1"),
        ({"config": CONFIG, "at_least": 0.0}, "--at-least is for --to"),
        ({"config": CONFIG, "url_prefix": "x"}, "--url-prefix is for --to labelstudio"),
        ({"checkpoints": ["a"], "amp": True, "max_time": "1h"}, "--max-time, --amp with --checkpoints"),
        ({"checkpoints": ["a"], "folds": 5, "seed": 0}, "--folds, --seed with --checkpoints, which trains nothing"),
        ({"config": CONFIG, "max_time": "soon"}, "soon"),
        ({"config": CONFIG, "init": "gone.pth"}, "no such checkpoint: gone.pth"),
        (
            {"config": CONFIG, "cfg_options": ["train_dataloader.dataset.ann_file=x"]},
            "train_dataloader.dataset.ann_file=x: folds decide that",
        ),
        ({"config": "configs/rtmdet_tiny_animal.py"}, "is a detector's config"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(given, said, horses, tmp_path):
    with pytest.raises(UserError, match=said):
        find_label_errors(ErrorOptions(out=str(tmp_path / "out"), data_root=str(horses), **given))
    assert not (tmp_path / "out").exists()


def test_a_plan_writes_nothing(horses, tmp_path, capsys):
    options = ErrorOptions(
        config=CONFIG, out=str(tmp_path / "out"), folds=4, data_root=str(horses), max_time="2m", plan=True
    )
    assert find_label_errors(options) is None
    told = capsys.readouterr().out
    assert "4 folds of 5 to 5 pictures, 4 still to be trained" in told
    assert "about 8 min 00 s for the trainings" in told
    assert not (tmp_path / "out").exists()


def test_all_pictures_together_are_read_where_there_is_no_split(horses, tmp_path):
    root = tmp_path / "root"
    (root / "annotations").mkdir(parents=True)
    config = label_errors.configs.load(CONFIG, data_root=str(root))
    with pytest.raises(UserError, match="no annotations: none of annotations/train"):
        label_errors.sources_of(config)
    shutil.copy(horses / "annotations" / "train.json", root / "annotations" / "all.json")
    assert [source.name for source in label_errors.sources_of(config)] == ["all"]
    shutil.copy(horses / "annotations" / "val.json", root / "annotations" / "val.json")
    assert [source.name for source in label_errors.sources_of(config)] == ["val"]
