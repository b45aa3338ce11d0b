"""No product holds a value that is missing without a flag, infinite, or flagged by a bit that has no name."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset.inversion.invert import COUNTED
from xoffset.model.flags import FLAGS
from xoffset.model.nonsense import without_nonsense

DATES = np.datetime64("2020-01-01", "us") + np.array([0, 40, 100, 190, 300, 395, 480, 600]) * np.timedelta64(1, "D")
NODATA = FLAGS["nodata"]
# What a value of flags that is not zero explains, beside the values of its own dims: those of fewer dims.
MAIN = ("dx", "dy", "vx", "vy", "closure", "exx", "dilatation", "parallel", "d_east", "v_east", "length", "v")


@cache
def stack():
    return synthetic.stack((96, 104), dates=DATES, field="landslide", velocity=30.0, snr=8.0, nodata=0.03, seed=2)[0]


@cache
def plain():
    """Shifts of all pairs of neighbouring dates and of some others."""
    network = xoffset.pairs(stack(), max_gap=3)
    return xoffset.correlate(stack(), network, template=16, search=5, step=8)


@cache
def spoilt(kind, seed=0):
    """Shifts in which a tenth of the values are spoilt in one way; of several numbers each place has one of them."""
    shifts = plain().copy(deep=True)
    generator = np.random.default_rng(seed)
    here = generator.random(shifts.dx.shape) < 0.1
    fields = {name: shifts[name].values for name in shifts.data_vars}
    numbers = [float(word) for word in kind.split() if word[-1].isdigit() or word in ("nan", "inf", "-inf")]
    values = np.resize(numbers or np.nan, here.shape)[here]
    if kind == "one nan" or len(numbers) == len(kind.split()):
        fields["dx"][here] = values
        if kind != "one nan":
            too = generator.random(here.shape) < 0.5
            fields["dy"][here & too] = values[too[here]]
    elif kind.startswith("sigma"):
        fields["sigma_dx"][here] = values
        fields["sigma_dy"][here] = values
    elif kind == "one sigma 0":
        fields["sigma_dx"][here] = 0.0
    elif kind.startswith("score"):
        for name in ("score", "peak_gap", "false_alarm", "valid_fraction"):
            fields[name][here] = values
    elif kind == "flags":
        shifts = shifts.assign(flags=shifts.flags.astype("float64"))
        shifts.flags.values[here] = np.nan
    elif kind.startswith("bits"):
        fields["flags"][here] = values.astype(np.int64)
    elif kind == "where":
        return shifts.where(xr.DataArray(~here, dims=shifts.dx.dims))
    elif kind == "all":
        return shifts.where(False)
    elif kind == "pixels":
        fields["dx"][:, here[0]] = np.inf
    elif kind == "pairs":
        fields["dy"][::2] = np.nan
    elif kind == "without flags":
        fields["dx"][here] = np.nan
        return shifts.drop_vars("flags")
    elif kind.startswith("cov"):
        fields["cov_dxdy"][here] = values
    return shifts


KINDS = (
    "nan", "inf -inf", "1e30 -1e20", "one nan", "sigma inf -inf nan", "sigma -1 1e30", "sigma 0", "one sigma 0",
    "bits -5 1125899906842624", "score inf 1e30", "flags", "where", "all", "pixels", "pairs", "without flags",
    "cov inf -1e30 1e6",
)  # fmt: skip


def across(data):
    """Line through the middle of the grid."""
    return [(float(data.x.mean()), float(data.y.min())), (float(data.x.mean()), float(data.y.max()))]


def views():
    """Views from two orbits in turn."""
    is_east = np.arange(DATES.size) % 2 == 1
    angles = {"view_zenith": np.where(is_east, 9.0, 8.0), "view_azimuth": np.where(is_east, 104.0, 285.0)}
    return xr.Dataset({name: ("time", values) for name, values in angles.items()}, {"time": DATES})


def everywhere(product):
    return xr.DataArray(np.ones(product.dx.shape[1:], bool), coords=product[["y", "x"]].coords, dims=("y", "x"))


def few(shifts):
    """Pairs enough for what fits each of them by itself, and takes long."""
    return shifts.isel(pair=slice(0, 5))


def line(product):
    x, y = product.x.values, product.y.values
    return [(x[0] - 50.0, y[1]), (x[4], y[5]), (x[-1], y[-2])]


def points(product):
    return [(float(product.x[k]) + 3.0, float(product.y[k]) - 3.0) for k in (1, 4, 7)]


def area(product):
    """Polygon around most of the nodes, in the CRS of the product."""
    (west, east), (south, north) = ((float(v.min()) + 30.0, float(v.max()) + 30.0) for v in (product.x, product.y))
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    return {"type": "Polygon", "coordinates": [corners], "crs": crs}


OF_SHIFTS = {
    "screen": xoffset.screen,
    "screen nothing": lambda s: xoffset.screen(s, false_alarm=None, ambiguity=None, neighbourhood=False),
    "screen limits": lambda s: xoffset.screen(
        s,
        min_valid_fraction=0.7,
        pycorr=(0.05, 1.0, 0.0),
        min_peak_ratio=1.1,
        max_speed=30.0,
        direction=xr.full_like(s.dx[0].drop_attrs(), 90.0),
    ),
    "screen others": lambda s: xoffset.screen(
        s,
        false_alarm=None,
        ndc=0.2,
        median_test=3.0,
        max_angle_spread=60.0,
        max_deviation=5.0,
        max_closure=3.0,
        min_clump=3,
    ),
    "screen auto": lambda s: xoffset.screen(s, max_separation="auto", min_score=0.3, min_peak_gap=0.01),
    "calibrate": lambda s: xoffset.calibrate(s, everywhere(s)),
    "correct": lambda s: xoffset.correct(s, stable=everywhere(s), min_nodes=20),
    "correct view": lambda s: xoffset.correct(s, stable=everywhere(s), min_nodes=20, view=views()),
    "velocity shared": lambda s: xoffset.velocity(s.assign(sigma_shift=("pair", np.full(s.sizes["pair"], 0.2)))),
    "correct trace": lambda s: xoffset.correct(few(s), order=1, trace=across(s), min_nodes=20),
    "calibrate apply_to": lambda s: xoffset.calibrate(plain(), everywhere(s), apply_to=s),
    "extend": lambda s: xoffset.extend(
        s.isel(pair=slice(0, 5)), stack(), xoffset.pairs(stack(), max_gap=1), template=16, search=5, step=8
    ),
    "closure": xoffset.closure,
    "stable_statistics": lambda s: xoffset.stable_statistics(s, everywhere(s)),
    "area_mean": lambda s: xoffset.area_mean(few(s), area(s)),
    "area_mean stable": lambda s: xoffset.area_mean(few(s), area(s), stable=everywhere(s)),
    "invert": xoffset.invert,
    "invert linear": lambda s: xoffset.invert(s, loss="linear", weights="velocity"),
    "invert smooth": lambda s: xoffset.invert(s, smooth=0.1),
    "invert separate": lambda s: xoffset.invert(s, islands="separate"),
    "velocity": xoffset.velocity,
    "velocity linear": lambda s: xoffset.velocity(s, loss="linear"),
    "velocity bootstrap": lambda s: xoffset.velocity(s, bootstrap=8, seed=1),
    "decompose": lambda s: xoffset.decompose(s, seasonal=True),
    "decompose steps": lambda s: xoffset.decompose(s, steps="search"),
    "coseismic": lambda s: xoffset.coseismic(s, "2020-06-01"),
    "yearly_velocity": xoffset.yearly_velocity,
    "interval_velocity": xoffset.interval_velocity,
    "combine_bands": lambda s: xoffset.combine_bands({"B03": s, "B04": s}),
    "mean_displacement": xoffset.mean_displacement,
    "mean_velocity": xoffset.mean_velocity,
    "mean_velocity mpic": lambda s: xoffset.mean_velocity(s, estimator="mpic"),
    "vector_coherence": lambda s: xoffset.vector_coherence(s, window=3),
    "quality": xoffset.quality,
    "strain": lambda s: xoffset.strain(s, window=3),
    "profile": lambda s: xoffset.profile(s, line(s)),
    "profile swath": lambda s: xoffset.profile(s, line(s), width=200.0),
    "ground": xoffset.ground,
}


def series(kind):
    """Series whose values are spoilt as the shifts are."""
    found = xoffset.invert(plain()).copy(deep=True)
    spoils = spoilt(kind)
    if kind in ("where", "all"):
        here = np.isnan(spoils.flags.values[: found.sizes["time"]])
        return found.where(xr.DataArray(~here, dims=found.dx.dims))
    names = [name for name in ("dx", "dy", "sigma_dx", "sigma_dy", "flags") if name in spoils]
    changes = {}
    for name in names:
        is_same = np.array_equal(spoils[name].values, plain()[name].values, equal_nan=True)
        if not is_same:
            before, after = (each[name].values[: found.sizes["time"]] for each in (plain(), spoils))
            is_spoilt = ~((before == after) | (np.isnan(before.astype(float)) & np.isnan(after.astype(float))))
            changes[name] = (found[name].dims, np.where(is_spoilt, after, found[name].values))
    return found.assign(changes)


OF_SERIES = {
    "rereference": lambda s: xoffset.rereference(s, DATES[2]),
    "resample": lambda s: xoffset.resample(s, "30D"),
    "trajectory": lambda s: xoffset.trajectory(s, points(s)),
    "velocity": xoffset.velocity,
    "decompose": lambda s: xoffset.decompose(s, semiannual=True),
    "coseismic": lambda s: xoffset.coseismic(s, "2020-06-01", trend=True),
    "onset": xoffset.onset,
    "strain": lambda s: xoffset.strain(s, window=3),
    "profile": lambda s: xoffset.profile(s, line(s)),
    "ground": xoffset.ground,
}


def check(product):
    """Hold a product against what no product may hold."""
    for name, variable in product.data_vars.items():
        if variable.dtype.kind == "f":
            assert not (np.abs(variable.values) > 1e15).any(), f"no such {name}"
        if variable.dtype.kind == "f" and str(name).startswith(("sigma_d", "sigma_v", "sigma_e", "sigma_p")):
            assert not (variable.values > 1e12).any(), f"{name} beyond all measure"
    if not set(MAIN) & set(product.data_vars):
        return
    flags = product.flags
    assert flags.dtype == np.int64
    assert not (flags.values & ~np.int64(sum(FLAGS.values()))).any(), "bit without a name"
    for name in MAIN:
        if name in product and set(product[name].dims) == set(flags.dims):
            is_silent = product[name].isnull() & (flags.transpose(*product[name].dims) == 0)
            assert not is_silent.any(), f"{int(is_silent.sum())} values of {name} are NaN without a flag"
    for name in ("dx", "dy", "vx", "vy"):
        if f"sigma_{name}" in product and product[name].dims == product[f"sigma_{name}"].dims:
            sigma = product[f"sigma_{name}"].values[np.isfinite(product[name].values)]
            assert not (sigma < 0.0).any(), f"sigma_{name} below zero"


def outcome(function, data):
    """Return the result; None where the input is refused in words."""
    try:
        return function(data)
    except ValueError as error:
        if "needs" not in str(error):
            raise
        return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_SHIFTS)
def test_no_product_of_shifts_is_silent(name, kind):
    found = outcome(OF_SHIFTS[name], spoilt(kind))
    if found is not None:
        check(found)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("score", "without flags", "cov")])
@pytest.mark.parametrize("name", OF_SERIES)
def test_no_product_of_series_is_silent(name, kind):
    found = outcome(OF_SERIES[name], series(kind))
    if found is not None:
        check(found)


PIXELS = {
    "constant": lambda image: np.full_like(image, 7.0),
    "nothing": lambda image: np.full_like(image, np.nan),
    "zeros": lambda image: np.where(np.indices(image.shape)[-1] < 50, 0.0, image),
    "stripes": lambda image: np.where(np.indices(image.shape)[-2] % 12 < 4, 0.0, image),
    "checks": lambda image: np.indices(image.shape).sum(axis=0) % 2 * 1.0,
    "inf": lambda image: np.where(np.indices(image.shape)[-1] % 23 == 0, np.inf, image),
    "-inf": lambda image: np.where(np.indices(image.shape)[-2] % 31 == 0, -np.inf, image),
    "1e30": lambda image: np.where(np.indices(image.shape).sum(axis=0) % 40 == 0, 1e30, image),
    "-3e38": lambda image: np.where(np.indices(image.shape)[-1] > 80, -3e38, image),
    "half missing": lambda image: np.where(np.random.default_rng(0).random(image.shape) < 0.5, np.nan, image),
}
MATCHERS = {
    "ncc": {},
    "phase": {"matcher": "phase", "template": 32},
    "orientation": {"matcher": xoffset.Phase("orientation"), "template": 32},
    "nested": {"template": (16, 32)},
    "both ways": {"matcher": xoffset.NCC(both_ways=True)},
    "affine": {"matcher": xoffset.NCC("affine")},
    "unfiltered": {"prefilter": None},
    "pyramid": {"search": xoffset.Pyramid(12, levels=1)},
}


@pytest.mark.parametrize("matcher", MATCHERS)
@pytest.mark.parametrize("kind", PIXELS)
def test_no_match_is_silent(kind, matcher):
    images = stack().isel(time=slice(0, 3))
    images = images.copy(data=np.stack([images.values[0], *(PIXELS[kind](image) for image in images.values[1:])]))
    options = {"template": 16, "search": 5, "step": 8} | MATCHERS[matcher]
    shifts = xoffset.correlate(images, xoffset.pairs(images), **options)
    check(shifts)
    assert np.isfinite(shifts.sigma_dx.values[np.isfinite(shifts.dx.values)]).all()
    check(xoffset.screen(shifts))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -1e30])
def test_no_match_around_a_prior_is_silent(value):
    images = stack().isel(time=slice(0, 3))
    prior = xr.Dataset({name: images[0].drop_vars("time") * 0.0 + 10.0 for name in ("vx", "vy")})
    prior.vx.values[30:60, 30:60] = value
    options = {"template": 16, "search": 5, "step": 8}
    shifts = xoffset.correlate(images, xoffset.pairs(images), prior=prior, **options)
    check(shifts)
    assert int(shifts.dx.notnull().sum()) > 0


@pytest.mark.parametrize("kind", ["inf", "1e30", "sigma -1", "sigma inf", "where", "without flags"])
@pytest.mark.parametrize("name", ["screen", "invert", "velocity", "strain", "mean_velocity", "ground"])
def test_lazy_products_are_no_other(name, kind):
    shifts = spoilt(kind)
    lazy = shifts.chunk(pair=-1, y=5, x=6).assign_coords(shifts.coords)
    found, eager = OF_SHIFTS[name](lazy).compute(), OF_SHIFTS[name](shifts)
    if name == "invert":
        # which date is the reference is not known before it is computed
        assert found.attrs.pop("reference") == COUNTED
        assert eager.attrs.pop("reference") != COUNTED
        found.attrs.pop("processing"), eager.attrs.pop("processing")
    xr.testing.assert_identical(found, eager)


@pytest.mark.parametrize("column", ["dx", "dy", "sigma"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_no_table_is_silent(column, value):
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    table = pd.DataFrame({"reference": dates[:2], "secondary": dates[1:], "dx": 1.0, "dy": 2.0, "sigma": 0.5})
    table.loc[1, column] = value
    check(xoffset.from_table(table, sigma=("sigma", "sigma")))


def test_what_is_unknown_says_so_and_the_rest_stays():
    shifts = plain().copy(deep=True)
    known = np.argwhere(np.isfinite(shifts.dx.values))[::7]
    for k, value in enumerate((np.inf, -np.inf, 2e9, -1e30)):
        shifts.dx.values[tuple(known[k])] = value
    shifts.sigma_dx.values[tuple(known[8])] = -1.0
    shifts.sigma_dy.values[tuple(known[9])] = np.inf
    found = xoffset.screen(shifts, false_alarm=None, ambiguity=None, neighbourhood=False)
    for place in known[:4]:
        vector = found.isel(dict(zip(("pair", "y", "x"), place.tolist(), strict=True)))
        assert np.isnan([vector.dx, vector.dy, vector.sigma_dx, vector.sigma_dy, vector.cov_dxdy]).all()
        assert int(vector.flags) & NODATA
    for place, name in ((known[8], "sigma_dx"), (known[9], "sigma_dy")):
        vector = found.isel(dict(zip(("pair", "y", "x"), place.tolist(), strict=True)))
        assert np.isnan(vector[name])
        assert np.isfinite(vector.dx)
        assert int(vector.flags) == 0
    untouched = np.ones(shifts.dx.shape, bool)
    untouched[tuple(known[:10].T)] = False
    for name in shifts.data_vars:
        before, after = (each[name].values[untouched] for each in (plain(), found))
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_no_bit_without_a_name_passes(dtype):
    plain_flags = plain().flags.values
    nameless = 1 << 60
    assert nameless not in FLAGS.values()
    for value, wanted in ((nameless, 0), (nameless | FLAGS["low_score"], FLAGS["low_score"]), (-9999, NODATA)):
        shifts = plain().copy(deep=True)
        known = tuple(np.argwhere(np.isfinite(shifts.dx.values) & (plain_flags == 0))[3])
        shifts = shifts.assign(flags=shifts.flags.astype(dtype))
        shifts.flags.values[known] = value
        found = without_nonsense(shifts, ("dx", "dy"), ("sigma_dx", "sigma_dy", "cov_dxdy"))
        assert found.flags.values[known] == wanted
        check(xoffset.screen(shifts))
        check(xoffset.invert(shifts))


def test_a_covariance_larger_than_its_errors_allow_is_unknown():
    shifts = plain().copy(deep=True)
    known = tuple(np.argwhere(np.isfinite(shifts.sigma_dx.values))[5])
    largest = float(shifts.sigma_dx.values[known] * shifts.sigma_dy.values[known])
    for share, is_known in ((0.99, True), (-0.99, True), (1.5, False), (-1.5, False)):
        shifts.cov_dxdy.values[known] = share * largest
        found = without_nonsense(shifts, ("dx", "dy"), ("sigma_dx", "sigma_dy", "cov_dxdy"))
        assert np.isfinite(found.cov_dxdy.values[known]) == is_known
        assert np.isfinite(found.sigma_dx.values[known])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("name", OF_SERIES)
def test_no_number_beyond_reason_passes_through_a_series(name, value):
    series = xoffset.invert(plain()).copy(deep=True)
    here = np.random.default_rng(5).random(series.sizes["y"] * series.sizes["x"]).reshape(series.rms.shape) < 0.1
    for variable in series.data_vars.values():
        if variable.dtype.kind == "f":
            variable.values[..., here] = value
    check(OF_SERIES[name](series))


@pytest.mark.parametrize("name", ["strain", "profile", "profile swath", "ground"])
def test_tiny_errors_make_no_huge_ones(name):
    check(OF_SHIFTS[name](spoilt("sigma 1e-30")))


def test_good_shifts_are_not_copied():
    shifts = plain()
    found = without_nonsense(shifts, ("dx", "dy"), ("sigma_dx", "sigma_dy", "cov_dxdy"))
    for name in shifts.data_vars:
        assert np.shares_memory(found[name].values, shifts[name].values)
