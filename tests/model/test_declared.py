"""What data declare of their own values holds in every function: units, fill values, scale and offset, CRS."""

from __future__ import annotations

import logging

import numpy as np
import pyproj
import pytest
import rioxarray  # noqa: F401 (registers .rio)
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import declared, grids, units

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
OPTIONS = {"template": 16, "search": 4, "step": 8}


@pytest.fixture(scope="module")
def stack():
    return synthetic.stack((96, 104), field="constant", velocity=15.0, direction=110.0, dates=DATES, snr=10.0)[0]


@pytest.fixture(scope="module")
def shifts(stack):
    return xoffset.correlate(stack, xoffset.pairs(stack), **OPTIONS)


@pytest.fixture(scope="module")
def inputs(stack, shifts):
    series = xoffset.invert(shifts)
    return {"stack": stack, "shifts": shifts, "series": series, "rate": xoffset.velocity(shifts)}


def line(data):
    """Broken line through the grid, in metres whatever the coordinates say."""
    return [(500_150.0, 4_999_700.0), (500_700.0, 4_999_400.0)]


# function -> (kind of its subject, call)
CALLS = {
    "screen": ("shifts", xoffset.screen),
    "calibrate": ("shifts", lambda data: xoffset.calibrate(data, everywhere(data))),
    "widen_sheared": ("shifts", lambda data: xoffset.widen_sheared(xoffset.velocity(data), shifts=data)),
    "closure": ("shifts", xoffset.closure),
    "invert": ("shifts", lambda data: xoffset.invert(data, weights="score")),
    "mean_displacement": ("shifts", xoffset.mean_displacement),
    "mean_velocity": ("shifts", xoffset.mean_velocity),
    "vector_coherence": ("shifts", lambda data: xoffset.vector_coherence(data, window=3)),
    "yearly_velocity": ("shifts", xoffset.yearly_velocity),
    "interval_velocity": ("shifts", xoffset.interval_velocity),
    "velocity of shifts": ("shifts", xoffset.velocity),
    "coseismic": ("shifts", lambda data: xoffset.coseismic(data, "2020-10-01")),
    "velocity of a series": ("series", xoffset.velocity),
    "decompose": ("series", lambda data: xoffset.decompose(data, seasonal=False)),
    "rereference": ("series", lambda data: xoffset.rereference(data, DATES[1])),
    "resample": ("series", lambda data: xoffset.resample(data, "90D")),
    "trajectory": ("series", lambda data: xoffset.trajectory(data, line(data)[:1])),
    "strain of a series": ("series", lambda data: xoffset.strain(data, window=3)),
    "strain of a rate": ("rate", lambda data: xoffset.strain(data, window=3)),
    "profile": ("rate", lambda data: xoffset.profile(data, line(data), width=100.0)),
    "ground": ("rate", xoffset.ground),
    "ground of shifts": ("shifts", xoffset.ground),
}


def everywhere(data):
    return xr.DataArray(np.ones(data.dx.shape[1:], bool), coords=data[["y", "x"]].coords, dims=("y", "x"))


def same(found, wanted, rtol=3e-4):
    """Values are equal but for rounding, in the same units, missing in the same places."""
    assert set(found.data_vars) == set(wanted.data_vars)
    for name in wanted.data_vars:
        ours, theirs = found[name], wanted[name]
        assert ours.attrs.get("units") == theirs.attrs.get("units")
        if theirs.dtype.kind == "f":
            # what is one and the same number but for rounding may differ by rounding from zero
            largest = float(np.abs(theirs).max()) if theirs.notnull().any() else 0.0
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-4 * largest, err_msg=name)
    for name in ("x", "y"):
        if name in wanted.coords:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9)
            assert found[name].attrs["units"] == "m"


# --------------------------------------------------------------------------------------------------------------- units


