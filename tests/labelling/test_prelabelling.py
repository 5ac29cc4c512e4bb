import pytest
from PIL import Image

from equistera.errors import UserError
from equistera.labelling.prelabelling import PrelabelOptions, settled

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture
def folder(tmp_path):
    """Two folders of pictures, and weights that are only there."""
    for name in ("one/a.png", "one/b.png", "two/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 10)).save(tmp_path / name)
    (tmp_path / "weights.pth").write_bytes(b"weights")
    return tmp_path


def settle(folder, *pictures, **options):
    given = {"to": "labelstudio", "out": str(folder / "tasks.json"), **options}
    words = [DEMO, str(folder / "weights.pth"), *(str(folder / name) for name in pictures)]
    return settled(PrelabelOptions(words=words, **given))


def test_folders_and_pictures_below_their_common_folder(folder):
    assert settle(folder, "one").source.names == ["a.png", "b.png"]
    source = settle(folder, "one", "two/c.png", "one/a.png").source
    assert (source.folder, source.names) == (folder, ["one/a.png", "one/b.png", "two/c.png"])


def test_a_model_is_named_by_its_weights(folder):
    name, digest = settle(folder, "one").model.split()
    assert (name, len(digest)) == ("weights", 8)


def test_order_of_a_table(folder):
    table = folder / "one/chosen.csv"
    table.write_text("file,source\nb.png,x\ngone.png,x\n")
    job = settle(folder, "one", order=str(table))
    assert job.order == ["b.png"]
    assert job.notes == [
        "--order names 1 picture not among those given",
        "--order does not name 1 of the pictures: they come last, by name",
    ]
    table.write_text("name\nb.png\n")
    with pytest.raises(UserError, match="expected a column 'file'"):
        settle(folder, "one", order=str(table))
    table.write_text("file\n../x.png\n")
    with pytest.raises(UserError, match="names none of the pictures"):
        settle(folder, "one", order=str(table))
    assert settle(folder, "one", order="name").order == ["a.png", "b.png"]
    with pytest.raises(UserError, match="no such file: worth"):
        settle(folder, "one", order="worth")


@pytest.mark.parametrize(
    ("pictures", "options", "message"),
    [
        ((), {}, "which pictures"),
        (("three",), {}, "no such picture or folder"),
        (("one",), {"to": "cvat"}, r"ends in \.xml, for --to cvat"),
        (("one",), {"category": " "}, "the animal needs a name"),
        (("one",), {"ann_file": "no.json"}, "no such file: no.json"),
        (("one",), {"ann_file": "no.json", "det": "rtmdet"}, "both say where to look"),
        (("one",), {"batch_size": 0}, "at least 1"),
        (("one",), {"det_thr": 0.4}, "which detector is meant"),
    ],
)
def test_refusals_before_a_network_is_loaded(folder, pictures, options, message):
    with pytest.raises(UserError, match=message):
        settle(folder, *pictures, **options)


def test_what_the_animals_are_called(folder):
    assert settle(folder, "one").word("") == "horse"
    assert settle(folder, "one").word("donkey") == "donkey"
    assert settle(folder, "one", category="mule").word("donkey") == "mule"


def test_nothing_that_is_there_is_overwritten(folder):
    beside = folder / "tasks_labelling.xml"
    beside.touch()
    with pytest.raises(UserError, match=r"exist already[^$]*tasks_labelling\.xml"):
        settle(folder, "one")
    assert settle(folder, "one", overwrite=True)
