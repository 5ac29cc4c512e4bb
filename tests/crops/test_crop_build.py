import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from crop_cases import animal, request_of, smooth_picture
from PIL import Image

from equistera import files as ground_floor
from equistera.crops import build as building
from equistera.crops.build import CacheRefused, clear, ensure, find
from equistera.crops.store import CropStore, DecodedCrops
from equistera.dataset.images import read_rgb
from equistera.errors import UserError

GB = 10**9


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.parametrize(
    "box", [(200, 150, 420, 330), (-20, -30, 300, 200), (500, 300, 640, 480), (600, 440, 700, 500)]
)
def test_a_crop_shows_its_part_of_the_photo(photo, tmp_path, box):
    path = photo()
    store = ensure(tmp_path / "cache", request_of([animal(path, box)]), GB)
    crop, ((sx, ox), (sy, oy)) = store[0]
    whole = cv2.imread(str(path)).astype(float)
    y, x = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]].astype(np.float32)
    there = cv2.remap(whole, (x * sx + ox).astype(np.float32), (y * sy + oy).astype(np.float32), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    assert np.abs(there - crop).mean() < 2
    assert not crop.flags.writeable


def test_a_large_photo_is_stored_no_finer_than_the_input_can_use(photo, tmp_path):
    path = photo(2400, 1800)
    request = request_of([animal(path, (400, 300, 2000, 1500))], presets=["none"], input_size=(64, 64))
    crop, ((sx, _), _) = ensure(tmp_path / "cache", request, GB)[0]
    assert crop.shape[1] <= 64 + 2 * 6 + 2
    # the view is 2000 pixels wide
    assert sx == pytest.approx(2000 / 64, rel=0.05)


@pytest.mark.parametrize("turn", [1, 6])
def test_an_iphones_photo_is_cut_as_it_is_displayed_with_a_cache_and_without(tmp_path, turn):
    path, exif = tmp_path / "IMG_1.HEIC", Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(smooth_picture(320, 240)).save(path, format="HEIF", exif=exif.tobytes(), quality=90)
    request = request_of([animal(path, (60, 90, 200, 220))])
    (stored, to_photo), (decoded, _) = ensure(tmp_path / "cache", request, GB)[0], DecodedCrops(request)[0]
    np.testing.assert_array_equal(stored, decoded)
    (sx, ox), (sy, oy) = to_photo
    y, x = np.mgrid[0 : stored.shape[0], 0 : stored.shape[1]].astype(np.float32)
    whole = read_rgb(path)[..., ::-1].astype(np.float32)
    there = cv2.remap(whole, (x * sx + ox).astype(np.float32), (y * sy + oy).astype(np.float32), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    assert np.abs(there - stored).mean() < 2


def test_a_second_time_nothing_is_made(photo, tmp_path, monkeypatch):
    request = request_of([animal(photo(), (200, 150, 420, 330))])
    first = ensure(tmp_path / "cache", request, GB)
    before = first[0][0].copy()
    monkeypatch.setattr(building, "_make", None)
    assert np.array_equal(ensure(tmp_path / "cache", request, GB)[0][0], before)
    assert np.array_equal(find(tmp_path / "cache", request)[0][0], before)


@pytest.mark.parametrize("change", ["content", "content with the old time", "box", "point", "preset", "input"])
def test_whatever_changes_it_is_never_stale(photo, tmp_path, change):
    path, box = photo(), (200, 150, 420, 330)
    ensure(tmp_path / "cache", request_of([animal(path, box)]), GB)
    made, changes = animal(path, box), {}
    if change.startswith("content"):
        status = path.stat()
        other = smooth_picture(640, 480, seed=9)
        path.write_bytes(
            cv2.imencode(".jpg", other, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes().ljust(status.st_size, b"\0")
        )
        assert path.stat().st_size == status.st_size
        if change != "content":
            # size and time of the file are what they were
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "box":
        made = animal(path, (201, 150, 420, 330))
    elif change == "point":
        # a half of the body is where its points are
        made.points[:] = (200, 150)
    elif change == "preset":
        changes = {"presets": ["light"]}
    else:
        changes = {"input_size": (96, 96)}
    request = request_of([made], **changes)
    assert find(tmp_path / "cache", request) is None
    again = ensure(tmp_path / "cache", request, GB)
    fresh = ensure(tmp_path / "other", request, GB)
    assert np.array_equal(again[0][0], fresh[0][0])


def test_animals_of_one_photo_and_copies_of_a_photo_each_have_a_crop(photo, tmp_path):
    path = photo(1600, 1200)
    twin = path.with_name("twin.jpg")
    os.link(path, twin)
    boxes = [(100, 100, 200, 180), (100, 100, 1500, 1100), (900, 500, 1000, 590)]
    animals = [animal(p, box) for p in (path, twin) for box in boxes]
    store = ensure(tmp_path / "cache", request_of(animals), GB)
    assert len(store) == 6
    for i in range(3):
        assert np.array_equal(store[i][0], store[i + 3][0])
    assert not np.array_equal(store[0][0].shape, store[1][0].shape)


@pytest.mark.parametrize(
    "harm", ["no index", "half an index", "short file", "other places", "another cache's", "no dictionary", "deep"]
)
def test_a_damaged_cache_is_made_anew(photo, tmp_path, harm):
    request, folder = request_of([animal(photo(), (200, 150, 420, 330))]), tmp_path / "cache"
    good = ensure(folder, request, GB)[0][0].copy()
    (cache,) = folder.glob("test-*.crops")
    index, pixels = cache / "index.json", cache / "pixels"
    content = json.loads(index.read_text())
    if harm == "no index":
        index.unlink()
    elif harm == "half an index":
        index.write_text(index.read_text()[:50])
    elif harm == "short file":
        pixels.write_bytes(pixels.read_bytes()[:-64])
    elif harm == "other places":
        index.write_text(json.dumps({**content, "crops": [[1, *content["crops"][0][1:]]]}))
    elif harm == "another cache's":
        index.write_text(json.dumps({**content, "cache": "test-0.crops"}))
    else:
        index.write_text("[" * 100_000 if harm == "deep" else "[1]")
    assert find(folder, request) is None
    assert np.array_equal(ensure(folder, request, GB)[0][0], good)


def test_damaged_pixels_are_cut_from_the_photo_and_the_next_run_makes_the_cache_anew(photo, tmp_path, capsys):
    boxes = [(200, 150, 420, 330), (100, 100, 200, 180), (300, 200, 500, 400)]
    request, folder = request_of([animal(photo(), box) for box in boxes]), tmp_path / "cache"
    good = [crop.copy() for crop, _ in map(ensure(folder, request, GB).__getitem__, range(3))]
    (pixels,) = folder.glob("*.crops/pixels")
    content = bytearray(pixels.read_bytes())
    # a bit of the first and of the last crop
    content[1000] ^= 4
    content[-100] ^= 128
    pixels.write_bytes(content)
    store = find(folder, request)
    for _ in range(2):
        for i, expected in enumerate(good):
            found, to_photo = store[i]
            assert np.array_equal(found, expected)
            assert np.array_equal(to_photo, DecodedCrops(request)[i][1])
    assert capsys.readouterr().out.count("is damaged: damaged crops are cut from their photos") == 1
    assert find(folder, request) is None
    again = ensure(folder, request, GB)
    assert all(np.array_equal(again[i][0], expected) for i, expected in enumerate(good))
    assert "is damaged" not in capsys.readouterr().out


def test_a_folder_that_is_full_is_refused_with_the_way_out_which_leads_on(photo, tmp_path, run_tool, capsys):
    path, folder = photo(), tmp_path / "cache"
    (folder / "mine.crops.txt").parent.mkdir()
    (folder / "mine.crops.txt").write_text("mine")
    requests = [request_of([animal(path, (200 + i, 150, 420, 330))], label=f"set{i}") for i in range(3)]
    size = ensure(folder, requests[0], GB).bytes
    ensure(folder, requests[1], GB)
    assert capsys.readouterr().out.startswith("crop cache: 1 animal, 0.")
    (folder / ".set9-1.crops.part").mkdir()
    with pytest.raises(CacheRefused, match=r"others there take 0\.\d MB of the limit of 0\.\d MB") as caught:
        ensure(folder, requests[2], int(2.5 * size))
    command, _, _ = caught.value.hint.partition(" removes the others")
    done = run_tool("build_cache.py", *shlex.split(command)[2:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"removed 2 crop caches ({building._mb(2 * size)}) from {folder}\n"
    assert files(folder) == ["mine.crops.txt"]
    ensure(folder, requests[2], int(2.5 * size))


def test_a_folder_that_is_not_there_is_not_cleared(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        clear(tmp_path / "nowhere")


def test_a_picture_that_changes_meanwhile_makes_no_cache(photo, tmp_path, monkeypatch):
    path, cut_all = photo(), building._cut_all

    def changing(crops):
        yield from cut_all(crops)
        path.write_bytes(path.read_bytes() + b"\0")

    monkeypatch.setattr(building, "_cut_all", changing)
    with pytest.raises(UserError, match="pictures changed while"):
        ensure(tmp_path / "cache", request_of([animal(path, (200, 150, 420, 330))]), GB)
    assert files(tmp_path / "cache") == []


def test_a_full_disk_is_said_beforehand(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "SPARE", 10**15)
    with pytest.raises(CacheRefused, match="no room for a crop cache of"):
        ensure(tmp_path / "cache", request_of([animal(photo(), (200, 150, 420, 330))]), GB)
    assert files(tmp_path / "cache") == []


def test_a_folder_that_cannot_be_written(photo, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CacheRefused, match="cannot be written"):
        ensure(tmp_path / "cache", request_of([animal(photo(), (200, 150, 420, 330))]), GB)


def test_a_photo_that_cannot_be_decoded_leaves_nothing(photo, tmp_path):
    path = photo()
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(UserError, match=r"photo\.jpg"):
        ensure(tmp_path / "cache", request_of([animal(path, (200, 150, 420, 330))]), GB)
    assert files(tmp_path / "cache") == []


#: Makes a cache of many animals on one large photo; argument: the folder that holds the photo.
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from crop_cases import animal, request_of
from equistera.crops.build import ensure
folder = Path(sys.argv[1])
photos = sorted(folder.glob("*.jpg"))
ensure(folder / "cache", request_of([animal(p, (300, 300, 900, 900)) for p in photos], input_size=(512, 512)), 10**10)
"""


@pytest.fixture
def many(photo, tmp_path):
    """Starts processes that make the same cache of 60 copies of a photo."""
    path = photo(1600, 1200)
    for i in range(60):
        os.link(path, tmp_path / f"copy{i}.jpg")

    def start(count):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(Path(__file__).parent)]
        return [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for _ in range(count)
        ]

    return start


def test_a_kill_leaves_nothing_that_is_trusted(many, tmp_path):
    (process,) = many(1)
    folder = tmp_path / "cache"
    deadline = time.monotonic() + 1800
    while not list(folder.glob(".*.crops.part/pixels")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(folder.glob("*.crops"))
    assert len(list(folder.glob(".*.crops.part"))) == 1
    photos = sorted(tmp_path.glob("*.jpg"))
    request = request_of([animal(p, (300, 300, 900, 900)) for p in photos], input_size=(512, 512))
    assert find(folder, request) is None
    (process,) = many(1)
    process.wait()
    assert process.returncode == 0
    store = find(folder, request)
    assert all(np.array_equal(store[0][0], store[i][0]) for i in range(len(store)))
    assert store[0][0].std() > 5
    assert not list(folder.glob(".*.part"))


def test_of_two_processes_one_makes_it_and_the_other_waits(many, tmp_path):
    processes = many(2)
    said = [process.communicate(timeout=1800)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("crop cache: 61 animals" in text for text in said) == 1
    assert len(list((tmp_path / "cache").glob("*.crops"))) == 1


def test_another_process_maps_the_file_itself(photo, tmp_path):
    import pickle

    store = ensure(tmp_path / "cache", request_of([animal(photo(), (200, 150, 420, 330))]), GB)
    copy: CropStore = pickle.loads(pickle.dumps(store))
    assert np.array_equal(copy[0][0], store[0][0])
    assert len(pickle.dumps(store)) < 5000


@pytest.mark.skipif(ground_floor.fcntl is None, reason="Windows locks in another way")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_at_once(photo, tmp_path, monkeypatch, code):
    def without(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ground_floor.fcntl, "flock", without)
    monkeypatch.setattr(ground_floor.time, "sleep", lambda _: pytest.fail("waits"))
    request = request_of([animal(photo(), (200, 150, 420, 330))])
    with pytest.raises(CacheRefused, match=r"cache: files there cannot be locked") as caught:
        ensure(tmp_path / "cache", request, GB)
    assert os.strerror(code) in caught.value.summary
    assert files(tmp_path / "cache") == []


@pytest.mark.skipif(ground_floor.fcntl is None, reason="Windows locks in another way")
def test_a_lock_that_is_held_is_seen(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    assert not ground_floor.in_use(path)
    with path.open("rb") as file:
        ground_floor.hold_shared(file)
        assert ground_floor.in_use(path)
    assert not ground_floor.in_use(path)
