"""pycorr's netCDF file and its set of GeoTIFFs, written from their layouts with nothing of the library's writer."""

import h5netcdf
import numpy as np
import pyproj
import rasterio

SHAPE = (3, 4)
X, Y = 500_050.0 + 100.0 * np.arange(4), 4_999_950.0 - 100.0 * np.arange(3)
NAME = "L2A_S2BA_7VEG_15_20200512_20200527_hp.nc"


def velocities():
    """Metres a day east and north; one value was never measured, one is masked for its weak peak."""
    vx = (1.0 + 0.1 * np.arange(12).reshape(SHAPE)).astype("f4")
    vy = (-2.0 + 0.1 * np.arange(12).reshape(SHAPE)).astype("f4")
    vx[0, 0] = vy[0, 0] = -99.0
    masked = [np.where(np.arange(12).reshape(SHAPE) == 6, np.float32(-99.0), each) for each in (vx, vy)]
    return vx, vy, *masked


def netcdf(path, *, units="m/d", factor=1.0):
    vx, vy, vx_masked, vy_masked = velocities()
    score = np.full(SHAPE, 0.8, "f4")
    score[0, 0] = -2.0
    wkt = pyproj.CRS.from_epsg(32607).to_wkt("WKT1_GDAL")
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"y": 3, "x": 4}
        file.create_variable("x", ("x",), "f8", data=X).attrs["units"] = "m"
        file.create_variable("y", ("y",), "f8", data=Y).attrs["units"] = "m"
        file.create_variable("image_pair_times", (), "S1").attrs.update(
            del_t="15.0", start_date="2020-05-12T20:59:19", end_date="2020-05-27T20:59:19", del_t_speed_units=units
        )
        file.create_variable("transverse_mercator", (), "S1").attrs.update(
            grid_mapping_name="transverse_mercator", spatial_ref=wkt
        )
        maps = {"vx": vx, "vy": vy, "vx_masked": vx_masked, "vy_masked": vy_masked}
        for name, values in maps.items():
            scaled = np.where(values == -99.0, values, values * np.float32(factor))
            variable = file.create_variable(name, ("y", "x"), "f4", fillvalue=np.float32(-99.0), data=scaled)
            variable.attrs.update(units=units, grid_mapping="transverse_mercator")
        for name, values in (("corr", score), ("del_corr", score / 2)):
            file.create_variable(name, ("y", "x"), "f4", fillvalue=np.float32(-2.0), data=values)
    return path


def geotiffs(folder, stem="20200512_20200527_hp", factor=1.0):
    """Set of files of `-output_geotiffs_instead_of_netCDF`, in which vx_masked is the masked speed."""
    vx, vy, vx_masked, vy_masked = velocities()
    speed = np.where(vx_masked == -99.0, vx_masked, np.hypot(vx, vy))
    maps = {"vx": vx, "vy": vy, "vx_masked": speed, "vy_masked": vy_masked, "corr": np.full(SHAPE, 0.8, "f4")}
    transform = rasterio.transform.from_origin(500_000.0, 5_000_000.0, 100.0, 100.0)
    for name, values in maps.items():
        scaled = values if name == "corr" else np.where(values == -99.0, values, values * np.float32(factor))
        options = {"height": 3, "width": 4, "count": 1, "dtype": "float32", "crs": "EPSG:32607", "nodata": -99.0}
        with rasterio.open(folder / f"{stem}_{name}.tif", "w", transform=transform, **options) as file:
            file.write(scaled, 1)
    return folder / f"{stem}_vx.tif"
