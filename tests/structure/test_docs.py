"""What the documentation names is there, and what is public is documented."""

import re
from pathlib import Path

import pytest

import xoffset

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
API = (ROOT / "docs" / "api.md").read_text()
SPACES = ("filtering", "flags", "formats", "masking", "plotting", "recipes", "synthetic")
# Named in a table of the page, not one by one.
WITHOUT_ENTRY = {"flags.FLAGS"}


def documented():
    """Names behind the autodoc directives of the page of the API."""
    return set(re.findall(r"auto(?:function|class|data|exception):: xoffset\.([\w.]+)", API))


def summed_up():
    """Names in the list at its top."""
    return set(re.findall(r"^   ([\w.]+)$", API.partition("```\n")[0], re.MULTILINE))


def public():
    """Public names: of the package, and of the namespaces that list theirs."""
    yield from (name for name in xoffset.__all__ if name not in SPACES)
    for space in SPACES:
        yield from (f"{space}.{name}" for name in getattr(getattr(xoffset, space), "__all__", ()))


def is_there(name):
    found = xoffset
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_every_public_name_is_documented():
    assert {name for name in public() if callable(eval(f"xoffset.{name}"))} - documented() - WITHOUT_ENTRY == set()


def test_the_list_of_the_api_is_complete():
    lacking = {name for name in documented() if not name.startswith("formats.")} - summed_up()
    assert lacking <= {"recipes.Recipe", "filtering.Bandpass"}
    assert not {name for name in summed_up() if not is_there(name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_that_a_page_names_are_documented(page):
    named = set(re.findall(r"\{py:obj\}`xoffset\.([\w.]+)`", page.read_text()))
    modules = {name for name in named if name in SPACES or name.split(".")[0] == "accessor"}
    assert named - modules - documented() == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_files_that_a_page_links_to_are_there(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    lost = {target for target in targets if "://" not in target and not (page.parent / target).exists()}
    assert lost == set()


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_tests_that_a_page_names_are_there(page):
    named = set(re.findall(r"\b((?:tests|benchmarks|docs)/[\w/]+\.py)\b", page.read_text()))
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_page_stands_in_the_navigation():
    reached = {"index"}
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
            for entry in re.findall(r"^(?!:)(\S+)$", block, re.MULTILINE):
                found = page.parent.glob(f"{entry}.md")
                reached |= {str(each.resolve().relative_to(ROOT / "docs").with_suffix("")) for each in found}
    assert {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in PAGES} == reached
