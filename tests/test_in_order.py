import threading
import time

import pytest

from equistera.in_order import in_order


def test_results_keep_the_order_of_the_items():
    delays = [0.03, 0, 0.02, 0, 0.01]
    results = in_order(lambda i: time.sleep(delays[i]) or i, range(5), threads=3, ahead=3)
    assert list(results) == [0, 1, 2, 3, 4]


def test_work_runs_ahead_but_not_further_than_allowed():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    results = in_order(lambda i: i, items(), threads=2, ahead=5)
    assert next(results) == 0
    assert len(taken) == 6


def test_one_thread_works_in_order():
    seen = []
    list(in_order(seen.append, range(50), threads=1, ahead=10))
    assert seen == list(range(50))


def test_an_error_comes_where_the_result_would_and_threads_end():
    def function(i):
        if i == 3:
            raise ValueError("three")
        return i

    before = threading.active_count()
    results = in_order(function, range(1000), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert threading.active_count() == before