@pytest.mark.parametrize(
    ("text", "wanted", "factor"),
    [
        ("m", "m", 1.0), ("metre", "m", 1.0), ("Meters", "m", 1.0), ("km", "m", 1000.0), ("cm", "m", 0.01),
        ("mm", "m", 0.001), ("ft", "m", 0.3048), ("feet", "m", 0.3048), ("US survey foot", "m", 1200 / 3937),
        ("us-ft", "m", 1200 / 3937), ("m yr-1", "m yr-1", 1.0), ("m/yr", "m yr-1", 1.0), ("m a-1", "m yr-1", 1.0),
        ("meter/year", "m yr-1", 1.0), ("metres per year", "m yr-1", 1.0), ("m year^-1", "m yr-1", 1.0),
        ("m d-1", "m yr-1", 365.25), ("m/day", "m yr-1", 365.25), ("mm/day", "m yr-1", 0.36525),
        ("cm yr⁻¹", "m yr-1", 0.01), ("m*yr**-1", "m yr-1", 1.0), ("m.s-1", "m yr-1", 31_557_600.0),
        ("km2", "m2", 1e6), ("cm²", "m2", 1e-4), ("m2/d2", "m2 yr-2", 365.25**2), ("percent", "1", 0.01),
        ("%", "1", 0.01), ("1", "1", 1.0), ("1/day", "yr-1", 365.25), ("rad", "degree", 57.29577951308232),
        ("days", "day", 1.0), ("pixels", "pixel", 1.0),
    ],
)  # fmt: skip
def test_units_are_turned_into_others(text, wanted, factor):
    assert units.factor(text, wanted) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["furlong", "m yr", "m2", "px", "deg", "m/", "", "100 m", "m yr-1 x", "ms-1", "m/(yr)", "?", "Mm"]
)
def test_other_units_are_not_taken_for_metres(text):
    assert units.factor(text, "m") is None


@pytest.mark.parametrize(
    ("unit", "size"), [("km", 1e-3), ("US survey foot", 3937 / 1200), ("ft", 1 / 0.3048), ("cm", 100.0)]
)
@pytest.mark.parametrize("name", CALLS)
def test_coordinates_in_other_units_of_length_give_the_same(inputs, name, unit, size):
    kind, call = CALLS[name]
    data = inputs[kind]
    other = data.assign_coords({axis: (axis, data[axis].values * size, {"units": unit}) for axis in ("x", "y")})
    same(call(other), call(data))


@pytest.mark.parametrize(("unit", "size"), [("km", 1e-3), ("ft", 1 / 0.3048)])
def test_a_stack_on_coordinates_in_other_units_gives_the_same(stack, shifts, unit, size):
    other = stack.assign_coords({axis: (axis, stack[axis].values * size, {"units": unit}) for axis in ("x", "y")})
    same(xoffset.correlate(other, xoffset.pairs(other), **OPTIONS), shifts)
    assert xoffset.filtering.bandpass(other).x.attrs["units"] == "m"


@pytest.mark.parametrize("unit", ["deg", "degrees_east", "rad", "px", "1", "furlong"])
@pytest.mark.parametrize("name", CALLS)
def test_coordinates_that_are_no_lengths_are_refused(inputs, name, unit):
    kind, call = CALLS[name]
    other = inputs[kind].assign_coords(x=("x", inputs[kind].x.values, {"units": unit}))
    with pytest.raises(ValueError, match=r"\(\) needs .* in (m|metres); got .*\. (Reproject|Multiply|Convert)"):
        call(other)


@pytest.mark.parametrize("unit", ["deg", "degrees_north", "rad", "px", "1", "furlong"])
def test_a_stack_on_coordinates_that_are_no_lengths_is_refused(stack, unit):
    other = stack.assign_coords(y=("y", stack.y.values, {"units": unit}))
    for call in (
        lambda: xoffset.correlate(other, xoffset.pairs(stack), **OPTIONS),
        lambda: xoffset.filtering.rank(other),
    ):
        with pytest.raises(ValueError, match=r"needs .* in (m|metres); got"):
            call()


def in_units(data, length, time=""):
    """Product whose values are in other units, and say so."""
    out = {}
    for name, variable in data.data_vars.items():
        stated = variable.attrs.get("units", "")
        if not stated.startswith("m") or name in ("smooth",):
            continue
        other = stated.replace("m", length, 1) if not time else stated.replace("m", length, 1).replace("yr", time)
        out[name] = (variable / units.factor(other, stated)).assign_attrs(units=other)
    return data.assign(out)


@pytest.mark.parametrize(("length", "time"), [("cm", "yr"), ("km", "d"), ("m", "day"), ("ft", "a")])
@pytest.mark.parametrize("name", CALLS)
def test_values_in_other_units_give_the_same(inputs, name, length, time):
    kind, call = CALLS[name]
    same(call(in_units(inputs[kind], length, time)), call(inputs[kind]))


