"""Every kind of picture: what it shows, and what it does with bad input."""

import functools
import itertools
import os
import re
import stat
import sys
import tempfile
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.quiver import QuiverKey
from PIL import Image

import xoffset
from xoffset import plotting
from xoffset._arrays.extremes import coherent_end
from xoffset._arrays.step import step_across
from xoffset._arrays.terrain import hillshade
from xoffset.accessor import PlotAccessor
from xoffset.plotting import animations, fields, style
from xoffset.plotting import look as look_at
from xoffset.plotting.look import look_of

DATES = np.datetime64("2020-01-10", "us") + 60 * np.arange(5) * np.timedelta64(1, "D")
SHAPE = (8, 9)
DOTS = 60
GRID = {"y": 5000000.0 - 80.0 * np.arange(SHAPE[0]), "x": 300000.0 + 80.0 * np.arange(SHAPE[1])}


def maps(layers, seed):
    """Motion toward the south-east in the middle, with noise and a hole."""
    y, x = np.meshgrid(np.linspace(-1, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1]), indexing="ij")
    field = 20.0 * np.exp(-3.0 * (x**2 + y**2)) + np.random.default_rng(seed).normal(0.0, 0.3, (*layers, *SHAPE))
    field[..., 1, 2] = np.nan
    return field.astype("float32")


@functools.cache
def make():
    """Products as the library makes them, from arrays that are known."""
    first, second = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (0, 2), (1, 3), (2, 4)]).T
    pairs = xr.Dataset(coords={"reference": ("pair", DATES[first]), "secondary": ("pair", DATES[second])})
    grid = {**GRID, "spatial_ref": xoffset.synthetic.stack((8, 8))[0].spatial_ref}
    dims, sigma = ("pair", "y", "x"), {"units": "m"}
    years = ((second - first) * 60 / 365.25)[:, None, None]
    dx, dy = maps((), 0) * years, -0.5 * maps((), 1) * years
    names = {"dx": dx, "dy": dy, "sigma_dx": 0.2 + 0 * dx, "sigma_dy": 0.3 + 0 * dy, "removed_dx": 0 * dx + 1.0}
    shifts = pairs.assign({name: (dims, each.astype("float32"), sigma) for name, each in names.items()})
    shifts = shifts.assign(removed_dy=shifts.removed_dx, flags=(dims, np.isnan(dx).astype("int64") * 2)).assign_coords(
        grid
    )
    time = ("time", "y", "x")
    elapsed = (np.arange(5) * 60 / 365.25)[:, None, None]
    series = xr.Dataset(coords={"time": DATES, **grid})
    names = {"dx": maps((), 0) * elapsed, "dy": -0.5 * maps((), 1) * elapsed}
    series = series.assign({name: (time, each.astype("float32"), sigma) for name, each in names.items()})
    series = series.assign(sigma_dx=0.1 + 0 * series.dx, sigma_dy=0.1 + 0 * series.dy, rms=abs(series.dx[-1]) * 0.1)
    series = series.assign(flags=series.dx.isnull().astype("int64") * 2).assign_attrs(reference=str(DATES[0]))
    series["rms"].attrs = {"units": "m", "long_name": "root mean square misclosure of the pairs"}
    rate = xr.Dataset({"vx": (("y", "x"), maps((), 0)), "vy": (("y", "x"), -0.5 * maps((), 1))}, grid)
    rate = rate.assign(sigma_vx=0.4 + 0 * rate.vx, sigma_vy=0.4 + 0 * rate.vy, rms=series.rms)
    rate = rate.assign(
        first=rate.vx.copy(data=np.full(SHAPE, DATES[0])), last=rate.vx.copy(data=np.full(SHAPE, DATES[4]))
    )
    for name in ("vx", "vy", "sigma_vx", "sigma_vy"):
        rate[name].attrs = {"units": "m yr-1"}
    closure = shifts[["dx"]].rename(dx="closure").assign(date_closure=abs(series.dx))
    strain = xr.Dataset({name: 1e-3 * rate.vx.drop_attrs() for name in ("e1", "dilatation")}, attrs={})
    strain = strain.assign(e2=-0.5 * strain.e1, azimuth=0 * strain.e1 + 30.0)
    profile = xr.Dataset(coords={"distance": 80.0 * np.arange(20)}, attrs={"strike": 12.0})
    step = np.where(np.arange(20) < 10, -2.0, 2.0) + 0.01 * np.arange(20)
    profile = profile.assign({name: ("distance", k * step) for k, name in enumerate(("normal", "parallel"))})
    profile = profile.assign(sigma_parallel=0.1 + 0 * profile.normal, sigma_normal=0.1 + 0 * profile.normal)
    profile["parallel"].attrs = {"units": "m"}
    paths = {name: (("point", "time"), [[300300.0 + 2.0 * k for k in range(5)]] * 2) for name in ("x", "y")}
    steps = np.arange(12.0)
    names = {
        "spread": 9.0 / (1.0 + steps),
        "retention": 0.98 - 0.006 * steps**2,
        "found": np.append(0.9 - 0.08 * steps[1:], np.nan),
    }
    tuning = xr.Dataset(
        {name: ("trial", each) for name, each in names.items()} | {"is_chosen": ("trial", steps == 3.0)},
        {
            "window": ("trial", [f"{8 * step:g}" for step in steps + 2.0]),
            "min_motion": ("trial", 0.2 * (1.0 + steps % 2)),
        },
    )
    tuning["spread"].attrs["units"] = "m yr-1"
    losses = xr.Dataset(
        {"lost": (("stage", "pair"), [[3, 4], [0, 0]]), "left": (("stage", "pair"), [[9, 8], [9, 8]])},
        {"stage": ["outside", "low_score"]},
    )
    stable = xr.DataArray(np.ones(SHAPE, dtype=bool), GRID, ("y", "x"))
    return SimpleNamespace(
        shifts=shifts, series=series, rate=rate, closure=closure, strain=strain, profile=profile, stable=stable,
        trajectory=xr.Dataset(paths, {"time": DATES}), losses=losses, tuning=tuning,
    )  # fmt: skip


