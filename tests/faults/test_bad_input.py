"""Wrong input is refused with advice, poor input gives NaN and a flag, unusual input gives the usual result."""

import datetime as dt
import inspect
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.model import grids, products
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.plotting import files as maps

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
NOT_A_DATE = np.array(["2020-01-01", "NaT", "2021-01-01"], "M8[us]")
VELOCITY = 20.0
MASKING = xoffset.masking
SCATTERED = {"position": ("x", "y"), "layout": "points"}
TABLE = pd.DataFrame({"reference": DATES, "secondary": [*DATES[1:], DATES[0]], "dx": 1.0, "dy": 2.0})


def match(stack, network=None, **options):
    options = {"template": 16, "search": 4, "step": 16} | options
    return xoffset.correlate(stack, xoffset.pairs(stack) if network is None else network, **options)


def extend(o, **changes):
    """Shifts of the first pair and of all others."""
    options = {"template": 16, "search": 4, "step": 16, "stack": o.stack, "network": o.network} | changes
    return xoffset.extend(options.pop("shifts", o.shifts.isel(pair=[0])), **options)


def invert(o, make):
    """Shifts with what an option, or several, are made of."""
    return xoffset.invert(**{"shifts": o.shifts} | make(o))


def images(**options):
    options = {"field": "constant", "velocity": VELOCITY, "direction": 90.0, "dates": DATES} | options
    return synthetic.stack((96, 96), **options)[0]


@pytest.fixture(scope="module")
def o():
    """One of each object, all good."""
    stack = images()
    network = xoffset.pairs(stack)
    shifts = match(stack, network)
    series = xoffset.invert(shifts)
    return SimpleNamespace(
        stack=stack, network=network, shifts=shifts, series=series, rate=xoffset.velocity(series), empty=xr.Dataset()
    )


def in_crs(stack, code, x=None, y=None):
    places = {name: values for name, values in (("x", x), ("y", y)) if values is not None}
    crs = grids.spatial_ref(pyproj.CRS.from_user_input(code))
    return stack.drop_vars("spatial_ref").assign_coords(spatial_ref=crs, **places)


def without_crs(stack):
    return xr.DataArray(stack.values, dims=stack.dims, coords={name: stack[name].values for name in stack.dims})


def scattered(data):
    """Some nodes of a product as points."""
    return data.isel(y=xr.DataArray([0, 2, 1], dims="point"), x=xr.DataArray([1, 0, 2], dims="point"))


def with_pairs(data, reference, secondary):
    """Product with other dates on its pairs."""
    dates = {"reference": np.array(reference, "M8[us]"), "secondary": np.array(secondary, "M8[us]")}
    return data.assign_coords({name: ("pair", values) for name, values in dates.items()})


def untied(o):
    """Shifts whose pairs skip every second date."""
    return with_pairs(o.shifts, ["2020-01-01", "2020-02-01", "2020-01-01"], ["2020-03-01", "2020-04-01", "2020-05-01"])


def long_pairs(o):
    """Shifts of archive photographs."""
    return with_pairs(o.shifts, ["1950-08-01", "1960-08-01", "1950-08-01"], ["1960-08-01", "1980-08-01", "1980-08-01"])


def map_of(o):
    """Half-ranges on the pixels of the stack."""
    return xr.full_like(o.stack[0].drop_vars("time"), 4.0)


def prior_of(o, vx=VELOCITY, names=("vx", "vy")):
    """Prior on a coarse grid of the stack."""
    places = map_of(o)[::5, ::5]
    return xr.Dataset({names[0]: xr.full_like(places, vx), names[1]: xr.zeros_like(places)})


def by_pair(o):
    """Prior for every pair of the network."""
    return prior_of(o, names=("dx", "dy")).expand_dims(pair=3).assign_coords(o.network.coords)


def view_of(o):
    """Views of scenes as wholes, from two orbits in turn."""
    angles = {"view_zenith": ("time", [8.0, 9.0, 8.0]), "view_azimuth": ("time", [285.0, 104.0, 285.0])}
    return xr.Dataset(angles, {"time": o.stack.time})


STAKES = pd.DataFrame({"x": [0.0], "y": [0.0], "v_east": [1.0], "v_north": [2.0]})


def statistics(o, changes):
    return xoffset.stable_statistics(**({"shifts": o.shifts, "stable": o.shifts.dx[0].notnull()} | changes))


def triangle(o, size=500.0, by=0.0):
    """Triangle from the middle of the grid, as GeoJSON in its CRS."""
    x, y = float(o.rate.x.mean()) + by, float(o.rate.y.mean()) + by
    corners = [(x, y), (x + size, y), (x, y + size), (x, y)]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    return {"type": "Polygon", "coordinates": [corners], "crs": crs}


def crossing(o):
    found = triangle(o)
    (x, y), (right, _), (_, top), _ = found["coordinates"][0]
    return found | {"coordinates": [[(x, y), (right, top), (right, y), (x, top), (x, y)]]}


def mean_of(o, changes):
    return xoffset.area_mean(**({"dataset": o.rate, "polygon": triangle(o)} | changes))


def compared(o, changes):
    return xoffset.compare(**({"dataset": o.rate, "table": STAKES} | changes))


def sun_of(o, elevation=(20.0, 50.0, 20.0), azimuth=(150.0, 140.0, 150.0), **names):
    """Sun of the dates of the stack."""
    angles = {"sun_azimuth": ("time", list(azimuth)), "sun_elevation": ("time", list(elevation))}
    return xr.Dataset(angles, coords={"time": o.stack.time}).rename(names)


def sun_in_radians(o):
    return sun_of(o, (0.3, 0.9, 0.3), (2.6, -2.4, 6.2))


def sun_in_metres(o):
    sun = sun_of(o)
    return sun.assign(sun_azimuth=sun.sun_azimuth.assign_attrs(units="m"))


def sunlit(o, changes):
    """Light on the ground of the shifts."""
    return xoffset.light(**({"shifts": o.shifts, "dem": map_of(o), "sun": sun_of(o)} | changes))


def lit_network(o, changes):
    """Whether the dates of the shifts bear the sun."""
    return xoffset.sun_term(**({"network": o.shifts, "sun": sun_of(o)} | changes))


# each of the functions that are told the sun of the shifts
LIT = {
    "invert": lambda o, sun: xoffset.invert(o.shifts, sun=sun),
    "decompose": lambda o, sun: xoffset.decompose(o.shifts, sun=sun),
    "velocity": lambda o, sun: xoffset.velocity(o.shifts, sun=sun),
    "light": lambda o, sun: sunlit(o, {"sun": sun}),
}


def degrees(stack):
    return stack.assign_coords(x=("x", np.linspace(8, 8.1, 96), {"units": "degrees_east"}))


# ------------------------------------------------------------------------------------------------------------ messages

STACKS = [
    ("no array", lambda s: s.values, TypeError, r"Pick one variable of a Dataset: dataset\['red'\]"),
    ("Dataset", lambda s: s.to_dataset(name="red"), TypeError, r"Pick one variable"),
    ("None", lambda s: None, TypeError, r"Pick one variable"),
    ("bands", lambda s: xr.DataArray(s.values, dims=("band", "y", "x")), ValueError, r"Pick one band and name the dat"),
    ("four dims", lambda s: s.expand_dims("band"), ValueError, r"Pick one band.*stack\.sel\(band=1\)"),
    ("one image", lambda s: s[0], ValueError, r"stack\.expand_dims\('time'\) for one image"),
    ("dates last", lambda s: s.transpose("y", "x", "time"), ValueError, r"Reorder: stack\.transpose\('time', 'y', 'x"),
    ("degrees", lambda s: s.rename(y="latitude", x="longitude"), ValueError, r"Reproject to a metric CRS first"),
    ("date", lambda s: s.rename(time="date"), ValueError, r"Rename or select: stack\.rename"),
    ("complex", lambda s: s.astype(complex), TypeError, r"Convert first: abs\(stack\) for complex images"),
    ("bool", lambda s: s > 0, TypeError, r"stack\.astype\('uint8'\) for masks"),
    ("datetime", lambda s: s.astype("int64").astype("M8[s]"), TypeError, r"Convert first"),
    ("object", lambda s: s.astype(object), TypeError, r"Convert first"),
    ("text", lambda s: s.astype(str), TypeError, r"Convert first"),
    ("no date", lambda s: s[:0], ValueError, r"Check the selection"),
    ("no row", lambda s: s[:, :0], ValueError, r"got shape \(3, 0, 96\)\. Check the selection"),
    ("no column", lambda s: s[:, :, :0], ValueError, r"Check the selection"),
    ("unsorted", lambda s: s[::-1], ValueError, r"Sort: stack\.sortby\('time'\)"),
    (
        "twice",
        lambda s: s.isel(time=[0, 0, 1]),
        ValueError,
        r"got 2020-01-01\S* more than once.*drop_duplicates\('time",
    ),
    ("NaT", lambda s: s.assign_coords(time=NOT_A_DATE), ValueError, r"Drop or date it: stack\.dropna\('time'\)"),
    ("numbers", lambda s: s.assign_coords(time=[0, 1, 2]), TypeError, r"Convert: .*pandas\.to_datetime"),
    ("texts", lambda s: s.assign_coords(time=DATES), TypeError, r"Convert: .*pandas\.to_datetime"),
    (
        "another calendar",
        lambda s: s.assign_coords(time=xr.date_range(DATES[0], periods=3, calendar="noleap", use_cftime=True)),
        TypeError,
        r"got dtype object\. Convert",
    ),
    ("no coordinate", lambda s: s.drop_vars("x"), ValueError, r"Assign the pixel centres: stack\.assign_coords"),
    ("uneven", lambda s: s.assign_coords(x=np.arange(96.0) ** 1.5), ValueError, r"Resample to a regular grid"),
    ("a column left out", lambda s: s.drop_isel(x=40), ValueError, r"got steps from 10 to 20 m\. Resample"),
    ("one place", lambda s: s.assign_coords(y=0 * s.y), ValueError, r"evenly spaced 'y'.*Resample"),
    ("NaN places", lambda s: s.assign_coords(y=np.nan * s.y), ValueError, r"evenly spaced 'y'.*Resample"),
    ("one pixel", lambda s: s[:, :1, :1], ValueError, r"more than one pixel; got one\. Check the selection"),
    ("units of degrees", degrees, ValueError, r"Reproject first: stack\.rio\.reproject"),
    (
        "geographic, south west",
        lambda s: in_crs(s, 4326, np.linspace(-71, -70.9, 96), np.linspace(-30, -30.1, 96)),
        ValueError,
        r"Reproject to UTM zone 19S first: EPSG:32719",
    ),
    (
        "geographic, north east",
        lambda s: in_crs(s, 4258, np.linspace(7, 7.1, 96), np.linspace(46, 46.1, 96)),
        ValueError,
        r"Reproject to UTM zone 32N first: EPSG:32632",
    ),
    ("Web Mercator", lambda s: in_crs(s, 3857), ValueError, r"Web Mercator.*Reproject first: stack\.rio\.reproject"),
    (
        "World Mercator",
        lambda s: in_crs(s, 3395),
        ValueError,
        r"Mercator projection.*Reproject first: stack\.rio\.repro",
    ),
    ("geocentric", lambda s: in_crs(s, 4978), ValueError, r"geocentric CRS.*Reproject first"),
    ("feet", lambda s: in_crs(s, 2263), ValueError, r"US survey foot\. Reproject first"),
    (
        "a CRS that is named but not there",
        lambda s: s.drop_vars("spatial_ref").assign_attrs(grid_mapping="crs"),
        ValueError,
        r"decode_coords='all'",
    ),
]

# what pairs() looks at is the dates
NO_STACKS_FOR_PAIRS = ("no array", "None", "bands", "date", "no date", "unsorted", "twice", "NaT", "numbers", "texts")


def field(o, x=lambda x: x):
    """Velocity on the grid of the stack, its x moved."""
    layer = xr.full_like(o.stack.isel(time=0, drop=True), 4.0, dtype=float)
    return xr.Dataset({"vx": layer, "vy": layer}).assign_coords(x=x(o.stack.x))


def line_of(o):
    """From corner to corner of the grid of the rate."""
    return [(float(o.rate.x[k]), float(o.rate.y[k])) for k in (0, -1)]


def numbered(o):
    """One detector that saw all pixels."""
    return xr.ones_like(o.stack[0], dtype="uint8").drop_vars("time")


STACKERS = (xoffset.mean_displacement, xoffset.mean_velocity, xoffset.vector_coherence, xoffset.quality)
OF_VECTORS = {
    "strain": lambda data, o: xoffset.strain(data),
    "profile": lambda data, o: xoffset.profile(data, line_of(o)),
    "ground": lambda data, o: xoffset.ground(data),
}

