import pytest

from equistera.words import counted, near


@pytest.mark.parametrize("nouns", ["pictures", "batches", "boxes", "entries", "GPUs", "loader workers"])
def test_one_is_no_plural(nouns):
    one = {"batches": "batch", "boxes": "box", "entries": "entry"}.get(nouns, nouns[:-1])
    assert [counted(n, nouns) for n in (0, 1, 2)] == [f"0 {nouns}", f"1 {one}", f"2 {nouns}"]


def test_the_first_part_of_a_path_that_is_missing_is_guessed(tmp_path, monkeypatch):
    (tmp_path / "work_dirs/rtmpose_m").mkdir(parents=True)
    (tmp_path / "work_dirs/rtmpose_m/best.pth").touch()
    monkeypatch.chdir(tmp_path)
    assert near("work_dirs/rtmpose/best.pth") == ", did you mean 'rtmpose_m'?"
    assert near(tmp_path / "workdirs/rtmpose_m") == ", did you mean 'work_dirs'?"
    assert near("work_dirs/rtmpose_m/bset.pth") == ", did you mean 'best.pth'?"
    for path in ("work_dirs/nowhere.pth", "elsewhere/a", "work_dirs/rtmpose_m/best.pth/x", "work_dirs"):
        assert near(path) == ""
