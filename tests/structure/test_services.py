"""The table of the services' parameters and products: nothing lacks, and what it names is there."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs"))
import _services


def test_every_row_has_a_place_and_a_test():
    assert list(_services.faults()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"place": ""}, "M1 is empty"),
        ({"place": "xoffset.recipes.MpicOpt.bond"}, "M1: there is no xoffset.recipes.MpicOpt.bond"),
        ({"test": "recipes/test_mpic.py::test_nothing"}, "M1: there is no recipes/test_mpic.py::test_nothing"),
        ({"test": "recipes/none.py::test_x"}, "M1: there is no recipes/none.py::test_x"),
        ({"number": "M0"}, "rows that lack or are too many: ['M0', 'M1']"),
    ],
)
def test_a_row_that_is_wrong_is_told(change, fault, monkeypatch):
    monkeypatch.setattr(_services, "ROWS", [_services.ROWS[0]._replace(**change), *_services.ROWS[1:]])
    assert fault in list(_services.faults())
