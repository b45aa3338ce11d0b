"""Configuration of the documentation: `sphinx-build -W -b html docs docs/_build/html`, with nothing to download."""

import os
from importlib.metadata import version as version_of
from pathlib import Path

project = "xoffset"
author = "xoffset contributors"
copyright = "xoffset contributors"
release = version = version_of("xoffset")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "jupyter_execute"]
default_role = "py:obj"  # single backticks of the docstrings: a link where there is something to link to, else code

# code cells run in a folder of their own, and still read what lies here: `_benchmarks.py` and its numbers, what
# `validation/` keeps; small satellite products and results of other systems come from the generators of the tests
_ROOT = Path(__file__).parents[1]
_TESTS = _ROOT / "tests"
_FOLDERS = [str(Path(__file__).parent), str(_ROOT), str(_TESTS / "readers"), str(_TESTS / "formats")]
os.environ["PYTHONPATH"] = os.pathsep.join([*_FOLDERS, *filter(None, [os.environ.get("PYTHONPATH")])])

# Every code cell runs at every build, in a folder that is thrown away; an exception or a warning on stderr fails it.
myst_enable_extensions = ["colon_fence", "deflist"]
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "error"
nb_merge_streams = True
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "xoffset"
html_static_path = ["_static"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "xoffset"},
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
