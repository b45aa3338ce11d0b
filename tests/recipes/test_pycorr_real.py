"""The recipe `pycorr` on real images whose motion is known, and a velocity map as reference of the search."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from reference_places import yahtse

import xoffset

pytestmark = [pytest.mark.data, pytest.mark.slow]
OPTIONS = {"inc": 10, "half_source_chip": 16, "half_target_chip": 41, "plotvmax": 20.0, "log10": True}


def test_the_tongue_of_yahtse_flows_south(data_folder: Path, tmp_path: Path) -> None:
    """Landsat 8, 16 days: 79 % of windows correlate above 0.5, most stand still, the tongue moves near 19 m a day."""
    stack = yahtse(data_folder).chunk({"time": 1, "y": 512, "x": 512})
    xoffset.run("pycorr", stack, tmp_path, **OPTIONS)
    with h5py.File(tmp_path / "20160718T203706_20160803T203709_hp.nc") as file:
        layers = {name: file[name][:] for name in ("vx_masked", "vy_masked", "corr", "del_corr", "x", "y")}
    assert 0.74 < (layers["corr"] > 0.5).mean() < 0.84
    vx, vy = (np.where(layers[name] > -9999.0, layers[name], np.nan) for name in ("vx_masked", "vy_masked"))
    for component in (vx, vy):  # a third of a pixel, which the images lie off
        assert abs(np.nanmedian(component)) * 16.0 / 15.0 < 0.33
    is_sure = (layers["corr"] > 0.5) & (layers["del_corr"] > 0.1)
    tongue = np.where(is_sure, vy, np.nan)[44:96, 76:127]
    assert -22.0 < np.nanquantile(tongue, 0.001) < -15.0
    fast = tongue < -5.0
    assert fast.sum() > 100
    assert np.nanmedian(np.where(is_sure, vx, np.nan)[44:96, 76:127][fast]) < 0.0


def test_a_velocity_map_is_read_as_it_is(data_folder: Path) -> None:
    """Kaskawulsh: the speed of the ice has a median of 0.332 and a 95th percentile of 0.752 m a day."""
    place = data_folder / "kaskawulsh_velocity"
    files = [place / f"20180304-20180405_velo-raw_{name}.tif" for name in ("vx", "vy")]
    import rioxarray

    with rioxarray.open_rasterio(files[0], masked=True) as raster:
        images = xr.concat([raster[0].drop_vars("band")] * 2, "time").assign_coords(
            time=np.array(["2018-03-04", "2018-04-05"], dtype="M8[us]")
        )
    speed = xoffset.open_speed(files, like=images, per="day")
    ice = xoffset.masking.stable_ground(images, polygons=place / "glacier_V1_Kaskawulsh_s_inwardBuffer600m.shp")
    of_ice = speed.reindex_like(ice, method="nearest", tolerance=1.0).where(ice) / 365.25
    np.testing.assert_allclose(of_ice.quantile([0.5, 0.95]), [0.332, 0.752], rtol=0.02)
    reach = xoffset.search_range(
        images, xoffset.pairs(images), search=20, template=20, step=10, speed=speed, unknown_speed=0.333 * 365.25
    )
    assert int(reach.min()) >= 5
    assert int(reach.max()) <= 20
    assert float((reach < 10).mean()) > 0.5
