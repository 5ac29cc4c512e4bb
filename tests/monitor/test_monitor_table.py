from pathlib import Path

import pytest
from monitor_lines import epochs, val

from equistera.monitor.advice import Finding, advise
from equistera.monitor.follow import labels, report, status_line
from equistera.monitor.summary import Summary


def seen(run, findings=None):
    summary = Summary(run, now=run.last_write + 1)
    return summary, advise(summary) if findings is None else findings


def rows(text):
    """Cells of a report about one run by the names of their rows."""
    return {name: cell.strip() for name, _, cell in (line.partition("  ") for line in text.splitlines())}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["w/rtmpose"], ["rtmpose"]),
        (["w/rtmpose", "w/hrnet"], ["rtmpose", "hrnet"]),
        (["a/run", "b/run"], ["a/run", "b/run"]),
        (["a/x/run", "b/x/run", "b/y/run"], ["a/x/run", "b/x/run", "b/y/run"]),
    ],
)
def test_labels_are_as_short_as_they_can_be(paths, expected):
    assert labels([Path(path) for path in paths]) == expected


def test_one_run(make_run):
    lines = [
        *epochs(1, 4, **{"lr/stem": 0.0, "lr/head": 1e-3}),
        val(2, AP=0.75, **{"PCK@0.1": 0.9, "PCK@0.1/nose": 0.25}) | {"train_subset/AP": 0.8},
        val(4, AP=0.5),
    ]
    found = rows(report({"run": seen(make_run(lines, max_epochs=60, config="c.py"))}))
    assert found["epoch"] == "4 of 60"
    assert found["learning rate stem"] == "0 (frozen)"
    assert found["learning rate head"] == "1.00e-03"
    assert found["best"] == "AP 0.750 at epoch 2"
    assert found["latest"] == "AP 0.500 at epoch 4"
    assert found["training subset - validation"] == "AP +0.050"
    assert found["PCK@0.1 at best"] == "0.900"
    assert found["weakest keypoint 1"] == "nose (PCK@0.1 0.25)"
    assert found["time left"] == "56 s"


def test_columns_of_several_runs_line_up(make_run):
    ours = seen(make_run([*epochs(1, 2, **{"lr/head": 1e-3}), val(2, AP=0.5)], "ours", max_epochs=2), [])
    other = seen(make_run([*epochs(1, 3), {"PCK": 0.25, "step": 3}], "other"), [])
    lines = report({"ours": ours, "other": other}).splitlines()
    column = lines[0].index("other")
    assert all(line[column - 2 : column] == "  " for line in lines)
    by_name = {line.split("  ")[0]: line for line in lines}
    assert by_name["best"][column:] == "PCK 0.250 at epoch 3"
    assert by_name["learning rate head"][column:] == "-"
    assert by_name["epoch"][column:] == "3"


def test_runs_over_other_validation_sets_are_named(make_run):
    lines = [*epochs(1, 1), val(1, AP=0.5)]
    sets = {"a": "40 animals, hash 1f", "b": "52 animals, hash 2e", "foreign": None}
    runs = {name: seen(make_run(lines, name, validation=found), []) for name, found in sets.items()}
    assert (
        "! other validation sets: scores side by side say nothing about which run is better (a on 40 animals,\n"
        "  hash 1f; b on 52 animals, hash 2e)."
    ) in report(runs)
    assert "validation sets" not in report({name: runs[name] for name in ("a", "foreign")})


def test_unknown_rows_are_left_out(make_run):
    text = report({"run": seen(make_run(epochs(1, 1)), [])})
    for name in ("config", "phase", "time left", "latest", "resumed", "unreadable"):
        assert name not in text
    assert "not evaluated yet" in text


def test_unreadable_lines_are_told(make_run):
    assert rows(report({"run": seen(make_run([*epochs(1, 1), "{", "{"]))}))["unreadable lines in the log"] == "2"


def test_findings_name_their_run_where_there_are_several(make_run):
    run = make_run(epochs(1, 1))
    finding = Finding("plateau", "no change", "Do something")
    one = report({"a": seen(run, [finding])})
    assert "! plateau: no change." in one
    assert "Do something." in one
    assert "! plateau (b): no change." in report({"a": seen(run, []), "b": seen(run, [finding])})


def test_long_options_stay_in_one_piece(make_run):
    option = "--cfg-options " + "optim_wrapper.optimizer." + "x" * 60
    text = report({"a": seen(make_run(epochs(1, 1)), [Finding("k", "word " * 30, f"Use {option}")])})
    assert option.split()[1] in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_status_line(make_run):
    run = make_run([*epochs(1, 2, loss=0.25), val(1, AP=0.75), val(2, AP=0.5)], max_epochs=4)
    expected = "run: epoch 2 of 4, loss 0.25, lr 1.0e-03, AP 0.500 (best 0.750 at 1), 2 s left"
    assert status_line("run", seen(run)[0]) == expected


def test_an_epoch_that_is_not_done_is_not_rounded_up(make_run):
    run = make_run(epochs(1, 3, steps=100)[:-1], max_epochs=3, steps_per_epoch=100)
    assert "epoch 2.9 of 3" in status_line("run", Summary(run))