YEARLY = xoffset.yearly_velocity
CASES = [
    *((f"correlate: {n}", partial(lambda c, o: match(c(o.stack), o.network), c), e, m) for n, c, e, m in STACKS),
    *(
        (f"pairs: {n}", partial(lambda c, o: xoffset.pairs(c(o.stack)), c), (TypeError, ValueError), r"\. \w+.*: ?\w")
        for n, c, _, _ in STACKS
        if n in NO_STACKS_FOR_PAIRS
    ),
    pytest.param(
        "correlate: degrees with CRS",
        lambda o: match(in_crs(degrees(o.stack), 4326, y=np.linspace(46, 46.1, 96)), o.network),
        ValueError, "UTM zone 32N",
    ),
    # -------------------------------------------------------------------------------------------------------- pairs()
    ("pairs: one image", lambda o: xoffset.pairs(o.stack[:1]), ValueError, r"Add images: open_stack\(more files\)"),
    pytest.param(
        "pairs: one image without dim", lambda o: xoffset.pairs(o.stack[0]), ValueError, r"\. \w+",
    ),
    *(
        (f"pairs: {options}", partial(lambda k, o: xoffset.pairs(o.stack, **k), options), ValueError, advice)
        for options, advice in (
            ({"min_gap": 0}, r"Swap or widen them"),
            ({"max_gap": 0}, r"Swap or widen them"),
            ({"min_gap": 3, "max_gap": 2}, r"got min_gap=3, max_gap=2\. Swap or widen them"),
            ({"min_gap": 3}, r"none out of 3 dates.*Widen the gap or the baseline"),
            ({"min_baseline": "1000D"}, r"Widen the gap or the baseline"),
            ({"max_baseline": "1D"}, r"Widen the gap or the baseline"),
            ({"max_baseline": "ten days"}, r"Give a number and a unit: '10D'"),
            ({"max_baseline": "1Y"}, r"Write '365D' for years.*Give a number and a unit: '10D'"),
            ({"max_baseline": "6m"}, r"Write '180D' for months of 30 days, '6min' for minutes"),
            ({"split": "03/04/2020"}, r"Write '2020-04-03' or '2020-03-04', whichever is meant"),
            ({"split": "2020.52"}, r"A decimal year names no day.*Write it as '2020-06-01T10:30'"),
            ({"max_baseline": [10]}, r"Give a number and a unit: '10D'"),
            ({"split": "soon"}, r"Write it as '2020-06-01T10:30'"),
            ({"split": "2020-07-01"}, r"Give the time, UTC: split='2020-07-01T10:30'"),
            ({"split": "2019-01-01"}, r"Give a split after the first date"),
            ({"min_gap": 1.5}, r"needs whole numbers.*got min_gap=1\.5"),
            ({"max_baseline": 10}, r"Give a number and a unit: '10D'"),
            ({"max_baseline": "10"}, r"Give a number and a unit: '10D'"),
            ({"min_baseline": "NaT"}, r"Give a number and a unit: '10D'"),
            ({"split": "NaT"}, r"Write it as '2020-06-01T10:30'"),
            ({"split": ["2020-06-01"]}, r"Write it as '2020-06-01T10:30'"),
            ({"max_gap": "2"}, r"got min_gap=1, max_gap='2'\. Swap or widen them"),
            ({"split": 2020}, r"Write it as '2020-06-01T10:30'"),
            ({"direction": "backward"}, r"Choose one of these"),
            ({"direction": None}, r"Choose one of these"),
            ({"max_season_gap": 30}, r"Give a number and a unit: '10D'"),
            ({"max_season_gap": "1h"}, r"Of 3 pairs none has so like a sun: allow more with max_season_gap"),
            ({"max_season_gap": "-5D"}, r"of at least 0 as max_season_gap; got '-5D'\. Pass one such as '30D'"),
            ({"max_sun_gap": 10.0}, r"Assign them: stack\.assign_coords\(sun_azimuth="),
            ({"max_sun_gap": 0}, r"max_sun_gap \[degree\]; got 0\. Pass one such as 10"),
            ({"same_orbit": True}, r"Assign it: stack\.assign_coords\(relative_orbit="),
            ({"same_geometry": True}, r"Assign it: stack\.assign_coords\(geometry="),
        )
    ),
    # ------------------------------------------------------------------------------------------------------ networks
    ("network: None", lambda o: xoffset.correlate(o.stack, None), TypeError, r"See pairs\(\)"),
    ("network: array", lambda o: match(o.stack, o.network.reference), TypeError, r"See pairs\(\)"),
    ("network: nothing", lambda o: match(o.stack, o.empty), ValueError, r"Make a network with stack\.offset\.pairs"),
    ("network: variables", lambda o: match(o.stack, o.network.reset_coords()), ValueError, r"Make a network with"),
    (
        "network: numbers",
        lambda o: match(o.stack, o.network.assign_coords(reference=("pair", [0, 0, 1]))),
        TypeError,
        r"Make the network with stack\.offset\.pairs\(\)",
    ),
    ("network: empty", lambda o: match(o.stack, o.network.isel(pair=[])), ValueError, r"Widen the limits of pairs\(\)"),
    (
        "network: one date with itself",
        lambda o: match(o.stack, with_pairs(o.network, DATES, DATES)),
        ValueError,
        r"Drop that pair",
    ),
    ("network: other dates", lambda o: match(o.stack[:2], o.network), ValueError, r"Build the network from this stack"),
    (
        "network: NaT",
        lambda o: match(o.stack, with_pairs(o.network, DATES, ["2020-07-01", "2021-01-01", "NaT"])),
        ValueError,
        r"(Build the network from this stack|Drop the pair)",
    ),
    *(
        (f"pair: {name}", partial(lambda d, k, o: xoffset.pair(d(o), *k), data, dates), error, advice)
        for name, data, dates, error, advice in (
            ("stack", lambda o: o.stack, DATES[:2], TypeError, r"See pairs\(\)"),
            ("no date", lambda o: o.shifts, ("soon", DATES[1]), ValueError, r"Write it as"),
            ("number", lambda o: o.shifts, (2020, DATES[1]), ValueError, r"Write it as"),
            ("not there", lambda o: o.shifts, (DATES[0], "2020-08-01"), ValueError, r"2020-01-01 to 2020-07-01, 2020-"),
            ("turned", lambda o: o.network, (DATES[1], DATES[0]), ValueError, r"exchange the dates"),
            ("one already", lambda o: o.shifts.isel(pair=0), DATES[:2], ValueError, r"\. \w+"),
            (
                "twice",
                lambda o: o.shifts.isel(pair=[0, 1, 0]),
                DATES[:2],
                ValueError,
                r"got 2 of .*isel\(pair=0\), or all: dataset\.isel\(pair=\[0, 2\]\)",
            ),
        )
    ),
    *(
        (f"{name}: scattered points", partial(lambda c, o: c(scattered(o.shifts)), call), ValueError, advice)
        for name, call, advice in (
            ("vector_coherence", xoffset.vector_coherence, r"before you pick points"),
            ("strain", xoffset.strain, r"before you pick points"),
            ("profile", lambda s: xoffset.profile(s, [(0.0, 0.0), (1.0, 1.0)]), r"before you pick points"),
            ("trajectory", lambda s: xoffset.trajectory(xoffset.invert(s), [(0.0, 0.0)]), r"before you pick points"),
            ("calibrate", lambda s: xoffset.calibrate(s, s.x > 0.0), r"before you pick points"),
            ("correct", xoffset.correct, r"before you pick points"),
            ("screen", xoffset.screen, r"Pass neighbourhood=False"),
            ("to_geotiff", lambda s: xoffset.to_geotiff(s, "none"), r"to_dataframe"),
        )
    ),
    *(
        (f"invert: points and {name}", partial(lambda c, o: c(o, scattered(o.shifts)), call), ValueError, advice)
        for name, call, advice in (
            ("a map", lambda o, s: xoffset.invert(s, stable=o.shifts.dx[0] > 0), r"Pick the nodes: data\.sel"),
            ("others", lambda o, s: xoffset.invert(s, weights=s.dx.assign_coords(x=s.x + 1.0)), r"same points"),
            ("no place", lambda o, s: xoffset.invert(s, weights=s.dx.drop_vars("x")), r"Take the same points"),
            ("fewer", lambda o, s: xoffset.invert(s, weights=s.dx[:, 1:]), r"Take the same points"),
        )
    ),
    ("diagnose: stack", lambda o: xoffset.diagnose(o.stack), TypeError, r"See pairs\(\)"),
    ("diagnose: series", lambda o: xoffset.diagnose(o.series), ValueError, r"Make a network with stack\.offset\.pairs"),
    ("diagnose: empty", lambda o: xoffset.diagnose(o.network.isel(pair=[])), ValueError, r"Widen the limits of pairs"),
    pytest.param(
        "diagnose: NaT",
        lambda o: xoffset.diagnose(with_pairs(o.network, DATES, ["2020-07-01", "2021-01-01", "NaT"])),
        ValueError, r"\. \w+",
    ),
    pytest.param(
        "velocity: NaT",
        lambda o: xoffset.velocity(with_pairs(o.shifts, DATES, ["2020-07-01", "2021-01-01", "NaT"])),
        ValueError, r"\. \w+",
    ),
    # ---------------------------------------------------------------------------------------------------- correlate()
    *(
        (
            f"correlate: {name}={value!r}",
            partial(lambda k, o: match(o.stack, **k), {name: value}),
            ValueError,
            rf"at least {least} pixels as {name}.*; got .*\. Pass a number such as {name}=\d+\.",
        )
        for name, least in (("template", 5), ("search", 1), ("step", 1))
        for value in (0, -1, 8.0, True, "8", None, least - 1)
        if (name, value) != ("template", None)
    ),
    ("correlate: large template", lambda o: match(o.stack, template=97), ValueError, r"Use a smaller template"),
    ("correlate: large search", lambda o: match(o.stack, search=41), ValueError, r"98 x 98.*smaller template"),
    ("correlate: small image", lambda o: match(o.stack[:, :20]), ValueError, r"got 20 x 96\. Use a smaller template"),
    ("correlate: matcher", lambda o: match(o.stack, matcher="fft"), ValueError, r"Pass matcher='ncc'"),
    ("correlate: template of a dense match",
     lambda o: match(o.stack, matcher="regularized", template=7), ValueError, r"Leave template"),
    ("correlate: map for a dense match",
     lambda o: match(o.stack, matcher="regularized", search=map_of(o), template=None), ValueError,
     r"Pass a number"),
    *(
        (f"Regularized: {options}", partial(lambda v, o: xoffset.Regularized(**v), options), ValueError, advice)
        for options, advice in (
            ({"window": 4}, r"Pass window=7"),
            ({"window": 1}, r"Pass window=7"),
            ({"window": 7.0}, r"Pass window=7"),
            ({"window": 3, "smoothness": 0.0}, r"at least 5 pixels with smoothness=0; got 3\. Pass window=5"),
            ({"direction": 30.0, "smoothness": 0.0}, r"above 0 for direction.*; got.*Leave them out"),
            ({"cost_floor": 0.2, "smoothness": 0.0}, r"above 0 for direction.*; got.*Leave them out"),
            ({"direction": float("nan")}, r"Pass one from 0 to 360"),
            ({"smoothness": -1.0}, r"Pass one such as"),
            ({"smoothness": float("inf")}, r"Pass one such as"),
            ({"direction": "N"}, r"Pass one from 0 to 360"),
            ({"cost_floor": 1.0}, r"Pass a correlation"),
        )
    ),
    *(
        (f"correlate: {name} for {matcher}",
         partial(lambda m, k, o: match(o.stack, **{"matcher": m, "template": None} | k(o)), matcher, make),
         ValueError, advice)
        for matcher in ("regularized", "flow")
        for name, make, advice in (
            ("no search", lambda o: {"search": 0}, r"at least 1 pixels as search"),
            ("nested windows", lambda o: {"template": (16, 32)}, r"no template.*\(16, 32\).*Leave template"),
            ("Pyramid", lambda o: {"search": xoffset.Pyramid(8)}, r"one search for all nodes.*Pyramid\. Pass"),
            ("map", lambda o: {"search": map_of(o)}, r"one search for all nodes.*map.*\. Pass a number"),
            ("orientation", lambda o: {"prefilter": "orientation"}, r"needs prefilter.*Pass one of the names"),
            ("search beyond the image", lambda o: {"search": 60}, r"needs images of at least"),
        )
    ),
    *(
        (f"correlate: one pixel {along} for {matcher}",
         partial(lambda m, d, o: match(o.stack.isel({d: slice(0, 1)}), matcher=m, template=None), matcher, along),
         ValueError, r"needs images of at least .*; got .*\. Use a smaller")
        for matcher in ("regularized", "flow") for along in ("x", "y")
    ),
    ("correlate: levels of a small image",
     lambda o: match(o.stack, matcher=xoffset.Flow((8, 4), levels=4), template=None), ValueError,
     r"at least 128 pixels a side for Flow\(levels=4\); got 96 x 96\. Leave levels out"),
    ("coregister: dense matcher with a template",
     lambda o: xoffset.coregister(o.stack, matcher="flow", template=64), ValueError, r"Leave template out"),
    ("extend: dense matcher of windows",
     lambda o: extend(o, template="recorded", matcher="regularized"), ValueError,
     r"with; got matcher=.*Pass the old ones"),
    ("correlate: window of a flow", lambda o: match(o.stack, matcher="flow", template=9), ValueError, r"Leave temp"),
    ("correlate: nested flow", lambda o: match(o.stack, matcher="flow", template=(8, 16)), ValueError, r"Leave temp"),
    ("correlate: pyramid of a flow",
     lambda o: match(o.stack, matcher="flow", search=xoffset.Pyramid(8), template=None), ValueError,
     r"or a Pyramid\. Pass a number"),
    ("correlate: wide flow",
     lambda o: match(o.stack, matcher=xoffset.Flow((128, 8)), template=None), ValueError,
     r"Pass narrower windows: Flow"),
    ("correlate: phase of small windows", lambda o: match(o.stack, matcher="phase"), ValueError, r"Pass template=64"),
    *(
        (f"correlate: phase, {name}", partial(lambda k, o: match(o.stack, matcher="phase", **k(o)), options), e, advice)
        for name, options, e, advice in (
            ("nested", lambda o: {"template": (32, 64)}, ValueError, r"one template.*\(32, 64\)\. Pass template=64"),
            ("Pyramid", lambda o: {"template": 32, "search": xoffset.Pyramid(8)}, ValueError, r"a number and a prior"),
            ("map", lambda o: {"template": 32, "search": map_of(o)}, ValueError, r"Pass a number and a prior"),
            ("rectangle", lambda o: {"template": 32, "search": (4, 5)}, ValueError, r"Pass a number and a prior"),
        )
    ),
    # ------------------------------------------------------------------------------------------- windows and searches
    *(
        (f"correlate: template={value}", partial(lambda v, o: match(o.stack, template=v), value), ValueError, advice)
        for value, advice in (
            ((), r"at least one template; got none\. Pass a number"),
            ((16, 8.0), r"as template; got 8\.0\. Pass a number"),
            ((4, 16), r"at least 5 pixels as template; got 4"),
            ("16", r"as template; got '16'"),
            ((16, 17), r"multiples of 2 pixels.*share their centres.*Pass sides such as 16, 18 and 22"),
            ((16, 24), r"multiples of 16 pixels.*Pass sides such as 16, 32 and 64"),
            ((16, 48, 112), r"Use a smaller template"),
        )
    ),
    *(
        (f"correlate: search={value}", partial(lambda v, o: match(o.stack, search=v), value), ValueError, advice)
        for value, advice in (
            ((4,), r"two of them for y and x; got \(4,\)\. Pass a number such as search=8"),
            ((4, 4, 4), r"two of them for y and x"),
            ((4, 0), r"two of them for y and x"),
            ((4, 2.5), r"two of them for y and x"),
            ([], r"two of them for y and x"),
            (np.array([4, 4]), r"two of them for y and x"),
            ((4, 41), r"24 x 98.*search=\(4, 41\); got 96 x 96\. Use a smaller template or search"),
            (xoffset.Pyramid(41), r"98 x 98.*Use a smaller template or search"),
        )
    ),
    *(
        (f"Pyramid: {k}", partial(lambda k, o: xoffset.Pyramid(**k), k), ValueError, advice)
        for k, advice in (
            ({"search": 0}, r"two of them for y and x; got 0\. Pass a number such as search=8"),
            ({"search": 8.0}, r"Pass a number such as search=8"),
            ({"search": "8"}, r"Pass a number such as search=8"),
            ({"search": (8, 9, 10)}, r"Pass a number such as search=8"),
            ({"search": None}, r"Pass a number such as search=8"),
            ({"search": 20, "levels": 0}, r"1 to 4 levels; got 0\. Leave levels out"),
            ({"search": 20, "levels": 5}, r"Leave levels out"),
            ({"search": 20, "levels": True}, r"Leave levels out"),
            ({"search": 20, "levels": 1.5}, r"Leave levels out"),
        )
    ),
    *(
        (f"correlate: map, {name}", partial(lambda c, o: match(o.stack, search=c(map_of(o))), c), ValueError, advice)
        for name, c, advice in (
            ("negative", lambda m: m - 5, r"whole numbers of pixels from 0 on.*got -1 to -1\. Round it up: np\.ceil"),
            ("fraction", lambda m: m + 0.5, r"got 4\.5 to 4\.5\. Round it up"),
            ("nothing", lambda m: 0 * m, r"some of them above 0; got 0 to 0\. Round it up"),
            ("unknown", lambda m: np.nan * m, r"some of them above 0|overlaps"),
            ("elsewhere", lambda m: m.assign_coords(x=m.x + 1e6), r"some of them above 0|overlaps"),
            ("large", lambda m: 20 * m, r"176 x 176.*Use a smaller template or search"),
            ("lazy", lambda m: m.chunk(), r"in memory.*got a lazy one\. Compute it first: search\.compute\(\)"),
            ("places", lambda m: m.drop_vars("x"), r"y and x with coordinates.*Give it those of the stack"),
            ("dates", lambda m: m.expand_dims("time"), r"needs dims \('y', 'x'\); got .*\. "),
            ("CRS", lambda m: in_crs(m, 32633), r"got EPSG:32633\. Reproject it: search\.rio\.reproject\('EPSG"),
        )
    ),
    # ---------------------------------------------------------------------------------------------------------- masks
    *(
        (f"correlate: mask, {name}", partial(lambda c, o: match(o.stack, mask=c(o.stack > 0)), change), error, advice)
        for name, change, error, advice in (
            ("array", lambda m: m.values, TypeError, r"boolean DataArray \(time, y, x\) or \(y, x\) as .*got ndarray"),
            ("Dataset", lambda m: m.to_dataset(name="m"), TypeError, r"got Dataset\. Compare: mask = classes == 0"),
            ("switch", lambda m: True, TypeError, r"got bool\. Compare: mask = classes == 0"),
            ("numbers", lambda m: m.astype("uint8"), TypeError, r"got dtype uint8\. Compare: mask = classes == 0"),
            ("share", lambda m: m.astype(float), TypeError, r"got dtype float64\. Compare: mask = classes == 0"),
            ("bands", lambda m: m.expand_dims("band"), ValueError, r"Join them: mask\.all\(\['band'\]\)"),
            ("one row", lambda m: m.isel(y=0), ValueError, r"for all dates; got \('time', 'x'\)\. Name them"),
            ("degrees by name", lambda m: m.rename(x="lon", y="lat"), ValueError, r"\. (Join|Name) them: mask"),
            ("nothing", lambda m: m.isel(x=[]), ValueError, r"at least one pixel; got shape \(3, 96, 0\)\. Check the"),
            ("no places", lambda m: m.drop_vars("x"), ValueError, r"none on 'x'\. Assign .*: mask\.assign_coords"),
            ("uneven", lambda m: m.isel(x=[0, 1, 5]), ValueError, r"evenly spaced 'x'.*Resample to a regular grid"),
            ("no dates", lambda m: m.drop_vars("time"), TypeError, r"on 'time' of mask; got none\. Take those of"),
            ("years", lambda m: m.assign_coords(time=[1, 2, 3]), TypeError, r"of mask; got dtype int64\. Take those"),
            ("a date missing", lambda m: m.isel(time=[0, 1]), ValueError, r"none on 1 of 3, the first is 2021-01-01"),
            (
                "other times of day",
                lambda m: m.assign_coords(time=m.time + np.timedelta64(10, "h")),
                ValueError,
                r"none on 3 of 3.*Its days are there, at other times: mask\.assign_coords\(time=stack\.time\)",
            ),
            (
                "other dates",
                lambda m: m.assign_coords(time=m.time + np.timedelta64(10, "D")),
                ValueError,
                r"Make it of all dates, or say that the others are clear: mask\.reindex\(",
            ),
            (
                "a date twice",
                lambda m: xr.concat([m, m[:1]], "time"),
                ValueError,
                r"4 layers of 3 dates\. Keep one: mask\.drop_duplicates",
            ),
            ("NaT", lambda m: m.assign_coords(time=NOT_A_DATE), ValueError, r"every date of mask once.*Keep one"),
            (
                "elsewhere",
                lambda m: m.assign_coords(x=m.x + 1e5),
                ValueError,
                r"mask to overlap the stack, x 500005 to 500955, .*EPSG:32632; got one of x 600005.*\. Check its",
            ),
            ("another zone", lambda m: in_crs(m, 32639), ValueError, r"one of .*EPSG:32639\. Check its coordinates"),
            (
                "degrees",
                lambda m: in_crs(m, 4326, x=9.0 + 1e-4 * np.arange(96), y=10.0 + 1e-4 * np.arange(96)),
                ValueError,
                r"got one of x 9 to .*EPSG:4326\. Check its coordinates and its CRS",
            ),
            (
                "made of values with a fill",
                lambda m: m.assign_attrs(_FillValue=255),
                ValueError,
                r"nodata value is 255\. Mask those first.*mask = \(classes\.where\(classes != 255\) == 0\)",
            ),
        )
    ),
    (
        "estimate: mask",
        lambda o: xoffset.estimate(o.stack, o.network, mask=o.stack),
        TypeError,
        r"estimate\(\) needs a boolean DataArray.*Compare: mask = classes",
    ),
    ("extend: mask", lambda o: extend(o, mask=o.stack), TypeError, r"extend\(\) needs a boolean DataArray.*Compare"),
    ("extend: another mask", lambda o: extend(o, mask=o.stack > 0), ValueError, r"instead of None\. Pass the old ones"),
    # --------------------------------------------------------------------------------------------------------- priors
    *(
        (f"correlate: prior, {name}", partial(lambda c, o: match(o.stack, prior=c(prior_of(o))), change), error, advice)
        for name, change, error, advice in (
            ("array", lambda p: p.vx, TypeError, r"a Dataset as prior; got DataArray\. Pass a Dataset with vx and vy"),
            ("numbers", lambda p: (3, 4), TypeError, r"Pass a Dataset with vx and vy, or dx and dy"),
            ("one variable", lambda p: p[["vx"]], ValueError, r"got \['vx'\]\. Rename its variables"),
            ("names", lambda p: p.rename(vx="u", vy="v"), ValueError, r"got \['u', 'v'\]\. Rename its variables"),
            ("half of each", lambda p: p.rename(vx="dx"), ValueError, r"vx and vy .* or dx and dy"),
            ("lazy", lambda p: p.chunk(), ValueError, r"got a lazy one\. Compute it first: prior\.compute\(\)"),
            ("CRS", lambda p: in_crs(p, 32633), ValueError, r"EPSG:32632; got EPSG:32633\. Reproject it: prior\.rio"),
            ("no CRS", lambda p: p.drop_vars("spatial_ref"), ValueError, r"got no CRS\. Name it.*prior\.rio\.writ"),
            ("places", lambda p: p.drop_vars("y"), ValueError, r"y and x with coordinates"),
            ("dates", lambda p: p.expand_dims("time"), ValueError, r"needs dims \('y', 'x'\)"),
            ("pairs without dates", lambda p: p.expand_dims(pair=3), ValueError, r"prior\.assign_coords\(network"),
        )
    ),
    (
        "correlate: prior, missing pair",
        lambda o: match(o.stack, prior=by_pair(o).isel(pair=[0, 2])),
        ValueError,
        r"got none for 2020-01-01.* to 2021-01-01.*\. Add it, NaN if unknown, or pass a prior without pair",
    ),
    (
        "correlate: prior for a stack without CRS",
        lambda o: match(o.stack.drop_vars("spatial_ref").drop_encoding().drop_attrs(), prior=prior_of(o)),
        ValueError,
        r"of the stack, no CRS; got EPSG:32632\. Name that of the stack: stack\.rio\.write_crs\('EPSG:32632'\)",
    ),
    # ------------------------------------------------------------------------------------------- plan() and calibrate()
    ("estimate: template", lambda o: xoffset.estimate(o.stack, o.network, template=3), ValueError, r"template=32"),
    ("correlate: prior elsewhere", lambda o: xoffset.correlate(o.stack, o.network, search=4, prior=field(
        o, x=lambda x: x + 1e6)), ValueError, r"coordinates"),
    ("correlate: prior of one row", lambda o: xoffset.correlate(o.stack, o.network, search=4, prior=field(o).isel(
        y=[0])), ValueError, r"sortby"),
    ("correlate: prior of both kinds", lambda o: xoffset.correlate(o.stack, o.network, search=4, prior=field(o).assign(
        dx=field(o).vx, dy=field(o).vx)), ValueError, r"vx"),
    ("correlate: yes and no as search", lambda o: xoffset.correlate(o.stack, o.network, search=field(o).vx > 0),
        ValueError, r"astype"),
    ("correlate: map elsewhere", lambda o: xoffset.correlate(o.stack, o.network, search=field(
        o, x=lambda x: x + 1e6).vx), ValueError, r"coordinates"),
    ("correlate: levels", lambda o: xoffset.correlate(o.stack.isel(y=slice(0, 20)), o.network, template=8,
        search=xoffset.Pyramid(3, levels=4)), ValueError, r"fewer levels"),
    ("warmup: workers", lambda o: xoffset.warmup(workers=0), ValueError, r"Pass workers=2"),
    ("plan: v_max", lambda o: xoffset.plan(o.stack, v_max=0.0), ValueError, r"\. \w+"),
    ("plan: no stack", lambda o: xoffset.plan(o.network, v_max=9.0), TypeError, r"\. \w+"),
    ("calibrate: no shifts", lambda o: xoffset.calibrate(o.stack, o.stack[0] > 0), TypeError, r"\. \w+"),
    ("calibrate: no mask", lambda o: xoffset.calibrate(o.shifts, o.stack[0]), TypeError, r"\. \w+"),
    ("correct: stack", lambda o: xoffset.correct(o.stack), TypeError, r"See pairs\(\)"),
    ("correct: series", lambda o: xoffset.correct(o.series), ValueError, r"Make a network with"),
    ("correct: no mask", lambda o: xoffset.correct(o.shifts, stable=o.stack[0]), TypeError, r"Compare: stable = slope"),
    ("correct: order", lambda o: xoffset.correct(o.shifts, order=4), ValueError, r"Choose one of these"),
    ("correct: view of no date", lambda o: xoffset.correct(o.shifts, view=view_of(o).isel(time=[0])), ValueError,
     r"Read the angles of all scenes"),
    ("correct: view of a stack", lambda o: xoffset.correct(o.shifts, view=o.stack), TypeError, r"Use xoffset\.angles"),
    ("thinning_bias: no azimuth", lambda o: xoffset.thinning_bias(o.shifts, view=view_of(o)[["view_zenith"]]),
     ValueError, r"got none of \['view_azimuth'\]"),
    ("thinning_bias: network", lambda o: xoffset.thinning_bias(o.network, view=view_of(o)), ValueError, r"dx and dy"),
    ("velocity: sigma_shift of nodes", lambda o: xoffset.velocity(o.shifts.assign(sigma_shift=o.shifts.sigma_dx)),
     ValueError, r"Keep what correct\(\) or invert\(\) gave"),
    ("correct: trace elsewhere", lambda o: xoffset.correct(o.shifts, trace=[(0.0, 0.0), (1.0, 1.0)]), ValueError,
        r"crosses the grid.*Check its CRS"),
    ("correct: stripes of no date", lambda o: xoffset.correct(o.shifts, stripes=xr.ones_like(o.stack[:1], "uint8")),
        ValueError, r"stripes of every date.*xoffset\.detectors"),
    ("closure: stack", lambda o: xoffset.closure(o.stack), TypeError, r"See pairs\(\)"),
    ("closure: series", lambda o: xoffset.closure(o.series), ValueError, r"Make a network with"),
    ("closure: no sigma", lambda o: xoffset.closure(o.shifts.drop_vars("sigma_dx")), ValueError, r"Use the result of"),
    ("closure: no grid", lambda o: xoffset.closure(o.shifts.drop_vars("x")), ValueError, r"Assign the pixel centres"),
    ("closure: no mask", lambda o: xoffset.closure(o.shifts, stable=o.stack[0]), TypeError, r"Compare: stable = slope"),
    (
        "closure: mask of pairs",
        lambda o: xoffset.closure(o.shifts, stable=o.shifts.dx > 0.0),
        ValueError,
        r"needs dims \('y', 'x'\) of stable.*Join them: stable\.all\(\['pair'\]\)",
    ),
    (
        "closure: mask elsewhere",
        lambda o: xoffset.closure(o.shifts, stable=(o.stack[0] > 0).assign_coords(x=o.stack.x + 3e4)),
        ValueError,
        r"closure\(\) needs stable to overlap the shifts.*Check its coordinates",
    ),
    (
        "closure: mask in another CRS, elsewhere",
        lambda o: xoffset.closure(o.shifts, stable=in_crs(o.stack[0] > 0, 32633)),
        ValueError,
        r"needs stable to overlap the shifts.*got one of .*EPSG:32633\. Check its coordinates and its CRS",
    ),
    ("correlate: matcher class", lambda o: match(o.stack, matcher=xoffset.NCC), ValueError, r"Pass matcher='ncc'"),
    ("correlate: prefilter", lambda o: match(o.stack, prefilter="gauss"), ValueError, r"Pass one of the names"),
    ("correlate: prefilter", lambda o: match(o.stack, prefilter=True), ValueError, r"Pass one of the names"),
    *(
        (f"NCC: {value}", partial(lambda v, o: xoffset.NCC(min_valid=v), value), ValueError, r"Pass a share such as")
        for value in (0, -0.5, 1.01, np.nan, np.inf, "0.5", None)
    ),
    ("correlate: nodata", lambda o: match(o.stack.assign_attrs(nodata="none")), ValueError, r"Correct it: data"),
    # ---------------------------------------------------------------------------------- screen(), invert(), velocity()
    *(
        (f"{function.__name__}: {name}", partial(lambda f, c, o: f(c(o)), function, choose), error, advice)
        for function in (xoffset.screen, xoffset.invert, xoffset.velocity)
        for name, choose, error, advice in (
            ("no Dataset", lambda o: o.shifts.dx, TypeError, r"See (pairs|invert)\(\)"),
            ("stack", lambda o: o.stack, TypeError, r"See (pairs|invert)\(\)"),
            ("None", lambda o: None, TypeError, r"See (pairs|invert)\(\)"),
            ("rate", lambda o: o.rate, ValueError, r"(Make a network with|Use the result of invert\(\))"),
            ("network", lambda o: o.network, ValueError, r"Use the result of correlate\(\)"),
            ("no dy", lambda o: o.shifts.drop_vars("dy"), ValueError, r"none called dy\. Use the result of correlate"),
            ("no sigma", lambda o: o.shifts.drop_vars("sigma_dx"), ValueError, r"sigma_dx\. Use the result of correl"),
            ("dims", lambda o: o.shifts.transpose("y", "x", "pair"), ValueError, r"Reorder: dataset\.transpose\("),
            ("no dates", lambda o: o.shifts.drop_vars("secondary"), ValueError, r"Make a network with"),
            ("no pair", lambda o: o.shifts.isel(pair=[]), ValueError, r"Widen the limits of pairs\(\)"),
            ("itself", lambda o: with_pairs(o.shifts, DATES, DATES), ValueError, r"Drop that pair"),
            (
                "numbers for dates",
                lambda o: o.shifts.assign_coords(reference=("pair", [0, 0, 1])),
                TypeError,
                r"Make the network with",
            ),
        )
    ),
    *(
        pytest.param(
            f"{function.__name__}: complex", partial(lambda f, o: f(o.shifts.astype(complex)), function), TypeError,
            r"\. \w+",
        )
        for function in (xoffset.screen, xoffset.invert, xoffset.velocity)
    ),
    ("screen: series", lambda o: xoffset.screen(o.series), ValueError, r"Make a network with"),
    ("invert: series", lambda o: xoffset.invert(o.series), ValueError, r"Make a network with"),
    ("screen: no grid", lambda o: xoffset.screen(o.shifts.drop_vars("x")), ValueError, r"Assign the pixel centres"),
    *(
        pytest.param(
            f"{function.__name__}: no grid", partial(lambda f, o: f(o.shifts.drop_vars("x")), function), ValueError,
            r"Assign the pixel centres",
        )
        for function in (xoffset.invert, xoffset.velocity)
    ),
    *(
        (
            f"screen: {name}={value}",
            partial(lambda k, o: xoffset.screen(o.shifts, **k), {name: value}),
            ValueError,
            r"Pass a share such as 0\.5",
        )
        for name in ("min_score", "min_peak_gap")
        for value in (-0.1, 1.5, 50, np.nan, np.inf, "0.5", True)
    ),
    (
        "screen: neighbourhood",
        lambda o: xoffset.screen(o.shifts, neighbourhood="yes"),
        TypeError,
        r"Pass one of the two",
    ),
    (
        "screen: no score",
        lambda o: xoffset.screen(o.shifts.drop_vars("score"), min_score=0.5),
        ValueError,
        r"Leave min_score out",
    ),
    (
        "screen: no gap",
        lambda o: xoffset.screen(o.shifts.drop_vars("peak_gap"), min_peak_gap=0.1),
        ValueError,
        r"Leave min_peak_gap out",
    ),
    *(
        (
            f"screen: {name}={value!r}",
            partial(lambda k, o: xoffset.screen(o.shifts, **k), {name: value}),
            ValueError,
            advice,
        )
        for names, values, advice in (
            (
                ("max_displacement", "max_speed", "median_test", "max_range", "max_deviation", "max_closure",
                 "max_mismatch"),
                (0, -1.0, np.nan, np.inf, "5", True, [5]),
                r"Pass (one such as|100\.0 or '10 px')",
            ),
            (("max_angle_spread",), (0, -45, np.nan, "45", 181.0), r"Pass one such as 45"),
            (("ndc", "min_valid_fraction"), (-0.1, 1.5, np.nan, "0.2", True), r"Pass a share such as 0\.5"),
            (("min_peak_ratio",), (0.9, -1, np.nan, "1.3", True), r"Pass one such as 2"),
            (("min_clump",), (1, 0, -3, 4.5, "9", True), r"Pass min_clump=9"),
            (("min_clump",), (10**7,), r"at most 10,000 nodes as min_clump; got 10,000,000\. Pass one such as 9"),
            (("pycorr",), (0.05, (0.05, 1.0), "rule", True, {}), r"Pass pycorr=\(0\.05, 1\.0, 0\.0\)"),
            (("pycorr",), ((0.05, 1.5, 0.0), (np.nan, 1.0, 0.0), (0.05, "1", 0.0)), r"Pass a share such as 0\.5"),
            (("max_angle",), (45.0,), r"Pass direction, such as the aspect of the slope, or max_angle_spread"),
        )
        for name in names
        for value in values
    ),
    *(
        (f"screen: direction, {name}", partial(lambda c, o: xoffset.screen(o.shifts, **c(o)), make), error, advice)
        for name, make, error, advice in (
            ("text", lambda o: {"direction": "down"}, TypeError, r"Pass the aspect of a slope, or the rate"),
            ("number", lambda o: {"direction": 90.0}, TypeError, r"Pass the aspect of a slope"),
            ("switches", lambda o: {"direction": map_of(o) > 0}, TypeError, r"Pass the aspect of a slope"),
            ("dims", lambda o: {"direction": o.stack}, ValueError, r"Take one date or the mean over time"),
            ("order", lambda o: {"direction": map_of(o).T}, ValueError, r"direction\.transpose\('y', 'x'\)"),
            ("no places", lambda o: {"direction": o.stack[0].drop_vars(["x", "y"])}, ValueError, r"coordinates"),
            ("units", lambda o: {"direction": map_of(o).assign_attrs(units="%")}, ValueError, r"Convert it and say so"),
            ("dates", lambda o: {"direction": o.series}, ValueError, r"Take one date or the mean over time"),
            ("no vectors", lambda o: {"direction": o.empty}, ValueError, r"Use the result of"),
            ("CRS", lambda o: {"direction": in_crs(map_of(o), 32635)}, ValueError, r"Reproject what it is made of"),
            ("elsewhere", lambda o: {"direction": map_of(o).assign_coords(x=o.stack.x + 1e6)}, ValueError, r"extent"),
            ("angle", lambda o: {"direction": map_of(o), "max_angle": 200.0}, ValueError, r"at most 180 degrees"),
        )
    ),
    *(
        (f"screen: {name}", partial(lambda c, o: xoffset.screen(**c(o)), make), ValueError, advice)
        for name, make, advice in (
            ("no mismatch", lambda o: {"shifts": o.shifts, "max_mismatch": 5.0}, r"Match with NCC\(both_ways=True\)"),
            (
                "no valid fraction",
                lambda o: {"shifts": o.shifts.drop_vars("valid_fraction"), "min_valid_fraction": 0.7},
                r"needs 'valid_fraction' for min_valid_fraction; .* Match again with correlate\(\), or leave",
            ),
            (
                "no gap for pycorr",
                lambda o: {"shifts": o.shifts.drop_vars("peak_gap"), "pycorr": (0.05, 1.0, 0.0)},
                r"Leave pycorr and min_peak_ratio out",
            ),
            (
                "no pixel size",
                lambda o: {"shifts": o.shifts.drop_vars("pixel_size"), "median_test": 2.0},
                r"Assign it: shifts\.assign_coords\(pixel_size=\.\.\.\), in metres\.",
            ),
            (
                "no search",
                lambda o: {"shifts": o.shifts.drop_vars("search_area"), "ndc": 0.2},
                r"Assign it: shifts\.assign_coords\(search_area=\.\.\.\), in metres squared\.",
            ),
            ("few pairs", lambda o: {"shifts": o.shifts, "max_deviation": 3.5}, r"got 3\. Match more pairs"),
            ("few to turn", lambda o: {"shifts": o.shifts, "max_angle_spread": 45.0}, r"got 3\. Match more pairs"),
            (
                "no triplet",
                lambda o: {"shifts": o.shifts.isel(pair=[0, 1]), "max_closure": 3.0},
                r"Match longer pairs too, pairs\(max_gap=2\), or leave max_closure out",
            ),
        )
    ),
    ("coregister: shifts", lambda o: xoffset.coregister(o.shifts), TypeError, r"coregister\(\).*Pick one variable"),
    ("coregister: one date", lambda o: xoffset.coregister(o.stack[:1]), ValueError, r"coregister\(\).*Add images"),
    ("coregister: no mask", lambda o: xoffset.coregister(o.stack, stable=o.stack[0]), TypeError, r"Compare: stable ="),
    ("coregister: order", lambda o: xoffset.coregister(o.stack, order=3), ValueError, r"Choose one of these"),
    ("coregister: other dates", lambda o: xoffset.coregister(o.stack[:2], network=o.network), ValueError,
        r"coregister\(\).*Build the network from this stack"),
    ("denoise: series", lambda o: xoffset.denoise(o.series), ValueError, r"denoise\(\).*Make a network with"),
    ("denoise: method", lambda o: xoffset.denoise(o.shifts, method="mean"), ValueError, r"Choose one of these"),
    ("denoise: size", lambda o: xoffset.denoise(o.shifts, size=2), ValueError, r"Pass a number such as size=5"),
    ("denoise: large", lambda o: xoffset.denoise(o.shifts, size=99), ValueError, r"Pass size=3"),
    ("Jitter: method", lambda o: xoffset.Jitter(method="mean"), ValueError, r"Choose one of these"),
    ("Jitter: waves", lambda o: xoffset.Jitter(shortest=900.0, longest=1000.0), ValueError, r"Pass longest=7200"),
    ("drop_masked: series", lambda o: xoffset.drop_masked(o.series, o.stack > 0), ValueError, r"Make a network with"),
    ("drop_masked: numbers", lambda o: xoffset.drop_masked(o.shifts, o.stack), TypeError, r"drop_masked\(\).*Compare"),
    ("discard_pairs: series", lambda o: xoffset.discard_pairs(o.series), ValueError, r"Make a network with"),
    ("discard_pairs: ratio", lambda o: xoffset.discard_pairs(o.shifts, max_ratio="all"), ValueError, r"max_ratio"),
    ("discard_pixels: series", lambda o: xoffset.discard_pixels(o.series), ValueError, r"Make a network with"),
    ("discard_pixels: share", lambda o: xoffset.discard_pixels(o.shifts, max_discarded=2), ValueError, r"max_disc"),
    ("discard_pixels: pairs", lambda o: xoffset.discard_pixels(o.shifts, min_pairs=0), ValueError, r"min_pairs"),
    ("remove_median: series", lambda o: xoffset.remove_median(o.series), ValueError, r"Make a network with"),
    ("remove_median: nodes", lambda o: xoffset.remove_median(o.shifts, min_nodes=0), ValueError, r"min_nodes"),
    ("misclosure: series", lambda o: xoffset.misclosure(o.series, o.series), ValueError, r"Make a network with"),
    ("misclosure: shifts", lambda o: xoffset.misclosure(o.shifts, o.shifts), ValueError, r"misclosure\(\)"),
    ("misclosure: dates", lambda o: xoffset.misclosure(o.shifts, o.series[{"time": slice(1)}]), ValueError, r"Invert"),
    ("drop_misclosed: shifts", lambda o: xoffset.drop_misclosed(o.shifts), ValueError, r"drop_misclosed\(\)"),
    ("drop_misclosed: limit", lambda o: xoffset.drop_misclosed(o.series, max_rms=0.0), ValueError, r"max_rms \[m\]"),
    ("drop_misclosed: no rms", lambda o: xoffset.drop_misclosed(o.series.drop_vars("rms")), ValueError, r"Pass the"),
    ("crop: shifts", lambda o: xoffset.crop(o.shifts, (0, 0, 1, 1)), TypeError, r"Pick one variable"),
    ("crop: order", lambda o: xoffset.crop(o.stack, (1, 1, 0, 0)), ValueError, r"Order it so"),
    ("crop: beyond", lambda o: xoffset.crop(o.stack, (-900, -900, -800, -800)), ValueError, r"Pass one within these"),
    ("crop: buffer", lambda o: xoffset.crop(o.stack, (0, 0, 1, 1), buffer=-1), ValueError, r"buffer"),
    ("one_a_year: shifts", lambda o: xoffset.one_a_year(o.shifts), TypeError, r"Pick one variable"),
    ("grid_step: part", lambda o: xoffset.grid_step(o.stack, spacing=84.0), ValueError, r"Pass one such as 80"),
    ("grid_step: sign", lambda o: xoffset.grid_step(o.stack, spacing=-80.0), ValueError, r"spacing \[m\]"),
    ("tio_smoothness: stack", lambda o: xoffset.tio_smoothness(o.stack), TypeError, r"See pairs"),
    ("invert: residual_scale", lambda o: xoffset.invert(o.shifts, residual_scale=1.0), ValueError, r"needs loss='tio'"),
    ("velocity: weights", lambda o: xoffset.velocity(o.series, weights="tio"), ValueError, r"Choose one of these"),
    ("drop_cloudy: both", lambda o: xoffset.masking.drop_cloudy(o.stack, o.stack), ValueError, r"max_mean=1200"),
    ("drop_cloudy: path", lambda o: xoffset.masking.drop_cloudy(o.stack, "B09", max_mean=1.0), TypeError, r"B09"),
    ("drop_cloudy: dates", lambda o: xoffset.masking.drop_cloudy(o.stack, o.stack[:1], max_mean=1.0), ValueError,
        r"same scenes"),
    ("drop_cloudy: none", lambda o: xoffset.masking.drop_cloudy(o.stack, o.stack, max_mean=0.0), ValueError,
        r"Raise the limit"),
    ("whole_pixels: series", lambda o: xoffset.whole_pixels(o.series), ValueError, r"Make a network with"),
    (
        "whole_pixels: no pixel", lambda o: xoffset.whole_pixels(o.shifts.drop_vars("pixel_size")), ValueError,
        r"whole_pixels\(\).*Assign it",
    ),
    ("destripe: series", lambda o: xoffset.destripe(o.series, numbered(o)), ValueError, r"Make a network with"),
    ("destripe: value", lambda o: xoffset.destripe(o.shifts, numbered(o), value="mode"), ValueError, r"destripe\(\)"),
    ("correct: text", lambda o: xoffset.correct(o.shifts, max_shift="3 m"), ValueError, r"Pass 30.0 or '10 px'"),
    ("open_speed: no file", lambda o: xoffset.open_speed("none.tif", like=o.stack), FileNotFoundError, r"Check it"),
    ("open_speed: shifts", lambda o: xoffset.open_speed("n.tif", like=o.shifts), TypeError, r"open_speed\(\).*Pick"),
    (
        "search_range: nothing", lambda o: xoffset.search_range(o.stack, xoffset.pairs(o.stack), search=4), ValueError,
        r"search_range\(\).*Pass max_speed",
    ),
    ("open_dem: no file", lambda o: xoffset.open_dem("none.tif", like=o.stack), FileNotFoundError, r"Check it"),
    ("open_dem: shifts", lambda o: xoffset.open_dem("none.tif", like=o.shifts), TypeError, r"open_dem\(\).*Pick one"),
    ("losses: series", lambda o: xoffset.losses(o.series), ValueError, r"losses\(\).*Make a network with"),
    ("losses: no dy", lambda o: xoffset.losses(o.shifts.drop_vars("dy")), ValueError, r"losses\(\).*Use the result"),
    ("losses: stack", lambda o: xoffset.losses(o.stack), TypeError, r"losses\(\).*See pairs\(\)"),
    *(
        (
            f"screen: max_separation={value}",
            partial(lambda v, o: xoffset.screen(o.shifts, max_separation=v), value),
            ValueError,
            advice,
        )
        for value, advice in (
            ("long", r"Give a number and a unit: '10D'"),
            (200, r"Give a number and a unit: '10D'"),
            (np.int64(200), r"Give a number and a unit: '10D'"),
            (True, r"Give a number and a unit: '10D'"),
            ([], r"Give a number and a unit: '10D'"),
            ("-1D", r"above zero.*Pass '200D', or 'auto'"),
            (np.timedelta64(0, "D"), r"above zero.*Pass '200D', or 'auto'"),
        )
    ),
    *(
        (f"invert: {name}", partial(invert, make=make), ValueError, advice)
        for name, make, advice in (
            ("weights", lambda o: {"weights": "huber"}, r"'long_baseline' or an array; got 'huber'\. Choose one"),
            ("weights of nothing", lambda o: {"weights": None}, r"got object \(\)\. Pass one number a pair"),
            ("weights of text", lambda o: {"weights": ["a", "b", "c"]}, r"Pass one name, or two such as"),
            ("weights too few", lambda o: {"weights": [1.0, 2.0]}, r"with shape \(3,\) or .*; got float64 \(2,\)"),
            ("weights of a map", lambda o: {"weights": o.shifts.dx[0]}, r"got \('y', 'x'\).*Reorder: weights\.transp"),
            ("weights in order", lambda o: {"weights": o.shifts.dx.transpose()}, r"Reorder: weights\.transpose"),
            ("weights elsewhere", lambda o: {"weights": o.shifts.dx[:, ::-1]}, r"with other coordinates.*align them"),
            ("weights of others", lambda o: {"weights": o.shifts.score[::-1, 0, 0]}, r"with other coordinates"),
            (
                "stable of no sigma",
                lambda o: {
                    "weights": "uniform",
                    "stable": o.shifts.dx[0].notnull(),
                    "shifts": o.shifts.assign(sigma_dx=np.nan * o.shifts.dx),
                },
                r"got none\. Leave stable out",
            ),
            ("weights turned", lambda o: {"weights": o.shifts.dx.values.T}, r"Pass one number a pair, or one a pair"),
            ("weights negative", lambda o: {"weights": [1.0, -1.0, 1.0]}, r"Set those to 0 to drop pairs"),
            ("weights infinite", lambda o: {"weights": [1.0, np.inf, 1.0]}, r"Set those to 0 to drop pairs"),
            ("loss", lambda o: {"loss": "cauchy"}, r"'huber'.*got 'cauchy'"),
            ("islands", lambda o: {"islands": "join"}, r"'bridge'.*got 'join'"),
            ("smooth negative", lambda o: {"smooth": -1.0}, r"number of at least 0 .*Pass 0 for none"),
            ("smooth unknown", lambda o: {"smooth": np.nan}, r"Pass 0 for none"),
            ("smooth infinite", lambda o: {"smooth": np.inf}, r"Pass 0 for none"),
            ("smooth yes", lambda o: {"smooth": True}, r"Pass 0 for none"),
            ("smooth word", lambda o: {"smooth": "strong"}, r"Pass 0 for none"),
            ("smooth islands", lambda o: {"smooth": 1.0, "islands": "bridge"}, r"Leave smooth or islands out"),
            ("prior alone", lambda o: {"prior": o.series}, r"Pass one, or leave the prior out"),
            (
                "prior of other dates",
                lambda o: {"smooth": 1.0, "prior": o.series[["dx", "dy", "sigma_dx", "sigma_dy"]].isel(time=[0, 1])},
                r"got none at 2021-01-01.*Invert the same shifts",
            ),
            ("prior elsewhere", lambda o: {"smooth": 1.0, "prior": o.series.isel(x=[0, 1])}, r"got another grid"),
            ("no reference", lambda o: {"reference": []}, r"got none\. Write it as '2020-06-01"),
            ("stable elsewhere", lambda o: {"stable": o.shifts.dx[0].notnull().isel(x=[0])}, r"stable"),
            ("stable nowhere", lambda o: {"stable": o.shifts.dx[0] > 1e9}, r"stable to be True on at least one node"),
        )
    ),
    ("invert: stable", lambda o: xoffset.invert(o.shifts, stable=o.shifts.dx[0]), TypeError, r"Compare: stable ="),
    (
        "invert: no sigma",
        lambda o: xoffset.invert(o.shifts.assign(sigma_dx=np.nan * o.shifts.dx)),
        ValueError,
        r"needs standard errors for weights='sigma'; got none\. Pass weights='uniform'",
    ),
    (
        "invert: no score",
        lambda o: xoffset.invert(o.shifts.drop_vars("score"), weights="score"),
        ValueError,
        r"Pass weights='sigma'",
    ),
    ("invert: reference", lambda o: xoffset.invert(o.shifts, reference="2020-07-02"), ValueError, r"The nearest is"),
    *(
        (
            f"invert: reference {value}",
            partial(lambda v, o: xoffset.invert(o.shifts, reference=v), value),
            ValueError,
            r"Write it as '2020-06-01",
        )
        for value in ("soon", "NaT", ["2020-01-01", "soon"])
    ),
    (
        "velocity: series unsorted",
        lambda o: xoffset.velocity(o.series.isel(time=[1, 0, 2])),
        ValueError,
        r"Sort: stack\.sortby\('time'\)",
    ),
    (
        "velocity: series of numbers",
        lambda o: xoffset.velocity(o.series.assign_coords(time=[0, 1, 2])),
        TypeError,
        r"Convert: .*pandas\.to_datetime",
    ),
    (
        "velocity: series dims",
        lambda o: xoffset.velocity(o.series.transpose("y", "x", "time")),
        ValueError,
        r"Reorder: dataset\.transpose\('time', 'y', 'x'\)",
    ),
    ("velocity: series without sigma", lambda o: xoffset.velocity(o.series.drop_vars("sigma_dy")), ValueError, "Use"),
    pytest.param(
        "velocity: series of no date", lambda o: xoffset.velocity(o.series.isel(time=[])), ValueError, r"\. \w+",
    ),
    # ------------------------------------------------------------------------------------------------------- quality
    *(
        (f"stable_statistics: {name}", partial(lambda c, o: statistics(o, c(o)), change), error, advice)
        for name, change, error, advice in (
            ("stack", lambda o: {"shifts": o.stack}, TypeError, r"See correlate\(\)"),
            ("no vectors", lambda o: {"shifts": o.shifts[["score"]]}, ValueError, r"Use the result of correlate"),
            ("no mask", lambda o: {"stable": o.stack[0]}, TypeError, r"Compare: stable = slope"),
            ("no moving", lambda o: {"moving": o.stack[0]}, TypeError, r"as moving.*Compare: moving = speed > 5"),
            ("moving of pairs", lambda o: {"moving": o.shifts.dx > 0.0}, ValueError, r"moving\.any\('time'\)"),
            ("nowhere", lambda o: {"stable": o.stack[0] < 0}, ValueError, r"stable to be True on at least one node"),
            ("nothing moves", lambda o: {"moving": o.stack[0] < 0}, ValueError, r"moving to be True on at least one"),
            ("elsewhere", lambda o: {"stable": (o.stack[0] > 0).assign_coords(x=o.stack.x + 1e5)}, ValueError, "over"),
            ("pixels", lambda o: {"pixel_size": 0.0}, ValueError, r"Pass one such as 10"),
            ("pixels of a rate", lambda o: {"shifts": o.rate, "pixel_size": 10.0}, ValueError, r"Leave pixel_size out"),
        )
    ),
    *(
        (f"area_mean: {name}", partial(lambda c, o: mean_of(o, c(o)), change), error, advice)
        for name, change, error, advice in (
            ("stack", lambda o: {"dataset": o.stack}, TypeError, r"See correlate\(\)"),
            ("no polygon", lambda o: {"polygon": 3.0}, TypeError, r"Save them as GeoJSON"),
            ("no file", lambda o: {"polygon": "nowhere.geojson"}, FileNotFoundError, r"nowhere\.geojson"),
            ("no CRS", lambda o: {"dataset": o.rate.drop_vars("spatial_ref")}, ValueError, r"write_crs"),
            ("beside", lambda o: {"polygon": triangle(o, by=1e5)}, ValueError, r"reach the grid.*Check the CRS"),
            ("between", lambda o: {"polygon": triangle(o, size=0.01, by=3.0)}, ValueError, r"Draw them wider"),
            ("crossing", lambda o: {"polygon": crossing(o)}, ValueError, r"make_valid"),
            ("empty", lambda o: {"polygon": {"type": "FeatureCollection", "features": []}}, ValueError, r"Check the"),
            ("no mask", lambda o: {"stable": o.stack[0]}, TypeError, r"Compare: stable = slope"),
            ("share", lambda o: {"min_valid": 2.0}, ValueError, r"Pass a share such as 0\.5"),
        )
    ),
    *(
        (f"compare: {name}", partial(lambda c, o: compared(o, c(o)), change), error, advice)
        for name, change, error, advice in (
            ("stack", lambda o: {"dataset": o.stack}, TypeError, r"See correlate\(\)"),
            ("shifts", lambda o: {"dataset": o.shifts}, ValueError, r"invert\(shifts\), velocity\(shifts\)"),
            ("path", lambda o: {"table": "stakes.csv"}, TypeError, r"pandas\.read_csv"),
            ("axes", lambda o: {"axes": "south"}, ValueError, r"Choose one of these"),
            ("far", lambda o: {}, ValueError, r"Check the CRS of the positions"),
        )
    ),
    # ---------------------------------------------------------------------------- statistics of pairs, strain, profiles
    *(
        (f"{function.__name__}: {name}", partial(lambda f, c, o: f(c(o)), function, change), error, advice)
        for function in STACKERS
        for name, change, error, advice in (
            ("stack", lambda o: o.stack, TypeError, r"See pairs\(\)"),
            ("series", lambda o: o.series, ValueError, r"Make a network with"),
            ("network", lambda o: o.network, ValueError, r"Use the result of correlate\(\)"),
            ("no sigma", lambda o: o.shifts.drop_vars("sigma_dx"), ValueError, r"sigma_dx\. Use the result of correl"),
            ("no grid", lambda o: o.shifts.drop_vars("x"), ValueError, r"Assign the pixel centres"),
            ("complex", lambda o: o.shifts.astype(complex), TypeError, r"Use the result of correlate"),
        )
    ),
    ("mean_velocity: estimator", lambda o: xoffset.mean_velocity(o.shifts, estimator="tio"), ValueError, r"Choose one"),
    *(
        (f"vector_coherence: {k}", partial(lambda k, o: xoffset.vector_coherence(o.shifts, **k), k), ValueError, advice)
        for k, advice in (
            ({"window": 4}, r"odd number of at least 1 nodes as window; got 4\. Pass a number such as window=5"),
            ({"window": 0}, r"window=5"),
            ({"window": 5.0}, r"window=5"),
            ({"window": True}, r"window=5"),
            ({"min_displacement": -1.0}, r"at least 0 as min_displacement; got -1\.0\. Pass one such as"),
            ({"min_displacement": np.nan}, r"Pass one such as"),
            ({"min_displacement": "1"}, r"Pass one such as"),
            ({"min_valid": 40}, r"Pass a share such as 0\.5"),
        )
    ),
    ("quality: threshold", lambda o: xoffset.quality(o.shifts, threshold=20), ValueError, r"Pass a share such as"),
    ("quality: no score", lambda o: xoffset.quality(o.shifts.drop_vars("score")), ValueError, r"Use the result of"),
    (
        "quality: yes and no as score",
        lambda o: xoffset.quality(o.shifts.assign(score=o.shifts.score > 0.5)),
        ValueError,
        r"Use the result of correlate",
    ),
    *(
        (f"{name}: {kind}", partial(lambda f, c, o: f(c(o), o), function, change), error, advice)
        for name, function in OF_VECTORS.items()
        for kind, change, error, advice in (
            ("stack", lambda o: o.stack, TypeError, r"got DataArray\. See correlate\(\) or velocity\(\)"),
            ("None", lambda o: None, TypeError, r"See correlate\(\) or velocity\(\)"),
            ("network", lambda o: o.network, ValueError, r"dx and dy, or vx and vy; got \[\]\. Use the result of"),
            ("no dy", lambda o: o.shifts.drop_vars("dy"), ValueError, r"Use the result of correlate\(\), invert\(\)"),
            ("both", lambda o: o.shifts.assign(vx=o.rate.vx, vy=o.rate.vy), ValueError, r"Use the result of"),
            ("dims", lambda o: o.rate.transpose("x", "y"), ValueError, r"Reorder: dataset\.transpose\('y', 'x'\)"),
            ("dims of dy", lambda o: o.shifts.assign(dy=o.shifts.dy[0]), ValueError, r"in 'dy'\. Reorder"),
            ("dims of sigma", lambda o: o.rate.assign(sigma_vx=o.rate.vx.T), ValueError, r"in 'sigma_vx'\. Reorder"),
            ("no grid", lambda o: o.rate.drop_vars("y"), ValueError, r"Assign the pixel centres"),
            ("complex", lambda o: o.rate.astype(complex), TypeError, r"real numbers in 'vx'"),
        )
    ),
    *(
        (f"{name}: uneven", partial(lambda f, o: f(o.rate.isel(x=[0, 1, 3]), o), OF_VECTORS[name]), ValueError, "Resam")
        for name in ("strain", "profile")
    ),
    *(
        (f"strain: {k}", partial(lambda k, o: xoffset.strain(o.rate, **k), k), ValueError, advice)
        for k, advice in (
            ({"window": 1}, r"odd number of at least 3 nodes"),
            ({"window": 6}, r"window=5"),
            ({"overlap": 0.5}, r"at least 1 as overlap; got 0\.5\. Pass one such as 2"),
            ({"overlap": np.inf}, r"Pass one such as 2"),
            ({"min_valid": 2}, r"Pass a share such as"),
        )
    ),
    *(
        (f"profile: {name}", partial(lambda c, o: c(o, line_of(o)), call), ValueError, advice)
        for name, call, advice in (
            ("one vertex", lambda o, a: xoffset.profile(o.rate, a[:1]), r"Pass \[\(x0, y0\), \(x1, y1\)\]"),
            ("no length", lambda o, a: xoffset.profile(o.rate, [a[0], a[0]]), r"Pass \[\(x0, y0\)"),
            ("numbers", lambda o, a: xoffset.profile(o.rate, 5.0), r"got 5\.0\. Pass \[\(x0, y0\)"),
            ("text", lambda o, a: xoffset.profile(o.rate, "A-B"), r"got 'A-B'\. Pass \[\(x0, y0\)"),
            ("ragged", lambda o, a: xoffset.profile(o.rate, [(1, 2), (3,)]), r"Pass \[\(x0, y0\)"),
            ("NaN", lambda o, a: xoffset.profile(o.rate, [a[0], (np.nan, 1.0)]), r"Pass \[\(x0, y0\)"),
            ("elsewhere", lambda o, a: xoffset.profile(o.rate, [(0, 0), (9, 9)]), r"got one beside it\. Check the CRS"),
            ("closed", lambda o, a: xoffset.profile(o.rate, [*a, (a[0][0], a[1][1]), a[0]]), r"Pass strike="),
            ("strike", lambda o, a: xoffset.profile(o.rate, a, strike=np.nan), r"Pass one from 0 to 360"),
            ("strike of text", lambda o, a: xoffset.profile(o.rate, a, strike="N"), r"Pass one from 0 to 360"),
            ("no spacing", lambda o, a: xoffset.profile(o.rate, a, spacing=0), r"as spacing .* Pass one such as"),
            ("spacing", lambda o, a: xoffset.profile(o.rate, a, spacing=-10.0), r"Pass one such as"),
            ("width", lambda o, a: xoffset.profile(o.rate, a, width=-10.0), r"Pass one such as"),
            ("overlap", lambda o, a: xoffset.profile(o.rate, a, overlap=0.0), r"Pass one such as 2"),
        )
    ),
    (
        "ground: no CRS",
        lambda o: xoffset.ground(o.rate.drop_vars("spatial_ref").drop_encoding()),
        ValueError,
        r"got a dataset without one\. Name it: dataset\.rio\.write_crs",
    ),
    ("ground: degrees", lambda o: xoffset.ground(in_crs(o.rate, 4326)), ValueError, r"Reproject to UTM zone"),
    ("ground: feet", lambda o: xoffset.ground(in_crs(o.rate, 2263)), ValueError, r"US survey foot\. Reproject first"),
    # ------------------------------------------------------------------------------------------ light and seasons
    *(
        (f"{name}: sun, {what}", partial(lambda f, c, o: f(o, c(o)), function, choose), error, advice)
        for name, function in LIT.items()
        for what, choose, error, advice in (
            ("array", lambda o: np.ones((3, 2)), TypeError, r"Pass the stack that was matched"),
            ("none", lambda o: o.stack, ValueError, r"Assign them: stack\.assign_coords\(sun_azimuth="),
            ("zenith", lambda o: sun_of(o, sun_elevation="zenith"), ValueError, r"got none of \['sun_elevation'\]"),
            ("two dates", lambda o: sun_of(o).isel(time=[0, 2]), ValueError, r"1 are not there, the first is 2020-07"),
            ("night", lambda o: sun_of(o, (20.0, -3.0, 20.0)), ValueError, r"and elevation -3 on 2020-07.*leave the"),
            ("radians", lambda o: sun_of(o, (0.3, 0.8, np.nan)), ValueError, r"got azimuth 150 and elevation nan"),
            ("maps", lambda o: sun_of(o).expand_dims(x=2), ValueError, r"the mean over y and x"),
            ("units", lambda o: sun_in_metres(o), ValueError, r"in degree; got"),
            ("no units", lambda o: sun_in_radians(o), ValueError, r"like radians: azimuth 2.6, elev.*units='degree'"),
        )
    ),
    *(
        (f"sun_term: {what}", partial(lambda c, o: lit_network(o, c(o)), choose), error, advice)
        for what, choose, error, advice in (
            ("stack", lambda o: {"network": o.stack}, TypeError, r"needs a Dataset with dim 'pair'.*See pairs"),
            ("series", lambda o: {"network": o.series}, ValueError, r"Make a network with"),
            ("array", lambda o: {"sun": np.ones(3)}, TypeError, r"Pass the stack that was matched"),
            ("less than one", lambda o: {"max_growth": 0.5}, ValueError, r"max_growth of at least 1; got 0.5\. Pass"),
            ("text", lambda o: {"max_growth": "3"}, ValueError, r"above 0 as max_growth \[1\]; got '3'"),
        )
    ),
    ("invert: sun of few dates", lambda o: LIT["invert"](o, sun_of(o)), ValueError, r"7 dates.*pairs\(max_season_gap"),
    ("remove_season: few dates", lambda o: xoffset.remove_season(o.series), ValueError, r"7 dates or more over a year"),
    (
        "remove_season: half a year",
        lambda o: xoffset.remove_season(xoffset.resample(o.series, "10D").isel(time=slice(20))),
        ValueError,
        r"got 20 over 0\.52 years.*add images",
    ),
    ("remove_season: shifts", lambda o: xoffset.remove_season(o.shifts), ValueError, r"Reorder: dataset\.transpose"),
    ("remove_season: rate", lambda o: xoffset.remove_season(o.rate), ValueError, r"Use the result of invert\(\)"),
    (
        "remove_season: semiannual", lambda o: xoffset.remove_season(o.series, semiannual=1), TypeError,
        r"Pass one of the two",
    ),
    ("remove_season: loss", lambda o: xoffset.remove_season(o.series, loss="l2"), ValueError, r"Choose one of these"),
    *(
        (f"light: {what}", partial(lambda c, o: sunlit(o, c(o)), choose), error, advice)
        for what, choose, error, advice in (
            ("stack", lambda o: {"shifts": o.stack}, TypeError, r"See pairs\(\)"),
            ("series", lambda o: {"shifts": o.series}, ValueError, r"Make a network"),
            ("no dem", lambda o: {"dem": None}, TypeError, r"rioxarray\.open_rasterio"),
            ("dem elsewhere", lambda o: {"dem": in_crs(map_of(o), 32632, x=map_of(o).x + 1e5)}, ValueError, r"Check"),
            ("dem in degrees", lambda o: {"dem": in_crs(map_of(o), 4326)}, ValueError, r"Reproject"),
            ("sectors", lambda o: {"sectors": 0}, ValueError, r"Pass sectors=8"),
            ("slope", lambda o: {"min_slope": -1.0}, ValueError, r"min_slope; got -1\.0\. Pass one such as"),
            ("nothing stable", lambda o: {"stable": map_of(o) < 0.0}, ValueError, r"enlarge the mask"),
            ("stable of numbers", lambda o: {"stable": map_of(o)}, TypeError, r"stable"),
        )
    ),
    # ----------------------------------------------------------------------------------------------- models of motion
    *(
        (f"velocity: {options}", partial(lambda k, o: xoffset.velocity(o.shifts, **k), options), ValueError, advice)
        for options, advice in (
            ({"loss": "l2"}, r"Choose one of these"), ({"bootstrap": -1}, r"Pass bootstrap=200"),
            ({"bootstrap": 9, "block": 2}, r"at most half of the 3 dates.*got 2\. Pass a shorter block"),
            ({"bootstrap": 1}, r"Pass bootstrap=200"), ({"bootstrap": 9.5}, r"Pass bootstrap=200"),
            ({"bootstrap": True}, r"Pass bootstrap=200"), ({"bootstrap": 9, "block": 0}, r"Pass block=3"),
            ({"min_pairs": 0}, r"Pass min_pairs=3"), ({"min_pairs": 2.5}, r"Pass min_pairs=3"),
            ({"seed": -1}, r"Pass seed=0"), ({"seed": None}, r"Pass seed=0"),
        )
    ),
    *(
        (f"decompose: {options}", partial(lambda k, o: xoffset.decompose(o.shifts, **k), options), ValueError, advice)
        for options, advice in (
            ({"steps": "2020-06-01"}, r"Pass a list: \['2020-06-01'\]"),
            ({"steps": "search"}, r"Pass invert\(shifts\)"),
            ({"steps": ["2020-07-01"]}, r"Give the time, UTC"), ({"steps": ["2019-07-02"]}, r"Choose a date between"),
            ({"steps": ["2022-07-02"]}, r"Choose a date between"), ({"steps": ["soon"]}, r"Write it as"),
            ({"exponential": ["2020-06-01"]}, r"Pass \[\('2020-06-01T10:30', 30\.0\)\]"),
            ({"exponential": [("2020-06-01", 0)]}, r"Pass one such as 30"),
            ({"logarithmic": [("2020-06-01", np.nan)]}, r"Pass one such as 30"),
            ({"logarithmic": [("2021-06-01", 30)]}, r"Choose an earlier date"), ({"epoch": "soon"}, r"Write it as"),
            ({"loss": None}, r"Choose one of these"),
        )
    ),
    ("decompose: annual", lambda o: xoffset.decompose(o.series, seasonal=1), TypeError, r"Pass one of the two"),
    ("decompose: network", lambda o: xoffset.decompose(o.network), ValueError, r"Use the result of correlate\(\)"),
    ("decompose: rate", lambda o: xoffset.decompose(o.rate), ValueError, r"Use the result of invert\(\)"),
    ("coseismic: day", lambda o: xoffset.coseismic(o.shifts, "2020-07-01"), ValueError, r"date='2020-07-01T10:30'"),
    ("coseismic: early", lambda o: xoffset.coseismic(o.series, "2019-07-01"), ValueError, r"Choose a date between"),
    ("coseismic: number", lambda o: xoffset.coseismic(o.series, 3), ValueError, r"Write it as"),
    ("coseismic: loss", lambda o: xoffset.coseismic(o.shifts, "2020-06-01", loss=2), ValueError, r"Choose one of"),
    ("coseismic: trend", lambda o: xoffset.coseismic(o.shifts, "2020-06-01", trend=1), TypeError, r"Pass one of"),
    *(
        (
            f"coseismic: {value}",
            partial(lambda v, o: xoffset.coseismic(o.shifts, "2020-06-01", postseismic=v), value),
            ValueError,
            r"Pass one such as 30",
        )
        for value in (0, -3.0, np.inf, np.nan, "30D", True)
    ),
    ("onset: shifts", lambda o: xoffset.onset(o.shifts), ValueError, r"onset\(\).*Pass invert\(shifts\)"),
    ("onset: rate", lambda o: xoffset.onset(o.rate), ValueError, r"Use the result of invert"),
    ("onset: changes", lambda o: xoffset.onset(o.series, max_changes=0), ValueError, r"Pass max_changes=2"),
    ("onset: stack", lambda o: xoffset.onset(o.stack), TypeError, r"See invert"),
    ("inverse_velocity: shifts", lambda o: xoffset.inverse_velocity(o.shifts), ValueError, r"Pass invert\(shifts\)"),
    ("inverse_velocity: late", lambda o: xoffset.inverse_velocity(o.series, start="2030-01-01"), ValueError, "earlier"),
    ("combine_bands: one", lambda o: xoffset.combine_bands({"B03": o.shifts}), ValueError, r"Match another band"),
    ("combine_bands: shifts", lambda o: xoffset.combine_bands(o.shifts), TypeError, r"Pass \{'B03'"),
    (
        "combine_bands: series",
        lambda o: xoffset.combine_bands({"B03": o.shifts, "B04": o.series}),
        ValueError,
        r"Make a network with",
    ),
    ("interval_velocity: rate", lambda o: xoffset.interval_velocity(o.rate), ValueError, r"Use the result of invert"),
    ("interval_velocity: stack", lambda o: xoffset.interval_velocity(o.stack), TypeError, r"See invert"),
    ("interval_velocity: date", lambda o: xoffset.interval_velocity(o.series.isel(time=[0])), ValueError, r"Keep more"),
    ("interval_velocity: untied", lambda o: xoffset.interval_velocity(untied(o)), ValueError, r"pairs\(stack, max_g"),
    ("yearly_velocity: long pairs", lambda o: YEARLY(long_pairs(o)), ValueError, r"interval_velocity\(\)"),
    ("yearly_velocity: series", lambda o: xoffset.yearly_velocity(o.series), ValueError, r"Make a network with"),
    ("yearly_velocity: number", lambda o: YEARLY(o.shifts, max_separation=20), ValueError, r"'10D'"),
    ("yearly_velocity: short", lambda o: YEARLY(o.shifts, max_separation="2D"), ValueError, r"Pass a longer one"),
    ("yearly_velocity: loss", lambda o: YEARLY(o.shifts, loss="median"), ValueError, r"Choose one of these"),
    ("yearly_velocity: seasonal", lambda o: YEARLY(o.shifts, seasonal=None), TypeError, r"Pass one of the two"),
    # ------------------------------------------------------------------------------------ files, maps, synthetic images
    ("open_stack: number", lambda o: xoffset.open_stack(3), TypeError, r"Pass paths: open_stack\('scenes/\*\.tif'\)"),
    ("open_stack: orbit", lambda o: xoffset.open_stack("no/*.tif", orbit="8"), ValueError, r"such as orbit=8"),
    ("open_stack: tile", lambda o: xoffset.open_stack("no/*.tif", tile="T1"), ValueError, r"Pass one such as tile="),
    ("open_stack: nothing", lambda o: xoffset.open_stack("no/*.tif"), FileNotFoundError, r"Check the pattern"),
    ("detectors: number", lambda o: xoffset.detectors(3, like=o.stack), TypeError, r"Pass paths"),
    ("detectors: nothing", lambda o: xoffset.detectors("no/*", like=o.stack), FileNotFoundError, r"Check the pattern"),
    ("angles: Dataset", lambda o: xoffset.angles("no", like=o.rate), TypeError, r"Pick one variable of a Dataset"),
    ("angles: no CRS", lambda o: xoffset.angles("no", like=without_crs(o.stack)), ValueError, r"rio\.write_crs"),
    ("class_layer: no dates", lambda o: xoffset.class_layer("no", like=o.stack[0]), ValueError, r"expand_dims"),
    ("class_layer: image", lambda o: xoffset.class_layer("no.tif", like=o.stack), ValueError, r"Give the products"),
    ("classes: legend", lambda o: MASKING.classes(o.stack, like=o.stack), ValueError, r"legend='scl'"),
    ("classes: bands", lambda o: MASKING.classes({"red": o.stack}, like=o.stack), ValueError, r"without blue, green"),
    ("classes: no dates", lambda o: MASKING.classes("no", like=o.stack[0]), ValueError, r"expand_dims"),
    ("usable: layer", lambda o: MASKING.usable(o.stack * 0 + 9), ValueError, r"Look whether the legend"),
    ("usable: buffer", lambda o: MASKING.usable(o.stack, buffer="20 m"), ValueError, r"Pass one such as"),
    ("open_result: nothing", lambda o: xoffset.open_result("no.zarr"), FileNotFoundError, r"Check the path"),
    *(
        (
            f"from_table: {name}",
            partial(lambda t, k, o: xoffset.from_table(t(TABLE) if callable(t) else t, **k), rows, options),
            error,
            advice,
        )
        for name, rows, options, error, advice in (
            ("array", lambda t: t.to_numpy(), {}, TypeError, r"Convert it first: pandas\.DataFrame"),
            ("None", None, {}, TypeError, r"Convert it first: pandas\.DataFrame"),
            ("nothing there", "no.csv", {}, FileNotFoundError, r"check the path\. Or pass a DataFrame"),
            ("no CSV", Path(__file__), {}, ValueError, r"pandas\.read_csv\(|Name"),
            ("no row", lambda t: t[:0], {}, ValueError, r"Check the selection"),
            ("no column", lambda t: t.drop(columns="dy"), {}, ValueError, r"'dy'; got 0 of it among reference, secon"),
            ("a column twice", lambda t: t[[*t, "dx"]], {}, ValueError, r"'dx'; got 2 of it.*Name the columns"),
            ("no such sigma", lambda t: t, {"sigma": ("sx", "sy")}, ValueError, r"'sx'; got 0 of it.*sigma="),
            ("no such place", lambda t: t, {"position": ("x", "y")}, ValueError, r"'x'; got 0 of it.*position="),
            ("one date", lambda t: t, {"dates": "reference"}, ValueError, r"Pass a pair such as dates="),
            ("three components", lambda t: t, {"components": ("a", "b", "c")}, ValueError, r"Pass a pair such as comp"),
            ("sigma of zero", lambda t: t, {"sigma": 0.0}, ValueError, r"leave it out if it is not known"),
            ("sigma of NaN", lambda t: t, {"sigma": np.nan}, ValueError, r"leave it out if it is not known"),
            ("one sigma", lambda t: t, {"sigma": "dx"}, ValueError, r"Pass sigma=\('sigma_dx', 'sigma_dy'\)"),
            ("kind", lambda t: t, {"kind": "speed"}, ValueError, r"Choose one of these"),
            ("position", lambda t: t, {"position": (np.nan, 0.0)}, ValueError, r"or position=\('x', 'y'\)"),
            ("half a position", lambda t: t, {"position": ("x", 0.0)}, ValueError, r"or position=\('x', 'y'\)"),
            ("equal dates", lambda t: t.assign(secondary=DATES), {}, ValueError, r"in row 0, 1, 2, .*Drop them"),
            ("day first", lambda t: t.assign(reference="13/02/2020"), {}, ValueError, r"Convert: table\['reference'\]"),
            ("numbers as dates", lambda t: t.assign(reference=20200101), {}, TypeError, r"Convert: table\["),
            ("a number as date", lambda t: t.assign(reference=["2020", 5, "2021"]), {}, TypeError, r"Convert: table\["),
            ("missing date", lambda t: t.assign(reference=None), {}, ValueError, r"table\.dropna\(subset="),
            ("text", lambda t: t.assign(dx=["1", "two", "3"]), {}, TypeError, r"'two' in row 1.*leave it empty"),
            ("complex", lambda t: t.assign(dx=1j), {}, TypeError, r"leave it empty"),
            ("bool", lambda t: t.assign(dx=True), {}, TypeError, r"leave it empty"),
            ("durations", lambda t: t.assign(dx=pd.Timedelta("1D")), {}, TypeError, r"leave it empty"),
            ("CRS", lambda t: t, {"crs": "moon"}, ValueError, r"Pass a code such as crs='EPSG:3413'"),
            ("degrees", lambda t: t, {"crs": 4326, "position": (7.0, 46.0)}, ValueError, r"EPSG:32632"),
            (
                "scattered points",
                lambda t: t.assign(x=[0.0, 1.0, 4.3], y=0.0),
                {"position": ("x", "y")},
                ValueError,
                r"got steps from 1 to 3\.3 m along x\. Of scattered points pass layout='points'",
            ),
            (
                "no place",
                lambda t: t.assign(x=[0.0, np.nan, 5.0], y=0.0),
                {"position": ("x", "y")},
                ValueError,
                r"in row 1, counted from 0, the first of 1\. Drop such rows",
            ),
            ("layout", lambda t: t, {"layout": "line"}, ValueError, r"Choose one of these"),
            ("points without places", lambda t: t, {"layout": "points"}, ValueError, r"Pass position=\('x', 'y'\)"),
            ("name on a grid", lambda t: t, {"name": "dx"}, ValueError, r"Pass layout='points', name='stake'"),
            ("name of a number", lambda t: t, SCATTERED | {"name": 3}, ValueError, r"or leave name out"),
            ("no such name", lambda t: t.assign(x=1.0, y=1.0), SCATTERED | {"name": "a"}, ValueError, r"got 0 of it"),
            (
                "a name missing",
                lambda t: t.assign(x=1.0, y=1.0, a=["A", None, "B"]),
                SCATTERED | {"name": "a"},
                ValueError,
                r"in row 1, counted from 0\. Fill it in",
            ),
            (
                "one name of two places",
                lambda t: pd.concat([t.assign(x=1.0, y=1.0, a="A"), t.assign(x=9.0, y=1.0, a="A")]),
                SCATTERED | {"name": "a"},
                ValueError,
                r"8 m apart for 'A'\. Give each point",
            ),
            (
                "one name far away",
                lambda t: t.assign(x=[1.0, 1.0, 2e3], y=1.0, a="A"),
                SCATTERED | {"name": "a"},
                ValueError,
                r"within 1000 m in all.*1999 m apart for 'A'\. Give each point",
            ),
            (
                "points too near",
                lambda t: t.assign(x=[1.0, 1.5, 1.0], y=1.0),
                SCATTERED,
                ValueError,
                r"\(1\.000, 1\.000\) in row . and .* in row .*Tell which rows are one point: name='stake'",
            ),
            (
                "points within a centimetre on one date",
                lambda t: pd.concat([t.assign(x=1.0, y=1.0), t.assign(x=1.005, y=1.0)]),
                SCATTERED,
                ValueError,
                r"0\.005 m apart.*in rows 0 and 3, .*name='stake'",
            ),
            (
                "two points at one node",
                lambda t: pd.concat([t.assign(x=x, y=0.0) for x in (0.0, 0.4, 50.0, 100.0)]),
                {"position": ("x", "y")},
                ValueError,
                r"0\.4 m apart.*in rows 0 and 3, .*layout='points'",
            ),
            (
                "a grid almost without points",
                lambda t: pd.concat([t.assign(x=float(x), y=float(x)) for x in range(1000)]),
                {"position": ("x", "y")},
                ValueError,
                r"1000 x 1000 nodes\. Of scattered points pass layout='points'",
            ),
        )
    ),
    *(
        (f"extend: {name}", partial(lambda c, o: extend(o, **c(o)), change), error, advice)
        for name, change, error, advice in (
            ("no Dataset", lambda o: {"shifts": o.shifts.dx}, TypeError, r"See pairs\(\)"),
            ("only_new", lambda o: {"only_new": "yes"}, (TypeError, ValueError), r"extend\(\) needs .*only_new"),
            ("small template", lambda o: {"template": 2}, ValueError, r"extend\(\) needs .* as template"),
            ("no prior on record", lambda o: {"prior": "mine"}, (TypeError, ValueError), r"\. \w+"),
            ("series", lambda o: {"shifts": o.series}, ValueError, r"Make a network with"),
            ("network", lambda o: {"shifts": o.network}, ValueError, r"Use the result of correlate\(\)"),
            ("no stack", lambda o: {"stack": o.shifts}, TypeError, r"Pick one variable"),
            ("no pair", lambda o: {"network": o.network.isel(pair=[])}, ValueError, r"Widen the limits of pairs\(\)"),
            ("date not there", lambda o: {"stack": o.stack[:2]}, ValueError, r"Build the network from this stack"),
            ("template", lambda o: {"template": 24}, ValueError, r"got template=24 instead of 16\. Pass the old ones"),
            ("no template", lambda o: {"template": 0}, ValueError, r"Pass a number such as template=32"),
            ("prior", lambda o: {"prior": prior_of(o)}, ValueError, r"got prior=\['vx', 'vy'\] instead of None\. Pass"),
            ("screened", lambda o: {"shifts": xoffset.screen(o.shifts)}, ValueError, r"those of screen\(\)\. Keep"),
            ("no record", lambda o: {"shifts": o.shifts.drop_attrs()}, ValueError, r"how they were made\. Keep what"),
            ("record", lambda o: {"shifts": o.shifts.assign_attrs(processing="mine")}, ValueError, r"Keep what corr"),
            ("of a table", lambda o: {"shifts": xoffset.from_table(TABLE)}, ValueError, r"from_table\(\)\. Keep"),
            ("cropped", lambda o: {"shifts": o.shifts[{"x": slice(2)}]}, ValueError, r"Open the same part of the im"),
            (
                "moved",
                lambda o: {"stack": o.stack.assign_coords(y=o.stack.y + 10.0)},
                ValueError,
                r"nodes along y from .*Open the same part of the images",
            ),
            ("another zone", lambda o: {"stack": in_crs(o.stack, 32633)}, ValueError, r"Match all pairs again"),
            (
                "double",
                lambda o: {"shifts": o.shifts.isel(pair=[0]).astype(float)},
                ValueError,
                r"of float32; got .* of float64\. Keep what",
            ),
            (
                "dims of another variable",
                lambda o: {"shifts": o.shifts.assign(score=o.shifts.score.transpose("y", "x", "pair"))},
                ValueError,
                r"got \('y', 'x', 'pair'\) of float32\. Keep what",
            ),
        )
    ),
    *(
        (f"{name}: {what}", partial(lambda f, c, o: f(c(o)), function, choose), error, advice)
        for name, function in (
            ("rereference", lambda s: xoffset.rereference(s, DATES[0])),
            ("resample", lambda s: xoffset.resample(s, "30D")),
            ("trajectory", lambda s: xoffset.trajectory(s, [(500480.0, 4999520.0)])),
        )
        for what, choose, error, advice in (
            ("no Dataset", lambda o: o.series.dx, TypeError, r"See invert\(\)"),
            ("None", lambda o: None, TypeError, r"See invert\(\)"),
            ("shifts", lambda o: o.shifts, ValueError, r"Reorder: dataset\.transpose"),
            ("rate", lambda o: o.rate, ValueError, r"Use the result of invert\(\)"),
            ("no sigma", lambda o: o.series.drop_vars("sigma_dx"), ValueError, r"sigma_dx\. Use the result of invert"),
            ("no grid", lambda o: o.series.drop_vars("x"), ValueError, r"Assign the pixel centres"),
            ("dims", lambda o: o.series.transpose("y", "x", "time"), ValueError, r"Reorder: dataset\.transpose"),
            ("unsorted", lambda o: o.series.isel(time=[1, 0, 2]), ValueError, r"Sort: stack\.sortby\('time'\)"),
            ("no date", lambda o: o.series.isel(time=[]), ValueError, r"Check the selection"),
            ("complex", lambda o: o.series.astype(complex), TypeError, r"Use the result of invert"),
            ("flags", lambda o: o.series.assign(flags=o.series.flags[0]), ValueError, r"drop_vars\('flags'\)"),
        )
    ),
    *(
        (f"rereference: {value}", partial(lambda v, o: xoffset.rereference(o.series, v), value), ValueError, advice)
        for value, advice in (
            ("2020-07-02", r"The nearest is 2020-07-01T00:00:00\.000000\. Pass that"),
            ("soon", r"Write it as '2020-06-01"),
            (2020, r"Write it as '2020-06-01"),
            (None, r"Write it as '2020-06-01"),
            ([], r"Pass one of series\.time"),
            ([DATES[0], "2020-07-02"], r"The nearest is"),
        )
    ),
    *(
        (f"resample: {d}, {gap}", partial(lambda d, g, o: xoffset.resample(o.series, d, max_gap=g), d, gap), e, m)
        for d, gap, e, m in (
            ("monthly", None, ValueError, r"Give a number and a unit: '10D'"),
            ("30", None, ValueError, r"Give a number and a unit: '10D'"),
            ("0D", None, ValueError, r"Pass one such as '30D'"),
            ("-30D", None, ValueError, r"Pass one such as '30D'"),
            (30, None, TypeError, r"Pass '30D', or a list such as"),
            (None, None, TypeError, r"Pass '30D', or a list such as"),
            ([], None, ValueError, r"Sort them: numpy\.unique"),
            (DATES[::-1], None, ValueError, r"Sort them: numpy\.unique"),
            ([DATES[1], DATES[1]], None, ValueError, r"Sort them: numpy\.unique"),
            (["soon"], None, ValueError, r"Write it as '2020-06-01"),
            (["2019-01-01", "2022-01-01"], None, ValueError, r"Nothing is extrapolated: choose others"),
            ("30D", 90, ValueError, r"Give a number and a unit: '10D'"),
            ("30D", "0D", ValueError, r"Pass one such as '30D'"),
        )
    ),
    *(
        (f"trajectory: {points}, {k}", partial(lambda p, k, o: xoffset.trajectory(o.series, p, **k), points, k), e, m)
        for points, k, e, m in (
            ([], {}, ValueError, r"Pass a list such as \[\("),
            ((500480.0, 4999520.0), {}, ValueError, r"Pass a list such as \[\("),
            ([(500480.0, 4999520.0, 7.0)], {}, ValueError, r"Pass a list such as \[\("),
            ("here", {}, TypeError, r"Pass a list such as \[\("),
            (None, {}, ValueError, r"Pass a list such as \[\("),
            ([(7.0, 46.0)], {}, ValueError, r"got 7 of point 0, counted from 0\. Leave it out, or mind the CRS"),
            ([(500480.0, 4999520.0), (500480.0, np.nan)], {}, ValueError, r"got nan of point 1.*Leave it out"),
            ([(500480.0, 4999520.0)], {"start": "2020-07-02"}, ValueError, r"The nearest is 2020-07-01"),
            ([(500480.0, 4999520.0)], {"start": "soon"}, ValueError, r"Write it as '2020-06-01"),
            ([(500480.0, 4999520.0)], {"window": 0.0}, ValueError, r"Pass one such as 320"),
            ([(500480.0, 4999520.0)], {"window": "wide"}, ValueError, r"Pass one such as 320"),
        )
    ),
    (
        "trajectory: uneven grid",
        lambda o: xoffset.trajectory(o.series.isel(x=[0, 1, 3]), [(500480.0, 4999520.0)]),
        ValueError,
        r"Resample to a regular grid",
    ),
    ("info: nothing", lambda o: xoffset.info("no/none.zarr"), FileNotFoundError, r"Check the path"),
    ("info: no path", lambda o: xoffset.info(o), TypeError, r"Pass a text or a pathlib.Path"),
    ("open_shifts: nothing", lambda o: xoffset.open_shifts("no/none.tif"), FileNotFoundError, r"Check the path"),
    ("open_stac: number", lambda o: xoffset.open_stac(5, band="B04"), TypeError, r"\. \w+.*"),
    ("estimate_run: no recipe", lambda o: xoffset.estimate_run("no recipe", "none", "no"), (TypeError, ValueError),
        r"\. \w+.*"),
    ("widen_sheared: array", lambda o: xoffset.widen_sheared(o.shifts.dx, shifts=o.shifts), TypeError, r"\. \w+.*"),
    ("widen_sheared: shifts", lambda o: xoffset.widen_sheared(o.shifts, shifts=o.shifts), ValueError, r"\. \w+.*"),
    ("explore: array", lambda o: xoffset.explore(o.shifts.dx), TypeError, r"explore\(\) needs a rate .*Call first: "),
    ("explore: height", lambda o: xoffset.explore(o.shifts, height=0), ValueError, r"Pass height=900"),
    ("report: nothing", lambda o: xoffset.report("no/none"), FileNotFoundError, r"Give the folder that run\(\)"),
    ("report: no path", lambda o: xoffset.report(o), TypeError, r"Pass a text or a pathlib.Path"),
    ("run: no recipe", lambda o: xoffset.run("no recipe", "none", "no"), (TypeError, ValueError), r"\. \w+.*"),
    ("to_zarr: array", lambda o: xoffset.to_zarr(o.shifts.dx, "no"), TypeError, r"\. \w+.*"),
    ("to_geotiff: array", lambda o: xoffset.to_geotiff(o.shifts.dx, "no"), TypeError, r"data\.to_dataset\(name="),
    ("to_geotiff: network", lambda o: xoffset.to_geotiff(o.network, "no"), ValueError, r"Pass shifts, a series or a"),
    ("to_geotiff: no pixel", lambda o: xoffset.to_geotiff(o.rate[{"x": []}], "no"), ValueError, r"Check the selection"),
    ("to_geotiff: name", lambda o: xoffset.to_geotiff(o.rate, "no", variables="dx"), ValueError, r"Choose from \['v"),
    ("save_maps: array", lambda o: maps.save_maps(o.rate.vx, "no"), TypeError, r"Draw one field with"),
    ("save_maps: network", lambda o: maps.save_maps(o.network, "no"), ValueError, r"Pass the result of velocity"),
    ("map_of: pairs", lambda o: maps.map_of(o.shifts.dx, "no.png"), ValueError, r"Select one date or pair first"),
    ("map_of: Dataset", lambda o: maps.map_of(o.rate, "no.png"), ValueError, r"Select one date or pair first"),
    ("velocity_map: shifts", lambda o: maps.velocity_map(o.shifts, "no.png"), ValueError, r"Pass the result of"),
    ("comparison_map: none", lambda o: maps.comparison_map(o.rate, o.shifts, "no.png"), ValueError, r"the result"),
    ("scene: shape", lambda o: synthetic.scene((1, 64)), ValueError, r"Pass shape=\(rows, columns\)"),
    ("stack: shape", lambda o: synthetic.stack((64,)), ValueError, r"Pass shape=\(rows, columns\)"),
    ("stack: field", lambda o: synthetic.stack((8, 8), field="lake"), ValueError, r"Choose one of these"),
    ("stack: step", lambda o: synthetic.stack((8, 8), step=1.0), ValueError, r"Pass step_date='2020-06-01'"),
    ("stack: ground", lambda o: synthetic.stack((8, 8), ground=synthetic.scene((9, 8))), ValueError, r"Use scene\(\(8"),
    *(
        pytest.param(
            f"stack: {options}", partial(lambda k, o: synthetic.stack((8, 8), **k), options), ValueError,
            r"; got .*\. \w+",
        )
        for options in (
            {"dates": []}, {"dates": ["2021-01-01", "2020-01-01"]}, {"dates": ["2020-01-01", "2020-01-01"]},
            {"dates": ["soon"]}, {"step": 1.0, "step_date": "soon"}, {"snr": 0.0}, {"snr": -1.0}, {"clouds": 1.5},
            {"clouds": -0.1}, {"nodata": 1.5}, {"nodata": -0.1}, {"pixel_size": 0.0}, {"pixel_size": -10.0},
            {"crs": "EPSG:4326"}, {"shadows": 1.5}, {"shadows": True},
            {"shadows": 0.5, "crs": "+proj=stere +lat_0=90 +x_0=500000 +y_0=5000000 +datum=WGS84 +units=m"},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "advice"), [
    pytest.param(*case.values[1:], id=case.values[0], marks=case.marks)
    if hasattr(case, "values")
    else pytest.param(*case[1:], id=case[0])
    for case in CASES
])  # fmt: skip
def test_message_says_what_was_needed_what_came_and_what_to_do(o, call, error, advice):
    with pytest.raises(error) as caught:
        call(o)
    text = str(caught.value)
    assert re.search(r"(needs?|needed) .+?; .+\. \S", text, flags=re.DOTALL), text
    assert re.search(advice, text), text
    assert len(text) < 600


def test_every_public_function_is_tried():
    named = {(case.values if hasattr(case, "values") else case)[0].split(":")[0] for case in CASES}
    functions = {name for name in xoffset.__all__ if inspect.isfunction(getattr(xoffset, name))}
    functions |= {"save_maps", "map_of", "velocity_map", "comparison_map", "scene", "stack", "NCC"}
    assert functions <= named


# --------------------------------------------------------------------------------------------------------- poor images


def reasons(flags):
    """Names of the flags that are set anywhere."""
    return {name for name, bit in FLAGS.items() if (np.asarray(flags) & bit).any()}


def inner(shifts):
    """Nodes whose search stays within the image."""
    return shifts.isel(y=slice(1, -1), x=slice(1, -1))


@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -3e38])
def test_without_any_pixel_all_is_nodata(o, value, prefilter):
    shifts = match(xr.full_like(o.stack, value), prefilter=prefilter)
    assert all(np.isnan(shifts[name]).all() for name in shifts.data_vars if name != "flags")
    assert (inner(shifts).flags == FLAGS["nodata"]).all()


