import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from equistera.dataset.images import (
    MAX_PIXELS,
    ImageError,
    check_whole,
    read_header,
    read_reduced,
    read_rgb,
    read_thumbnail,
)

#: 3 wide, 2 high, every pixel its own grey
CORNERS = np.array([[10, 60, 110], [160, 210, 250]], dtype=np.uint8)

#: EXIF orientation of a stored picture, by what it does to get the upright one
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a),
}


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def checked(path):
    check_whole(path, read_header(path))


def photo(path, size=(64, 48), **options):
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([x * 255 // size[0], y * 255 // size[1], (x + y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


#: 64 wide, 32 high, every quarter its own grey
QUARTERS = np.repeat(np.kron(np.array([[20, 90], [160, 230]], np.uint8), np.ones((16, 32), np.uint8))[..., None], 3, 2)


def heic(path, pixels, turn):
    """An iPhone's photo: turned by a field of the container (irot, imir), which EXIF repeats."""
    Image.fromarray(pixels).save(path, format="HEIF", exif=turn.tobytes(), quality=95)
    return path


def exif_of(path):
    """The orientation that EXIF says, whatever readers make of it."""
    data = Image.Exif()
    data.load(pillow_heif.open_heif(path).info["exif"])
    return data[0x0112]


def png_header(path, width, height):
    """A PNG that claims a size, without the pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


class TestHeader:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
    def test_size_and_format(self, tmp_path, suffix):
        header = read_header(photo(tmp_path / f"horse.{suffix}"))
        assert (header.width, header.height, header.orientation) == (64, 48, 1)
        assert header.size == header.stored_size == (64, 48)
        assert header.format == {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_size_is_the_displayed_one(self, tmp_path, orientation, suffix):
        header = read_header(photo(tmp_path / f"horse.{suffix}", exif=exif(orientation)))
        assert header.orientation == orientation
        assert header.size == ((48, 64) if orientation >= 5 else (64, 48))
        assert header.stored_size == (64, 48)

    @pytest.mark.parametrize("value", [0, 9, 4000])
    def test_meaningless_orientation_is_upright(self, tmp_path, value):
        assert read_header(photo(tmp_path / "horse.jpg", exif=exif(value))).orientation == 1

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_damaged_exif_is_upright(self, tmp_path):
        assert read_header(photo(tmp_path / "horse.jpg", exif=b"Exif\0\0MM\0*garbage")).orientation == 1

    def test_size_comes_from_the_content_not_from_the_suffix(self, tmp_path):
        path = photo(tmp_path / "horse.jpg", format="PNG")
        assert read_header(path).format == "PNG"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the file is empty"),
            (b"<html>Please log in</html>", "found bytes b'<html>Pl'"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a damaged or unknown kind of HEIC or AVIF"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture that can be read"),
        ],
    )
    def test_other_files_are_named(self, tmp_path, content, message):
        path = tmp_path / "horse.jpg"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=message.replace("'", ".")):
            read_header(path)

    def test_missing_file_and_folder(self, tmp_path):
        with pytest.raises(ImageError, match="no such picture"):
            read_header(tmp_path / "gone.jpg")
        with pytest.raises(ImageError, match="cannot read picture"):
            read_header(tmp_path)

    def test_absurd_size_is_refused_from_the_header(self, tmp_path):
        with pytest.raises(ImageError, match="more than 200 million pixels"):
            read_rgb(png_header(tmp_path / "bomb.png", 60_000, 60_000))

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_limit_is_exact(self, tmp_path):
        assert read_header(png_header(tmp_path / "a.png", MAX_PIXELS // 10_000, 10_000)).width == 20_000
        with pytest.raises(ImageError, match="million pixels"):
            read_header(png_header(tmp_path / "b.png", MAX_PIXELS // 10_000 + 1, 10_000))


class TestDecoding:
    @pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_turned_as_displayed(self, tmp_path, orientation, suffix):
        path = tmp_path / f"grey.{suffix}"
        options = {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(CORNERS).convert("RGB").save(path, exif=exif(orientation), **options)
        pixels = read_rgb(path)
        np.testing.assert_array_equal(pixels[:, :, 0], UPRIGHT[orientation](CORNERS))
        assert read_header(path).size == pixels.shape[1::-1]

    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_heic_is_turned_once_by_its_own_field(self, tmp_path, orientation):
        path = heic(tmp_path / "horse.HEIC", QUARTERS, exif(orientation))
        assert exif_of(path) == orientation  # iPhones write both
        upright = UPRIGHT[orientation](QUARTERS[:, :, 0])
        header, pixels, small = read_header(path), read_rgb(path), read_reduced(path, 16, grey=True)
        assert (header.orientation, header.format, header.size) == (1, "HEIF", upright.shape[::-1])
        assert np.abs(pixels[:, :, 0].astype(int) - upright).max() <= 6
        assert np.abs(small.astype(int) - upright[2::4, 2::4]).mean() <= 6
        assert read_rgb("gone", path.read_bytes()).tolist() == pixels.tolist()
        path.rename(tmp_path / "IMG_1.jpg")  # sent on by programs that only change the ending
        assert read_header(tmp_path / "IMG_1.jpg") == header

    def test_exif_alone_does_not_turn_a_heic(self, tmp_path):
        path = heic(tmp_path / "horse.heic", QUARTERS, exif(1))
        content = bytearray(path.read_bytes())
        place = content.index(b"Exif\0\0") + 6
        entry = content.index(struct.pack(">HHL", 0x0112, 3, 1), place) + 8
        content[entry : entry + 2] = struct.pack(">H", 6)
        path.write_bytes(content)
        assert (exif_of(path), read_header(path).size, read_rgb(path).shape) == (6, (64, 32), (32, 64, 3))

    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_agrees_with_opencv(self, tmp_path, orientation):
        import cv2

        path = photo(tmp_path / "horse.jpg", exif=exif(orientation), quality=95)
        seen_in_training = cv2.imread(str(path))[:, :, ::-1]
        assert seen_in_training.shape == read_rgb(path).shape
        assert np.abs(seen_in_training.astype(int) - read_rgb(path)).max() <= 3

    def test_transparent_is_white(self, tmp_path):
        pixels = np.zeros((2, 2, 4), np.uint8)
        pixels[0, 0] = (255, 0, 0, 255)
        pixels[0, 1] = (0, 0, 0, 128)
        Image.fromarray(pixels).save(tmp_path / "alpha.png")
        np.testing.assert_array_equal(
            read_rgb(tmp_path / "alpha.png"), [[[255, 0, 0], [127, 127, 127]], [[255, 255, 255], [255, 255, 255]]]
        )

    def test_transparent_colour_is_white(self, tmp_path):
        Image.fromarray(CORNERS).save(tmp_path / "key.png", transparency=10)
        assert read_rgb(tmp_path / "key.png")[0, 0].tolist() == [255, 255, 255]
        assert read_rgb(tmp_path / "key.png")[0, 1].tolist() == [60, 60, 60]

    def test_sixteen_bits_keep_the_high_byte(self, tmp_path):
        Image.fromarray(CORNERS.astype(np.uint16) * 256 + 77).save(tmp_path / "deep.png")
        np.testing.assert_array_equal(read_rgb(tmp_path / "deep.png")[:, :, 1], CORNERS)
        np.testing.assert_array_equal(read_reduced(tmp_path / "deep.png", 8, grey=True), CORNERS)

    @pytest.mark.parametrize(
        ("mode", "suffix"), [("L", "png"), ("1", "png"), ("P", "png"), ("LA", "png"), ("CMYK", "jpg")]
    )
    def test_every_mode_gives_rgb(self, tmp_path, mode, suffix):
        path = tmp_path / f"picture.{suffix}"
        Image.new("RGB", (5, 4), "white").convert(mode).save(path)
        np.testing.assert_array_equal(read_rgb(path), np.full((4, 5, 3), 255))

    def test_floating_point_is_refused(self, tmp_path):
        Image.fromarray(CORNERS.astype(np.float32)).save(tmp_path / "depth.tif")
        with pytest.raises(ImageError, match="floating-point pixels"):
            read_rgb(tmp_path / "depth.tif")

    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
    def test_truncated_is_an_error(self, tmp_path, suffix):
        path = photo(tmp_path / f"cut.{suffix}", size=(300, 200))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(ImageError):
            read_rgb(path)

    def test_reduced_fits_and_is_not_enlarged(self, tmp_path):
        path = photo(tmp_path / "horse.jpg", size=(640, 320), exif=exif(6))
        assert read_reduced(path, 100).shape == (100, 50, 3)
        assert read_reduced(path, 100, grey=True).shape == (100, 50)
        assert read_reduced(path, 5000).shape == (640, 320, 3)

    def test_reduced_shows_the_same(self, tmp_path):
        path = photo(tmp_path / "horse.jpg", size=(640, 320), quality=95)
        whole = read_rgb(path).reshape(40, 8, 80, 8, 3).mean(axis=(1, 3))
        assert np.abs(read_reduced(path, 80) - whole)[2:-2, 2:-2, :2].max() < 4


class TestComplete:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "heic", "avif"])
    def test_whole_and_cut(self, tmp_path, suffix):
        path = photo(tmp_path / f"horse.{suffix}", size=(200, 150))
        checked(path)
        whole = path.read_bytes()
        for cut in (1, 20, len(whole) // 2):
            path.write_bytes(whole[:-cut])
            with pytest.raises(ImageError):
                checked(path)

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    def test_data_behind_the_end_is_fine(self, tmp_path, suffix):
        path = photo(tmp_path / f"motion.{suffix}")
        whole = path.read_bytes()
        path.write_bytes(whole + b"\0" * 100 + b"ftypmp42 a film of the horse")
        checked(path)

    def test_padding_does_not_hide_a_cut(self, tmp_path):
        path = photo(tmp_path / "holes.jpg", size=(200, 150))
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
        with pytest.raises(ImageError, match="cut short"):
            checked(path)

    def test_end_of_an_embedded_thumbnail_is_not_the_end(self, tmp_path):
        small = photo(tmp_path / "small.jpg").read_bytes()
        path = photo(tmp_path / "horse.jpg", size=(400, 300), progressive=True, exif=b"Exif\0\0" + small)
        whole = path.read_bytes()
        checked(path)
        path.write_bytes(whole[:-40])
        with pytest.raises(ImageError, match="cut short"):
            checked(path)
        path.write_bytes(whole + b"trailer")
        checked(path)


def with_thumbnail(path, thumbnail, orientation=1, size=(400, 300)):
    """A JPEG whose EXIF data hold another one, laid out as cameras do: header, IFD0, IFD1, thumbnail (EXIF 2.3)."""
    start = 8 + (2 + 12 + 4) + (2 + 24 + 4)
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8)
    exif += struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 26)
    exif += struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, start, 0x0202, 4, 1, len(thumbnail), 0)
    return photo(path, size=size, exif=exif + thumbnail)


class TestThumbnail:
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_is_read_and_turned(self, tmp_path, orientation):
        small = photo(tmp_path / "small.jpg", size=(160, 120), quality=95).read_bytes()
        path = with_thumbnail(tmp_path / "horse.jpg", small, orientation)
        grey = read_thumbnail(path)
        assert grey.shape == ((160, 120) if orientation >= 5 else (120, 160))
        assert np.abs(grey.astype(int) - read_reduced(path, 160, grey=True)).mean() < 12

    @pytest.mark.parametrize(
        ("size", "change"),
        [
            ((160, 120), lambda data: data[:50]),  # cut
            ((160, 120), lambda data: b""),
            ((160, 120), lambda data: b"GIF89a" + data),
            ((160, 90), lambda data: data),  # of another shape
            ((40, 30), lambda data: data),  # too small to tell anything
        ],
    )
    def test_is_left_alone_when_of_no_use(self, tmp_path, size, change):
        small = photo(tmp_path / "small.jpg", size=size).read_bytes()
        assert read_thumbnail(with_thumbnail(tmp_path / "horse.jpg", change(small))) is None

    def test_pictures_without(self, tmp_path):
        for suffix in ("jpg", "png", "webp", "bmp", "tif"):
            assert read_thumbnail(photo(tmp_path / f"horse.{suffix}")) is None
        assert read_thumbnail(photo(tmp_path / "turned.jpg", exif=exif(6))) is None
        with pytest.raises(ImageError, match="no such picture"):
            read_thumbnail(tmp_path / "gone.jpg")


@pytest.mark.filterwarnings("ignore::Warning")  # Pillow's, about what the test has broken
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_damaged_files_raise_nothing_but_image_errors(tmp_path, suffix):
    small = photo(tmp_path / "small.jpg", size=(64, 48)).read_bytes()
    path = tmp_path / f"good.{suffix}"
    good = with_thumbnail(path, small, 6, (80, 60)) if suffix == "jpg" else photo(path, (80, 60), exif=exif(6))
    whole = good.read_bytes()
    generator, bad = random.Random(5), tmp_path / f"bad.{suffix}"
    outcomes, messages = set(), []
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 6)):
            data[generator.randrange(min(len(data), generator.choice([40, 200, len(data)])))] = generator.randrange(256)
        if generator.random() < 0.3:
            del data[generator.randrange(len(data)) :]
        bad.write_bytes(data)
        for call in (read_header, checked, read_rgb, read_thumbnail):
            try:
                call(bad)
                outcomes.add("read")
            except ImageError as error:
                messages.append(str(error))
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
    assert all(str(bad) in message for message in messages)


def test_without_the_package_for_heic_all_else_is_read_and_it_is_named(tmp_path):
    """An environment that was made before HEIC was read."""
    heic(tmp_path / "a.heic", QUARTERS, exif(1))
    Image.fromarray(QUARTERS).save(tmp_path / "a.png")
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from equistera.dataset.images import ImageError, read_header\n"
        "print(read_header(sys.argv[1]).format)\n"
        "try:\n    read_header(sys.argv[2])\nexcept ImageError as error:\n    print(error)"
    )
    files = [str(tmp_path / "a.png"), str(tmp_path / "a.heic")]
    said = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True).stdout
    assert said.startswith("PNG\n")
    assert "HEIC needs the package pillow-heif" in said


class TestUnclearPixels:
    """Pictures that programs show in different ways."""

    RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("ending", [".png", ".tif"])
    def test_fewer_bits_than_the_file_has_are_refused(self, tmp_path, ending, channels):
        import cv2

        path = tmp_path / f"a{ending}"
        twelve = np.dstack([self.RAMP] * 3 + [np.full_like(self.RAMP, 65535)] * (channels == 4))
        twelve = self.RAMP if channels == 1 else twelve
        cv2.imwrite(str(path), twelve)
        for look in (read_rgb, checked):
            with pytest.raises(ImageError, match="black all over: has it fewer, such as 12"):
                look(path)
        cv2.imwrite(str(path), twelve * 16)
        checked(path)
        assert np.abs(read_rgb(path)[..., 0].astype(int) - (self.RAMP >> 4)).max() <= 1

    @pytest.mark.parametrize(
        ("picture", "what"),
        [
            (Image.fromarray(RAMP.astype(np.int32)), "32 bits"),
            (Image.fromarray(RAMP.astype(np.float32)), "floating-point"),
            (Image.new("LAB", (64, 48), (100, 128, 128)), "Lab colours"),
        ],
        ids=["32 bits", "float", "Lab"],
    )
    def test_pixels_that_have_several_meanings_are_refused(self, tmp_path, picture, what):
        picture.save(tmp_path / "a.tif")
        for look in (read_rgb, checked):
            with pytest.raises(ImageError, match=what) as error:
                look(tmp_path / "a.tif")
        assert "8 bits a channel" in error.value.hint
