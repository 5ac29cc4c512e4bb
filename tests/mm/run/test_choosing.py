"""``tools/recommend.py``: what is measured, printed and written."""

import json

import pytest

from equistera.errors import UserError
from equistera.mm.run import choosing
from equistera.training.fit import Costs, StepTime
from equistera.training.options import TrainOptions


@pytest.fixture
def measured(monkeypatch):
    """Configs that are measured; a step takes a second, and nothing else takes time."""
    inputs = []

    def measure(config, network, *_):
        inputs.append((config.codec.input_size, config.model.get("precision")))
        return Costs((StepTime(0, 1.0),), evaluation=0.0)

    monkeypatch.setattr(choosing, "measure", measure)
    monkeypatch.setattr(choosing, "mixed_precision_pays", lambda: False)
    return inputs


def options(horses, **changes):
    workers = [f"{loader}.num_workers=0" for loader in ("train_dataloader", "val_dataloader")]
    return TrainOptions(data_root=str(horses), cfg_options=workers, **changes)


def test_the_configs_are_measured_and_the_commands_printed(horses, tmp_path, measured, capsys):
    place = tmp_path / "advice.json"
    advice = choosing.recommended_run(options(horses, json=str(place), max_time="100h"))
    assert measured == [((256, 256), None), ((192, 192), None)]
    said = capsys.readouterr().out
    written = json.loads(place.read_text(encoding="utf-8"))
    assert written["config"] == advice.config == "configs/rtmpose_m_ap10k.py"
    assert f"--data-root {horses}" in written["commands"][-1]
    for line in written["commands"]:
        assert f"  {line}\n" in said
    assert "machine" in said
    assert "labels" in said


def test_labels_that_nothing_can_be_trained_on(tmp_path, measured):
    with pytest.raises(UserError, match="annotations"):
        choosing.recommended_run(options(tmp_path))
    assert measured == []
