"""Maps that can be looked at: right way up, missing values grey, no trace left in matplotlib."""

import subprocess
import sys

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from xoffset import plotting
from xoffset.model import products
from xoffset.plotting import arrows, fields, files, look, mapping, style

GREY = round(255 * float(style._NO_DATA))


def make_grid(shape=(40, 60), pixel=80.0):
    return {"y": 4_999_960 - pixel * np.arange(shape[0]), "x": 300_040 + pixel * np.arange(shape[1])}


def make_rate(shape=(40, 60), pixel=80.0):
    """Landslide toward the south-east, with a hole in the data."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    speed = 20 * np.exp(-4 * (x**2 + y**2))
    speed[:5, :5] = np.nan
    grid = xr.Dataset(coords=make_grid(shape, pixel))
    vx, vy = (speed * 0.8).astype("float32"), (speed * -0.6).astype("float32")
    fields = {
        "vx": vx,
        "vy": vy,
        "sigma_vx": 0.1 + 0 * vx,
        "v": np.hypot(vx, vy),
        "flags": np.isnan(vx).astype("int64"),
    }
    fields["direction"] = np.degrees(np.arctan2(vx, vy)) % 360
    return products.rate(fields, like=grid, step={"function": "test"})


def make_shifts(pairs=3, shape=(8, 9)):
    dates = np.datetime64("2020-01-01", "us") + np.arange(pairs + 1) * np.timedelta64(10, "D")
    network = products.network(dates[:-1], dates[1:])
    dx = np.random.default_rng(0).normal(size=(pairs, *shape)).astype("float32")
    dx[:, 0] = np.nan
    grid = make_grid(shape)
    fields = {"dx": dx, "dy": dx, "score": np.abs(dx) / 4, "flags": np.zeros(dx.shape, "int64")}
    like = xr.DataArray(np.zeros(shape), dims=("y", "x"), coords=grid)
    return products.shifts(fields, network, **grid, like=like, step={"function": "test"})


def make_series():
    shifts = make_shifts()
    fields = {"dx": shifts["dx"].values, "dy": shifts["dy"].values, "rms": np.abs(shifts["dx"].values[0])}
    return products.series(fields, shifts["secondary"].values, like=shifts, step={"function": "test"})


def pixels(path):
    return np.round(255 * matplotlib.image.imread(path)[..., :3]).astype(int)


def is_grey(image):
    return (np.abs(image - GREY) <= 1).all(axis=-1)


class TestSaveMaps:
    def test_of_a_rate(self, tmp_path):
        paths = plotting.save_maps(make_rate(), tmp_path / "new" / "maps")
        assert [path.stem for path in paths] == ["velocity", "vx", "vy", "sigma_vx", "v", "direction"]
        assert all(pixels(path).std() > 10 for path in paths)

    def test_with_the_truth(self, tmp_path):
        fine = make_rate((200, 300), pixel=16.0)[["vx", "vy"]].fillna(0)
        paths = plotting.save_maps(make_rate(), tmp_path, truth=fine)
        assert [path.stem for path in paths[:2]] == ["velocity", "comparison"]

    def test_units_are_turned(self, tmp_path):
        rate = make_rate()[["vx", "vy"]]
        by_day = rate.assign({name: (each / 365.25).assign_attrs(units="m d-1") for name, each in rate.items()})
        found = files._as_velocity(by_day, "velocity_map")
        for name in ("vx", "vy"):
            np.testing.assert_allclose(found[name], files._as_velocity(rate, "velocity_map")[name], rtol=1e-5)
        with pytest.raises(ValueError, match="needs 'vx' in m yr-1; got units 'px'"):
            plotting.velocity_map(rate.assign(vx=rate.vx.assign_attrs(units="px")), tmp_path / "c.png")

    def test_a_truth_in_another_crs_is_refused(self, tmp_path):
        rate, truth = (
            make_rate().drop_vars("spatial_ref", errors="ignore").assign_attrs(crs=code) for code in (32632, 32633)
        )
        for each in (rate, truth):
            for data in (each, *each.data_vars.values()):
                data.encoding.pop("grid_mapping", None)
        with pytest.raises(ValueError, match="needs the truth in the CRS of the rate, WGS 84 / UTM zone 32N"):
            plotting.comparison_map(rate, truth, tmp_path / "a.png")

    def test_booleans_are_drawn(self, tmp_path):
        moves = make_rate().vx > 10.0
        assert plotting.map_of(moves.rename("moves"), tmp_path / "a.png").exists()

    def test_of_a_series(self, tmp_path):
        assert [path.stem for path in plotting.save_maps(make_series(), tmp_path)] == ["dx", "dy", "rms"]

    def test_of_shifts(self, tmp_path):
        assert [path.stem for path in plotting.save_maps(make_shifts(), tmp_path)] == ["matched", "score"]

    @pytest.mark.parametrize("make", [make_rate, make_series, make_shifts])
    def test_lazy_looks_the_same(self, make, tmp_path):
        eager = plotting.save_maps(make(), tmp_path / "eager")
        lazy = plotting.save_maps(make().chunk(y=5, x=4), tmp_path / "lazy")
        assert [path.read_bytes() for path in lazy] == [path.read_bytes() for path in eager]

    def test_leaves_no_figure_behind(self, tmp_path):
        plotting.save_maps(make_rate(), tmp_path)
        assert plt.get_fignums() == []


class TestLayers:
    def test_every_year_has_its_maps(self, tmp_path):
        rate = make_rate()[["vx", "vy"]]
        years = xr.concat([rate, rate * 2.0], "year").assign_coords(year=[2020, 2021])
        names = {path.stem for path in plotting.save_maps(years, tmp_path)}
        assert names == {f"{name}_{year}" for name in ("velocity", "vx", "vy") for year in (2020, 2021)}
        one = plotting.map_of(years["vx"][1], tmp_path / "one.png")
        assert one.read_bytes() == (tmp_path / "vx_2021.png").read_bytes()

    def test_two_steps_of_one_day_are_two_files(self, tmp_path):
        steps = np.array(["2020-01-01T06:00", "2020-01-01T18:00", "2020-03-01"], "M8[us]")
        field = make_rate()["vx"].rename("step_dx").drop_attrs().expand_dims(step=3).assign_coords(step=steps)
        names = {path.stem for path in plotting.save_maps(field.to_dataset(), tmp_path)}
        assert names == {"step_dx_2020-01-01_0", "step_dx_2020-01-01_1", "step_dx_2020-03-01"}

    def test_of_dates_and_pairs_the_last(self, tmp_path):
        field = make_shifts()["dx"].rename("closure")
        (path,) = plotting.save_maps(field.to_dataset(), tmp_path)
        assert path.read_bytes() == plotting.map_of(field[-1], tmp_path / "last.png").read_bytes()
        assert style.heading(field[-1]).endswith(", 2020-01-21 to 2020-01-31")


class TestDates:
    def field(self, dates):
        values = np.array(dates, "M8[us]")[np.newaxis]
        grid = {"y": [0.0], "x": 80.0 * np.arange(values.size)}
        return xr.DataArray(values, grid, ("y", "x"), "step_date", {"long_name": "date of the step"})

    def test_are_drawn_and_written_out(self, tmp_path):
        field = fields.as_field(self.field(["1961-02-01", "NaT", "1999-12-31", "2020-06-01"]), "map_of")
        np.testing.assert_array_equal(field[0], [-3256.0, np.nan, 10956.0, 18414.0])
        assert style.colour_scale(field) == ("batlow", -3256.0, 18414.0, "neither")
        ticks, names = style._days_between(-3256.0, 18414.0)
        assert (names[0], names[-1], len(set(names))) == ("1961-02-01", "2020-06-01", len(ticks))
        assert plotting.map_of(self.field(["2020-01-01", "NaT"]), tmp_path / "date.png").exists()

    def test_one_date_has_one_tick_and_none_has_none(self, tmp_path):
        assert style._days_between(18630.0, 18631.0) == ([18630.5], ["2021-01-03"])
        for dates, labels in ((["2021-01-03T12:00"], 1), (["NaT"], 0)):
            field = fields.as_field(self.field([*dates, "NaT"]), "map_of")
            axes = look.new_figure(3.0, 2.0).subplots()
            style.draw(axes, field, style.colour_scale(field))
            assert len(axes.child_axes[0].get_yticks()) == labels


class TestMap:
    def test_north_is_up_whatever_the_order(self, tmp_path):
        field = make_rate()["v"].copy()
        field[:] = np.nan
        field[:20] = 1.0
        first = plotting.map_of(field, tmp_path / "first.png")
        half = pixels(first).shape[0] // 2
        grey = is_grey(pixels(first))
        assert grey[half:].sum() > 5 * grey[:half].sum()
        for flip in ({"y": slice(None, None, -1)}, {"x": slice(None, None, -1)}):
            other = plotting.map_of(field.isel(flip), tmp_path / "other.png")
            assert other.read_bytes() == first.read_bytes()

    def test_missing_values_are_grey(self, tmp_path):
        rate = make_rate()
        assert is_grey(pixels(plotting.map_of(rate["vx"], tmp_path / "hole.png"))).mean() > 0.002
        assert is_grey(pixels(plotting.map_of(rate["vx"] * np.nan, tmp_path / "empty.png"))).mean() > 0.2

    def test_of_more_pixels_than_a_picture_shows(self, tmp_path):
        field = make_rate((20, 4000), pixel=1.0)["vx"]
        assert fields.as_field(field, "map_of").shape == (20, 1334)
        assert plotting.map_of(field, tmp_path / "long.png").exists()

    @pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
    def test_of_one_row_or_column(self, shape, tmp_path):
        assert plotting.map_of(make_series()["rms"][: shape[0], : shape[1]], tmp_path / "row.png").exists()

    def test_title(self, tmp_path):
        named = plotting.map_of(make_rate()["vx"], tmp_path / "named.png", title="Séchilienne")
        assert named.read_bytes() != plotting.map_of(make_rate()["vx"], tmp_path / "vx.png").read_bytes()
        assert style.heading(make_series()["dx"][-1]).endswith("since the reference date, 2020-01-31")

    @pytest.mark.parametrize(("units", "label"), [("m yr-1", "v [m yr$^{-1}$]"), ("m2", "v [m$^{2}$]"), ("1", "v")])
    def test_units(self, units, label):
        assert style._label(xr.DataArray(0.0, name="v", attrs={"units": units})) == label


class TestScale:
    def scale(self, values, name="any", **attrs):
        return style.colour_scale(xr.DataArray(np.asarray(values, "float64"), name=name, attrs=attrs))

    def test_signed_is_symmetric(self):
        assert self.scale(np.linspace(-1, 3, 101), "vx")[:3] == ("vik", pytest.approx(-2.98), pytest.approx(2.98))
        assert self.scale(np.linspace(2, 3, 101), "dx")[0] == "vik"
        assert self.scale(np.linspace(-1, 3, 101), "something")[0] == "vik"

    def test_outliers_do_not_stretch_it(self):
        values = np.append(np.linspace(1, 2, 1000), [1e6, np.inf, np.nan])
        assert self.scale(values) == (
            "batlow",
            pytest.approx(1.005, abs=0.003),
            pytest.approx(1.995, abs=0.003),
            "both",
        )

    def test_lengths_start_at_zero(self):
        assert self.scale(np.linspace(0, 30, 1000)) == ("batlow", 0.0, pytest.approx(29.85), "max")

    @pytest.mark.parametrize("name", ["exx", "v_east", "annual_sin_dx", "geolocation_dy"])
    def test_what_the_registry_calls_signed_is(self, name):
        assert self.scale(np.linspace(2, 3, 101), name)[0] == "vik"
        assert self.scale(np.linspace(2, 3, 101), f"sigma_{name}")[0] == "batlow"

    @pytest.mark.parametrize(
        ("name", "units", "period"),
        [
            ("direction", "degree", 360.0),
            ("azimuth", "degree", 180.0),
            ("annual_day_x", "day", 365.25),
            ("semiannual_day_y", "day", 182.625),
            ("aspect", "degree", 360.0),
        ],
    )
    def test_what_goes_round_has_a_scale_that_does(self, name, units, period, tmp_path):
        assert self.scale([10, 20], name, units=units) == ("romaO", 0.0, period, "neither")
        field = make_rate()["direction"].rename(name).assign_attrs(units=units) * (period / 360.0)
        assert plotting.map_of(field, tmp_path / "round.png").exists()

    def test_cyclic_ones_are_known_without_units_and_in_those_of_angles(self):
        assert self.scale([10, 20], "azimuth")[2] == 180.0
        assert self.scale([1, 2], "azimuth", units="radian") == ("romaO", 0.0, np.pi, "neither")
        assert self.scale([1, 2], "direction", units="rad") == ("romaO", 0.0, 2.0 * np.pi, "neither")
        assert self.scale([10, 20], "direction", units="deg")[2] == 360.0
        assert self.scale([1, 2], "azimuth", units="gon")[0] == "batlow"
        assert self.scale([1, 2], "sigma_annual_day_x", units="day")[0] == "batlow"

    def test_bar_of_what_goes_round_is_ticked_in_quarters(self):
        field = make_rate()["direction"].rename("azimuth") / 2.0
        figure = look.new_figure(3.0, 2.0)
        axes = figure.subplots()
        style.draw(axes, field, style.colour_scale(field))
        figure.canvas.draw()
        (bar,) = axes.child_axes
        assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "45", "90", "135", "180"]

    def test_small_moving_areas_are_seen(self):
        assert self.scale([0.0] * 999 + [7.0], "vx")[1:3] == (-7.0, 7.0)

    @pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
    @pytest.mark.parametrize("name", ["vx", "score"])
    def test_one_value_everywhere(self, value, name):
        scale = self.scale([value] * 5, name)
        assert scale.low < scale.high


class TestArrows:
    def arrows(self, rate):
        axes = look.new_figure(3.0, 2.0).subplots()
        arrows.draw_arrows(axes, files._as_velocity(rate, "test"), ("vx", "vy"), 20.0)
        return axes.collections

    def test_point_along_the_motion(self):
        (arrows,) = self.arrows(make_rate())
        assert 20 < arrows.U.size < 200
        np.testing.assert_allclose(arrows.V / arrows.U, -0.75, rtol=1e-5)
        assert (np.hypot(arrows.U, arrows.V) > 0.15 * 20).all()

    def test_are_not_drawn_where_nothing_moves(self):
        assert len(self.arrows(make_rate() * 0)) == 0
        assert len(self.arrows(make_rate() * np.nan)) == 0

    def test_without_any_value(self, tmp_path):
        assert plotting.velocity_map(make_rate() * np.nan, tmp_path / "empty.png").exists()


class TestDeclared:
    """What data declare of themselves holds for pictures too."""

    def test_velocities_of_other_units_are_compared_in_metres_a_year(self):
        rate = make_rate()
        daily = rate.assign({name: (rate[name] / 365.25).assign_attrs(units="m/day") for name in ("vx", "vy")})
        for given, like in ((daily, None), (rate, daily), (daily, rate)):
            found = files._as_velocity(given, "comparison_map", like)
            error = abs(found - files._as_velocity(rate, "comparison_map"))
            assert float(error.to_dataarray().max()) < 1e-4
            assert found["vx"].attrs["units"] == "m yr-1"

    def test_fill_values_are_not_drawn(self):
        rate = make_rate()
        filled = rate["v"].fillna(-32767).assign_attrs(_FillValue=-32767.0)
        np.testing.assert_array_equal(fields.as_field(filled, "map_of"), fields.as_field(rate["v"], "map_of"))

    def test_fill_values_are_not_drawn_of_a_product(self, tmp_path, monkeypatch):
        drawn = {}
        monkeypatch.setattr(mapping, "draw", lambda axes, field, scale, **_: drawn.update({field.name: field}))
        rate = make_rate()
        plotting.save_maps(rate.assign(vx=rate["vx"].fillna(-32767).assign_attrs(_FillValue=-32767.0)), tmp_path)
        for name in ("vx", "speed"):
            assert float(drawn[name].min()) >= 0.0
            assert int(drawn[name].isnull().sum()) == 25

    @pytest.mark.parametrize("units", ["px", "m", "furlong"])
    def test_other_units_are_refused(self, units, tmp_path):
        rate = make_rate()
        rate["vx"].attrs["units"] = units
        for draw in (plotting.save_maps, plotting.velocity_map):
            with pytest.raises(ValueError, match=f"needs 'vx' in m yr-1; got units '{units}'"):
                draw(rate, tmp_path / "map.png")

    def test_truth_of_another_crs_is_refused(self, tmp_path):
        rate, truth = (make_rate().assign_attrs(crs=code) for code in ("EPSG:32632", "EPSG:32633"))
        with pytest.raises(ValueError, match=r"comparison_map\(\) needs the truth in the CRS of the rate"):
            plotting.comparison_map(rate, truth, tmp_path / "map.png")


class TestRefusals:
    def test_an_array(self, tmp_path):
        with pytest.raises(TypeError, match=r"plotting\.map_of\(\)"):
            plotting.save_maps(make_rate()["v"], tmp_path)

    def test_a_network(self, tmp_path):
        with pytest.raises(ValueError, match=r"Pass the result of velocity\(\), invert\(\) or correlate\(\)"):
            plotting.save_maps(make_shifts().drop_vars(["dx", "dy", "score", "flags"]), tmp_path)

    def test_truth_of_something_else(self, tmp_path):
        with pytest.raises(ValueError, match=r"none called vx or vy. Pass the result of velocity\(\)"):
            plotting.save_maps(make_shifts(), tmp_path, truth=make_rate())

    @pytest.mark.parametrize(
        "field", [make_shifts()["dx"], make_rate()["v"].drop_vars("x"), np.zeros((2, 2))], ids=type
    )
    def test_not_a_field(self, field, tmp_path):
        with pytest.raises(ValueError, match="Select one date or pair first"):
            plotting.map_of(field, tmp_path / "map.png")

    def test_no_velocity(self, tmp_path):
        with pytest.raises(ValueError, match=r"Pass the result of velocity\(\)"):
            plotting.velocity_map(make_rate()[["v"]], tmp_path / "map.png")

    @pytest.mark.parametrize("missing", ["matplotlib", "cmcrameri"])
    def test_without_the_extra(self, missing, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(ImportError, match=r"pip install 'xoffset\[plot\]'"):
            plotting.save_maps(make_rate(), tmp_path)


def test_importing_loads_no_heavy_library():
    heavy = ("rioxarray", "rasterio", "zarr", "matplotlib", "dask.array", "h5netcdf")
    code = f"import sys, xoffset.plotting; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("attrs", [{}, {"long_name": "mean velocity", "units": "m d-1"}])
def test_a_field_without_a_name_is_not_called_none(attrs):
    field = make_rate()["vx"].rename(None)
    field.attrs = attrs
    bar, title = style._label(field), style.heading(field)
    assert "None" not in bar + title
    assert attrs.get("long_name", "") in bar
    assert attrs.get("long_name", "") in title


@pytest.mark.parametrize("shape", [(8, 200), (40, 70), (3, 3), (200, 4)])
def test_long_labels_of_a_bar_leave_the_map_its_room(shape, tmp_path):
    """Warnings are errors: of a flat map and a long label nothing was left for the map."""
    rows, columns = shape
    values = np.arange(rows * columns, dtype=float).reshape(shape)
    about = {"units": "percent", "long_name": "share of the pairs whose score exceeds the threshold"}
    coords = {"y": 10.0 * np.arange(rows), "x": 10.0 * np.arange(columns)}
    field = xr.DataArray(values, coords, ("y", "x"), attrs=about)
    picture = matplotlib.image.imread(files.map_of(field, tmp_path / "map.png", title="MM_Quality"))
    assert min(picture.shape[:2]) > 100
    asked = look.look_of("map_of", ax=None, vmin=None, vmax=None, cmap=None, title=None, save=None)
    panel = mapping.draw_variable(field, asked, field).axes[0]
    lines = panel.child_axes[0].yaxis.label.get_text().split("\n")
    height = 72.0 * panel.bbox.height / panel.get_figure().dpi
    assert max(map(len, lines)) <= max(12, height / style._LETTER)
    assert (
        " ".join(lines).replace("\N{NO-BREAK SPACE}", " ")
        == "share of the pairs whose score exceeds the threshold [percent]"
    )


def test_titles_tell_a_reference_only_if_it_is_a_date():
    series = make_series()
    assert mapping.since(series.assign_attrs(reference="2020-01-10T10:20:00"), "2020-03-01") == (
        "2020-03-01, since 2020-01-10"
    )
    of_lazy = series.assign_attrs(reference="the date with which the fewest values are lost, counted when computed")
    assert mapping.since(of_lazy, "2020-03-01") == "2020-03-01"