POINT = [(300320.0, 4999700.0)]
# kind -> the product that it is of, and what it takes beside
KINDS = {
    "velocity": ("rate", {}),
    "displacement": ("series", {}),
    "log_speed": ("rate", {}),
    "direction": ("rate", {}),
    "sigma": ("rate", {}),
    "variable": ("rate", {"name": "vx"}),
    "flags": ("shifts", {}),
    "closure": ("closure", {}),
    "residual": ("series", {}),
    "strain": ("strain", {}),
    "network": ("shifts", {}),
    "chord": ("shifts", {}),
    "valid": ("shifts", {}),
    "series": ("series", {"points": POINT}),
    "profile": ("profile", {"fault": 760.0}),
    "trajectories": ("trajectory", {}),
    "stable": ("shifts", {"stable": None}),
    "correction": ("shifts", {}),
    "losses": ("losses", {}),
    "tuning": ("tuning", {}),
    "animation": ("series", {"save": None}),
}
GRIDDED = [kind for kind, (of, _) in KINDS.items() if of not in ("profile", "trajectory", "losses", "tuning")]
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch):
    """Fewer dots, so that all kinds are drawn in seconds."""
    monkeypatch.setattr(look_at, "_WRITTEN", DOTS)
    monkeypatch.setattr(look_at, "_SHOWN", DOTS)
    monkeypatch.setattr(animations, "_FRAMES", DOTS)


@pytest.fixture
def o(tmp_path):
    products = {name: each.copy(deep=True) for name, each in vars(make()).items()}
    return SimpleNamespace(folder=tmp_path, **products)


def draw(kind, o, data=None, **options):
    """Draw a kind, of its product or of another one."""
    of, needed = KINDS[kind]
    data = getattr(o, of) if data is None else data
    needed = {
        name: {"stable": o.stable, "save": o.folder / "motion.gif"}.get(name, each) for name, each in needed.items()
    }
    return getattr(data.offset.plot, kind)(**needed | options)


def texts(figure):
    """All that is written on a figure."""
    keys = [each.text for each in figure.findobj(QuiverKey)]
    return "\n".join(text.get_text() for text in [*figure.findobj(mpl.text.Text), *keys])


# ----------------------------------------------------------------------------------------------------------- all kinds


def test_every_kind_is_tried():
    assert set(KINDS) == {name for name in vars(PlotAccessor) if name.islower() and name[0] != "_"}
    assert set(KINDS) | {"save_maps", "map_of", "velocity_map", "comparison_map"} == set(plotting.__all__)