@pytest.mark.parametrize("unit", ["px", "pixel", "furlong", "s", "m yr-2", "degree", "1"])
@pytest.mark.parametrize("name", CALLS)
def test_values_in_units_that_are_not_theirs_are_refused(inputs, name, unit):
    kind, call = CALLS[name]
    component = "vx" if kind == "rate" else "dx"
    data = inputs[kind]
    with pytest.raises(ValueError, match=r"\(\) needs '[dv]x' in m.*; got units '.*'\. (Multiply|Convert)"):
        call(data.assign({component: data[component].assign_attrs(units=unit)}))


def test_arithmetic_that_keeps_old_units_is_refused(inputs):
    years = 0.5
    rate = inputs["rate"].assign(vx=inputs["shifts"].dx[0] / years)  # xarray leaves "m"
    with pytest.raises(ValueError, match=r"needs 'vx' in m yr-1; got units 'm'.*correct them if the values are right"):
        xoffset.ground(rate)


def test_a_prior_in_metres_a_day_is_turned(stack, shifts):
    rate = xoffset.velocity(shifts)[["vx", "vy"]]
    wanted = xoffset.correlate(stack, xoffset.pairs(stack), prior=rate, **OPTIONS)
    found = xoffset.correlate(stack, xoffset.pairs(stack), prior=in_units(rate, "m", "day"), **OPTIONS)
    np.testing.assert_allclose(found.dx, wanted.dx, atol=1e-4)
    with pytest.raises(ValueError, match="needs 'vx' of the prior in m yr-1; got units 'px'"):
        xoffset.correlate(
            stack, xoffset.pairs(stack), prior=rate.assign(vx=rate.vx.assign_attrs(units="px")), **OPTIONS
        )


def test_a_search_in_metres_is_refused(stack):
    search = stack[0, ::4, ::4] * 0 + 4.0
    for unit in ("pixel", "px"):
        xoffset.correlate(stack, xoffset.pairs(stack), **OPTIONS | {"search": search.assign_attrs(units=unit)})
    with pytest.raises(ValueError, match="needs the search in pixel; got units 'm'"):
        xoffset.correlate(stack, xoffset.pairs(stack), **OPTIONS | {"search": search.assign_attrs(units="m")})


def test_maps_of_search_and_priors_have_their_dims_in_any_order(stack):
    node = {axis: stack[axis] for axis in ("y", "x")} | {"spatial_ref": stack.spatial_ref}
    rows, columns = np.indices(stack.shape[1:])
    search = xr.DataArray(np.where(columns > 40, 4, 6), dims=("y", "x"), coords=node)
    prior = xr.Dataset(dict.fromkeys(("vx", "vy"), (("y", "x"), 0.1 * rows)), coords=node)
    options = {**OPTIONS, "search": search, "prior": prior}
    turned = {**OPTIONS, "search": search.T, "prior": prior.transpose("x", "y")}
    network = xoffset.pairs(stack)
    xr.testing.assert_equal(xoffset.correlate(stack, network, **turned), xoffset.correlate(stack, network, **options))


# --------------------------------------------------------------------------------------------- fill values and scaling


def packed(data, fill=-32767, scale=0.01, offset=5.0, names=None):
    """Product in whole numbers with fill, scale and offset left to attributes, as some readers do."""
    out = {}
    for name, variable in data.data_vars.items():
        if variable.dtype.kind == "f" and (names is None or name in names):
            whole = ((variable - offset) / scale).round()
            whole = whole.clip(-32000, 32000).fillna(fill).astype("int32")
            stated = {"_FillValue": fill, "scale_factor": scale, "add_offset": offset}
            out[name] = whole.assign_attrs(variable.attrs | stated)
    return data.assign(out)


def unpacked(data, names=None, **options):
    out = {}
    for name, variable in packed(data, names=names, **options).data_vars.items():
        if "_FillValue" in variable.attrs:
            attrs = variable.attrs
            values = variable.where(variable != attrs["_FillValue"]) * attrs["scale_factor"] + attrs["add_offset"]
            out[name] = values.astype("float32").drop_attrs(deep=False).assign_attrs(data[name].attrs)
    return data.assign(out)


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_fill_scale_and_offset_hold(inputs, name, is_lazy):
    kind, call = CALLS[name]
    components = ("vx", "vy") if kind == "rate" else ("dx", "dy")
    data = inputs[kind].where(inputs[kind].x > inputs[kind].x[3]).assign(flags=inputs[kind].flags)
    names = [*components, *(f"sigma_{each}" for each in components), "score"]
    given, wanted = packed(data, names=names), unpacked(data, names=names)
    if is_lazy:
        given, wanted = (each.chunk(x=4).assign_coords(data.coords) for each in (given, wanted))
    same(call(given).compute(), call(wanted).compute(), rtol=1e-3)


