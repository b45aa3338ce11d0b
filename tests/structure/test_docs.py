"""What the documentation names is there, and what is public is documented."""

import re
from pathlib import Path

import pytest

import xoffset

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
API = (ROOT / "docs" / "api.md").read_text()
SPACES = ("filtering", "flags", "formats", "masking", "plotting", "recipes", "synthetic")


def documented():
    """Names behind the autodoc directives of the page of the API."""
    return set(re.findall(r"auto(?:function|class|data|exception):: xoffset\.([\w.]+)", API))


def summed_up():
    """Names in the list at its top."""
    return set(re.findall(r"^   ([\w.]+)$", API.partition("```\n")[0], re.MULTILINE))


def public():
    """Public names that can be called: of the package, of its namespaces, and what reads and writes of each format."""
    yield from (name for name in xoffset.__all__ if callable(getattr(xoffset, name)))
    for space in (space for space in SPACES if space != "formats"):
        found = getattr(xoffset, space)
        own = [name for name, each in vars(found).items() if getattr(each, "__module__", "") == found.__name__]
        names = getattr(found, "__all__", [name for name in own if not name.startswith("_")])
        yield from (f"{space}.{name}" for name in names if callable(getattr(found, name)))
    for name in xoffset.formats.__all__:
        module = getattr(xoffset.formats, name)
        yield from (f"formats.{name}.{each}" for each in vars(module) if re.match(r"(read|write)(_|$)", each))


def is_there(name):
    found = xoffset
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_every_public_name_is_documented():
    assert set(public()) - documented() == set()


def test_the_list_of_the_api_is_complete():
    # the list leaves out formats, options of filters and what is under headings of its own
    of_lists = {
        name for name in documented() if not re.match(r"formats\.|accessor\.|filtering\.[A-Z]|recipes\.Recipe", name)
    }
    assert of_lists == summed_up()
    assert {name for name in documented() if not is_there(name)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_that_a_page_names_are_documented(page):
    named = set(re.findall(r"\{py:obj\}`xoffset\.([\w.]+)`", page.read_text()))
    assert named - set(SPACES) - documented() == set()


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
