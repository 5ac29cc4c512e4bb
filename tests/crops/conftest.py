import cv2
import pytest
from crop_cases import smooth_picture


@pytest.fixture
def photo(tmp_path):
    """Writes a smooth photo and returns its path."""

    def write(width=640, height=480, seed=0, name="photo.jpg", quality=95):
        path = tmp_path / name
        cv2.imwrite(str(path), smooth_picture(width, height, seed), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return path

    return write