@each_kind
def test_is_drawn_and_written_lazy_data_alike(o, kind):
    data, before = getattr(o, KINDS[kind][0]), getattr(o, KINDS[kind][0]).copy(deep=True)
    place = o.folder / ("motion.png" if kind == "animation" else "picture.png")
    assert isinstance(draw(kind, o, save=place), Figure)
    xr.testing.assert_identical(data, before)
    assert [path.name for path in o.folder.iterdir()] == [place.name]
    assert plt.get_fignums() == []
    with Image.open(place) as opened:
        image = np.asarray(opened.convert("L"))
    assert image.std() > 10
    # as wide as a column of a journal, and little more
    assert 0.8 < image.shape[1] / DOTS / 3.35 < 1.25
    eager = place.read_bytes()
    draw(kind, o, data.chunk(), save=place)
    assert place.read_bytes() == eager


@each_kind
def test_draws_into_a_panel_and_nowhere_else(o, kind):
    ours, other = Figure(dpi=DOTS), Figure()
    left, right = ours.subplots(1, 2)
    mine = other.subplots()
    before = plt.gcf(), plt.gca()
    assert draw(kind, o, ax=left, vmin=1.0, vmax=2.0, cmap="viridis", title="Mont Rose") is ours
    assert (plt.gcf(), plt.gca()) == before
    plt.close(before[0])
    assert "Mont Rose" in texts(ours)
    assert left.get_children() != right.get_children()
    assert not right.images + right.lines + right.child_axes
    assert other.axes == [mine]
    assert not mine.images + mine.lines
    ours.canvas.draw()


@each_kind
def test_without_any_value(o, kind):
    data = getattr(o, KINDS[kind][0])
    empty = {name: each.where(False) for name, each in data.data_vars.items() if each.dtype.kind == "f"}
    figure = draw(kind, o, data.assign(empty))
    if kind in GRIDDED and kind not in ("flags", "network", "chord", "valid"):
        assert "no values" in texts(figure)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind][0] in ("series", "trajectory")])
def test_of_one_date(o, kind):
    draw(kind, o, getattr(o, KINDS[kind][0]).isel(time=[1])).canvas.draw()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind][0] in ("shifts", "closure")])
def test_of_one_pair(o, kind):
    draw(kind, o, getattr(o, KINDS[kind][0]).isel(pair=[1])).canvas.draw()


@pytest.mark.parametrize("kind", GRIDDED)
def test_of_one_node(o, kind):
    one = getattr(o, KINDS[kind][0]).isel(y=[4], x=[4])
    if kind == "stable":  # a cell needs a size
        with pytest.raises(ValueError, match=r"needs more than one pixel; got one\. Check the selection"):
            draw(kind, o, one)
        return
    draw(kind, o, one, **({"points": [(one.x.item(), one.y.item())]} if kind == "series" else {})).canvas.draw()


@pytest.mark.parametrize("kind", GRIDDED)
def test_of_no_node(o, kind):
    none = getattr(o, KINDS[kind][0]).isel(y=slice(0, 0))
    if kind in ("network", "chord"):  # which have no need of any
        assert "valid [%]" not in texts(draw(kind, o, none))
        return
    with pytest.raises(ValueError, match=rf"{kind}\(\) needs .*; got .*\. \S"):
        draw(kind, o, none)


@each_kind
def test_of_far_values(o, kind):
    data = getattr(o, KINDS[kind][0])
    far = {}
    for name, each in data.data_vars.items():
        if each.dtype.kind == "f":
            values = each.values.copy()
            end = 1e9 if kind == "trajectories" else 1e38  # labels of the axes have room for it
            values.flat[[3, 5, 7, 9]] = np.inf, -np.inf, end, -end
            far[name] = each.copy(data=values)
    draw(kind, o, data.assign(far)).canvas.draw()
    for value in (-1e30, -np.inf, 0.0)[: 1 if kind == "animation" else 3]:
        alike = {name: each.copy(data=np.full_like(each.values, value)) for name, each in far.items()}
        draw(kind, o, data.assign(alike))


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3857"])
def test_grids_that_are_not_in_metres_of_ground_are_refused(o, code):
    for kind, data in (("velocity", o.rate), ("stable", o.shifts)):
        data = data.drop_vars("spatial_ref").assign_attrs(crs=code)
        with pytest.raises(ValueError, match=rf"{kind}\(\) needs .*; got .*Reproject"):
            draw(kind, o, data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRIDDED)
