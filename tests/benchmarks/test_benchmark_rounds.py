import pytest
from speed.rounds import Case, Spread, in_turn, rate


def test_contestants_work_in_turn_and_ratios_are_taken_within_a_round():
    order, speeds = [], {"ours": iter([4.0, 40.0, 12.0]), "stock": iter([2.0, 10.0, 4.0])}

    def contestant(name):
        def work():
            order.append(name)
            return next(speeds[name])

        return work

    case = in_turn(Case("a race", "laps"), {name: contestant(name) for name in speeds}, rounds=3)
    assert order == ["ours", "stock"] * 3
    # the ratio of the medians would be 12 / 4 too, but the spread is that of 2, 4 and 3
    assert case.ratio("ours", "stock") == Spread(3.0, 2.0, 4.0)
    assert case.text().splitlines() == [
        "a race",
        "  ours                    12 (4-40) laps/s, 83.3 ms each",
        "  stock                   4 (2-10) laps/s, 250 ms each",
        "  ours / stock: 3 (2-4) times",
    ]


def test_aims_choose_the_ratios_and_stand_beside_them():
    case = Case("a race", "laps", {"stock": [1.0], "a": [3.0], "b": [6.0]}, {"b/stock": 5.0, "c/stock": 1.0})
    assert case.pairs() == [("b", "stock")]
    assert "b / stock: 6 (6-6) times, aim 5" in case.text()
    assert case.as_json()["ratios"] == {"b/stock": {"median": 6.0, "low": 6.0, "high": 6.0, "aim": 5.0}}
    assert case.as_json()["rates"]["a"] == {"median": 3.0, "low": 3.0, "high": 3.0, "rounds": [3.0]}


def test_a_rate_counts_what_was_done_in_the_time_it_took(monkeypatch):
    now = iter([0.0, 0.4, 0.9, 1.2, 1.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    assert rate(lambda: 5, seconds=1.0) == pytest.approx(15 / 1.5)
