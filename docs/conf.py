"""The site: ``python -m sphinx docs work_dirs/docs`` (pip install -e .[docs]); no network to build or to read.

Pages are the Markdown files beside this one. Tools, configs and the package are described by their own ``--help``,
source and docstrings, read when the site is built.
"""

import contextlib
import io
import json
import os
import runpy
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

PROJECT = Path(__file__).parents[1]

project = "Equistera Trainer"
extensions = [
    *("myst_parser", "sphinx_copybutton"),
    *("sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"),
]
exclude_patterns = ["reference/package/modules.rst"]
suppress_warnings = [
    "misc.highlighting_failure",  # the tutorial's lines after ! are no Python
    "ref.python",  # "number" in a signature may be the attribute of several classes
]

html_theme = "furo"
html_title = project
html_static_path, html_css_files = ["site.css"], ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00695c", "color-brand-content": "#00796b"},
    "dark_css_variables": {"color-brand-primary": "#4db6ac", "color-brand-content": "#4db6ac"},
}
highlight_language = "sh"
pygments_style, pygments_dark_style = "friendly", "monokai"

myst_heading_anchors = 3  # as GitHub makes them

apidoc_modules = [
    {"path": "../equistera", "destination": "reference/package", "separate_modules": False, "max_depth": 1}
]
autodoc_default_options = {"members": True, "exclude-members": "model_config"}  # pydantic's own
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True  # attributes stand once, in their class's docstring
add_module_names = False


class Tools(SphinxDirective):
    """A section for each tool: what its parser answers to ``--help``."""

    def run(self):
        os.environ["COLUMNS"] = "100"
        return [self.section(path, said) for path, said in map(self.asked, sorted((PROJECT / "tools").glob("*.py")))]

    def asked(self, path):
        told, was = io.StringIO(), sys.argv
        sys.argv = [path.name]  # the name that argparse shows
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            runpy.run_path(str(path))["parse_args"](["--help"])
        sys.argv = was
        return path, told.getvalue()

    def section(self, path, text, language="text"):
        self.env.note_dependency(path)
        title, name = nodes.title(text=path.name), nodes.make_id(path.stem)
        return nodes.section("", title, nodes.literal_block(text, text, language=language), ids=[name], names=[name])


class Configs(Tools):
    """A section for each config: its source, which is short and begins with its docstring."""

    def run(self):
        paths = [*sorted((PROJECT / "configs").glob("*.py")), *sorted((PROJECT / "configs/_base_").glob("**/*.py"))]
        return [self.section(path, path.read_text(encoding="utf-8"), "python") for path in paths]


def as_markdown(_app, document, source):
    """A notebook's cells."""
    if document == "tutorial":
        cells = json.loads(source[0])["cells"]
        texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        source[0] = "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in texts)


def setup(app):
    app.add_source_suffix(".ipynb", "markdown")
    app.connect("source-read", as_markdown)
    app.add_directive("tools", Tools)
    app.add_directive("configs", Configs)