def test_of_a_huge_grid_says_that_it_is_thinned(o, kind, monkeypatch):
    most = style.MOST_PIXELS if kind == "velocity" else 300  # one as large as they come, the others quickly
    monkeypatch.setattr(style, "MOST_PIXELS", most)
    monkeypatch.setattr(fields, "MOST_PIXELS", most)
    small = getattr(o, KINDS[kind][0])
    side = 10_000
    grid = {"y": -10.0 * np.arange(side), "x": 10.0 * np.arange(side)}

    def grown(each):
        shape = (*each.shape[:-2], side, side)
        return each.dims, np.broadcast_to(each.values[..., :1, :1], shape), each.attrs

    small = small.isel(time=[0, 1]) if "time" in small.dims else small
    on_grid = {name: each for name, each in small.data_vars.items() if {"y", "x"} <= set(each.dims)}
    # dates would be copied when the Dataset is made
    large = xr.Dataset({name: grown(each) for name, each in on_grid.items() if each.dtype.kind != "M"})
    large = large.assign_coords(
        grid | {name: each for name, each in small.coords.items() if not {"y", "x"} & set(each.dims)}
    )
    o.stable = xr.DataArray(np.broadcast_to(np.True_, (side, side)), grid, ("y", "x"))
    options = {"points": [(500.0, -700.0)]} if kind == "series" else {}
    figure = draw(kind, o, large.assign_attrs(small.attrs), **options)
    if kind != "series":
        assert f"thinned: 1 node of {-(-side // most)} drawn" in texts(figure)
    assert all(max(image.get_array().shape[:2]) <= most for axes in figure.axes for image in axes.images)


@pytest.mark.parametrize("kind", GRIDDED)
def test_without_a_crs(o, kind):
    figure = draw(kind, o, getattr(o, KINDS[kind][0]).drop_vars("spatial_ref"))
    if figure.axes[0].get_xlabel().split(" ")[-1] in ("[m]", "[km]") and figure.axes[0].images:
        assert figure.axes[0].get_xlabel().startswith("local x")


@pytest.mark.parametrize("factor", [1e12, np.inf])
@pytest.mark.parametrize("kind", ["velocity", "displacement", "direction", "sigma", "series", "profile", "animation"])
def test_of_huge_standard_errors(o, kind, factor):
    data = getattr(o, KINDS[kind][0])
    wild = {
        name: (each * factor).assign_attrs(each.attrs) for name, each in data.items() if str(name).startswith("sigma")
    }
    figure = draw(kind, o, data.assign(wild))
    figure.canvas.draw()
    if kind == "direction":
        assert "no values" in texts(figure)
    if kind == "series":
        assert np.ptp(figure.axes[0].get_ylim()) < 100.0