@pytest.mark.parametrize("fill", [-32767, -9999, -100, 0])
@pytest.mark.parametrize("declared_as", ["_FillValue", "missing_value", "nodata", "fill_value", "encoding"])
def test_no_declared_fill_is_motion(inputs, fill, declared_as):
    rate = inputs["rate"][["vx", "vy"]]
    whole = rate.where(rate.x > rate.x[3]).round().where(lambda data: data != fill).fillna(fill).astype("int32")
    for variable in whole.data_vars.values():
        if declared_as == "encoding":
            variable.encoding["_FillValue"] = fill
        else:
            variable.attrs[declared_as] = fill
    turned = xoffset.ground(whole)
    assert turned.v_east[:, :4].isnull().all()
    assert turned.v_east[:, 4:].notnull().any()
    assert xoffset.strain(whole, window=3).exx[:, :4].isnull().all()


def test_two_declared_fills_both_hold(stack):
    spoilt = stack.copy()
    spoilt[:, :40, :20], spoilt[:, 60:, :20] = 0.0, -9999.0
    masked = stack.where((spoilt != 0.0) & (spoilt != -9999.0))
    found = xoffset.correlate(spoilt.assign_attrs(_FillValue=0, missing_value=-9999.0), xoffset.pairs(stack), **OPTIONS)
    wanted = xoffset.correlate(masked, xoffset.pairs(stack), **OPTIONS)
    np.testing.assert_array_equal(found.dx, wanted.dx)
    np.testing.assert_array_equal(found.flags, wanted.flags)


def test_a_prior_with_a_fill_is_unknown_there(stack):
    node = {axis: stack[axis] for axis in ("y", "x")}
    values = np.full(stack.shape[1:], 14, "int16")
    values[:, :50] = -32767
    for attrs in ({"_FillValue": -32767}, {"_FillValue": -32767, "scale_factor": 1.0}):
        prior = xr.Dataset(dict.fromkeys(("vx", "vy"), (("y", "x"), values, attrs)), coords=node)
        prior = prior.assign_coords(spatial_ref=stack.spatial_ref)
        found = xoffset.correlate(stack, xoffset.pairs(stack), prior=prior, **OPTIONS)
        masked = prior.where(prior != -32767)
        for variable in masked.data_vars.values():
            variable.attrs = {}
        wanted = xoffset.correlate(stack, xoffset.pairs(stack), prior=masked, **OPTIONS)
        np.testing.assert_array_equal(found.dx, wanted.dx)
        assert xoffset.flags.flagged(found, "no_prior").any()


@pytest.mark.parametrize("fill", [9.96921e36, 1e20, -3.4028235e38, -99999.9])
@pytest.mark.parametrize("name", ["_FillValue", "_fillvalue", "NODATA", "nodatavals"])
def test_a_fill_is_rounded_as_the_values_are(inputs, fill, name):
    rate = inputs["rate"][["vx", "vy"]]
    known = rate.vx.notnull() & (rate.x > rate.x[3])
    filled = rate.where(known, 20.0).where(rate.x > rate.x[3], np.float32(fill)).astype("float32")
    for variable in filled.data_vars.values():
        variable.attrs[name] = (fill,) if name == "nodatavals" else fill
    assert xoffset.ground(filled).v_east[:, :4].isnull().all()
    assert xoffset.ground(filled).v_east[:, 4:].notnull().all()


@pytest.mark.parametrize("change", [lambda rate: rate * 0.01, lambda rate: rate - 1000.0, lambda rate: 365.25 * rate])
def test_values_changed_after_their_fill_was_declared_are_refused(inputs, change):
    rate = inputs["rate"][["vx", "vy"]]
    fill = -32767.0
    filled = rate.where(rate.x > rate.x[4]).fillna(fill)
    stale = change(filled)
    for variable in stale.data_vars.values():
        variable.attrs["_FillValue"] = fill
    with pytest.raises(ValueError, match="as it was when its nodata value -32767 was declared"):
        xoffset.ground(stale)


