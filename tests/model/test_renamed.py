"""Old names are accepted for one release, with one warning that tells the new one."""

import warnings

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset.model.renamed import VARIABLES

DATES = ["2020-01-01", "2020-05-01", "2020-09-01", "2021-01-01"]


@pytest.fixture(scope="module")
def shifts():
    stack, _ = xoffset.synthetic.stack((80, 72), dates=DATES, field="constant", velocity=20.0)
    return xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=4, step=8)


def old(data):
    return data.rename_vars({new: name for name, new in VARIABLES.items() if new in data})


def told(call):
    """Result of a call, and the warnings that it gave, which have to point here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    assert {each.category for each in caught} <= {DeprecationWarning}
    assert {each.filename for each in caught} <= {__file__}
    return result, [str(each.message) for each in caught]


def test_new_names_are_there(shifts):
    assert {"peak_gap", "cov_dxdy"} <= set(shifts)
    assert not {"gap", "sigma_dxdy"} & set(shifts)
    assert "cov_d_east_north" in xoffset.ground(shifts)


@pytest.mark.parametrize(
    "function",
    [
        lambda data: xoffset.screen(data, min_score=0.3, min_peak_gap=0.01),
        lambda data: xoffset.calibrate(data, xr.ones_like(data.dx[0], bool)),
        xoffset.invert,
        xoffset.velocity,
        xoffset.ground,
        xoffset.strain,
    ],
)
def test_datasets_with_old_variables_are_renamed_at_the_door(shifts, function):
    found, messages = told(lambda: function(old(shifts)))
    xr.testing.assert_identical(found, function(shifts))
    assert len(messages) == 2
    assert "'gap' is called 'peak_gap' now" in messages[0]
    assert "'sigma_dxdy' is called 'cov_dxdy' now" in messages[1]


def test_stores_with_old_variables_are_renamed_when_they_are_opened(shifts, tmp_path):
    old(shifts).to_zarr(tmp_path / "old.zarr", consolidated=False)
    opened, messages = told(lambda: xoffset.open_result(tmp_path / "old.zarr"))
    assert len(messages) == 2
    xr.testing.assert_equal(opened.compute(), shifts)


def test_stores_with_flags_of_32_bits_open_and_go_on(shifts, tmp_path):
    narrow = shifts.assign(flags=shifts.flags.astype("int32"))
    narrow.to_zarr(tmp_path / "narrow.zarr", consolidated=False)
    opened = xoffset.open_result(tmp_path / "narrow.zarr").compute()
    assert opened.flags.dtype == "int32"
    xr.testing.assert_equal(xoffset.screen(opened), xoffset.screen(shifts))
    assert xoffset.screen(opened).flags.dtype == "int64"


def test_files_go_by_new_names(shifts, tmp_path):
    paths, messages = told(lambda: xoffset.to_geotiff(old(shifts), tmp_path))
    assert {"peak_gap.tif", "cov_dxdy.tif"} <= {path.name for path in paths}
    assert len(messages) == 2


def test_variables_of_others_keep_their_names():
    table = xr.Dataset({"gap": ("row", np.arange(3.0))})
    found, messages = told(lambda: xoffset.model.renamed.with_new_names(table))
    assert found is table
    assert not messages


def test_an_old_name_beside_the_new_one_is_the_callers_own(shifts):
    both = shifts.assign(gap=shifts.peak_gap * 2)
    found, messages = told(lambda: xoffset.screen(both))
    assert not messages
    assert "gap" in found


def test_functions_by_their_old_names(shifts):
    found, messages = told(lambda: xoffset.annual(shifts))
    assert messages == ["xoffset.annual is called xoffset.yearly_velocity now; the old name goes with the next release"]
    xr.testing.assert_identical(found, xoffset.yearly_velocity(shifts))
    found, messages = told(lambda: shifts.offset.annual())
    assert len(messages) == 1
    assert ".offset.yearly_velocity" in messages[0]
    assert "annual" not in dir(xoffset)
    assert "annual" not in dir(shifts.offset)


def test_arguments_by_their_old_names(shifts):
    found, messages = told(lambda: xoffset.decompose(shifts, annual=True))
    assert messages == [
        "the argument 'annual' of decompose() is called 'seasonal' now; the old name goes with the next release"
    ]
    xr.testing.assert_identical(found, xoffset.decompose(shifts, seasonal=True))
    assert "annual_dx" in found
    _, messages = told(lambda: shifts.offset.decompose(annual=True))
    assert len(messages) == 1
    with pytest.raises(TypeError, match="Leave that out"):
        xoffset.decompose(shifts, annual=True, seasonal=True)


def test_shifts_made_by_hand_take_old_names(shifts):
    names = ("dx", "dy", "score", "peak_gap", "sigma_dx", "sigma_dy", "cov_dxdy", "flags")
    fields = {name: shifts[name].values for name in names}
    place = {"x": shifts.x.values, "y": shifts.y.values, "like": shifts.dx[0], "step": {"function": "made"}}
    by_hand = {{new: name for name, new in VARIABLES.items()}.get(name, name): fields[name] for name in names}
    found, messages = told(lambda: xoffset.model.shifts(by_hand, shifts, **place))
    xr.testing.assert_identical(found, xoffset.model.shifts(fields, shifts, **place))
    assert len(messages) == 2
