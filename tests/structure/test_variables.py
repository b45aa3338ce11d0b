"""The registry of variables is true: each that a public function returns has the dims, units and name that it says."""

import functools
import inspect
import re

import digests
import numba
import pytest
import xarray as xr

import xoffset
from xoffset.model import products, variables

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="minutes without compilation")

# calls that the table of digests lacks
MORE = {
    "invert shared": lambda: xoffset.invert(result("correct")),
    "decompose seasons shared": lambda: xoffset.decompose(result("invert shared"), seasonal=True, semiannual=True),
    "decompose decays shared": lambda: xoffset.decompose(
        result("invert shared"), exponential=[("2020-03-01", 60.0)], logarithmic=[("2020-05-15", 30.0)]
    ),
    "decompose sun shared": lambda: xoffset.decompose(wholes(digests.yearly()), sun=digests.lit()),
    "coseismic postseismic shared": lambda: xoffset.coseismic(
        digests.uneven(), "2020-04-15", trend=True, postseismic=20.0
    ),
    "annual shared": lambda: xoffset.yearly_velocity(wholes(digests.yearly())),
    "mean_velocity shared": lambda: xoffset.mean_velocity(digests.uneven()),
    "ground shifts": lambda: xoffset.ground(digests.raw()),
    "ground mean_displacement": lambda: xoffset.ground(xoffset.mean_displacement(digests.shifts())),
    "ground calibrate": lambda: xoffset.ground(xoffset.calibrate(digests.tied(), digests.everywhere(digests.tied()))),
    "ground correct": lambda: xoffset.ground(result("correct")),
    "ground invert": lambda: xoffset.ground(result("invert stable")),
    "ground velocity": lambda: xoffset.ground(result("velocity series bootstrap")),
    "ground coseismic": lambda: xoffset.ground(result("coseismic postseismic")),
    "ground seasons": lambda: xoffset.ground(result("decompose seasons")),
    "ground steps": lambda: xoffset.ground(result("decompose steps searched")),
    "ground shared": lambda: xoffset.ground(result("invert shared")),
    "ground sun": lambda: xoffset.ground(result("decompose sun")),
    "ground removed": lambda: xoffset.ground(result("invert sun")),
    "ground decays": lambda: xoffset.ground(result("decompose decays")),
    "profile shifts": lambda: xoffset.profile(digests.shifts(), digests.section(digests.rate())),
    "area_mean covariance": lambda: xoffset.area_mean(
        digests.rate().assign(cov_vxvy=xr.zeros_like(digests.rate().vx).assign_attrs(units="m2 yr-2")), digests.area()
    ),
}


def wholes(shifts):
    """Shifts whose pairs are known alike as wholes."""
    return shifts.assign(sigma_shift=("pair", [0.2] * shifts.sizes["pair"], {"units": "m"}))


def at_points(data):
    """Nodes of a product as scattered points."""
    return data.isel(y=xr.DataArray([3, 5, 4], dims="point"), x=xr.DataArray([2, 6, 4], dims="point"))


