"""What `.offset` says of its object, which methods it offers, and what flags say to a person."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset.flags import FLAGS, flag_summary, flagged

DATES = ["2020-01-01", "2020-04-01", "2020-07-01"]


@pytest.fixture(scope="module")
def objects():
    stack, _ = xoffset.synthetic.stack((72, 64), dates=DATES, field="constant", velocity=20.0)
    network = xoffset.pairs(stack)
    shifts = xoffset.correlate(stack, network, template=16, search=4, step=8)
    series = xoffset.invert(shifts)
    return {
        "a stack": stack, "a network": network, "shifts": shifts, "a series": series,
        "a rate": xoffset.velocity(series), "a displacement": xoffset.mean_displacement(shifts),
        "a product on a grid": xoffset.quality(shifts),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "offered", "refused"),
    [
        ("a stack", {"pairs", "plan", "correlate", "estimate"}, {"invert"}),
        ("a network", {"diagnose"}, {"correlate", "screen", "velocity", "flag_summary"}),
        ("shifts", {"diagnose", "screen", "invert", "velocity", "flagged", "to_geotiff"}, {"correlate", "resample"}),
        ("a series", {"velocity", "resample", "trajectory", "strain"}, {"invert", "screen", "pairs"}),
        ("a rate", {"strain", "profile", "ground", "to_geotiff", "flagged"}, {"velocity", "invert"}),
        ("a displacement", {"strain", "ground"}, {"velocity", "resample"}),
        ("a product on a grid", {"to_geotiff"}, {"strain", "invert"}),
    ],
)
def test_an_object_offers_what_applies_to_it(objects, kind, offered, refused):
    listed = set(dir(objects[kind].offset))
    assert offered <= listed
    assert not refused & listed
    for name in listed - {"plot"}:
        assert callable(getattr(objects[kind].offset, name))
    for name in dir(objects[kind].offset.plot) if "plot" in listed else ():
        assert callable(getattr(objects[kind].offset.plot, name))
    for name in refused:
        assert not hasattr(objects[kind].offset, name)
        with pytest.raises(AttributeError, match=rf"{name}\(\) needs .*; got {kind}\. Call first: .*\(\)"):
            getattr(objects[kind].offset, name)


def test_an_object_of_no_kind_is_told_what_each_kind_needs():
    strange = xr.Dataset({"a": ("z", [1.0])})
    # pictures of what functions return that is no product
    assert dir(strange.offset) == ["plot"]
    assert dir(strange.offset.plot) == ["losses", "profile", "trajectories", "tuning"]
    for text in ("DataArray (time, y, x)", "dx, dy on (pair, y, x)", "dx, dy on (time, y, x)", "vx, vy"):
        assert text in repr(strange.offset)
    with pytest.raises(AttributeError, match=r"got a Dataset with dims \('z',\) and variables \['a'\]\. Call first"):
        strange.offset.invert()


def test_what_is_no_stack_is_told_how_to_become_one(objects):
    with pytest.raises(ValueError, match="open_stack"):
        objects["a stack"][0].offset.pairs()


def test_an_unknown_method_is_told_the_known_ones(objects):
    with pytest.raises(AttributeError, match=r"got 'inverse'\. Did you mean 'invert'\?"):
        objects["shifts"].offset.inverse()


@pytest.mark.parametrize("kind", ["a stack", "a network", "shifts", "a series", "a rate", "a displacement"])
def test_it_says_what_it_is(objects, kind):
    text = repr(objects[kind].offset)
    assert text.startswith(kind)
    assert ("UTM zone" in text) == (kind != "a network")
    assert ("valid values" in text) == (kind != "a network")
    assert ("2020-01-01" in text) == (kind not in ("a rate", "a displacement"))


def test_the_share_of_valid_values_is_counted_and_never_computed(objects):
    half = objects["shifts"].where(objects["shifts"].x < objects["shifts"].x.mean())
    share = float(np.isfinite(half.dx).mean())
    assert f"valid values: {100 * share:.1f} %" in repr(half.offset)
    assert "not computed yet" in repr(half.chunk().offset)


def test_it_can_be_copied_and_sent(objects):
    for made in (copy.copy(objects["shifts"].offset), pickle.loads(pickle.dumps(objects["a network"].offset))):
        assert "diagnose" in dir(made)


def test_what_cannot_be_said_is_no_error(objects):
    nowhere = objects["shifts"].drop_vars("spatial_ref").assign_attrs(grid_mapping="spatial_ref")
    assert "CRS: unknown" in repr(nowhere.offset)
    assert "there are none" in repr(objects["a stack"].isel(x=slice(0, 0)).offset)


def test_methods_pass_their_arguments_on(objects):
    stack = objects["a stack"]
    xr.testing.assert_identical(stack.offset.pairs(max_gap=1), xoffset.pairs(stack, max_gap=1))
    with pytest.raises(TypeError, match="unexpected keyword argument 'gap'"):
        stack.offset.pairs(gap=1)


# --------------------------------------------------------------------------------------------------------------- flags


@pytest.fixture
def made():
    flags = np.array([[0, FLAGS["border"], FLAGS["border"] | FLAGS["nodata"]], [0, 1 << 60, FLAGS["bridged"]]])
    return xr.Dataset({"dx": (("y", "x"), np.zeros((2, 3))), "flags": (("y", "x"), flags)}).assign(dy=lambda d: d.dx)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_flagged_tells_where_a_reason_holds(made, dtype):
    made["flags"] = made.flags.where(made.flags < 1 << 31, 0).astype(dtype)
    found = made.offset.flagged("border")
    assert (found.dims, found.dtype) == (("y", "x"), bool)
    assert found.values.tolist() == [[False, True, True], [False, False, False]]
    assert flagged(made, "nodata", "bridged").values.tolist() == [[False, False, True], [False, False, True]]
    assert flagged(made).values.tolist() == [[False, True, True], [False, False, True]]


def test_flagged_stays_lazy(made):
    found = flagged(made.chunk(), "border")
    assert found.chunks is not None
    assert found.compute().equals(flagged(made, "border"))


def test_the_summary_counts_each_reason(made):
    table = made.offset.flag_summary()
    expected = {"good": 2, "nodata": 1, "border": 2, "bridged": 1, "without a name": 1}
    assert table["values"].to_dict() == expected
    np.testing.assert_allclose(table["share"], np.array(list(expected.values())) / 6)
    pd.testing.assert_frame_equal(flag_summary(made.chunk()), table)


def test_values_that_where_removed_are_counted_as_nodata(made):
    made = made.assign(flags=made.flags.where(made.flags < 1 << 31, 0))
    holes = made.where(xr.DataArray([[True, True, True], [True, True, False]], dims=("y", "x")))
    assert flag_summary(holes)["values"].to_dict() == {"good": 3, "nodata": 2, "border": 2}


def test_bad_flags_are_refused(made):
    with pytest.raises(ValueError, match="Choose of: outside, nodata"):
        flagged(made, "bordr")
    for function in (flagged, flag_summary):
        with pytest.raises(ValueError, match="Use the result of correlate"):
            function(made.drop_vars("flags"))
        with pytest.raises(TypeError, match="See correlate"):
            function(made.dx)


# ------------------------------------------------------------------------------------------------------------- package


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(AttributeError, match=r"got 'correlat'\. Did you mean 'correlate'\?"):
        xoffset.correlat  # noqa: B018
    with pytest.raises(AttributeError, match="There are: Flow, Jitter, Matcher, NCC, Phase"):
        xoffset.zzzzzz  # noqa: B018