def test_a_declared_fill_that_occurs_nowhere_is_no_error(inputs):
    rate = inputs["rate"]
    still = rate.assign(vx=rate.vx.where(rate.x > rate.x[5], 0.0).assign_attrs(rate.vx.attrs | {"_FillValue": -32767}))
    xoffset.ground(still)


def test_pixels_changed_after_their_fill_was_declared_are_told_of(stack, caplog):
    counts = (stack * 10 + 1000).round().astype("int32")
    counts[:, :, :30] = 0
    shifted = counts.assign_attrs(_FillValue=0) - 1000
    shifted.attrs["_FillValue"] = 0
    with caplog.at_level(logging.WARNING):
        xoffset.correlate(counts.assign_attrs(_FillValue=0), xoffset.pairs(stack), **OPTIONS)
        assert not caplog.records
        xoffset.correlate(shifted, xoffset.pairs(stack), **OPTIONS)
    assert "declared nodata value 0 nowhere" in caplog.text


def test_a_mask_made_of_values_with_a_fill_is_refused(shifts):
    slope = (everywhere(shifts) * 1.0).assign_attrs(_FillValue=-9999.0)
    mask = slope < 20.0
    mask.attrs["_FillValue"] = -9999.0
    with pytest.raises(ValueError, match="stable without a nodata value"):
        xoffset.calibrate(shifts, mask)


@pytest.mark.parametrize("wrong", ["none", [1.0, "x"]])
def test_a_fill_that_is_no_number_is_refused(inputs, wrong):
    rate = inputs["rate"]
    with pytest.raises(ValueError, match=r"a number is needed as the declared nodata value; got .*Correct it"):
        xoffset.ground(rate.assign(vx=rate.vx.assign_attrs(nodata=wrong)))


@pytest.mark.parametrize("wrong", ["big", np.nan, [1.0, 2.0]])
def test_a_scale_that_is_no_number_is_refused(inputs, wrong):
    rate = inputs["rate"]
    with pytest.raises(ValueError, match="needs a finite number as scale_factor of 'vx'"):
        xoffset.ground(rate.assign(vx=rate.vx.assign_attrs(scale_factor=wrong)))


def test_nothing_declared_costs_nothing(inputs):
    for kind in ("shifts", "series", "rate"):
        assert declared.with_decoded(inputs[kind], "test") is inputs[kind]


# ----------------------------------------------------------------------------------------------------------------- CRS


def without_crs(data):
    data = data.drop_vars("spatial_ref")
    for each in (data, *(data.data_vars.values() if isinstance(data, xr.Dataset) else ())):
        each.encoding.pop("grid_mapping", None)
    return data


STATEMENTS = {
    "attrs crs": lambda data, code: data.assign_attrs(crs=f"epsg:{code}"),
    "attrs crs +init": lambda data, code: data.assign_attrs(crs=f"+init=epsg:{code}"),
    "attrs crs number": lambda data, code: data.assign_attrs(crs=code),
    "attrs crs object": lambda data, code: data.assign_attrs(crs=pyproj.CRS.from_epsg(code)),
    "attrs crs_wkt": lambda data, code: data.assign_attrs(crs_wkt=pyproj.CRS.from_epsg(code).to_wkt()),
    "attrs spatial_ref": lambda data, code: data.assign_attrs(spatial_ref=pyproj.CRS.from_epsg(code).to_wkt()),
    "attrs proj:code": lambda data, code: data.assign_attrs({"proj:code": f"EPSG:{code}"}),
    "attrs proj:projjson": lambda data, code: data.assign_attrs(
        {"proj:projjson": pyproj.CRS.from_epsg(code).to_json_dict()}
    ),
    "attrs EPSG": lambda data, code: data.assign_attrs(EPSG=code),
    "attrs esri_pe_string": lambda data, code: data.assign_attrs(esri_pe_string=pyproj.CRS.from_epsg(code).to_wkt()),
    "attrs projection": lambda data, code: data.assign_attrs(projection=str(code)),
    "coordinate mapping with a code": lambda data, code: data.assign_coords(
        mapping=xr.Variable((), "", {"grid_mapping_name": "unknown", "spatial_epsg": code})
    ),
    "attrs proj4": lambda data, code: data.assign_attrs(proj4=f"EPSG:{code}"),
    "coordinate epsg": lambda data, code: data.assign_coords(epsg=code),
    "coordinate proj:epsg": lambda data, code: data.assign_coords({"proj:epsg": code}),
    "coordinate proj:epsg text": lambda data, code: data.assign_coords({"proj:epsg": str(code)}),
    "coordinate proj:code": lambda data, code: data.assign_coords({"proj:code": f"EPSG:{code}"}),
    "coordinate spatial_ref value": lambda data, code: data.assign_coords(spatial_ref=code),
    "coordinate crs": lambda data, code: data.assign_coords(crs=xr.Variable((), 0, pyproj.CRS.from_epsg(code).to_cf())),
}


