from equistera.names import near


def test_the_first_part_of_a_path_that_is_missing_is_guessed(tmp_path, monkeypatch):
    (tmp_path / "work_dirs/rtmpose_m").mkdir(parents=True)
    (tmp_path / "work_dirs/rtmpose_m/best.pth").touch()
    monkeypatch.chdir(tmp_path)
    assert near("work_dirs/rtmpose/best.pth") == ", did you mean 'rtmpose_m'?"
    assert near(tmp_path / "workdirs/rtmpose_m") == ", did you mean 'work_dirs'?"
    assert near("work_dirs/rtmpose_m/bset.pth") == ", did you mean 'best.pth'?"
    for path in ("work_dirs/nowhere.pth", "elsewhere/a", "work_dirs/rtmpose_m/best.pth/x", "work_dirs"):
        assert near(path) == ""
