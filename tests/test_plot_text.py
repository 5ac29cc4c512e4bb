import io
import warnings

import pytest
from matplotlib.figure import Figure

from equistera.plot_text import plain


@pytest.mark.parametrize(
    "text", ["run$_$1", "a$b", "$$", r"\$x$", "_hidden", "конь", "Nüstern", "x\0\n<b>&", "x" * 300]
)
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_any_text_is_drawn_without_a_word(text, kind):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], label=plain(text))
    axes.set_yticks([0], [plain(text)])
    assert len(axes.legend().get_texts()) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format=kind)


def test_what_can_be_shown_stays():
    assert plain("Nüstern, left") == "Nüstern, left"
    assert plain("конь 2") == "???? 2"