@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 255.0, 65535.0, 1e6 + 0.1, 1e14, 1e-30])
def test_a_constant_image_is_flat_and_has_no_score(o, value, prefilter):
    shifts = match(xr.full_like(o.stack, value), prefilter=prefilter)
    assert all(np.isnan(shifts[name]).all() for name in shifts.data_vars if name != "flags")
    assert (inner(shifts).flags == FLAGS["flat"]).all()


SEARCHES = {
    "nested": {"template": (8, 24), "step": 8},
    "pyramid": {"search": xoffset.Pyramid(10)},
    "pyramid of many levels": {"search": xoffset.Pyramid((10, 20), levels=4)},
    "dense": {"template": 7, "step": 2, "search": (2, 4)},
    "both ways": {"matcher": xoffset.NCC(both_ways=True)},
    "map and prior": {},
}


def options_of(name, o):
    return SEARCHES[name] or {"search": map_of(o), "prior": prior_of(o)}


@pytest.mark.parametrize("value", [0.0, 65535.0, 1e6 + 0.1])
@pytest.mark.parametrize("name", SEARCHES)
def test_no_search_finds_anything_in_constant_images(o, name, value):
    for stack, reason in ((xr.full_like(o.stack, value), "flat"), (xr.full_like(o.stack, np.nan), "nodata")):
        shifts = match(stack, **options_of(name, o))
        inside = (shifts.flags & FLAGS["outside"]) == 0
        assert inside.any()
        assert all(np.isnan(shifts[each]).all() for each in ("dx", "dy", "score", "peak_gap", "sigma_dx"))
        assert ((shifts.flags & ~FLAGS["no_prior"]).where(inside, FLAGS[reason]) == FLAGS[reason]).all()


