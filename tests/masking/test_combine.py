"""combine(): masks of all kinds on the grid of a stack, and what it refuses."""

import json
import logging

import numpy as np
import pytest
import xarray as xr

from xoffset import masking, synthetic

STACK, _ = synthetic.stack((40, 48), dates=["2020-01-01", "2020-02-01"])


def marked(rows, columns, dims=("y", "x")):
    """True but in a rectangle; on the dates of the stack only in the first."""
    mask = xr.full_like(STACK, True, dtype=bool)
    mask[0, rows, columns] = False
    return mask if "time" in dims else mask[0].drop_vars("time")


def test_all_layers_have_to_let_a_pixel_be_matched():
    usable = marked(slice(0, 5), slice(None), ("time", "y", "x"))
    slopes = marked(slice(None), slice(0, 5))
    shadow = ~marked(slice(10, 12), slice(20, 25), ("time", "y", "x"))
    found = masking.combine(STACK, usable=usable, slopes=slopes, shadow=shadow)
    assert found.dims == ("time", "y", "x")
    assert np.array_equal(found, usable & slopes & ~shadow)
    lazy = masking.combine(STACK.chunk(x=17), usable=usable.chunk(x=17), slopes=slopes, shadow=shadow)
    assert lazy.chunks is not None
    assert np.array_equal(lazy, found)


def test_nothing_given_lets_all_be_matched():
    found = masking.combine(STACK)
    assert found.dims == ("y", "x")
    assert found.all()


def test_layers_of_other_grids_are_laid_on_by_position():
    coarse = STACK[0].drop_vars("time").coarsen(y=4, x=4).mean() > 0.0
    coarse[2, 3] = False
    found = masking.combine(STACK, slopes=coarse)
    assert not found[8:12, 12:16].any()
    assert int((~found).sum()) == 16


def test_outlines_and_their_buffer(tmp_path):
    x, y = STACK.x.values, STACK.y.values
    box = [[x[10] - 5, y[20] + 5], [x[20] + 5, y[20] + 5], [x[20] + 5, y[30] - 5], [x[10] - 5, y[30] - 5]]
    shape = {"type": "Polygon", "coordinates": [[*box, box[0]]]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    (tmp_path / "ice.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [
        {"type": "Feature", "properties": {}, "geometry": shape}]}))  # fmt: skip
    inside = masking.combine(STACK, outlines=tmp_path / "ice.geojson")
    assert int(inside.sum()) == 121
    assert inside[20:31, 10:21].all()
    assert int(masking.combine(STACK, outlines=tmp_path / "ice.geojson", buffer=10.0).sum()) == 121 + 44 + 4
    with pytest.raises(ValueError, match=r"combine\(\) needs a number of at least 0"):
        masking.combine(STACK, outlines=tmp_path / "ice.geojson", buffer=-1.0)


@pytest.mark.parametrize(
    ("given", "error", "advice"),
    [
        ({"usable": STACK}, TypeError, r"combine\(\) needs a boolean DataArray"),
        ({"shadow": STACK[0]}, TypeError, r"combine\(\) needs a boolean DataArray"),
        ({"buffer": 3.0}, ValueError, "needs outlines where buffer is given"),
        ({"slopes": marked(slice(0), slice(0)).rename(y="z")}, ValueError, "needs slopes with dims"),
        ({"usable": marked(slice(0), slice(0), ("time",))[:1]}, ValueError, "needs usable on the dates of the stack"),
    ],
)
def test_what_is_no_layer_is_refused(given, error, advice):
    with pytest.raises(error, match=advice):
        masking.combine(STACK, **given)


def ramp(degrees):
    x, y = np.arange(9) * 30.0, np.arange(9) * -30.0
    height = np.outer(np.ones(9), x * np.tan(np.radians(degrees)))
    return xr.DataArray(height, dims=("y", "x"), coords={"y": y, "x": x})


def test_models_without_slopes_of_the_interval_are_told_of(caplog):
    with caplog.at_level(logging.WARNING):
        masking.slope_mask(ramp(43.0))
    assert "the steepest of these elevations, with pixels of 30 m, is 43.0 degrees. Coarse" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        masking.slope_mask(ramp(85.0))
        masking.slope_mask(ramp(43.0), removed=(0.0, 20.0))
    assert not caplog.text


def test_the_sun_of_a_stack():
    dem = ramp(20.0)
    dem[:, 4] = dem[:, 4] + 100.0
    angles = {"sun_azimuth": ("time", [90.0, 270.0]), "sun_elevation": ("time", [30.0, 40.0])}
    stack = STACK.assign_coords(angles)
    found = masking.cast_shadow(dem, sun=stack)
    xr.testing.assert_identical(
        found, masking.cast_shadow(dem, sun_azimuth=stack.sun_azimuth, sun_elevation=stack.sun_elevation)
    )
    with pytest.raises(ValueError, match=r"needs 'sun_azimuth' of sun on 'time'; got none. Products tell it"):
        masking.cast_shadow(dem, sun=STACK)
    with pytest.raises(ValueError, match=r"or sun, which has both; got one of the two. Pass sun=stack alone"):
        masking.cast_shadow(dem, sun_azimuth=90.0)
    with pytest.raises(ValueError, match="got sun and others"):
        masking.cast_shadow(dem, sun_azimuth=90.0, sun=stack)
