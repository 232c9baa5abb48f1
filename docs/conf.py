"""Sphinx settings. `make docs` turns every warning into an error."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import temporal_jepa

project = "temporal-jepa"
author = "The temporal-jepa authors"
copyright = author
version = release = temporal_jepa.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"temporal-jepa {release}"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_mock_imports = ["aeon"]
GALLERY = Path(__file__).parents[1] / "examples" / "gallery"
sphinx_gallery_conf = {
    "examples_dirs": str(GALLERY),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",  # all run
    "ignore_pattern": "public_data",
    # A notebook is one file: it writes the helper that the stories import.
    "first_notebook_cell": "%%writefile public_data.py\n"
    + (GALLERY / "public_data.py").read_text("utf-8"),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "ignore_repr_types": r"matplotlib\.",  # of figures and their parts
    "parallel": 2,
}
suppress_warnings = ["config.cache", "sphinx_gallery.space_in_filename"]
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def mark_code(app, what, name, obj, options, lines):
    """Turn `name` into ``name``: docstrings use Markdown's marks, reStructuredText doubles them."""
    lines[:] = re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", "\n".join(lines)).split(
        "\n"
    )


def close_lists(app, what, name, obj, options, lines):
    """Add the blank line that reStructuredText requires after an indented part."""
    for i in range(len(lines) - 1, 0, -1):
        here, above = (
            len(line) - len(line.lstrip()) for line in (lines[i], lines[i - 1])
        )
        if lines[i].strip() and lines[i - 1].strip() and above > here:
            lines.insert(i, "")


def setup(app):
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", close_lists, priority=600)  # after it