@pytest.mark.parametrize("name", SEARCHES)
def test_no_search_gives_a_wrong_confident_value_at_a_high_level(o, name):
    texture = (o.stack.astype("float64") - 1500.0) / 200.0
    shifts = match(5.0 * texture + 1e6, **options_of(name, o))
    accepted = shifts.flags == 0
    assert accepted.any()
    error = abs(shifts.dx - truth(shifts)).where(accepted)
    assert float(error.max()) < 0.5 * 10.0


@pytest.mark.parametrize("name", SEARCHES)
def test_the_type_of_the_pixels_changes_no_search(plain, o, name):
    usual = match(plain, **options_of(name, o))
    assert (usual.flags == 0).any()
    for dtype in ("uint8", ">f4", ">u2", "int32"):
        xr.testing.assert_identical(match(plain.astype(dtype), **options_of(name, o)), usual)
    for layout in ("read-only", "reversed"):
        other = plain.copy(data=LAYOUTS[layout](plain.values))
        xr.testing.assert_identical(match(other, **options_of(name, o)), usual)


@pytest.mark.parametrize("wild", [1e4, 1e9, 1e300, np.inf, -np.inf, np.nan])
def test_one_wild_value_of_a_prior_costs_its_surroundings_only(o, wild):
    prior = prior_of(o).astype("float64")
    usual = match(o.stack, prior=prior)
    prior.vx[8, 8] = wild
    shifts = match(o.stack, prior=prior)
    near = (abs(shifts.x - prior.x[8]) <= 50.0) & (abs(shifts.y - prior.y[8]) <= 50.0)
    assert near.any()
    assert (
        ((shifts.flags & (FLAGS["no_prior"] if not np.isfinite(wild) else FLAGS["outside"])) > 0)
        .where(near, True)
        .all()
    )
    np.testing.assert_allclose(shifts.dx.where(~near), usual.dx.where(~near), rtol=1e-4)


