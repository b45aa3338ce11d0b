"""Random images, shifts and arguments: each call returns what it promises, or refuses in three parts.

`pytest tests/fuzz --fuzz 200` tries two hundred times as many cases, in hours.
"""

import inspect
import re
from functools import cache

import numpy as np
import rioxarray  # noqa: F401 (sets .rio)
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xoffset
from xoffset import filtering, masking, synthetic

DATES = np.array(["2020-01-01", "2020-03-11", "2020-08-01", "2021-01-09", "2021-02-03", "2021-11-30"], "M8[us]")
MATCHERS = ("ncc", "ncc", "ncc", "phase", "regularized", "flow")
PREFILTERS = (None, "bandpass", "highpass", "laplacian", "log", "naof", "rank", "sobel", "wallis")
# Sides of the windows that suit a matcher; dense ones have windows of their own.
TEMPLATES = {"ncc": (5, 24), "phase": (32, 40)}
# what was needed, what came, what to do
THREE_PARTS = re.compile(r"need(s|ed)? .*\. \S.*", re.S)
REFUSALS = (ValueError, TypeError, OSError, MemoryError, ImportError)

# Calls that returned, of each function.
RETURNED: dict[str, int] = {}


def cases(count):
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def attempt(name, call):
    """Result of a call, computed, or None if it is refused as it should be."""
    try:
        found = call()
        found = found.compute() if hasattr(found, "compute") else found
    except REFUSALS as error:
        if not THREE_PARTS.search(str(error)):
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
        return None
    RETURNED[name] = RETURNED.get(name, 0) + 1
    return found


def assert_returned(name, share, count):
    """Calls that are refused test little: of so many cases a share must return."""
    print(f"{name}: {RETURNED.get(name, 0)} of {count} calls returned")  # noqa: T201
    assert RETURNED.get(name, 0) >= share * count


