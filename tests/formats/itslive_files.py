"""ITS_LIVE granules and cubes written from their layout, with nothing of the library's writer."""

import h5netcdf
import numpy as np
import pyproj
import zarr

CODE = 3413
SHAPE = (4, 6)
FILL = -32767


def axes(shape=SHAPE, step=120.0, corner=(-200_000.0, -2_100_000.0)):
    """Centres of columns and of rows from north to south."""
    return corner[0] + step * (0.5 + np.arange(shape[1])), corner[1] - step * (0.5 + np.arange(shape[0]))


def velocities(shape=SHAPE, scale=1):
    """Whole numbers of m/yr of which no two are alike, with two missing ones."""
    vx = (scale * (100 + np.arange(np.prod(shape)).reshape(shape))).astype("i2")
    vy = (-scale * (1000 + 3 * np.arange(np.prod(shape)).reshape(shape))).astype("i2")
    for each in (vx, vy):
        each[0, 0] = each[2, 3] = FILL
    return vx, vy


def granule(
    path,
    *,
    first="20200101T10:20:30.5",
    second="20200201T22:20:30.5",
    version=2,
    code=CODE,
    errors=(25.5, 12.0),
    values=None,
    x_y=None,
):
    """Granule of version 2, or with the names of version 1."""
    x, y = axes() if x_y is None else x_y
    vx, vy = velocities() if values is None else values
    date = "acquisition_date_img" if version == 2 else "acquisition_img"
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"y": y.size, "x": x.size}
        for name, axis in (("x", x), ("y", y)):
            file.create_variable(name, (name,), "f8", data=axis).attrs.update(units="m")
        info = file.create_variable("img_pair_info", (), "S1")
        info.attrs.update({f"{date}1": first, f"{date}2": second, "id_img1": "a", "id_img2": "b"})
        wkt = pyproj.CRS.from_epsg(code).to_wkt("WKT1_GDAL")
        mapping = "mapping" if version == 2 else "Polar_Stereographic"
        file.create_variable(mapping, (), "S1").attrs.update(
            spatial_ref=wkt, spatial_epsg=code, **({"crs_wkt": wkt} if version == 2 else {})
        )
        for name, data, error in (("vx", vx, errors[0]), ("vy", vy, errors[1])):
            variable = file.create_variable(name, ("y", "x"), "i2", fillvalue=np.int16(FILL), data=data)
            variable.attrs.update(units="meter/year" if version == 2 else "m/y", grid_mapping=mapping)
            variable.attrs["error" if version == 2 else f"{name}_error"] = error
        mask = np.zeros(vx.shape, "u1")
        mask[1, 1] = 1
        file.create_variable("interp_mask", ("y", "x"), "u1", fillvalue=np.uint8(0), data=mask).attrs[
            "grid_mapping"
        ] = mapping
        chip = file.create_variable(
            "chip_size_width", ("y", "x"), "u2", fillvalue=np.uint16(0), data=np.full(vx.shape, 240, "u2")
        )
        chip.attrs.update(units="m", x_pixel_size=15.0)
    return path


def cube(path, first, second, *, values=None, errors=None, urls=None, shape=SHAPE, code=CODE):
    """Cube as a Zarr store of version 2, dates in days since 1970 with their fractions."""
    x, y = axes(shape)
    pairs = len(first)
    days = [
        (np.asarray(each, "M8[us]") - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")
        for each in (first, second)
    ]
    if values is None:
        vx, vy = velocities(shape)
        values = np.stack([vx] * pairs), np.stack([vy] * pairs)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    of_maps = {"missing_value": FILL, "units": "meter/year", "grid_mapping": "mapping"}
    arrays = {
        "mid_date": (("mid_date",), (days[0] + days[1]) / 2, {"units": "days since 1970-01-01"}),
        "x": (("x",), x, {"units": "m"}), "y": (("y",), y, {"units": "m"}),
        "acquisition_date_img1": (("mid_date",), days[0], {"units": "days since 1970-01-01"}),
        "acquisition_date_img2": (("mid_date",), days[1], {"units": "days since 1970-01-01"}),
        "vx": (("mid_date", "y", "x"), values[0], of_maps),
        "vy": (("mid_date", "y", "x"), values[1], of_maps),
        "mapping": ((), np.array(0, "i1"), {"spatial_epsg": code, "crs_wkt": pyproj.CRS.from_epsg(code).to_wkt()}),
    }  # fmt: skip
    if errors is not None:
        arrays |= {
            name: (("mid_date",), np.asarray(each, "f4"), {})
            for name, each in zip(("vx_error", "vy_error"), errors, strict=True)
        }
    if urls is not None:
        arrays["granule_url"] = (("mid_date",), np.asarray(urls, "U64"), {})
    for name, (dims, data, attrs) in arrays.items():
        chunks = (min(pairs, 20_000), *(min(10, n) for n in shape)) if len(dims) == 3 else data.shape
        made = group.create_array(name, shape=data.shape, dtype=data.dtype, chunks=chunks or "auto", fill_value=None)
        made[...] = data
        made.attrs.update({"_ARRAY_DIMENSIONS": list(dims)} | attrs)
    zarr.consolidate_metadata(path)
    return path