@pytest.mark.parametrize("date", [0, 1])
@pytest.mark.parametrize("prefilter", ["bandpass", None])
def test_one_constant_image_is_enough(o, date, prefilter):
    stack = o.stack.isel(time=[0, 1]).copy(deep=True)
    stack[date] = 1500.0
    shifts = match(stack, prefilter=prefilter)
    assert np.isnan(shifts.dx).all()
    assert np.isnan(shifts.score).all()
    assert (inner(shifts).flags & FLAGS["flat"] > 0).all()


def test_saturated_windows_are_flat_and_the_rest_matches(o):
    stack = o.stack.copy(deep=True)
    stack[:, :, :48] = 65535.0
    shifts = inner(match(stack))
    is_saturated = shifts.x < float(stack.x[40])
    assert np.isnan(shifts.score.where(is_saturated, drop=True)).all()
    assert (shifts.flags.where(is_saturated, drop=True).astype(int) & FLAGS["flat"] > 0).all()
    beyond = shifts.isel(x=-1)
    np.testing.assert_allclose(beyond.dx, truth(beyond).broadcast_like(beyond.dx), atol=0.1)


def truth(shifts):
    """True dx of each pair."""
    return VELOCITY * xr.DataArray(in_years(shifts.secondary.values - shifts.reference.values), dims="pair")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("contrast", [0.1, 1.0, 5.0, 50.0])
