"""Photos behind drawn horses."""

import io

import numpy as np
import pytest
from PIL import Image

from equistera.errors import UserError
from equistera.synthetic import photo_backdrop
from equistera.synthetic.sample import make_sample
from equistera.synthetic.writer import write_dataset

SIZE = (160, 120)


@pytest.fixture
def photos(tmp_path):
    """A folder with one blue, one red photo, and half of one."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, color in (("blue.jpg", (20, 40, 240)), ("below/red.png", (240, 40, 20))):
        Image.new("RGB", (300, 500), color).save(folder / name)
    (folder / "cut.jpg").write_bytes((folder / "blue.jpg").read_bytes()[:-200])
    return folder


def test_what_cannot_be_read_is_named_and_left_out(photos):
    found, notes = photo_backdrop.find(photos)
    assert [path.name for path in found] == ["red.png", "blue.jpg"]
    assert len(notes) == 1
    assert "cut.jpg" in notes[0]
    for path in found:
        path.unlink()
    with pytest.raises(UserError, match="none of 1 picture"):
        photo_backdrop.find(photos)


@pytest.mark.parametrize("size", [(160, 120), (90, 400), (1000, 700)])
def test_a_part_of_a_photo_has_the_pictures_size(photos, size):
    found, _ = photo_backdrop.find(photos)
    painted = photo_backdrop.paint(np.random.default_rng(0), found[1:], size)
    assert painted.shape == (size[1], size[0], 3)
    assert painted.dtype == np.float32
    assert np.abs(painted - (20, 40, 240)).max() < 12


def test_horses_stand_before_the_photo_and_their_labels_stay_on_them(photos):
    found, _ = photo_backdrop.find(photos)
    blue = [path for path in found if path.name == "blue.jpg"]
    for index in range(3):
        made = make_sample(3, "train", index, SIZE, backdrops=blue)
        assert made.jpeg == make_sample(3, "train", index, SIZE, backdrops=blue).jpeg
        picture = np.asarray(Image.open(io.BytesIO(made.jpeg)).convert("RGB")).astype(int)
        is_blue = picture[..., 2] - picture[..., 0] > 100
        assert is_blue.mean() > 0.2
        x, y, _ = made.labels[0].keypoints[made.labels[0].keypoints[:, 2] == 2].round().astype(int).T
        assert is_blue[y, x].mean() < 0.35


def test_a_data_set_says_how_many_photos_it_has_and_is_the_same_with_any_number_of_workers(photos, tmp_path):
    found, _ = photo_backdrop.find(photos)
    one, two = (write_dataset(tmp_path / str(n), {"train": 5}, size=SIZE, workers=n, backdrops=found) for n in (1, 2))
    for name in ("demo_data.json", "images/train/000004.jpg"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert '"backdrops": 2' in (one / "demo_data.json").read_text()
