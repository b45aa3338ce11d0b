"""The protocol that every matcher answers: those of the registry, and one that only this file knows."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays.matching.options import MATCHERS, as_matcher
from xoffset._arrays.matching.protocol import Matcher
from xoffset.model.flags import FLAGS

OPTIONS = {"template": 16, "search": 4, "step": 16}
FIELDS = (
    "dx", "dy", "score", "peak_gap", "variance_dx", "variance_dy", "covariance", "valid_fraction", "flags",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Still(Matcher):
    """Finds that nothing has moved, with a score of its own."""

    score: float = 0.5

    def check(self, lattice, prefilter, *, is_uniform):
        if len(lattice.templates) > 1:
            raise ValueError("one template is needed")

    def match_tile(self, images, tile, guide, *, pairs, lattice, prefilter):
        rows, columns = (part.stop - part.start for part in tile)
        out = np.zeros((len(FIELDS), len(pairs), rows, columns), dtype=lattice.dtype)
        out[FIELDS.index("score")] = self.score
        return out

    def scores_per_shift(self, templates):
        return 3

    def memory(self, lattice, prefilter, pairs):
        return 5e9


@pytest.fixture(scope="module")
def stack():
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    return synthetic.stack((96, 112), dates=dates, field="constant", velocity=12.0)[0]


@pytest.mark.small
@pytest.mark.parametrize("is_lazy", [False, True])
def test_a_matcher_that_the_library_does_not_know(stack, is_lazy):
    images = stack.chunk(y=40, x=50) if is_lazy else stack
    shifts = xoffset.correlate(images, xoffset.pairs(stack), matcher=Still(0.25), **OPTIONS)
    assert isinstance(shifts.dx.data, np.ndarray) != is_lazy
    assert shifts.sizes == {"pair": 3, "y": 6, "x": 7}
    assert not shifts.flags.any()
    for name, value in {"dx": 0.0, "dy": 0.0, "score": 0.25, "sigma_dx": 0.0}.items():
        assert (shifts[name] == value).all()
    assert not {"false_alarm", "template_size", "mismatch"} & set(shifts)
    *_, last = json.loads(shifts.attrs["processing"])
    assert last["matcher"] == {"name": "still", "score": 0.25, "module": __name__}


@pytest.mark.small
def test_its_shifts_are_extended(stack):
    network, options = xoffset.pairs(stack), OPTIONS | {"matcher": Still()}
    before = xoffset.correlate(stack[:2], xoffset.pairs(stack[:2]), **options)
    extended = xoffset.extend(before, stack, network, **options)
    xr.testing.assert_identical(extended, xoffset.correlate(stack, network, **options))
    with pytest.raises(ValueError, match="got matcher="):
        xoffset.extend(before, stack, network, **OPTIONS, matcher=Still(0.75))


@pytest.mark.small
def test_its_cost_is_what_it_says(stack):
    network = xoffset.pairs(stack)
    cost, usual = (
        xoffset.estimate(stack, network, matcher=matcher, calibrate=False, **OPTIONS) for matcher in (Still(), "ncc")
    )
    assert cost.shifts == 3 * usual.shifts
    assert 5e9 < cost.memory_per_core < 5.1e9
    assert cost.compile_seconds == 0.0
    assert xoffset.estimate(stack, network, matcher=Still(), **OPTIONS).cpu_seconds >= 0.0


@pytest.mark.small
def test_it_refuses_what_does_not_suit_it(stack):
    with pytest.raises(ValueError, match="one template is needed"):
        xoffset.correlate(stack, xoffset.pairs(stack), matcher=Still(), template=(16, 32))


@pytest.mark.small
@pytest.mark.parametrize("name", MATCHERS)
def test_matchers_of_the_registry_answer(name):
    matcher = as_matcher(name, "correlate")
    assert isinstance(matcher, Matcher)
    assert type(matcher).__name__.lower() == name
    assert getattr(xoffset, type(matcher).__name__) is type(matcher)
    assert dataclasses.replace(matcher) == matcher
    assert set(FIELDS) <= set(matcher.fields((64,)))
    assert matcher.ways == 1
    assert matcher.scores_per_shift((64,)) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        matcher.min_valid = 0.1


@pytest.mark.small
@pytest.mark.parametrize("value", ["best", None, 3, xoffset.NCC, Still, ["ncc"]])
def test_what_is_no_matcher_is_refused(value):
    with pytest.raises(ValueError, match=r"correlate\(\) needs matcher 'ncc', 'phase', .*or one .*Pass matcher='ncc'"):
        as_matcher(value, "correlate")


@pytest.mark.small
def test_an_object_that_is_no_dataclass_is_refused(stack):
    class Loose(Still):
        pass

    plain = type("Plain", (), {name: value for name, value in vars(Still).items() if not name.startswith("__")})()
    assert as_matcher(Loose(), "correlate") == Loose()
    with pytest.raises(ValueError, match="needs matcher"):
        xoffset.correlate(stack, xoffset.pairs(stack), matcher=plain)


@pytest.mark.small
@pytest.mark.parametrize("name", ["name", "module"])
def test_options_whose_names_the_record_needs_are_refused(name):
    fields = [(name, str, dataclasses.field(default="mine"))]
    matcher = dataclasses.make_dataclass("Named", fields, bases=(Still,), frozen=True)()
    with pytest.raises(ValueError, match=f"got Named with '{name}'. Rename that option"):
        as_matcher(matcher, "correlate")


def test_ncc_says_its_ways_and_layers():
    both = xoffset.NCC(both_ways=True)
    assert both.ways == 2
    assert both.scores_per_shift((16, 32)) == 4
    assert both.fields((16, 32))[-3:] == ("template_size", "back_dx", "back_dy")
    assert FLAGS["forward_backward"] == 1 << 9
