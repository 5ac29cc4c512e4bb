"""Pages are whole, offline, escaped; their pictures and figures stand inside them."""

import base64
import io
import re
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from equistera import html

VOID = {"meta", "br", "img"}


class Balance(HTMLParser):
    """Notes tags that are not closed in the order in which they were opened."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def parse(text):
    balance = Balance()
    balance.feed(text)
    balance.close()
    assert not balance.open
    assert not balance.wrong
    return "".join(balance.text)


def filled(template, **values):
    """A template of a test that has the pieces of the pages at hand."""
    pieces = '{% from "pieces.html" import figure, lines, table %}'
    return html.environment().from_string(pieces + template).render(values)


def page(title, body):
    return filled('{% extends "base.html" %}{% block body %}{{ body }}{% endblock %}', title=title, body=body)


def test_page_is_whole_and_offline():
    text = page("A & B", html.photo(np.zeros((4, 6, 3), np.uint8), "one"))
    assert text.startswith("<!doctype html>")
    assert "<title>A &amp; B</title>" in text
    parse(text)
    assert not re.search(r"(src|href)=\"(?!data:)", text), "something is loaded from outside the file"
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    "piece",
    [
        "{{ figure('', text) }}",
        "{{ table([text], []) }}",
        "{{ table(['h'], [[text]]) }}",
        "{{ lines([text]) }}",
        "{{ badge(text, 'error') }}",
        "{{ text }}",
    ],
)
def test_text_is_escaped(piece):
    shown = filled(piece, text='"><script>x</script>')
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_alternative_texts_are_escaped():
    assert 'alt="&#34;&gt;&lt;b&gt;"' in html.photo(np.zeros((2, 2, 3), np.uint8), '"><b>')


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'animals' is undefined"):
        filled("{{ animals }}")


def test_badges_and_whole_numbers_in_a_table():
    shown = filled("{{ table(['h', 'n'], [[badge('bad', 'error'), 3]]) }}")
    assert '<tr><td><span class="badge error">bad</span></td><td class="number">3</td></tr>' in shown


def test_picture_is_reduced_and_keeps_its_colours():
    rgb = np.zeros((100, 400, 3), np.uint8)
    rgb[..., 0] = 200
    piece = html.photo(rgb, "red", max_side=80)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", piece)[1])
    image = Image.open(io.BytesIO(data))
    assert image.size == (80, 20)
    assert np.abs(np.asarray(image)[10, 40].astype(int) - [200, 0, 0]).max() < 6
    assert 'alt="red"' in piece


def test_small_picture_is_not_enlarged():
    assert 'width="7" height="5"' in html.photo(np.zeros((5, 7, 3), np.uint8), max_side=640)


def make_figure(points):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot(np.linspace(0, 1, points), np.random.default_rng(0).random(points))
    return figure


def test_figure_is_svg_and_two_figures_share_no_id():
    first, second = html.plot(make_figure(5)), html.plot(make_figure(6))
    assert "<svg" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', piece)) for piece in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for piece, own in zip((first, second), ids, strict=True):
        used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", piece))
        assert used, "the figure refers to none of its clip paths"
        assert used <= own
        parse(piece)


def test_large_figure_becomes_a_png(monkeypatch):
    monkeypatch.setattr(html, "SVG_LIMIT", 1000)
    piece = html.plot(make_figure(50))
    assert "<svg" not in piece
    assert base64.b64decode(re.search(r"base64,([^\"]+)", piece)[1]).startswith(b"\x89PNG")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text_gives_a_balanced_page(texts):
    parse(
        page(texts[0], filled("{{ figure('', texts[-1]) }}{{ table(texts, [texts]) }}{{ lines(texts) }}", texts=texts))
    )
