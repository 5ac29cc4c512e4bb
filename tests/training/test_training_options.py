import pytest

from equistera.errors import UserError
from equistera.training.options import TrainOptions


def test_a_work_dir_that_no_record_can_name_is_refused():
    assert TrainOptions("a.py", work_dir="wörk").folder.name == "wörk"
    with pytest.raises(UserError, match=r"w\\udcff has a name that is not UTF-8"):
        _ = TrainOptions("a.py", work_dir="w\udcff").folder