@each_kind
def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(o, kind, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    place = o.folder / "new" / "motion.png"
    with pytest.raises(
        OSError, match=rf"{kind}\(\) needs to write into .*; got .*Permission denied.*Make room or give"
    ):
        draw(kind, o, save=place)
    assert list(o.folder.rglob("*.png")) == []


@each_kind
def test_a_picture_that_fails_leaves_the_old_one(o, kind, monkeypatch):
    place = o.folder / "motion.png"
    place.write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises((OSError, ZeroDivisionError)):
        draw(kind, o, save=place)
    assert place.read_bytes() == b"old"
    assert [path.name for path in o.folder.iterdir()] == ["motion.png"]


@each_kind
def test_without_the_extra(o, kind, monkeypatch):
    for missing in ("matplotlib", "cmcrameri"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            with pytest.raises(
                ImportError, match=rf"{kind}\(\) needs matplotlib and cmcrameri; got .*pip install 'xoffset\[plot\]'"
            ):
                draw(kind, o)


def removed_panel():
    axes = Figure().subplots()
    axes.remove()
    return axes


BAD = [
    ({"ax": Figure().add_subplot(projection="polar")}, ValueError, r"needs a plane .* as ax; got .*'polar'\. Pass fig"),
    ({"ax": Figure().add_subplot(projection="3d")}, ValueError, r"needs a plane .* as ax; got .*'3d'\. Pass figure"),
    ({"ax": Figure().add_subplot(yscale="log")}, ValueError, r"needs .* linear scales as ax; got scales 'linear' and"),
    ({"ax": removed_panel()}, ValueError, r"needs a .*panel of a figure .* as ax; got one that was removed"),
    ({"ax": 3}, TypeError, r"needs Axes of matplotlib as ax; got int\. Pass one panel"),
    ({"vmin": "low"}, ValueError, r"needs a finite number as vmin; got 'low'\. Pass one"),
    ({"vmax": np.inf}, ValueError, r"needs a finite number as vmax; got inf\. Pass one"),
    ({"vmin": 2.0, "vmax": 1.0}, ValueError, r"needs vmin below vmax; got 2\.0 and 1\.0\. Pass them"),
    ({"cmap": "no"}, ValueError, r"needs colours of cmcrameri or matplotlib as cmap; got 'no'\. Pass a name"),
    ({"title": 3}, TypeError, r"needs a text as title; got int\. Pass title="),
    ({"save": 3}, TypeError, r"needs a path as save; got int\. Pass a text"),
    ({"save": "motion.doc"}, ValueError, r"needs a file name that ends in .* as save; got 'motion\.doc'\. Pass save="),
]


@each_kind
def test_bad_options_are_refused_in_three_parts_before_anything_is_drawn(o, kind, monkeypatch):
    monkeypatch.setattr(look_at, "new_figure", lambda *_: pytest.fail("drawn"))
    for options, error, advice in BAD:
        with pytest.raises(error, match=rf"{kind}\(\) {advice}"):
            draw(kind, o, **options)


@each_kind
def test_another_product_is_refused_in_three_parts(o, kind):
    other = xr.Dataset({"a": ("b", [1.0])})
    needed = {name: {"stable": o.stable, "save": "a.gif"}.get(name, each) for name, each in KINDS[kind][1].items()}
    with pytest.raises(ValueError, match=rf"(?s){kind}\(\) needs .*; got .*\. \S"):
        getattr(plotting, kind)(other, **needed)
    with pytest.raises((TypeError, AttributeError), match=rf"(?s){kind}\(\) needs .*; got .*\. \S"):
        getattr(plotting, kind)(3, **needed)


# ---------------------------------------------------------------------------------------------------- what they show


def look(**options):
    names = ("ax", "vmin", "vmax", "cmap", "title", "save")
    return look_of("test", **dict.fromkeys(names) | options)


class TestEnds:
    def field(self, name="speed"):
        return xr.DataArray(np.full((60, 80), 1.0), {"y": np.arange(60.0), "x": np.arange(80.0)}, ("y", "x"), name)

    def test_a_fast_front_is_never_cut_off(self):
        field = self.field()
        field[20:23, 30:34] = 50.0  # 0.25 % of the map
        scale = style.scale_of(field, look())
        assert scale.high == 50.0
        assert scale.extend == "neither"
        assert style.clip_note(field, scale) == []

    def test_single_wrong_matches_are_and_a_note_says_so(self):
        field = self.field()
        field[:] = np.linspace(0.0, 5.0, field.size).reshape(field.shape)
        field[5, 5], field[40, 70] = 900.0, 800.0
        scale = style.scale_of(field, look())
        assert scale.high < 5.1
        assert scale.extend == "max"
        (note,) = style.clip_note(field.assign_attrs(units="m yr-1"), scale)
        assert note.endswith("of the nodes beyond the colours, to 900 m yr$^{-1}$")

    def test_a_clump_of_wrong_matches_in_noise_is_beyond(self):
        rng = np.random.default_rng(0)
        values = abs(rng.normal(0.0, 1.0, (200, 240)))
        y, x = np.meshgrid(np.arange(200.0), np.arange(240.0), indexing="ij")
        values += 30.0 * np.exp(-((x - 100.0) ** 2 + (y - 90.0) ** 2) / 2.0 / 15.0**2)
        values[20:26, 30:36] = 400.0
        values[60:66, 200:206] = 700.0
        values[150:, :5] = np.nan
        end = coherent_end(values)
        assert 29.0 < end < 33.0
        assert end == coherent_end(np.where(np.isnan(values), np.nan, values)[::-1])

    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (5, 1)])
    def test_of_few_values(self, shape):
        values = np.arange(float(np.prod(shape))).reshape(shape)
        assert 0.0 <= coherent_end(values) <= values.max()
        assert np.isnan(coherent_end(np.full(shape, np.nan)))
        assert coherent_end(np.full(shape, 3.0)) == 3.0

    def test_of_noise_alone_nearly_all_is_within(self):
        values = np.random.default_rng(0).normal(size=(200, 200))
        assert (values <= coherent_end(values)).mean() > 0.99

    def test_one_end_of_a_signed_field_gives_both(self):
        field = self.field("vx")
        assert style.scale_of(field, look(vmax=3.0))[1:3] == (-3.0, 3.0)
        assert style.scale_of(field, look(vmin=-4.0))[1:3] == (-4.0, 4.0)
        assert style.scale_of(field, look(vmin=-4.0, vmax=1.0))[1:3] == (-4.0, 1.0)

    def test_an_end_beyond_all_values_is_no_error(self):
        scale = style.scale_of(self.field(), look(vmin=30.0))
        assert scale.low < scale.high