MORE |= {
    "screen points": lambda: xoffset.screen(at_points(digests.raw()), neighbourhood=False),
    "invert points": lambda: xoffset.invert(at_points(digests.shifts())),
    "decompose points": lambda: xoffset.decompose(at_points(digests.shifts()), steps=["2020-04-15"]),
    "ground points": lambda: xoffset.ground(xoffset.velocity(at_points(digests.shifts()))),
}
# name of a call, which begins with that of its function -> table of its variables
CALLS = {
    "detectors": variables.DETECTORS,
    "angles": variables.ANGLES,
    "class_layer": variables.CLASSES,
    "masking classes": variables.PIXEL_CLASSES,
    "masking usable": variables.USABLE,
    "masking slope": variables.TERRAIN,
    "masking aspect": variables.TERRAIN,
    "masking slope_mask": variables.TERRAIN,
    "masking cast_shadow": variables.TERRAIN,
    "masking cast_shadow dask": variables.TERRAIN,
    "masking stable_ground": variables.TERRAIN,
    "masking combine": variables.USABLE,
    "open_dem": variables.TERRAIN,
    "open_speed": variables.TERRAIN,
    "search_range": variables.TERRAIN,
    "masking land_classes": variables.TERRAIN,
    "from_table": variables.SHIFTS,
    "open_shifts itslive": variables.SHIFTS,
    "open_shifts autorift": variables.SHIFTS,
    "open_shifts pycorr": variables.SHIFTS,
    "open_shifts cosicorr": variables.SHIFTS,
    "open_shifts mpic": variables.SHIFTS,
    "open_shifts mintpy": variables.SHIFTS,
    "open_shifts ticoi": variables.SHIFTS,
    "from_table scattered points": variables.SHIFTS,
    "pair": variables.SHIFTS,
    "screen points": variables.SHIFTS,
    "invert points": variables.SERIES,
    "decompose points": variables.DECOMPOSITION,
    "ground points": variables.RATE | variables.GROUND,
    "correlate": variables.SHIFTS,
    "to_zarr": variables.SHIFTS,
    "correlate nested": variables.SHIFTS,
    "correlate both ways": variables.SHIFTS,
    "correlate curvature": variables.SHIFTS,
    "extend": variables.SHIFTS,
    "screen": variables.SHIFTS,
    "losses": variables.LOSSES,
    "recipes tune": variables.TUNING,
    "recipes tune event": variables.TUNING_EVENT,
    "correct jitter": variables.SHIFTS,
    "correct view": variables.SHIFTS,
    "thinning_bias": variables.THINNING,
    "thinning_bias rate dask": variables.THINNING,
    "velocity shared": variables.RATE,
    "velocity series shared": variables.RATE,
    "invert shared": variables.SERIES,
    "decompose shared": variables.DECOMPOSITION,
    "decompose seasons shared": variables.DECOMPOSITION,
    "decompose decays shared": variables.DECOMPOSITION,
    "decompose sun shared": variables.DECOMPOSITION,
    "coseismic shared": variables.COSEISMIC,
    "coseismic postseismic shared": variables.COSEISMIC,
    "annual shared": variables.ANNUAL,
    "mean_velocity shared": variables.MEAN_VELOCITY,
    "mean_displacement shared": variables.MEAN_DISPLACEMENT,
    "interval_velocity shared": variables.INTERVALS,
    "denoise": variables.SHIFTS,
    "drop_masked": variables.SHIFTS,
    "combine_bands": variables.SHIFTS,
    "discard_pairs": variables.SHIFTS,
    "discard_pixels": variables.SHIFTS,
    "remove_median": variables.SHIFTS,
    "misclosure": variables.MISCLOSURE,
    "drop_misclosed": variables.SERIES,
    "whole_pixels": variables.SHIFTS,
    "destripe": variables.SHIFTS,
    "calibrate": variables.SHIFTS,
    "widen_sheared": variables.RATE,
    "correct": variables.SHIFTS,
    "correct by_date": variables.SHIFTS,
    "coregister positions": variables.COREGISTRATION,
    "correct ramp stripes elevation": variables.SHIFTS,
    "closure stable": variables.CLOSURE,
    "closure dask": variables.CLOSURE,
    "stable_statistics": variables.STABLE,
    "stable_statistics rate": variables.STABLE_RATE,
    "area_mean": variables.AREA_MEAN,
    "area_mean rate dask": variables.AREA_MEAN,
    "area_mean covariance": variables.AREA_MEAN,
    "compare": variables.COMPARISON_RATE,
    "compare series dask": variables.COMPARISON,
    "diagnose": variables.DIAGNOSIS,
    "invert": variables.SERIES,
    "invert stable": variables.SERIES,
    "invert smooth": variables.SERIES,
    "invert sun": variables.SERIES,
    "remove_season": variables.SERIES,
    "light": variables.LIGHT,
    "rereference": variables.SERIES,
    "resample": variables.SERIES,
    "open_result zarr": variables.SERIES,
    "trajectory": variables.TRAJECTORY,
    "velocity series bootstrap": variables.RATE,
    "velocity dask": variables.RATE,
    "decompose seasons": variables.DECOMPOSITION,
    "decompose shifts": variables.DECOMPOSITION,
    "decompose steps searched": variables.DECOMPOSITION,
    "decompose decays": variables.DECOMPOSITION,
    "decompose sun": variables.DECOMPOSITION,
    "velocity sun": variables.RATE,
    "coseismic postseismic": variables.COSEISMIC,
    "annual": variables.ANNUAL,
    "interval_velocity": variables.INTERVALS,
    "onset": variables.ONSET,
    "inverse_velocity": variables.FAILURE,
    "mean_displacement": variables.MEAN_DISPLACEMENT,
    "mean_velocity": variables.MEAN_VELOCITY,
    "vector_coherence": variables.COHERENCE,
    "quality": variables.QUALITY,
    "strain": variables.STRAIN_RATE,
    "strain shifts": variables.STRAIN,
    "profile": variables.PROFILE_RATE,
    "profile shifts": variables.PROFILE,
    "ground": variables.RATE | variables.GROUND,
    "ground shifts": variables.SHIFTS | variables.GROUND,
    "ground series dask": variables.SERIES | variables.GROUND,
    "ground mean_displacement": variables.MEAN_DISPLACEMENT | variables.GROUND,
    "ground calibrate": variables.SHIFTS | variables.GROUND,
    "ground correct": variables.SHIFTS | variables.GROUND,
    "ground invert": variables.SERIES | variables.GROUND,
    "ground velocity": variables.RATE | variables.GROUND,
    "ground coseismic": variables.COSEISMIC | variables.GROUND,
    "ground seasons": variables.DECOMPOSITION | variables.GROUND,
    "ground steps": variables.DECOMPOSITION | variables.GROUND,
    "ground decays": variables.DECOMPOSITION | variables.GROUND,
    "ground shared": variables.SERIES | variables.GROUND,
    "ground sun": variables.DECOMPOSITION | variables.GROUND,
    "ground removed": variables.SERIES | variables.GROUND,
}
# has no variables, only coordinates
WITHOUT_VARIABLES = {"pairs"}
# give one variable, as a DataArray, always or at times
ONE_VARIABLE = {"detectors", "class_layer", "coregister", "open_dem", "open_speed", "search_range"}
# functions of `masking`, which give one variable too
OF_MASKS = {call for call in CALLS if call.startswith("masking ")}
# and of `recipes`, which give more than variables
OF_RECIPES = {call for call in CALLS if call.startswith("recipes ")}
# of a rate that only velocity() gives, not mean_velocity(), whose table has them too
OF_VELOCITY = {"sun_condition", "v_debiased", "sigma_vx_bootstrap", "sigma_vy_bootstrap", "n_dates", "first", "last"}


