"""What a notebook shows of an object, and the map that explore() opens: their numbers against the product itself."""

import base64
import html
import json
import re
from io import BytesIO

import dask.array as da
import numpy as np
import pytest
import rioxarray  # noqa: F401, registers `.rio`
import xarray as xr
from PIL import Image

import xoffset
from xoffset._arrays import codes
from xoffset.plotting import style


def rate(rows=20, columns=30, **attrs):
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    vx = (0.5 * x - 0.1 * y + 3.0).astype(np.float32)
    vx[:1, :1] = np.nan
    maps = {"vx": vx, "vy": np.where(np.isnan(vx), np.nan, 2.0 * y).astype(np.float32)}
    maps |= {f"sigma_{name}": np.where(np.isnan(vx), np.nan, 0.2).astype(np.float32) for name in ("vx", "vy")}
    coords = {"y": 5e6 + 80.0 * np.arange(rows), "x": 4e5 + 80.0 * np.arange(columns)}
    return xr.Dataset({name: (("y", "x"), each) for name, each in maps.items()}, coords, attrs)


def shifts(pairs=3, rows=6, columns=5):
    dates = np.datetime64("2020-01-01", "ns") + np.timedelta64(30, "D") * np.arange(pairs + 1)
    values = np.arange(pairs * rows * columns, dtype=np.float32).reshape(pairs, rows, columns)
    return xr.Dataset(
        dict.fromkeys(("dx", "dy"), (("pair", "y", "x"), values)),
        {
            "reference": ("pair", dates[:-1]), "secondary": ("pair", dates[1:]),
            "y": 80.0 * np.arange(rows), "x": 80.0 * np.arange(columns),
        },
    )  # fmt: skip


