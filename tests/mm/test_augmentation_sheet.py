import cv2
import pytest

from equistera.errors import UserError
from equistera.files import read_json
from equistera.mm.augmentation_sheet import SheetOptions, augmentation_sheet


def make(horses, folder, **changes):
    options = {"config": "configs/rtmpose_m_ap10k.py", "samples": 2, "draws": 480, "data_root": str(horses), **changes}
    return augmentation_sheet(SheetOptions(out_dir=str(folder), **options))


def test_the_sheet_and_the_numbers_of_a_phase(horses, tmp_path, capsys):
    sheet = make(horses, tmp_path / "new" / "folder")
    # two rows of an original and four versions, each 288 wide with a caption
    assert cv2.imread(str(sheet)).shape == (2 * 322 + 4, 5 * 288 + 4 * 4, 3)
    content = read_json(tmp_path / "new" / "folder" / "augmentation.json")
    assert (content["phase"], content["epochs"], content["samples"]) == (1, [1, 100], 480)
    # the guide's list, at the guide's shares and ranges, as really drawn by the config's own pipeline
    transforms = content["transforms"]
    assert set(transforms) == {
        "flip", "half_body", "rotation", "scale", "shift", "brightness", "contrast", "saturation", "hue", "blur",
        "noise", "dropout", "occlusion",
    }  # fmt: skip
    assert {name: row["note"] for name, row in transforms.items() if row["note"]} == {}
    assert transforms["rotation"]["low"] < -36 < 36 < transforms["rotation"]["high"]
    assert transforms["scale"]["low"] < 0.73 < 1.27 < transforms["scale"]["high"]
    assert set(transforms["occlusion"]["kinds"]) == {"noise", "flat", "texture", "rail", "person"}
    said = capsys.readouterr().out
    assert "phase 1, 'head adaptation', epochs 1-100: 480 samples drawn" in said
    assert "rotation    100%   100.0%  -40 to 40 degrees" in said


def test_a_phase_a_seed_and_a_preset_can_be_chosen(horses, tmp_path):
    first = make(horses, tmp_path / "a", phase=3, draws=24, seed=1)
    again = make(horses, tmp_path / "b", phase=3, draws=24, seed=1)
    other = make(horses, tmp_path / "c", phase=3, draws=24, seed=2)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    light = read_json(tmp_path / "a" / "augmentation.json")
    assert (light["epochs"], light["transforms"]["rotation"]["asked"]["range"]) == ([201, 300], [-15, 15])
    make(horses, tmp_path / "d", draws=24, cfg_options=["train_dataloader.dataset.augmentation=none"])
    assert read_json(tmp_path / "d" / "augmentation.json")["transforms"] == {}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"phase": 4}, "--phase 4: the config has 1 (head adaptation), 2 (fine-tuning), 3 (full training)"),
        ({"samples": 0}, "--samples 0: expected 1 or more"),
        ({"phase": 1, "cfg_options": ["train_cfg.max_epochs=1"]}, "--phase 1: with 1 epoch it has none"),
        ({"data_root": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_shown_is_said(changes, finding, horses, tmp_path):
    with pytest.raises(UserError) as caught:
        make(horses, tmp_path, **changes)
    assert finding in str(caught.value)


def test_a_sheet_replaces_a_sheet_and_nothing_else(horses, tmp_path):
    for _ in range(2):
        make(horses, tmp_path / "ours", draws=24)
    for name in ("augmentation.jpg", "augmentation.json"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(b"{}")
        with pytest.raises(UserError, match=f"(?s)--out.*{name}"):
            make(horses, folder, draws=24)
        assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(name, b"{}")]


def test_a_place_that_cannot_be_written_is_said_with_the_reason(horses, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write --out .*file is a file where a folder is needed"):
        make(horses, tmp_path / "file" / "below", draws=24)