@functools.cache
def result(call):
    return (digests.CALLS | MORE)[call]()


def fits(dims, registered, call):
    if call == "pair":  # it takes one of them
        registered = tuple(dim for dim in registered if dim != "pair")
    if "point" in call and registered[-2:] == ("y", "x"):
        registered = (*registered[:-2], "point")
    if registered[:1] == ("...",):
        return dims[len(dims) - len(registered) + 1 :] == registered[1:]
    return dims == registered


@pytest.mark.parametrize("call", CALLS)
def test_variables_are_what_the_registry_says(call):
    product, table = result(call), CALLS[call]
    assert set(product.data_vars) <= set(table)
    for name, data in product.data_vars.items():
        assert fits(data.dims, table[name].dims, call), name
        expected = products.attrs_of(table[name])
        if call.startswith("ground") and name in variables.COMPONENTS.lengths - set(variables.GROUND):
            expected["long_name"] += ", metres of the grid"
        told = ("flag_masks", "flag_values", "flag_meanings", "classes_not_known", "laid")
        told = told if name in ("classes", "land_classes") else ()
        of_classes = {key: data.attrs[key] for key in told if key in data.attrs}
        assert data.attrs == expected | of_classes, name


@pytest.mark.parametrize("call", [call for call in CALLS if call.startswith("ground")])
def test_nothing_in_metres_of_the_grid_goes_for_metres_of_ground(call):
    for name, data in result(call).data_vars.items():
        assert name not in variables.COMPONENTS.all
        assert not re.search(r" along [xy]|grid north", data.attrs["long_name"]), name
        if re.search(r"\bm", data.attrs.get("units", "")) and not name.startswith(("sigma_", "cov_")):
            assert re.search(r"metres of (ground|the grid)$", data.attrs["long_name"]), name


def test_every_function_was_asked():
    returns = {
        name
        for name in xoffset.__all__
        if inspect.isfunction(function := getattr(xoffset, name))
        and inspect.signature(function).return_annotation in ("xr.Dataset", xr.Dataset)
    }
    asked = {
        call.split()[0].replace("annual", "yearly_velocity") for call in CALLS if call not in OF_MASKS | OF_RECIPES
    }
    assert returns - WITHOUT_VARIABLES == asked - ONE_VARIABLE
    assert not [name for name in WITHOUT_VARIABLES if digests.CALLS[name]().data_vars]


@pytest.mark.parametrize("k", range(len(variables.TABLES)))
def test_no_entry_is_of_a_variable_that_nobody_returns(k):
    table = variables.TABLES[k]
    calls = [call for call, each in CALLS.items() if table.items() <= each.items()]
    assert calls
    seen = {name for call in calls for name in result(call).data_vars}
    assert set(table) - seen <= (OF_VELOCITY if table is variables.MEAN_VELOCITY else set())


def test_entries_bear_their_name():
    assert all(name == variable.name for table in variables.TABLES for name, variable in table.items())


def test_sign_and_period_go_with_the_name():
    for table in variables.TABLES:
        for name, variable in table.items():
            assert variables.is_signed(name) == variable.is_signed
            assert variables.period_of(name, variable.units) == variable.period
            assert not (variable.is_signed and variable.period)
            assert not (name.startswith("sigma_") and (variable.is_signed or variable.period))


@pytest.mark.parametrize("call", CALLS)
def test_signs_and_periods_are_those_of_the_values(call):
    """What is not signed has no value below zero, and what is cyclic none outside of its period."""
    # coordinates and dates, and what noise takes below a zero that means nothing
    can_be_negative = {"score", "peak_gap", "debiased_vector_coherence", "x", "y", "step_date", "first", "last"}
    product = result(call)
    for name, data in product.data_vars.items():
        variable = CALLS[call][name]
        if variable.period is not None:
            assert data.min() >= 0.0, name
            assert data.max() <= variable.period, name
        elif data.dtype.kind != "M" and not variable.is_signed and name not in can_be_negative:
            assert not (data < 0).any(), name