class TestMaps:
    def test_velocity_has_its_dates_a_key_and_a_scale_bar(self, o):
        written = texts(draw("velocity", o))
        assert "2020-01-10 to 2020-09-06" in written
        assert re.search(r"^[12]0 m yr\$\^\{-1\}\$$", written, re.MULTILINE)
        assert "200 m" in written
        assert "speed [m yr$^{-1}$]" in written.replace("\N{NO-BREAK SPACE}", " ")

    def test_displacement_tells_since_when(self, o):
        assert "2020-09-06, since 2020-01-10" in texts(draw("displacement", o))
        assert "2020-01-10 to 2020-03-10" in texts(draw("displacement", o, o.shifts, layer=0))

    def test_layer_out_of_range(self, o):
        with pytest.raises(
            ValueError, match=r"needs the number of a layer along 'time', of which there are 5; got 5\."
        ):
            draw("displacement", o, layer=5)

    def test_direction_is_masked_where_it_is_noise(self, o):
        o.rate = o.rate.assign(sigma_vx=o.rate.sigma_vx * 0.0 + 3.0, sigma_vy=o.rate.sigma_vy * 0.0 + 3.0)
        shown = draw("direction", o).axes[0].images[0].get_array()
        speed = np.hypot(o.rate.vx, o.rate.vy).values[::-1]
        np.testing.assert_array_equal(np.isfinite(np.ma.filled(shown, np.nan)), speed > 6.0)
        assert "no standard errors" in texts(draw("direction", o, o.rate[["vx", "vy"]]))

    def test_logarithmic_colours(self, o):
        norm = draw("log_speed", o, vmin=0.1, vmax=10.0).axes[0].images[0].norm
        assert (type(norm).__name__, norm.vmin, norm.vmax) == ("LogNorm", 0.1, 10.0)
        with pytest.raises(ValueError, match="needs a number above 0 as vmin"):
            draw("log_speed", o, vmin=-1.0)

    def test_sigma_is_the_length_of_both(self, o):
        shown = draw("sigma", o).axes[0].images[0].get_array()
        assert float(np.nanmax(shown)) == pytest.approx(0.4 * np.sqrt(2.0))

    def test_flags_are_named_with_their_share(self, o):
        legend = draw("flags", o, layer=0).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ["good, 99 %", "nodata, 1.4 %"]

    def test_crosses_lie_along_the_azimuth(self, o):
        lines = draw("strain", o).axes[0].collections
        black = lines[3].get_segments()
        east, north = (black[0][1] - black[0][0]) / np.hypot(*(black[0][1] - black[0][0]))
        np.testing.assert_allclose((east, north), (0.5, np.sqrt(3.0) / 2.0), rtol=1e-5)

    def test_relief_and_image_lie_beneath(self, o):
        below = xr.DataArray(np.random.default_rng(0).normal(size=(90, 90)), dims=("y", "x"))
        below = below.assign_coords(y=5000100.0 - 10.0 * np.arange(90), x=299900.0 + 10.0 * np.arange(90))
        for name in ("relief", "image"):
            images = draw("velocity", o, **{name: below}).axes[0].images
            assert [image.get_alpha() for image in images] == [None, 0.65]
        with pytest.raises(ValueError, match=r"needs either relief or an image; got both\."):
            draw("velocity", o, relief=below, image=below)
        with pytest.raises(ValueError, match=r"needs image where the map lies; got none of it there\."):
            draw("velocity", o, image=below.assign_coords(x=below.x + 1e6))
        with pytest.raises(ValueError, match=r"needs a DataArray on y and x with both coordinates as image; got"):
            draw("velocity", o, image=below.values)

    def test_signs_are_marked_for_grey_print(self, o):
        o.rate["vx"][:, :4] *= -1.0
        markers = [line.get_marker() for line in draw("variable", o).axes[0].lines]
        assert {"+", "_"} <= set(markers)

    def test_a_notebook_shows_it(self, o):
        assert draw("velocity", o)._repr_png_()[:4] == b"\x89PNG"


