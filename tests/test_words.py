import pytest

from equistera.words import counted


@pytest.mark.parametrize("nouns", ["pictures", "batches", "boxes", "entries", "GPUs", "loader workers"])
def test_one_is_no_plural(nouns):
    one = {"batches": "batch", "boxes": "box", "entries": "entry"}.get(nouns, nouns[:-1])
    assert [counted(n, nouns) for n in (0, 1, 2)] == [f"0 {nouns}", f"1 {one}", f"2 {nouns}"]