def picture_of(text):
    return Image.open(BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", text)[1])))


# ------------------------------------------------------------------------------------------------------------- summary


def test_the_small_map_shows_the_speed_north_up():
    product = rate()
    text = product.offset._repr_html_()
    image = np.array(picture_of(text))
    assert image.shape == (20, 30)
    speed = np.hypot(product.vx, product.vy).values[::-1]
    # 0 is no value; the others grow with the speed
    assert (image[np.isnan(speed)] == 0).all()
    known = ~np.isnan(speed)
    order = np.argsort(speed[known])
    assert (np.diff(image[known][order].astype(int)) >= 0).all()
    assert image[known].min() > 0
    assert "speed, 0 to" in text
    assert "m yr-1" in text


def test_each_pair_is_an_arc_and_each_date_a_dot():
    text = shifts(pairs=3).offset._repr_html_()
    assert "4 dates, 3 pairs" in text
    assert text.count("<circle") == 4
    assert len(re.findall(r"M[\d.]+ 40Q", text)) == 3
    ends = [float(each) for each in re.findall(r'cx="([\d.]+)"', text)]
    np.testing.assert_allclose(np.diff(ends), 292.0 / 3, atol=0.1)


def test_nothing_lazy_is_computed():
    def refuse(block):
        raise AssertionError("computed")

    lazy = shifts().copy()
    array = da.ones((3, 6, 5), chunks=(1, 6, 5)).map_blocks(refuse, dtype=np.float64, meta=np.empty((0, 0, 0)))
    lazy = lazy.assign(dx=(("pair", "y", "x"), array), dy=(("pair", "y", "x"), array))
    text = lazy.offset._repr_html_()
    assert "not computed yet" in text
    assert "4 dates, 3 pairs" in text
    assert "<img" not in text


def test_stacks_networks_and_objects_of_no_kind_are_shown():
    stack, _ = xoffset.synthetic.stack((32, 48), dates=["2020-01-01", "2020-02-01"], snr=4.0)
    text = stack.offset._repr_html_()
    assert picture_of(text).size == (48, 32)
    assert "image, 2020-02-01" in text
    text = stack.offset.pairs().offset._repr_html_()
    assert "2 dates, 1 pairs" in text
    assert "<img" not in text
    text = xr.Dataset({"<b>": ("k", [1.0])}).offset._repr_html_()
    assert "no object of xoffset" in text


@pytest.mark.parametrize(
    "product",
    [
        rate() * np.nan,
        rate(1, 1),
        rate(3, 400),
        rate(0, 4),
        rate().isel(y=slice(None, None, -1)),
        shifts(1),
        shifts().isel(pair=[]),
        shifts().isel(pair=0),
        shifts().assign_coords(reference=("pair", np.full(3, "NaT", "M8[ns]"))),
        rate().expand_dims(a=2, b=2),
    ],
    ids=["all NaN", "one node", "long", "empty", "y downward", "one pair", "no pair", "of a pair", "NaT", "many dims"],
)
def test_odd_products_are_shown(product):
    text = product.offset._repr_html_()
    assert html.escape(repr(product.offset).split("\n")[0]) in text


def test_names_are_escaped():
    product = xr.Dataset({"<script>": (("y", "x"), np.eye(4))}, {"y": np.arange(4.0), "x": np.arange(4.0)})
    product["<script>"].attrs["long_name"] = "<b>size</b>"
    text = product.offset._repr_html_()
    assert "<script>" not in text
    assert "<b>size" not in text
    assert "&lt;b&gt;size" in text


def test_without_the_extra_for_pictures_there_is_text(monkeypatch):
    monkeypatch.setattr(style, "has_extra", lambda: False)
    text = rate().offset._repr_html_()
    assert "<img" not in text
    assert "a rate" in text


# ------------------------------------------------------------------------------------------------------------- explore


def data_of(view):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', view.page, re.S)[1])


def test_the_page_holds_the_values_of_the_product():
    product = rate()
    view = product.offset.explore()
    arrays = data_of(view)["maps"]["arrays"]
    for name in ("vx", "vy"):
        held = codes.unpacked(arrays[f"velocity.{name}"])[::-1]
        np.testing.assert_allclose(held, product[name], atol=0.2 / 4 / 2 + 1e-6)
        errors = codes.unpacked(arrays[f"velocity.sigma_{name}"])[::-1]
        np.testing.assert_allclose(errors, product[f"sigma_{name}"], rtol=0.03)
    assert data_of(view)["nodes"] is None
    assert data_of(view)["network"] is None


def test_a_series_and_pairs_are_drawn_of_a_click():
    pairs = shifts()
    held = data_of(pairs.offset.explore())["nodes"]
    assert held["series"] is None
    np.testing.assert_allclose(codes.unpacked(held["pairs"]["dx"]), pairs.dx.values.reshape(3, -1).T, atol=0.1)
    sigmas = {f"sigma_{name}": xr.full_like(pairs[name], 0.5) for name in ("dx", "dy")}
    series = pairs.assign(sigmas).offset.invert()
    held = data_of(series.offset.explore(shifts=pairs))["nodes"]
    assert held["series"]["dates"][0] == "2020-01-01T00:00:00Z"
    np.testing.assert_allclose(
        codes.unpacked(held["series"]["dx"]), series.dx.transpose("y", "x", "time").values.reshape(-1, 4), atol=0.2
    )


def test_the_frame_holds_the_page_and_save_writes_it(tmp_path):
    view = rate().offset.explore(height=500)
    frame = view._repr_html_()
    assert html.unescape(re.search(r'srcdoc="(.*?)" title', frame, re.S)[1]) == view.page
    assert "height: 500px" in frame
    path = view.save(tmp_path / "map.html")
    assert path.read_text(encoding="utf-8") == view.page
    assert "save('map.html')" in repr(view)
    with pytest.raises(IsADirectoryError, match=r"save\(\) needs the name of a file; got the folder .* Add map\.html"):
        view.save(tmp_path)


def test_what_has_no_map_is_refused():
    with pytest.raises(TypeError, match=r"explore\(\) needs a rate .*; got a Dataset with dims \('k',\)"):
        xoffset.explore(xr.Dataset({"a": ("k", [1.0])}))
    with pytest.raises(TypeError, match=r"explore\(\) needs as series a series .*; got a rate"):
        rate().offset.explore(series=rate())
    with pytest.raises(TypeError, match=r"explore\(\) needs as shifts shifts .*; got a rate"):
        rate().offset.explore(shifts=rate())
    for height in (10, 2.5, "high"):
        with pytest.raises(ValueError, match=r"explore\(\) needs a whole number of at least 200 as height"):
            rate().offset.explore(height=height)
    turned = shifts(rows=20, columns=30).isel(x=slice(None, None, 2))
    with pytest.raises(ValueError, match=r"needs shifts on the grid of the product; got other coordinates 'y'"):
        rate().offset.explore(shifts=turned)
    here = shifts(rows=20, columns=30).assign_coords(y=rate().y, x=rate().x)
    with pytest.raises(ValueError, match=r"needs shifts in the CRS of the product, EPSG:32632; got EPSG:32633"):
        rate().rio.write_crs(32632).offset.explore(shifts=here.rio.write_crs(32633))
    points = rate().stack(point=("y", "x")).reset_index("point")
    with pytest.raises(ValueError, match=r"explore\(\) needs vectors on a grid \(y, x\); got dims \('point',\)"):
        xoffset.explore(points)