def test_a_high_level_never_gives_a_wrong_confident_value(o, contrast, dtype):
    texture = (o.stack.astype("float64") - 1500.0) / 200.0
    shifts = match((contrast * texture + 1e6).astype(dtype))
    error = abs(shifts.dx - truth(shifts))
    # float32 keeps a 16th of the unit at this level: noise that the sigma knows of
    assert not (error > 5.0 * shifts.sigma_dx + 0.02).any()
    assert (np.isfinite(shifts.dx) | (shifts.flags > 0)).all()
    if contrast == 50.0:
        assert np.isfinite(inner(shifts).dx).all()
    if contrast == 0.1:
        assert reasons(inner(shifts).flags) == {"flat"}


def test_infinity_counts_as_nan(o):
    holes = o.stack.copy(deep=True)
    holes[1, 20:30, 20:30], holes[0, 50, 50] = np.inf, -np.inf
    xr.testing.assert_identical(match(holes), match(holes.where(np.isfinite(holes))))


def test_a_missing_date_costs_its_pairs_only(o):
    shifts = inner(match(o.stack.where(o.stack.time != o.stack.time[1])))
    np.testing.assert_array_equal(np.isfinite(shifts.dx).all(("y", "x")), [False, True, False])
    series = xoffset.invert(shifts, reference=DATES[0])
    np.testing.assert_array_equal(np.isfinite(series.dx).all(("y", "x")), [True, False, True])
    assert (series.flags[1] == FLAGS["no_pairs"]).all()
    np.testing.assert_allclose(xoffset.velocity(series).vx, VELOCITY, atol=0.1)


