"""Configuration of the documentation site; `make docs` builds it without a network."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from semcom import threads

threads.limit(1)  # in the kernels of the notebooks, which inherit it

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "semcom"
author = "semcom contributors"
project_copyright = "semcom contributors, Apache License 2.0"
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = [
    "generated_pages",
    "mathml",
    "plain_docstrings",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "myst_nb",
]
exclude_patterns = ["_build", "_extensions", "reference/generated_properties.md", "reference/generated_scenarios.md"]
nitpicky = True
# Types of other packages; their documentation is elsewhere, and nothing is fetched at build time.
nitpick_ignore_regex = [(r"py:.*", r"(?!(semcom|channels)\.).*")]
suppress_warnings = ["bibtex.missing_field"]  # specifications of 3GPP have no year

html_theme = "furo"
html_title = f"semcom {release}"
html_static_path = ["_static"]
html_css_files = ["semcom.css"]
html_copy_source = False
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3

# Notebooks run once for each version of their code, from a cache; SEMCOM_DOCS_EXECUTE=off shows them without results.
nb_execution_mode = os.environ.get("SEMCOM_DOCS_EXECUTE", "cache")
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_timeout = 3600  # seconds a cell: one trains a network, which takes long on a busy machine
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

bibtex_bibfiles = ["../semcom/report/references.bib"]
bibtex_default_style = "unsrtalpha"