@pytest.mark.parametrize("place", STATEMENTS)
def test_a_crs_is_seen_wherever_loaders_leave_it(stack, place):
    state = STATEMENTS[place]
    bare = without_crs(stack)
    network = xoffset.pairs(stack)
    found = xoffset.correlate(state(bare, 32632), network, **OPTIONS)
    assert grids.crs_of(found).to_epsg() == 32632
    assert found.rio.crs.to_epsg() == 32632
    for code, reason in ((4326, "geographic"), (3857, "Web Mercator"), (2263, "foot"), (2048, "west and south")):
        with pytest.raises(ValueError, match=reason):
            xoffset.correlate(state(bare, code), network, **OPTIONS)
        with pytest.raises(ValueError, match=reason):
            xoffset.filtering.bandpass(state(bare, code))


@pytest.mark.parametrize("place", STATEMENTS)
@pytest.mark.parametrize("name", CALLS)
def test_every_function_sees_the_crs(inputs, name, place):
    kind, call = CALLS[name]
    bare = without_crs(inputs[kind])
    with pytest.raises(ValueError, match="geographic"):
        call(STATEMENTS[place](bare, 4326))
    assert grids.crs_of(call(STATEMENTS[place](bare, 32632))).to_epsg() == 32632


@pytest.mark.parametrize(
    "place", [place for place in STATEMENTS if not {"value", "proj4", "projection"} & set(place.split())]
)
def test_two_crs_that_disagree_are_refused(stack, place):
    STATEMENTS[place](stack, 32632).offset.correlate(xoffset.pairs(stack), **OPTIONS)
    if place in ("coordinate crs", "coordinate mapping with a code"):  # the grid mapping that is named counts
        return
    with pytest.raises(ValueError, match="one CRS is needed; got WGS 84 / UTM zone 32N"):
        STATEMENTS[place](stack, 32633).offset.correlate(xoffset.pairs(stack), **OPTIONS)


def test_the_parameters_of_cf_are_a_crs(stack):
    bare, network = without_crs(stack), xoffset.pairs(stack)
    parameters = {name: value for name, value in pyproj.CRS.from_epsg(3413).to_cf().items() if name != "crs_wkt"}
    polar = bare.assign_coords(mapping=xr.Variable((), "", parameters)).assign_attrs(grid_mapping="mapping: x y")
    found = grids.crs_of(xoffset.correlate(polar, network, **OPTIONS))
    assert (found.is_projected, found.coordinate_operation.method_code) == (True, "9829")
    # what names the datum too counts, and they do not disagree
    assert grids.crs_of(polar.assign_attrs(proj4="EPSG:3413")).to_epsg() == 3413
    for name in ("latitude_longitude", "rotated_latitude_longitude"):
        axes = {"grid_mapping_name": name, "semi_major_axis": 6378137.0, "grid_north_pole_latitude": 30.0}
        place = xr.Variable((), 0, axes | {"grid_north_pole_longitude": 10.0, "inverse_flattening": 298.257})
        with pytest.raises(ValueError, match="geographic"):
            xoffset.correlate(bare.assign_coords(crs=place), network, **OPTIONS)
    with pytest.raises(ValueError, match="a CRS is needed where one is stated"):
        xoffset.correlate(
            bare.assign_coords(crs=xr.Variable((), 0, {"grid_mapping_name": "polar_stereographic"})), network, **OPTIONS
        )


def test_a_crs_by_date_is_seen(stack):
    by_date = {code: xr.Variable("time", [0, 0, 0], pyproj.CRS.from_epsg(code).to_cf()) for code in (4326, 32632)}
    bare, network = without_crs(stack), xoffset.pairs(stack)
    with pytest.raises(ValueError, match="geographic"):
        xoffset.correlate(bare.assign_coords(spatial_ref=by_date[4326]), network, **OPTIONS)
    found = xoffset.correlate(bare.assign_coords(spatial_ref=by_date[32632]), network, **OPTIONS)
    assert found.rio.crs.to_epsg() == 32632