def test_shifts_of_nothing_go_through_the_whole_path(o):
    shifts = xoffset.screen(match(o.stack * np.nan), min_score=0.5, min_peak_gap=0.1)
    assert reasons(shifts.flags) == {"outside", "nodata"}
    series = xoffset.invert(shifts)
    assert np.isnan(series.dx).all()
    assert (series.flags == FLAGS["no_reference"]).all()
    assert (series.n_pairs == 0).all()
    for rate in (xoffset.velocity(shifts), xoffset.velocity(series)):
        assert np.isnan(rate.v).all()
        assert (rate.flags == FLAGS["too_few_dates"]).all()


def test_one_window_is_a_product_too(o):
    shifts = match(o.stack[:, :24, :24])
    assert shifts.sizes == {"pair": 3, "y": 1, "x": 1}
    xr.testing.assert_allclose(xoffset.velocity(shifts), xoffset.velocity(xoffset.invert(shifts)), rtol=1e-3)


def test_an_image_of_exactly_the_window_and_its_search_has_a_node(o):
    shifts = match(o.stack[:, :24, :24], step=4)
    assert np.isfinite(shifts.dx).sum() == 3
    assert np.isfinite(shifts.dx.sel(x=o.stack.x[:24].mean(), y=o.stack.y[:24].mean())).all()


# -------------------------------------------------------------------------------------------------- disconnected dates


@pytest.fixture(scope="module")
def islands():
    """Shifts of two pairs that share no date."""
    stack = images(dates=["2020-01-01", "2020-04-01", "2020-07-01", "2020-10-01"])
    dates = stack.time.values
    return match(stack, products.network(dates[[0, 2]], dates[[1, 3]]))


def test_disconnected_dates_are_diagnosed(islands):
    found = xoffset.diagnose(islands)
    assert int(found.n_components) == 2
    np.testing.assert_array_equal(found.component, [0, 0, 1, 1])


@pytest.mark.parametrize(("reference", "lost"), [("2020-01-01", [2, 3]), ("2020-10-01", [0, 1])])
def test_disconnected_dates_are_never_joined(islands, reference, lost):
    series = inner(xoffset.invert(islands, reference=reference))
    kept = [k for k in range(4) if k not in lost]
    assert (series.n_components == 2).all()
    assert np.isnan(series.dx[lost]).all()
    assert (series.flags[lost] == FLAGS["disconnected"]).all()
    assert np.isfinite(series.dx[kept]).all()
    assert (series.flags[kept] == 0).all()


def test_disconnected_pairs_still_tell_a_velocity(islands):
    np.testing.assert_allclose(inner(xoffset.velocity(islands)).vx, VELOCITY, atol=1.0)


# ------------------------------------------------------------------------------------------------------ dense matchers

DENSE = {"regularized": xoffset.Regularized(), "flow": xoffset.Flow(radius=(16, 8))}


@pytest.fixture(scope="module", params=DENSE)
def dense(request, plain):
    """A dense match of good images, by name."""
    call = partial(match, matcher=DENSE[request.param], template=None, step=4)
    return SimpleNamespace(name=request.param, match=call, usual=call(plain))


@pytest.mark.parametrize("which", [0, 1, slice(None)], ids=["reference", "secondary", "both"])
@pytest.mark.parametrize(("value", "flag"), [(np.nan, "nodata"), (5.0, "flat")])
def test_dense_match_of_images_without_ground(dense, plain, which, value, flag):
    images = plain[:2].values.copy()
    images[which] = value
    shifts = dense.match(plain[:2].copy(data=images))
    for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy", "false_alarm"):
        assert np.isnan(shifts[name]).all()
    assert (shifts.flags.values & (FLAGS[flag] | FLAGS["outside"]) != 0).all()
    assert (shifts.flags.values & FLAGS[flag] != 0).any()


@pytest.mark.parametrize("dtype", ["float64", "uint8", ">f4", ">u2", "int16"])
def test_dense_match_of_any_type_of_pixels(dense, plain, dtype):
    scaled = ((plain - plain.min()) / (plain.max() - plain.min()) * 250.0).round()
    one, other = dense.match(scaled), dense.match(scaled.astype(dtype))
    assert other.dx.dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_allclose(other.dx, one.dx, atol=0.1)
    np.testing.assert_array_equal(other.flags, one.flags)


@pytest.mark.parametrize("direction", [370.0, -350.0, 10.0, 360.0, 0.0])
def test_directions_beyond_the_circle_are_those_within(direction):
    assert xoffset.Regularized(direction=direction).direction == direction % 360.0


def test_dense_match_about_a_prior_with_nan(dense, plain):
    places = plain[0, ::4, ::4].drop_vars("time")
    prior = xr.Dataset({"dx": 0.0 * places + 10.0, "dy": 0.0 * places})
    whole = dense.match(plain[:2], prior=prior)
    partly = dense.match(plain[:2], prior=prior.where(prior.x > prior.x.median()))
    assert np.isfinite(whole.dx).any()
    lost = (partly.flags.values & FLAGS["no_prior"]) != 0
    assert lost.any()
    assert not lost.all()
    both = np.isfinite(partly.dx.values) & np.isfinite(whole.dx.values)
    assert np.abs(partly.dx.values - whole.dx.values)[both].max() < 5.0
    assert both.sum() > 0.5 * np.isfinite(whole.dx.values).sum()
    nothing = dense.match(plain[:2], prior=prior.where(False))
    assert (nothing.flags.values & FLAGS["no_prior"] != 0).all()


def test_dense_match_about_a_prior_longer_than_the_image(dense, plain):
    places = plain[0, ::4, ::4].drop_vars("time")
    prior = xr.Dataset({"dx": 0.0 * places + 5000.0, "dy": 0.0 * places})
    shifts = dense.match(plain[:2], prior=prior)
    assert np.isnan(shifts.dx).all()
    assert (shifts.flags.values & FLAGS["outside"] != 0).all()


def test_dense_match_that_searches_a_rectangle(dense, plain):
    wide, narrow = dense.match(plain[:2], search=(4, 4)), dense.match(plain[:2], search=(2, 5))
    both = np.isfinite(wide.dx.values) & np.isfinite(narrow.dx.values)
    assert both.any()
    assert np.median(np.abs(wide.dx.values - narrow.dx.values)[both]) < 0.5


def test_dense_match_of_images_that_just_hold_a_window(dense, plain):
    side = {"regularized": 15, "flow": 25}[dense.name]
    small = plain[:2, :side, :side]
    shifts = dense.match(small, step=1)
    assert shifts.sizes["y"] >= 1
    assert (np.isnan(shifts.dx) == (shifts.flags != 0)).all()


# ------------------------------------------------------------------------------------------------------ unusual arrays


@pytest.fixture(scope="module")
def plain():
    """Images of whole numbers that every type holds."""
    stack = images(snr=8.0)
    low, high = float(stack.min()), float(stack.max())
    return ((stack - low) / (high - low) * 250.0).round().astype("float32")


@pytest.fixture(scope="module")
def usual(plain):
    return match(plain)


@pytest.mark.parametrize(
    "dtype",
    [
        "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", ">f4", ">u2", ">i4",
    ],
)  # fmt: skip
def test_the_type_of_the_pixels_changes_no_bit(plain, usual, dtype):
    xr.testing.assert_identical(match(plain.astype(dtype)), usual)


@pytest.mark.parametrize("dtype", ["float64", ">f8", "longdouble"])
def test_double_precision_stays_so(plain, usual, dtype):
    shifts = match(plain.astype(dtype))
    assert shifts.dx.dtype == "float64"
    xr.testing.assert_allclose(shifts, usual, rtol=1e-3, atol=1e-3)


def read_only(values):
    copied = values.copy()
    copied.flags.writeable = False
    return copied


def strided(values):
    large = np.zeros((values.shape[0], 2 * values.shape[1], 3 * values.shape[2]), values.dtype)
    large[:, ::2, ::3] = values
    return large[:, ::2, ::3]


