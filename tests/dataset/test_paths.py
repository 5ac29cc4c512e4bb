import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.dataset.images import ImageError
from equistera.dataset.paths import check_inside


class TestInside:
    def test_joins(self, tmp_path):
        assert check_inside(tmp_path, "a.jpg") == tmp_path / "a.jpg"
        assert check_inside(tmp_path, "day 1/a..b.jpg") == tmp_path / "day 1" / "a..b.jpg"
        assert check_inside(tmp_path, r"day1\a.jpg") == tmp_path / "day1" / "a.jpg"
        assert check_inside(tmp_path, "./10:30:00.jpg") == tmp_path / "10:30:00.jpg"

    @pytest.mark.parametrize(
        "name",
        [
            "../a.jpg",
            "x/../../a.jpg",
            r"..\a.jpg",
            "/etc/passwd",
            r"\a.jpg",
            "C:/a.jpg",
            r"c:\a.jpg",
            r"\\host\share\a",
        ],
    )
    def test_refuses_what_leads_out(self, tmp_path, name):
        with pytest.raises(ImageError, match="leads out of the picture folder"):
            check_inside(tmp_path, name)

    @pytest.mark.parametrize("name", ["", "  ", "a\0.jpg", None, 5, ["a.jpg"]])
    def test_refuses_what_is_no_name(self, tmp_path, name):
        with pytest.raises(ImageError, match="must be text"):
            check_inside(tmp_path, name)

    @pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "\ud800.jpg", "day\ud800/a.jpg"])
    def test_refuses_what_no_file_can_be_called(self, tmp_path, name):
        with pytest.raises(ImageError, match=r"is too long|no file name can have"):
            check_inside(tmp_path, name, links=True)

    def test_links(self, tmp_path):
        root, other = tmp_path / "images", tmp_path / "private"
        root.mkdir()
        other.mkdir()
        (other / "a.jpg").touch()
        (root / "a.jpg").symlink_to(other / "a.jpg")
        (root / "folder").symlink_to(other)
        (root / "inner").symlink_to(root)
        with pytest.raises(ImageError, match="a symbolic link goes to"):
            check_inside(root, "a.jpg")
        assert check_inside(root, "a.jpg", links=True) == root / "a.jpg"
        for links in (False, True):
            with pytest.raises(ImageError, match="a symbolic link goes to"):
                check_inside(root, "folder/a.jpg", links=links)
        assert check_inside(root, "inner/b.jpg") == root / "inner" / "b.jpg"

    @given(st.lists(st.sampled_from(["..", ".", "a", "b c", "C:", "\\", "/", "//", ""])).map("/".join) | st.text())
    def test_never_outside(self, tmp_path_factory, name):
        root = tmp_path_factory.getbasetemp() / "root"
        try:
            path = check_inside(root, name)
        except ImageError:
            return
        assert path.resolve().is_relative_to(root.resolve())
