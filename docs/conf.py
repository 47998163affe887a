"""Builds the documentation: `python -m sphinx -W -b html docs docs/_build`.

The pages in reference/ are generated from the config schema and the command line.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "nnzoo"
author = "the nnzoo authors"
version = release = version_of("nnzoo")

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"nnzoo {version}"
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Generates the reference before Sphinx looks for its pages."""
    from generate import write_reference

    write_reference(Path(app.srcdir) / "reference")