LAYOUTS = {
    "read-only": read_only,
    "strided": strided,
    "Fortran": np.asfortranarray,
    "dates last": lambda values: np.ascontiguousarray(np.moveaxis(values, 0, -1)).transpose(2, 0, 1),
    "reversed": lambda values: np.ascontiguousarray(values[:, ::-1, ::-1])[:, ::-1, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_changes_no_bit(plain, usual, layout):
    xr.testing.assert_identical(match(plain.copy(data=LAYOUTS[layout](plain.values))), usual)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "function", [xoffset.screen, xoffset.invert, xoffset.velocity, *STACKERS, xoffset.strain, xoffset.ground]
)
def test_the_layout_of_shifts_changes_no_bit(usual, function, layout):
    other = usual.map(lambda data: data.copy(data=LAYOUTS[layout](data.values)), keep_attrs=True)
    xr.testing.assert_identical(function(other), function(usual))


@pytest.mark.parametrize("function", [xoffset.screen, xoffset.invert, xoffset.velocity])
def test_shifts_in_double_precision_stay_so(usual, function):
    wide = function(usual.drop_vars("flags").astype("float64"))
    name = "vx" if "vx" in wide else "dx"
    assert wide[name].dtype == "float64"
    np.testing.assert_allclose(wide[name], function(usual)[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [">f4", "float16", "int32"])
@pytest.mark.parametrize("function", [xoffset.screen, xoffset.invert, xoffset.velocity])
def test_other_types_of_shifts_give_floats(usual, function, dtype):
    names = ["dx", "dy", "sigma_dx", "sigma_dy"]
    typed = usual.assign({name: (100 * usual[name].fillna(1)).round().astype(dtype) for name in names})
    wide = typed.assign({name: typed[name].astype("float64") for name in names})
    result = function(typed)
    name = "vx" if "vx" in result else "dx"
    assert result[name].dtype.kind == "f"
    np.testing.assert_allclose(result[name], function(wide)[name], rtol=1e-3)


@pytest.mark.parametrize("name", ["template", "search", "step"])
def test_numpy_integers_are_whole_numbers(plain, usual, name):
    xr.testing.assert_identical(
        match(plain, **{name: np.int64({"template": 16, "search": 4, "step": 16}[name])}), usual
    )


def test_numpy_numbers_are_thresholds(usual):
    xr.testing.assert_identical(xoffset.screen(usual, min_score=np.float32(0.5)), xoffset.screen(usual, min_score=0.5))


@pytest.mark.parametrize("flip", ["x", "y"])
def test_the_order_of_rows_and_columns_changes_no_sign(plain, usual, flip):
    # 96 = 16 + 5 steps of 16: the same windows from either side
    shifts = match(plain.isel({flip: slice(None, None, -1)})).sortby(flip, ascending=flip == "x")
    np.testing.assert_allclose(shifts[flip], usual[flip])
    np.testing.assert_allclose(shifts.dx, usual.dx, atol=0.05)
    np.testing.assert_allclose(shifts.dy, usual.dy, atol=0.05)


# --------------------------------------------------------------------------------------------------- input is not ours


def memory(data):
    """Everything that an object holds, to be compared later."""
    variables = data.variables if isinstance(data, xr.Dataset) else {"": data.variable, **data.coords}
    return data.copy(deep=True), {name: (dict(each.encoding), dict(each.attrs)) for name, each in variables.items()}


def assert_unchanged(data, before):
    copied, notes = before
    xr.testing.assert_identical(data, copied)
    assert memory(data)[1] == notes


CALLS = {
    "pairs": ("stack", xoffset.pairs),
    "correlate": ("stack", match),
    "correlate, network": ("network", lambda network: match(images(), network)),
    "extend": (
        "shifts",
        lambda shifts: xoffset.extend(
            shifts.isel(pair=[0]), images(), xoffset.pairs(images()), template=16, search=4, step=16
        ),
    ),
    "diagnose": ("network", xoffset.diagnose),
    "diagnose shifts": ("shifts", xoffset.diagnose),
    "pair": ("shifts", lambda shifts: xoffset.pair(shifts, *DATES[:2])),
    "invert of points": ("shifts", lambda shifts: xoffset.invert(scattered(shifts))),
    "screen": ("shifts", partial(xoffset.screen, min_score=0.9, min_peak_gap=0.2)),
    "screen, more": ("shifts", partial(xoffset.screen, median_test=2.0, ndc=0.2, max_closure=3.0, min_clump=4)),
    "losses": ("shifts", xoffset.losses),
    "denoise": ("shifts", partial(xoffset.denoise, method="nlm")),
    "invert": ("shifts", xoffset.invert),
    "rereference": ("series", lambda series: xoffset.rereference(series, DATES[1])),
    "resample": ("series", lambda series: xoffset.resample(series, "30D")),
    "trajectory": ("series", lambda series: xoffset.trajectory(series, [(500480.0, 4999520.0)])),
    "velocity of shifts": ("shifts", xoffset.velocity),
    "velocity of a series": ("series", xoffset.velocity),
    **{function.__name__: ("shifts", function) for function in STACKERS},
    "strain of shifts": ("shifts", xoffset.strain),
    "strain of a rate": ("rate", xoffset.strain),
    "profile": ("series", lambda series: xoffset.profile(series, [(500_200.0, 4_999_800.0), (500_700.0, 4_999_300.0)])),
    "ground of a series": ("series", xoffset.ground),
    "ground of a rate": ("rate", xoffset.ground),
    "decompose": ("series", partial(xoffset.decompose, steps="search", seasonal=True)),
    "coseismic": ("shifts", partial(xoffset.coseismic, date="2020-06-01")),
    "yearly_velocity": ("shifts", xoffset.yearly_velocity),
    "interval_velocity": ("shifts", xoffset.interval_velocity),
    "interval_velocity of a series": ("series", xoffset.interval_velocity),
    "onset": ("series", xoffset.onset),
    "combine_bands": ("shifts", lambda shifts: xoffset.combine_bands({"B03": shifts, "B04": shifts})),
}


@pytest.mark.parametrize("chunks", [None, 3], ids=["numpy", "dask"])
@pytest.mark.parametrize("name", CALLS)
def test_input_is_never_modified(o, name, chunks):
    kind, call = CALLS[name]
    data = getattr(o, kind).copy(deep=True)
    if chunks and kind != "network":
        data = data.chunk(y=max(data.sizes["y"] // chunks, 1))
    before = memory(data)
    call(data)
    assert_unchanged(data, before)


@pytest.mark.parametrize("kind", ["shifts", "series", "rate"])
def test_writers_do_not_modify_what_they_write(o, kind, tmp_path):
    data = getattr(o, kind).copy(deep=True)
    before = memory(data)
    xoffset.to_geotiff(data, tmp_path / "tif")
    maps.save_maps(data, tmp_path / "png")
    assert_unchanged(data, before)


def test_results_share_no_memory_with_the_input(o):
    shifts = o.shifts.copy(deep=True)
    screened = xoffset.screen(shifts)
    screened["dx"].values[:] = 7.0
    screened.attrs["note"] = screened["dx"].attrs["units"] = "changed"
    xr.testing.assert_identical(shifts, o.shifts)


# ------------------------------------------------------------------------------------------------------------- nodata


def test_a_declared_nodata_beyond_the_type_is_harmless(plain, usual):
    lowest = float(np.finfo("float64").min)
    xr.testing.assert_identical(match(plain.assign_attrs(_FillValue=np.nan)), usual)
    xr.testing.assert_identical(match(plain.astype("float64").assign_attrs(_FillValue=lowest)).drop_attrs(), match(
        plain.astype("float64")).drop_attrs())  # fmt: skip


def test_a_nodata_of_float64_on_float32_pixels_warns_of_nothing(plain, usual):
    xr.testing.assert_identical(match(plain.assign_attrs(_FillValue=float(np.finfo("float64").min))), usual)


# ----------------------------------------------------------------------------------------------- dates in other clothes


@pytest.mark.parametrize(
    "reference",
    [
        "2020-07-01",
        "2020-07-01T00:00",
        pd.Timestamp("2020-07-01"),
        np.datetime64("2020-07-01"),
        dt.date(2020, 7, 1),
    ],
)
def test_a_reference_date_in_any_form(o, reference):
    assert xoffset.invert(o.shifts, reference=reference).attrs["reference"].startswith("2020-07-01T00:00:00")


@pytest.mark.parametrize("reference", ["2020-07-01T02:00+02:00", pd.Timestamp("2020-07-01", tz="UTC")])
def test_a_reference_date_with_time_zone(o, reference):
    assert xoffset.invert(o.shifts, reference=reference).attrs["reference"].startswith("2020-07-01T00:00:00")


# ------------------------------------------------------------------------------------------------- options of any type

ODD = {
    "None": None, "list": [], "list of a name": ["huber"], "list of a number": [1], "dict": {}, "dict of one": {"a": 1},
    "NaN": float("nan"), "infinity": float("inf"), "negative": -1, "zero": 0, "half": 1.5, "text": "nonsense",
    "no text": "", "bytes": b"x", "switch": True, "array": np.array([1.0, 2.0]), "square": np.zeros((2, 2)),
    "texts": np.array(["a", "b"]), "object": object(), "tuple": (1, 2, 3), "DataArray": xr.DataArray([1.0, 2.0]),
    "Dataset": xr.Dataset(), "timedelta": np.timedelta64(1, "D"), "NaT": np.datetime64("NaT"), "complex": 1 + 1j,
    "huge": 1e300, "function": len, "slice": slice(3),
}  # fmt: skip
# name of a function -> its positional arguments
SUBJECTS = {
    "pairs": lambda o: (o.stack,),
    "screen": lambda o: (o.shifts,),
    "losses": lambda o: (o.shifts,),
    "denoise": lambda o: (o.shifts,),
    "calibrate": lambda o: (o.shifts, o.stable),
    "coregister": lambda o: (o.stack,),
    "correct": lambda o: (o.shifts,),
    "closure": lambda o: (o.shifts,),
    "thinning_bias": lambda o: (o.rate,),
    "invert": lambda o: (o.shifts,),
    "rereference": lambda o: (o.series, DATES[1]),
    "resample": lambda o: (o.series, "90D"),
    "trajectory": lambda o: (o.series, [(float(o.series.x[2]), float(o.series.y[2]))]),
    "velocity": lambda o: (o.series,),
    "decompose": lambda o: (o.series,),
    "coseismic": lambda o: (o.series, "2020-10-01"),
    "yearly_velocity": lambda o: (o.shifts,),
    "interval_velocity": lambda o: (o.shifts,),
    "onset": lambda o: (o.series,),
    "combine_bands": lambda o: ({"B03": o.shifts, "B04": o.shifts},),
    "mean_velocity": lambda o: (o.shifts,),
    "vector_coherence": lambda o: (o.shifts,),
    "quality": lambda o: (o.shifts,),
    "strain": lambda o: (o.rate,),
    "profile": lambda o: (o.rate, line_of(o)),
    "ground": lambda o: (o.rate,),
    "stable_statistics": lambda o: (o.shifts, o.shifts.dx[0].notnull()),
    "compare": lambda o: (o.rate, STAKES.assign(x=o.rate.x.values[:1], y=o.rate.y.values[:1])),
}


def parameters_of(name):
    return list(inspect.signature(getattr(xoffset, name)).parameters)


TAKE_STABLE = {
    "area_mean": lambda o, stable: xoffset.area_mean(o.rate, triangle(o), stable=stable),
    "calibrate": lambda o, stable: xoffset.calibrate(o.shifts, stable),
    "coregister": lambda o, stable: xoffset.coregister(o.stack, stable=stable, min_nodes=5),
    "correct": lambda o, stable: xoffset.correct(o.shifts, stable=stable, min_nodes=5),
    "light": lambda o, stable: xoffset.light(
        o.shifts,
        dem=(0.0 * o.stack[0] + 0.3 * (o.stack.x - o.stack.x[0])).drop_vars("time"),
        sun=sun_of(o),
        stable=stable,
    ),
    "destripe": lambda o, stable: xoffset.destripe(o.shifts, numbered(o), stable=stable),
    "remove_median": lambda o, stable: xoffset.remove_median(o.shifts, stable=stable),
    "closure": lambda o, stable: xoffset.closure(o.shifts, stable=stable),
    "invert": lambda o, stable: xoffset.invert(o.shifts, stable=stable),
    "stable_statistics": lambda o, stable: xoffset.stable_statistics(o.shifts, stable),
}


def test_stable_ground_is_taken_by_these_functions_alone():
    functions = {name for name in xoffset.__all__ if inspect.isfunction(getattr(xoffset, name))}
    # report() takes the folder of a run, and polygons too: see tests/report
    assert {name for name in functions if "stable" in parameters_of(name)} == set(TAKE_STABLE) | {"report"}


@pytest.mark.parametrize("name", TAKE_STABLE)
@pytest.mark.parametrize("on", ["nodes", "pixels"])
def test_ground_that_is_stable_nowhere_is_refused_before_computing(o, name, on):
    nowhere = xr.zeros_like(o.shifts.dx[0] if on == "nodes" else o.stack[0], dtype=bool)
    with pytest.raises(
        ValueError, match=rf"{name}\(\) needs stable to be True on at least one node; got none.*enlarge"
    ):
        TAKE_STABLE[name](o, nowhere)
    # what is not known yet is not computed for it
    with dask.config.set(scheduler=lambda *_, **__: pytest.fail("computed")):
        assert dask.is_dask_collection(TAKE_STABLE[name](o, nowhere.chunk()))


def refused_badly(call, message, errors=(TypeError, ValueError)):
    """What is said of odd objects that are refused otherwise than by a message in three parts."""
    wrong = {}
    for key, odd in ODD.items():
        try:
            call(odd)
        except errors as error:
            if not re.match(message, str(error), re.DOTALL):
                wrong[key] = str(error)
        except Exception as error:
            wrong[key] = repr(error)
    return wrong


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in SUBJECTS for option in parameters_of(name)])
def test_an_option_of_any_type_is_taken_or_refused_in_three_parts(o, name, option):
    """Each option in turn, the subject included, is given all kinds of objects."""
    function = getattr(xoffset, name)
    o.stable = o.shifts.dx[0].notnull()
    arguments = inspect.signature(function).bind_partial(*SUBJECTS[name](o)).arguments
    arguments |= {"view": view_of(o)} if name == "thinning_bias" else {}
    message = rf"{name}\(\) needs .*; ?(got|found|came)?.*\. \S.*"
    errors = (TypeError, ValueError, FileNotFoundError)
    assert refused_badly(lambda odd: function(**arguments | {option: odd}), message, errors) == {}


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in ("scene", "stack")
        for option in inspect.signature(getattr(synthetic, name)).parameters
    ],
)
def test_an_option_of_any_type_is_taken_or_refused_by_synthetic_images(name, option):
    def call(odd):
        return getattr(synthetic, name)(**{"shape": (16, 18)} | {option: odd})

    assert refused_badly(call, rf"{name}\(\) needs .*; got .*\. \S.*") == {}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_place_of_any_type_is_taken_or_refused_in_three_parts(o, odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writers = {
        "to_geotiff": lambda: xoffset.to_geotiff(o.rate[["v"]], odd),
        "save_maps": lambda: xoffset.plotting.save_maps(o.rate[["v"]], odd),
        "map_of": lambda: xoffset.plotting.map_of(o.rate.v, odd),
        "velocity_map": lambda: xoffset.plotting.velocity_map(o.rate, odd),
        "comparison_map": lambda: xoffset.plotting.comparison_map(o.rate, o.rate, odd),
    }
    for name, write in writers.items():
        if isinstance(odd, str) and odd == "nonsense":
            assert write()
            Path("nonsense").rename(f"{name}.done") if Path("nonsense").exists() else None
        else:
            with pytest.raises(TypeError, match=rf"{name}\(\) needs a path as \w+; got .*\. Pass a text or a pathlib"):
                write()


@pytest.mark.parametrize("odd", [odd for key, odd in ODD.items() if key not in ("None", "text", "no text")])
def test_names_of_any_type_are_refused_by_to_geotiff(o, odd, tmp_path):
    with pytest.raises((TypeError, ValueError), match=r"to_geotiff\(\) needs .*; got .*\. Choose from \["):
        xoffset.to_geotiff(o.rate, tmp_path, variables=odd)


# -------------------------------------------------------------------------------------------- what selection leaves out


@pytest.mark.parametrize(
    ("call", "dim"),
    [
        (lambda o: xoffset.invert(o.shifts.isel(pair=0)), "pair"),
        (lambda o: xoffset.velocity(o.shifts.isel(pair=0)), "pair"),
        (lambda o: xoffset.closure(o.shifts.isel(pair=0)), "pair"),
        (lambda o: xoffset.screen(o.shifts.isel(pair=0)), "pair"),
        (lambda o: xoffset.velocity(o.series.isel(time=0)), "time"),
        (lambda o: xoffset.rereference(o.series.isel(time=0), DATES[0]), "time"),
    ],
)
def test_one_pair_or_date_keeps_its_dim(o, call, dim):
    with pytest.raises(ValueError, match=rf"Keep the dim of what you select: isel\({dim}=\[0\]\), with brackets"):
        call(o)


def test_methods_of_one_pair_ask_for_its_dim(o):
    with pytest.raises(AttributeError, match=r"Keep the dim of what you select: isel\(pair=\[0\]\)"):
        o.shifts.isel(pair=0).offset.invert()


def elsewhere(data):
    """Mask on a grid that shares no coordinate with the data."""
    grid = {name: data[name].values + 1.0 for name in ("y", "x")}
    return xr.DataArray(np.ones([data.sizes[name] for name in ("y", "x")], bool), grid, ("y", "x"))


@pytest.mark.parametrize(
    "call",
    [
        lambda o: match(o.stack.where(elsewhere(o.stack)), o.network),
        lambda o: xoffset.filtering.highpass(o.stack.where(elsewhere(o.stack))),
        lambda o: xoffset.invert(o.shifts.where(elsewhere(o.shifts))),
        lambda o: xoffset.velocity(o.series.where(elsewhere(o.series))),
        lambda o: xoffset.strain(o.rate.where(elsewhere(o.rate))),
        lambda o: xoffset.to_geotiff(o.rate.where(elsewhere(o.rate)), "never"),
    ],
)
def test_a_mask_on_another_grid_is_named_as_the_cause(o, call):
    with pytest.raises(
        ValueError, match=r'mask\.reindex_like\(data, method="nearest", tolerance=half_a_pixel, fill_val'
    ):
        call(o)


def test_the_cure_for_a_mask_on_another_grid_works(o):
    mask = elsewhere(o.stack).reindex_like(o.stack, method="nearest", tolerance=5.0, fill_value=False)
    assert o.stack.where(mask).shape == o.stack.shape
    assert mask.dtype == bool
    assert mask.mean() > 0.9


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda o: xoffset.profile(o.rate, line_of(o), spacing=1e-4), r"at most 1,000,000 samples.*Pass a larger spac"),
        (
            lambda o: xoffset.profile(o.rate, line_of(o), width=1e12),
            r"at most 1,000,000 points across.*a smaller width",
        ),
        (lambda o: xoffset.resample(o.series, "1s"), r"at most 1,000,000 dates.*Pass a longer time"),
        (lambda o: xoffset.resample(o.series, pd.Timedelta("1us")), r"Pass a longer time between them"),
        (lambda o: xoffset.strain(o.rate, overlap=1e9), r"at most 1,000,000 nodes as overlap"),
        (lambda o: xoffset.velocity(o.series, bootstrap=10**9), r"at most 100,000 replicates.*Pass bootstrap=200"),
    ],
)
def test_what_would_fill_the_memory_is_refused_at_once(o, call, advice):
    with pytest.raises(ValueError, match=advice):
        call(o)


@pytest.mark.parametrize("name", ["estimate", "extend"])
@pytest.mark.parametrize("change", [{"template": 3}, {"search": None}, {"step": 0}, {"prior": 1}, {"matcher": "fft"}])
def test_functions_speak_in_their_own_name(o, name, change):
    subject = (o.shifts,) if name == "extend" else ()
    with pytest.raises((TypeError, ValueError), match=rf"^{name}\(\) needs "):
        getattr(xoffset, name)(*subject, o.stack, o.network, **change)
