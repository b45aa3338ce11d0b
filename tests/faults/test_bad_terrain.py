"""Elevations, the sun, polygons and rasters that cannot be what is meant are refused, in three parts."""

import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset import masking, synthetic
from xoffset.model import grids


@pytest.fixture(scope="module")
def o():
    stack = synthetic.stack((96, 96), dates=["2020-01-01", "2020-07-01", "2021-01-01"])[0]
    return SimpleNamespace(stack=stack, network=xoffset.pairs(stack))


def in_crs(data, code, **places):
    crs = grids.spatial_ref(pyproj.CRS.from_user_input(code))
    return data.drop_vars("spatial_ref").assign_coords(spatial_ref=crs, **places)


def dem_of(o):
    """Elevations (y, x) on the grid of the stack."""
    return (o.stack[0] * 0.0 + 1000.0 + 0.3 * (o.stack.x - o.stack.x[0])).drop_vars("time").drop_attrs(deep=False)


def sun(**changes):
    return {"sun_azimuth": 160.0, "sun_elevation": 30.0} | changes


def shadow(o, given):
    return masking.cast_shadow(dem_of(o), **sun(**given(o)))


def stable(o, given):
    return masking.stable_ground(**{"like": o.stack} | given(o))


def of_dates(o, places):
    """An angle for some of the dates."""
    return xr.DataArray([40.0] * len(places), dims="time", coords={"time": o.stack.time[places]})


def far(data):
    return data.assign_coords(x=data.x + 1e5)


def triangle(x, y):
    return {"type": "Polygon", "coordinates": [[[x, y], [x + 0.1, y], [x, y + 0.1], [x, y]]]}