def test_relief_is_lit_from_the_north_west():
    y, x = np.meshgrid(np.arange(5.0), np.arange(5.0), indexing="ij")  # rows from south to north
    toward = {
        name: hillshade(z, (1.0, 1.0), 315.0, 45.0)[2, 2] for name, z in (("nw", x - y), ("se", y - x), ("flat", 0 * x))
    }
    assert toward["nw"] > toward["flat"] > toward["se"]
    assert toward["flat"] == pytest.approx(np.sqrt(0.5))


class TestStep:
    distance = 10.0 * np.arange(30)

    def test_is_found_exactly(self):
        values = 1.0 + 0.01 * self.distance + np.where(self.distance > 145.0, 4.0, 0.0)
        values[[3, 20]] = np.nan
        for sigma in (np.full(30, 0.1), np.full(30, np.nan)):
            step = step_across(self.distance, values, sigma, at=145.0, gap=40.0)
            assert (step.size, step.samples) == (pytest.approx(4.0), 24)
            assert step.sigma < 1e-9

    def test_error_is_that_of_least_squares(self):
        rng = np.random.default_rng(1)
        truth = np.where(self.distance > 145.0, 4.0, 0.0)
        found = [
            step_across(self.distance, truth + rng.normal(0, 0.5, 30), np.ones(30), at=145.0, gap=0.0)
            for _ in range(400)
        ]
        assert np.std([each.size for each in found]) == pytest.approx(np.mean([each.sigma for each in found]), rel=0.1)

    @pytest.mark.parametrize("at", [-5.0, 1e4])
    def test_needs_both_sides(self, at):
        step = step_across(self.distance, self.distance, np.ones(30), at=at, gap=0.0)
        assert np.isnan(step.size)
        assert step.lines == ()


class TestLines:
    def test_profile_names_the_step(self, o):
        legend = draw("profile", o).axes[0].get_legend()
        assert [text.get_text().split(" ±")[0] for text in legend.get_texts()] == [
            "parallel, step 4",
            "normal, step 0",
        ]

    def test_series_has_model_pairs_and_rejected_ones(self, o):
        raw, kept = o.shifts, o.shifts.copy(deep=True)
        kept["dx"][1], kept["dy"][1] = np.nan, np.nan
        figure = draw("series", o, model=o.rate, pairs=kept, raw=raw)
        lines = {line.get_label(): line for line in figure.axes[0].lines}
        assert len(lines["rejected pairs"].get_xdata()) == 1
        model = lines["model"]
        at = o.series.sel(x=POINT[0][0], y=POINT[0][1], method="nearest")
        np.testing.assert_allclose(model.get_ydata()[[0, -1]], at.dy.values[[0, -1]], atol=1e-3)
        with pytest.raises(ValueError, match=r"needs pairs with raw; got raw alone\."):
            draw("series", o, raw=raw)

    def test_series_of_what_decompose_finds(self, o):
        parts = o.series.offset.decompose(steps=["2020-06-01T12:00"])
        figure = draw("series", o, model=parts)
        (model,) = [line for line in figure.axes[0].lines if line.get_label() == "model"]
        at = o.series.sel(x=POINT[0][0], y=POINT[0][1], method="nearest")
        times = model.get_xdata()
        found = [model.get_ydata()[list(times).index(date)] for date in DATES]
        np.testing.assert_allclose(found, at.dy.values, atol=1e-3)
        with pytest.raises(ValueError, match=r"got a term 'ax', which needs the date of its velocity"):
            draw("series", o, model=o.series.offset.decompose(acceleration=True))

    @pytest.mark.parametrize("points", [3, "here", [(1.0, 2.0)], [(1.0, 2.0, 3.0)], [POINT[0]] * 7])
    def test_points_that_are_none(self, o, points):
        with pytest.raises((TypeError, ValueError), match=r"series\(\) needs .*points.*; got .*\. \S"):
            draw("series", o, points=points)

    def test_several_points_have_a_panel_each(self, o):
        assert len(draw("series", o, points=POINT * 3).axes) == 3

    def test_paths_go_the_way_of_the_points(self, o):
        (x, y) = draw("trajectories", o, times=10.0).axes[0].lines[1].get_data()
        np.testing.assert_allclose((np.diff(x), np.diff(y)), 20.0, rtol=1e-6)
        assert "displacements drawn 10 times as long" in texts(draw("trajectories", o, times=10.0))

    def test_a_path_without_places_is_told(self, o):
        path = o.series.offset.trajectory([POINT[0], POINT[0]]).compute()
        path = path.assign(x=path.x.where(path.point == path.point[0]))
        assert "1 of 2 points lie nowhere that is known" in texts(xoffset.plotting.trajectories(path))


