"""``--recommend`` in a config: what is measured, printed and handed on."""

import pytest

from equistera.errors import UserError
from equistera.mm.run import recommending
from equistera.mm.run.recommending import recommended
from equistera.training.fit import Costs, StepTime
from equistera.training.options import TrainOptions

HRNET = "configs/hrnet_w32_ap10k.py"


@pytest.fixture
def measured(monkeypatch):
    """Input sizes that are measured; each step takes a second."""
    sizes = []

    def measure(config, network, *_):
        sizes.append((tuple(config.codec.input_size), network.input_size, config.train_dataloader.batch_size))
        return Costs((StepTime(0, 1.0),), evaluation=4.0, start_up=10.0)

    monkeypatch.setattr(recommending, "measure", measure)
    monkeypatch.setattr(recommending, "mixed_precision_pays", lambda: False)
    return sizes


def options(horses, tmp_path, *own, **changes):
    given = {"max_time": "10m", "from_scratch": True, **changes}
    workers = [f"{loader}.num_workers=0" for loader in ("train_dataloader", "val_dataloader")]
    return TrainOptions(
        HRNET, work_dir=str(tmp_path / "run"), data_root=str(horses), cfg_options=[*workers, *own], **given
    )


def test_hrnet_gets_what_fits_its_minutes(horses, tmp_path, measured, capsys):
    chosen = recommended(options(horses, tmp_path, "train_dataloader.batch_size=4"))
    assert measured == [((64, 64), (64, 64), 4), ((128, 128), (128, 128), 4)]
    assert "codec.input_size=(64,64)" in chosen.cfg_options
    assert "codec.type=UDPHeatmap" in chosen.cfg_options
    assert "train_dataloader.dataset.augmentation=light" in chosen.cfg_options
    # the own ones are there, once
    assert [one for one in chosen.cfg_options if "batch_size" in one] == ["train_dataloader.batch_size=4"]
    said = capsys.readouterr().out
    assert "input: 64 px instead of 256" in said
    assert "batch: 4, as --cfg-options says" in said
    # what was handed on is a run that can be
    codec = recommending.settle(chosen).config.codec
    assert (codec.type, codec.heatmap_size) == ("UDPHeatmap", (16, 16))


def test_a_size_or_a_codec_that_was_given_is_measured_and_kept(horses, tmp_path, measured, capsys):
    own = "codec.input_size=(96,96)", "codec.heatmap_size=(24,24)", "codec.unbiased=True"
    chosen = recommended(options(horses, tmp_path, "train_dataloader.batch_size=4", *own))
    assert measured == [((96, 96), (96, 96), 4)]
    assert not any(one.startswith("codec.type") for one in chosen.cfg_options)
    assert "input: 96 px, as --cfg-options says" in capsys.readouterr().out


def test_it_is_for_runs_from_scratch_in_a_time(horses, tmp_path, measured):
    with pytest.raises(UserError, match="--max-time"):
        recommended(options(horses, tmp_path, max_time=None))
    with pytest.raises(UserError, match="random weights"):
        recommended(options(horses, tmp_path, "train_dataloader.batch_size=4", from_scratch=False))