CASES = [
    *(
        (f"{name}: {what}", partial(lambda f, c, o: f(c(dem_of(o))), function, change), error, advice)
        for name, function in (
            ("slope", masking.slope),
            ("aspect", masking.aspect),
            ("slope_mask", masking.slope_mask),
            ("cast_shadow", partial(masking.cast_shadow, sun_azimuth=160.0, sun_elevation=30.0)),
            ("stable_ground", lambda dem: masking.stable_ground(dem[1:-1], dem=dem)),
        )
        for what, change, error, advice in (
            ("degrees", lambda d: in_crs(d, 4326, x=9.0 + 1e-4 * np.arange(96)), ValueError, r"to UTM zone 32N"),
            (
                "degrees without a CRS",
                lambda d: d.drop_vars("spatial_ref").assign_coords(x=1e-4 * np.arange(96), y=1e-4 * np.arange(96)),
                ValueError,
                r"grid in metres; got pixels of 0\.0001 without a CRS.*Name the CRS and reproject",
            ),
            ("feet", lambda d: in_crs(d, 2263), ValueError, r"US survey foot\. Reproject first"),
            ("uneven", lambda d: d.isel(x=[0, 1, 2, 5, 6]), ValueError, r"Resample to a regular grid"),
            ("no coordinates", lambda d: d.drop_vars("x"), ValueError, r"coordinates"),
            ("depths", lambda d: d.assign_attrs(units="m s-1"), ValueError, r"in m; got units 'm s-1'\. "),
            ("zeros", lambda d: d.where(d > 1015.0, 0.0), ValueError, r"of 0 m .*Say so: dem\.where\(dem != 0\)"),
        )
    ),
    *(
        (f"slope: {what}", partial(lambda c, o: masking.slope(c(dem_of(o))), change), error, advice)
        for what, change, error, advice in (
            ("array", lambda d: d.values, TypeError, r"got ndarray\. Open the file"),
            ("path", lambda d: "dem.tif", TypeError, r"got str\. Open the file: rioxarray"),
            ("text", lambda d: d.astype(str), TypeError, r"got dtype <U.*Convert them"),
            ("bands", lambda d: xr.concat([d, d], "band"), ValueError, r"\('y', 'x'\); got .*dem\.isel\(band=0\)"),
            ("names", lambda d: d.rename(x="lon", y="lat"), ValueError, r"dem\.rename\(lat='y', lon='x'\)"),
            ("a row", lambda d: d[:2], ValueError, r"3 x 3 pixels or more; got 2 x 96\. Take more"),
        )
    ),
    *(
        (
            f"slope_mask: {ends}",
            partial(lambda e, o: masking.slope_mask(dem_of(o), removed=e), ends),
            ValueError,
            advice,
        )
        for ends, advice in (
            ((90, 80), r"Pass an interval such as \(80, 90\)"),
            (80.0, r"Pass an interval"),
            ((80, 95), r"got \(80, 95\)"),
            ((0, np.nan), r"Pass an interval"),
            ("80-90", r"Pass an interval"),
        )
    ),
    *(
        (f"cast_shadow: {k}", partial(shadow, given=given), ValueError, advice)
        for k, (given, advice) in enumerate(
            (
                (lambda o: {"sun_elevation": -3.0}, r"sun above the horizon.*got -3\. Take that of the time"),
                (lambda o: {"sun_elevation": 0}, r"sun above the horizon"),
                (lambda o: {"sun_elevation": 91.0}, r"up to 90"),
                (
                    lambda o: {"sun_elevation": of_dates(o, [0]).assign_attrs(units="m")},
                    r"'sun_elevation' in degree; got units 'm'\. Convert",
                ),
                (lambda o: {"sun_azimuth": 2.8, "sun_elevation": 0.5}, r"in degrees.*Convert them, numpy\.degrees"),
                (lambda o: {"sun_elevation": np.nan}, r"sun above the horizon.*got nan"),
                (lambda o: {"sun_azimuth": np.inf}, r"number as sun_azimuth"),
                (lambda o: {"sun_azimuth": "south"}, r"sun_azimuth as a number.*got 'south'\. Pass stack\.sun_azimuth"),
                (lambda o: {"sun_azimuth": [160.0, 165.0]}, r"for each date on 'time'"),
                (
                    lambda o: {"sun_elevation": o.stack + 5.0},
                    r"got dims \('time', 'y', 'x'\)\. Pass stack\.sun_elevation, or",
                ),
                (
                    lambda o: {"sun_azimuth": of_dates(o, [0, 1]), "sun_elevation": of_dates(o, [1, 2])},
                    r"of the same dates; got others\. Take both from one stack",
                ),
                (lambda o: {"sun_elevation": of_dates(o, [0, 1]) - 100.0}, r"sun above the horizon"),
            )
        )
    ),
    (
        "cast_shadow: nowhere",
        lambda o: masking.cast_shadow(dem_of(o).assign_coords(x=1e9 + 10.0 * np.arange(96)), **sun()),
        ValueError,
        r"has coordinates; got x = 1e\+09.*Check coordinates and CRS",
    ),
    *(
        (f"stable_ground: {what}", partial(stable, given=given), error, advice)
        for what, given, error, advice in (
            ("nothing", lambda o: {}, ValueError, r"got nothing\. Pass polygons, moving, classes or dem"),
            ("number", lambda o: {"like": 3}, TypeError, r"needs a stack or shifts.*got int\. Pass what"),
            (
                "network",
                lambda o: {"like": o.network},
                ValueError,
                r"dims and coordinates y and x; got dims \('pair',\)",
            ),
            ("empty", lambda o: {"like": o.stack[:, :0]}, ValueError, r"at least one pixel.*Check the selection"),
            (
                "buffer alone",
                lambda o: {"buffer": 100.0},
                ValueError,
                r"needs moving where buffer is given.*or leave buffer",
            ),
            ("slope alone", lambda o: {"max_slope": 30.0}, ValueError, r"needs dem where max_slope is given"),
            ("buffer", lambda o: {"moving": o.stack[0] > 0, "buffer": -5.0}, ValueError, r"at least 0 as buffer"),
            ("wide buffer", lambda o: {"moving": o.stack[0] > 0, "buffer": 1e9}, ValueError, r"at most 100,000 metres"),
            ("max_slope", lambda o: {"dem": dem_of(o), "max_slope": 0}, ValueError, r"above 0 as max_slope"),
            ("percent", lambda o: {"dem": dem_of(o), "max_slope": 100.0}, ValueError, r"Pass an angle such as 40"),
            (
                "no polygons",
                lambda o: {"polygons": 5},
                TypeError,
                r"polygons: a file, .*got int\. Save them as GeoJSON",
            ),
            ("no file", lambda o: {"moving": "no.geojson"}, FileNotFoundError, r"there is none at no\.geojson"),
            ("elsewhere", lambda o: {"polygons": triangle(9.0, 47.0)}, ValueError, r"reach the grid.*Check the CRS of"),
            (
                "empty polygons",
                lambda o: {"polygons": {"type": "MultiPolygon", "coordinates": []}},
                ValueError,
                r"got none",
            ),
            (
                "values",
                lambda o: {"moving": o.stack[0]},
                TypeError,
                r"boolean DataArray .*moving.*Compare: moving = ~\(speed <= 5\)\.",
            ),
            (
                "dates",
                lambda o: {"polygons": o.stack > 0},
                ValueError,
                r"polygons with dims \('y', 'x'\); got .*Take one band",
            ),
            (
                "far",
                lambda o: {"moving": far(o.stack[0] > 0)},
                ValueError,
                r"needs moving to overlap.*Check its coordinates",
            ),
            ("classes", lambda o: {"classes": 7 + 0 * o.stack[0]}, ValueError, r"got 7\. Translate them"),
            *(
                (
                    f"classes called {name}",
                    lambda o, called=name: {"classes": (0 * o.stack[0]).astype("uint8").rename(called)},
                    ValueError,
                    r"got .*(scl|qa_pixel).*, whose numbers mean something else\. Translate them",
                )
                for name in ("SCL", "T32TNS_20200101T101010_SCL_20m", "qa_pixel")
            ),
            (
                "classes of a band",
                lambda o: {"classes": (1 + 0 * o.stack[0]).astype("uint8").assign_coords(band="SCL")},
                ValueError,
                r"got scl, whose numbers mean something else",
            ),
            (
                "moving of a fill",
                lambda o: {"moving": (o.stack[0] > 0).assign_attrs(_FillValue=-9999)},
                ValueError,
                r"moving = \(~\(speed\.where\(speed != -9999\) <= 5\)\)\.drop_attrs",
            ),
            (
                "moving around the pole",
                lambda o: {
                    "like": in_crs(o.stack, 3413, x=100.0 * np.arange(96.0), y=100.0 * np.arange(96.0)),
                    "moving": in_crs(o.stack[0] > 0, 4326, x=np.arange(96.0) - 90, y=90 - 0.02 * np.arange(96.0)),
                },
                ValueError,
                r"pixels are much of one size around the grid.*Reproject it: moving",
            ),
            (
                "moving in feet on a grid without a CRS",
                lambda o: {
                    "like": o.stack.drop_vars("spatial_ref").drop_attrs().drop_encoding(),
                    "moving": in_crs(o.stack[0] > 0, 2263),
                },
                ValueError,
                r"US survey foot\. Reproject first",
            ),
            ("boolean classes", lambda o: {"classes": o.stack[0] > 0}, TypeError, r"got dtype bool\. Open the raster"),
            ("classes of dates", lambda o: {"classes": 0 * o.stack}, ValueError, r"classes with dims \('y', 'x'\)"),
            (
                "names of classes",
                lambda o: {"classes": o.stack.assign_attrs(flag_meanings="rock sea", flag_values=[0, 1])},
                ValueError,
                r"got such with the names rock sea\. Translate them: xoffset\.masking\.classes",
            ),
            ("far dem", lambda o: {"dem": far(dem_of(o))}, ValueError, r"needs dem to overlap.*Check its coordinates"),
        )
    ),
]


@pytest.mark.parametrize(("call", "error", "advice"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_message_says_what_was_needed_what_came_and_what_to_do(o, call, error, advice):
    with pytest.raises(error) as caught:
        call(o)
    text = str(caught.value)
    assert re.search(r"(needs?|needed) .+?; .+\. \S", text, flags=re.DOTALL), text
    assert re.search(advice, text), text
    assert len(text) < 600


def test_errors_bear_the_name_of_what_was_called(o):
    for name in ("slope", "aspect", "slope_mask"):
        with pytest.raises(TypeError, match=rf"^{name}\(\) needs"):
            getattr(masking, name)("dem.tif")
    with pytest.raises(TypeError, match=r"^stable_ground\(\) needs a DataArray \(y, x\) of elevations"):
        masking.stable_ground(o.stack, dem="dem.tif")


def test_every_function_is_tried():
    named = {case[0].split(":")[0] for case in CASES}
    assert named == {"slope", "aspect", "slope_mask", "cast_shadow", "stable_ground"}
