import dataclasses
import json

import pytest

from equistera.errors import UserError
from equistera.training.options import TrainOptions, make_record, with_record


def test_a_work_dir_that_no_record_can_name_is_refused():
    assert TrainOptions("a.py", work_dir="wörk").folder.name == "wörk"
    with pytest.raises(UserError, match=r"w\\udcff has a name that is not UTF-8"):
        _ = TrainOptions("a.py", work_dir="w\udcff").folder


def test_what_is_said_now_takes_the_place_of_what_was_said_then_by_any_name(tmp_path):
    begun = TrainOptions("a.py", str(tmp_path), seed=5, cache="off", cfg_options=["data_root=then", "ema=None"])
    (tmp_path / "run.json").write_text(json.dumps({"record": make_record(begun, tmp_path / "a.py", None)}))
    now = TrainOptions(None, str(tmp_path), resume=True, data_root="now", seed=0, cfg_options=["cache.dir=auto"])
    options = with_record(now)
    assert options.cfg_options == ["ema=None", "cache.dir=auto"]
    # 0 is a seed
    assert (options.data_root, options.seed, options.cache) == ("now", 0, None)
    assert with_record(dataclasses.replace(now, seed=None)).seed == 5


def test_what_nobody_gave_stays_known_where_the_record_is_asked_twice(tmp_path):
    """The tool asks for the device, the training for the rest: code that the record names is refused by both."""
    begun = TrainOptions("a.py", str(tmp_path), cfg_options=["custom_hooks=[dict(type='os.system')]", "ema=None"])
    (tmp_path / "run.json").write_text(json.dumps({"record": make_record(begun, tmp_path / "a.py", None)}))
    once = with_record(TrainOptions(None, str(tmp_path), resume=True, cfg_options=["ema.share=0.1"]))
    assert once.recorded == begun.cfg_options
    assert with_record(once) == once