def holes(draw, values):
    """Values, some of which are NaN, infinite or constant, in an array that may be strided or read-only."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(
        st.sampled_from(["none", "none", "few", "half", "block", "rows", "layer", "all", "inf", "flat", "huge"])
    )
    if values.dtype.kind == "f" and values.size:
        values = values.copy()
        where = {
            "few": lambda: random.random(values.shape) < 0.02,
            "half": lambda: random.random(values.shape) < 0.5,
            "rows": lambda: (np.arange(values.shape[-2]) % 7 < 2)[:, None] & np.ones(values.shape, bool),
            "all": lambda: np.ones(values.shape, bool),
        }
        if kind in where:
            values[where[kind]()] = np.nan
        elif kind == "block":
            values[..., : values.shape[-2] // 2, : values.shape[-1] // 3] = np.nan
        elif kind == "layer":
            values[0] = np.nan
        elif kind == "inf":
            values[random.random(values.shape) < 0.01] = np.inf
        elif kind == "huge":
            values = values * values.dtype.type(1e30)
    if kind == "flat":
        values = np.zeros_like(values)
    layout = draw(st.sampled_from(["plain", "strided", "fortran", "reversed", "fixed"]))
    if layout == "strided":
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    if layout == "fixed":
        values = values.copy()
        values.flags.writeable = False
    return np.asfortranarray(values) if layout == "fortran" else values


@cache
def ground():
    return synthetic.stack((128, 128), dates=[str(each) for each in DATES[:4]], field="landslide", velocity=20.0)[
        0
    ].values


@st.composite
def stacks(draw):
    """Images, some of which are too small for most windows."""
    # most of them large enough: what is refused tests little
    small = draw(st.integers(0, 15)) == 15
    sides = st.integers(1, 40) if small else st.integers(40, 72)
    height, width = draw(sides), draw(sides)
    count = draw(st.integers(2, 4))
    row, column = draw(st.integers(0, 128 - height)), draw(st.integers(0, 128 - width))
    values = ground()[:count, row : row + height, column : column + width]
    dtype = draw(st.sampled_from(["f4", "f4", "f8", "u1", "u2", "i2", "i4"]))
    spread = max(float(np.ptp(values)), 1e-9)
    values = (values - values.min()) / spread * 250 if dtype[0] != "f" else values
    values = holes(draw, values.astype(dtype))
    down = draw(st.sampled_from([1.0, -1.0]))
    size = draw(st.sampled_from([10.0, 0.5, 30.0]))
    stack = xr.DataArray(
        values, dims=("time", "y", "x"),
        coords={"time": DATES[:count], "y": 5e6 + down * size * np.arange(height), "x": 3e5 + size * np.arange(width)},
    )  # fmt: skip
    return stack.rio.write_crs("EPSG:32632") if draw(st.booleans()) else stack


@st.composite
def shifts_of(draw):
    """Shifts of a random network, with or without scores and standard errors."""
    count = draw(st.integers(2, 6))
    every = [(i, j) for i in range(count) for j in range(i + 1, count)]
    chosen = sorted(draw(st.sets(st.sampled_from(every), min_size=1, max_size=len(every))))
    shape = (len(chosen), draw(st.integers(1, 14)), draw(st.integers(1, 14)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(["f4", "f8"]))
    data = {name: holes(draw, random.normal(size=shape).astype(dtype)) for name in ("dx", "dy")}
    if draw(st.integers(0, 15)) < 15:
        data |= {name: holes(draw, (random.random(shape) + 0.1).astype(dtype)) for name in ("sigma_dx", "sigma_dy")}
    if draw(st.booleans()):
        data["score"] = random.random(shape).astype(dtype)
    if draw(st.booleans()):
        data["flags"] = random.integers(0, 2**20, shape)
    first, second = np.array(chosen).T
    return xr.Dataset(
        {name: (("pair", "y", "x"), each) for name, each in data.items()},
        coords={
            "reference": ("pair", DATES[first]), "secondary": ("pair", DATES[second]),
            "y": 5e6 - 80.0 * np.arange(shape[1]), "x": 3e5 + 80.0 * np.arange(shape[2]),
        },
    )  # fmt: skip


def chunked(draw, data):
    return data.chunk(
        {dim: draw(st.integers(1, max(1, size)), label=f"chunk {dim}") for dim, size in data.sizes.items()}
    )


def same_bits(found, lazily):
    for name, each in found.variables.items():
        other = lazily[name].variable
        assert each.dims == other.dims
        assert each.dtype == other.dtype
        np.testing.assert_array_equal(each.values, other.values, err_msg=str(name))


def test_correlate(fuzz):
    @cases(4 * fuzz)
    @given(st.data())
    def check(data):
        draw = data.draw
        stack = draw(stacks())
        options = {
            "search": draw(st.integers(1, 6)), "step": draw(st.integers(1, 16)),
            "matcher": draw(st.sampled_from(MATCHERS)), "prefilter": draw(st.sampled_from(PREFILTERS)),
        }  # fmt: skip
        if options["matcher"] in TEMPLATES:
            options["template"] = draw(st.integers(*TEMPLATES[options["matcher"]]))
        if draw(st.booleans()):
            options["mask"] = xr.DataArray(
                np.random.default_rng(draw(st.integers(0, 99))).random(stack.shape[1:]) < 0.7,
                coords={"y": stack.y, "x": stack.x}, dims=("y", "x"),
            )  # fmt: skip
        network = attempt("pairs", lambda: xoffset.pairs(stack))
        if network is None:
            return
        found = attempt("correlate", lambda: xoffset.correlate(stack, network, **options))
        if found is None:
            return
        assert found.dx.dims == ("pair", "y", "x")
        assert found.dx.dtype == (np.float64 if stack.dtype == np.float64 else found.dx.dtype)
        assert found.sizes["pair"] == network.sizes["pair"]
        for axis in ("y", "x"):
            if "template" in options:
                assert found.sizes[axis] == (stack.sizes[axis] - options["template"]) // options["step"] + 1
        assert not np.isinf(found.dx).any()
        assert (np.isnan(found.dx) == np.isnan(found.dy)).all()
        if draw(st.integers(0, 2)) == 0:
            same_bits(found, xoffset.correlate(chunked(draw, stack), network, **options).compute())

    check()
    assert_returned("correlate", 0.5, 4 * fuzz)


def test_invert(fuzz):
    @cases(25 * fuzz)
    @given(st.data())
    def check(data):
        draw = data.draw
        shifts = draw(shifts_of())
        options = {
            "weights": draw(st.sampled_from(["uniform", "sigma" if "sigma_dx" in shifts else "uniform"])),
            "loss": draw(st.sampled_from(["huber", "linear", "l1", "tukey"])),
            "smooth": draw(st.sampled_from([0.0, 0.0, 1.0, 1e6])),
        }
        if not options["smooth"] or draw(st.integers(0, 7)) == 7:
            options["islands"] = draw(st.sampled_from(["nan", "nan", "bridge", "separate"]))
        if draw(st.booleans()):
            options["reference"] = draw(st.sampled_from([*shifts.reference.values] * 4 + [DATES[0]]))
        found = attempt("invert", lambda: xoffset.invert(shifts, **options))
        if found is None:
            return
        assert found.dx.dims == ("time", "y", "x")
        assert found.sizes["y"] == shifts.sizes["y"]
        assert found.sizes["x"] == shifts.sizes["x"]
        assert not np.isinf(found.dx).any()
        if draw(st.integers(0, 2)) == 0:
            same_bits(found, xoffset.invert(chunked(draw, shifts), **options).compute())

    check()
    assert_returned("invert", 0.7, 25 * fuzz)


# ------------------------------------------------------------------------------------------------ all other functions

ODD = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 2, 3, 7, 10**9, -(10**30), 0.0, 0.5, -0.5, 1e-300, 1e308, float("nan"),
         float("inf"), "", "x", "auto", "huber", "l1", "median", "2020-03-11", "1999", "30D", "-3D", "5", "NaT", [], (),
         {}, [1, 2], (0.0, 0.0), np.float32(2), np.int64(3), np.array(1.0), np.array([]), b"a", DATES[1], 1j, "\ud800"]
    ),
    st.integers(-5, 40),
    st.floats(-10, 1000),
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
)  # fmt: skip
# that write, wait for servers, or run for minutes
LEFT_OUT = {"warmup", "open_stac", "run", "estimate_run", "to_zarr", "to_geotiff", "open_result", "correlate", "invert",
            "estimate", "report"}  # fmt: skip
FUNCTIONS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (xoffset, masking, filtering)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name)) and name not in LEFT_OUT
}


@cache
def good():
    """One of each object."""
    stack = synthetic.stack((64, 64), dates=[str(each) for each in DATES[:4]], field="constant", velocity=20.0)[0]
    network = xoffset.pairs(stack)
    shifts = xoffset.correlate(stack, network, template=16, search=4, step=8)
    series = xoffset.invert(shifts)
    rate = xoffset.velocity(shifts)
    stable = xr.ones_like(rate.vx, dtype=bool)
    dem = xr.DataArray(np.add.outer(np.arange(64.0), np.arange(64.0)), coords={"y": stack.y, "x": stack.x})
    dem = dem.rio.write_crs(stack.rio.crs)
    classes = xr.zeros_like(stack, dtype="uint8")
    return {
        "stack": [stack], "network": [network], "shifts": [shifts], "series": [series],
        "like": [rate, shifts],
        "dataset": [shifts, series, rate], "shifts_or_series": [shifts, series], "stable": [stable],
        "dem": [dem, dem.isel(x=slice(10))],
        "classes": [classes], "prior": [rate], "table": [shifts.to_dataframe().head(3)], "source": [stack],
        "date": ["2020-05-05"], "dates": [DATES[:3]], "line": [[(0, 0), (300, 300)]], "points": [[(100.0, 100.0)]],
        "polygon": [[(0, 0), (0, 300), (300, 300)]], "v_max": [20.0], "sun_azimuth": [100.0], "sun_elevation": [30.0],
        "reference": ["2020-01-01"], "secondary": ["2021-01-09"], "view": [rate], "sun": [rate], "mask": [stable],
    }  # fmt: skip


def bent(draw, data):
    """A labelled object with something changed."""
    if not isinstance(data, xr.DataArray | xr.Dataset):
        return data
    dims = list(data.dims)
    change = draw(st.sampled_from(
        [*["as it is"] * 8, "part", "one", "none", "turned", "backward", "dtype", "chunks", "chunks", "drop", "rename",
         "holes", "stripped", "twice"]
    ))  # fmt: skip
    dim = draw(st.sampled_from(dims)) if dims else None
    if dim is None or change == "as it is":
        return data
    if change in ("part", "one", "none", "backward", "twice"):
        part = {"part": slice(1, 5, 2), "one": [0], "none": [], "backward": slice(None, None, -1), "twice": [0, 0]}
        return data.isel({dim: part[change]})
    if change == "turned":
        return data.transpose(*dims[::-1])
    if change == "chunks":
        return chunked(draw, data)
    if change == "rename":
        return data.rename({dim: "other"})
    if change == "drop":
        names = [*data.coords, *getattr(data, "data_vars", ())]
        return data.drop_vars(draw(st.sampled_from(names)))
    if change == "stripped":
        return data.drop_attrs(deep=True)
    if change == "holes":
        return data.where(np.random.default_rng(draw(st.integers(0, 9))).random(data.sizes[dim]).repeat(1)[0] > 2)
    with np.errstate(invalid="ignore"):
        return data.astype(draw(st.sampled_from(["f4", "f8", "i4", "?", "O", "c16"])))


def test_every_function(fuzz):
    @cases(60 * fuzz)
    @given(st.data())
    def check(data):
        draw = data.draw
        name = draw(st.sampled_from(sorted(FUNCTIONS)))
        function, given_now = FUNCTIONS[name], {}
        for each in inspect.signature(function).parameters.values():
            if each.default is not each.empty and draw(st.integers(0, 5)):
                continue
            known = good().get(each.name)
            if known is None or draw(st.integers(0, 11)) == 0:
                given_now[each.name] = draw(ODD, label=each.name)
            else:
                given_now[each.name] = bent(draw, draw(st.sampled_from(known)))
        attempt(name, lambda: function(**given_now))

    check()