class TestNetworks:
    def test_tells_of_groups(self, o):
        apart = o.shifts.isel(pair=[0, 2])
        for kind in ("network", "chord"):
            assert "2 groups of dates that no pair connects" in texts(draw(kind, o, apart))

    def test_of_a_network_without_vectors(self, o):
        pairs = xr.Dataset(coords={name: o.shifts[name] for name in ("reference", "secondary")})
        for kind in ("network", "chord"):
            assert "valid [%]" not in texts(draw(kind, o, pairs))
            assert "valid [%]" in texts(draw(kind, o))

    def test_share_of_valid(self, o):
        o.shifts["dx"][0] = np.nan
        colours = draw("valid", o).axes[0].images[0].get_array()
        assert colours.shape == (5, 5, 4)
        assert (colours[..., 3] > 0).sum() == 7
        assert not np.array_equal(colours[1, 0], colours[2, 1])


class TestQuality:
    def test_histogram_tells_median_and_spread(self, o):
        (text, _) = [text.get_text() for text in draw("stable", o, layer=0).axes[0].get_legend().get_texts()]
        assert text.startswith("dx: median ")
        assert text.endswith(" m")

    def test_before_is_after_and_removed(self, o):
        o.shifts["removed_dx"] = o.shifts.removed_dx + xr.DataArray(np.arange(9.0), dims="x")
        before, after, removed = (axes.images[0].get_array() for axes in draw("correction", o).axes)
        both = np.ma.filled(after + removed - before, np.nan)
        assert np.nanstd(both) < 1e-5
        with pytest.raises(ValueError, match=r"needs component 'dx' or 'dy'; got 'vx'\."):
            draw("correction", o, component="vx")

    def test_bars_are_the_losses(self, o):
        axes = draw("losses", o).axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["outside", "left"]
        np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [100 * 7 / 24, 100 * 17 / 24])


class TestAnimation:
    @pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("apng", "PNG"), ("gif", "GIF")])
    def test_has_a_frame_for_each_date(self, o, ending, kind):
        draw("animation", o, save=o.folder / f"motion.{ending}", seconds=0.2)
        with Image.open(o.folder / f"motion.{ending}") as film:
            assert (film.format, film.n_frames) == (kind, 5)
            shown = []
            for k in range(5):
                film.seek(k)
                shown.append(np.asarray(film.convert("RGB")).astype(int))
        assert all(abs(one - other).max() > 0 for one, other in itertools.pairwise(shown))

    def test_film_needs_ffmpeg(self, o, monkeypatch):
        monkeypatch.setitem(mpl.rcParams, "animation.ffmpeg_path", "no-such-program")
        with pytest.raises(
            ImportError, match=r"needs ffmpeg for MP4; got none on this machine\. Install it, .*motion.png"
        ):
            draw("animation", o, save=o.folder / "motion.mp4")
        assert list(o.folder.iterdir()) == []

    def test_film_is_written_by_ffmpeg(self, o, monkeypatch, tmp_path_factory):
        program = tmp_path_factory.mktemp("bin") / "ffmpeg"
        program.write_text('#!/bin/sh\nfor last; do :; done\ncat > "$last"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setitem(mpl.rcParams, "animation.ffmpeg_path", os.fspath(program))
        draw("animation", o, save=o.folder / "motion.mp4")
        assert (o.folder / "motion.mp4").stat().st_size > 1e5

    def test_ends_at_the_last_date(self, o):
        figure = draw("animation", o, component="dx")
        assert "2020-09-06, since 2020-01-10" in texts(figure)
        np.testing.assert_array_equal(
            np.ma.filled(figure.axes[0].images[0].get_array(), np.nan), fields.as_field(o.series.dx[-1], "test").values
        )


@pytest.mark.data
def test_of_a_real_glacier(data_folder, tmp_path):
    folder = data_folder / "kaskawulsh_velocity"
    parts = {}
    for name in ("vx", "vy"):
        path = folder / f"20180304-20180405_velo-raw_{name}.tif"
        stack = xoffset.open_stack([str(path)], date=["2018-03-04"])
        parts[name] = (365.25 * stack.isel(time=0, drop=True)).drop_attrs()
    rate = xr.Dataset(parts)
    figure = rate.offset.plot.velocity(save=tmp_path / "velocity.png")
    assert figure.axes[0].images