def test_other_texts_are_no_crs(stack):
    told = without_crs(stack).assign_attrs(projection="Polar Stereographic", srs="local", proj="unknown")
    assert grids.crs_of(xoffset.correlate(told, xoffset.pairs(stack), **OPTIONS)) is None


@pytest.mark.parametrize(
    "attrs",
    [
        {"standard_name": "grid_longitude"}, {"standard_name": "projection_x_angular_coordinate"},
        {"long_name": "Longitude of the pixel centre"},
    ],
)  # fmt: skip
def test_coordinates_that_are_called_angles_are_refused(stack, attrs):
    named = stack.assign_coords(x=stack.x.drop_attrs().assign_attrs(attrs))
    with pytest.raises(ValueError, match="got 'x' in degrees"):
        xoffset.correlate(named, xoffset.pairs(stack), **OPTIONS)


def test_a_prior_of_an_inversion_in_another_crs_is_refused(inputs, shifts):
    other = inputs["series"].assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS.from_epsg(32633)))
    with pytest.raises(ValueError, match="another grid or CRS"):
        xoffset.invert(shifts, prior=other, smooth=0.1)


def test_a_crs_that_cannot_be_read_is_refused(stack):
    with pytest.raises(ValueError, match="a CRS is needed where one is stated; got 'here'"):
        xoffset.correlate(without_crs(stack).assign_attrs(crs="here"), xoffset.pairs(stack), **OPTIONS)


@pytest.mark.parametrize("code", [2048, 2053, 22275, 5513, 2065, "IAU_2015:19916"])
def test_axes_that_point_south_or_west_are_refused(inputs, code):
    crs = pyproj.CRS.from_user_input(code)
    for kind, call in (("rate", xoffset.ground), ("series", xoffset.velocity)):
        data = inputs[kind].assign_coords(spatial_ref=grids.spatial_ref(crs))
        with pytest.raises(ValueError, match=r"needs a CRS whose axes point east and north; got .* (south|west)"):
            call(data)


@pytest.mark.parametrize("code", [32734, 5514, 3413, 3031, 5041, 2193, 31467, 3035])
def test_motion_toward_true_east_is_turned_there(code):
    """Against GDAL's own transformation, as rasters are stored."""
    from rasterio.warp import transform

    crs = pyproj.CRS.from_epsg(code)
    west, south, east, north = crs.area_of_use.bounds
    longitude, latitude = west + 0.4 * (east - west), south + 0.4 * (north - south)
    x, y = transform("EPSG:4326", f"EPSG:{code}", [longitude, longitude + 1e-5], [latitude, latitude])
    metres = pyproj.Geod(ellps="WGS84").inv(longitude, latitude, longitude + 1e-5, latitude)[2]
    fields = {
        name: (("y", "x"), np.full((2, 2), 10.0 * (ends[1] - ends[0]) / metres))
        for name, ends in (("vx", x), ("vy", y))
    }
    rate = xr.Dataset(fields, coords={"x": x[0] + 10.0 * np.arange(2), "y": y[0] - 10.0 * np.arange(2)})
    turned = xoffset.ground(rate.assign_coords(spatial_ref=grids.spatial_ref(crs)))
    np.testing.assert_allclose(turned.v_east[0, 0], 10.0, atol=0.02)
    np.testing.assert_allclose(turned.v_north[0, 0], 0.0, atol=0.02)


@pytest.mark.parametrize(("unit", "size"), [("km", 1e-3), ("ft", 1 / 0.3048), ("deg", 1.0), ("px", 1.0)])
@pytest.mark.parametrize("name", ["invert", "velocity of a series", "ground", "closure"])
def test_coordinates_of_points_are_in_metres_too(inputs, name, unit, size):
    kind, call = CALLS[name]
    at = {axis: ("point", inputs[kind][axis].values[[2, 5, 7]]) for axis in ("x", "y")}
    points = inputs[kind].sel({axis: xr.DataArray(values, dims="point") for axis, (_, values) in at.items()})
    for axis, (_, values) in at.items():
        points[axis] = ("point", values, {"units": "m"})
    other = points.assign_coords({axis: ("point", points[axis].values * size, {"units": unit}) for axis in ("x", "y")})
    if unit in ("deg", "px"):
        with pytest.raises(ValueError, match=r"needs .* in (m|metres); got"):
            call(other)
    else:
        same(call(other), call(points))
